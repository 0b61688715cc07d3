// The parts that need no process: guesses of mistyped words, tables, numbers, ticks, quantiles.
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tools/strata/console.h"
#include "tools/strata/latency.h"
#include "tools/strata/nearest.h"
#include "tools/strata/others_load.h"
#include "tools/strata/svg_chart.h"
#include "tools/strata/table.h"

namespace strata::cli {
namespace {

TEST(Nearest, CountsEditsAndSwaps) {
  EXPECT_EQ(edit_distance("", "abc"), 3U);
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3U);
  EXPECT_EQ(edit_distance("ab", "ba"), 1U);
  EXPECT_EQ(edit_distance("inspect", "inspect"), 0U);
}

TEST(Nearest, SuggestsOnlyWhatIsNear) {
  const std::vector<std::string> verbs = {"init", "inspect", "eval", "bench"};
  EXPECT_EQ(nearest("inspct", verbs), "inspect");
  EXPECT_EQ(nearest("bnech", verbs), "bench");
  EXPECT_EQ(nearest("frobnicate", verbs), "");
  EXPECT_EQ(did_you_mean("evla", verbs), " (did you mean 'eval'?)");
  EXPECT_EQ(did_you_mean("frobnicate", verbs), "");
}

TEST(Table, AlignsColumnsByCharactersNotBytes) {
  Table table;
  table.add_column("name", Align::kLeft);
  table.add_column("value");
  table.add_row({"größer", "1"});
  table.add_row({"x", "12,345"});
  EXPECT_EQ(table.text(),
            "name     value\n"
            "------  ------\n"
            "größer       1\n"
            "x       12,345\n");
}

TEST(Numbers, RoundToZeroWithoutASign) {
  EXPECT_EQ(format_fixed(-0.0, 2), "0.00");
  EXPECT_EQ(format_fixed(-0.04, 1), "0.0");
  EXPECT_EQ(format_fixed(-0.4, 0), "0");
  EXPECT_EQ(format_fixed(-0.06, 1), "-0.1");
  EXPECT_EQ(format_fixed(-10.0, 2), "-10.00");
  EXPECT_EQ(format_fixed(5.384, 2), "5.38");
}

TEST(Numbers, AreShortAndKeepThreeDigits) {
  EXPECT_EQ(format_count(0), "0");
  EXPECT_EQ(format_count(999), "999");
  EXPECT_EQ(format_count(1234567), "1,234,567");
  EXPECT_EQ(format_count(-123456), "-123,456");
  EXPECT_EQ(format_bytes(512), "512 B");
  EXPECT_EQ(format_bytes(999999), "1.00 MB");
  EXPECT_EQ(format_bytes(25600000), "25.6 MB");
  EXPECT_EQ(format_quantity(4.09e9), "4.09 G");
}

TEST(Ticks, CoverTheRangeInRoundSteps) {
  EXPECT_EQ(nice_ticks(0, 10, 5), (std::vector<double>{0, 2, 4, 6, 8, 10}));
  const std::vector<double> ticks = nice_ticks(87.3, 91.9, 5);
  EXPECT_LE(ticks.front(), 87.3);
  EXPECT_GE(ticks.back(), 91.9);
  EXPECT_EQ(ticks.size(), 6U);
  EXPECT_GE(nice_ticks(3, 3, 5).size(), 2U);
  EXPECT_EQ(tick_label(0.30000000000000004, 0.1), "0.3");
  EXPECT_EQ(tick_label(-0.0, 0.5), "0");
  EXPECT_EQ(tick_label(20, 10), "20");
}

TEST(Chart, EscapesNamesAndKeepsEveryPoint) {
  LineChart chart;
  chart.description = "a < b & \"c\"";
  chart.series.push_back({"l0", {{1, 2, "<tip>", "", ""}, {3, 4, "", "", ""}}});
  const std::string svg = draw(chart);
  EXPECT_NE(svg.find("a &lt; b &amp; &quot;c&quot;"), std::string::npos);
  EXPECT_NE(svg.find("<title>&lt;tip&gt;</title>"), std::string::npos);
  size_t circles = 0;
  for (size_t at = svg.find("<circle"); at != std::string::npos; at = svg.find("<circle", at + 1)) {
    ++circles;
  }
  EXPECT_EQ(circles, 2U);
}

TEST(Chart, LabelsOfTheLastPointsStandAtTheirLeft) {
  LineChart chart;
  chart.x_from_zero = true;
  chart.series.push_back({"l0", {{2, 1, "", "first", ""}, {30, 2, "", "last", ""}}});
  const std::string svg = draw(chart);
  EXPECT_NE(svg.find("class=\"point-label\">first<"), std::string::npos) << svg;
  EXPECT_NE(svg.find("class=\"point-label end\">last<"), std::string::npos) << svg;
}

TEST(Quantile, InterpolatesBetweenOrderStatistics) {
  EXPECT_DOUBLE_EQ(quantile({3, 1, 2}, 0.5), 2);
  EXPECT_DOUBLE_EQ(quantile({1, 2}, 0.9), 1.9);
  EXPECT_DOUBLE_EQ(quantile({5}, 0.99), 5);
}

TEST(Timing, RunsContendersInTurns) {
  std::string order;
  std::vector<Contender> contenders;
  contenders.push_back({"a", [&order] { order += 'a'; }, {}});
  contenders.push_back({"b", [&order] { order += 'b'; }, {}});
  TimingOptions options;
  options.runs = 2;
  options.warm_up = 1;
  time_in_turns(contenders, options);
  EXPECT_EQ(order,
            "ab"
            "aabb"
            "bbaa");
  EXPECT_EQ(contenders[0].ms.size(), 2U);
  EXPECT_EQ(contenders[1].ms.size(), 2U);
}

TEST(OthersLoad, BusyTimeIsAllButIdleAndWaiting) {
  const std::string text = "cpu  100 20 30 4000 500 6 7 8 90 0\ncpu0 1 2 3 4 5 6 7 8 9 0\n";
  EXPECT_DOUBLE_EQ(busy_seconds(text, 100).value(), (100 + 20 + 30 + 6 + 7 + 8) / 100.0);
  for (const char* other : {"", "cpu 1 2 3", "intr 1 2 3 4 5 6 7 8 9", "cpu a b c d e f g h"}) {
    EXPECT_FALSE(busy_seconds(other, 100).has_value()) << other;
  }
}

TEST(OthersLoad, ThereIsRoomWhileCoresAreLeftOver) {
  EXPECT_TRUE(had_room(0.1, 2, 2));
  EXPECT_FALSE(had_room(0.5, 2, 2));
  EXPECT_TRUE(had_room(0.9, 1, 2));
  EXPECT_FALSE(had_room(1.5, 1, 2));
  EXPECT_TRUE(had_room(40, 2, 64));
  // More threads than cores wait for each other; that is not the others' doing.
  EXPECT_TRUE(had_room(0.1, 8, 2));
}

TEST(ShellQuote, KeepsWordsApart) {
  const char* const words[] = {"a", "--set", "x=[1, 2]", "it's", ""};
  EXPECT_EQ(shell_quote(5, words), "a --set 'x=[1, 2]' 'it'\\''s' ''");
}

}  // namespace
}  // namespace strata::cli
