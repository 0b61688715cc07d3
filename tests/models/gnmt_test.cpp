// Translators: sizes as published, graphs that fit each other, sizes that are refused.
#include "models/gnmt.h"

#include <algorithm>

#include <gtest/gtest.h>

namespace strata::models {
namespace {

GnmtConfig small() {
  GnmtConfig config = gnmt_config("gnmt").value();
  config.vocabulary = 50;
  config.width = 8;
  config.encoder_layers = 3;
  config.decoder_layers = 3;
  return config;
}

int64_t parameters(const graph::Model& model) {
  int64_t count = 0;
  for (const graph::Parameter& parameter : model.parameters) count += parameter.element_count();
  return count;
}

int64_t nodes(const graph::Graph& graph, const std::string& op_type) {
  return std::count_if(graph.nodes.begin(), graph.nodes.end(),
                       [&](const graph::Node& node) { return node.op_type == op_type; });
}

// An LSTM layer from `in` to `out` features has 4 out (in + out) weights and 8 out biases.
TEST(Gnmt, HasTheParametersOfMlPerfsReference) {
  const auto model = gnmt(gnmt_config("gnmt-mlperf").value());
  ASSERT_TRUE(model.ok()) << model.status().message();
  constexpr int64_t kWidth = 1024;
  constexpr int64_t kBoth = 4 * kWidth * 2 * kWidth + 8 * kWidth;  // reads one vector
  constexpr int64_t kWide = 4 * kWidth * 3 * kWidth + 8 * kWidth;  // reads two
  constexpr int64_t kEncoder = 2 * kBoth + kWide + 2 * kBoth;
  constexpr int64_t kDecoder = kBoth + 3 * kWide;
  constexpr int64_t kAttention = 2 * kWidth * kWidth + 2 * kWidth + 1;
  constexpr int64_t kEnds = 2 * 32320 * kWidth + 32320;
  EXPECT_EQ(parameters(*model), kEncoder + kDecoder + kAttention + kEnds);
  EXPECT_EQ(parameters(*model), 160671297);
}

TEST(Gnmt, HasThePublishedDepth) {
  const auto model = gnmt(gnmt_config("gnmt").value());
  ASSERT_TRUE(model.ok()) << model.status().message();
  ASSERT_EQ(model->graphs.size(), 2U);
  EXPECT_EQ(nodes(model->graphs[0], "LSTM"), 8);
  EXPECT_EQ(nodes(model->graphs[1], "LSTM"), 8);
  for (const graph::Graph& graph : model->graphs) {  // residuals from the third layer on
    const auto residuals =
        std::count_if(graph.nodes.begin(), graph.nodes.end(),
                      [](const graph::Node& node) { return node.name.ends_with(".residual"); });
    EXPECT_EQ(residuals, 6) << graph.name;
  }
}

TEST(Gnmt, GraphsFitEachOther) {
  const auto model = gnmt(small());
  ASSERT_TRUE(model.ok()) << model.status().message();
  ASSERT_TRUE(graph::validate(*model).ok()) << graph::validate(*model).message();
  const auto encoded = graph::infer_shapes(*model, model->graphs[0]);
  ASSERT_TRUE(encoded.ok()) << encoded.status().message();
  EXPECT_EQ(to_string(encoded->at("memory").shape), "[sentences,source_time,8]");
  const auto decoded = graph::infer_shapes(*model, model->graphs[1]);
  ASSERT_TRUE(decoded.ok()) << decoded.status().message();
  EXPECT_EQ(to_string(decoded->at("attention.shares").shape),
            "[target_time,sentences,source_time]");
  EXPECT_EQ(to_string(decoded->at("next_c3").shape), "[1,sentences,8]");
  for (const char* value : {"memory", "keys"}) {
    EXPECT_EQ(encoded->at(value).shape, decoded->at(value).shape) << value;
  }
  const auto bound = graph::infer_shapes(
      *model, model->graphs[1], {{"target_time", 1}, {"sentences", 5}, {"source_time", 16}});
  ASSERT_TRUE(bound.ok()) << bound.status().message();
  EXPECT_EQ(to_string(bound->at("logits").shape), "[5,50]");
}

TEST(Gnmt, SharesEmbeddingsOrNot) {
  GnmtConfig config = small();
  const int64_t shared = parameters(gnmt(config).value());
  config.share_embeddings = false;
  const auto apart = gnmt(config);
  ASSERT_TRUE(apart.ok());
  EXPECT_TRUE(graph::validate(*apart).ok());
  EXPECT_EQ(parameters(*apart), shared + 50 * 8);
}

TEST(Gnmt, KeepsItsEndsDenseIfAsked) {
  GnmtConfig config = small();
  config.prunable_ends = false;
  const auto model = gnmt(config);
  ASSERT_TRUE(model.ok());
  for (const char* name : {"embedding.weight", "output.weight", "attention.vector"}) {
    ASSERT_NE(model->find_parameter(name), nullptr) << name;
    EXPECT_FALSE(model->find_parameter(name)->prunable) << name;
  }
  EXPECT_TRUE(model->find_parameter("encoder.layer1.weight")->prunable);
}

TEST(Gnmt, RefusesImpossibleSizes) {
  GnmtConfig config = small();
  config.encoder_layers = 1;
  EXPECT_EQ(gnmt(config).status().message(), "gnmt: encoder_layers is 1, expected 2 to 32");
  config = small();
  config.width = 0;
  EXPECT_EQ(gnmt(config).status().message(), "gnmt: width is 0, expected 1 to 16384");
  config = small();
  config.vocabulary = 3;
  EXPECT_EQ(gnmt(config).status().message(), "gnmt: vocabulary is 3, expected 4 to 1048576");
  config = small();
  config.dropout = 1;
  EXPECT_EQ(gnmt(config).status().message(), "gnmt: dropout must be at least 0 and below 1");
  EXPECT_EQ(gnmt_config("gnmt-2").status().message(),
            "there is no translator 'gnmt-2'; there are gnmt and gnmt-mlperf");
}

}  // namespace
}  // namespace strata::models
