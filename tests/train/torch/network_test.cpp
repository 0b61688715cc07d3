// A channel that one level never changes and another does.
#include "train/torch/network.h"

#include <cstdint>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "graph/builder.h"
#include "sparse/nested_model.h"

namespace strata::train {
namespace {

/// Two normalised 1x1 convolutions of two channels each, on images of two channels.
graph::Model two_convolutions() {
  graph::Model model;
  model.name = "two-convolutions";
  graph::GraphBuilder builder(model, "main");
  const graph::Shape shape = {graph::Dim("batch"), graph::Dim(2), graph::Dim(3), graph::Dim(3)};
  const graph::ConvOptions conv = {.in_channels = 2, .out_channels = 2};
  std::string value = builder.input("image", shape);
  value = builder.conv("conv1", value, conv);
  value = builder.relu("relu", builder.batch_norm("bn1", value, 2));
  value = builder.conv("conv2", value, conv);
  value = builder.batch_norm("bn2", value, 2);
  builder.output(value, "out", shape);
  builder.finish();
  return model;
}

size_t index_of(const graph::Model& model, const std::string& name) {
  return static_cast<size_t>(model.find_parameter(name) - model.parameters.data());
}

class ConstantChannels : public ::testing::Test {
 protected:
  /// At level 0, channel 1 of the first convolution has no weight and that of the second reads
  /// nothing else. Both levels have gathered their statistics.
  ConstantChannels() : model_(two_convolutions()), network_(model_, 2, /*seed=*/5, at::kCPU) {
    const at::NoGradGuard no_grad;
    network_.set_mask(0, index_of(model_, "conv1.weight"), std::vector<uint8_t>{1, 1, 0, 0});
    network_.set_mask(0, index_of(model_, "conv2.weight"), std::vector<uint8_t>{1, 0, 0, 1});
    for (int level = 0; level < 2; ++level) {
      network_.vector(level, index_of(model_, "bn2.bias")).fill_(0.25);
      network_.refresh(level);
    }
    images_ = at::rand({16, 2, 3, 3});
    for (int i = 0; i < 400; ++i) {
      for (int level = 0; level < 2; ++level) {
        (void)answer(network_, network_.fixed_route(level),
                     {.training = true, .update_statistics = true});
      }
    }
  }

  [[nodiscard]] at::Tensor answer(const Network& network, const ModelRoute& route,
                                  const Pass& pass) const {
    return network.forward(0, std::vector<at::Tensor>{images_}, route, pass)[0];
  }
  [[nodiscard]] static at::Tensor channel(const at::Tensor& tensor, int64_t index) {
    return tensor.select(1, index);
  }
  static void load(Network& network, const sparse::NestedModel& nested) {
    network.load(nested);
    for (int level = 0; level < nested.level_count; ++level) network.refresh(level);
  }
  static double most(const at::Tensor& tensor) { return tensor.abs().max().item<double>(); }

  graph::Model model_;
  Network network_;
  at::Tensor images_;
};

TEST_F(ConstantChannels, StoredLevelsAreAsTheyWere) {
  const at::NoGradGuard no_grad;
  const sparse::NestedModel nested = network_.nested();
  EXPECT_EQ(nested.vectors[0].at("bn1.weight")[1], 0);
  EXPECT_EQ(nested.vectors[0].at("bn2.weight")[1], 0);
  for (const char* scale : {"bn1.weight", "bn2.weight"}) {
    EXPECT_NE(nested.vectors[0].at(scale)[0], 0);
    EXPECT_NE(nested.vectors[1].at(scale)[0], 0);
    EXPECT_NE(nested.vectors[1].at(scale)[1], 0);
  }
  Network stored(nested.model, 2, 1, at::kCPU);
  load(stored, nested);
  for (int level = 0; level < 2; ++level) {
    const at::Tensor before = answer(network_, network_.fixed_route(level), {});
    const at::Tensor after = answer(stored, stored.fixed_route(level), {});
    EXPECT_LT(most(after - before), 1e-4) << "level " << level;
  }
}

TEST_F(ConstantChannels, SayNothingNewWhenARouteChangesIntoTheirLevel) {
  const at::NoGradGuard no_grad;
  const ModelRoute mixed = network_.switched_route(1, 1, 0);
  // What the constant channel's statistics would make of channel 1 of level 1.
  EXPECT_GT(most(channel(answer(network_, mixed, {}), 1)), 10);

  const sparse::NestedModel nested = network_.nested();
  Network stored(nested.model, 2, 1, at::kCPU);
  load(stored, nested);
  const at::Tensor out = answer(stored, stored.switched_route(1, 1, 0), {});
  EXPECT_LT(most(channel(out, 1) - 0.25), 1e-5);
  EXPECT_LT(most(channel(out, 0)), 10);
}

TEST_F(ConstantChannels, AreTheSameWhereTrainingImitatesInference) {
  const at::NoGradGuard no_grad;
  const at::Tensor out = answer(network_, network_.switched_route(1, 1, 0),
                                {.training = true, .imitate_inference = true});
  EXPECT_LT(most(channel(out, 1) - 0.25), 1e-5);
}

}  // namespace
}  // namespace strata::train
