#include "tools/strata/qos_html.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "route/proportion.h"
#include "tools/strata/html_page.h"
#include "tools/strata/qos_result.h"
#include "tools/strata/svg_chart.h"
#include "tools/strata/table.h"

namespace strata::cli {
namespace {

constexpr double kDeadlinesShown = 4;  // where the latency axis ends
constexpr double kLeastShare = 1e-7;
constexpr int kWide = 1000;
constexpr int kHalf = 520;

/// The CSS class of a policy's colour, by its place in the document.
std::string policy_color(size_t index) { return "q" + std::to_string(index); }

/// Simulated figures where there are any: they resolve more.
const Json& finest(const Json& entry) {
  return entry.contains("simulated") ? entry.at("simulated") : entry;
}

std::string share_label(double exponent) {
  const double percent = 100 * std::pow(10, exponent);
  const int decimals = std::max(0, static_cast<int>(std::lround(-2 - exponent)));
  return format_fixed(percent, decimals) + " %";
}

std::string percent(double share) {
  const double value = 100 * share;
  return format_fixed(value, value >= 10 ? 1 : value >= 0.1 ? 2 : value >= 0.001 ? 4 : 5) + " %";
}

std::string legend(const Json& document, bool with_oracle) {
  std::string html = "<ul class=\"legend\">\n";
  size_t index = 0;
  for (const Json& entry : document.at("policies")) {
    const auto name = entry.at("name").get<std::string>();
    if (with_oracle || name != "oracle") {
      html += legend_entry(policy_color(index), name == "oracle", name);
    }
    ++index;
  }
  return html + "</ul>\n";
}

/// The curve of one latency distribution on a logarithmic axis.
ChartSeries survival_series(const Json& points, const std::string& color, double end_ms) {
  ChartSeries series;
  series.color = color;
  for (const Json& point : points) {
    const double ms = point.at(0).get<double>();
    const double share = point.at(1).get<double>();
    if (ms <= end_ms && share >= kLeastShare)
      series.points.push_back({ms, std::log10(share), "", "", ""});
  }
  return series;
}

std::string survival_section(const Json& document) {
  LineChart chart;
  chart.description = "Share of inferences that take longer than a given time, per policy";
  chart.x_title = "from the request to the answer, ms";
  chart.y_title = "share that takes longer";
  chart.x_from_zero = true;
  chart.width = kWide;
  chart.height = 460;
  chart.y_label = share_label;
  const double deadline = document.at("deadline_ms").get<double>();
  size_t index = 0;
  bool simulated = false;
  for (const Json& entry : document.at("policies")) {
    const std::string color = policy_color(index++);
    if (entry.contains("simulated")) {
      simulated = true;
      ChartSeries curve =
          survival_series(entry.at("simulated").at("survival"), color, kDeadlinesShown * deadline);
      curve.marker_radius = 0;
      curve.dashed = entry.at("source") != "live";
      chart.series.push_back(std::move(curve));
    }
    if (!entry.contains("survival")) continue;
    ChartSeries live = survival_series(entry.at("survival"), color, kDeadlinesShown * deadline);
    live.joined = !entry.contains("simulated");
    live.marker_radius = 2.4;
    for (ChartPoint& point : live.points) {
      point.tooltip = entry.at("name").get<std::string>() +
                      ", live: " + percent(std::pow(10, point.y)) + " take longer than " +
                      milliseconds(point.x);
    }
    chart.series.push_back(std::move(live));
  }
  chart.upright.push_back({deadline, "deadline " + milliseconds(deadline), "neutral"});
  return section(
      "Latency per policy",
      std::string("Where a curve crosses the deadline is the policy's share of misses. ") +
          (simulated ? "Points are the live run, lines the simulation from its "
                       "recording, which sees rarer events."
                     : "Measured live."),
      legend(document, simulated) + scrolling(draw(chart)));
}

/// A level's accuracy as a dotted line across.
void add_levels(LineChart& chart, const Json& document) {
  const Json& levels = document.at("levels");
  for (const size_t k : {size_t{0}, levels.size() - 1}) {
    const double value = levels[k].at("value").get<double>();
    chart.across.push_back(
        {value, level_name(static_cast<int>(k)), level_color(static_cast<int>(k))});
    if (levels.size() == 1) break;
  }
}

std::string nines_section(const Json& document) {
  LineChart chart;
  chart.description = "Accuracy of every policy against its nines";
  chart.x_title = "nines (3: one of 1,000 misses)";
  chart.y_title = "accuracy of the routes taken";
  chart.x_from_zero = true;
  chart.width = kWide;
  chart.height = 420;
  size_t index = 0;
  for (const Json& entry : document.at("policies")) {
    const std::string color = policy_color(index++);
    const Json& figures = finest(entry);
    const double metric = figures.at("metric").get<double>();
    const double low = route::nines(std::max(kLeastShare, figures.at("ci95").at(1).get<double>()));
    const double high = route::nines(std::max(kLeastShare, figures.at("ci95").at(0).get<double>()));
    const bool none = figures.at("nines").is_null();
    const double at = none ? low : figures.at("nines").get<double>();
    ChartSeries bar;
    bar.color = color;
    bar.marker_radius = 0;
    bar.points = {{low, metric, "", "", ""}, {none ? low : high, metric, "", "", ""}};
    chart.series.push_back(std::move(bar));
    ChartSeries mark;
    mark.color = color;
    mark.marker_radius = 6;
    mark.points = {{at, metric,
                    entry.at("name").get<std::string>() + (none ? ": at least " : ": ") +
                        format_fixed(at, 2) + " nines at " + format_fixed(metric, 3),
                    "", ""}};
    chart.series.push_back(std::move(mark));
  }
  add_levels(chart, document);
  return section("Nines against accuracy",
                 "Right and up is better. The bars are 95 % intervals; a policy without a miss "
                 "stands at the least that its number of inferences shows.",
                 legend(document, true) + scrolling(draw(chart)));
}

std::string timeline_section(const Json& document) {
  const Json& timeline = document.at("timeline");
  if (timeline.at("seconds").empty()) return "";
  LineChart level;
  level.description = "Mean level of each inference over time";
  level.y_title = "mean level";
  LineChart latency;
  latency.description = "Latency of each inference over time";
  latency.y_title = "latency, ms";
  ChartSeries levels;
  levels.joined = false;
  levels.marker_radius = 2.8;
  ChartSeries latencies = levels;
  for (size_t i = 0; i < timeline.at("seconds").size(); ++i) {
    const double at = timeline.at("seconds")[i].get<double>();
    const double mean = timeline.at("level")[i].get<double>();
    const double ms = timeline.at("latency_ms")[i].get<double>();
    const bool missed = timeline.at("missed")[i].get<bool>();
    const std::string color = missed ? "miss" : level_color(static_cast<int>(std::lround(mean)));
    const std::string tooltip = "at " + format_fixed(at, 2) + " s: mean level " +
                                format_fixed(mean, 2) + ", " + milliseconds(ms) + ", slowdown " +
                                format_fixed(timeline.at("slowdown")[i].get<double>(), 2);
    levels.points.push_back({at, mean, tooltip, "", color});
    latencies.points.push_back({at, ms, tooltip, "", color});
  }
  for (size_t k = 0; k < document.at("levels").size(); ++k) {
    const int number = static_cast<int>(k);
    level.across.push_back({static_cast<double>(k), level_name(number), level_color(number)});
  }
  level.series.push_back(std::move(levels));
  latency.series.push_back(std::move(latencies));
  const double deadline = document.at("deadline_ms").get<double>();
  latency.across.push_back({deadline, "deadline", "neutral"});
  std::string charts;
  for (LineChart* chart : {&level, &latency}) {
    chart->x_title = "seconds";
    chart->x_from_zero = true;
    chart->width = kWide;
    chart->height = 260;
    for (const Json& interval : timeline.at("loaded")) {
      chart->shaded.push_back({interval.at(0).get<double>(), interval.at(1).get<double>()});
    }
    charts += scrolling(draw(*chart));
  }
  return section("Level against time",
                 "The first seconds of " + timeline.at("policy").get<std::string>() +
                     ", live. A point is one inference; shaded is when the co-runner was planned "
                     "to run; red ones missed the deadline.",
                 charts);
}

LineChart sweep_chart(const Json& document, const std::string& y_title,
                      const std::function<double(const Json&)>& value) {
  LineChart chart;
  chart.description = y_title + " by deadline";
  chart.x_title = "deadline / unloaded median of the least sparse level";
  chart.y_title = y_title;
  chart.width = kHalf;
  chart.height = 380;
  const Json& sweep = document.at("sweep");
  for (size_t p = 0; p < sweep.at(0).at("policies").size(); ++p) {
    ChartSeries series;
    series.color = policy_color(p);
    series.marker_radius = 3.5;
    for (const Json& entry : sweep) {
      const Json& policy = entry.at("policies").at(p);
      const auto name = policy.at("name").get<std::string>();
      series.dashed = name == "oracle";
      series.points.push_back({entry.at("factor").get<double>(), value(policy),
                               name + " at " + milliseconds(entry.at("deadline_ms").get<double>()) +
                                   ": " + percent(policy.at("miss_rate").get<double>()) +
                                   " missed, accuracy " +
                                   format_fixed(policy.at("metric").get<double>(), 3),
                               "", ""});
    }
    chart.series.push_back(std::move(series));
  }
  return chart;
}

std::string sweep_sections(const Json& document) {
  if (document.at("sweep").empty()) return "";
  const LineChart nines = sweep_chart(document, "nines", [](const Json& policy) {
    if (!policy.at("nines").is_null()) return policy.at("nines").get<double>();
    return route::nines(policy.at("ci95").at(1).get<double>());
  });
  LineChart accuracy =
      sweep_chart(document, "accuracy of the routes taken",
                  [](const Json& policy) { return policy.at("metric").get<double>(); });
  add_levels(accuracy, document);
  return "<div class=\"grid\">\n" +
         section(
             "Nines by deadline",
             "Simulated from the recording, the deadline being swept. Without a miss: the least "
             "that the number of inferences shows.",
             legend(document, true) + scrolling(draw(nines))) +
         section("Accuracy by deadline", "Of the same simulations.",
                 legend(document, true) + scrolling(draw(accuracy))) +
         "</div>\n";
}

std::string table_section(const Json& document) {
  std::string html =
      "<table>\n<tr><th>policy</th><th>inferences</th><th>missed</th><th>95 % interval</th>"
      "<th>nines</th><th>accuracy</th><th>median</th><th>p99</th></tr>\n";
  const auto add_row = [&html](const std::string& name, const std::string& color,
                               const Json& figures) {
    const Json& ci = figures.at("ci95");
    const bool none = figures.at("nines").is_null();
    const double nines =
        none ? route::nines(ci.at(1).get<double>()) : figures.at("nines").get<double>();
    html += "<tr><td>" + swatch(color) + escape_markup(name) + "</td>";
    for (const std::string& cell :
         {format_count(figures.at("inferences").get<int64_t>()),
          percent(figures.at("miss_rate").get<double>()),
          percent(ci.at(0).get<double>()) + " - " + percent(ci.at(1).get<double>()),
          (none ? "over " : "") + format_fixed(nines, 2),
          format_fixed(figures.at("metric").get<double>(), 3),
          milliseconds(figures.at("p50_ms").get<double>()),
          milliseconds(figures.at("p99_ms").get<double>())}) {
      html += "<td>" + cell + "</td>";
    }
    html += "</tr>\n";
  };
  size_t index = 0;
  for (const Json& entry : document.at("policies")) {
    const auto name = entry.at("name").get<std::string>();
    const std::string color = policy_color(index++);
    if (entry.at("source") == "live") add_row(name + ", live", color, entry);
    if (entry.contains("simulated")) add_row(name + ", simulated", color, entry.at("simulated"));
  }
  const std::string line = comparison_line(document);
  const Json& load = document.at("load");
  return section("Deadlines under load",
                 (line.empty() ? "" : line + ". ") +
                     "Beside it: " + document.at("co_runner").at("program").get<std::string>() +
                     ", " + load.at("pattern").get<std::string>() + "; " +
                     format_fixed(load.at("rate_per_second").get<double>(), 1) +
                     " requests a second (" + load.at("arrivals").get<std::string>() + "), batch " +
                     std::to_string(document.at("batch").get<int>()) +
                     ". Accuracies: " + document.at("metric_source").get<std::string>() + ".",
                 scrolling(html + "</table>\n"));
}

std::string fact_cards(const Json& document) {
  const Json& levels = document.at("levels");
  const std::string top = level_name(static_cast<int>(levels.size()) - 1);
  std::string html =
      "<div class=\"facts\">\n" +
      fact(milliseconds(document.at("deadline_ms").get<double>()),
           "deadline, " + format_fixed(document.at("deadline_factor").get<double>(), 2) +
               " times the unloaded median of " + top);
  for (const size_t k : {size_t{0}, levels.size() - 1}) {
    html += fact(milliseconds(levels[k].at("p50_ms").get<double>()),
                 level_name(static_cast<int>(k)) + " unloaded, accuracy " +
                     format_fixed(levels[k].at("value").get<double>(), 2));
    if (levels.size() == 1) break;
  }
  html += fact(format_fixed(document.at("wanted_nines").get<double>(), 1), "nines wanted");
  return html + "</div>\n";
}

std::string source_section(const Json& document, const std::string& command) {
  const Json& machine = document.at("machine");
  std::string html = "<dl>\n";
  const auto entry = [&html](const std::string& term, const std::string& value, bool is_code) {
    html += "<dt>" + term + "</dt><dd>" + (is_code ? "<code>" : "") + escape_markup(value) +
            (is_code ? "</code>" : "") + "</dd>\n";
  };
  entry("Machine",
        machine.at("cpu").get<std::string>() + ", " +
            std::to_string(machine.at("cores").get<int>()) + " cores, load " +
            format_fixed(machine.at("load").get<double>(), 1) + " before the run",
        false);
  entry("Command", document.at("command").get<std::string>(), true);
  if (command != document.at("command").get<std::string>()) entry("This page", command, true);
  return section("How to get these numbers again",
                 "The machine, and the command line as it was typed.", html + "</dl>\n");
}

}  // namespace

std::string qos_styles(const Json& document) {
  constexpr std::array<int, 8> kHues = {36, 251, 174, 330, 105, 205, 280, 60};
  std::string css;
  size_t index = 0;
  for (const Json& entry : document.at("policies")) {
    const bool oracle = entry.at("name") == "oracle";
    const int hue = kHues[index % kHues.size()];
    css += "." + policy_color(index++) + "{--c:" +
           (oracle ? std::string("var(--soft)")
                   : "hsl(" + std::to_string(hue) + " 72% var(--light))") +
           "}\n";
  }
  return css;
}

std::string qos_sections(const Json& document) {
  return table_section(document) + survival_section(document) + nines_section(document) +
         timeline_section(document) + sweep_sections(document);
}

std::string render_qos_html(const Json& document, const std::string& command) {
  const auto model = document.at("model_name").get<std::string>();
  const int last = static_cast<int>(document.at("levels").size()) - 1;
  return page(model + ": deadlines under load",
              std::to_string(document.at("threads").get<int>()) + " threads, batch " +
                  std::to_string(document.at("batch").get<int>()) + ", beside " +
                  document.at("co_runner").at("program").get<std::string>(),
              level_styles(last) + qos_styles(document),
              fact_cards(document) + qos_sections(document) + source_section(document, command));
}

}  // namespace strata::cli
