// Graph attention networks: sizes as published, shapes that fit, sizes that are refused.
#include "models/gat.h"

#include <gtest/gtest.h>

namespace strata::models {
namespace {

GatConfig cora() {
  GatConfig config = gat_config("gat").value();
  config.features = 1433;
  config.classes = 7;
  return config;
}

int64_t weights(const graph::Model& model) {
  int64_t count = 0;
  for (const graph::Parameter& parameter : model.parameters) {
    if (parameter.role == graph::ParameterRole::kWeight) count += parameter.element_count();
  }
  return count;
}

TEST(Gat, HasThePublishedSizesOnCora) {
  const auto model = gat(cora());
  ASSERT_TRUE(model.ok()) << model.status().message();
  EXPECT_TRUE(graph::validate(*model).ok());
  // 8 heads of 8 units and one head of 7, each with a projection and two attention vectors.
  EXPECT_EQ(weights(*model), 1433 * 64 + 2 * 64 + 64 * 7 + 2 * 7);
  const auto shapes = graph::infer_shapes(*model, model->graphs[0]);
  ASSERT_TRUE(shapes.ok()) << shapes.status().message();
  EXPECT_EQ(to_string(shapes->at("layer1.elu").shape), "[nodes,64]");
  EXPECT_EQ(to_string(shapes->at("logits").shape), "[nodes,7]");
}

TEST(Gat, AveragesTheHeadsOfTheOutput) {
  GatConfig config = gat_config("gat-8-output-heads").value();
  config.features = 500;
  config.classes = 3;
  const auto model = gat(config);
  ASSERT_TRUE(model.ok()) << model.status().message();
  const auto shapes = graph::infer_shapes(*model, model->graphs[0]);
  ASSERT_TRUE(shapes.ok()) << shapes.status().message();
  EXPECT_EQ(to_string(shapes->at("layer2").shape), "[nodes,24]");
  EXPECT_EQ(to_string(shapes->at("logits").shape), "[nodes,3]");
}

TEST(Gat, DropsNothingIfNotAsked) {
  GatConfig config = cora();
  config.dropout = 0;
  const auto model = gat(config);
  ASSERT_TRUE(model.ok());
  ASSERT_FALSE(model->graphs[0].nodes.empty());
  for (const graph::Node& node : model->graphs[0].nodes) EXPECT_NE(node.op_type, "Dropout");
}

TEST(Gat, RefusesImpossibleSizes) {
  GatConfig config = cora();
  config.features = 0;
  EXPECT_EQ(gat(config).status().message(), "gat: features is 0, expected 1 to 1048576");
  config = cora();
  config.heads = config.hidden = 1 << 12;
  EXPECT_EQ(gat(config).status().message(),
            "gat: heads times hidden is 16777216, expected 1 to 1048576");
  config = cora();
  config.dropout = 1;
  EXPECT_EQ(gat(config).status().message(), "gat: dropout must be at least 0 and below 1");
  EXPECT_EQ(gat_config("gatt").status().message(),
            "there is no graph attention network 'gatt'; there are gat and gat-8-output-heads");
  EXPECT_TRUE(is_gat("gat"));
  EXPECT_FALSE(is_gat("resnet20"));
}

}  // namespace
}  // namespace strata::models
