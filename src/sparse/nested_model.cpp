// Whether a nested model is whole, the folding of batch-norm statistics into one scale and one
// shift per channel and level, and one level as a model of its own.
#include "sparse/nested_model.h"

#include <array>
#include <cmath>
#include <string_view>
#include <utility>

namespace strata::sparse {

namespace {

constexpr std::string_view kBatchNormalization = "BatchNormalization";
constexpr float kDefaultEpsilon = 1e-5F;  // onnx.BatchNormalization

std::string quoted(std::string_view name) { return "'" + std::string(name) + "'"; }

Status check_weight(const NestedModel& nested, const graph::Parameter& parameter) {
  const auto found = nested.weights.find(parameter.name);
  if (found == nested.weights.end()) {
    return invalid_argument("weight " + quoted(parameter.name) + ": the model has no values of it");
  }
  const NestedTensor& tensor = found->second;
  if (tensor.shape != parameter.shape) {
    return invalid_argument("weight " + quoted(parameter.name) +
                            ": its shape differs from the shape that the graphs declare");
  }
  if (tensor.increments.size() != static_cast<size_t>(nested.level_count)) {
    return invalid_argument("weight " + quoted(parameter.name) + ": it has " +
                            std::to_string(tensor.increments.size()) + " levels, the model has " +
                            std::to_string(nested.level_count));
  }
  return check(tensor, parameter.name);
}

Status check_vector(const NestedModel& nested, const graph::Parameter& parameter) {
  for (size_t level = 0; level < nested.vectors.size(); ++level) {
    const std::string prefix =
        "parameter " + quoted(parameter.name) + ", level " + std::to_string(level) + ": ";
    const auto found = nested.vectors[level].find(parameter.name);
    if (found == nested.vectors[level].end()) {
      return invalid_argument(prefix + "the model has no values of it");
    }
    const std::vector<float>& values = found->second;
    if (static_cast<int64_t>(values.size()) != parameter.element_count()) {
      return invalid_argument(prefix + "it has " + std::to_string(values.size()) +
                              " values, the graphs declare " +
                              std::to_string(parameter.element_count()));
    }
    for (size_t i = 0; i < values.size(); ++i) {
      if (!std::isfinite(values[i])) {
        return invalid_argument(prefix + "value " + std::to_string(i) + " is not finite");
      }
      if (parameter.role == graph::ParameterRole::kVariance && values[i] < 0.0F) {
        return invalid_argument(prefix + "value " + std::to_string(i) +
                                " is negative, a variance cannot be");
      }
    }
  }
  return {};
}

/// The parameters of one batch normalisation, and what else its folding depends on.
struct Normalisation {
  std::array<std::string, 4> parameters;  ///< scale, shift, mean, variance
  float epsilon = kDefaultEpsilon;
  std::string node;
  bool operator==(const Normalisation& other) const {
    return parameters == other.parameters && epsilon == other.epsilon;
  }
};

bool is_batch_normalisation(const graph::Node& node) {
  return node.op_type == kBatchNormalization && node.domain.empty();
}

Result<Normalisation> read_normalisation(const graph::Node& node) {
  if (node.inputs.size() != 5) {
    return invalid_argument("node " + quoted(node.name) + " (BatchNormalization): it has " +
                            std::to_string(node.inputs.size()) + " inputs, it needs 5");
  }
  if (node.attribute_int("training_mode", 0) != 0) {
    return unsupported("node " + quoted(node.name) +
                       " (BatchNormalization): training_mode is set, so its statistics come from "
                       "the data and cannot be folded");
  }
  Normalisation normalisation;
  for (size_t i = 0; i < 4; ++i) normalisation.parameters[i] = node.inputs[i + 1];
  normalisation.epsilon = node.attribute_float("epsilon", kDefaultEpsilon);
  normalisation.node = node.name;
  return normalisation;
}

/// Every normalisation once. Refuses parameters that anything else uses differently: folding would
/// change that other use.
Result<std::vector<Normalisation>> read_normalisations(const graph::Model& model) {
  std::vector<Normalisation> all;
  std::map<std::string, size_t, std::less<>> owner;  // parameter -> index into `all`
  for (const graph::Graph& graph : model.graphs) {
    for (const graph::Node& node : graph.nodes) {
      if (!is_batch_normalisation(node)) continue;
      STRATA_ASSIGN_OR_RETURN(Normalisation normalisation, read_normalisation(node));
      for (const std::string& parameter : normalisation.parameters) {
        const auto [place, first] = owner.emplace(parameter, all.size());
        if (!first && (place->second == all.size() || !(all[place->second] == normalisation))) {
          return unsupported("node " + quoted(node.name) +
                             " (BatchNormalization): it shares the parameter " + quoted(parameter) +
                             " but not the rest, so its statistics cannot be folded");
        }
      }
      if (owner.at(normalisation.parameters[0]) == all.size()) {
        all.push_back(std::move(normalisation));
      }
    }
  }
  for (const graph::Graph& graph : model.graphs) {
    for (const graph::Node& node : graph.nodes) {
      const size_t data_inputs = is_batch_normalisation(node) ? 1 : node.inputs.size();
      for (size_t i = 0; i < data_inputs; ++i) {
        if (owner.contains(node.inputs[i])) {
          return unsupported("node " + quoted(node.name) + " (" + node.op_type + "): it uses " +
                             quoted(node.inputs[i]) +
                             ", which a BatchNormalization owns, so that cannot be folded");
        }
      }
    }
  }
  return all;
}

Status fold(const Normalisation& normalisation, size_t level, VectorTable& vectors) {
  std::array<std::vector<float>*, 4> operand{};
  for (size_t i = 0; i < operand.size(); ++i) {
    const auto found = vectors.find(normalisation.parameters[i]);
    if (found == vectors.end()) {
      return invalid_argument("node " + quoted(normalisation.node) +
                              " (BatchNormalization): " + quoted(normalisation.parameters[i]) +
                              " has no values in level " + std::to_string(level));
    }
    operand[i] = &found->second;
    if (operand[i]->size() != operand[0]->size()) {
      return invalid_argument("node " + quoted(normalisation.node) +
                              " (BatchNormalization): " + quoted(normalisation.parameters[i]) +
                              " has " + std::to_string(operand[i]->size()) + " channels in level " +
                              std::to_string(level) + ", " + quoted(normalisation.parameters[0]) +
                              " has " + std::to_string(operand[0]->size()));
    }
  }
  auto& [scale, shift, mean, variance] = operand;
  for (size_t c = 0; c < scale->size(); ++c) {
    const double deviation =
        std::sqrt(static_cast<double>((*variance)[c]) + static_cast<double>(normalisation.epsilon));
    const double folded_scale = static_cast<double>((*scale)[c]) / deviation;
    const double folded_shift =
        static_cast<double>((*shift)[c]) - static_cast<double>((*mean)[c]) * folded_scale;
    (*scale)[c] = static_cast<float>(folded_scale);
    (*shift)[c] = static_cast<float>(folded_shift);
    (*mean)[c] = 0.0F;
    (*variance)[c] = 1.0F;
    if (!std::isfinite((*scale)[c]) || !std::isfinite((*shift)[c])) {
      return invalid_argument("node " + quoted(normalisation.node) +
                              " (BatchNormalization): channel " + std::to_string(c) + " of level " +
                              std::to_string(level) +
                              " has no finite scale and shift; its variance plus epsilon must be "
                              "positive");
    }
  }
  return {};
}

}  // namespace

Status check(const NestedModel& nested) {
  if (nested.level_count < 1) {
    return invalid_argument("the model has " + std::to_string(nested.level_count) +
                            " levels; it needs at least one");
  }
  if (nested.vectors.size() != static_cast<size_t>(nested.level_count)) {
    return invalid_argument("the model has vectors of " + std::to_string(nested.vectors.size()) +
                            " levels, but " + std::to_string(nested.level_count) + " levels");
  }
  STRATA_RETURN_IF_ERROR(graph::validate(nested.model));
  for (const graph::Parameter& parameter : nested.model.parameters) {
    STRATA_RETURN_IF_ERROR(parameter.role == graph::ParameterRole::kWeight
                               ? check_weight(nested, parameter)
                               : check_vector(nested, parameter));
  }
  for (const auto& [name, tensor] : nested.weights) {
    const graph::Parameter* parameter = nested.model.find_parameter(name);
    if (parameter == nullptr || parameter->role != graph::ParameterRole::kWeight) {
      return invalid_argument("weight " + quoted(name) + ": the graphs declare no such weight");
    }
  }
  for (size_t level = 0; level < nested.vectors.size(); ++level) {
    for (const auto& [name, values] : nested.vectors[level]) {
      const graph::Parameter* parameter = nested.model.find_parameter(name);
      if (parameter == nullptr || parameter->role == graph::ParameterRole::kWeight) {
        return invalid_argument("parameter " + quoted(name) + ", level " + std::to_string(level) +
                                ": the graphs declare no such vector");
      }
    }
  }
  return {};
}

Status fold_normalisation(NestedModel& nested) {
  STRATA_ASSIGN_OR_RETURN(const std::vector<Normalisation> normalisations,
                          read_normalisations(nested.model));
  std::vector<VectorTable> folded = nested.vectors;  // an error leaves the model as it was
  for (size_t level = 0; level < folded.size(); ++level) {
    for (const Normalisation& normalisation : normalisations) {
      STRATA_RETURN_IF_ERROR(fold(normalisation, level, folded[level]));
    }
  }
  nested.vectors = std::move(folded);
  for (graph::Graph& graph : nested.model.graphs) {
    for (graph::Node& node : graph.nodes) {
      if (is_batch_normalisation(node)) node.attributes["epsilon"] = 0.0F;
    }
  }
  return {};
}

Result<NestedModel> level_alone(const NestedModel& nested, int level) {
  if (level < 0 || level >= nested.level_count) {
    return invalid_argument("level " + std::to_string(level) + " does not exist, the model has " +
                            std::to_string(nested.level_count) + " levels");
  }
  NestedModel alone;
  alone.model = nested.model;
  alone.level_count = 1;
  alone.vectors = {nested.vectors[static_cast<size_t>(level)]};
  alone.record = nested.record;
  for (const auto& [name, tensor] : nested.weights) {
    const std::vector<std::vector<float>> dense = {densify(tensor, level)};
    STRATA_ASSIGN_OR_RETURN(alone.weights[name], nest_levels(tensor.shape, dense));
  }
  return alone;
}

}  // namespace strata::sparse
