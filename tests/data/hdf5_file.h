// Writes HDF5 files for tests: good ones in ModelNet40's layout, and bad ones.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace strata::data::testing {

/// How the values of a data set are stored.
enum class Storage : uint8_t {
  kPlain,
  kDeflate,      ///< in chunks, compressed
  kUnwritten,    ///< the shape only
  kOtherFile,    ///< in a file beside it
  kOtherFilter,  ///< in chunks, compressed by a filter that strata does not read
};

/// A file that is written until the object goes.
class Hdf5File {
 public:
  explicit Hdf5File(const std::filesystem::path& path);
  ~Hdf5File();
  Hdf5File(const Hdf5File&) = delete;
  Hdf5File& operator=(const Hdf5File&) = delete;

  void floats(const std::string& name, const std::vector<uint64_t>& shape,
              const std::vector<float>& values, Storage storage = Storage::kPlain);
  void labels(const std::string& name, const std::vector<uint64_t>& shape,
              const std::vector<uint8_t>& values);
  void text(const std::string& name);
  /// A link to a data set of another file.
  void link(const std::string& name, const std::string& file);

 private:
  void write(const std::string& name, const std::vector<uint64_t>& shape, int64_t type,
             const void* values, Storage storage);

  int64_t file_;
};

/// `count` clouds of `points` points in ModelNet40's layout, cloud i of class i % 3: a sphere, a
/// disc, a line, each with its normals and some noise.
void write_small_clouds(const std::filesystem::path& path, int64_t count, int64_t points,
                        uint32_t seed);

/// train.h5, test.h5 and shape_names.txt with such clouds.
void write_small_cloud_set(const std::filesystem::path& directory, int64_t train_count = 96,
                           int64_t test_count = 48, int64_t points = 64);

}  // namespace strata::data::testing
