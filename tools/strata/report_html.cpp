#include "tools/strata/report_html.h"

#include <algorithm>
#include <functional>
#include <vector>

#include "tools/strata/html_page.h"
#include "tools/strata/qos_html.h"
#include "tools/strata/svg_chart.h"
#include "tools/strata/table.h"

namespace strata::cli {
namespace {

/// What a reader must know before a figure of time is quoted; empty if all is well.
std::string busy_warning(const ReportData& report) {
  if (report.steady) return "";
  return "<div class=\"warning l0\" role=\"note\">The times were taken on a busy machine: measure "
         "again on a quiet one before you quote a time or a speed-up.</div>\n";
}

/// Every level with an accuracy at what it costs; the curve is neutral, its points have the levels'
/// colours.
LineChart cost_chart(const ReportData& report,
                     const std::function<std::optional<double>(const ReportLevel&)>& cost) {
  LineChart chart;
  chart.y_title = "top-1 accuracy, %";
  chart.x_from_zero = true;
  chart.width = 520;
  chart.height = 340;
  ChartSeries series;
  series.color = "neutral";
  series.marker_radius = 6.5;
  for (const ReportLevel& level : report.levels) {
    const std::optional<double> x = cost(level);
    if (!x || !level.accuracy) continue;
    std::string tooltip = level_name(level.level) + ": " + format_fixed(*level.accuracy, 2) +
                          " % right with " + format_fixed(level.weights_pct, 2) +
                          " % of the weights";
    if (level.p50_ms) tooltip += ", " + milliseconds(*level.p50_ms);
    series.points.push_back(
        {*x, *level.accuracy, tooltip, level_name(level.level), level_color(level.level)});
  }
  chart.series.push_back(std::move(series));
  return chart;
}

std::string weights_section(const ReportData& report) {
  LineChart chart = cost_chart(report, [](const ReportLevel& level) { return level.weights_pct; });
  if (chart.series.front().points.empty()) return "";
  chart.description = "Top-1 accuracy of every level against the share of weights that it keeps";
  chart.x_title = "weights kept, % of the dense model's";
  return section("Accuracy against weights",
                 "What each level gets right, and how many of the dense model's weights it needs.",
                 scrolling(draw(chart)));
}

std::string latency_section(const ReportData& report) {
  LineChart chart = cost_chart(report, [](const ReportLevel& level) { return level.p50_ms; });
  if (chart.series.front().points.empty()) return "";
  chart.description = "Top-1 accuracy of every level against its median latency";
  chart.x_title = "median latency of one inference, ms";
  for (const ReportPeer& peer : report.peers) {
    chart.upright.push_back(
        {peer.p50_ms, peer.name + ", dense: " + milliseconds(peer.p50_ms), "neutral"});
  }
  return section("Accuracy against latency",
                 "What each level gets right, and how long an answer takes. Left and up is better.",
                 scrolling(draw(chart)));
}

std::string latency_bars(const ReportData& report) {
  BarChart chart;
  chart.description = "Median latency of every level and of the dense model under other engines";
  chart.x_title = "median latency of one inference, ms";
  chart.width = 1000;
  chart.row_height = 34;
  chart.label_width = 120;
  chart.note_width = 250;
  const auto quantiles = [](double p90, double p99) {
    return "90 % below " + milliseconds(p90) + ", 99 % below " + milliseconds(p99);
  };
  for (const ReportLevel& level : report.levels) {
    if (!level.p50_ms) continue;
    const std::string tooltip = level_name(level.level) + ": median " +
                                milliseconds(*level.p50_ms) + ", " +
                                quantiles(*level.p90_ms, *level.p99_ms);
    std::string note = milliseconds(*level.p50_ms);
    if (level.speedup) {
      note += ", " + format_fixed(*level.speedup, 2) + "x as fast as " + report.peers[0].name;
    }
    chart.rows.push_back({level_name(level.level),
                          {{*level.p50_ms, level_color(level.level), tooltip}},
                          note,
                          tooltip});
  }
  if (chart.rows.empty()) return "";
  std::string peers;
  for (const ReportPeer& peer : report.peers) {
    const std::string tooltip = peer.name + ": median " + milliseconds(peer.p50_ms) + ", " +
                                quantiles(peer.p90_ms, peer.p99_ms);
    chart.rows.push_back({peer.name + ", dense",
                          {{peer.p50_ms, "neutral", tooltip}},
                          milliseconds(peer.p50_ms),
                          tooltip});
    if (!peer.description.empty()) peers += " Dense model: " + peer.description + ".";
  }
  return section("Latency",
                 "Batch 1, " + std::to_string(report.threads) +
                     (report.threads == 1 ? " thread" : " threads") +
                     ", all measured in turns in one process." + peers,
                 busy_warning(report) + scrolling(draw(chart)));
}

/// Dashes tell the lines to one level apart: solid from the least sparse level, else dashed.
bool is_dashed(const ReportData& report, const SwitchLine& line) {
  return !report.levels.empty() && line.from != report.levels.back().level;
}

std::string switch_section(const ReportData& report) {
  if (report.switch_lines.empty()) return "";
  LineChart chart;
  chart.description = "Top-1 accuracy of inferences that change level in between";
  chart.x_title = "steps run at the less sparse level before the change";
  chart.y_title = "top-1 accuracy, %";
  chart.width = 1000;
  chart.height = 420;
  std::string legend = "<ul class=\"legend\">\n";
  for (const SwitchLine& line : report.switch_lines) {
    const bool dashed = is_dashed(report, line);
    const std::string name = "from " + level_name(line.from) + " to " + level_name(line.to);
    ChartSeries series;
    series.color = level_color(line.to);
    series.dashed = dashed;
    series.marker_radius = line.points.size() > 40 ? 2.5 : 3.8;
    for (const SwitchLine::Point& point : line.points) {
      series.points.push_back({static_cast<double>(point.step), point.value,
                               name + " before step " + std::to_string(point.step) + " (" +
                                   point.name + "): " + format_fixed(point.value, 2) + " %",
                               "", ""});
    }
    chart.series.push_back(std::move(series));
    legend += legend_entry(level_color(line.to), dashed, name);
  }
  for (size_t k = 0; k < report.switch_levels.size(); ++k) {
    const int level = static_cast<int>(k);
    chart.across.push_back(
        {report.switch_levels[k],
         level_name(level) + " " + format_fixed(report.switch_levels[k], 1) + " %",
         level_color(level)});
  }
  return section("Changing level in the middle",
                 "Accuracy when an inference starts at one level and goes on at a sparser one. A "
                 "line has the colour of the level that it ends at; dotted lines are the levels "
                 "alone. Measured on " +
                     format_count(report.switch_images) + " images.",
                 legend + "</ul>\n" + scrolling(draw(chart)));
}

std::string layer_section(const ReportData& report) {
  if (report.layers.empty()) return "";
  BarChart chart;
  chart.description = "Density of every weight tensor at every level";
  chart.x_title = "non-zero weights, % of the tensor's";
  chart.width = 1000;
  chart.row_height = 20;
  chart.label_width = 220;
  chart.note_width = 190;
  for (const ReportLayer& layer : report.layers) {
    BarRow row;
    row.label =
        layer.name.ends_with(".weight") ? layer.name.substr(0, layer.name.size() - 7) : layer.name;
    row.tooltip = layer.name + ": " + format_count(layer.elements) + " weights, " +
                  format_quantity(static_cast<double>(layer.dense_macs)) +
                  " multiply-adds when dense";
    double below = 0;
    for (size_t k = 0; k < layer.density_pct.size(); ++k) {
      const double density = layer.density_pct[k];
      const int level = static_cast<int>(k);
      row.parts.push_back(
          {density - below, level_color(level),
           layer.name + " at " + level_name(level) + ": " + format_fixed(density, 2) + " %"});
      row.note += (k == 0 ? "" : " / ") + format_fixed(density, density < 10 ? 1 : 0);
      below = density;
    }
    row.note += layer.prunable ? " %" : " % (kept dense)";
    chart.rows.push_back(std::move(row));
  }
  std::string legend = "<ul class=\"legend\">\n";
  for (const ReportLevel& level : report.levels) {
    legend += "<li>" + swatch(level_color(level.level)) + (level.level == 0 ? "" : "added by ") +
              level_name(level.level) + "</li>\n";
  }
  return section("Density per layer",
                 "Levels nest: a level's weights are its own part of a bar and all parts left of "
                 "it. Layers stand in the order of the network.",
                 legend + "</ul>\n" + scrolling(draw(chart)));
}

std::string layout_section(const ReportData& report) {
  if (report.blocks.empty()) return "";
  constexpr double kWidth = 1000;
  constexpr double kBarHeight = 46;
  uint64_t total = 0;
  for (const ReportBlock& block : report.blocks) total += block.bytes;
  std::string bar =
      "<svg viewBox=\"0 0 1000 64\" role=\"img\" aria-label=\"The file's parts, to "
      "scale\">\n";
  std::string rows;
  uint64_t begin = 0;
  for (size_t i = 0; i < report.blocks.size(); ++i) {
    const ReportBlock& block = report.blocks[i];
    const std::string color = i == 0 ? "neutral" : level_color(static_cast<int>(i) - 1);
    const double share = static_cast<double>(block.bytes) / static_cast<double>(total);
    const double x = kWidth * static_cast<double>(begin) / static_cast<double>(total);
    const double width = std::max(1.0, kWidth * share);
    const std::string tooltip = block.name + ": " +
                                format_count(static_cast<int64_t>(block.bytes)) + " bytes, " +
                                format_fixed(100 * share, 1) + " % of the file";
    bar += "<g><title>" + escape_markup(tooltip) + "</title><rect class=\"bar " + color +
           "\" x=\"" + format_fixed(x, 2) + "\" y=\"4\" width=\"" +
           format_fixed(std::max(1.0, width - 1), 2) + "\" height=\"" +
           format_fixed(kBarHeight, 0) + "\"/></g>\n";
    begin += block.bytes;
    rows += "<tr><td>" + swatch(color) + escape_markup(block.name) + "</td><td>" +
            format_count(static_cast<int64_t>(block.bytes)) + "</td><td>" +
            format_fixed(100 * share, 1) + " %</td><td>" +
            (i == 0 ? "" : format_count(static_cast<int64_t>(begin))) +
            "</td><td class=\"detail\">" + escape_markup(block.detail) + "</td></tr>\n";
  }
  bar += "</svg>\n";
  return section("What the file holds",
                 "One part after the other, to scale. Cut where an increment ends, the file is a "
                 "valid file of the levels up to there.",
                 bar + scrolling("<table>\n<tr><th>part</th><th>bytes</th><th>share</th>"
                                 "<th>file ends here at</th><th></th>"
                                 "</tr>\n" +
                                 rows + "</table>\n"));
}

/// Titles and rows of the table of levels, for HTML and for text.
struct LevelRows {
  std::vector<std::string> titles;
  std::vector<std::vector<std::string>> rows;
};

LevelRows level_rows(const ReportData& report) {
  const auto any = [&report](const auto& member) {
    return std::any_of(report.levels.begin(), report.levels.end(),
                       [&](const ReportLevel& level) { return (level.*member).has_value(); });
  };
  const bool has_accuracy = any(&ReportLevel::accuracy);
  const bool has_latency = any(&ReportLevel::p50_ms);
  const bool has_speedup = any(&ReportLevel::speedup);
  const bool has_alone = any(&ReportLevel::over_alone);
  const auto cell = [](const std::optional<double>& value, int decimals) {
    return value ? format_fixed(*value, decimals) : std::string("-");
  };
  LevelRows table;
  table.titles = {"level"};
  if (has_accuracy) table.titles.emplace_back("top-1 %");
  table.titles.insert(table.titles.end(), {"weights %", "FLOPs %", "file bytes"});
  if (has_latency) table.titles.insert(table.titles.end(), {"median ms", "p90 ms", "p99 ms"});
  if (has_speedup) table.titles.push_back("speed-up over " + report.peers.front().name);
  if (has_alone) table.titles.emplace_back("time / alone");
  for (const ReportLevel& level : report.levels) {
    std::vector<std::string> row = {level_name(level.level)};
    if (has_accuracy) row.push_back(cell(level.accuracy, 2));
    row.push_back(format_fixed(level.weights_pct, 2));
    row.push_back(format_fixed(level.flops_pct, 2));
    row.push_back(format_count(static_cast<int64_t>(level.bytes_to_end)));
    if (has_latency) {
      for (const auto& value : {level.p50_ms, level.p90_ms, level.p99_ms}) {
        row.push_back(cell(value, 3));
      }
    }
    if (has_speedup) row.push_back(cell(level.speedup, 2) + "x");
    if (has_alone) row.push_back(cell(level.over_alone, 3));
    table.rows.push_back(std::move(row));
  }
  for (const ReportPeer& peer : report.peers) {
    std::vector<std::string> row = {peer.name + ", dense"};
    if (has_accuracy) row.emplace_back("-");
    row.insert(row.end(), {"100.00", "100.00", "-"});
    for (const double value : {peer.p50_ms, peer.p90_ms, peer.p99_ms}) {
      row.push_back(format_fixed(value, 3));
    }
    if (has_speedup) row.emplace_back("1.00x");
    if (has_alone) row.emplace_back("-");
    table.rows.push_back(std::move(row));
  }
  return table;
}

std::string level_section(const ReportData& report) {
  const LevelRows table = level_rows(report);
  std::string html = "<table>\n<tr>";
  for (const std::string& title : table.titles) html += "<th>" + escape_markup(title) + "</th>";
  html += "</tr>\n";
  for (size_t i = 0; i < table.rows.size(); ++i) {
    html += "<tr>";
    for (size_t c = 0; c < table.rows[i].size(); ++c) {
      html += "<td>";
      if (c == 0) {
        html += swatch(i < report.levels.size() ? level_color(report.levels[i].level) : "neutral");
      }
      html += escape_markup(table.rows[i][c]) + "</td>";
    }
    html += "</tr>\n";
  }
  return section("The levels",
                 "Level 0 is the sparsest. Each level holds all weights of the levels above it in "
                 "this table; file bytes is how long the file is when it ends with that level.",
                 busy_warning(report) + scrolling(html + "</table>\n"));
}

std::string facts(const ReportData& report) {
  std::string html = "<div class=\"facts\">\n";
  const auto add = [&html](const std::string& value, const std::string& label) {
    html += fact(value, label);
  };
  add(std::to_string(report.levels.size()), "nested levels in one file");
  add(format_bytes(report.file_bytes),
      "file" + (report.values.empty() ? std::string() : ", values in " + report.values));
  if (report.parameters > 0) {
    add(format_quantity(static_cast<double>(report.parameters)), "parameters when dense");
  }
  const ReportLevel* best = nullptr;
  const ReportLevel* fastest = nullptr;
  for (const ReportLevel& level : report.levels) {
    if (level.accuracy && (best == nullptr || *level.accuracy > *best->accuracy)) best = &level;
    if (level.p50_ms && (fastest == nullptr || *level.p50_ms < *fastest->p50_ms)) fastest = &level;
  }
  if (best != nullptr) {
    add(format_fixed(*best->accuracy, 2) + " %", "top-1 at " + level_name(best->level) + " (" +
                                                     format_fixed(best->weights_pct, 1) +
                                                     " % of the weights)");
  }
  if (fastest != nullptr) {
    add(milliseconds(*fastest->p50_ms),
        "median at " + level_name(fastest->level) +
            (fastest->speedup && report.steady
                 ? ", " + format_fixed(*fastest->speedup, 1) + "x as fast as dense " +
                       report.peers.front().name
                 : std::string()));
  }
  return html + "</div>\n";
}

std::string source_section(const ReportData& report, const std::string& command) {
  std::string html = "<dl>\n";
  const auto entry = [&html](const std::string& term, const std::string& value, bool is_code) {
    html += "<dt>" + escape_markup(term) + "</dt><dd>" + (is_code ? "<code>" : "") +
            escape_markup(value) + (is_code ? "</code>" : "") + "</dd>\n";
  };
  std::string machine;
  std::string build;
  for (const ReportSource& source : report.sources) {
    if (source.machine != machine) entry("Machine", source.machine, false);
    if (source.build != build) entry("Build", source.build, false);
    machine = source.machine;
    build = source.build;
    entry(source.verb == "eval"  ? "Accuracy"
          : source.verb == "qos" ? "Deadlines"
                                 : "Latency",
          source.command, true);
  }
  entry("This page", command, true);
  return section("How to get these numbers again",
                 "The machine, the build, and the command lines as they were typed.",
                 html + "</dl>\n");
}

}  // namespace

std::string render_html(const ReportData& report, const std::string& command) {
  std::string subtitle = report.file;
  if (!report.data_name.empty()) {
    subtitle += ", evaluated on " + format_count(report.images) + " images of " + report.data_name;
  }
  const std::string title = report.model + ": accuracy and latency of its levels";
  std::string curves = weights_section(report) + latency_section(report);
  if (!curves.empty()) curves = "<div class=\"grid\">\n" + curves + "</div>\n";
  const int last = report.levels.empty() ? 0 : report.levels.back().level;
  const bool has_qos = !report.qos.is_null();
  return page(title, subtitle,
              level_styles(last) + (has_qos ? qos_styles(report.qos) : std::string()),
              facts(report) + level_section(report) + curves + latency_bars(report) +
                  switch_section(report) + (has_qos ? qos_sections(report.qos) : std::string()) +
                  layer_section(report) + layout_section(report) + source_section(report, command));
}

std::string render_level_table(const ReportData& report) {
  const LevelRows rows = level_rows(report);
  Table table;
  for (size_t c = 0; c < rows.titles.size(); ++c) {
    table.add_column(rows.titles[c], c == 0 ? Align::kLeft : Align::kRight);
  }
  for (const auto& row : rows.rows) table.add_row(row);
  return table.text() +
         (report.steady ? "" : "WARNING: timed on a busy machine; measure again before quoting\n");
}

}  // namespace strata::cli
