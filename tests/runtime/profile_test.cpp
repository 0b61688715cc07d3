// Measuring a profile, storing it beside the model, and taking on only what was measured for this
// session.
#include <filesystem>
#include <fstream>

#include "deadline_fixture.h"
#include "format/writer.h"
#include "runtime/profile_measurement.h"
#include "temporary_directory.h"

namespace strata::testing {
namespace {

using runtime::Session;

class ProfileTest : public ::testing::Test {
 protected:
  void SetUp() override { write_model(model_, 11); }

  static void write_model(const std::string& path, uint32_t seed) {
    auto nested = random_nested(resnet("resnet8", 9, 9, 4), {0.05, 0.2, 0.5}, seed);
    ASSERT_TRUE(sparse::fold_normalisation(nested).ok());
    ASSERT_TRUE(format::write(path, nested).ok());
  }
  static std::unique_ptr<Session> open_file(const std::string& path,
                                            const runtime::SessionOptions& options = {}) {
    auto reader = format::Reader::open(path);
    EXPECT_TRUE(reader.ok()) << reader.status().message();
    auto session = Session::create(reader.value(), options);
    EXPECT_TRUE(session.ok()) << session.status().message();
    return std::move(session).value();
  }

  const TemporaryDirectory folder_;
  const std::string model_ = folder_ / "m.strata";
};

TEST_F(ProfileTest, MeasuresEveryStepAtEveryLevel) {
  const auto session = open_file(model_);
  int64_t rounds = 0;
  runtime::ProfileMeasurementOptions options;
  options.runs = 7;
  options.progress = [&rounds](int64_t done, int64_t total) {
    EXPECT_EQ(done, rounds++);
    EXPECT_EQ(total, 7);
    return true;
  };
  const auto measured = measure_profile(*session, options);
  ASSERT_TRUE(measured.ok()) << measured.status().message();
  EXPECT_EQ(rounds, 7);
  EXPECT_EQ(measured->runs, 7);
  const size_t cells = session->steps().size() * 3;
  ASSERT_EQ(measured->steps.size(), cells);
  ASSERT_EQ(measured->levels.size(), 3U);
  ASSERT_EQ(measured->table.times.size(), cells);
  for (size_t i = 0; i < cells; ++i) {
    const runtime::TimeQuantiles& time = measured->steps[i];
    EXPECT_GE(time.min_ns, 0);
    EXPECT_LE(time.min_ns, time.p50_ns);
    EXPECT_LE(time.p50_ns, time.p90_ns);
    EXPECT_LE(time.p90_ns, time.p99_ns);
    EXPECT_EQ(measured->table.times[i].median_ns, time.p50_ns);
    EXPECT_EQ(measured->table.times[i].high_ns, time.p99_ns);
  }
  EXPECT_TRUE(session->set_profile(measured->table).ok());
  EXPECT_EQ(session->profile()->level_count(), 3);
}

TEST_F(ProfileTest, MeasurementCanBeCancelledAndRefusesNegativeRuns) {
  const auto session = open_file(model_);
  runtime::ProfileMeasurementOptions options;
  options.runs = 5;
  options.progress = [](int64_t done, int64_t /*total*/) { return done < 2; };
  EXPECT_EQ(measure_profile(*session, options).status().code(), StatusCode::kCancelled);
  for (const int64_t runs : {int64_t{-1}, runtime::kMaxMeasuredRuns + 1}) {
    EXPECT_EQ(measure_profile(*session, {.runs = runs}).status().code(),
              StatusCode::kInvalidArgument);
  }
}

TEST_F(ProfileTest, IsFoundBesideTheModel) {
  const auto session = open_file(model_);
  EXPECT_EQ(session->load_profile().code(), StatusCode::kNotFound);
  EXPECT_EQ(session->save_profile().message(),
            "the session has no profile to save; measure one first");
  ASSERT_TRUE(session->set_profile(even_profile(*session, {1, 2, 4})).ok());
  ASSERT_TRUE(session->save_profile().ok());
  EXPECT_TRUE(std::filesystem::exists(model_ + ".profile"));
  const auto other = open_file(model_);
  ASSERT_TRUE(other->load_profile().ok());
  EXPECT_EQ(other->profile()->step_ns(3, 2), 4);
}

TEST_F(ProfileTest, HoldsForOneThreadCountBatchAndModelEach) {
  const auto session = open_file(model_);
  ASSERT_TRUE(session->set_profile(even_profile(*session, {1, 2, 4})).ok());
  ASSERT_TRUE(session->save_profile().ok());
  const std::string path = model_ + ".profile";
  const std::string remedy = "; measure one with 'strata profile'";

  const auto two = open_file(model_, {.threads = 2});
  EXPECT_EQ(two->load_profile().message(),
            "the profile in '" + path + "' was measured with 1 thread, the session has 2" + remedy);
  EXPECT_EQ(two->profile(), nullptr);
  const auto batch = open_file(model_, {.bindings = {{"batch", 4}}});
  EXPECT_EQ(batch->load_profile().message(),
            "the profile in '" + path + "' was measured for another graph or batch of the model" +
                remedy);
  write_model((folder_ / "other.strata").string(), 12);
  const auto other = open_file((folder_ / "other.strata").string());
  const Status foreign = other->load_profile(path);
  EXPECT_EQ(foreign.code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(foreign.message(),
            "the profile in '" + path + "' was measured for another model" + remedy);

  // Each adds its own, and the first is still there.
  ASSERT_TRUE(two->set_profile(even_profile(*two, {10, 20, 40})).ok());
  ASSERT_TRUE(two->save_profile().ok());
  ASSERT_TRUE(batch->set_profile(even_profile(*batch, {5, 6, 7})).ok());
  ASSERT_TRUE(batch->save_profile().ok());
  ASSERT_TRUE(session->load_profile().ok());
  EXPECT_EQ(session->profile()->step_ns(0, 2), 4);
  ASSERT_TRUE(two->load_profile().ok());
  EXPECT_EQ(two->profile()->step_ns(0, 2), 40);
  ASSERT_TRUE(batch->load_profile().ok());
  EXPECT_EQ(batch->profile()->step_ns(0, 2), 7);
}

TEST_F(ProfileTest, ServesAFileThatWasCut) {
  const auto session = open_file(model_);
  ASSERT_TRUE(session->set_profile(even_profile(*session, {1, 2, 4})).ok());
  ASSERT_TRUE(session->save_profile().ok());
  const auto reader = format::Reader::open(model_);
  std::filesystem::resize_file(model_, reader.value()->blocks()[1].bytes_to_end);
  const auto cut = open_file(model_);
  ASSERT_EQ(cut->level_count(), 2);
  ASSERT_TRUE(cut->load_profile().ok());
  SessionData data(*cut);
  ASSERT_TRUE(
      cut->run(data.input_views, data.output_views, runtime::RunOptions{.within_ns = 1e12}).ok());
  EXPECT_EQ(levels_of(cut->last_run()), std::vector<uint8_t>(cut->steps().size(), 1));
}

TEST_F(ProfileTest, OfAModelInMemoryNeedsAName) {
  const auto session = open(small_nested(), {});
  ASSERT_TRUE(session->set_profile(even_profile(*session, {1, 2, 4})).ok());
  EXPECT_EQ(session->save_profile().code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(session->load_profile().code(), StatusCode::kFailedPrecondition);
  const std::string path = (folder_ / "p").string();
  ASSERT_TRUE(session->save_profile(path).ok());
  EXPECT_TRUE(session->load_profile(path).ok());
}

TEST_F(ProfileTest, NeverOverwritesWhatIsNoProfile) {
  const auto session = open_file(model_);
  ASSERT_TRUE(session->set_profile(even_profile(*session, {1, 2, 4})).ok());
  const auto size = std::filesystem::file_size(model_);
  EXPECT_EQ(session->save_profile(model_).message(), "'" + model_ + "' is not a file of profiles");
  EXPECT_EQ(std::filesystem::file_size(model_), size);
}

TEST_F(ProfileTest, KnowsTheReloadedLevelsOnlyIfItWasMeasuredWithThem) {
  const auto session = open_file(model_);
  ASSERT_TRUE(session->drop_levels_above(0).ok());
  ASSERT_TRUE(session->set_profile(even_profile(*session, {1})).ok());
  ASSERT_TRUE(session->reload_levels().ok());
  SessionData data(*session);
  ASSERT_TRUE(
      session->run(data.input_views, data.output_views, runtime::RunOptions{.within_ns = 1e12})
          .ok());
  EXPECT_EQ(levels_of(session->last_run()), std::vector<uint8_t>(session->steps().size(), 0));
  runtime::RunOptions fixed;
  fixed.policy = {.kind = route::PolicyKind::kFixed, .level = 2};
  EXPECT_EQ(session->run(data.input_views, data.output_views, fixed).message(),
            "the profile knows levels 0 to 0 and not level 2; measure it again");
}

}  // namespace
}  // namespace strata::testing
