// Decodes one JPEG or PNG from memory, and converts between shapes. Knows nothing of files or of
// data sets; never trusts its input.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace strata::data {

/// Pixels that one image may have at most: a tiny file must not fill the memory.
inline constexpr int64_t kMaxImagePixels = 64'000'000;

struct ImageShape {
  int64_t channels = 0;  ///< 1 (grey) or 3 (RGB)
  int64_t height = 0;
  int64_t width = 0;
  bool operator==(const ImageShape&) const = default;
  [[nodiscard]] int64_t elements() const { return channels * height * width; }
};

/// "3x32x32"
std::string to_string(const ImageShape& shape);

/// Parses what to_string() prints. Errors: anything else.
ImageShape parse_image_shape(const std::string& text);

/// An 8-bit image, planar (channels, height, width).
struct Image {
  ImageShape shape;
  std::vector<uint8_t> pixels;
};

/// Decodes a JPEG or PNG, told apart by their first bytes. Palettes become RGB, 16 bits become 8, a
/// transparent pixel is laid on black. `name` stands for the file in errors. Throws Error: neither
/// format, damaged, truncated, CMYK, more than kMaxImagePixels.
Image decode_image(std::span<const uint8_t> bytes, const std::string& name);

/// Grey to RGB (copied), RGB to grey (ITU-R BT.601 luma), then resized to height and width with a
/// triangle filter as wide as the scale asks for (bilinear, without aliasing). The aspect ratio is
/// not kept.
Image convert(const Image& image, const ImageShape& shape);

}  // namespace strata::data
