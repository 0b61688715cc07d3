// However a step is tuned, levels give what the naive executor gives; the tuner finds something
// that a session takes over; and no file of tunings can do harm.
#include "runtime/tuner.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "convolution_forms.h"
#include "format/writer.h"
#include "kernels/target.h"
#include "runtime/tuning_file.h"
#include "session_fixture.h"
#include "temporary_directory.h"

namespace strata::testing {
namespace {

using runtime::Session;
using runtime::SessionOptions;
using runtime::StepTuning;

int64_t pick(int64_t least, int64_t most) { return *rc::gen::inRange(least, most + 1); }

sparse::NestedModel small_resnet() {
  return random_nested(resnet("resnet8", 32, 32, 8), {0.05, 0.2, 0.5}, 3);
}

/// A model file of its own for every test, without tunings beside it.
class Tuning : public ::testing::Test {
 protected:
  Tuning() {
    sparse::NestedModel folded = small_resnet();
    EXPECT_TRUE(sparse::fold_normalisation(folded).ok());
    EXPECT_TRUE(format::write(path_, folded).ok());
    unsetenv("STRATA_TUNING");
  }
  ~Tuning() override { unsetenv("STRATA_TUNING"); }
  Tuning(const Tuning&) = delete;
  Tuning& operator=(const Tuning&) = delete;

  [[nodiscard]] std::string tuning() const { return runtime::tuning_path(path_); }

  [[nodiscard]] std::shared_ptr<const format::Reader> reader() const {
    return format::Reader::open(path_).value();
  }

  [[nodiscard]] std::unique_ptr<Session> open_session(const SessionOptions& options = {}) const {
    auto session = Session::create(reader(), options);
    EXPECT_TRUE(session.ok()) << session.status().message();
    return session.ok() ? std::move(session).value() : nullptr;
  }

  /// Every step with tiles of one block and flat slices.
  void store_tuning(int threads = 1) const {
    SessionOptions options;
    options.threads = threads;
    options.tuning = "off";
    const auto session = open_session(options);
    const StepTuning step{{{1, 8}, {1, 8}, {1, 8}}, 3, -1};
    const runtime::Tuning steps(session->steps().size(), step);
    ASSERT_TRUE(runtime::add_tuning(tuning(), {session->tuning_fingerprint(), steps}).ok());
  }

  const TemporaryDirectory directory_;
  const std::string path_ = directory_ / "model.strata";
};

void expect_all_levels_like_naive(const sparse::NestedModel& nested, Session& session) {
  for (int level = nested.level_count - 1; level >= 0; --level) {
    SessionData data(session);
    ASSERT_TRUE(session.run(data.input_views, data.output_views, level).ok());
    expect_like_naive(nested, session, data,
                      std::vector<uint8_t>(session.steps().size(), static_cast<uint8_t>(level)));
  }
}

TEST_F(Tuning, OfAnyKindGivesWhatTheNaiveExecutorGives) {
  EXPECT_TRUE(rc::check("like the naive executor", [] {
    const Form form = any_form(pick);
    std::vector<double> densities;
    for (int64_t level = pick(1, 6); level > 0; --level) {
      densities.insert(densities.begin(), 0.08 * static_cast<double>(level));
    }
    const auto levels = static_cast<int>(densities.size());
    const auto nested =
        random_nested(model_of(form), densities, static_cast<uint32_t>(pick(0, 1000)));
    const std::vector<StepTuning> candidates = runtime::tuning_candidates(levels);
    const std::vector<kernels::Target> targets = kernels::supported_targets();
    const auto target =
        targets[static_cast<size_t>(pick(0, static_cast<int64_t>(targets.size()) - 1))];
    setenv("STRATA_TARGET", std::string(kernels::target_name(target)).c_str(), 1);
    SessionOptions options;
    options.threads = static_cast<int>(pick(1, 2));
    options.bindings["batch"] = pick(1, 2);
    const auto plain = open(nested, options);
    for (size_t step = 0; step < plain->steps().size(); ++step) {
      StepTuning tuning =
          candidates[static_cast<size_t>(pick(0, static_cast<int64_t>(candidates.size()) - 1))];
      for (runtime::LevelTuning& level : tuning.levels) {  // levels differ from each other
        level =
            candidates[static_cast<size_t>(pick(0, static_cast<int64_t>(candidates.size()) - 1))]
                .levels.front();
      }
      options.tuning_trial.push_back(tuning);
    }
    const auto session = open(nested, options);
    unsetenv("STRATA_TARGET");
    expect_all_levels_like_naive(nested, *session);
    RC_ASSERT(!HasFailure());
  }));
}

TEST_F(Tuning, IsFoundAndGivesTheSame) {
  runtime::TunerOptions options;
  options.rounds = 1;
  int64_t last = -1;
  options.progress = [&last](int64_t done, int64_t total) {
    EXPECT_LT(last, done);
    EXPECT_LT(done, total);
    last = done;
    return true;
  };
  const auto found = runtime::tune(reader(), {.threads = 2}, options);
  ASSERT_TRUE(found.ok()) << found.status().message();
  EXPECT_TRUE(found->complete);
  EXPECT_GT(last, 0);
  SessionOptions session_options{.threads = 2};
  session_options.tuning_trial = found->steps;
  const auto session = open_session(session_options);
  expect_all_levels_like_naive(small_resnet(), *session);
  EXPECT_EQ(session->memory().weights, found->bytes_after);
  EXPECT_LE(static_cast<double>(found->bytes_after),
            std::max(static_cast<double>(found->bytes_before),
                     1.5 * static_cast<double>(reader()->file_bytes())));
  EXPECT_EQ(found->before_ns.size(), session->steps().size() * 3);
  EXPECT_EQ(found->after_ns.size(), found->before_ns.size());
}

TEST_F(Tuning, ThatIsEndedKeepsWhatItFound) {
  runtime::TunerOptions options;
  options.rounds = 1;
  options.progress = [](int64_t done, int64_t) { return done < 5; };
  const auto found = runtime::tune(reader(), {}, options);
  ASSERT_TRUE(found.ok()) << found.status().message();
  EXPECT_FALSE(found->complete);
  SessionOptions session_options;
  session_options.tuning_trial = found->steps;
  EXPECT_NE(open_session(session_options), nullptr);
}

TEST_F(Tuning, BesideTheModelIsTakenUnlessSwitchedOff) {
  const auto before = open_session();
  EXPECT_TRUE(before->tuning().empty());
  EXPECT_EQ(before->tuning_note(), "");
  store_tuning();

  const auto tuned = open_session();
  EXPECT_FALSE(tuned->tuning().empty());
  EXPECT_NE(tuned->packing().front().levels, before->packing().front().levels);
  EXPECT_NE(tuned->fingerprint(), before->fingerprint());
  expect_all_levels_like_naive(small_resnet(), *tuned);
  ASSERT_TRUE(tuned->drop_levels_above(0).ok());
  ASSERT_TRUE(tuned->reload_levels().ok());
  expect_all_levels_like_naive(small_resnet(), *tuned);

  SessionOptions off;
  off.tuning = "off";
  EXPECT_EQ(open_session(off)->packing().front().levels, before->packing().front().levels);
  EXPECT_EQ(open_session(off)->fingerprint(), before->fingerprint());
  setenv("STRATA_TUNING", "off", 1);
  EXPECT_TRUE(open_session()->tuning().empty());
  setenv("STRATA_TUNING", "", 1);
  EXPECT_FALSE(open_session()->tuning().empty());
  EXPECT_TRUE(open_session(off)->tuning().empty());
}

TEST_F(Tuning, OfAnotherFileServesTheSameLayers) {
  store_tuning();
  const std::string elsewhere = path_ + ".elsewhere";
  std::filesystem::rename(tuning(), elsewhere);
  EXPECT_TRUE(open_session()->tuning().empty());
  SessionOptions named;
  named.tuning = elsewhere;
  EXPECT_FALSE(open_session(named)->tuning().empty());
  setenv("STRATA_TUNING", elsewhere.c_str(), 1);
  EXPECT_FALSE(open_session()->tuning().empty());
  const auto in_memory = open(small_resnet(), {});
  EXPECT_EQ(in_memory->tuning().size(), in_memory->steps().size());
}

TEST_F(Tuning, ThatDoesNotFitIsLeftAside) {
  store_tuning(/*threads=*/2);
  const auto session = open_session({.threads = 1});
  EXPECT_TRUE(session->tuning().empty());
  EXPECT_EQ(session->tuning_note(),
            "the tuning in '" + tuning() + "' is for 2 threads, the session has 1");
  EXPECT_EQ(open_session({.threads = 2})->tuning_note(), "");
}

TEST_F(Tuning, ThatIsDamagedIsLeftAsideOrRefusedWhereItWasNamed) {
  std::ofstream(tuning()) << "this is no tuning";
  const std::string why = "'" + tuning() + "' is not a file of tunings";
  const auto session = open_session();
  EXPECT_TRUE(session->tuning().empty());
  EXPECT_EQ(session->tuning_note(), why);
  SessionOptions named;
  named.tuning = tuning();
  EXPECT_EQ(Session::create(reader(), named).status().message(), why);
  setenv("STRATA_TUNING", tuning().c_str(), 1);
  EXPECT_EQ(Session::create(reader(), {}).status().message(), why);
}

TEST_F(Tuning, OfAnotherNumberOfStepsIsRefused) {
  SessionOptions options;
  options.tuning_trial.resize(1);
  const auto session = Session::create(reader(), options);
  EXPECT_EQ(session.status().message().find("the tuning is of 1 steps, the graph has "), 0U);
}

}  // namespace
}  // namespace strata::testing
