// JPEG through libjpeg, PNG through libpng's simplified interface, both from memory. libjpeg
// reports errors by longjmp, so the function that it leaves that way holds no object with a
// destructor.
#include <algorithm>
#include <array>
#include <csetjmp>
#include <cstdio>

// clang-format off: jpeglib.h needs <cstdio> before it, jerror.h needs jpeglib.h.
#include <jerror.h>
#include <jpeglib.h>
#include <png.h>
// clang-format on

#include "train/data/image.h"
#include "train/error.h"

namespace strata::data {
namespace {

constexpr std::array<uint8_t, 3> kJpegMagic = {0xff, 0xd8, 0xff};
constexpr std::array<uint8_t, 8> kPngMagic = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};

// A progressive JPEG may repeat its scans without end; real ones have about ten.
constexpr int kMaxJpegScans = 200;

template <size_t N>
bool begins_with(std::span<const uint8_t> bytes, const std::array<uint8_t, N>& magic) {
  return bytes.size() >= N && std::equal(magic.begin(), magic.end(), bytes.begin());
}

void check_size(uint64_t width, uint64_t height, const std::string& name) {
  if (width == 0 || height == 0) throw Error("'" + name + "' has no pixels");
  if (width * height > static_cast<uint64_t>(kMaxImagePixels)) {
    throw Error("'" + name + "' is " + std::to_string(width) + "x" + std::to_string(height) +
                " pixels; strata refuses images of more than " +
                std::to_string(kMaxImagePixels / 1'000'000) + " million pixels");
  }
}

Image planar(const std::vector<uint8_t>& interleaved, const ImageShape& shape) {
  if (shape.channels == 1) return {shape, interleaved};
  Image image{shape, std::vector<uint8_t>(interleaved.size())};
  const auto plane = static_cast<size_t>(shape.height * shape.width);
  for (size_t i = 0; i < plane; ++i) {
    for (size_t channel = 0; channel < 3; ++channel) {
      image.pixels[channel * plane + i] = interleaved[3 * i + channel];
    }
  }
  return image;
}

// libjpeg's state with the place to return to and the message to return with.
struct JpegDecoder {
  jpeg_decompress_struct info{};
  jpeg_error_mgr errors{};
  jpeg_progress_mgr progress{};
  std::jmp_buf return_point{};
  char message[JMSG_LENGTH_MAX] = {};
};

JpegDecoder& decoder_of(j_common_ptr info) { return *static_cast<JpegDecoder*>(info->client_data); }

[[noreturn]] void fail(j_common_ptr info) {
  JpegDecoder& decoder = decoder_of(info);
  info->err->format_message(info, decoder.message);
  std::longjmp(decoder.return_point, 1);
}

// libjpeg paints over damage and merely warns; for training data, damage is an error. These few
// warnings leave the pixels right.
void on_message(j_common_ptr info, int level) {
  if (level >= 0) return;
  const int code = info->err->msg_code;
  if (code == JWRN_EXTRANEOUS_DATA || code == JWRN_JFIF_MAJOR || code == JWRN_ADOBE_XFORM ||
      code == JWRN_BOGUS_ICC) {
    return;
  }
  fail(info);
}

void on_progress(j_common_ptr info) {
  if (reinterpret_cast<j_decompress_ptr>(info)->input_scan_number > kMaxJpegScans) {
    JpegDecoder& decoder = decoder_of(info);
    std::snprintf(decoder.message, sizeof decoder.message, "it has more than %d scans",
                  kMaxJpegScans);
    std::longjmp(decoder.return_point, 1);
  }
}

// False, with decoder.message set, if libjpeg fails.
bool read_jpeg_header(JpegDecoder& decoder, std::span<const uint8_t> bytes) {
  decoder.info.err = jpeg_std_error(&decoder.errors);
  decoder.errors.error_exit = fail;
  decoder.errors.emit_message = on_message;
  decoder.info.client_data = &decoder;
  if (setjmp(decoder.return_point) != 0) return false;
  jpeg_create_decompress(&decoder.info);
  decoder.progress.progress_monitor = on_progress;
  decoder.info.progress = &decoder.progress;
  jpeg_mem_src(&decoder.info, bytes.data(), bytes.size());
  jpeg_read_header(&decoder.info, TRUE);
  return true;
}

bool read_jpeg_pixels(JpegDecoder& decoder, uint8_t* pixels, size_t row_bytes) {
  if (setjmp(decoder.return_point) != 0) return false;
  jpeg_start_decompress(&decoder.info);
  while (decoder.info.output_scanline < decoder.info.output_height) {
    JSAMPROW row = pixels + decoder.info.output_scanline * row_bytes;
    jpeg_read_scanlines(&decoder.info, &row, 1);
  }
  jpeg_finish_decompress(&decoder.info);
  return true;
}

struct JpegGuard {
  JpegDecoder& decoder;
  ~JpegGuard() { jpeg_destroy_decompress(&decoder.info); }
};

Image decode_jpeg(std::span<const uint8_t> bytes, const std::string& name) {
  JpegDecoder decoder;
  const JpegGuard guard{decoder};
  const auto damaged = [&] {
    return Error("'" + name + "' is a damaged JPEG: " + decoder.message);
  };
  if (!read_jpeg_header(decoder, bytes)) throw damaged();
  jpeg_decompress_struct& info = decoder.info;
  if (info.jpeg_color_space == JCS_CMYK || info.jpeg_color_space == JCS_YCCK) {
    throw Error("'" + name + "' is a CMYK JPEG; strata reads grey and RGB, so save it as RGB");
  }
  check_size(info.image_width, info.image_height, name);
  const bool grey = info.jpeg_color_space == JCS_GRAYSCALE;
  info.out_color_space = grey ? JCS_GRAYSCALE : JCS_RGB;
  const ImageShape shape{grey ? 1 : 3, info.image_height, info.image_width};
  std::vector<uint8_t> interleaved(static_cast<size_t>(shape.elements()));
  if (!read_jpeg_pixels(decoder, interleaved.data(),
                        static_cast<size_t>(shape.channels * shape.width))) {
    throw damaged();
  }
  return planar(interleaved, shape);
}

struct PngGuard {
  png_image image{};
  ~PngGuard() { png_image_free(&image); }
};

Image decode_png(std::span<const uint8_t> bytes, const std::string& name) {
  PngGuard guard;
  png_image& image = guard.image;
  image.version = PNG_IMAGE_VERSION;
  const auto damaged = [&] { return Error("'" + name + "' is a damaged PNG: " + image.message); };
  if (png_image_begin_read_from_memory(&image, bytes.data(), bytes.size()) == 0) throw damaged();
  check_size(image.width, image.height, name);
  const bool grey = (image.format & PNG_FORMAT_FLAG_COLOR) == 0;
  image.format = grey ? PNG_FORMAT_GRAY : PNG_FORMAT_RGB;
  const ImageShape shape{grey ? 1 : 3, image.height, image.width};
  std::vector<uint8_t> interleaved(static_cast<size_t>(shape.elements()));
  const png_color black{};
  if (png_image_finish_read(&image, &black, interleaved.data(), 0, nullptr) == 0) throw damaged();
  return planar(interleaved, shape);
}

}  // namespace

Image decode_image(std::span<const uint8_t> bytes, const std::string& name) {
  if (begins_with(bytes, kJpegMagic)) return decode_jpeg(bytes, name);
  if (begins_with(bytes, kPngMagic)) return decode_png(bytes, name);
  throw Error(bytes.empty()
                  ? "'" + name + "' is empty"
                  : "'" + name + "' is neither a JPEG nor a PNG, or its first bytes are damaged");
}

}  // namespace strata::data
