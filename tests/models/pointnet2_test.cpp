// Classifiers of point clouds: sizes as published, shapes that fit, sizes that are refused.
#include "models/pointnet2.h"

#include <gtest/gtest.h>

namespace strata::models {
namespace {

int64_t weights(const graph::Model& model) {
  int64_t count = 0;
  for (const graph::Parameter& parameter : model.parameters) {
    if (parameter.role == graph::ParameterRole::kWeight) count += parameter.element_count();
  }
  return count;
}

/// All that gradients change, counted as published: every layer has a bias there, which batch
/// normalisation makes useless.
int64_t published_parameters(const graph::Model& model) {
  int64_t count = weights(model);
  for (const graph::Parameter& parameter : model.parameters) {
    if (parameter.role == graph::ParameterRole::kBias ||
        parameter.role == graph::ParameterRole::kShift) {
      count += parameter.element_count();
    }
    if (parameter.role == graph::ParameterRole::kScale) count += 2 * parameter.element_count();
  }
  return count;
}

graph::Model made(const std::string& name, bool normals) {
  PointNetConfig config = pointnet_config(name).value();
  config.normals = normals;
  return pointnet(config).value();
}

TEST(PointNet2, HasThePublishedSizes) {
  // Layer by layer: 3 or 6 in, 64, 64, 128; 131, 128, 128, 256; 259, 256, 512, 1024; 512, 256, 40.
  EXPECT_EQ(weights(made("pointnet2-ssg", false)), 12'480 + 65'920 + 721'664 + 665'600);
  EXPECT_EQ(weights(made("pointnet2-ssg", true)), 1'465'856);
  // Of the multi-scale network, by scale: 6 or 323 in, the widths of pointnet2.cpp's table.
  EXPECT_EQ(weights(made("pointnet2-msg", true)), 1'734'272);
  EXPECT_EQ(published_parameters(made("pointnet2-ssg", true)), 1'475'880);
  EXPECT_EQ(published_parameters(made("pointnet2-msg", true)), 1'747'848);
  EXPECT_EQ(weights(made("pointnet", false)),
            3 * 64 + 64 * 64 + 64 * 64 + 64 * 128 + 128 * 1024 + 1024 * 512 + 512 * 256 + 256 * 40);
}

TEST(PointNet2, ShapesFollowTheCloud) {
  for (const std::string name : {"pointnet", "pointnet2-ssg", "pointnet2-msg"}) {
    for (const bool normals : {false, true}) {
      const graph::Model model = made(name, normals);
      ASSERT_TRUE(graph::validate(model).ok());
      const auto shapes =
          graph::infer_shapes(model, model.graphs[0], {{"batch", 2}, {"points", 600}});
      ASSERT_TRUE(shapes.ok()) << shapes.status().message();
      EXPECT_EQ(to_string(shapes->at("points").shape), normals ? "[2,600,6]" : "[2,600,3]");
      EXPECT_EQ(to_string(shapes->at("flatten").shape), "[2,1024]");
      EXPECT_EQ(to_string(shapes->at("logits").shape), "[2,40]");
      if (name == "pointnet2-msg") {
        EXPECT_EQ(to_string(shapes->at("sa1.scale3.group").shape),
                  normals ? "[2,6,128,512]" : "[2,3,128,512]");
        EXPECT_EQ(to_string(shapes->at("sa2.join").shape), "[2,640,1,128]");
      }
    }
  }
}

TEST(PointNet2, CloudsWithFewerPointsThanCentresAreRefused) {
  const graph::Model model = made("pointnet2-ssg", false);
  const auto shapes = graph::infer_shapes(model, model.graphs[0], {{"points", 500}});
  EXPECT_EQ(shapes.status().message(),
            "graph 'main': node 'sa1.sample' (FarthestPointSampling): a cloud has 500 points, but "
            "512 are to be chosen of it");
}

TEST(PointNet2, WidthScalesEveryLayer) {
  PointNetConfig config = pointnet_config("pointnet2-ssg").value();
  config.width = 16;
  const graph::Model model = pointnet(config).value();
  EXPECT_EQ(model.find_parameter("sa1.conv1.weight")->shape, (std::vector<int64_t>{16, 3, 1, 1}));
  EXPECT_EQ(model.find_parameter("sa3.conv1.weight")->shape, (std::vector<int64_t>{64, 67, 1, 1}));
  EXPECT_EQ(model.find_parameter("fc3.weight")->shape, (std::vector<int64_t>{40, 64}));
  EXPECT_FALSE(model.find_parameter("sa1.conv1.weight")->prunable);
  EXPECT_TRUE(model.find_parameter("sa1.conv2.weight")->prunable);
  EXPECT_FALSE(model.find_parameter("fc3.weight")->prunable);
}

TEST(PointNet2, RefusesImpossibleSizes) {
  const auto refusal = [](const auto& change) {
    PointNetConfig config = pointnet_config("pointnet2-ssg").value();
    change(config);
    return pointnet(config).status().message();
  };
  EXPECT_EQ(refusal([](PointNetConfig& c) { c.points = 511; }),
            "pointnet: 512 centres cannot be chosen of 511 points");
  EXPECT_EQ(refusal([](PointNetConfig& c) { c.classes = 0; }),
            "pointnet: classes is 0, expected 1 to 1048576");
  EXPECT_EQ(refusal([](PointNetConfig& c) { c.stages[0].scales[0].radius = -1; }),
            "pointnet: a radius must be a number above 0");
  EXPECT_EQ(refusal([](PointNetConfig& c) { c.stages[1].scales.clear(); }),
            "pointnet: a stage has no scales");
  EXPECT_EQ(refusal([](PointNetConfig& c) { c.global_widths.clear(); }),
            "pointnet: the global stage has no layers");
  EXPECT_EQ(refusal([](PointNetConfig& c) { c.dropout = 1; }),
            "pointnet: dropout must be at least 0 and below 1");
  EXPECT_EQ(pointnet_config("pointnet3").status().message(),
            "there is no classifier of point clouds 'pointnet3'; there are pointnet, "
            "pointnet2-ssg, pointnet2-msg, pointnet2-ssg-small");
  EXPECT_TRUE(is_pointnet("pointnet2-ssg"));
  EXPECT_FALSE(is_pointnet("gat"));
}

}  // namespace
}  // namespace strata::models
