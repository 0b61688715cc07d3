#include "hdf5_file.h"

#include <cmath>
#include <fstream>
#include <numbers>
#include <random>

#include <hdf5.h>

namespace strata::data::testing {

Hdf5File::Hdf5File(const std::filesystem::path& path)
    : file_(H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT)) {}

Hdf5File::~Hdf5File() { H5Fclose(file_); }

void Hdf5File::write(const std::string& name, const std::vector<uint64_t>& shape, int64_t type,
                     const void* values, Storage storage) {
  const std::vector<hsize_t> sizes(shape.begin(), shape.end());
  const auto rank = static_cast<int>(sizes.size());
  const hid_t space = H5Screate_simple(rank, sizes.data(), nullptr);
  const hid_t properties = H5Pcreate(H5P_DATASET_CREATE);
  if (storage == Storage::kDeflate || storage == Storage::kOtherFilter) {
    H5Pset_chunk(properties, rank, sizes.data());
    if (storage == Storage::kDeflate) H5Pset_deflate(properties, 4);
    if (storage == Storage::kOtherFilter) H5Pset_scaleoffset(properties, H5Z_SO_FLOAT_DSCALE, 3);
  }
  if (storage == Storage::kOtherFile) H5Pset_external(properties, "other.bin", 0, H5F_UNLIMITED);
  const hid_t set =
      H5Dcreate2(file_, name.c_str(), type, space, H5P_DEFAULT, properties, H5P_DEFAULT);
  if (storage != Storage::kUnwritten && storage != Storage::kOtherFile) {
    H5Dwrite(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values);
  }
  H5Dclose(set);
  H5Pclose(properties);
  H5Sclose(space);
}

void Hdf5File::floats(const std::string& name, const std::vector<uint64_t>& shape,
                      const std::vector<float>& values, Storage storage) {
  write(name, shape, H5T_NATIVE_FLOAT, values.data(), storage);
}

void Hdf5File::labels(const std::string& name, const std::vector<uint64_t>& shape,
                      const std::vector<uint8_t>& values) {
  write(name, shape, H5T_NATIVE_UINT8, values.data(), Storage::kPlain);
}

void Hdf5File::text(const std::string& name) {
  const hid_t type = H5Tcopy(H5T_C_S1);
  write(name, {2}, type, "ab", Storage::kPlain);
  H5Tclose(type);
}

void Hdf5File::link(const std::string& name, const std::string& file) {
  H5Lcreate_external(file.c_str(), "/data", file_, name.c_str(), H5P_DEFAULT, H5P_DEFAULT);
}

void write_small_clouds(const std::filesystem::path& path, int64_t count, int64_t points,
                        uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> noise(0, 0.03F);
  std::uniform_real_distribution<float> uniform(-1, 1);
  std::vector<float> data;
  std::vector<float> normal;
  std::vector<uint8_t> labels;
  for (int64_t i = 0; i < count; ++i) {
    labels.push_back(static_cast<uint8_t>(i % 3));
    for (int64_t p = 0; p < points; ++p) {
      const float angle = uniform(random) * std::numbers::pi_v<float>;
      const float height = uniform(random);
      const float radius = std::sqrt(1 - height * height);
      const float round[3] = {radius * std::cos(angle), height, radius * std::sin(angle)};
      for (int axis = 0; axis < 3; ++axis) {
        const float sphere = round[axis];
        const float disc = axis == 1 ? 0 : round[axis];
        const float line = axis == 1 ? height : 0;
        const float place = i % 3 == 0 ? sphere : i % 3 == 1 ? disc : line;
        data.push_back(place + noise(random));
        normal.push_back(i % 3 == 0 ? sphere : axis == 1 ? 1.0F : 0.0F);
      }
    }
  }
  Hdf5File file(path);
  const std::vector<uint64_t> shape = {static_cast<uint64_t>(count), static_cast<uint64_t>(points),
                                       3};
  file.floats("data", shape, data, Storage::kDeflate);
  file.floats("normal", shape, normal);
  file.labels("label", {shape[0], 1}, labels);
}

void write_small_cloud_set(const std::filesystem::path& directory, int64_t train_count,
                           int64_t test_count, int64_t points) {
  write_small_clouds(directory / "train.h5", train_count, points, 1);
  write_small_clouds(directory / "test.h5", test_count, points, 2);
  std::ofstream(directory / "shape_names.txt") << "sphere\ndisc\nline\n";
}

}  // namespace strata::data::testing
