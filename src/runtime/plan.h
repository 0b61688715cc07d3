// A graph as a list of steps over tensors of known size: convolution or matrix product with
// normalisation, residual addition and ReLU in one step, and one step per operator for the rest.
// Knows nothing of weights or memory.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/status.h"
#include "graph/graph.h"
#include "kernels/operators/operator.h"
#include "kernels/sparse_gemm/panel_weights.h"
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
  kOperator,     ///< anything else, over whole tensors in row-major order (Step::kernel)
};

/// Whether a step can write planes with room around them; the others write row-major data only.
constexpr bool writes_planes(StepKind kind) {
  return kind != StepKind::kGemm && kind != StepKind::kReshape && kind != StepKind::kOperator;
}

/// Sizes of four dimensions as batch, channels, height, width. Any other tensor is a matrix with
/// the last dimension along it and the product of the others down; its height and width are 1.
struct PlanTensor {
  std::string name;
  graph::DataType type = graph::DataType::kFloat32;
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

/// What a step of kind kOperator reads at one place.
struct Operand {
  enum class Kind : uint8_t {
    kNone,       ///< omitted
    kTensor,     ///< of Plan::tensors
    kConstant,   ///< of Plan::constants
    kParameter,  ///< of Step::parameters
  } kind = Kind::kNone;
  int index = -1;
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

  std::shared_ptr<const kernels::OperatorKernel> kernel;  ///< of kOperator, as all below
  std::vector<Operand> operands;                          ///< `input` is the first tensor, or -1
  std::vector<int> results;             ///< tensors, -1 where unread; `output` is the first
  std::vector<std::string> parameters;  ///< that operands name

  int64_t dense_macs = 0;
  int64_t macs_per_nonzero = 0;

  /// Tensors that the step reads and writes.
  [[nodiscard]] std::vector<int> reads() const;
  [[nodiscard]] std::vector<int> writes() const;
};

struct Plan {
  std::vector<PlanTensor> tensors;
  std::vector<graph::Constant> constants;  ///< that operands name
  std::vector<Step> steps;
  std::vector<int> inputs;   ///< tensor of each graph input
  std::vector<int> outputs;  ///< tensor of each graph output
  std::vector<graph::ValueInfo> input_infos;
  std::vector<graph::ValueInfo> output_infos;
};

/// How the weight of a product (kGemm) with few vectors is packed.
kernels::PanelShape product_panels(const Plan& plan, const Step& step);

/// `bindings`, and for the symbols of the graph's inputs that it does not name the usual sizes,
/// or 1.
Result<graph::Bindings> bind_all(const graph::Model& model, const graph::Graph& graph,
                                 graph::Bindings bindings);

/// Binds symbols as bind_all(). Errors name the node and say which operator, attribute or shape the
/// runtime cannot run.
Result<Plan> make_plan(const graph::Model& model, const graph::Graph& graph,
                       const graph::Bindings& bindings);

}  // namespace strata::runtime
