// LSTM and GRU in sessions: against ONNX's formulas in double precision at every level, the same
// bits for every number of threads, levels dropped. Libtorch's answers are in tests/train/torch.
#include <cmath>

#include <gtest/gtest.h>

#include "format/reader.h"
#include "format/writer.h"
#include "graph/builder.h"
#include "session_fixture.h"

namespace strata::testing {
namespace {

using graph::ParameterRole;

constexpr int64_t kTime = 4;
constexpr int64_t kBatch = 5;  ///< in most tests
constexpr int64_t kFeatures = 70;
constexpr int64_t kHidden = 33;

graph::Model layer(const std::string& type, int64_t gates, int64_t linear_before_reset,
                   int64_t batch = kBatch) {
  graph::Model model;
  graph::GraphBuilder builder(model, "main");
  builder.input("x", {kTime, batch, kFeatures});
  builder.input("h0", {2, batch, kHidden});
  builder.parameter("w", {2, gates * kHidden, kFeatures}, ParameterRole::kWeight);
  builder.parameter("r", {2, gates * kHidden, kHidden}, ParameterRole::kWeight);
  builder.parameter("b", {2, 2 * gates * kHidden}, ParameterRole::kBias);
  std::map<std::string, graph::Attribute, std::less<>> attributes = {
      {"direction", std::string("bidirectional")}};
  if (type == "GRU") attributes["linear_before_reset"] = linear_before_reset;
  builder.node("n", type, {"x", "w", "r", "b", "", "h0"}, attributes);
  builder.output("n", "y", {kTime, 2, batch, kHidden});
  builder.finish();
  return model;
}

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

/// Y of one sequence and direction, by ONNX's formulas.
class Formula {
 public:
  Formula(const sparse::NestedModel& nested, int level, int64_t direction)
      : node_(nested.model.graphs[0].nodes[0]), lstm_(node_.op_type == "LSTM") {
    const auto slice = [&](const std::vector<float>& all) {
      const auto half = static_cast<std::ptrdiff_t>(all.size() / 2);
      return std::vector<float>(all.begin() + direction * half,
                                all.begin() + (direction + 1) * half);
    };
    w_ = slice(sparse::densify(nested.weights.at("w"), level));
    r_ = slice(sparse::densify(nested.weights.at("r"), level));
    b_ = slice(nested.vectors[static_cast<size_t>(level)].at("b"));
  }

  [[nodiscard]] std::vector<double> step(const float* x, const std::vector<double>& h,
                                         std::vector<double>& c) const {
    std::vector<double> next(kHidden);
    std::vector<double> reset_h(kHidden);
    for (int64_t u = 0; u < kHidden && !lstm_; ++u) {
      reset_h[static_cast<size_t>(u)] =
          sigmoid(input(1, u, x) + state(1, u, h)) * h[static_cast<size_t>(u)];
    }
    for (int64_t u = 0; u < kHidden; ++u) {
      const auto i = static_cast<size_t>(u);
      const auto gate = [&](int64_t g) { return input(g, u, x) + state(g, u, h); };
      if (lstm_) {
        c[i] = sigmoid(gate(2)) * c[i] + sigmoid(gate(0)) * std::tanh(gate(3));
        next[i] = sigmoid(gate(1)) * std::tanh(c[i]);
        continue;
      }
      const double recurrent = node_.attribute_int("linear_before_reset", 0) != 0
                                   ? sigmoid(gate(1)) * state(2, u, h)
                                   : state(2, u, reset_h);
      const double z = sigmoid(gate(0));
      next[i] = (1 - z) * std::tanh(input(2, u, x) + recurrent) + z * h[i];
    }
    return next;
  }

 private:
  [[nodiscard]] double input(int64_t gate, int64_t unit, const float* x) const {
    const int64_t row = gate * kHidden + unit;
    double sum = b_[static_cast<size_t>(row)];
    for (int64_t i = 0; i < kFeatures; ++i) {
      sum += double{w_[static_cast<size_t>(row * kFeatures + i)]} * x[i];
    }
    return sum;
  }
  [[nodiscard]] double state(int64_t gate, int64_t unit, const std::vector<double>& h) const {
    const int64_t row = gate * kHidden + unit;
    double sum = b_[b_.size() / 2 + static_cast<size_t>(row)];
    for (int64_t i = 0; i < kHidden; ++i) {
      sum += double{r_[static_cast<size_t>(row * kHidden + i)]} * h[static_cast<size_t>(i)];
    }
    return sum;
  }

  const graph::Node& node_;
  bool lstm_;
  std::vector<float> w_;
  std::vector<float> r_;
  std::vector<float> b_;
};

/// What a file of such values gives back.
sparse::NestedModel stored(const sparse::NestedModel& nested, format::ValueType values) {
  const auto file = format::encode(nested, {.values = values});
  return format::Reader::from_bytes(file.value()).value()->read_all().value();
}

void expect_formula(const graph::Model& model,
                    format::ValueType values = format::ValueType::kFloat32) {
  const auto nested = stored(random_nested(model, {0.1, 0.5, 1.0}, 3), values);
  const int64_t batch = model.graphs[0].inputs[0].shape[1].value();
  const auto one = open(nested, {.threads = 1});
  const auto two = open(nested, {.threads = 2});
  ASSERT_NE(one, nullptr);
  ASSERT_NE(two, nullptr);
  SessionData data(*one);
  SessionData other(*two);
  for (int level = 0; level < 3; ++level) {
    ASSERT_TRUE(one->run(data.input_views, data.output_views, level).ok());
    ASSERT_TRUE(two->run(other.input_views, other.output_views, level).ok());
    EXPECT_EQ(data.outputs, other.outputs) << "level " << level;
    for (int64_t d = 0; d < 2; ++d) {
      const Formula formula(nested, level, d);
      for (int64_t b = 0; b < batch; ++b) {
        const auto h0 = data.inputs[1].begin() + (d * batch + b) * kHidden;
        std::vector<double> h(h0, h0 + kHidden);
        std::vector<double> c(kHidden);
        for (int64_t s = 0; s < kTime; ++s) {
          const int64_t t = d == 0 ? s : kTime - 1 - s;
          h = formula.step(data.inputs[0].data() + (t * batch + b) * kFeatures, h, c);
          for (int64_t u = 0; u < kHidden; ++u) {
            const auto place = static_cast<size_t>(((t * 2 + d) * batch + b) * kHidden + u);
            ASSERT_NEAR(data.outputs[0][place], h[static_cast<size_t>(u)], 1e-4)
                << "level " << level << ", direction " << d << ", step " << s;
          }
        }
      }
    }
  }
}

TEST(Recurrent, AnLstmFollowsItsFormula) { expect_formula(layer("LSTM", 4, 0)); }
TEST(Recurrent, AGruFollowsItsFormula) { expect_formula(layer("GRU", 3, 0)); }
TEST(Recurrent, AGruThatIsLinearBeforeTheResetFollowsItsFormula) {
  expect_formula(layer("GRU", 3, 1));
}

/// One sequence has kernels of its own.
TEST(Recurrent, NarrowValuesAreUsedAsTheyAreStored) {
  for (const auto values : {format::ValueType::kFloat16, format::ValueType::kInt8}) {
    for (const int64_t batch : {int64_t{1}, kBatch}) {
      expect_formula(layer("LSTM", 4, 0, batch), values);
      expect_formula(layer("GRU", 3, 0, batch), values);
    }
  }
}

TEST(Recurrent, NarrowValuesTakeLessMemory) {
  const auto nested = random_nested(layer("LSTM", 4, 0), {0.1, 0.5, 1.0}, 3);
  const auto bytes = [&](format::ValueType values) {
    return static_cast<double>(open(stored(nested, values), {})->memory().weights);
  };
  EXPECT_LT(bytes(format::ValueType::kFloat16), 0.85 * bytes(format::ValueType::kFloat32));
  EXPECT_LT(bytes(format::ValueType::kInt8), 0.7 * bytes(format::ValueType::kFloat32));
}

TEST(Recurrent, LevelsThatStayAnswerAsBeforeOthersWereDropped) {
  const auto session = open(random_nested(layer("LSTM", 4, 0), {0.1, 0.5, 1.0}, 3), {});
  ASSERT_NE(session, nullptr);
  SessionData data(*session);
  ASSERT_TRUE(session->run(data.input_views, data.output_views, 1).ok());
  const auto before = data.outputs;
  const auto bytes = session->memory().weights;
  ASSERT_TRUE(session->drop_levels_above(1).ok());
  EXPECT_LT(session->memory().weights, bytes);
  ASSERT_TRUE(session->run(data.input_views, data.output_views, 1).ok());
  EXPECT_EQ(data.outputs, before);
}

}  // namespace
}  // namespace strata::testing
