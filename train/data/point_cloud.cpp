// Finds the files of a split, reads text clouds, and takes what is wanted.
#include "train/data/point_cloud.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <fstream>
#include <limits>
#include <optional>

#include "train/data/file.h"
#include "train/data/parallel.h"
#include "train/data/point_sources.h"
#include "train/data/sources.h"
#include "train/error.h"

namespace strata::data {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kCoordinates = 3;
constexpr uintmax_t kMaxTextBytes = uintmax_t{256} << 20;
constexpr size_t kMaxClouds = 10'000'000;

std::string read_text(const fs::path& path) {
  std::error_code error;
  if (fs::file_size(path, error) > kMaxTextBytes && !error) {
    throw Error(quoted(path) + " is larger than 256 MiB");
  }
  const std::vector<uint8_t> bytes = read_file(path);
  return {bytes.begin(), bytes.end()};
}

/// Lines without white space around them; empty ones are left out.
std::vector<std::string> read_lines(const fs::path& path) {
  constexpr std::string_view kSpace = " \t\r";
  const std::string text = read_text(path);
  std::vector<std::string> lines;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    std::string_view line = std::string_view(text).substr(begin, end - begin);
    begin = end + 1;
    const size_t first = line.find_first_not_of(kSpace);
    if (first == std::string_view::npos) continue;
    line = line.substr(first, line.find_last_not_of(kSpace) - first + 1);
    lines.emplace_back(line);
    if (lines.size() > kMaxClouds) throw Error(quoted(path) + " has too many lines");
  }
  return lines;
}

std::vector<fs::path> files_of(const fs::path& directory) {
  std::error_code error;
  std::vector<fs::path> paths;
  for (auto it = fs::directory_iterator(directory, error); !error && it != fs::directory_iterator();
       it.increment(error)) {
    paths.push_back(it->path());
  }
  if (error) throw Error("cannot list " + quoted(directory) + ": " + error.message());
  std::sort(paths.begin(), paths.end());
  return paths;
}

bool is_file(const fs::path& path) {
  std::error_code error;
  return fs::is_regular_file(path, error);
}

/// The HDF5 files of a split, empty if there are none.
std::vector<fs::path> hdf5_files(const fs::path& directory, Split split) {
  const std::string part(to_string(split));
  std::vector<fs::path> files;
  if (const fs::path list = directory / (part + "_files.txt"); is_file(list)) {
    for (const std::string& line : read_lines(list)) {
      files.push_back(directory / fs::path(line).filename());
    }
    if (files.empty()) throw Error(quoted(list) + " names no file");
    return files;
  }
  for (const fs::path& path : files_of(directory)) {
    const std::string name = path.filename().string();
    if ((name.ends_with(".h5") || name.ends_with(".hdf5")) && name.find(part) != std::string::npos)
      files.push_back(path);
  }
  return files;
}

PointClouds load_hdf5(const fs::path& directory, const std::vector<fs::path>& files,
                      PointClouds clouds) {
  const fs::path names = directory / "shape_names.txt";
  if (is_file(names)) clouds.classes = read_lines(names);
  for (const fs::path& file : files) append_hdf5_clouds(file, clouds, /*labelled=*/true);
  if (clouds.classes.empty() && !clouds.labels.empty()) {
    const int32_t last = *std::max_element(clouds.labels.begin(), clouds.labels.end());
    for (int32_t label = 0; label <= last; ++label) clouds.classes.push_back(std::to_string(label));
  }
  return clouds;
}

bool is_hdf5(const fs::path& path) {
  constexpr std::string_view kSignature = "\x89HDF\r\n\x1a\n";
  std::array<char, kSignature.size()> begin = {};
  std::ifstream file(path, std::ios::binary);
  file.read(begin.data(), begin.size());
  return std::string_view(begin.data(), static_cast<size_t>(file.gcount())) == kSignature;
}

constexpr std::string_view kShapeNames = "_shape_names.txt";

/// "DIRECTORY/modelnet40" if there is a file modelnet40_shape_names.txt.
std::optional<std::string> text_prefix(const fs::path& directory) {
  for (const fs::path& path : files_of(directory)) {
    const std::string text = path.string();
    if (path.filename().string().ends_with(kShapeNames)) {
      return text.substr(0, text.size() - kShapeNames.size());
    }
  }
  return {};
}

PointClouds load_text(const fs::path& directory, const std::string& prefix, Split split,
                      const PointCloudOptions& options, PointClouds clouds) {
  clouds.classes = read_lines(prefix + std::string(kShapeNames));
  const fs::path list = prefix + "_" + std::string(to_string(split)) + ".txt";
  std::vector<std::string> names = read_lines(list);
  std::vector<int32_t> labels;
  for (const std::string& name : names) {
    const std::string shape = name.substr(0, name.rfind('_'));
    const auto found = std::find(clouds.classes.begin(), clouds.classes.end(), shape);
    if (found == clouds.classes.end() || fs::path(name).filename() != name) {
      throw Error(quoted(list) + ": '" + name + "' is no shape name and number such as " +
                  (clouds.classes.empty() ? "chair" : clouds.classes.front()) + "_0001");
    }
    labels.push_back(static_cast<int32_t>(found - clouds.classes.begin()));
  }
  const std::vector<int64_t> chosen = spread_over_classes(labels, options.limit);
  clouds.count = static_cast<int64_t>(chosen.size());
  const auto floats = static_cast<size_t>(clouds.points * clouds.width());
  clouds.values.resize(chosen.size() * floats);
  for (const int64_t i : chosen) clouds.labels.push_back(labels[static_cast<size_t>(i)]);
  for_each_item(clouds.count, options.threads, [&](int64_t i) {
    const std::string& name = names[static_cast<size_t>(chosen[static_cast<size_t>(i)])];
    const fs::path path = directory / name.substr(0, name.rfind('_')) / (name + ".txt");
    std::vector<float> cloud;
    parse_cloud(read_text(path), quoted(path), clouds.points, clouds.normals, cloud);
    normalise_cloud(cloud.data(), clouds.points, clouds.width());
    std::copy(cloud.begin(), cloud.end(),
              clouds.values.begin() + static_cast<std::ptrdiff_t>(static_cast<size_t>(i) * floats));
  });
  return clouds;
}

/// Keeps the clouds `indices`, ascending.
void take(PointClouds& clouds, const std::vector<int64_t>& indices) {
  const int64_t floats = clouds.points * clouds.width();
  for (size_t i = 0; i < indices.size(); ++i) {
    std::copy_n(clouds.values.begin() + indices[i] * floats, floats,
                clouds.values.begin() + static_cast<int64_t>(i) * floats);
    clouds.labels[i] = clouds.labels[static_cast<size_t>(indices[i])];
  }
  clouds.count = static_cast<int64_t>(indices.size());
  clouds.labels.resize(indices.size());
  clouds.values.resize(static_cast<size_t>(clouds.count * floats));
}

void check_classes(const PointClouds& clouds, const std::vector<std::string>& expected) {
  if (expected.empty() || clouds.classes == expected) return;
  throw Error("the classes of '" + clouds.name + "' are not those that the model was trained " +
              "with (" + std::to_string(clouds.classes.size()) + " and " +
              std::to_string(expected.size()) + "); use the data that it was made for");
}

}  // namespace

void parse_cloud(std::string_view text, const std::string& name, int64_t points, bool normals,
                 std::vector<float>& values) {
  const int64_t width = normals ? 2 * kCoordinates : kCoordinates;
  int64_t line = 0;
  for (size_t begin = 0; begin < text.size() && line < points;) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    const char* at = text.data() + begin;
    const char* const stop = text.data() + end;
    begin = end + 1;
    ++line;
    for (int64_t column = 0; column < width; ++column) {
      while (at != stop && (*at == ' ' || *at == ',')) ++at;
      float value = 0;
      const auto [next, failure] = std::from_chars(at, stop, value);
      if (failure != std::errc() || !std::isfinite(value)) {
        throw Error(name + ", line " + std::to_string(line) + ": number " +
                    std::to_string(column + 1) + " of " + std::to_string(width) +
                    " is missing or not finite; a line is x,y,z" + (normals ? ",nx,ny,nz" : ""));
      }
      values.push_back(value);
      at = next;
    }
  }
  if (line < points) {
    throw Error(name + " has " + std::to_string(line) + " points, but " + std::to_string(points) +
                " are wanted (data.points)");
  }
}

void normalise_cloud(float* cloud, int64_t points, int64_t width) {
  double centre[kCoordinates] = {};
  for (int64_t i = 0; i < points; ++i) {
    for (int64_t axis = 0; axis < kCoordinates; ++axis) {
      centre[axis] += static_cast<double>(cloud[i * width + axis]) / static_cast<double>(points);
    }
  }
  double largest = 0;
  for (int64_t i = 0; i < points; ++i) {
    double square = 0;
    for (int64_t axis = 0; axis < kCoordinates; ++axis) {
      const double from = static_cast<double>(cloud[i * width + axis]) - centre[axis];
      square += from * from;
    }
    largest = std::max(largest, square);
  }
  const double scale = largest > 0 ? 1 / std::sqrt(largest) : 0;
  for (int64_t i = 0; i < points; ++i) {
    for (int64_t axis = 0; axis < kCoordinates; ++axis) {
      float& value = cloud[i * width + axis];
      value = static_cast<float>((static_cast<double>(value) - centre[axis]) * scale);
    }
  }
}

PointClouds load_cloud_file(const fs::path& path, int64_t points, bool normals) {
  PointClouds clouds;
  clouds.name = path.filename().string();
  clouds.points = points;
  clouds.normals = normals;
  if (is_hdf5(path)) {
    append_hdf5_clouds(path, clouds, /*labelled=*/false);
    if (clouds.count == 0) throw Error(quoted(path) + " has no clouds");
    return clouds;
  }
  parse_cloud(read_text(path), quoted(path), points, normals, clouds.values);
  normalise_cloud(clouds.values.data(), points, clouds.width());
  clouds.count = 1;
  return clouds;
}

PointClouds load_point_clouds(const fs::path& directory, Split split,
                              const PointCloudOptions& options) {
  std::error_code error;
  if (!fs::is_directory(directory, error)) {
    throw Error("the data directory " + quoted(directory) + " does not exist");
  }
  PointClouds clouds;
  clouds.name = directory_name(directory);
  clouds.points = options.points;
  clouds.normals = options.normals;
  if (const auto files = hdf5_files(directory, split); !files.empty()) {
    clouds = load_hdf5(directory, files, std::move(clouds));
    if (options.limit > 0) take(clouds, spread_over_classes(clouds.labels, options.limit));
  } else if (const auto prefix = text_prefix(directory)) {
    clouds = load_text(directory, *prefix, split, options, std::move(clouds));
  } else {
    throw Error(quoted(directory) +
                " holds no point clouds: expected *train*.h5 and *test*.h5, or " +
                "modelnet40_shape_names.txt with its text clouds");
  }
  if (clouds.count == 0) {
    throw Error(quoted(directory) + " has no clouds in its " + std::string(to_string(split)) +
                " split");
  }
  check_classes(clouds, options.classes);
  return clouds;
}

}  // namespace strata::data
