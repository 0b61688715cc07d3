// ModelNet40's HDF5 layout through libhdf5. The library trusts files more than we do, so a file may
// use only what such files need: plain data sets inside the file itself, compressed at most by
// deflate, of a size that its stored bytes can account for.
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <string>

#include <hdf5.h>

#include "train/data/file.h"
#include "train/data/point_sources.h"
#include "train/error.h"

namespace strata::data {
namespace {

constexpr int64_t kCoordinates = 3;
/// Deflate makes at most 1,032 bytes of one.
constexpr uint64_t kMostInflation = 1032;
constexpr uint64_t kMaxChunkBytes = uint64_t{256} << 20;
constexpr hsize_t kMaxClouds = 10'000'000;
constexpr hsize_t kMaxPoints = 10'000'000;
/// Clouds that are read at a time.
constexpr hsize_t kSlab = 64;

/// One of libhdf5's handles.
class Handle {
 public:
  using Close = herr_t (*)(hid_t);
  Handle(hid_t id, Close close) : id_(id), close_(close) {}
  ~Handle() {
    if (id_ >= 0) close_(id_);
  }
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
  [[nodiscard]] hid_t id() const { return id_; }
  [[nodiscard]] bool valid() const { return id_ >= 0; }

 private:
  hid_t id_;
  Close close_;
};

/// One data set of a file, checked before anything is read of it.
class Source {
 public:
  Source(hid_t file, const std::filesystem::path& path, const char* name, H5T_class_t type)
      : where_(quoted(path) + ", data set '" + name + "'"),
        set_(open(file, path, name), H5Dclose),
        space_(set_.valid() ? H5Dget_space(set_.id()) : -1, H5Sclose) {
    if (!set_.valid() || !space_.valid()) fail("cannot be read");
    check_type(type);
    check_storage();
  }

  [[noreturn]] void fail(const std::string& reason) const { throw Error(where_ + ": " + reason); }

  [[nodiscard]] const std::vector<hsize_t>& shape() const { return shape_; }

  /// Rows begin..begin+count-1, of each the first `points`, if it has points.
  void read(hsize_t begin, hsize_t count, hsize_t points, hid_t type, void* out) const {
    std::vector<hsize_t> offset(shape_.size(), 0);
    std::vector<hsize_t> size = shape_;
    offset[0] = begin;
    size[0] = count;
    if (size.size() == 3) size[1] = points;
    const Handle memory(H5Screate_simple(static_cast<int>(size.size()), size.data(), nullptr),
                        H5Sclose);
    const bool done = memory.valid() &&
                      H5Sselect_hyperslab(space_.id(), H5S_SELECT_SET, offset.data(), nullptr,
                                          size.data(), nullptr) >= 0 &&
                      H5Dread(set_.id(), type, memory.id(), space_.id(), H5P_DEFAULT, out) >= 0;
    if (!done) fail("its values are damaged");
  }

 private:
  static hid_t open(hid_t file, const std::filesystem::path& path, const char* name) {
    H5L_info_t link;
    if (H5Lexists(file, name, H5P_DEFAULT) <= 0 ||
        H5Lget_info(file, name, &link, H5P_DEFAULT) < 0) {
      throw Error(quoted(path) + " has no data set '" + name + "'; ModelNet40's layout has data, " +
                  "normal and label");
    }
    if (link.type != H5L_TYPE_HARD) {
      throw Error(quoted(path) + ": '" + name + "' is a link to somewhere else, not a data set");
    }
    return H5Dopen2(file, name, H5P_DEFAULT);
  }

  void check_type(H5T_class_t wanted) {
    const Handle type(H5Dget_type(set_.id()), H5Tclose);
    if (!type.valid() || H5Tget_class(type.id()) != wanted || H5Tget_size(type.id()) > 8) {
      fail(wanted == H5T_FLOAT ? "its values are no floats" : "its values are no integers");
    }
    element_bytes_ = H5Tget_size(type.id());
    const int rank = H5Sget_simple_extent_ndims(space_.id());
    if (rank < 1 || rank > 3) fail("it has " + std::to_string(rank) + " dimensions");
    shape_.resize(static_cast<size_t>(rank));
    if (H5Sget_simple_extent_dims(space_.id(), shape_.data(), nullptr) != rank) {
      fail("its shape cannot be read");
    }
    if (shape_[0] > kMaxClouds || (rank > 1 && shape_[1] > kMaxPoints) ||
        (rank > 2 && shape_[2] > 6)) {
      fail("it is too large");
    }
  }

  void check_storage() const {
    const Handle properties(H5Dget_create_plist(set_.id()), H5Pclose);
    if (!properties.valid()) fail("its storage cannot be read");
    const H5D_layout_t layout = H5Pget_layout(properties.id());
    if (layout == H5D_VIRTUAL || H5Pget_external_count(properties.id()) != 0) {
      fail("its values lie in other files");
    }
    for (int i = 0; i < H5Pget_nfilters(properties.id()); ++i) {
      unsigned flags = 0;
      size_t values = 0;
      unsigned config = 0;
      const H5Z_filter_t filter = H5Pget_filter2(properties.id(), static_cast<unsigned>(i), &flags,
                                                 &values, nullptr, 0, nullptr, &config);
      if (filter != H5Z_FILTER_DEFLATE && filter != H5Z_FILTER_SHUFFLE &&
          filter != H5Z_FILTER_FLETCHER32) {
        fail("its values are compressed by HDF5's filter " + std::to_string(filter) +
             ", strata reads gzip only");
      }
    }
    if (layout == H5D_CHUNKED) {
      std::array<hsize_t, 3> chunk = {1, 1, 1};
      uint64_t bytes = element_bytes_;
      bool fits = H5Pget_chunk(properties.id(), 3, chunk.data()) >= 0;
      for (size_t i = 0; i < shape_.size(); ++i) {
        fits = fits && !__builtin_mul_overflow(bytes, chunk[i], &bytes) && bytes <= kMaxChunkBytes;
      }
      if (!fits) fail("its chunks are too large");
    }
    uint64_t bytes = element_bytes_;
    for (const hsize_t size : shape_) {
      if (__builtin_mul_overflow(bytes, size, &bytes)) fail("it is too large");
    }
    const uint64_t stored = H5Dget_storage_size(set_.id());
    if (bytes / kMostInflation > stored) {
      fail("it claims " + std::to_string(bytes) + " bytes, but only " + std::to_string(stored) +
           " are stored");
    }
  }

  std::string where_;
  Handle set_;
  Handle space_;
  std::vector<hsize_t> shape_;
  size_t element_bytes_ = 0;
};

/// Moves the values of a data set [N, points, 3] to columns of the clouds.
void read_triples(const Source& source, PointClouds& clouds, int64_t first, int64_t column) {
  const auto rows = static_cast<int64_t>(source.shape()[0]);
  const auto points = static_cast<hsize_t>(clouds.points);
  std::vector<float> slab(static_cast<size_t>(kSlab * points) * kCoordinates);
  for (int64_t begin = 0; begin < rows; begin += static_cast<int64_t>(kSlab)) {
    const int64_t count = std::min(rows - begin, static_cast<int64_t>(kSlab));
    source.read(static_cast<hsize_t>(begin), static_cast<hsize_t>(count), points, H5T_NATIVE_FLOAT,
                slab.data());
    for (int64_t i = 0; i < count * clouds.points; ++i) {
      for (int64_t axis = 0; axis < kCoordinates; ++axis) {
        const float value = slab[static_cast<size_t>(i * kCoordinates + axis)];
        if (!std::isfinite(value)) {
          source.fail("point " + std::to_string(i % clouds.points) + " of cloud " +
                      std::to_string(begin + i / clouds.points) + " is not finite");
        }
        const int64_t point = (first + begin) * clouds.points + i;
        clouds.values[static_cast<size_t>(point * clouds.width() + column + axis)] = value;
      }
    }
  }
}

void check_triples(const Source& source, int64_t points) {
  const std::vector<hsize_t>& shape = source.shape();
  if (shape.size() != 3 || shape[2] != kCoordinates) {
    source.fail("its shape is not [clouds, points, 3]");
  }
  if (shape[1] < static_cast<hsize_t>(points)) {
    source.fail("a cloud has " + std::to_string(shape[1]) + " points, but " +
                std::to_string(points) + " are wanted (data.points)");
  }
}

hid_t open_file(const std::filesystem::path& path) {
  H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);  // errors are told in our words
  H5PLset_loading_state(0);                     // a file must not load code
  std::error_code error;
  if (!std::filesystem::is_regular_file(path, error)) {
    throw Error("there is no file " + quoted(path));
  }
  const hid_t file = H5Fopen(path.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT);
  if (file < 0) throw Error(quoted(path) + " is no readable HDF5 file");
  return file;
}

/// Appends positions, and normals if they are wanted.
void append_points(hid_t file, const std::filesystem::path& path, const Source& data,
                   PointClouds& clouds) {
  const hsize_t count = data.shape()[0];
  const int64_t first = clouds.count;
  clouds.count += static_cast<int64_t>(count);
  clouds.values.resize(static_cast<size_t>(clouds.count * clouds.points * clouds.width()));
  read_triples(data, clouds, first, 0);
  if (!clouds.normals) return;
  const Source normal(file, path, "normal", H5T_FLOAT);
  check_triples(normal, clouds.points);
  if (normal.shape()[0] != count) {
    normal.fail("it has " + std::to_string(normal.shape()[0]) + " clouds, 'data' has " +
                std::to_string(count));
  }
  read_triples(normal, clouds, first, kCoordinates);
}

void append_labels(hid_t file, const std::filesystem::path& path, hsize_t count,
                   PointClouds& clouds) {
  const Source label(file, path, "label", H5T_INTEGER);
  const std::vector<hsize_t>& labels = label.shape();
  if (labels.size() > 2 || (labels.size() == 2 && labels[1] != 1) || labels[0] != count) {
    label.fail("its shape is not [" + std::to_string(count) + ", 1]");
  }
  std::vector<int32_t> read(count);
  if (count > 0) label.read(0, count, 0, H5T_NATIVE_INT32, read.data());
  const int32_t classes = clouds.classes.empty() ? std::numeric_limits<uint16_t>::max()
                                                 : static_cast<int32_t>(clouds.classes.size());
  for (size_t i = 0; i < read.size(); ++i) {
    if (read[i] < 0 || read[i] >= classes) {
      label.fail("cloud " + std::to_string(i) + " has label " + std::to_string(read[i]) +
                 ", there are classes 0 to " + std::to_string(classes - 1));
    }
  }
  clouds.labels.insert(clouds.labels.end(), read.begin(), read.end());
}

}  // namespace

void append_hdf5_clouds(const std::filesystem::path& path, PointClouds& clouds, bool labelled) {
  const Handle file(open_file(path), H5Fclose);
  const Source data(file.id(), path, "data", H5T_FLOAT);
  check_triples(data, clouds.points);
  if (labelled) append_labels(file.id(), path, data.shape()[0], clouds);
  append_points(file.id(), path, data, clouds);
}

}  // namespace strata::data
