// Every ResNet of the builders, at every level, equals the naive executor: odd image sizes, several
// batch sizes, one and two threads.
#include <tuple>

#include "session_fixture.h"

namespace strata::testing {
namespace {

const std::vector<double> densities = {0.06, 0.15, 0.6};

class ResNet : public ::testing::TestWithParam<std::tuple<std::string, int64_t, int>> {};

TEST_P(ResNet, EveryLevelEqualsTheNaiveExecutor) {
  const auto& [name, batch, threads] = GetParam();
  const auto nested = random_nested(resnet(name, 33, 35, 8), densities, 3);
  const auto session =
      open(nested, {.threads = threads, .graph = {}, .bindings = {{"batch", batch}}});
  ASSERT_NE(session, nullptr);
  ASSERT_EQ(session->level_count(), 3);
  for (int level = 0; level < session->level_count(); ++level) {
    SessionData data(*session);
    const Status status = session->run(data.input_views, data.output_views, level);
    ASSERT_TRUE(status.ok()) << status.message();
    SCOPED_TRACE("level " + std::to_string(level));
    expect_like_naive(nested, *session, data,
                      std::vector<uint8_t>(session->steps().size(), static_cast<uint8_t>(level)));
  }
}

std::string case_name(const ::testing::TestParamInfo<ResNet::ParamType>& info) {
  std::string name = std::get<0>(info.param) + "_batch" + std::to_string(std::get<1>(info.param)) +
                     "_threads" + std::to_string(std::get<2>(info.param));
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

INSTANTIATE_TEST_SUITE_P(All, ResNet,
                         ::testing::Combine(::testing::ValuesIn(models::resnet_names()),
                                            ::testing::Values<int64_t>(1, 3),
                                            ::testing::Values(1, 2)),
                         case_name);

// In small weights every level has a list of its own; in large ones every increment has, but for
// the sparsest levels where there are more levels than lists.
TEST(ResNetLevels, DroppingLevelsChangesNoOutput) {
  const auto nested =
      random_nested(resnet("resnet18-small", 32, 32, 32), {0.01, 0.02, 0.03, 0.04, 0.06, 0.08}, 6);
  const auto session = open(nested, {.threads = 1, .graph = {}, .bindings = {}});
  ASSERT_NE(session, nullptr);
  SessionData before(*session, 7);
  SessionData after(*session, 7);
  for (int level = 4; level >= 0; --level) {
    ASSERT_TRUE(session->run(before.input_views, before.output_views, level).ok());
    const size_t bytes = session->memory().weights;
    ASSERT_TRUE(session->drop_levels_above(level).ok());
    EXPECT_LT(session->memory().weights, bytes);
    ASSERT_TRUE(session->run(after.input_views, after.output_views, level).ok());
    EXPECT_EQ(before.outputs, after.outputs);
    if (level != 1) continue;
    expect_like_naive(nested, *session, after,
                      std::vector<uint8_t>(session->steps().size(), static_cast<uint8_t>(level)));
  }
}

TEST(ResNetRoute, MixedLevelsEqualTheNaiveExecutor) {
  const auto nested = random_nested(resnet("resnet50", 40, 33, 8), densities, 4);
  const auto session = open(nested, {.threads = 2, .graph = {}, .bindings = {{"batch", 2}}});
  ASSERT_NE(session, nullptr);
  std::mt19937 random(5);
  for (int round = 0; round < 4; ++round) {
    std::vector<uint8_t> levels(session->steps().size());
    for (uint8_t& level : levels) level = static_cast<uint8_t>(random() % 3);
    SessionData data(*session, random());
    std::vector<int64_t> times(levels.size(), -1);
    const Status status =
        round % 2 == 0 ? session->run_route(data.input_views, data.output_views, levels)
                       : session->run_timed(data.input_views, data.output_views, levels, times);
    ASSERT_TRUE(status.ok()) << status.message();
    expect_like_naive(nested, *session, data, levels);
    if (round % 2 == 1) {
      EXPECT_TRUE(std::all_of(times.begin(), times.end(), [](int64_t t) { return t >= 0; }));
    }
  }
}

TEST(ResNetSteps, AreFused) {
  const auto nested = random_nested(resnet("resnet18", 64, 64, 8), densities, 4);
  const auto session = open(nested, {});
  ASSERT_NE(session, nullptr);
  // 20 convolutions, max-pool, average pool, classifier; nothing else is left.
  std::map<std::string, int> kinds;
  for (const runtime::StepInfo& step : session->steps()) ++kinds[step.kind];
  EXPECT_EQ(kinds, (std::map<std::string, int>{{"conv7x7", 1},
                                               {"conv3x3", 16},
                                               {"conv1x1", 3},
                                               {"maxpool", 1},
                                               {"avgpool", 1},
                                               {"gemm", 1}}));
}

TEST(ResNetSteps, CountMultiplyAddsLikeTheGraph) {
  const auto nested = random_nested(resnet("resnet20", 32, 32, 16), densities, 4);
  const auto session = open(nested, {});
  ASSERT_NE(session, nullptr);
  int64_t dense = 0;
  for (const runtime::StepInfo& step : session->steps()) {
    dense += step.dense_macs;
    ASSERT_EQ(step.macs.size(), 3U);
    EXPECT_LE(step.macs[0], step.macs[1]);
    EXPECT_LE(step.macs[2], step.dense_macs);
  }
  int64_t expected = 0;
  const auto costs = graph::count_macs(nested.model, nested.model.graphs[0], {{"batch", 1}});
  ASSERT_TRUE(costs.ok());
  for (const graph::NodeCost& cost : costs.value()) expected += cost.dense_macs;
  EXPECT_EQ(dense, expected);
}

}  // namespace
}  // namespace strata::testing
