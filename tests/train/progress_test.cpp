// The progress line, drawn into a string with a clock that the test moves.
#include "train/progress.h"

#include <algorithm>
#include <cmath>
#include <sstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace strata {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;

TEST(FormatDuration, PicksTwoUnits) {
  EXPECT_EQ(format_duration(0), "0s");
  EXPECT_EQ(format_duration(59.4), "59s");
  EXPECT_EQ(format_duration(59.6), "1m00s");
  EXPECT_EQ(format_duration(187), "3m07s");
  EXPECT_EQ(format_duration(3599.9), "1h00m");
  EXPECT_EQ(format_duration(2 * 3600 + 5 * 60 + 30), "2h05m");
  EXPECT_EQ(format_duration(4 * 86400 + 3 * 3600), "4d03h");
}

TEST(FormatDuration, UnknownIsAQuestionMark) {
  EXPECT_EQ(format_duration(-1), "?");
  EXPECT_EQ(format_duration(NAN), "?");
  EXPECT_EQ(format_duration(INFINITY), "?");
}

TEST(FormatRate, KeepsThreeDigits) {
  EXPECT_EQ(format_rate(0), "0.00");
  EXPECT_EQ(format_rate(0.518), "0.52");
  EXPECT_EQ(format_rate(0.999), "1.0");
  EXPECT_EQ(format_rate(9.46), "9.5");
  EXPECT_EQ(format_rate(99.96), "100");
  EXPECT_EQ(format_rate(340.2), "340");
  EXPECT_EQ(format_rate(999.7), "1.0k");
  EXPECT_EQ(format_rate(12345), "12.3k");
  EXPECT_EQ(format_rate(4.5e6), "4.5M");
  EXPECT_EQ(format_rate(NAN), "?");
}

class ProgressTest : public testing::Test {
 protected:
  ProgressOptions options(ProgressMode mode) {
    ProgressOptions result;
    result.mode = mode;
    result.unit = "steps";
    result.out = &out_;
    result.columns = 100;
    result.clock = [this] { return now_; };
    return result;
  }
  [[nodiscard]] int64_t count(char letter) const {
    const std::string text = out_.str();
    return std::count(text.begin(), text.end(), letter);
  }

  std::ostringstream out_;
  double now_ = 1000;
};

TEST_F(ProgressTest, SilentSaysNothing) {
  Progress progress("train", 10, options(ProgressMode::kSilent));
  now_ += 60;
  progress.update(5);
  progress.note("a note");
  progress.finish();
  EXPECT_EQ(out_.str(), "");
}

TEST_F(ProgressTest, WorkThatEndsAtOnceShowsNothing) {
  for (const ProgressMode mode : {ProgressMode::kBar, ProgressMode::kLines}) {
    Progress progress("load", 10, options(mode));
    now_ += 0.2;
    progress.update(10);
    progress.finish();
    EXPECT_EQ(out_.str(), "");
  }
}

TEST_F(ProgressTest, BarShowsShareRateAndEta) {
  Progress progress("train", 200, options(ProgressMode::kBar));
  now_ += 10;
  progress.update(50, "loss 0.5");
  EXPECT_EQ(out_.str(),
            "\rtrain [######..................]  25%  5.0 steps/s  ETA 30s  loss 0.5\x1b[K");
}

TEST_F(ProgressTest, ResumedRunMeasuresItsOwnRate) {
  ProgressOptions resumed = options(ProgressMode::kBar);
  resumed.first = 100;
  Progress progress("train", 200, resumed);
  now_ += 10;
  progress.update(150);
  EXPECT_THAT(out_.str(), HasSubstr(" 75%  5.0 steps/s  ETA 10s"));
}

TEST_F(ProgressTest, BarIsRedrawnAtMostTenTimesASecond) {
  Progress progress("train", 1'000'000, options(ProgressMode::kBar));
  now_ += 1;
  for (int i = 0; i < 10'000; ++i) {
    now_ += 0.0002;  // two seconds in all
    progress.advance();
  }
  EXPECT_LE(count('\r'), 21);
  EXPECT_GE(count('\r'), 15);
}

TEST_F(ProgressTest, LogGetsALineEveryFewSecondsAndNoControlCodes) {
  Progress progress("train", 1000, options(ProgressMode::kLines));
  for (int i = 0; i < 100; ++i) {
    now_ += 0.2;  // twenty seconds in all
    progress.advance(10);
  }
  EXPECT_GE(count('\n'), 3);
  EXPECT_LE(count('\n'), 4);
  EXPECT_THAT(out_.str(), Not(HasSubstr("\r")));
  EXPECT_THAT(out_.str(), Not(HasSubstr("\x1b")));
}

TEST_F(ProgressTest, EndStaysOnTheScreenWithTheTimeItTook) {
  {
    Progress progress("train", 10, options(ProgressMode::kBar));
    now_ += 65;
    progress.update(10);
  }
  EXPECT_THAT(out_.str(), HasSubstr("100%"));
  EXPECT_THAT(out_.str(), EndsWith("in 1m05s\x1b[K\n"));
}

TEST_F(ProgressTest, FinishTwiceAndLateUpdatesAddNothing) {
  Progress progress("train", 10, options(ProgressMode::kBar));
  now_ += 2;
  progress.finish();
  const std::string once = out_.str();
  now_ += 2;
  progress.update(3);
  progress.finish();
  EXPECT_EQ(out_.str(), once);
}

TEST_F(ProgressTest, NoteGoesAboveTheBar) {
  Progress progress("train", 10, options(ProgressMode::kBar));
  now_ += 2;
  progress.update(5);
  out_.str("");
  progress.note("epoch 1: 90.1 %");
  EXPECT_THAT(out_.str(), testing::StartsWith("\r\x1b[Kepoch 1: 90.1 %\n\rtrain ["));
}

TEST_F(ProgressTest, LineNeverFillsTheTerminal) {
  ProgressOptions narrow = options(ProgressMode::kBar);
  narrow.columns = 40;
  Progress progress("train", 10, narrow);
  now_ += 2;
  progress.update(5, "a message that is much too long for the room there is");
  EXPECT_EQ(out_.str().size(), 39 + std::string("\r\x1b[K").size());
}

TEST_F(ProgressTest, UnknownTotalHasNeitherShareNorEta) {
  Progress progress("scan", 0, options(ProgressMode::kBar));
  now_ += 2;
  progress.update(10);
  EXPECT_EQ(out_.str(), "\rscan  5.0 steps/s  in 2s\x1b[K");
}

}  // namespace
}  // namespace strata
