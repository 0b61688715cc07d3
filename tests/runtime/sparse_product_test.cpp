// Sparse features times a weight in sessions: every level gives what its own non-zeros do, whether
// the kernel walks lists of them or whole rows; and weights that are none of the model's.
#include <cmath>

#include <gtest/gtest.h>

#include "graph/builder.h"
#include "session_fixture.h"

namespace strata::testing {
namespace {

using graph::DataType;
using graph::ParameterRole;

constexpr int64_t kRows = 37;
constexpr int64_t kFeatures = 50;
constexpr int64_t kWidth = 40;

/// Rows of `per_row` entries each, some of them in the same place.
struct Features {
  explicit Features(int64_t per_row) {
    for (int64_t i = 0; i <= kRows; ++i) begins.push_back(static_cast<int32_t>(i * per_row));
    for (int64_t e = 0; e < kRows * per_row; ++e) {
      columns.push_back(static_cast<int32_t>(e * 17 % 29 % kFeatures));
    }
    values = random_values(columns.size(), 5);
  }
  std::vector<int32_t> begins;
  std::vector<int32_t> columns;
  std::vector<float> values;
};

/// The weight is a parameter, or an input of the graph.
graph::Model product(int64_t entries, bool weight_of_the_model) {
  graph::Model model;
  graph::GraphBuilder builder(model, "main");
  builder.input("begins", {kRows + 1}, DataType::kInt32);
  builder.input("columns", {entries}, DataType::kInt32);
  builder.input("values", {entries});
  if (weight_of_the_model) {
    builder.parameter("w", {kFeatures, kWidth}, ParameterRole::kWeight);
  } else {
    builder.input("w", {kFeatures, kWidth});
  }
  builder.node("y", "SparseProduct", {"begins", "columns", "values", "w"}, {},
               std::string(graph::kStrataDomain));
  builder.output("y", "y", {kRows, kWidth});
  builder.finish();
  return model;
}

void expect_product(const Features& features, const std::vector<float>& weight,
                    const std::vector<float>& actual) {
  for (int64_t i = 0; i < kRows; ++i) {
    for (int64_t k = 0; k < kWidth; ++k) {
      double sum = 0;
      for (int32_t e = features.begins[static_cast<size_t>(i)];
           e < features.begins[static_cast<size_t>(i) + 1]; ++e) {
        const auto entry = static_cast<size_t>(e);
        sum += double{features.values[entry]} *
               weight[static_cast<size_t>(features.columns[entry] * kWidth + k)];
      }
      ASSERT_NEAR(actual[static_cast<size_t>(i * kWidth + k)], sum, 1e-4) << i << ", " << k;
    }
  }
}

TEST(SparseProduct, EveryLevelMultipliesByItsOwnNonZeros) {
  // With few entries whole rows of the weight are faster at every level, and no lists are held;
  // with many the lists are at the sparser ones.
  std::vector<size_t> bytes_held;
  for (const int64_t per_row : {1, 900}) {
    const Features features(per_row);
    const auto count = static_cast<int64_t>(features.columns.size());
    const auto nested = random_nested(product(count, true), {0.03, 0.4, 1.0}, 3);
    std::vector<std::vector<float>> of_one_thread;
    for (const int threads : {1, 2}) {
      const auto session = open(nested, {.threads = threads});
      ASSERT_NE(session, nullptr);
      std::vector<float> output(kRows * kWidth);
      const std::vector<runtime::InputView> inputs{
          {features.begins}, {features.columns}, {features.values}};
      const std::vector<runtime::OutputView> outputs{{output}};
      for (int level = 0; level < 3; ++level) {
        ASSERT_TRUE(session->run(inputs, outputs, level).ok());
        expect_product(features, sparse::densify(nested.weights.at("w"), level), output);
        if (threads == 1) of_one_thread.push_back(output);
        EXPECT_EQ(output, of_one_thread[static_cast<size_t>(level)]);
      }
      const size_t bytes = session->memory().weights;
      bytes_held.push_back(bytes);
      ASSERT_TRUE(session->drop_levels_above(0).ok());
      EXPECT_LT(session->memory().weights, bytes);
      ASSERT_TRUE(session->run(inputs, outputs, 0).ok());
      EXPECT_EQ(output, of_one_thread[0]);
    }
  }
  EXPECT_GT(bytes_held.back(), bytes_held.front());
}

TEST(SparseProduct, AWeightMayComeFromElsewhere) {
  const Features features(3);
  const auto count = static_cast<int64_t>(features.columns.size());
  const auto session = open(random_nested(product(count, false), {1.0}, 3), {});
  ASSERT_NE(session, nullptr);
  const std::vector<float> weight = random_values(kFeatures * kWidth, 9);
  std::vector<float> output(kRows * kWidth);
  const std::vector<runtime::InputView> inputs{
      {features.begins}, {features.columns}, {features.values}, {weight}};
  ASSERT_TRUE(session->run(inputs, std::vector<runtime::OutputView>{{output}}, 0).ok());
  expect_product(features, weight, output);
}

/// Recurrent kernels read packed weights, which what is computed is not.
TEST(RecurrentWeights, ThatAreNoneOfTheModelAreRefused) {
  graph::Model model;
  graph::GraphBuilder builder(model, "main");
  builder.input("x", {4, 1, 5});
  builder.input("w", {1, 24, 5});
  builder.parameter("r", {1, 24, 6}, ParameterRole::kWeight);
  builder.node("n", "LSTM", {"x", "w", "r"});
  builder.output("n", "y", {4, 1, 1, 6});
  builder.finish();
  const auto session = runtime::Session::create(random_nested(model, {1.0}, 3), {});
  ASSERT_FALSE(session.ok());
  EXPECT_NE(session.status().message().find("'w' is no weight of the model"), std::string::npos)
      << session.status().message();
}

}  // namespace
}  // namespace strata::testing
