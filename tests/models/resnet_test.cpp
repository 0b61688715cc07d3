// The ResNet family has the published counts of parameters and multiply-adds, torchvision's names,
// and shapes that fit for every size of image.
#include "models/resnet.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace strata::models {
namespace {

using graph::Model;
using graph::Parameter;
using graph::ParameterRole;

Model build(const ResNetConfig& config) {
  Result<Model> model = resnet(config);
  EXPECT_TRUE(model.ok()) << model.status().message();
  return std::move(model).value();
}

ResNetConfig config_of(const std::string& name) {
  const Result<ResNetConfig> config = resnet_config(name);
  EXPECT_TRUE(config.ok()) << config.status().message();
  return *config;
}

/// As published: convolutions, classifier and normalisation affine; statistics are not trained.
int64_t trained_parameters(const Model& model) {
  int64_t count = 0;
  for (const Parameter& parameter : model.parameters) {
    const bool statistic =
        parameter.role == ParameterRole::kMean || parameter.role == ParameterRole::kVariance;
    if (!statistic) count += parameter.element_count();
  }
  return count;
}

int64_t multiply_adds(const Model& model) {
  const auto costs = graph::count_macs(model, model.graphs[0], {{"batch", 1}});
  EXPECT_TRUE(costs.ok()) << costs.status().message();
  int64_t total = 0;
  for (const graph::NodeCost& cost : *costs) total += cost.dense_macs;
  return total;
}

struct Published {
  const char* name;
  int64_t parameters;
  int64_t macs;
};

class PublishedCounts : public testing::TestWithParam<Published> {};

TEST_P(PublishedCounts, AreMet) {
  const Model model = build(config_of(GetParam().name));
  EXPECT_EQ(model.name, GetParam().name);
  EXPECT_EQ(trained_parameters(model), GetParam().parameters);
  EXPECT_EQ(multiply_adds(model), GetParam().macs);
}

INSTANTIATE_TEST_SUITE_P(ResNet, PublishedCounts,
                         testing::Values(Published{"resnet20", 269'722, 40'551'040},
                                         Published{"resnet56", 853'018, 125'485'696},
                                         Published{"resnet18", 11'689'512, 1'814'073'344},
                                         Published{"resnet50", 25'557'032, 4'089'184'256},
                                         Published{"resnet18-small", 11'173'962, 555'422'720},
                                         Published{"resnet50-small", 23'520'842, 1'297'829'888}));

TEST(ResNet, EveryNameBuildsAValidModel) {
  for (const std::string& name : resnet_names()) {
    const Model model = build(config_of(name));
    EXPECT_TRUE(graph::validate(model).ok());
    EXPECT_EQ(model.metadata.at("family"), "image-classification");
    ASSERT_EQ(model.graphs.size(), 1U);
    const graph::Graph& graph = model.graphs[0];
    EXPECT_EQ(graph.name, "main");
    EXPECT_EQ(graph.inputs[0].name, "image");
    EXPECT_EQ(graph.outputs[0].name, "logits");
    const auto table = graph::infer_shapes(model, graph);
    ASSERT_TRUE(table.ok()) << table.status().message();
    EXPECT_EQ(table->at("logits").shape, (graph::Shape{"batch", config_of(name).classes}));
  }
}

TEST(ResNet, AnUnknownNameListsThoseThatExist) {
  EXPECT_EQ(resnet_config("resnet19").status().message(),
            "no architecture is named 'resnet19'; there are resnet8, resnet20, resnet56, resnet18, "
            "resnet50, resnet18-small, resnet50-small");
}

TEST(ResNet, ParametersAreNamedLikeTorchvisions) {
  const Model model = build(config_of("resnet50"));
  const auto shape = [&](const char* name) {
    const Parameter* parameter = model.find_parameter(name);
    return parameter == nullptr ? std::vector<int64_t>{} : parameter->shape;
  };
  EXPECT_EQ(shape("conv1.weight"), (std::vector<int64_t>{64, 3, 7, 7}));
  EXPECT_EQ(shape("bn1.running_var"), (std::vector<int64_t>{64}));
  EXPECT_EQ(shape("layer1.0.conv1.weight"), (std::vector<int64_t>{64, 64, 1, 1}));
  EXPECT_EQ(shape("layer1.0.downsample.0.weight"), (std::vector<int64_t>{256, 64, 1, 1}));
  EXPECT_EQ(shape("layer1.0.downsample.1.bias"), (std::vector<int64_t>{256}));
  EXPECT_EQ(shape("layer4.2.conv2.weight"), (std::vector<int64_t>{512, 512, 3, 3}));
  EXPECT_EQ(shape("fc.weight"), (std::vector<int64_t>{1000, 2048}));
  EXPECT_EQ(shape("fc.bias"), (std::vector<int64_t>{1000}));
}

TEST(ResNet, TheBottleneckStridesInItsMiddleConvolution) {
  const Model model = build(config_of("resnet50"));
  for (const graph::Node& node : model.graphs[0].nodes) {
    if (node.name == "layer2.0.conv1") {
      EXPECT_EQ(node.attribute_ints("strides", {}), (std::vector<int64_t>{1, 1}));
    }
    if (node.name == "layer2.0.conv2") {
      EXPECT_EQ(node.attribute_ints("strides", {}), (std::vector<int64_t>{2, 2}));
    }
  }
}

TEST(ResNet, OptionAShortcutsHaveNoParameters) {
  const Model model = build(config_of("resnet20"));
  for (const Parameter& parameter : model.parameters) {
    EXPECT_EQ(parameter.name.find("downsample"), std::string::npos) << parameter.name;
  }
}

TEST(ResNet, TheEndsStayDenseOnRequest) {
  ResNetConfig config = config_of("resnet20");
  for (const Parameter& parameter : build(config).parameters) EXPECT_TRUE(parameter.prunable);
  config.keep_ends_dense = true;
  for (const Parameter& parameter : build(config).parameters) {
    const bool end = parameter.name == "conv1.weight" || parameter.name == "fc.weight";
    EXPECT_EQ(parameter.prunable, !end) << parameter.name;
  }
}

TEST(ResNet, WidthScalesEveryStage) {
  ResNetConfig config = config_of("resnet8");
  config.width = 32;
  config.input_channels = 1;
  const Model model = build(config);
  EXPECT_EQ(model.find_parameter("conv1.weight")->shape, (std::vector<int64_t>{32, 1, 3, 3}));
  EXPECT_EQ(model.find_parameter("layer3.0.conv2.weight")->shape,
            (std::vector<int64_t>{128, 128, 3, 3}));
  EXPECT_EQ(model.find_parameter("fc.weight")->shape, (std::vector<int64_t>{10, 128}));
}

TEST(ResNet, AStemStrideOfTwoQuartersTheWork) {
  ResNetConfig config = config_of("resnet20");
  const int64_t full = multiply_adds(build(config));
  config.stem_stride = 2;
  const int64_t halved = multiply_adds(build(config));
  EXPECT_EQ((halved - 640) * 4, full - 640);  // all but the classifier, 64 x 10
}

TEST(ResNet, ImpossibleConfigurationsAreRefused) {
  const auto refusal = [](auto&& change) {
    ResNetConfig config = config_of("resnet8");
    change(config);
    return resnet(config).status().message();
  };
  EXPECT_EQ(refusal([](ResNetConfig& c) { c.width = 0; }),
            "resnet: width is 0, allowed are 1 to 1024");
  EXPECT_EQ(refusal([](ResNetConfig& c) { c.stem_stride = 3; }),
            "resnet: stem_stride is 3, allowed are 1 to 2");
  EXPECT_EQ(refusal([](ResNetConfig& c) { c.blocks.clear(); }),
            "resnet: the number of stages is 0, allowed are 1 to 8");
  EXPECT_EQ(refusal([](ResNetConfig& c) { c.blocks[1] = -4; }),
            "resnet: the number of blocks of a stage is -4, allowed are 1 to 1000");
  EXPECT_EQ(refusal([](ResNetConfig& c) { c.classes = INT64_MAX; }),
            "resnet: classes is 9223372036854775807, allowed are 1 to 1048576");
  EXPECT_EQ(refusal([](ResNetConfig& c) { c.image_height = 0; }),
            "resnet: image_height is 0, allowed are 1 to 1048576");
}

RC_GTEST_PROP(ResNet, FitsEverySizeOfImage, ()) {
  const auto pick = [](int64_t least, int64_t most) {
    return *rc::gen::inRange<int64_t>(least, most + 1);
  };
  ResNetConfig config;
  config.name = "random";
  config.blocks.resize(static_cast<size_t>(pick(1, 4)));
  for (int64_t& blocks : config.blocks) blocks = pick(1, 2);
  config.bottleneck = pick(0, 1) == 1;
  config.projection_shortcut = pick(0, 1) == 1;
  config.stem = pick(0, 1) == 1 ? ResNetStem::kImageNet : ResNetStem::kSmall;
  config.stem_stride = pick(1, 2);
  config.width = pick(1, 17);
  config.input_channels = pick(1, 4);
  config.image_height = pick(1, 70);
  config.image_width = pick(1, 70);
  config.classes = pick(1, 12);
  const Result<Model> model = resnet(config);
  RC_ASSERT(model.ok());
  const auto table = graph::infer_shapes(*model, model->graphs[0], {{"batch", 2}});
  RC_ASSERT(table.ok());
  RC_ASSERT(table->at("logits").shape == (graph::Shape{2, config.classes}));
}

}  // namespace
}  // namespace strata::models
