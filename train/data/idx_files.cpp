// The four files of a data set of the MNIST family, each plain or gzipped.
#include <algorithm>
#include <cctype>

#include "train/data/file.h"
#include "train/data/idx.h"
#include "train/data/sources.h"
#include "train/error.h"

namespace strata::data {
namespace {

// Far above the 47 MB of a training set of the family, far below what would hurt.
constexpr size_t kMaxFileBytes = size_t{4} << 30;

const std::vector<std::string>& fashion_classes() {
  static const std::vector<std::string> names = {"T-shirt/top", "Trouser",   "Pullover", "Dress",
                                                 "Coat",        "Sandal",    "Shirt",    "Sneaker",
                                                 "Bag",         "Ankle boot"};
  return names;
}

// "train-images-idx3-ubyte" as distributed, "train-images.idx3-ubyte" as some tools unpack it.
std::filesystem::path find_idx_file(const std::filesystem::path& directory, Split split,
                                    const std::string& content) {
  const std::string stem = (split == Split::kTrain ? "train-" : "t10k-") + content;
  for (const char* separator : {"-", "."}) {
    for (const char* suffix : {"", ".gz"}) {
      auto path = directory / stem;
      path += separator + std::string(content == "images" ? "idx3" : "idx1") + "-ubyte" + suffix;
      if (std::filesystem::exists(path)) return path;
    }
  }
  return {};
}

IdxArray read_idx(const std::filesystem::path& directory, Split split, const std::string& content) {
  const auto path = find_idx_file(directory, split, content);
  if (path.empty()) {
    const std::string dims = content == "images" ? "idx3" : "idx1";
    throw Error(quoted(directory) + " has no " + (split == Split::kTrain ? "train-" : "t10k-") +
                content + "-" + dims + "-ubyte[.gz], the " + content + " of the " +
                std::string(to_string(split)) + " split");
  }
  std::vector<uint8_t> bytes = read_file(path);
  if (is_gzip(bytes)) bytes = gunzip(bytes, kMaxFileBytes, path.string());
  return parse_idx(bytes, content == "images" ? 3 : 1, path.string());
}

bool is_fashion(const std::filesystem::path& directory) {
  std::string name = directory_name(directory);
  std::transform(name.begin(), name.end(), name.begin(),
                 [](unsigned char letter) { return static_cast<char>(std::tolower(letter)); });
  return name.find("fashion") != std::string::npos;
}

}  // namespace

bool is_idx(const std::filesystem::path& directory) {
  for (const Split split : {Split::kTrain, Split::kTest}) {
    for (const char* content : {"images", "labels"}) {
      if (!find_idx_file(directory, split, content).empty()) return true;
    }
  }
  return false;
}

Dataset load_idx(const std::filesystem::path& directory, Split split) {
  IdxArray images = read_idx(directory, split, "images");
  const IdxArray labels = read_idx(directory, split, "labels");
  if (images.dims[0] != labels.dims[0]) {
    throw Error("the " + std::string(to_string(split)) + " split in " + quoted(directory) +
                " has " + std::to_string(images.dims[0]) + " images but " +
                std::to_string(labels.dims[0]) + " labels");
  }
  if (images.values.empty()) {
    throw Error("the " + std::string(to_string(split)) + " split in " + quoted(directory) +
                " has no images");
  }
  Dataset dataset;
  dataset.name = directory_name(directory);
  dataset.count = images.dims[0];
  dataset.channels = 1;
  dataset.height = images.dims[1];
  dataset.width = images.dims[2];
  dataset.pixels = std::move(images.values);
  dataset.labels.assign(labels.values.begin(), labels.values.end());
  if (is_fashion(directory)) {
    dataset.classes = fashion_classes();
  } else {
    const int largest = *std::max_element(labels.values.begin(), labels.values.end());
    for (int label = 0; label <= largest; ++label) dataset.classes.push_back(std::to_string(label));
  }
  return dataset;
}

}  // namespace strata::data
