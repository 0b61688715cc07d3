// Labelled images in memory, and load(), which finds out by content in which format a directory
// holds them: image folders, CIFAR-10 binary, or IDX (MNIST, Fashion-MNIST).
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "train/data/image.h"

namespace strata::data {

struct Dataset {
  std::string name;  ///< of the directory, for people
  int64_t count = 0;
  int64_t channels = 0;
  int64_t height = 0;
  int64_t width = 0;
  std::vector<uint8_t> pixels;       ///< [count, channels, height, width]
  std::vector<int32_t> labels;       ///< [count], each below classes.size()
  std::vector<std::string> classes;  ///< names, by label

  [[nodiscard]] ImageShape shape() const { return {channels, height, width}; }
  [[nodiscard]] const uint8_t* image(int64_t index) const {
    return pixels.data() + index * shape().elements();
  }
};

enum class Split : uint8_t { kTrain, kTest };

enum class Format : uint8_t { kAuto, kFolder, kCifar10, kIdx };

struct LoadOptions {
  Format format = Format::kAuto;
  std::optional<ImageShape> shape;  ///< what every image must have; else what the first one has
  bool convert = false;             ///< make other images fit instead of refusing them
  /// Class names by label that a trained model expects; a data set with others is refused, and an
  /// image folder may lack some of them. Empty: what the data set says.
  std::vector<std::string> classes;
  int64_t limit = 0;   ///< images at most, taken evenly from all classes; 0 = all
  double holdout = 0;  ///< share of an undivided directory (CLASS/ folders without train/ and
                       ///< test/) that is the test split; 0: both splits are all of it
  int threads = 1;     ///< for decoding
  /// Called now and then, on the calling thread, with images done and in total.
  std::function<void(int64_t done, int64_t total)> progress;
};

/// Loads one split of the data set in `directory`:
/// - image folder: train/CLASS/*.jpg|jpeg|png and test/ or val/, or CLASS/ folders at once; classes
///   are the sorted folder names;
/// - CIFAR-10 binary: data_batch_1.bin .. data_batch_5.bin, test_batch.bin, batches.meta.txt;
/// - IDX: train-images-idx3-ubyte[.gz], train-labels-idx1-ubyte[.gz], t10k-…; the class names are
///   Fashion-MNIST's when the directory's name says fashion, else the numbers.
/// The result is the same for any number of threads. Throws Error naming file, cause and remedy.
Dataset load(const std::filesystem::path& directory, Split split, const LoadOptions& options = {});

/// "train" or "test".
std::string_view to_string(Split split);

/// Indices, ascending, of at most `limit` samples: the first of every class, the second of every
/// class, and so on; all of them if limit is 0.
std::vector<int64_t> spread_over_classes(std::span<const int32_t> labels, int64_t limit);

}  // namespace strata::data
