// A transformer, which uses most of what exporters of language models write, in every opset: it is
// read, gives what it should at any batch, and comes back from an export.
#include <algorithm>
#include <cmath>

#include <gtest/gtest.h>
#include <onnx/checker.h>

#include "interop/onnx_export.h"
#include "interop/onnx_import.h"
#include "runtime/session.h"
#include "small_transformer.h"

namespace strata::interop {
namespace {

using testing::SmallTransformer;

constexpr int64_t kSentences = 3;

Result<sparse::NestedModel> import(const std::string& bytes) {
  return import_onnx_bytes({reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()}, "test");
}

/// Sentences of 6, 4 and 1 tokens; what is left of them is padding.
std::vector<int64_t> sentences() {
  std::vector<int64_t> tokens(kSentences * SmallTransformer::kTime, 0);
  for (const auto& [sentence, length] : {std::pair(0, 6), std::pair(1, 4), std::pair(2, 1)}) {
    for (int t = 0; t < length; ++t) {
      tokens[static_cast<size_t>(sentence * SmallTransformer::kTime + t)] =
          1 + (7 * sentence + 5 * t) % (SmallTransformer::kTokens - 1);
    }
  }
  return tokens;
}

std::vector<float> answer(const sparse::NestedModel& nested, const std::string& batch,
                          const std::vector<int64_t>& tokens) {
  auto session = runtime::Session::create(nested, {.bindings = {{batch, kSentences}}});
  EXPECT_TRUE(session.ok()) << session.status().message();
  if (!session.ok()) return {};
  std::vector<float> scores(kSentences * SmallTransformer::kClasses);
  const runtime::InputView input(tokens);
  const runtime::OutputView output(scores);
  const Status status = (*session)->run({&input, 1}, {&output, 1}, 0);
  EXPECT_TRUE(status.ok()) << status.message();
  return scores;
}

class TransformerOfOpset : public ::testing::TestWithParam<int64_t> {};

TEST_P(TransformerOfOpset, IsReadRunsAndComesBack) {
  const SmallTransformer transformer(GetParam());
  const auto nested = import(transformer.model().bytes());
  ASSERT_TRUE(nested.ok()) << nested.status().message();
  const std::vector<int64_t> tokens = sentences();
  const std::vector<double> expected = transformer.answer(tokens);
  const std::vector<float> made = answer(*nested, "N", tokens);
  ASSERT_EQ(made.size(), expected.size());
  for (size_t i = 0; i < expected.size(); ++i) {
    EXPECT_NEAR(made[i], expected[i], 1e-4 * std::max(1.0, std::abs(expected[i]))) << i;
  }
  // Every matrix of the network is a weight that can be nested.
  for (const char* weight :
       {"embedding", "qkv.weight", "out.weight", "up.weight", "down.weight", "classifier.weight"}) {
    const auto found =
        std::find_if(nested->weights.begin(), nested->weights.end(),
                     [&](const auto& entry) { return entry.first.starts_with(weight); });
    EXPECT_NE(found, nested->weights.end()) << weight;
  }

  const auto exported = export_onnx(*nested, 0);
  ASSERT_TRUE(exported.ok()) << exported.status().message();
  onnx::ModelProto proto;
  ASSERT_TRUE(proto.ParseFromString(*exported));
  EXPECT_NO_THROW(onnx::checker::check_model(proto));
  const auto again = import(*exported);
  ASSERT_TRUE(again.ok()) << again.status().message();
  EXPECT_EQ(answer(*again, "N", tokens), made);
}

INSTANTIATE_TEST_SUITE_P(All, TransformerOfOpset, ::testing::Range(kOldestOpset, kNewestOpset + 1));

/// As vision transformers begin: one trained token before the patches of every image.
TEST(Transformer, ATokenIsCopiedForEverySample) {
  using testing::set;
  testing::OnnxModel model;
  model.input("patches", {-1, 2, 3}).output("y");
  model.floats("token", {1, 1, 3}, {7, 8, 9});
  model.node("Shape", {"patches"}, {"shape"});
  model.integers("zero", {0});
  model.node("Gather", {"shape", "zero"}, {"batch"});
  model.integers("rest", {1, 3});
  set(model.node("Concat", {"batch", "rest"}, {"target"}), "axis", int64_t{0});
  model.node("Expand", {"token", "target"}, {"tokens"});
  set(model.node("Concat", {"tokens", "patches"}, {"y"}), "axis", int64_t{1});
  const auto nested = import(model.bytes());
  ASSERT_TRUE(nested.ok()) << nested.status().message();
  EXPECT_EQ(to_string(nested->model.graphs[0].outputs[0].shape), "[N,3,3]");
  auto session = runtime::Session::create(*nested, {.bindings = {{"N", 2}}});
  ASSERT_TRUE(session.ok()) << session.status().message();
  const std::vector<float> patches = {1, 2, 3, 4, 5, 6, NAN, -1, -2, -3, -4, -5};
  std::vector<float> y(18);
  const runtime::InputView input(patches);
  const runtime::OutputView output(y);
  ASSERT_TRUE((*session)->run({&input, 1}, {&output, 1}, 0).ok());
  for (const size_t begin : {0, 9}) {
    EXPECT_EQ(std::vector<float>(y.begin() + static_cast<std::ptrdiff_t>(begin),
                                 y.begin() + static_cast<std::ptrdiff_t>(begin) + 3),
              (std::vector<float>{7, 8, 9}));
  }
  EXPECT_EQ(y[5], 3);
  EXPECT_TRUE(std::isnan(y[12]));
}

}  // namespace
}  // namespace strata::interop
