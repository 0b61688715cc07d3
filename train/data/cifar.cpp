// CIFAR-10 in its binary version: records of one label byte and 3072 bytes of planar RGB.
#include <sstream>

#include "train/data/file.h"
#include "train/data/sources.h"
#include "train/error.h"

namespace strata::data {
namespace {

constexpr ImageShape kShape = {3, 32, 32};
constexpr size_t kRecordBytes = 1 + 3 * 32 * 32;
constexpr size_t kClassCount = 10;
constexpr int kTrainingFiles = 5;

std::vector<std::string> read_class_names(const std::filesystem::path& path) {
  const std::vector<uint8_t> bytes = read_file(path);
  std::istringstream text(std::string(bytes.begin(), bytes.end()));
  std::vector<std::string> names;
  for (std::string line; std::getline(text, line);) {
    if (line.ends_with('\r')) line.pop_back();
    if (!line.empty()) names.push_back(line);
  }
  if (names.size() != kClassCount) {
    throw Error(quoted(path) + " lists " + std::to_string(names.size()) +
                " classes; CIFAR-10 has " + std::to_string(kClassCount) + ", one a line");
  }
  return names;
}

}  // namespace

bool is_cifar10(const std::filesystem::path& directory) {
  return std::filesystem::exists(directory / "data_batch_1.bin") ||
         std::filesystem::exists(directory / "test_batch.bin");
}

void append_cifar10(std::span<const uint8_t> bytes, const std::string& name, Dataset& dataset) {
  if (bytes.empty() || bytes.size() % kRecordBytes != 0) {
    throw Error("'" + name + "' is truncated or damaged: its " + std::to_string(bytes.size()) +
                " bytes are not a whole number of CIFAR-10 records of " +
                std::to_string(kRecordBytes) + " bytes");
  }
  for (size_t at = 0; at < bytes.size(); at += kRecordBytes) {
    if (bytes[at] >= dataset.classes.size()) {
      throw Error("'" + name + "' is damaged: record " + std::to_string(at / kRecordBytes) +
                  " has label " + std::to_string(bytes[at]) + ", but there are " +
                  std::to_string(dataset.classes.size()) + " classes");
    }
    dataset.labels.push_back(bytes[at]);
    const auto pixels = bytes.subspan(at + 1, kRecordBytes - 1);
    dataset.pixels.insert(dataset.pixels.end(), pixels.begin(), pixels.end());
    ++dataset.count;
  }
}

Dataset load_cifar10(const std::filesystem::path& directory, Split split) {
  Dataset dataset;
  dataset.name = directory_name(directory);
  dataset.channels = kShape.channels;
  dataset.height = kShape.height;
  dataset.width = kShape.width;
  dataset.classes = read_class_names(directory / "batches.meta.txt");
  std::vector<std::filesystem::path> files;
  if (split == Split::kTest) {
    files.push_back(directory / "test_batch.bin");
  } else {
    for (int i = 1; i <= kTrainingFiles; ++i) {
      files.push_back(directory / ("data_batch_" + std::to_string(i) + ".bin"));
    }
  }
  for (const auto& file : files) append_cifar10(read_file(file), file.string(), dataset);
  return dataset;
}

}  // namespace strata::data
