// Shapes of images and conversion between them.
#include <algorithm>
#include <charconv>
#include <cmath>

#include "train/data/image.h"
#include "train/error.h"

namespace strata::data {
namespace {

// The source pixels that one destination pixel averages, with their weights.
struct FilterTaps {
  int64_t first = 0;
  std::vector<float> weights;
};

// A triangle of radius 1 in the coarser of the two grids, centred on the destination pixel.
std::vector<FilterTaps> triangle_filter(int64_t source, int64_t destination) {
  const double scale = static_cast<double>(source) / static_cast<double>(destination);
  const double radius = std::max(1.0, scale);
  std::vector<FilterTaps> filter(static_cast<size_t>(destination));
  for (int64_t i = 0; i < destination; ++i) {
    FilterTaps& taps = filter[static_cast<size_t>(i)];
    const double centre = (static_cast<double>(i) + 0.5) * scale - 0.5;
    taps.first = std::max<int64_t>(0, static_cast<int64_t>(std::ceil(centre - radius)));
    const auto last = std::min(source - 1, static_cast<int64_t>(std::floor(centre + radius)));
    double sum = 0;
    for (int64_t j = taps.first; j <= last; ++j) {
      sum += std::max(0.0, 1 - std::abs(static_cast<double>(j) - centre) / radius);
    }
    for (int64_t j = taps.first; j <= last; ++j) {
      const double weight = std::max(0.0, 1 - std::abs(static_cast<double>(j) - centre) / radius);
      taps.weights.push_back(static_cast<float>(weight / sum));
    }
  }
  return filter;
}

Image with_channels(const Image& image, int64_t channels) {
  if (image.shape.channels == channels) return image;
  const auto plane = static_cast<size_t>(image.shape.height * image.shape.width);
  Image result{{channels, image.shape.height, image.shape.width}, {}};
  if (channels == 3) {
    for (int channel = 0; channel < 3; ++channel) {
      result.pixels.insert(result.pixels.end(), image.pixels.begin(), image.pixels.end());
    }
    return result;
  }
  result.pixels.resize(plane);
  const uint8_t* red = image.pixels.data();
  const uint8_t* green = red + plane;
  const uint8_t* blue = green + plane;
  for (size_t i = 0; i < plane; ++i) {
    result.pixels[i] =
        static_cast<uint8_t>((299 * red[i] + 587 * green[i] + 114 * blue[i] + 500) / 1000);
  }
  return result;
}

Image resize(const Image& image, int64_t height, int64_t width) {
  const ImageShape& from = image.shape;
  if (from.height == height && from.width == width) return image;
  const auto columns = triangle_filter(from.width, width);
  const auto rows = triangle_filter(from.height, height);
  Image result{{from.channels, height, width}, {}};
  result.pixels.resize(static_cast<size_t>(result.shape.elements()));
  std::vector<float> narrow(static_cast<size_t>(from.height * width));
  uint8_t* out = result.pixels.data();
  for (int64_t channel = 0; channel < from.channels; ++channel) {
    const uint8_t* plane = image.pixels.data() + channel * from.height * from.width;
    for (int64_t y = 0; y < from.height; ++y) {
      for (int64_t x = 0; x < width; ++x) {
        const FilterTaps& taps = columns[static_cast<size_t>(x)];
        const uint8_t* pixel = plane + y * from.width + taps.first;
        float sum = 0;
        for (const float weight : taps.weights) sum += weight * static_cast<float>(*pixel++);
        narrow[static_cast<size_t>(y * width + x)] = sum;
      }
    }
    for (int64_t y = 0; y < height; ++y) {
      const FilterTaps& taps = rows[static_cast<size_t>(y)];
      for (int64_t x = 0; x < width; ++x) {
        const float* value = narrow.data() + taps.first * width + x;
        float sum = 0;
        for (const float weight : taps.weights) {
          sum += weight * *value;
          value += width;
        }
        *out++ = static_cast<uint8_t>(std::clamp(std::lround(sum), 0L, 255L));
      }
    }
  }
  return result;
}

}  // namespace

std::string to_string(const ImageShape& shape) {
  return std::to_string(shape.channels) + "x" + std::to_string(shape.height) + "x" +
         std::to_string(shape.width);
}

ImageShape parse_image_shape(const std::string& text) {
  ImageShape shape;
  int64_t* const parts[] = {&shape.channels, &shape.height, &shape.width};
  const char* at = text.data();
  const char* const end = at + text.size();
  for (size_t i = 0; i < 3; ++i) {
    const auto [next, error] = std::from_chars(at, end, *parts[i]);
    const bool separated = i == 2 ? next == end : next != end && *next == 'x';
    if (error != std::errc() || !separated || *parts[i] <= 0) {
      throw Error("'" + text +
                  "' is not an image shape; expected CHANNELSxHEIGHTxWIDTH, such as 3x32x32");
    }
    at = i == 2 ? next : next + 1;
  }
  if ((shape.channels != 1 && shape.channels != 3) || shape.height > kMaxImagePixels ||
      shape.width > kMaxImagePixels / shape.height) {
    throw Error("'" + text +
                "' is not a usable image shape: images have 1 or 3 channels and at most " +
                std::to_string(kMaxImagePixels / 1'000'000) + " million pixels");
  }
  return shape;
}

Image convert(const Image& image, const ImageShape& shape) {
  // The cheaper order: grey before the resize, RGB after it.
  if (shape.channels < image.shape.channels) {
    return resize(with_channels(image, shape.channels), shape.height, shape.width);
  }
  return with_channels(resize(image, shape.height, shape.width), shape.channels);
}

}  // namespace strata::data
