// Image folders: one folder per class. Lists first, chooses what is wanted, then decodes in
// parallel.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <optional>

#include "train/data/file.h"
#include "train/data/parallel.h"
#include "train/data/sources.h"
#include "train/error.h"

namespace strata::data {
namespace {

namespace fs = std::filesystem;

struct Listing {
  std::vector<fs::path> files;
  std::vector<int32_t> labels;
};

bool is_image_name(const fs::path& path) {
  std::string extension = path.extension().string();
  for (char& letter : extension) {
    if (letter >= 'A' && letter <= 'Z') letter = static_cast<char>(letter - 'A' + 'a');
  }
  return extension == ".jpg" || extension == ".jpeg" || extension == ".png";
}

bool is_hidden(const fs::path& path) { return path.filename().string().starts_with('.'); }

// Sorted entries that are not hidden: the order of a directory is not the same on every machine.
std::vector<fs::path> entries(const fs::path& directory) {
  std::error_code error;
  std::vector<fs::path> paths;
  for (auto it = fs::directory_iterator(directory, error); !error && it != fs::directory_iterator();
       it.increment(error)) {
    if (!is_hidden(it->path())) paths.push_back(it->path());
  }
  if (error) throw Error("cannot list " + quoted(directory) + ": " + error.message());
  std::sort(paths.begin(), paths.end());
  return paths;
}

std::vector<fs::path> folders(const fs::path& directory) {
  std::vector<fs::path> paths = entries(directory);
  std::erase_if(paths, [](const fs::path& path) { return !fs::is_directory(path); });
  return paths;
}

// Holds classes? A folder "train" with images only is itself a class.
bool is_split_folder(const fs::path& directory) {
  return fs::is_directory(directory) && !folders(directory).empty();
}

std::vector<std::string> class_names(const fs::path& directory) {
  std::vector<std::string> names;
  for (const fs::path& folder : folders(directory)) names.push_back(folder.filename().string());
  return names;
}

// Where the classes of one split lie.
struct SplitPlace {
  fs::path directory;
  fs::path naming;         // the directory whose folders name the classes
  bool undivided = false;  // the place of both splits
};

SplitPlace find_split(const fs::path& directory, Split split) {
  const fs::path train = directory / "train";
  const bool has_train = is_split_folder(train);
  std::optional<fs::path> test;
  for (const char* name : {"test", "val"}) {
    if (!test && fs::is_directory(directory / name) &&
        (has_train || is_split_folder(directory / name))) {
      test = directory / name;
    }
  }
  if (!has_train && !test) return {directory, directory, true};
  if (split == Split::kTrain) {
    if (!has_train) throw Error(quoted(directory) + " has no training images: train/ is missing");
    return {train, train, false};
  }
  if (!test) {
    throw Error(quoted(directory) +
                " has train/ but neither test/ nor val/; put the test images there");
  }
  return {*test, has_train ? train : *test, false};
}

Listing list_images(const SplitPlace& place, const std::vector<std::string>& classes) {
  std::map<std::string, int32_t, std::less<>> label_of;
  for (const std::string& name : classes) {
    label_of.emplace(name, static_cast<int32_t>(label_of.size()));
  }
  Listing listing;
  for (const fs::path& folder : folders(place.directory)) {
    const auto found = label_of.find(folder.filename().string());
    if (found == label_of.end()) {
      throw Error(quoted(folder) + " is not one of the " + std::to_string(classes.size()) +
                  " known classes ('" + classes.front() + "' to '" + classes.back() + "')");
    }
    const size_t before = listing.files.size();
    for (const fs::path& file : entries(folder)) {
      if (is_image_name(file)) listing.files.push_back(file);
    }
    if (listing.files.size() == before) {
      throw Error("the class " + quoted(folder) +
                  " has no image: expected .jpg, .jpeg or .png files");
    }
    listing.labels.resize(listing.files.size(), found->second);
  }
  if (listing.files.empty()) {
    throw Error(quoted(place.directory) +
                " has no class: expected one folder of images per class, such as " +
                quoted(place.directory / "cat" / "1.jpg"));
  }
  return listing;
}

Listing select(const Listing& listing, std::span<const int64_t> indices) {
  Listing result;
  for (const int64_t index : indices) {
    result.files.push_back(listing.files[static_cast<size_t>(index)]);
    result.labels.push_back(listing.labels[static_cast<size_t>(index)]);
  }
  return result;
}

// Every n-th file of a class, evenly, so that adding a class does not move the others.
std::vector<int64_t> divide(const Listing& listing, Split split, double holdout) {
  std::map<int32_t, int64_t> seen;
  std::vector<int64_t> indices;
  for (size_t i = 0; i < listing.labels.size(); ++i) {
    const auto rank = static_cast<double>(seen[listing.labels[i]]++);
    constexpr double kHalf = 0.5;  // the first one falls in the middle of its stride
    const bool is_test =
        std::floor((rank + 1) * holdout + kHalf) > std::floor(rank * holdout + kHalf);
    if (is_test == (split == Split::kTest)) indices.push_back(static_cast<int64_t>(i));
  }
  return indices;
}

Image read_image(const fs::path& path) { return decode_image(read_file(path), path.string()); }

std::string mismatch(const fs::path& path, const ImageShape& shape, const ImageShape& expected,
                     const std::string& why) {
  const bool grey = shape.channels == 1 && expected.channels == 3;
  return quoted(path) + " is " + to_string(shape) + (grey ? " (grey)" : "") + ", but " + why + " " +
         to_string(expected) +
         "; pass --convert (recipe: convert = true) to convert and resize such images";
}

}  // namespace

Dataset load_folder(const fs::path& directory, Split split, const LoadOptions& options) {
  const SplitPlace place = find_split(directory, split);
  Dataset dataset;
  dataset.name = directory_name(directory);
  dataset.classes = options.classes.empty() ? class_names(place.naming) : options.classes;
  Listing listing = list_images(place, dataset.classes);
  if (place.undivided && options.holdout > 0) {
    listing = select(listing, divide(listing, split, options.holdout));
    if (listing.files.empty()) {
      throw Error(quoted(directory) + " has too few images to hold some out for the " +
                  std::string(to_string(split)) + " split; make train/ and test/ folders");
    }
  }
  listing = select(listing, spread_over_classes(listing.labels, options.limit));

  const ImageShape shape = options.shape ? *options.shape : read_image(listing.files[0]).shape;
  const std::string why =
      options.shape ? "the model expects" : "the first image " + quoted(listing.files[0]) + " is";
  dataset.count = static_cast<int64_t>(listing.files.size());
  dataset.channels = shape.channels;
  dataset.height = shape.height;
  dataset.width = shape.width;
  dataset.labels = std::move(listing.labels);
  allocate_pixels(dataset);
  const auto decode = [&](int64_t index) {
    const fs::path& file = listing.files[static_cast<size_t>(index)];
    Image image = read_image(file);
    if (image.shape != shape) {
      if (!options.convert) throw Error(mismatch(file, image.shape, shape, why));
      image = convert(image, shape);
    }
    std::memcpy(dataset.pixels.data() + index * shape.elements(), image.pixels.data(),
                image.pixels.size());
  };
  for_each_item(dataset.count, options.threads, decode, options.progress);
  return dataset;
}

}  // namespace strata::data
