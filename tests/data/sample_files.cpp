// Encoders for the data tests.
#include "sample_files.h"

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <stdexcept>

// clang-format off: jpeglib.h needs <cstdio> before it.
#include <jpeglib.h>
#include <png.h>

#include "deflated.h"
// clang-format on

#include "train/error.h"

namespace strata::data {
namespace {

Bytes interleaved(const Image& image) {
  const auto plane = static_cast<size_t>(image.shape.height * image.shape.width);
  const auto channels = static_cast<size_t>(image.shape.channels);
  Bytes bytes(image.pixels.size());
  for (size_t i = 0; i < plane; ++i) {
    for (size_t c = 0; c < channels; ++c) bytes[i * channels + c] = image.pixels[c * plane + i];
  }
  return bytes;
}

Bytes png_from(const Bytes& pixels, uint32_t width, uint32_t height, uint32_t format) {
  png_image png{};
  png.version = PNG_IMAGE_VERSION;
  png.width = width;
  png.height = height;
  png.format = format;
  png_alloc_size_t size = 0;
  png_image_write_to_memory(&png, nullptr, &size, 0, pixels.data(), 0, nullptr);
  Bytes bytes(size);
  if (png_image_write_to_memory(&png, bytes.data(), &size, 0, pixels.data(), 0, nullptr) == 0) {
    throw std::runtime_error(png.message);
  }
  return bytes;
}

Bytes jpeg_from(Bytes pixels, uint32_t width, uint32_t height, int components, J_COLOR_SPACE space,
                bool progressive) {
  jpeg_compress_struct info{};
  jpeg_error_mgr errors{};
  info.err = jpeg_std_error(&errors);
  jpeg_create_compress(&info);
  unsigned char* buffer = nullptr;
  unsigned long size = 0;
  jpeg_mem_dest(&info, &buffer, &size);
  info.image_width = width;
  info.image_height = height;
  info.input_components = components;
  info.in_color_space = space;
  jpeg_set_defaults(&info);
  jpeg_set_quality(&info, 100, TRUE);
  if (progressive) jpeg_simple_progression(&info);
  jpeg_start_compress(&info, TRUE);
  while (info.next_scanline < height) {
    JSAMPROW row =
        pixels.data() + size_t{info.next_scanline} * width * static_cast<size_t>(components);
    jpeg_write_scanlines(&info, &row, 1);
  }
  jpeg_finish_compress(&info);
  Bytes bytes(buffer, buffer + size);
  jpeg_destroy_compress(&info);
  std::free(buffer);
  return bytes;
}

void put_big_endian(Bytes& bytes, size_t offset, uint32_t value) {
  for (size_t i = 0; i < 4; ++i) bytes[offset + i] = static_cast<uint8_t>(value >> (24 - 8 * i));
}

}  // namespace

DataDirectory::DataDirectory(const std::string& name) : path_(root_ / name) {
  std::filesystem::create_directory(path_);
}

std::filesystem::path DataDirectory::write(const std::filesystem::path& relative,
                                           const Bytes& bytes) const {
  auto path = path_ / relative;
  std::filesystem::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(bytes.data()),
             static_cast<std::streamsize>(bytes.size()));
  return path;
}

Image sample_image(const ImageShape& shape, int seed) {
  Image image{shape, Bytes(static_cast<size_t>(shape.elements()))};
  for (size_t i = 0; i < image.pixels.size(); ++i) {
    image.pixels[i] = static_cast<uint8_t>(i * 37 + static_cast<size_t>(seed) * 101 + i / 7);
  }
  return image;
}

Bytes encode_png(const Image& image) {
  return png_from(interleaved(image), static_cast<uint32_t>(image.shape.width),
                  static_cast<uint32_t>(image.shape.height),
                  image.shape.channels == 1 ? PNG_FORMAT_GRAY : PNG_FORMAT_RGB);
}

Bytes encode_transparent_png(uint8_t red, uint8_t alpha) {
  return png_from({red, 0, 0, alpha}, 1, 1, PNG_FORMAT_RGBA);
}

Bytes encode_jpeg(const Image& image, bool progressive) {
  const bool grey = image.shape.channels == 1;
  return jpeg_from(interleaved(image), static_cast<uint32_t>(image.shape.width),
                   static_cast<uint32_t>(image.shape.height), grey ? 1 : 3,
                   grey ? JCS_GRAYSCALE : JCS_RGB, progressive);
}

Bytes encode_cmyk_jpeg() { return jpeg_from(Bytes(256, 100), 8, 8, 4, JCS_CMYK, false); }

Bytes with_png_size(Bytes png, uint32_t width, uint32_t height) {
  constexpr size_t kHeader = 12;  // "IHDR", after the signature and the chunk's length
  constexpr size_t kHeaderBytes = 4 + 13;
  put_big_endian(png, kHeader + 4, width);
  put_big_endian(png, kHeader + 8, height);
  const auto checksum = static_cast<uint32_t>(crc32(0, png.data() + kHeader, kHeaderBytes));
  put_big_endian(png, kHeader + kHeaderBytes, checksum);
  return png;
}

Bytes with_jpeg_size(Bytes jpeg, uint16_t width, uint16_t height) {
  size_t at = 0;
  while (jpeg.at(at) != 0xff || jpeg.at(at + 1) != 0xc0) ++at;  // start of frame, baseline
  jpeg[at + 5] = static_cast<uint8_t>(height >> 8);
  jpeg[at + 6] = static_cast<uint8_t>(height);
  jpeg[at + 7] = static_cast<uint8_t>(width >> 8);
  jpeg[at + 8] = static_cast<uint8_t>(width);
  return jpeg;
}

Bytes gzip(const Bytes& bytes) { return strata::testing::deflated(bytes, 15 + 16); }

Bytes idx_file(const std::vector<uint32_t>& dims, const Bytes& values) {
  Bytes bytes(4 + 4 * dims.size());
  bytes[2] = 0x08;
  bytes[3] = static_cast<uint8_t>(dims.size());
  for (size_t i = 0; i < dims.size(); ++i) put_big_endian(bytes, 4 + 4 * i, dims[i]);
  bytes.insert(bytes.end(), values.begin(), values.end());
  return bytes;
}

std::string error_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

}  // namespace strata::data
