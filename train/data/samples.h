// What a network of any kind is fed with: one array per input, sample by sample, and labels where
// there are. A data set of images and an archive of arrays look alike behind it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "graph/graph.h"
#include "train/data/augment.h"
#include "train/data/dataset.h"
#include "train/data/normalisation.h"

namespace strata::data {

/// One input of the network, as one sample has it.
struct SampleInput {
  std::string name;
  graph::DataType type = graph::DataType::kFloat32;
  std::vector<int64_t> shape;  ///< without the batch

  [[nodiscard]] int64_t elements() const;
  [[nodiscard]] size_t bytes() const;
};

/// Immutable; may be read from several threads at once.
class Samples {
 public:
  Samples() = default;
  virtual ~Samples() = default;
  Samples(const Samples&) = delete;
  Samples& operator=(const Samples&) = delete;

  [[nodiscard]] const std::string& name() const { return name_; }  ///< of the data, for people
  [[nodiscard]] int64_t count() const { return count_; }
  /// In the order of the graph's inputs.
  [[nodiscard]] const std::vector<SampleInput>& inputs() const { return inputs_; }
  /// [count], not negative; empty if the data have none.
  [[nodiscard]] const std::vector<int64_t>& labels() const { return labels_; }
  /// For data whose labels are not the network's classes: without them.
  void forget_labels() { labels_.clear(); }

  /// Samples `indices` of one input into out[indices.size(), shape…], of the input's type.
  virtual void read(std::span<const int64_t> indices, size_t input, void* out) const = 0;
  /// The same for training, with the changes that suit the kind of data; arrays stay as they are.
  virtual void read_augmented(std::span<const int64_t> indices, size_t input,
                              const Augmentation& augmentation, const RandomKey& key, int threads,
                              void* out) const;

 protected:
  std::string name_;
  int64_t count_ = 0;
  std::vector<SampleInput> inputs_;
  std::vector<int64_t> labels_;
};

/// Indices of at most `limit` samples (0: all): evenly from the classes where there are labels,
/// else evenly from the whole.
std::vector<int64_t> choose_samples(const Samples& samples, int64_t limit);

/// Images of a data set, normalised, as the input called `input`.
std::unique_ptr<Samples> image_samples(Dataset dataset, Normalisation normalisation,
                                       std::string input);

/// The arrays of a NumPy archive (.npz) for a graph of these inputs. An input is read from the
/// array that has its name, or, if it is the only one, from "x"; labels from "y", where there are.
/// Where "NAME_train" and "NAME_test" exist ("y_train" and "y_test"), they are the splits; else
/// every tenth sample is the test split. Numbers are converted to the type of the input; sizes that
/// the graph leaves open are those of the array. Throws Error naming file and array: missing,
/// shapes that do not fit the input, arrays of different length, labels that are no integers,
/// numbers that are not finite.
std::unique_ptr<Samples> load_arrays(const std::filesystem::path& path,
                                     std::span<const graph::ValueInfo> inputs, Split split);

}  // namespace strata::data
