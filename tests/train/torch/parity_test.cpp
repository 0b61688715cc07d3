// Our runtime against libtorch: every level of every ResNet, odd sizes, one and two threads.
#include <algorithm>
#include <cmath>

#include <gtest/gtest.h>

#include "session_fixture.h"
#include "train/torch/dense_runner.h"

namespace strata::train {
namespace {

struct Network {
  const char* name;
  int64_t height, width;
  int64_t channels;  ///< of the first stage
};

class Parity : public ::testing::TestWithParam<Network> {};

TEST_P(Parity, EveryLevelEqualsTheMaskedDenseModel) {
  const Network& network = GetParam();
  const sparse::NestedModel nested = testing::random_nested(
      testing::resnet(network.name, network.height, network.width, network.channels),
      {0.0538, 0.1338, 0.5, 1.0}, 11);
  for (const int threads : {1, 2}) {
    runtime::SessionOptions options;
    options.threads = threads;
    const auto session = testing::open(nested, options);
    ASSERT_NE(session, nullptr);
    testing::SessionData data(*session);
    for (int level = 0; level < nested.level_count; ++level) {
      const Status status = session->run(data.input_views, data.output_views, level);
      ASSERT_TRUE(status.ok()) << status.message();
      TorchModel torch(nested, {.level = level,
                                .threads = threads,
                                .fold = false,
                                .layout = TorchModelOptions::Layout::kPlain});
      std::vector<float> expected(data.outputs[0].size());
      torch.run(data.inputs[0], 1, expected);
      float largest = 0;
      for (const float value : expected) largest = std::max(largest, std::fabs(value));
      for (size_t i = 0; i < expected.size(); ++i) {
        ASSERT_NEAR(data.outputs[0][i], expected[i], 1e-4F * largest)
            << "level " << level << ", " << threads << " threads, output " << i;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    ResNets, Parity,
    ::testing::Values(Network{"resnet8", 28, 28, 16}, Network{"resnet20", 32, 32, 16},
                      Network{"resnet20", 29, 35, 16}, Network{"resnet56", 32, 32, 16},
                      Network{"resnet18", 224, 224, 64}, Network{"resnet18", 97, 131, 64},
                      Network{"resnet50", 224, 224, 64}, Network{"resnet50", 111, 75, 64},
                      Network{"resnet18-small", 32, 32, 64}, Network{"resnet18-small", 33, 27, 40},
                      Network{"resnet50-small", 32, 32, 64}, Network{"resnet50-small", 31, 17, 24}),
    [](const auto& instance) {
      std::string name = std::string(instance.param.name) + "_" +
                         std::to_string(instance.param.height) + "x" +
                         std::to_string(instance.param.width);
      std::replace(name.begin(), name.end(), '-', '_');
      return name;
    });

}  // namespace
}  // namespace strata::train
