// load(): which format, and what LoadOptions asks of a data set that came whole.
#include "train/data/dataset.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <utility>

#include <unistd.h>

#include "train/data/file.h"
#include "train/data/parallel.h"
#include "train/data/sources.h"
#include "train/error.h"

namespace strata::data {
namespace {

// Names that say nothing: "0", "1", ….
bool is_numbered(const std::vector<std::string>& classes) {
  for (size_t i = 0; i < classes.size(); ++i) {
    if (classes[i] != std::to_string(i)) return false;
  }
  return true;
}

void check_classes(Dataset& dataset, const std::vector<std::string>& expected) {
  std::vector<std::string>& classes = dataset.classes;
  if (!expected.empty() && classes != expected) {
    const bool named = !is_numbered(classes) && !is_numbered(expected);
    if (classes.size() > expected.size() || (named && classes.size() != expected.size())) {
      throw Error("the data set '" + dataset.name + "' has " + std::to_string(classes.size()) +
                  " classes, the model " + std::to_string(expected.size()));
    }
    if (named) {
      const auto differs = std::mismatch(classes.begin(), classes.end(), expected.begin());
      throw Error("class " + std::to_string(differs.first - classes.begin()) +
                  " of the data set '" + dataset.name + "' is '" + *differs.first +
                  "', but the model calls it '" + *differs.second + "'");
    }
    classes = expected;
  }
  for (size_t i = 0; i < dataset.labels.size(); ++i) {
    if (static_cast<size_t>(dataset.labels[i]) >= classes.size()) {
      throw Error("image " + std::to_string(i) + " of the data set '" + dataset.name +
                  "' has label " + std::to_string(dataset.labels[i]) + ", but there are only " +
                  std::to_string(classes.size()) + " classes");
    }
  }
}

void take(Dataset& dataset, std::span<const int64_t> indices) {
  const int64_t elements = dataset.shape().elements();
  for (size_t i = 0; i < indices.size(); ++i) {  // ascending, so the copy never overtakes
    const auto to = static_cast<int64_t>(i);
    if (indices[i] != to) {
      std::memcpy(dataset.pixels.data() + to * elements, dataset.image(indices[i]),
                  static_cast<size_t>(elements));
      dataset.labels[i] = dataset.labels[static_cast<size_t>(indices[i])];
    }
  }
  dataset.count = static_cast<int64_t>(indices.size());
  dataset.labels.resize(indices.size());
  dataset.pixels.resize(indices.size() * static_cast<size_t>(elements));
}

void fit(Dataset& dataset, const LoadOptions& options) {
  const ImageShape from = dataset.shape();
  const ImageShape to = *options.shape;
  if (!options.convert) {
    throw Error("the images of the data set '" + dataset.name + "' are " + to_string(from) +
                ", but the model expects " + to_string(to) +
                "; pass --convert (recipe: convert = true) to convert and resize them");
  }
  const std::vector<uint8_t> source = std::move(dataset.pixels);
  dataset.channels = to.channels;
  dataset.height = to.height;
  dataset.width = to.width;
  allocate_pixels(dataset);
  const auto convert_one = [&](int64_t index) {
    const auto first = source.begin() + index * from.elements();
    const Image image = convert({from, {first, first + from.elements()}}, to);
    std::memcpy(dataset.pixels.data() + index * to.elements(), image.pixels.data(),
                image.pixels.size());
  };
  for_each_item(dataset.count, options.threads, convert_one, options.progress);
}

Format detect(const std::filesystem::path& directory) {
  if (is_cifar10(directory)) return Format::kCifar10;
  if (is_idx(directory)) return Format::kIdx;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    if (entry.is_directory()) return Format::kFolder;
  }
  throw Error(
      quoted(directory) +
      " holds no class and no known data set: expected folders of images "
      "(train/CLASS/*.jpg or *.png, and test/), CIFAR-10 binary (data_batch_1.bin, …) or IDX "
      "(train-images-idx3-ubyte.gz, …)");
}

}  // namespace

std::string_view to_string(Split split) { return split == Split::kTrain ? "train" : "test"; }

std::string directory_name(const std::filesystem::path& directory) {
  std::filesystem::path path = std::filesystem::absolute(directory).lexically_normal();
  if (!path.has_filename()) path = path.parent_path();
  return path.filename().string();
}

void allocate_pixels(Dataset& dataset) {
  constexpr double kGibibyte = 1024.0 * 1024 * 1024;
  const auto bytes =
      static_cast<double>(dataset.count) * static_cast<double>(dataset.shape().elements());
  const double memory =
      static_cast<double>(sysconf(_SC_PHYS_PAGES)) * static_cast<double>(sysconf(_SC_PAGESIZE));
  if (bytes > memory) {
    throw Error("the data set '" + dataset.name + "' needs " +
                std::to_string(static_cast<int64_t>(bytes / kGibibyte)) +
                " GiB of memory, this machine has " +
                std::to_string(static_cast<int64_t>(memory / kGibibyte)) +
                "; use smaller images or a limit");
  }
  dataset.pixels.resize(static_cast<size_t>(dataset.count) *
                        static_cast<size_t>(dataset.shape().elements()));
}

std::vector<int64_t> spread_over_classes(std::span<const int32_t> labels, int64_t limit) {
  std::vector<int64_t> indices(labels.size());
  for (size_t i = 0; i < indices.size(); ++i) indices[i] = static_cast<int64_t>(i);
  if (limit <= 0 || limit >= static_cast<int64_t>(labels.size())) return indices;
  std::map<int32_t, int64_t> seen;
  std::vector<std::pair<int64_t, int32_t>> rank;  // among its class, then by label
  for (const int32_t label : labels) rank.emplace_back(seen[label]++, label);
  std::sort(indices.begin(), indices.end(), [&](int64_t a, int64_t b) {
    return rank[static_cast<size_t>(a)] < rank[static_cast<size_t>(b)];
  });
  indices.resize(static_cast<size_t>(limit));
  std::sort(indices.begin(), indices.end());
  return indices;
}

Dataset load(const std::filesystem::path& directory, Split split, const LoadOptions& options) {
  std::error_code error;
  const auto status = std::filesystem::status(directory, error);
  if (!std::filesystem::exists(status)) {
    throw Error("the data directory " + quoted(directory) + " does not exist");
  }
  if (!std::filesystem::is_directory(status)) {
    throw Error(quoted(directory) + " is not a directory; a data set is a directory");
  }
  const Format format = options.format == Format::kAuto ? detect(directory) : options.format;
  if (format == Format::kFolder) return load_folder(directory, split, options);

  Dataset dataset =
      format == Format::kCifar10 ? load_cifar10(directory, split) : load_idx(directory, split);
  check_classes(dataset, options.classes);
  if (options.limit > 0) take(dataset, spread_over_classes(dataset.labels, options.limit));
  if (options.shape && *options.shape != dataset.shape()) fit(dataset, options);
  return dataset;
}

}  // namespace strata::data
