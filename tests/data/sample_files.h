// Makes the files that the data tests read: encoded images, IDX arrays, data sets.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "temporary_directory.h"
#include "train/data/image.h"

namespace strata::data {

using Bytes = std::vector<uint8_t>;

/// A temporary directory whose own name matters, for data sets are named after theirs.
class DataDirectory {
 public:
  explicit DataDirectory(const std::string& name = "data");

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  /// Writes a file, with the directories above it.
  std::filesystem::path write(const std::filesystem::path& relative, const Bytes& bytes) const;

 private:
  TemporaryDirectory root_;
  std::filesystem::path path_;
};

/// Pixels that differ from place to place and between values of `seed`.
Image sample_image(const ImageShape& shape, int seed = 0);

Bytes encode_png(const Image& image);
Bytes encode_jpeg(const Image& image, bool progressive = false);
/// A small CMYK JPEG.
Bytes encode_cmyk_jpeg();
/// A PNG of one RGBA pixel.
Bytes encode_transparent_png(uint8_t red, uint8_t alpha);

/// With the size in its header replaced (and the PNG's checksum made right).
Bytes with_png_size(Bytes png, uint32_t width, uint32_t height);
Bytes with_jpeg_size(Bytes jpeg, uint16_t width, uint16_t height);

Bytes gzip(const Bytes& bytes);

/// An IDX file of unsigned bytes.
Bytes idx_file(const std::vector<uint32_t>& dims, const Bytes& values);

/// what() of the Error that `action` throws; "no error" if it does not.
std::string error_of(const std::function<void()>& action);

}  // namespace strata::data
