// Walks the nodes in their order. A node that computes starts a step, which then absorbs the nodes
// behind it as long as nobody else reads the value in between.
#include "runtime/plan.h"

#include <algorithm>
#include <cctype>
#include <iterator>
#include <map>
#include <set>
#include <string_view>
#include <utility>

#include "graph/window.h"

namespace strata::runtime {
namespace {

using graph::Node;

/// PlanTensor::size of a value. Errors: a size that is not known, or 0.
Result<std::array<int64_t, 4>> plan_size(const graph::ValueInfo& value) {
  const graph::Shape& shape = value.shape;
  std::array<int64_t, 4> size = {1, 1, 1, 1};
  for (size_t i = 0; i < shape.size(); ++i) {
    if (!shape[i].known()) {
      return invalid_argument("value '" + value.name + "' has shape " + to_string(shape) +
                              ", every dimension must be known to run it");
    }
    if (shape[i].value() == 0) {
      return unsupported("value '" + value.name + "' has shape " + to_string(shape) +
                         ", it is empty");
    }
    const size_t place = shape.size() == 4 ? i : i + 1 == shape.size() ? 1 : 0;
    size[place] *= shape[i].value();
  }
  return size;
}

/// Whether there is a kind of step for this operator.
bool has_kind_of_its_own(const Node& node) {
  constexpr std::array<std::string_view, 5> kTypes = {"AveragePool", "Conv", "GlobalAveragePool",
                                                      "MaxPool", "Pad"};
  return node.domain.empty() &&
         std::find(kTypes.begin(), kTypes.end(), node.op_type) != kTypes.end();
}

bool is_reshape(const Node& node) {
  return node.domain.empty() && (node.op_type == "Identity" || node.op_type == "Dropout" ||
                                 node.op_type == "Flatten" || node.op_type == "Reshape");
}

class Planner {
 public:
  Planner(const graph::Model& model, const graph::Graph& graph, graph::ValueTable values)
      : model_(model), graph_(graph), values_(std::move(values)) {}

  Result<Plan> make();

 private:
  Status plan_node(const Node& node);
  /// As a step of a kind of its own. Errors (kUnsupported): there is none for this node.
  Status plan_special(const Node& node, Step& step);
  /// As a step of kind kOperator.
  Status plan_operator(const Node& node, Step& step);
  Status plan_reshape(const Node& node, Step& step);
  Status plan_conv(const Node& node, Step& step);
  Status plan_gemm(const Node& node, Step& step);
  Status plan_pool(const Node& node, Step& step);
  Status plan_pad(const Node& node, Step& step);
  Status plan_add(const Node& node, Step& step);
  /// Absorbs what follows the value `name` into `step`; returns the name of the last value.
  std::string fuse(Step& step, std::string name);
  [[nodiscard]] bool fuse_into(Step& step, const std::string& name, const Node& next);
  [[nodiscard]] const Node* only_reader(const std::string& name) const;
  void absorb_normalisation(const Node& node, Step& step) const;

  Result<int> add_tensor(const std::string& name);
  /// Of a step that computes with floats. `rank` 0 allows every count of dimensions.
  [[nodiscard]] Status require_input(const Node& node, Step& step, size_t rank = 0) const;
  [[nodiscard]] Status require_parameter(const std::string& name) const;
  /// Whether the tensor can have room for whole blocks; a graph input lies in the caller's memory.
  [[nodiscard]] bool has_planes(int tensor) const;

  const graph::Model& model_;
  const graph::Graph& graph_;
  graph::ValueTable values_;
  std::map<std::string, std::vector<const Node*>, std::less<>> readers_;
  std::set<std::string, std::less<>> graph_outputs_;
  std::map<std::string, int, std::less<>> tensor_of_;  ///< of values computed so far
  std::set<const Node*> absorbed_;
  Plan plan_;
};

Result<int> Planner::add_tensor(const std::string& name) {
  const auto value = values_.find(name);
  if (value == values_.end()) return internal_error("value '" + name + "' has no shape");
  STRATA_ASSIGN_OR_RETURN(const auto size, plan_size(value->second));
  plan_.tensors.push_back({name, value->second.type, size});
  const int tensor = static_cast<int>(plan_.tensors.size()) - 1;
  tensor_of_[name] = tensor;
  return tensor;
}

Status Planner::require_input(const Node& node, Step& step, size_t rank) const {
  const auto found = tensor_of_.find(node.inputs[0]);
  if (found == tensor_of_.end()) {
    return unsupported("its input '" + node.inputs[0] +
                       "' is a parameter, the runtime needs it to " + "be computed");
  }
  const graph::ValueInfo& value = values_.find(node.inputs[0])->second;
  if (value.type != graph::DataType::kFloat32) {
    return unsupported("its input '" + value.name + "' is of type " +
                       std::string(graph::to_string(value.type)) + ", the runtime needs float32");
  }
  if (rank != 0 && value.shape.size() != rank) {
    return unsupported("its input '" + value.name + "' has shape " + to_string(value.shape) +
                       ", the runtime runs " + std::to_string(rank) + " dimensions");
  }
  step.input = found->second;
  return {};
}

Status Planner::require_parameter(const std::string& name) const {
  if (model_.find_parameter(name) != nullptr) return {};
  return unsupported("its input '" + name +
                     "' is computed, the runtime needs it to be a parameter");
}

bool Planner::has_planes(int tensor) const {
  return std::any_of(plan_.steps.begin(), plan_.steps.end(), [&](const Step& step) {
    return step.output == tensor && writes_planes(step.kind);
  });
}

const Node* Planner::only_reader(const std::string& name) const {
  const auto found = readers_.find(name);
  if (found == readers_.end() || found->second.size() != 1 || graph_outputs_.contains(name)) {
    return nullptr;
  }
  return found->second[0];
}

void Planner::absorb_normalisation(const Node& node, Step& step) const {
  step.normalisations.push_back({node.inputs[1], node.inputs[2], node.inputs[3], node.inputs[4],
                                 node.attribute_float("epsilon", 1e-5F)});
}

bool Planner::fuse_into(Step& step, const std::string& name, const Node& next) {
  if (step.relu || !next.domain.empty()) return false;
  if (next.op_type == "Relu") {
    step.relu = true;
    return true;
  }
  const size_t rank = values_.find(name)->second.shape.size();
  if (next.op_type == "BatchNormalization" && next.inputs[0] == name && step.addend < 0 &&
      (rank == 2 || rank == 4) &&
      std::all_of(next.inputs.begin() + 1, next.inputs.end(),
                  [&](const std::string& input) { return require_parameter(input).ok(); })) {
    absorb_normalisation(next, step);
    return true;
  }
  if (next.op_type == "Add" && step.kind == StepKind::kGemm) {
    const std::string& other = next.inputs[next.inputs[0] == name ? 1 : 0];
    const graph::Parameter* bias = model_.find_parameter(other);
    if (bias == nullptr || bias->role == graph::ParameterRole::kWeight || !step.bias.empty() ||
        !step.normalisations.empty() ||
        bias->shape != std::vector<int64_t>{values_.find(name)->second.shape.back().value()}) {
      return false;
    }
    step.bias = other;
    return true;
  }
  if (next.op_type == "Add" && step.addend < 0) {
    const std::string& other = next.inputs[next.inputs[0] == name ? 1 : 0];
    const auto tensor = tensor_of_.find(other);
    if (tensor == tensor_of_.end()) return false;
    if (step.kind == StepKind::kConv && !has_planes(tensor->second)) return false;
    if (values_.find(other)->second.shape != values_.find(name)->second.shape) return false;
    step.addend = tensor->second;
    return true;
  }
  return false;
}

std::string Planner::fuse(Step& step, std::string name) {
  for (const Node* next = only_reader(name); next != nullptr && fuse_into(step, name, *next);
       next = only_reader(name)) {
    absorbed_.insert(next);
    name = next->outputs[0];
  }
  return name;
}

Status read_plan_window(const Node& node, std::vector<int64_t> kernel, kernels::Window& window) {
  if (kernel.size() != 2) {
    return unsupported("it has " + std::to_string(kernel.size()) +
                       " spatial axes, the runtime runs 2");
  }
  STRATA_ASSIGN_OR_RETURN(const graph::Window read, graph::read_window(node, std::move(kernel)));
  for (size_t axis = 0; axis < 2; ++axis) {
    window.kernel[axis] = read.kernel[axis];
    window.stride[axis] = read.strides[axis];
    window.dilation[axis] = read.dilations[axis];
    window.pad_begin[axis] = read.pads_begin[axis];
    window.pad_end[axis] = read.pads_end[axis];
  }
  return {};
}

Status Planner::plan_conv(const Node& node, Step& step) {
  step.kind = StepKind::kConv;
  STRATA_RETURN_IF_ERROR(require_input(node, step, 4));
  STRATA_RETURN_IF_ERROR(require_parameter(node.inputs[1]));
  const graph::Parameter& weight = *model_.find_parameter(node.inputs[1]);
  step.weight = weight.name;
  STRATA_RETURN_IF_ERROR(read_plan_window(
      node, std::vector<int64_t>(weight.shape.begin() + 2, weight.shape.end()), step.window));
  step.group = node.attribute_int("group", 1);
  if (node.inputs.size() > 2 && !node.inputs[2].empty()) {
    STRATA_RETURN_IF_ERROR(require_parameter(node.inputs[2]));
    step.bias = node.inputs[2];
  }
  step.label = "conv" + std::to_string(weight.shape[2]) + "x" + std::to_string(weight.shape[3]);
  return {};
}

Status Planner::plan_gemm(const Node& node, Step& step) {
  step.kind = StepKind::kGemm;
  STRATA_RETURN_IF_ERROR(require_input(node, step));
  STRATA_RETURN_IF_ERROR(require_parameter(node.inputs[1]));
  const graph::Parameter& weight = *model_.find_parameter(node.inputs[1]);
  if (weight.role != graph::ParameterRole::kWeight || weight.shape.size() != 2) {
    return unsupported("the parameter '" + weight.name + "' is no matrix of weights");
  }
  step.weight = weight.name;
  step.label = "gemm";
  if (node.op_type == "MatMul") {
    const graph::Shape& input = values_.find(node.inputs[0])->second.shape;
    if (input.size() < 2 || input.size() == 4) {
      return unsupported("an input of shape " + to_string(input) + " is no list of rows");
    }
    step.weight_by_input = true;
    return {};
  }
  if (node.attribute_int("transA", 0) != 0) {
    return unsupported("attribute 'transA' must be 0");
  }
  step.weight_by_input = node.attribute_int("transB", 0) == 0;
  step.alpha = node.attribute_float("alpha", 1);
  step.beta = node.attribute_float("beta", 1);
  if (node.inputs.size() > 2 && !node.inputs[2].empty()) {
    STRATA_RETURN_IF_ERROR(require_parameter(node.inputs[2]));
    step.bias = node.inputs[2];
    const graph::Parameter& bias = *model_.find_parameter(step.bias);
    const graph::Shape& output = values_.find(node.outputs[0])->second.shape;
    if (bias.shape.size() != 1 || bias.shape[0] != output[1].value()) {
      return unsupported("the bias '" + bias.name + "' must be a vector of " +
                         std::to_string(output[1].value()) + " elements");
    }
  }
  return {};
}

Status Planner::plan_pool(const Node& node, Step& step) {
  STRATA_RETURN_IF_ERROR(require_input(node, step, 4));
  if (node.op_type == "GlobalAveragePool") {
    step.kind = StepKind::kAveragePool;
    const auto& size = plan_.tensors[static_cast<size_t>(step.input)].size;
    step.window.kernel = {size[2], size[3]};
    step.label = "avgpool";
    return {};
  }
  const bool maximum = node.op_type == "MaxPool";
  step.kind = maximum ? StepKind::kMaxPool : StepKind::kAveragePool;
  step.label = maximum ? "maxpool" : "avgpool";
  step.count_include_pad = node.attribute_int("count_include_pad", 0) != 0;
  return read_plan_window(node, node.attribute_ints("kernel_shape", {}), step.window);
}

Status Planner::plan_pad(const Node& node, Step& step) {
  step.kind = StepKind::kPad;
  step.label = "pad";
  STRATA_RETURN_IF_ERROR(require_input(node, step, 4));
  if (node.attribute_string("mode", "constant") != "constant" ||
      node.attribute_float("value", 0) != 0) {
    return unsupported("the runtime pads planes with zeros only");
  }
  const std::vector<int64_t> pads = node.attribute_ints("pads", {});
  for (size_t i = 0; i < pads.size() / 2; ++i) step.origin[i] = pads[i];
  return {};
}

Status Planner::plan_add(const Node& node, Step& step) {
  step.label = "add";
  STRATA_RETURN_IF_ERROR(require_input(node, step));
  const auto other = tensor_of_.find(node.inputs[1]);
  if (other == tensor_of_.end()) {
    return unsupported("its input '" + node.inputs[1] +
                       "' is a parameter, the runtime needs it to be computed");
  }
  const graph::Shape& a = values_.find(node.inputs[0])->second.shape;
  const graph::Shape& b = values_.find(node.inputs[1])->second.shape;
  if (a != b) {
    return unsupported("the runtime adds equal shapes only, these are " + to_string(a) + " and " +
                       to_string(b));
  }
  step.addend = other->second;
  return {};
}

Status Planner::plan_special(const Node& node, Step& step) {
  const std::string& type = node.op_type;
  if (!node.domain.empty()) return unsupported("it is not one of ONNX's operators");
  if (type == "Conv") return plan_conv(node, step);
  if (type == "Gemm" || type == "MatMul") return plan_gemm(node, step);
  if (type == "MaxPool" || type == "AveragePool" || type == "GlobalAveragePool") {
    return plan_pool(node, step);
  }
  if (type == "Pad") return plan_pad(node, step);
  if (type == "Add") return plan_add(node, step);
  if (type == "Relu") {
    step.label = "relu";
    step.relu = true;
    return require_input(node, step);
  }
  if (type == "BatchNormalization") {
    step.label = "batchnorm";
    const size_t rank = values_.find(node.inputs[0])->second.shape.size();
    STRATA_RETURN_IF_ERROR(require_input(node, step, rank == 2 ? 2 : 4));
    for (size_t i = 1; i < 5; ++i) STRATA_RETURN_IF_ERROR(require_parameter(node.inputs[i]));
    absorb_normalisation(node, step);
    return {};
  }
  return unsupported("there is no step of a kind of its own for it");
}

Status Planner::plan_operator(const Node& node, Step& step) {
  step.kind = StepKind::kOperator;
  for (const char letter : node.op_type) {
    step.label += static_cast<char>(std::tolower(static_cast<unsigned char>(letter)));
  }
  const auto spec_of = [](const graph::ValueInfo& value) {
    kernels::TensorSpec spec{true, value.type, {}};
    for (const graph::Dim& dim : value.shape) spec.shape.push_back(dim.value());
    return spec;
  };
  kernels::OperatorSite site{node, {}, {}, {}, {}};
  for (const std::string& name : node.inputs) {
    Operand operand;
    const graph::Constant* constant = nullptr;
    if (const auto tensor = tensor_of_.find(name); tensor != tensor_of_.end()) {
      operand = {Operand::Kind::kTensor, tensor->second};
      if (step.input < 0) step.input = tensor->second;
    } else if (constant = model_.find_constant(name); constant != nullptr) {
      operand = {Operand::Kind::kConstant, static_cast<int>(plan_.constants.size())};
      plan_.constants.push_back(*constant);
    } else if (!name.empty()) {
      operand = {Operand::Kind::kParameter, static_cast<int>(step.parameters.size())};
      step.parameters.push_back(name);
    }
    step.operands.push_back(operand);
    site.inputs.push_back(name.empty() ? kernels::TensorSpec()
                                       : spec_of(values_.find(name)->second));
    site.constants.push_back(constant);
    const graph::Parameter* parameter =
        operand.kind == Operand::Kind::kParameter ? model_.find_parameter(name) : nullptr;
    site.weights.push_back(parameter != nullptr &&
                           parameter->role == graph::ParameterRole::kWeight);
  }
  for (const std::string& name : node.outputs) {
    if (!name.empty()) STRATA_RETURN_IF_ERROR(plan_size(values_.find(name)->second).status());
    site.outputs.push_back(name.empty() ? kernels::TensorSpec()
                                        : spec_of(values_.find(name)->second));
  }
  STRATA_ASSIGN_OR_RETURN(step.kernel, kernels::make_operator(site));
  for (size_t i = 0; i < site.inputs.size(); ++i) {
    if (site.inputs[i].present && !site.weights[i] && step.kernel->panels(i)) {
      return unsupported("its input '" + node.inputs[i] +
                         "' is no weight of the model, which the runtime needs it to be");
    }
  }
  for (const std::string& name : node.outputs) {
    int tensor = -1;
    if (!name.empty()) {
      STRATA_ASSIGN_OR_RETURN(tensor, add_tensor(name));
    }
    step.results.push_back(tensor);
    if (step.output < 0) step.output = tensor;
  }
  return {};
}

/// A reshaped tensor with the same PlanTensor::size is the same tensor.
Status Planner::plan_reshape(const Node& node, Step& step) {
  const auto input = tensor_of_.find(node.inputs[0]);
  if (input == tensor_of_.end()) {
    return unsupported("its input '" + node.inputs[0] +
                       "' is a parameter, the runtime needs it to be computed");
  }
  STRATA_ASSIGN_OR_RETURN(const auto size, plan_size(values_.find(node.outputs[0])->second));
  if (size == plan_.tensors[static_cast<size_t>(input->second)].size) {
    tensor_of_[node.outputs[0]] = input->second;
    return {};
  }
  step.kind = StepKind::kReshape;
  step.label = "reshape";
  step.input = input->second;
  STRATA_ASSIGN_OR_RETURN(step.output, add_tensor(node.outputs[0]));
  plan_.steps.push_back(std::move(step));
  return {};
}

Status Planner::plan_node(const Node& node) {
  Step step;
  step.name = node.name;
  if (is_reshape(node)) return plan_reshape(node, step);
  Status special = plan_special(node, step);
  if (special.ok()) {
    const bool fusible = step.kind == StepKind::kConv || step.kind == StepKind::kGemm ||
                         step.kind == StepKind::kElementwise;
    const std::string result = fusible ? fuse(step, node.outputs[0]) : node.outputs[0];
    STRATA_ASSIGN_OR_RETURN(step.output, add_tensor(result));
  } else {
    if (special.code() != StatusCode::kUnsupported) return special;
    step = Step();
    step.name = node.name;
    const Status general = plan_operator(node, step);
    // Where a kind of its own exists, its reason says more.
    if (!general.ok()) return has_kind_of_its_own(node) ? special : general;
  }
  plan_.steps.push_back(std::move(step));
  return {};
}

Result<Plan> Planner::make() {
  for (const Node& node : graph_.nodes) {
    for (const std::string& input : node.inputs) readers_[input].push_back(&node);
  }
  for (const graph::ValueInfo& output : graph_.outputs) graph_outputs_.insert(output.name);
  const std::string where = "graph '" + graph_.name + "': ";
  for (const graph::ValueInfo& input : graph_.inputs) {
    Result<int> tensor = add_tensor(input.name);
    if (!tensor.ok()) return Status(tensor.status().code(), where + tensor.status().message());
    plan_.inputs.push_back(*tensor);
    plan_.input_infos.push_back(values_.find(input.name)->second);
  }
  for (const Node& node : graph_.nodes) {
    if (absorbed_.contains(&node)) continue;
    if (Status status = plan_node(node); !status.ok()) {
      return Status(status.code(),
                    where + "node '" + node.name + "' (" + node.op_type + "): " + status.message());
    }
  }
  for (const graph::ValueInfo& output : graph_.outputs) {
    const auto tensor = tensor_of_.find(output.name);
    if (tensor == tensor_of_.end()) {
      return unsupported(where + "output '" + output.name + "' is a parameter");
    }
    plan_.outputs.push_back(tensor->second);
    plan_.output_infos.push_back(values_.find(output.name)->second);
  }
  return std::move(plan_);
}

}  // namespace

std::vector<int> Step::reads() const {
  std::vector<int> tensors;
  for (const int tensor : {input, addend}) {
    if (tensor >= 0) tensors.push_back(tensor);
  }
  for (const Operand& operand : operands) {
    if (operand.kind == Operand::Kind::kTensor) tensors.push_back(operand.index);
  }
  return tensors;
}

std::vector<int> Step::writes() const {
  if (kind != StepKind::kOperator) return {output};
  std::vector<int> tensors;
  std::copy_if(results.begin(), results.end(), std::back_inserter(tensors),
               [](int tensor) { return tensor >= 0; });
  return tensors;
}

kernels::PanelShape product_panels(const Plan& plan, const Step& step) {
  return {.units = plan.tensors[static_cast<size_t>(step.output)].size[1],
          .columns = plan.tensors[static_cast<size_t>(step.input)].size[1],
          .by_input = step.weight_by_input};
}

Result<graph::Bindings> bind_all(const graph::Model& model, const graph::Graph& graph,
                                 graph::Bindings bindings) {
  STRATA_ASSIGN_OR_RETURN(const graph::Bindings usual, graph::usual_sizes(model));
  bindings.insert(usual.begin(), usual.end());
  for (const graph::ValueInfo& input : graph.inputs) {
    for (const graph::Dim& dim : input.shape) {
      if (!dim.symbol().empty()) bindings.try_emplace(dim.symbol(), 1);
    }
  }
  return bindings;
}

Result<Plan> make_plan(const graph::Model& model, const graph::Graph& graph,
                       const graph::Bindings& sizes) {
  STRATA_ASSIGN_OR_RETURN(const graph::Bindings bindings, bind_all(model, graph, sizes));
  STRATA_ASSIGN_OR_RETURN(graph::ValueTable values, graph::infer_shapes(model, graph, bindings));
  Planner planner(model, graph, std::move(values));
  STRATA_ASSIGN_OR_RETURN(Plan plan, planner.make());
  STRATA_ASSIGN_OR_RETURN(const std::vector<graph::NodeCost> costs,
                          graph::count_macs(model, graph, bindings));
  for (Step& step : plan.steps) {
    for (const graph::NodeCost& cost : costs) {
      if (graph.nodes[cost.node].name == step.name) {
        step.dense_macs += cost.dense_macs;
        step.macs_per_nonzero = cost.macs_per_nonzero;
      }
    }
  }
  return plan;
}

}  // namespace strata::runtime
