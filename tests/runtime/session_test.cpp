// What a session promises around running: clear errors, levels that are dropped and come back, the
// same bits whatever the threads, and several sessions at once.
#include <thread>

#include "format/writer.h"
#include "graph/builder.h"
#include "session_fixture.h"

namespace strata::testing {
namespace {

using runtime::Session;
using runtime::SessionOptions;

const sparse::NestedModel& nested_resnet() {
  static const sparse::NestedModel nested =
      random_nested(resnet("resnet8", 17, 19, 8), {0.05, 0.2, 0.5}, 11);
  return nested;
}

std::shared_ptr<const format::Reader> reader() {
  sparse::NestedModel folded = nested_resnet();
  EXPECT_TRUE(sparse::fold_normalisation(folded).ok());
  const auto bytes = format::encode(folded);
  EXPECT_TRUE(bytes.ok()) << bytes.status().message();
  auto opened = format::Reader::from_bytes(bytes.value());
  EXPECT_TRUE(opened.ok()) << opened.status().message();
  return opened.value();
}

std::unique_ptr<Session> open_file(const SessionOptions& options = {}) {
  auto session = Session::create(reader(), options);
  EXPECT_TRUE(session.ok()) << session.status().message();
  return std::move(session).value();
}

std::vector<float> logits(Session& session, int level) {
  SessionData data(session);
  const Status status = session.run(data.input_views, data.output_views, level);
  EXPECT_TRUE(status.ok()) << status.message();
  return data.outputs[0];
}

std::string error_of(const sparse::NestedModel& nested, const SessionOptions& options) {
  const auto session = Session::create(nested, options);
  return session.ok() ? "no error" : session.status().message();
}

TEST(Session, FromAFileEqualsTheNaiveExecutor) {
  const auto session = open_file();
  for (int level = 0; level < 3; ++level) {
    SessionData data(*session);
    ASSERT_TRUE(session->run(data.input_views, data.output_views, level).ok());
    expect_like_naive(nested_resnet(), *session, data,
                      std::vector<uint8_t>(session->steps().size(), static_cast<uint8_t>(level)));
  }
}

TEST(Session, LevelsDiffer) {
  const auto session = open_file();
  EXPECT_NE(logits(*session, 0), logits(*session, 1));
  EXPECT_NE(logits(*session, 1), logits(*session, 2));
}

TEST(Session, ThreadsChangeNoBit) {
  for (const int64_t batch : {1, 3}) {
    const auto one = open_file({.threads = 1, .graph = {}, .bindings = {{"batch", batch}}});
    const auto two = open_file({.threads = 2, .graph = {}, .bindings = {{"batch", batch}}});
    const auto five = open_file({.threads = 5, .graph = {}, .bindings = {{"batch", batch}}});
    EXPECT_EQ(five->threads(), 5);
    for (int level = 0; level < 3; ++level) {
      const auto expected = logits(*one, level);
      EXPECT_EQ(logits(*two, level), expected);
      EXPECT_EQ(logits(*five, level), expected);
    }
  }
}

TEST(Session, ShapesHaveTheirSymbolsBound) {
  const auto session = open_file({.threads = 1, .graph = {}, .bindings = {{"batch", 2}}});
  EXPECT_EQ(graph::to_string(session->inputs()[0].shape), "[2,3,17,19]");
  EXPECT_EQ(graph::to_string(session->outputs()[0].shape), "[2,10]");
}

TEST(Session, DropsLevelsAndReloadsThemBitForBit) {
  const auto session = open_file({.threads = 2, .graph = {}, .bindings = {}});
  std::vector<std::vector<float>> before;
  before.reserve(3);
  for (int level = 0; level < 3; ++level) before.push_back(logits(*session, level));
  const auto full = session->memory();
  EXPECT_EQ(full.total(), full.weights + full.activations);

  ASSERT_TRUE(session->drop_levels_above(1).ok());
  const auto two = session->memory();
  ASSERT_TRUE(session->drop_levels_above(0).ok());
  const auto one = session->memory();
  EXPECT_LT(two.weights, full.weights);
  EXPECT_LT(one.weights, two.weights);
  EXPECT_EQ(one.activations, full.activations);
  // Taps are most of the memory: the sparsest level has a tenth of the non-zeros.
  EXPECT_LT(one.weights, full.weights / 3);
  EXPECT_EQ(session->level_count(), 1);
  EXPECT_EQ(logits(*session, 0), before[0]);
  SessionData data(*session);
  const Status gone = session->run(data.input_views, data.output_views, 1);
  EXPECT_EQ(gone.message(), "level 1 is not loaded, levels 0 to 0 are");

  ASSERT_TRUE(session->reload_levels().ok());
  EXPECT_EQ(session->level_count(), 3);
  EXPECT_EQ(session->memory().weights, full.weights);
  for (int level = 0; level < 3; ++level)
    EXPECT_EQ(logits(*session, level), before[static_cast<size_t>(level)]);
}

TEST(Session, LevelsFromADensityOnRunDenseAndGiveTheSame) {
  // Of levels with 5, 20 and 50 %, the last is dense in every layer, or the last two.
  for (const auto& [from, first] : {std::pair(0.4, 2), std::pair(0.15, 1), std::pair(0.0, 0)}) {
    const auto session = open_file({.threads = 2, .dense_from = from});
    for (const runtime::StepInfo& step : session->steps()) {
      if (step.kind != "conv3x3") continue;
      EXPECT_EQ(step.first_dense_level, first) << step.name;
    }
    std::vector<std::vector<float>> before;
    for (int level = 0; level < 3; ++level) {
      SessionData data(*session);
      ASSERT_TRUE(session->run(data.input_views, data.output_views, level).ok());
      expect_like_naive(nested_resnet(), *session, data,
                        std::vector<uint8_t>(session->steps().size(), static_cast<uint8_t>(level)));
      before.push_back(data.outputs[0]);
    }
    EXPECT_EQ(logits(*open_file({.threads = 1, .dense_from = from}), 2), before[2]);
    const size_t full = session->memory().weights;
    ASSERT_TRUE(session->drop_levels_above(1).ok());
    EXPECT_LT(session->memory().weights, full);
    ASSERT_TRUE(session->drop_levels_above(0).ok());
    EXPECT_EQ(logits(*session, 0), before[0]);
    ASSERT_TRUE(session->reload_levels().ok());
    EXPECT_EQ(session->memory().weights, full);
    EXPECT_EQ(logits(*session, 2), before[2]);
  }
}

TEST(Session, EqualDenseLevelsShareTheirWeights) {
  graph::Model model;
  graph::GraphBuilder builder(model, "main");
  std::string value = builder.input("x", {1, 64, 8, 8});
  value = builder.conv("whole", value, {.in_channels = 64, .out_channels = 64, .prunable = false});
  builder.output(value, "y", {1, 64, 8, 8});
  builder.finish();
  const auto session = open(random_nested(std::move(model), {0.1, 0.2, 0.3, 0.4}, 1), {});
  ASSERT_NE(session, nullptr);
  EXPECT_EQ(session->steps()[0].first_dense_level, 0);
  EXPECT_LT(session->memory().weights, size_t{2} * 64 * 64 * sizeof(float));
  const auto before = logits(*session, 1);
  ASSERT_TRUE(session->drop_levels_above(1).ok());
  EXPECT_EQ(logits(*session, 1), before);
}

TEST(Session, ChoosesTheDenseKernelPerLayerAndLevel) {
  graph::Model model;
  graph::GraphBuilder builder(model, "main");
  std::string value = builder.input("x", {1, 32, 14, 14});
  value = builder.conv("pruned", value, {.in_channels = 32, .out_channels = 32});
  value = builder.conv("whole", value, {.in_channels = 32, .out_channels = 32, .prunable = false});
  value = builder.conv("depthwise", value,
                       {.in_channels = 32,
                        .out_channels = 32,
                        .kernel = 3,
                        .padding = 1,
                        .group = 32,
                        .prunable = false});
  builder.output(value, "y", {1, 32, 14, 14});
  builder.finish();
  const auto session = open(random_nested(std::move(model), {0.1, 0.2, 0.95}, 1), {});
  ASSERT_NE(session, nullptr);
  EXPECT_EQ(session->steps()[0].first_dense_level, 2);
  EXPECT_EQ(session->steps()[1].first_dense_level, 0);
  EXPECT_EQ(session->steps()[2].first_dense_level, 3) << "panels of one row would idle";
}

TEST(Session, LoadsNoMoreLevelsThanAsked) {
  SessionOptions options;
  options.max_level = 1;
  const auto session = open_file(options);
  EXPECT_EQ(session->level_count(), 2);
  EXPECT_LT(session->memory().weights, open_file()->memory().weights);
  ASSERT_TRUE(session->drop_levels_above(0).ok());
  ASSERT_TRUE(session->reload_levels().ok());
  EXPECT_EQ(session->level_count(), 2);
}

TEST(Session, ManyRunSideBySide) {
  const auto expected = logits(*open_file(), 2);
  std::vector<std::thread> threads;
  std::vector<std::vector<float>> results(4);
  threads.reserve(results.size());
  for (auto& result : results) {
    threads.emplace_back([&result] {
      const auto session = open_file({.threads = 2, .graph = {}, .bindings = {}});
      for (int round = 0; round < 5; ++round) result = logits(*session, 2);
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const auto& result : results) EXPECT_EQ(result, expected);
}

TEST(Session, RefusesLevelsThatDoNotExist) {
  const auto session = open(nested_resnet(), {});
  SessionData data(*session);
  for (const int level : {-1, 3, 1000}) {
    const Status status = session->run(data.input_views, data.output_views, level);
    EXPECT_EQ(status.code(), StatusCode::kOutOfRange);
    EXPECT_EQ(status.message(),
              "level " + std::to_string(level) + " is not loaded, levels 0 to 2 are");
  }
  std::vector<uint8_t> levels(session->steps().size(), 0);
  levels.back() = 3;
  EXPECT_EQ(session->run_route(data.input_views, data.output_views, levels).code(),
            StatusCode::kOutOfRange);
  EXPECT_EQ(session->drop_levels_above(3).code(), StatusCode::kOutOfRange);
  SessionOptions options;
  options.max_level = 3;
  EXPECT_EQ(error_of(nested_resnet(), options),
            "level 3 does not exist, the model has levels 0 to 2");
}

TEST(Session, RefusesDataOfTheWrongSize) {
  const auto session = open(nested_resnet(), {});
  SessionData data(*session);
  data.inputs[0].pop_back();
  const runtime::InputView small{data.inputs[0]};
  EXPECT_EQ(session->run({&small, 1}, data.output_views, 0).message(),
            "input 'image' has 968 elements, its shape [1,3,17,19] has 969");
  const runtime::OutputView short_output{std::span(data.outputs[0]).first(9)};
  SessionData good(*session);
  EXPECT_EQ(session->run(good.input_views, {&short_output, 1}, 0).message(),
            "output 'logits' has 9 elements, its shape [1,10] has 10");
  EXPECT_EQ(session->run({}, good.output_views, 0).message(),
            "0 inputs were passed, the graph has 1");
  EXPECT_EQ(session->run(good.input_views, {}, 0).message(),
            "0 outputs were passed, the graph has 1");
  const std::vector<uint8_t> levels(3);
  EXPECT_EQ(session->run_route(good.input_views, good.output_views, levels).code(),
            StatusCode::kInvalidArgument);
  std::vector<uint8_t> all(session->steps().size());
  std::vector<int64_t> times(1);
  EXPECT_EQ(session->run_timed(good.input_views, good.output_views, all, times).code(),
            StatusCode::kInvalidArgument);
}

TEST(Session, RefusesUnknownGraphsAndBadThreads) {
  EXPECT_EQ(error_of(nested_resnet(), {.threads = 1, .graph = "decoder", .bindings = {}}),
            "the model has no graph 'decoder', it has 'main'");
  EXPECT_EQ(error_of(nested_resnet(), {.threads = 0, .graph = {}, .bindings = {}}),
            "the number of threads is 0, it must be 1 to 64");
}

TEST(Session, RefusesOperatorsThatItCannotRun) {
  graph::Model model;
  graph::GraphBuilder builder(model, "main");
  builder.input("x", {1, 1, 4, 4});
  builder.input("kernel", {1, 1, 3, 3});
  builder.output(builder.node("odd", "Conv", {"x", "kernel"}), "y", {1, 1, 2, 2});
  builder.finish();
  EXPECT_EQ(error_of(random_nested(model, {1.0}, 1), {}),
            "graph 'main': node 'odd' (Conv): its input 'kernel' is computed, the runtime needs it "
            "to be a parameter");
}

TEST(Session, RefusesToReloadWhatNeverCameFromAFile) {
  const auto session = open(nested_resnet(), {});
  const Status status = session->reload_levels();
  EXPECT_EQ(status.code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(status.message(),
            "the session was made from a model in memory, levels can be reloaded only from a file");
}

TEST(Session, RefusesAnUnknownInstructionSet) {
  setenv("STRATA_TARGET", "mmx", 1);
  const std::string error = error_of(nested_resnet(), {});
  unsetenv("STRATA_TARGET");
  EXPECT_EQ(error.find("environment variable STRATA_TARGET is 'mmx', this CPU runs: scalar"), 0U);
}

TEST(Session, EveryInstructionSetGivesTheSameAnswer) {
  const auto expected = logits(*open_file(), 2);
  for (const char* target : {"scalar", "sse4", "avx2", "avx3", "neon"}) {
    setenv("STRATA_TARGET", target, 1);
    auto session = Session::create(reader(), {});
    unsetenv("STRATA_TARGET");
    if (!session.ok()) continue;  // not an instruction set of this CPU
    const auto actual = logits(**session, 2);
    for (size_t i = 0; i < actual.size(); ++i) EXPECT_NEAR(actual[i], expected[i], 1e-3) << target;
  }
}

}  // namespace
}  // namespace strata::testing
