// What the session tests share: nested models with random weights and random normalisation at
// every level, inputs, and the comparison with the naive executor.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "models/resnet.h"
#include "naive_executor.h"
#include "runtime/session.h"
#include "sparse/nested_model.h"

namespace strata::testing {

inline std::vector<float> random_values(size_t count, uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> values(count);
  for (float& value : values) value = normal(random);
  return values;
}

/// Nests random weights of the given densities (one per level, ascending) and draws every vector of
/// every level; tensors that are not prunable are dense.
inline sparse::NestedModel random_nested(graph::Model model, const std::vector<double>& densities,
                                         uint32_t seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<double> uniform(0, 1);
  std::normal_distribution<float> normal;
  sparse::NestedModel nested;
  nested.level_count = static_cast<int>(densities.size());
  nested.vectors.resize(densities.size());
  for (const graph::Parameter& parameter : model.parameters) {
    const auto count = static_cast<size_t>(parameter.element_count());
    if (parameter.role == graph::ParameterRole::kWeight) {
      const int64_t fan_in = std::max<int64_t>(1, parameter.element_count() / parameter.shape[0]);
      const double density = parameter.prunable ? densities.back() : 1.0;
      const auto deviation =
          static_cast<float>(std::sqrt(2.0 / (static_cast<double>(fan_in) * density)));
      std::vector<float> values(count);
      std::vector<std::vector<uint8_t>> masks(densities.size(), std::vector<uint8_t>(count));
      for (size_t i = 0; i < count; ++i) {
        values[i] = normal(random) * deviation;
        const double place = parameter.prunable ? uniform(random) : 0;
        for (size_t level = 0; level < densities.size(); ++level) {
          masks[level][i] = place < densities[level] ? 1 : 0;
        }
      }
      auto tensor = sparse::nest(parameter.shape, values, masks);
      EXPECT_TRUE(tensor.ok()) << tensor.status().message();
      nested.weights[parameter.name] = std::move(tensor).value();
      continue;
    }
    for (sparse::VectorTable& table : nested.vectors) {
      std::vector<float> values(count);
      for (float& value : values) {
        const auto share = static_cast<float>(uniform(random));
        switch (parameter.role) {
          case graph::ParameterRole::kScale:
            value = 0.5F + share;
            break;
          case graph::ParameterRole::kVariance:
            value = 0.5F + 2 * share;
            break;
          default:
            value = 0.5F * normal(random);
        }
      }
      table[parameter.name] = std::move(values);
    }
  }
  nested.model = std::move(model);
  return nested;
}

inline graph::Model resnet(const std::string& name, int64_t height, int64_t width,
                           int64_t channels) {
  auto config = models::resnet_config(name);
  EXPECT_TRUE(config.ok());
  config->image_height = height;
  config->image_width = width;
  config->width = channels;
  auto model = models::resnet(config.value());
  EXPECT_TRUE(model.ok()) << model.status().message();
  return std::move(model).value();
}

inline int64_t elements(const graph::ValueInfo& info) {
  int64_t count = 1;
  for (const graph::Dim& dim : info.shape) count *= dim.value();
  return count;
}

inline std::unique_ptr<runtime::Session> open(const sparse::NestedModel& nested,
                                              const runtime::SessionOptions& options) {
  auto session = runtime::Session::create(nested, options);
  EXPECT_TRUE(session.ok()) << session.status().message();
  return session.ok() ? std::move(session).value() : nullptr;
}

/// Random data for every input of a session, and room for its outputs.
struct SessionData {
  explicit SessionData(const runtime::Session& session, uint32_t seed = 7) {
    for (const graph::ValueInfo& info : session.inputs()) {
      inputs.push_back(random_values(static_cast<size_t>(elements(info)), seed++));
    }
    for (const graph::ValueInfo& info : session.outputs()) {
      outputs.emplace_back(static_cast<size_t>(elements(info)), std::nanf(""));
    }
    for (const auto& input : inputs) input_views.push_back({input});
    for (auto& output : outputs) output_views.push_back({output});
  }
  std::vector<std::vector<float>> inputs;
  std::vector<std::vector<float>> outputs;
  std::vector<runtime::InputView> input_views;
  std::vector<runtime::OutputView> output_views;
};

/// Level of each node on a route: that of the step it starts or was fused into.
inline LevelOfNode levels_of_nodes(const graph::Graph& graph, const runtime::Session& session,
                                   const std::vector<uint8_t>& levels) {
  std::map<std::string, int> by_value;
  std::map<std::string, int> by_node;
  for (const graph::Node& node : graph.nodes) {
    int level = 0;
    if (const auto from = by_value.find(node.inputs[0]); from != by_value.end()) {
      level = from->second;
    }
    for (size_t i = 0; i < session.steps().size(); ++i) {
      if (session.steps()[i].name == node.name) level = levels[i];
    }
    by_value[node.outputs[0]] = level;
    by_node[node.name] = level;
  }
  return [by_node](const graph::Node& node) { return by_node.at(node.name); };
}

/// Compares a session's outputs with the naive executor: within 1e-4 of the output's largest value,
/// or of `term` if that is larger: the size of what an output is made of, for products with few
/// vectors. Those use their weights within 2^-18, which shows where an output is small because its
/// terms cancel.
inline void expect_like_naive(const sparse::NestedModel& nested, const runtime::Session& session,
                              const SessionData& data, const std::vector<uint8_t>& levels,
                              double term = 1e-3) {
  const graph::Graph& graph = nested.model.graphs[0];
  std::map<std::string, NaiveTensor> inputs;
  for (size_t i = 0; i < data.inputs.size(); ++i) {
    NaiveTensor& tensor = inputs[session.inputs()[i].name];
    for (const graph::Dim& dim : session.inputs()[i].shape) tensor.shape.push_back(dim.value());
    tensor.data.assign(data.inputs[i].begin(), data.inputs[i].end());
  }
  const auto values = run_naively(nested, graph, inputs, levels_of_nodes(graph, session, levels));
  for (size_t i = 0; i < data.outputs.size(); ++i) {
    const NaiveTensor& expected = values.at(session.outputs()[i].name);
    ASSERT_EQ(expected.data.size(), data.outputs[i].size());
    double largest = 0;
    for (const double value : expected.data) largest = std::max(largest, std::fabs(value));
    for (size_t j = 0; j < expected.data.size(); ++j) {
      ASSERT_NEAR(data.outputs[i][j], expected.data[j], 1e-4 * std::max(largest, term))
          << session.outputs()[i].name << "[" << j << "]";
    }
  }
}

}  // namespace strata::testing
