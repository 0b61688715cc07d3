// Decoding of JPEG and PNG, what is refused, and conversion.
#include "train/data/image.h"

#include <algorithm>
#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sample_files.h"
#include "train/error.h"

namespace strata::data {
namespace {

using testing::AllOf;
using testing::HasSubstr;

std::string decode_error(const Bytes& bytes) {
  return error_of([&] { (void)decode_image(bytes, "a/b.img"); });
}

// Smooth, so that JPEG keeps it nearly as it is.
Image gradient(const ImageShape& shape) {
  Image image{shape, {}};
  for (int64_t c = 0; c < shape.channels; ++c) {
    for (int64_t y = 0; y < shape.height; ++y) {
      for (int64_t x = 0; x < shape.width; ++x) {
        image.pixels.push_back(static_cast<uint8_t>(40 + 3 * x + 2 * y + 20 * c));
      }
    }
  }
  return image;
}

TEST(DecodePng, ReadsEveryPixelOfGreyAndColour) {
  for (const int64_t channels : {1, 3}) {
    const Image image = sample_image({channels, 5, 7});
    const Image read = decode_image(encode_png(image), "x");
    EXPECT_EQ(read.shape, image.shape);
    EXPECT_EQ(read.pixels, image.pixels);
  }
}

TEST(DecodePng, LaysTransparencyOnBlack) {
  const Image opaque = decode_image(encode_transparent_png(200, 255), "x");
  EXPECT_EQ(opaque.pixels, (Bytes{200, 0, 0}));
  const Image clear = decode_image(encode_transparent_png(200, 0), "x");
  EXPECT_EQ(clear.pixels, (Bytes{0, 0, 0}));
}

TEST(DecodeJpeg, ReadsGreyAndColourClosely) {
  for (const int64_t channels : {1, 3}) {
    for (const bool progressive : {false, true}) {
      const Image image = gradient({channels, 17, 23});
      const Image read = decode_image(encode_jpeg(image, progressive), "x");
      ASSERT_EQ(read.shape, image.shape);
      for (size_t i = 0; i < image.pixels.size(); ++i) {
        ASSERT_NEAR(read.pixels[i], image.pixels[i], 8) << i;
      }
    }
  }
}

TEST(DecodeImage, EveryTruncationIsRefusedByName) {
  const Image image = sample_image({3, 9, 9});
  for (const Bytes& whole : {encode_png(image), encode_jpeg(image), encode_jpeg(image, true)}) {
    // A JPEG without its end marker is complete as to pixels, but libjpeg warns of it too.
    for (size_t size = 0; size < whole.size(); ++size) {
      const Bytes cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
      // The last chunk of a PNG holds no pixels.
      const bool harmless = whole[0] == 0x89 && size >= whole.size() - 16;
      if (!harmless) {
        ASSERT_THAT(decode_error(cut), HasSubstr("'a/b.img' is "))
            << size << " of " << whole.size();
      }
    }
  }
}

TEST(DecodeImage, DamageNamesFormatAndCause) {
  Bytes png = encode_png(sample_image({3, 9, 9}));
  png[png.size() / 2] ^= 0xff;
  EXPECT_THAT(decode_error(png), HasSubstr("'a/b.img' is a damaged PNG: "));
  Bytes jpeg = encode_jpeg(sample_image({3, 9, 9}));
  jpeg.resize(jpeg.size() / 2);
  EXPECT_THAT(decode_error(jpeg), HasSubstr("'a/b.img' is a damaged JPEG: "));
}

TEST(DecodeImage, FlippedBytesNeverCrash) {
  const Image image = sample_image({3, 9, 9});
  for (const Bytes& whole : {encode_png(image), encode_jpeg(image), encode_jpeg(image, true)}) {
    for (size_t at = 0; at < whole.size(); ++at) {
      for (const uint8_t flip : {0x01, 0x80, 0xff}) {
        Bytes bytes = whole;
        bytes[at] ^= flip;
        try {
          const Image read = decode_image(bytes, "x");
          ASSERT_EQ(static_cast<int64_t>(read.pixels.size()), read.shape.elements());
        } catch (const Error&) {  // refused: as good as decoded
          SUCCEED();
        }
      }
    }
  }
}

TEST(DecodeImage, ForeignAndEmptyFilesAreRefused) {
  EXPECT_EQ(decode_error({}), "'a/b.img' is empty");
  EXPECT_THAT(decode_error({'G', 'I', 'F', '8', '9', 'a'}), HasSubstr("neither a JPEG nor a PNG"));
}

TEST(DecodeImage, CmykIsRefusedWithARemedy) {
  EXPECT_EQ(decode_error(encode_cmyk_jpeg()),
            "'a/b.img' is a CMYK JPEG; strata reads grey and RGB, so save it as RGB");
}

TEST(DecodeImage, BombsAreRefusedByTheirHeader) {
  const Image image = sample_image({3, 8, 8});
  EXPECT_THAT(decode_error(with_png_size(encode_png(image), 10'000, 10'000)),
              AllOf(HasSubstr("is 10000x10000 pixels"), HasSubstr("64 million pixels")));
  EXPECT_THAT(decode_error(with_jpeg_size(encode_jpeg(image), 9'000, 9'000)),
              AllOf(HasSubstr("is 9000x9000 pixels"), HasSubstr("64 million pixels")));
}

TEST(Convert, GreyToRgbAndBackIsExact) {
  const Image grey = sample_image({1, 4, 6});
  const Image rgb = convert(grey, {3, 4, 6});
  EXPECT_EQ(rgb.pixels.size(), grey.pixels.size() * 3);
  EXPECT_EQ(convert(rgb, {1, 4, 6}).pixels, grey.pixels);
}

TEST(Convert, RgbToGreyWeighsTheColours) {
  const Image colours{{3, 1, 3}, {255, 0, 0, 0, 255, 0, 0, 0, 255}};
  EXPECT_EQ(convert(colours, {1, 1, 3}).pixels, (Bytes{76, 150, 29}));
}

TEST(Convert, ResizeKeepsConstantsAndTheSameSize) {
  const Image flat{{3, 7, 5}, Bytes(105, 93)};
  for (const ImageShape shape :
       {ImageShape{3, 14, 3}, ImageShape{3, 1, 1}, ImageShape{3, 28, 28}}) {
    const Image resized = convert(flat, shape);
    EXPECT_EQ(resized.shape, shape);
    EXPECT_EQ(resized.pixels, Bytes(static_cast<size_t>(shape.elements()), 93));
  }
  const Image image = sample_image({3, 7, 5});
  EXPECT_EQ(convert(image, image.shape).pixels, image.pixels);
}

TEST(Convert, EnlargingInterpolatesBetweenPixelCentres) {
  const Image image{{1, 1, 2}, {0, 100}};
  EXPECT_EQ(convert(image, {1, 1, 4}).pixels, (Bytes{0, 25, 75, 100}));
}

// A filter that skipped pixels would return black or white.
TEST(Convert, ShrinkingAveragesFineDetail) {
  Image stripes{{1, 1, 64}, {}};
  for (int i = 0; i < 64; ++i) stripes.pixels.push_back(i % 2 == 0 ? 0 : 200);
  for (const uint8_t pixel : convert(stripes, {1, 1, 8}).pixels) EXPECT_NEAR(pixel, 100, 10);
}

TEST(ImageShape, PrintsAndParses) {
  EXPECT_EQ(to_string(ImageShape{3, 32, 48}), "3x32x48");
  EXPECT_EQ(parse_image_shape("1x28x28"), (ImageShape{1, 28, 28}));
  for (const char* wrong : {"", "28x28", "1x28x28x", "1x28x28x1", "ax28x28", "1x-28x28", "1x0x28",
                            "2x28x28", "1x28 x28", "1x100000x100000", "1x99999999999999999999x1"}) {
    EXPECT_THAT(error_of([&] { (void)parse_image_shape(wrong); }),
                HasSubstr("'" + std::string(wrong) + "' is not a"))
        << wrong;
  }
}

}  // namespace
}  // namespace strata::data
