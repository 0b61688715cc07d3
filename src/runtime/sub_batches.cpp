#include "runtime/sub_batches.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>
namespace strata::runtime {
namespace {

using graph::Node;

/// What the tensors of a part may take: what a process can count on of a last-level cache. Smaller
/// parts are no faster, and threads share less work per step (see docs/kernels.md).
constexpr int64_t kCacheFloats = int64_t{8} * 1024 * 1024 / static_cast<int64_t>(sizeof(float));
/// Every step of every part is a route point. More of them serve no deadline and cost memory.
constexpr int64_t kMostParts = 32;
/// Share of the multiply-adds that products with single vectors may have.
constexpr double kMostOfVectors = 0.1;

template <size_t kCount>
bool contains(const std::array<std::string_view, kCount>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

/// Operators that work along inner dimensions of their first input, whatever their attributes say.
bool always_apart(const Node& node) {
  constexpr std::array<std::string_view, 26> kTypes = {
      "Abs",      "AveragePool", "BatchNormalization",
      "Cast",     "Clip",        "Conv",
      "Cos",      "Dropout",     "Elu",
      "Erf",      "Exp",         "GlobalAveragePool",
      "Gelu",     "HardSigmoid", "HardSwish",
      "Identity", "Log",         "GlobalMaxPool",
      "Neg",      "LeakyRelu",   "MaxPool",
      "Relu",     "Sin",         "Sigmoid",
      "Sqrt",     "Tanh"};
  return contains(kTypes, node.op_type);
}

/// Operators of our domain that take every cloud of a batch by itself.
bool takes_clouds(const Node& node) {
  constexpr std::array<std::string_view, 4> kTypes = {"BallQuery", "FarthestPointSampling",
                                                      "GatherPoints", "GroupPoints"};
  return node.domain == graph::kStrataDomain && contains(kTypes, node.op_type);
}

bool broadcasts(const Node& node) {
  constexpr std::array<std::string_view, 7> kTypes = {"Add", "Div", "Max", "Min",
                                                      "Mul", "Pow", "Sub"};
  return node.domain.empty() && contains(kTypes, node.op_type);
}

class Independence {
 public:
  Independence(const graph::Model& model, const graph::ValueTable& values, int64_t batch)
      : model_(model), values_(values), batch_(batch) {}

  [[nodiscard]] bool leads(std::string_view value) const {
    const graph::Shape& shape = values_.find(value)->second.shape;
    return !shape.empty() && shape.front() == graph::Dim(batch_);
  }

  [[nodiscard]] bool holds(const Node& node) const {
    bool any = false;
    for (const std::string& input : node.inputs) {
      if (input.empty() || is_stored(input)) continue;
      if (!leads(input)) return false;
      any = true;
    }
    for (const std::string& output : node.outputs) {
      if (!output.empty() && !leads(output)) return false;
    }
    return any && keeps_apart(node);
  }

 private:
  [[nodiscard]] bool is_stored(std::string_view value) const {
    return model_.find_parameter(value) != nullptr || model_.find_constant(value) != nullptr;
  }
  [[nodiscard]] size_t rank(std::string_view value) const {
    return values_.find(value)->second.shape.size();
  }
  /// Whether the axis, counted from the end if negative, is not the leading one.
  [[nodiscard]] static bool is_inner(int64_t axis, size_t rank) {
    return axis != 0 && axis != -static_cast<int64_t>(rank);
  }
  [[nodiscard]] static bool are_inner(const std::vector<int64_t>& axes, size_t rank) {
    return !axes.empty() && std::all_of(axes.begin(), axes.end(),
                                        [=](int64_t axis) { return is_inner(axis, rank); });
  }
  /// The axes that a constant input lists; none if there is no such constant.
  [[nodiscard]] std::vector<int64_t> listed(const Node& node, size_t input) const {
    if (input >= node.inputs.size()) return {};
    const graph::Constant* constant = model_.find_constant(node.inputs[input]);
    return constant == nullptr ? std::vector<int64_t>{}
                               : constant->integers().value_or(std::vector<int64_t>{});
  }

  /// Of a node whose computed inputs and whose outputs the batch leads.
  [[nodiscard]] bool keeps_apart(const Node& node) const {
    if (takes_clouds(node)) return true;
    if (!node.domain.empty()) return false;
    const std::string_view type = node.op_type;
    const size_t in = rank(node.inputs.front());
    if (broadcasts(node)) {
      const size_t out = rank(node.outputs.front());
      return std::all_of(node.inputs.begin(), node.inputs.end(), [&](const std::string& input) {
        const graph::Shape& shape = values_.find(input)->second.shape;
        if (!is_stored(input)) return shape.size() == out;
        return shape.size() < out || shape.front() == graph::Dim(1);
      });
    }
    if (type == "Concat") {
      return is_inner(node.attribute_int("axis", 0), in) &&
             std::none_of(node.inputs.begin(), node.inputs.end(),
                          [&](const std::string& input) { return is_stored(input); });
    }
    const bool first_alone =
        !is_stored(node.inputs.front()) &&
        std::all_of(node.inputs.begin() + 1, node.inputs.end(),
                    [&](const std::string& input) { return input.empty() || is_stored(input); });
    if (!first_alone) return false;
    if (always_apart(node)) return true;
    if (type == "Gemm") {
      return node.attribute_int("transA", 0) == 0 &&
             (node.inputs.size() < 3 || node.inputs[2].empty() || rank(node.inputs[2]) == 1);
    }
    if (type == "MatMul") return in >= 2 && rank(node.inputs[1]) == 2;
    // The leading dimension is the same before and after, so what lies behind it is, too.
    if (type == "Reshape") return true;
    if (type == "Flatten") return is_inner(node.attribute_int("axis", 1), in);
    if (type == "Softmax" || type == "LogSoftmax") {
      return is_inner(node.attribute_int("axis", -1), in) && in > 1;
    }
    if (type == "Transpose") {
      const std::vector<int64_t> order = node.attribute_ints("perm", {});
      return !order.empty() && order.front() == 0;
    }
    if (type == "Slice") return are_inner(listed(node, 3), in);
    if (type == "Pad") {
      const std::vector<int64_t> pads = node.attribute_ints("pads", {});
      return pads.size() == 2 * in && pads.front() == 0 && pads[in] == 0;
    }
    if (type == "ReduceMax" || type == "ReduceMean" || type == "ReduceMin" || type == "ReduceSum") {
      const std::vector<int64_t> axes = node.attribute_ints("axes", {});
      return are_inner(axes.empty() ? listed(node, 1) : axes, in);
    }
    return false;
  }

  const graph::Model& model_;
  const graph::ValueTable& values_;
  int64_t batch_;
};

/// Whether the inputs of a batch had better share what is read of the weights.
bool shares_weights(const Plan& one) {
  double vectors = 0;
  double all = 0;
  for (const Step& step : one.steps) {
    const auto macs = static_cast<double>(step.dense_macs);
    all += macs;
    // Recurrent layers and their like, which are products with vectors, too.
    const bool other = step.kind == StepKind::kOperator;
    const bool vector = step.kind == StepKind::kGemm &&
                        one.tensors[static_cast<size_t>(step.input)].size[0] < kMinBatchForLanes;
    if (other || vector) vectors += macs;
  }
  return vectors > kMostOfVectors * all;
}

/// Whether `count` times the part's data are the whole batch's.
bool fits(const Plan& part, const Plan& whole, int64_t count) {
  const auto same = [&](const std::vector<int>& parts, const std::vector<int>& wholes) {
    if (parts.size() != wholes.size()) return false;
    for (size_t i = 0; i < parts.size(); ++i) {
      if (count * part.tensors[static_cast<size_t>(parts[i])].elements() !=
          whole.tensors[static_cast<size_t>(wholes[i])].elements()) {
        return false;
      }
    }
    return true;
  };
  return same(part.inputs, whole.inputs) && same(part.outputs, whole.outputs);
}

}  // namespace

bool keeps_inputs_apart(const graph::Model& model, const graph::Graph& graph,
                        const graph::ValueTable& values, int64_t batch) {
  const Independence independence(model, values, batch);
  const auto leads = [&](const graph::ValueInfo& info) { return independence.leads(info.name); };
  return std::all_of(graph.inputs.begin(), graph.inputs.end(), leads) &&
         std::all_of(graph.outputs.begin(), graph.outputs.end(), leads) &&
         std::all_of(graph.nodes.begin(), graph.nodes.end(),
                     [&](const Node& node) { return independence.holds(node); });
}

Result<SubBatches> plan_sub_batches(const graph::Model& model, const graph::Graph& graph,
                                    const graph::Bindings& bindings,
                                    const kernels::TileSizes& tile_sizes, int threads, bool whole) {
  SubBatches all;
  STRATA_ASSIGN_OR_RETURN(all.plan, make_plan(model, graph, bindings));
  STRATA_ASSIGN_OR_RETURN(all.memory, plan_memory(all.plan, tile_sizes, threads));
  const graph::Bindings leading = graph::batch_sizes(graph, 1);
  if (leading.size() != 1) return all;
  const std::string& symbol = leading.begin()->first;
  const auto bound = bindings.find(symbol);
  const int64_t batch = bound == bindings.end() ? 1 : bound->second;
  if (whole || batch < 2 || all.memory.arena_floats <= kCacheFloats) return all;
  STRATA_ASSIGN_OR_RETURN(const graph::Bindings sizes, bind_all(model, graph, bindings));
  STRATA_ASSIGN_OR_RETURN(const graph::ValueTable values, graph::infer_shapes(model, graph, sizes));
  if (!keeps_inputs_apart(model, graph, values, batch)) return all;

  graph::Bindings of_part = bindings;
  // A graph that another batch does not fit, such as one that names sizes, is run as a whole.
  const auto plan_part = [&](int64_t count) -> std::optional<Plan> {
    of_part[symbol] = batch / count;
    Result<Plan> plan = make_plan(model, graph, of_part);
    if (!plan.ok() || !fits(*plan, all.plan, count)) return std::nullopt;
    return std::move(plan).value();
  };
  const std::optional<Plan> single = plan_part(batch);
  if (!single || shares_weights(*single)) return all;
  std::optional<SubBatches> best;
  for (int64_t count = 2; count <= std::min(batch, kMostParts); ++count) {
    if (batch % count != 0) continue;
    SubBatches parts;
    parts.count = count;
    std::optional<Plan> plan = plan_part(count);
    if (!plan) return all;
    parts.plan = std::move(*plan);
    STRATA_ASSIGN_OR_RETURN(parts.memory, plan_memory(parts.plan, tile_sizes, threads));
    const bool small = parts.memory.arena_floats <= kCacheFloats;
    best = std::move(parts);
    if (small) break;
  }
  if (!best) return all;
  best->plan.input_infos = std::move(all.plan.input_infos);
  best->plan.output_infos = std::move(all.plan.output_infos);
  return std::move(*best);
}

}  // namespace strata::runtime
