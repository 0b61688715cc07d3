// Labelled point clouds in memory, and load_point_clouds(), which finds out by content in which of
// ModelNet40's two layouts a directory holds them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "train/data/dataset.h"

namespace strata::data {

struct PointClouds {
  std::string name;  ///< of the directory, for people
  int64_t count = 0;
  int64_t points = 0;  ///< of every cloud
  bool normals = false;
  std::vector<float> values;         ///< [count, points, width()]: x, y, z and the normal
  std::vector<int32_t> labels;       ///< [count], each below classes.size()
  std::vector<std::string> classes;  ///< names, by label

  [[nodiscard]] int64_t width() const { return normals ? 6 : 3; }
  [[nodiscard]] const float* cloud(int64_t index) const {
    return values.data() + index * points * width();
  }
};

struct PointCloudOptions {
  int64_t points = 1024;  ///< the first so many of every cloud
  bool normals = false;
  int64_t limit = 0;  ///< clouds at most, taken evenly from all classes; 0: all
  /// Class names by label that a trained model expects; data with others are refused. Empty: what
  /// the data say.
  std::vector<std::string> classes = {};
  int threads = 1;  ///< for parsing text
};

/// Loads one split of the clouds in `directory`:
/// - HDF5 as ModelNet40 has it: files with the data sets `data` [N, points, 3] (float), `normal`
///   (the same, if normals are wanted) and `label` [N, 1] or [N] (integer). train_files.txt and
///   test_files.txt list them, one name a line, of which the last part counts; without the lists
///   every *.h5 with "train" or "test" in its name. shape_names.txt has the classes, one a line;
///   without it they are numbers;
/// - text as ModelNet40's normal-resampled clouds: PREFIX_shape_names.txt, PREFIX_train.txt and
///   PREFIX_test.txt with names such as night_stand_0001, which are files
///   night_stand/night_stand_0001.txt with "x,y,z,nx,ny,nz" in each line. These clouds are moved to
///   their centre and scaled into the unit ball, as published; HDF5 clouds are taken as they are.
/// Memory is bounded by what the files hold. Throws Error naming file, place, cause and remedy: too
/// few points, no normals, a label out of range, a number that is not finite, a file that is
/// damaged or that reaches beyond itself.
PointClouds load_point_clouds(const std::filesystem::path& directory, Split split,
                              const PointCloudOptions& options = {});

/// The clouds of one file without their labels, to be classified: of an HDF5 file, told by its
/// content, all as they are stored, else one cloud of text, centred and scaled. Throws Error as
/// load_point_clouds().
PointClouds load_cloud_file(const std::filesystem::path& path, int64_t points, bool normals);

/// Appends the values of one cloud of text, its first `points` lines, to `values`; `name` stands
/// for the file in errors. Throws Error: fewer lines, numbers missing or not finite.
void parse_cloud(std::string_view text, const std::string& name, int64_t points, bool normals,
                 std::vector<float>& values);

/// Moves a cloud [points, width] to its centre and scales it so that the farthest point lies on the
/// unit sphere; a cloud that is one point goes to the origin.
void normalise_cloud(float* cloud, int64_t points, int64_t width);

}  // namespace strata::data
