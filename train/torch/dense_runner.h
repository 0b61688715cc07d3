// One level of a nested model as a dense libtorch model, zeros in place: the peer that `bench --vs
// libtorch` times, and the truth that the runtime is tested against. Shows nothing of libtorch.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "graph/graph.h"
#include "sparse/nested_model.h"

namespace strata::train {

struct TorchModelOptions {
  int level = -1;   ///< -1: the least sparse
  int threads = 1;  ///< of libtorch, which has one number for the process
  /// Batch normalisation goes into the weights of the convolution before it, as one deploys.
  bool fold = true;
  enum class Layout : uint8_t {
    kFastest,       ///< tries the others when it is made, one after the other
    kPlain,         ///< NCHW
    kChannelsLast,  ///< NHWC
    kBlocked,       ///< oneDNN's own, from the first operator to the last that has it
  };
  Layout layout = Layout::kFastest;
  std::string graph = {};  ///< empty: the only one
  /// Sizes of symbolic dimensions, else the model's usual ones; "batch" comes with each run.
  graph::Bindings bindings = {};
};

/// One input of a graph that has several: dense row-major data of `shape`.
struct TorchInput {
  const void* data = nullptr;
  graph::DataType type = graph::DataType::kFloat32;
  std::vector<int64_t> shape;
};

/// The first output of a graph. Not for several threads at once.
class TorchModel {
 public:
  /// Throws Error: a level or graph that does not exist, an operator that it cannot execute.
  explicit TorchModel(const sparse::NestedModel& nested, const TorchModelOptions& options = {});
  ~TorchModel();
  TorchModel(TorchModel&&) noexcept;
  TorchModel& operator=(TorchModel&&) noexcept;

  /// Dense row-major data: `in` holds `batch` inputs, `out` as many outputs. Throws Error if the
  /// sizes do not match.
  void run(std::span<const float> in, int64_t batch, std::span<float> out);

  /// The same for a graph of any inputs, in its order. Throws Error.
  void run(std::span<const TorchInput> inputs, std::span<float> out);

  /// "libtorch 1.13.1, channels last, normalisation folded"
  [[nodiscard]] const std::string& description() const;

 private:
  class Implementation;
  std::unique_ptr<Implementation> implementation_;
};

}  // namespace strata::train
