// The C and C++ interfaces against the session that they wrap: same outputs, clear errors.
#include <cmath>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>
#include <strata/strata.hpp>
#include <unistd.h>

#include "format/writer.h"
#include "models/resnet.h"
#include "runtime/live_state.h"
#include "sparse/random.h"
#include "temporary_directory.h"

namespace {

class PublicInterface : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    path = directory.emplace() / "model.strata";
    auto config = strata::models::resnet_config("resnet8").value();
    const strata::sparse::LevelBudget levels[] = {{.weights = 0.1, .flops = {}},
                                                  {.weights = 0.3, .flops = {}}};
    auto nested =
        strata::sparse::random_nested_model(strata::models::resnet(config).value(), levels,
                                            strata::sparse::AllocationMethod::kUniform, 1);
    ASSERT_TRUE(nested.ok()) << nested.status().message();
    ASSERT_TRUE(strata::sparse::fold_normalisation(nested.value()).ok());
    ASSERT_TRUE(strata::format::write(path.string(), nested.value()).ok());
  }
  static void TearDownTestSuite() { directory.reset(); }

  static inline std::optional<strata::TemporaryDirectory> directory;
  static inline std::filesystem::path path;
};

TEST_F(PublicInterface, RunsEveryLevelAndRoutesAgreeWithLevels) {
  const strata::api::Model model(path.string());
  EXPECT_EQ(model.level_count(), 2);
  strata::api::Session session(model, {.threads = 2, .batch = 3});
  ASSERT_EQ(session.input_size(), 3U * 3 * 32 * 32);
  ASSERT_EQ(session.output_size(), 3U * 10);
  std::vector<float> input(session.input_size());
  for (size_t i = 0; i < input.size(); ++i) input[i] = std::sin(static_cast<float>(i));
  std::vector<float> sparse(session.output_size()), dense(sparse), routed(sparse);
  session.run(input, sparse, 0);
  session.run(input, dense, 1);
  EXPECT_NE(sparse, dense);
  session.run_route(input, routed, std::vector<uint8_t>(session.step_count(), 0));
  EXPECT_EQ(routed, sparse);
  session.run_route(input, routed, std::vector<uint8_t>(session.step_count(), 1));
  EXPECT_EQ(routed, dense);
}

TEST_F(PublicInterface, OpensBytesLikeTheFileThatTheyCameFrom) {
  std::ifstream file(path, std::ios::binary);
  std::vector<uint8_t> bytes{std::istreambuf_iterator<char>(file), {}};
  std::vector<float> from_file, from_bytes;
  for (const bool in_memory : {false, true}) {
    const auto model = in_memory ? strata::api::Model(bytes) : strata::api::Model(path.string());
    strata::api::Session session(model);
    if (in_memory) bytes.clear();
    std::vector<float>& output = in_memory ? from_bytes : from_file;
    output.resize(session.output_size());
    session.drop_levels_above(0);
    session.reload_levels();
    session.run(std::vector<float>(session.input_size(), 0.5F), output, 1);
  }
  EXPECT_EQ(from_bytes, from_file);
  EXPECT_THROW(strata::api::Model{std::vector<uint8_t>(100)}, strata::api::Error);
  EXPECT_THROW(strata::api::Model{std::span<const uint8_t>()}, strata::api::Error);
}

TEST_F(PublicInterface, NamesAndShapesOfInputsAndOutputs) {
  const strata::api::Model model(path.string());
  const strata::api::Session session(model, {.threads = 1, .batch = 5});
  ASSERT_NE(strata_session_input_name(session.get(), 0), nullptr);
  EXPECT_STREQ(strata_session_input_name(session.get(), 0), "image");
  EXPECT_STREQ(strata_session_output_name(session.get(), 0), "logits");
  EXPECT_EQ(strata_session_output_name(session.get(), 1), nullptr);
  int64_t shape[4] = {-1, -1, -1, -1};
  EXPECT_EQ(strata_session_input_shape(session.get(), 0, shape, 3), 4U);
  EXPECT_EQ(shape[0], 5);
  EXPECT_EQ(shape[1], 3);
  EXPECT_EQ(shape[2], 32);
  EXPECT_EQ(shape[3], -1) << "beyond the capacity";
  EXPECT_EQ(strata_session_output_shape(session.get(), 0, shape, 4), 2U);
  EXPECT_EQ(shape[1], 10);
  EXPECT_EQ(strata_session_output_shape(session.get(), 1, shape, 4), 0U);
  EXPECT_EQ(strata_session_output_shape(session.get(), 0, nullptr, 0), 2U);
}

TEST_F(PublicInterface, DropsAndReloadsLevels) {
  const strata::api::Model model(path.string());
  strata::api::Session session(model);
  const std::vector<float> input(session.input_size(), 0.25F);
  std::vector<float> before(session.output_size()), after(before);
  session.run(input, before, 1);
  const size_t bytes = session.memory_bytes();
  session.drop_levels_above(0);
  EXPECT_LT(session.memory_bytes(), bytes);
  EXPECT_EQ(session.level_count(), 1);
  EXPECT_THROW(session.run(input, after, 1), strata::api::Error);
  session.reload_levels();
  session.run(input, after, 1);
  EXPECT_EQ(after, before);
}

TEST_F(PublicInterface, SaysWhatIsWrong) {
  strata_model* none = nullptr;
  EXPECT_EQ(strata_model_open("no such file.strata", &none), STRATA_NOT_FOUND);
  EXPECT_NE(std::string(strata_last_error()).find("no such file.strata"), std::string::npos);
  EXPECT_EQ(strata_model_open(nullptr, &none), STRATA_INVALID_ARGUMENT);

  const strata::api::Model model(path.string());
  EXPECT_THROW(strata::api::Session(model, {.threads = 0}), strata::api::Error);
  EXPECT_THROW(strata::api::Session(model, {.batch = 0}), strata::api::Error);
  strata::api::Session session(model);
  std::vector<float> input(session.input_size()), output(session.output_size());
  try {
    session.run(input, output, 7);
    FAIL() << "level 7 does not exist";
  } catch (const strata::api::Error& error) {
    EXPECT_EQ(error.status(), STRATA_OUT_OF_RANGE) << error.what();
  }
  input.pop_back();
  EXPECT_THROW(session.run(input, output, 0), strata::api::Error);
}

TEST_F(PublicInterface, AnswersByADeadline) {
  const strata::api::Model model(path.string());
  strata::api::Session session(model);
  const std::vector<float> input(session.input_size(), 0.25F);
  std::vector<float> output(session.output_size()), sparse(output), dense(output);
  session.run(input, sparse, 0);
  session.run(input, dense, 1);
  try {
    session.run(input, output, {.within = std::chrono::hours(1)});
    FAIL() << "there is no profile yet";
  } catch (const strata::api::Error& error) {
    EXPECT_EQ(error.status(), STRATA_FAILED_PRECONDITION) << error.what();
  }
  EXPECT_FALSE(session.has_profile());
  session.measure_profile(5);
  EXPECT_TRUE(session.has_profile());

  const auto leisurely = session.run(input, output, {.within = std::chrono::hours(1)});
  EXPECT_TRUE(leisurely.ok());
  EXPECT_TRUE(leisurely.met);
  EXPECT_EQ(output, dense);
  EXPECT_GT(leisurely.expected.count(), 0);
  EXPECT_GT(leisurely.total.count(), 0);
  const auto route = session.last_route();
  ASSERT_EQ(route.size(), session.step_count());
  for (const auto& step : route) {
    EXPECT_EQ(step.level, 1);
    EXPECT_GT(step.expected.count(), 0);
  }

  const auto late = session.run(input, output, {.deadline = std::chrono::steady_clock::now()});
  EXPECT_TRUE(late.ok());
  EXPECT_FALSE(late.met);
  EXPECT_EQ(output, sparse);
  EXPECT_EQ(session.last_route().front().level, 0);

  const auto given_up = session.run(
      input, output, {.within = std::chrono::nanoseconds(0), .when_late = STRATA_GIVE_UP});
  EXPECT_EQ(given_up.status, STRATA_DEADLINE_EXCEEDED);
  EXPECT_TRUE(session.last_route().empty());
  for (const auto policy : {STRATA_POLICY_FIXED, STRATA_POLICY_PER_REQUEST, STRATA_POLICY_REROUTE,
                            STRATA_POLICY_LATEST_SAFE_SWITCH, STRATA_POLICY_BEST_ROUTE}) {
    EXPECT_TRUE(
        session.run(input, output, {.within = std::chrono::hours(1), .policy = policy}).met);
  }
}

TEST_F(PublicInterface, TakesOptionsOfEarlierVersions) {
  const strata::api::Model model(path.string());
  strata::api::Session session(model);
  session.measure_profile(2);
  strata_run_options options;
  strata_run_options_init(&options);
  EXPECT_EQ(options.adaptive, 0);
  options.struct_size = offsetof(strata_run_options, adaptive);
  const std::vector<float> input(session.input_size(), 0.25F);
  std::vector<float> output(session.output_size());
  const float* in = input.data();
  float* out = output.data();
  EXPECT_EQ(strata_session_run_by(session.get(), &in, &out, &options), STRATA_OK);
  options.struct_size = 1;
  EXPECT_EQ(strata_session_run_by(session.get(), &in, &out, &options), STRATA_INVALID_ARGUMENT);
}

TEST_F(PublicInterface, ShowsItsInferencesToWhoeverWatches) {
  const auto watched = [] {
    std::vector<strata::runtime::LiveSnapshot> states;
    for (const std::string& file :
         strata::runtime::find_live_states(strata::runtime::live_state_folder())) {
      const auto state = strata::runtime::read_live_state(file);
      if (state.ok() && state->process == getpid()) states.push_back(state.value());
    }
    return states;
  };
  const strata::api::Model model(path.string());
  strata::api::Session first(model, {.batch = 3}), second(model);
  first.publish("the first");
  second.publish("the second");
  first.measure_profile(2);
  const std::vector<float> input(first.input_size(), 0.25F);
  std::vector<float> output(first.output_size());
  EXPECT_TRUE(first.run(input, output, {.within = std::chrono::hours(1), .adaptive = true}).met);
  EXPECT_FALSE(first.run(input, output, {.within = std::chrono::nanoseconds(0)}).met);
  ASSERT_EQ(watched().size(), 2U);
  const auto state = watched().front();
  using strata::runtime::LiveSnapshot;
  EXPECT_EQ(LiveSnapshot::text(state.model), "the first");
  EXPECT_EQ(LiveSnapshot::text(state.policy), "best-route");
  EXPECT_EQ(state.inferences, 2);
  EXPECT_EQ(state.misses, 1);
  EXPECT_EQ(state.batch, 3);
  EXPECT_EQ(state.level_count, 2);
  first.publish(std::nullopt);
  ASSERT_EQ(watched().size(), 1U);
  EXPECT_EQ(LiveSnapshot::text(watched().front().model), "the second");
}

TEST_F(PublicInterface, CancelsFromAnotherThread) {
  const strata::api::Model model(path.string());
  strata::api::Session session(model);
  const std::vector<float> input(session.input_size(), 0.25F);
  std::vector<float> output(session.output_size());
  strata::api::Cancellation cancellation;
  std::thread other([&cancellation] { cancellation.request(); });
  strata::api::RunReport report;
  while (report.ok()) report = session.run(input, output, {.cancellation = &cancellation});
  other.join();
  EXPECT_EQ(report.status, STRATA_CANCELLED);
  EXPECT_FALSE(report.met);
  cancellation.reset();
  EXPECT_TRUE(session.run(input, output, {.cancellation = &cancellation}).ok());
}

TEST_F(PublicInterface, StoresProfilesBesideTheModel) {
  const strata::api::Model model(path.string());
  strata::api::Session session(model);
  try {
    session.load_profile();
    FAIL() << "there is none";
  } catch (const strata::api::Error& error) {
    EXPECT_EQ(error.status(), STRATA_NOT_FOUND) << error.what();
  }
  EXPECT_THROW(session.save_profile(), strata::api::Error);
  session.measure_profile(2);
  session.save_profile();
  strata::api::Session again(model);
  again.load_profile();
  EXPECT_TRUE(again.has_profile());
  strata::api::Session two(model, {.threads = 2});
  try {
    two.load_profile();
    FAIL() << "it is for one thread";
  } catch (const strata::api::Error& error) {
    EXPECT_EQ(error.status(), STRATA_FAILED_PRECONDITION);
    EXPECT_NE(std::string(error.what()).find("with 1 thread"), std::string::npos);
  }
  std::filesystem::remove(path.string() + ".profile");
}

TEST_F(PublicInterface, RefusesOptionsOfADeadlineThatMakeNoSense) {
  const strata::api::Model model(path.string());
  strata_session* session = nullptr;
  ASSERT_EQ(strata_session_create(model.get(), nullptr, 1, 1, -1, &session), STRATA_OK);
  ASSERT_EQ(strata_session_measure_profile(session, 2), STRATA_OK);
  EXPECT_EQ(strata_session_measure_profile(session, -1), STRATA_INVALID_ARGUMENT);
  const std::vector<float> input(strata_session_input_size(session, 0));
  std::vector<float> output(strata_session_output_size(session, 0));
  const float* in = input.data();
  float* out = output.data();
  const auto run = [&](const auto& change) {
    strata_run_options options;
    strata_run_options_init(&options);
    change(options);
    return strata_session_run_by(session, &in, &out, &options);
  };
  EXPECT_EQ(strata_session_run_by(session, &in, &out, nullptr), STRATA_OK);
  EXPECT_EQ(run([](auto& o) { o.within_ns = 1e12; }), STRATA_OK);
  EXPECT_EQ(run([](auto& o) { o.nines = 400; }), STRATA_OK);
  EXPECT_EQ(run([](auto& o) { o.struct_size = 0; }), STRATA_INVALID_ARGUMENT);
  EXPECT_EQ(run([](auto& o) { o.within_ns = std::nan(""); }), STRATA_INVALID_ARGUMENT);
  EXPECT_EQ(run([](auto& o) { o.nines = 0; }), STRATA_INVALID_ARGUMENT);
  EXPECT_EQ(run([](auto& o) { o.nines = std::nan(""); }), STRATA_INVALID_ARGUMENT);
  EXPECT_EQ(run([](auto& o) { o.policy = static_cast<strata_policy>(5); }),
            STRATA_INVALID_ARGUMENT);
  EXPECT_EQ(run([](auto& o) { o.when_late = static_cast<strata_when_late>(2); }),
            STRATA_INVALID_ARGUMENT);
  EXPECT_EQ(run([](auto& o) { o.level = -2; }), STRATA_INVALID_ARGUMENT);
  EXPECT_EQ(run([](auto& o) {
              o.policy = STRATA_POLICY_FIXED;
              o.level = 9;
            }),
            STRATA_OUT_OF_RANGE);
  strata_step_report step;
  EXPECT_EQ(strata_session_last_step(session, 1000, &step), STRATA_OUT_OF_RANGE);
  EXPECT_EQ(strata_session_last_step(session, 0, nullptr), STRATA_INVALID_ARGUMENT);
  EXPECT_EQ(strata_session_last_run(nullptr, nullptr), STRATA_INVALID_ARGUMENT);
  EXPECT_EQ(strata_session_run_by(nullptr, &in, &out, nullptr), STRATA_INVALID_ARGUMENT);
  EXPECT_EQ(strata_cancellation_create(nullptr), STRATA_INVALID_ARGUMENT);
  strata_cancellation_request(nullptr);
  strata_cancellation_destroy(nullptr);
  strata_session_destroy(session);
}

}  // namespace
