// Samples from a NumPy archive: see load_arrays() in samples.h.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

#include "interop/npz.h"
#include "train/data/samples.h"
#include "train/error.h"

namespace strata::data {
namespace {

using interop::NpyArray;
using interop::NpzArchive;

constexpr int64_t kTestEvery = 10;  ///< of the samples of an archive that has no splits

std::string print_shape(const std::vector<int64_t>& shape) {
  std::string text;
  for (const int64_t size : shape) text += (text.empty() ? "" : ",") + std::to_string(size);
  return "[" + text + "]";
}

template <typename T>
std::vector<uint8_t> as_integers(const NpyArray& array, const std::string& label) {
  const std::vector<int64_t> values = value_or_throw(interop::to_integers(array, label));
  std::vector<T> converted(values.size());
  for (size_t i = 0; i < values.size(); ++i) {
    converted[i] = static_cast<T>(values[i]);
    if (static_cast<int64_t>(converted[i]) != values[i]) {
      throw Error(label + " holds " + std::to_string(values[i]) +
                  ", which the network's input cannot take");
    }
  }
  std::vector<uint8_t> bytes(converted.size() * sizeof(T));
  if (!bytes.empty()) std::memcpy(bytes.data(), converted.data(), bytes.size());
  return bytes;
}

/// The elements in the type of the input.
std::vector<uint8_t> converted(const NpyArray& array, graph::DataType type,
                               const std::string& label) {
  switch (type) {
    case graph::DataType::kFloat32: {
      const std::vector<float> values = interop::to_floats(array);
      if (!std::all_of(values.begin(), values.end(), [](float v) { return std::isfinite(v); })) {
        throw Error(label + " holds numbers that are not finite");
      }
      std::vector<uint8_t> bytes(values.size() * sizeof(float));
      if (!bytes.empty()) std::memcpy(bytes.data(), values.data(), bytes.size());
      return bytes;
    }
    case graph::DataType::kInt64:
      return as_integers<int64_t>(array, label);
    case graph::DataType::kInt32:
      return as_integers<int32_t>(array, label);
    case graph::DataType::kUint8:
    case graph::DataType::kBool:
      return as_integers<uint8_t>(array, label);
    case graph::DataType::kInt8:
      return as_integers<int8_t>(array, label);
    case graph::DataType::kFloat16:
      break;
  }
  throw Error("the network's input for " + label + " is of a type that arrays cannot feed");
}

class ArraySamples final : public Samples {
 public:
  ArraySamples(const std::filesystem::path& path, std::span<const graph::ValueInfo> inputs,
               Split split);

  void read(std::span<const int64_t> indices, size_t input, void* out) const override {
    const size_t bytes = inputs_[input].bytes();
    auto* to = static_cast<uint8_t*>(out);
    for (const int64_t index : indices) {
      std::memcpy(to, data_[input].data() + static_cast<size_t>(index) * bytes, bytes);
      to += bytes;
    }
  }

 private:
  void add(const NpzArchive& archive, const std::string& array, const graph::ValueInfo& input);
  void read_labels(const NpzArchive& archive, const std::string& array);
  void keep_split(Split split);

  std::vector<std::vector<uint8_t>> data_;  ///< [input] samples one after the other
};

/// What the array of an input is called, without the suffix of a split.
std::string array_of(const NpzArchive& archive, std::span<const graph::ValueInfo> inputs,
                     const graph::ValueInfo& input) {
  const auto exists = [&](const std::string& name) {
    return archive.contains(name) || archive.contains(name + "_train");
  };
  return inputs.size() == 1 && !exists(input.name) && exists("x") ? "x" : input.name;
}

ArraySamples::ArraySamples(const std::filesystem::path& path,
                           std::span<const graph::ValueInfo> inputs, Split split) {
  const auto archive = value_or_throw(NpzArchive::open(path.string()));
  name_ = path.filename().string();
  std::vector<std::string> arrays;
  for (const graph::ValueInfo& input : inputs) arrays.push_back(array_of(archive, inputs, input));
  if (arrays.empty()) throw Error("the network has no input that '" + name_ + "' could feed");
  const bool divided =
      archive.contains(arrays[0] + "_train") && archive.contains(arrays[0] + "_test");
  const std::string suffix = !divided ? "" : split == Split::kTest ? "_test" : "_train";
  for (size_t i = 0; i < inputs.size(); ++i) add(archive, arrays[i] + suffix, inputs[i]);
  if (archive.contains("y" + suffix)) read_labels(archive, "y" + suffix);
  if (!divided) keep_split(split);
  if (count_ == 0) throw Error("'" + path.string() + "' holds no samples");
}

void ArraySamples::add(const NpzArchive& archive, const std::string& array,
                       const graph::ValueInfo& input) {
  const std::string label = "'" + archive.label(array) + "'";
  NpyArray values = value_or_throw(archive.read(array));
  SampleInput facts{input.name, input.type, {}};
  bool fits = values.shape.size() == input.shape.size() && !values.shape.empty();
  for (size_t i = 1; fits && i < values.shape.size(); ++i) {
    fits = values.shape[i] > 0 &&
           (!input.shape[i].known() || input.shape[i].value() == values.shape[i]);
    facts.shape.push_back(values.shape[i]);
  }
  if (!fits) {
    throw Error(label + " has shape " + print_shape(values.shape) + ", but the network's input '" +
                input.name + "' is " + graph::to_string(input.shape) +
                "; its first dimension counts samples");
  }
  if (input.shape[0].known() && input.shape[0].value() != 1) {
    throw Error("the network's input '" + input.name + "' takes " +
                std::to_string(input.shape[0].value()) +
                " samples at once and no other number; export it with an open batch dimension");
  }
  if (!inputs_.empty() && values.shape[0] != count_) {
    throw Error(label + " has " + std::to_string(values.shape[0]) + " samples, but the array of '" +
                inputs_[0].name + "' has " + std::to_string(count_));
  }
  count_ = values.shape[0];
  data_.push_back(converted(values, input.type, label));
  inputs_.push_back(std::move(facts));
}

void ArraySamples::read_labels(const NpzArchive& archive, const std::string& array) {
  const std::string label = "'" + archive.label(array) + "'";
  const NpyArray values = value_or_throw(archive.read(array));
  const bool vector =
      values.shape.size() == 1 || (values.shape.size() == 2 && values.shape[1] == 1);
  if (!vector || values.shape[0] != count_) {
    throw Error(label + " has shape " + print_shape(values.shape) + ", but there must be a label " +
                "for each of " + std::to_string(count_) + " samples");
  }
  labels_ = value_or_throw(interop::to_integers(values, label));
  if (std::any_of(labels_.begin(), labels_.end(),
                  [](int64_t l) { return l < 0 || l > INT32_MAX; })) {
    throw Error(label + " must be class numbers from 0 on");
  }
}

/// Leaves of an archive without splits what belongs to one.
void ArraySamples::keep_split(Split split) {
  const bool test = split == Split::kTest;
  std::vector<int64_t> kept;
  for (int64_t i = 0; i < count_; ++i) {
    if ((i % kTestEvery == kTestEvery - 1) == test) kept.push_back(i);
  }
  if (kept.empty()) {
    throw Error("'" + name_ + "' has too few samples (" + std::to_string(count_) +
                ") to hold one out for the report; give at least " + std::to_string(kTestEvery));
  }
  for (size_t i = 0; i < inputs_.size(); ++i) {
    std::vector<uint8_t> data(kept.size() * inputs_[i].bytes());
    read(kept, i, data.data());
    data_[i] = std::move(data);
  }
  if (!labels_.empty()) {
    std::vector<int64_t> labels;
    labels.reserve(kept.size());
    for (const int64_t i : kept) labels.push_back(labels_[static_cast<size_t>(i)]);
    labels_ = std::move(labels);
  }
  count_ = static_cast<int64_t>(kept.size());
}

}  // namespace

std::unique_ptr<Samples> load_arrays(const std::filesystem::path& path,
                                     std::span<const graph::ValueInfo> inputs, Split split) {
  return std::make_unique<ArraySamples>(path, inputs, split);
}

}  // namespace strata::data
