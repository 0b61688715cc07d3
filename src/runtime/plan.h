// A graph as a list of fused steps over tensors of known size: convolution or matrix product with
// normalisation, residual addition and ReLU in one step. Knows nothing of weights or memory.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "core/status.h"
#include "graph/graph.h"
#include "kernels/window.h"

namespace strata::runtime {

enum class StepKind : uint8_t {
  kConv,         ///< (input * weight) * scale + shift [+ addend] [ReLU]
  kGemm,         ///< the same for a matrix
  kMaxPool,      ///< of windows
  kAveragePool,  ///< global pooling included
  kElementwise,  ///< input * scale + shift [+ addend] [ReLU], for what nothing could absorb
  kPad,          ///< zeros around; the input's pixel (0, 0, 0, 0) goes to `origin`
  kReshape,      ///< the same elements in row-major order under another size
};

/// Whether a step can write planes with room around them; the others write row-major data only.
constexpr bool writes_planes(StepKind kind) {
  return kind != StepKind::kGemm && kind != StepKind::kReshape;
}

/// Sizes as batch, channels, height, width; a matrix has height and width 1.
struct PlanTensor {
  std::string name;
  std::array<int64_t, 4> size = {1, 1, 1, 1};

  [[nodiscard]] int64_t elements() const { return size[0] * size[1] * size[2] * size[3]; }
};

/// Parameters of a BatchNormalization that a step absorbed.
struct Normalisation {
  std::string scale;
  std::string shift;
  std::string mean;
  std::string variance;
  float epsilon = 0;
};

struct Step {
  std::string name;   ///< of its first node
  std::string label;  ///< what it is, for reports: "conv3x3"
  StepKind kind = StepKind::kElementwise;
  bool relu = false;
  bool weight_by_input = false;  ///< matrix stored [inputs, outputs] rather than [outputs, inputs]
  bool count_include_pad = false;  ///< of an average pooling
  int input = -1;                  ///< indices into Plan::tensors
  int addend = -1;                 ///< or -1
  int output = -1;

  std::string weight;                         ///< parameter, or empty
  std::string bias;                           ///< parameter, or empty
  std::vector<Normalisation> normalisations;  ///< in the order of application
  float alpha = 1;                            ///< factor of the product
  float beta = 1;                             ///< factor of the bias

  kernels::Window window;
  int64_t group = 1;
  std::array<int64_t, 4> origin = {0, 0, 0, 0};  ///< of a padding

  int64_t dense_macs = 0;
  int64_t macs_per_nonzero = 0;
};

struct Plan {
  std::vector<PlanTensor> tensors;
  std::vector<Step> steps;
  std::vector<int> inputs;   ///< tensor of each graph input
  std::vector<int> outputs;  ///< tensor of each graph output
  std::vector<graph::ValueInfo> input_infos;
  std::vector<graph::ValueInfo> output_infos;
};

/// Binds symbols that `bindings` does not name to 1. Errors name the node and say which operator,
/// attribute or shape the runtime cannot run.
Result<Plan> make_plan(const graph::Model& model, const graph::Graph& graph,
                       graph::Bindings bindings);

}  // namespace strata::runtime
