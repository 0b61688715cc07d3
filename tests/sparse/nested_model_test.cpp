// Whole nested models: what check() refuses, and that folding batch norm changes no output.
#include "sparse/nested_model.h"

#include <cmath>
#include <functional>
#include <limits>
#include <random>
#include <string>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "small_model.h"
#include "sparse/random.h"

namespace strata::sparse {
namespace {

NestedModel small_nested(uint64_t seed = 1) {
  const std::vector<LevelBudget> levels{{.weights = 0.8, .flops = {}},
                                        {.weights = 0.9, .flops = {}}};
  Result<NestedModel> nested =
      random_nested_model(small_model(), levels, AllocationMethod::kUniform, seed);
  EXPECT_TRUE(nested.ok()) << nested.status().message();
  return std::move(nested).value();
}

TEST(CheckModel, AcceptsAWholeModel) {
  const Status status = check(small_nested());
  EXPECT_TRUE(status.ok()) << status.message();
}

TEST(CheckModel, EveryDisagreementIsFoundAndNamed) {
  struct Corruption {
    std::vector<std::string> says;
    std::function<void(NestedModel&)> apply;
  };
  const std::vector<Corruption> corruptions{
      {{"0 levels"}, [](NestedModel& m) { m.level_count = 0; }},
      {{"3 levels"}, [](NestedModel& m) { m.level_count = 3; }},
      {{"1 levels"}, [](NestedModel& m) { m.vectors.pop_back(); }},
      {{"'conv2.weight'", "no values"}, [](NestedModel& m) { m.weights.erase("conv2.weight"); }},
      {{"'conv2.weight'", "shape"},
       [](NestedModel& m) {
         m.weights.at("conv2.weight").shape = {4, 6, 1, 1};
       }},
      {{"'conv2.weight'", "1 levels"},
       [](NestedModel& m) { m.weights.at("conv2.weight").increments.pop_back(); }},
      {{"'conv2.weight'", "zero"},
       [](NestedModel& m) { m.weights.at("conv2.weight").increments[0].values[0] = 0.0F; }},
      {{"'ghost'"}, [](NestedModel& m) { m.weights["ghost"] = m.weights.at("conv2.weight"); }},
      {{"'fc.bias'"}, [](NestedModel& m) { m.weights["fc.bias"] = m.weights.at("conv2.weight"); }},
      {{"'fc.bias'", "level 1", "no values"},
       [](NestedModel& m) { m.vectors[1].erase("fc.bias"); }},
      {{"'fc.bias'", "level 1", "4 values"},
       [](NestedModel& m) { m.vectors[1].at("fc.bias").pop_back(); }},
      {{"'fc.bias'", "level 0", "not finite"},
       [](NestedModel& m) {
         m.vectors[0].at("fc.bias")[2] = std::numeric_limits<float>::quiet_NaN();
       }},
      {{"'bn1.running_var'", "level 0", "negative"},
       [](NestedModel& m) { m.vectors[0].at("bn1.running_var")[1] = -1.0F; }},
      {{"'ghost'", "level 1"}, [](NestedModel& m) { m.vectors[1]["ghost"] = {1.0F}; }},
      {{"'conv2.weight'", "level 1"},
       [](NestedModel& m) { m.vectors[1]["conv2.weight"] = {1.0F}; }},
      {{"nowhere"}, [](NestedModel& m) { m.model.graphs[0].nodes[0].inputs[0] = "nowhere"; }},
  };
  for (const Corruption& corruption : corruptions) {
    NestedModel bad = small_nested();
    corruption.apply(bad);
    const Status status = check(bad);
    EXPECT_FALSE(status.ok()) << corruption.says[0];
    for (const std::string& text : corruption.says) {
      EXPECT_NE(status.message().find(text), std::string::npos)
          << text << " is not in: " << status.message();
    }
  }
}

TEST(LevelAlone, HasThatLevelsWeightsAndVectorsAndNoOther) {
  const NestedModel nested = small_nested();
  for (int level = 0; level < nested.level_count; ++level) {
    const Result<NestedModel> alone = level_alone(nested, level);
    ASSERT_TRUE(alone.ok()) << alone.status().message();
    EXPECT_TRUE(check(alone.value()).ok()) << check(alone.value()).message();
    EXPECT_EQ(alone.value().model, nested.model);
    EXPECT_EQ(alone.value().level_count, 1);
    EXPECT_EQ(alone.value().vectors,
              std::vector<VectorTable>{nested.vectors[static_cast<size_t>(level)]});
    ASSERT_EQ(alone.value().weights.size(), nested.weights.size());
    for (const auto& [name, tensor] : nested.weights) {
      EXPECT_EQ(densify(alone.value().weights.at(name), 0), densify(tensor, level)) << name;
    }
  }
}

TEST(LevelAlone, OfALevelThatDoesNotExistIsRefused) {
  for (const int level : {-1, 2}) {
    const Status status = level_alone(small_nested(), level).status();
    EXPECT_NE(status.message().find("level " + std::to_string(level) + " does not exist"),
              std::string::npos)
        << status.message();
  }
}

/// BatchNormalization of one value, as ONNX defines it for inference.
double normalise(const NestedModel& nested, size_t level, const graph::Node& node, size_t channel,
                 double x) {
  const auto operand = [&](size_t input) {
    return static_cast<double>(nested.vectors[level].at(node.inputs[input])[channel]);
  };
  const auto epsilon = static_cast<double>(node.attribute_float("epsilon", 1e-5F));
  return operand(1) * (x - operand(3)) / std::sqrt(operand(4) + epsilon) + operand(2);
}

RC_GTEST_PROP(FoldNormalisation, KeepsTheFunctionOfEveryLevel, ()) {
  NestedModel nested = small_nested(*rc::gen::arbitrary<uint64_t>());
  std::mt19937 random(*rc::gen::arbitrary<uint32_t>());
  std::uniform_real_distribution<float> uniform(-3.0F, 3.0F);
  for (VectorTable& level : nested.vectors) {
    for (auto& [name, values] : level) {
      for (float& value : values) {
        value = uniform(random);
        if (name.ends_with("running_var")) value = std::abs(value);
      }
    }
  }
  NestedModel folded = nested;
  RC_ASSERT(fold_normalisation(folded).ok());
  RC_ASSERT(check(folded).ok());
  RC_ASSERT(folded.weights == nested.weights);

  int nodes = 0;
  for (size_t n = 0; n < nested.model.graphs[0].nodes.size(); ++n) {
    const graph::Node& before = nested.model.graphs[0].nodes[n];
    const graph::Node& after = folded.model.graphs[0].nodes[n];
    if (before.op_type != "BatchNormalization") continue;
    ++nodes;
    RC_ASSERT(after.attribute_float("epsilon", 1e-5F) == 0.0F);
    for (size_t level = 0; level < nested.vectors.size(); ++level) {
      const size_t channels = nested.vectors[level].at(before.inputs[1]).size();
      for (size_t c = 0; c < channels; ++c) {
        RC_ASSERT(folded.vectors[level].at(after.inputs[3])[c] == 0.0F);
        RC_ASSERT(folded.vectors[level].at(after.inputs[4])[c] == 1.0F);
        for (const double x : {-2.0, 0.0, 0.5, 7.0}) {
          const double expected = normalise(nested, level, before, c, x);
          const double actual = normalise(folded, level, after, c, x);
          // Scale and shift are rounded to floats once each.
          const double gain = std::abs(expected) +
                              std::abs(normalise(nested, level, before, c, 0)) +
                              std::abs(normalise(nested, level, before, c, 10.0)) + 1.0;
          RC_ASSERT(std::abs(actual - expected) <= 1e-6 * gain);
        }
      }
    }
  }
  RC_ASSERT(nodes == 2);
}

TEST(FoldNormalisation, FoldingTwiceChangesNothingMore) {
  NestedModel once = small_nested();
  ASSERT_TRUE(fold_normalisation(once).ok());
  NestedModel twice = once;
  ASSERT_TRUE(fold_normalisation(twice).ok());
  EXPECT_EQ(once, twice);
}

TEST(FoldNormalisation, GraphsThatShareANormalisationFoldItOnce) {
  NestedModel one = small_nested();
  NestedModel two = one;
  two.model.graphs.push_back(two.model.graphs[0]);
  two.model.graphs[1].name = "again";
  ASSERT_TRUE(fold_normalisation(one).ok());
  ASSERT_TRUE(fold_normalisation(two).ok());
  EXPECT_EQ(one.vectors, two.vectors);
  EXPECT_EQ(one.model.graphs[0].nodes, two.model.graphs[1].nodes);
}

/// Expects an error that holds `says`, and a model that is as it was.
void expect_refused(const NestedModel& nested, const std::string& says) {
  NestedModel folded = nested;
  const Status status = fold_normalisation(folded);
  EXPECT_FALSE(status.ok()) << says;
  EXPECT_NE(status.message().find(says), std::string::npos) << status.message();
  EXPECT_EQ(folded, nested);
}

graph::Node& node_named(NestedModel& nested, const std::string& name) {
  for (graph::Node& node : nested.model.graphs[0].nodes) {
    if (node.name == name) return node;
  }
  ADD_FAILURE() << "no node " << name;
  return nested.model.graphs[0].nodes[0];
}

TEST(FoldNormalisation, RefusesWhatItWouldChange) {
  const NestedModel good = small_nested();

  NestedModel training = good;
  node_named(training, "bn1").attributes["training_mode"] = int64_t{1};
  expect_refused(training, "'bn1'");

  NestedModel half_shared = good;
  node_named(half_shared, "bn2").inputs[3] = node_named(half_shared, "bn1").inputs[3];
  expect_refused(half_shared, "'bn2'");

  NestedModel other_epsilon = good;
  other_epsilon.model.graphs.push_back(other_epsilon.model.graphs[0]);
  node_named(other_epsilon, "bn1").attributes["epsilon"] = 0.5F;
  expect_refused(other_epsilon, "'bn1'");

  NestedModel used_elsewhere = good;
  node_named(used_elsewhere, "fc").inputs[2] = node_named(used_elsewhere, "bn1").inputs[2];
  expect_refused(used_elsewhere, "'fc'");

  NestedModel no_values = good;
  no_values.vectors[1].erase("bn2.running_mean");
  expect_refused(no_values, "level 1");

  NestedModel wrong_size = good;
  wrong_size.vectors[1].at("bn2.running_mean").pop_back();
  expect_refused(wrong_size, "level 1");

  NestedModel no_variance = good;
  node_named(no_variance, "bn1").attributes["epsilon"] = 0.0F;
  no_variance.vectors[1].at("bn1.running_var")[3] = 0.0F;
  expect_refused(no_variance, "channel 3 of level 1");
}

}  // namespace
}  // namespace strata::sparse
