#include "tools/strata/report_html.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <vector>

#include "tools/strata/svg_chart.h"
#include "tools/strata/table.h"

namespace strata::cli {
namespace {

// Colours of levels (.l0, .l1, ...) are added per report; --c is the colour of a mark.
constexpr const char* kStyle = R"css(
:root{--bg:#fbfaf8;--card:#fff;--ink:#1d2129;--soft:#5b6472;--line:#d9dce1;--grid:#eceef1;--light:44%;
color-scheme:light dark}
@media (prefers-color-scheme:dark){:root{--bg:#14171c;--card:#1c2027;--ink:#e8eaee;--soft:#9aa4b2;
--line:#3a414c;--grid:#2a2f38;--light:62%}}
*{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--ink);line-height:1.5;
font-family:system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif;font-size:15px}
main{max-width:1120px;margin:0 auto;padding:32px 20px 64px}
header h1{font-size:30px;line-height:1.2;margin:0 0 4px;letter-spacing:-.01em}
header p{margin:0;color:var(--soft)}
.facts{display:grid;grid-template-columns:repeat(auto-fit,minmax(170px,1fr));gap:14px;margin:24px 0}
.fact{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:12px 16px}
.fact b{display:block;font-size:24px;line-height:1.25;font-variant-numeric:tabular-nums}
.fact span{color:var(--soft);font-size:13px}
.grid{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,480px),1fr));gap:18px}
section{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:18px 20px;
margin:0 0 18px;min-width:0}
.grid section{margin:0}.grid{margin-bottom:18px}
h2{font-size:18px;margin:0 0 2px}
section>p{margin:0 0 12px;color:var(--soft);font-size:14px;max-width:75ch}
.scroll{overflow-x:auto}
svg{display:block;width:100%;height:auto;margin:0 auto}
svg text{fill:var(--ink);font-size:12px;font-family:inherit}
svg .tick,svg .row-note{fill:var(--soft);font-size:11.5px}
svg .axis-title{fill:var(--soft);font-size:12.5px}
svg .row-label{font-size:11.5px}
svg .end{text-anchor:end}svg .middle{text-anchor:middle}
svg .gridline{stroke:var(--grid)}
svg .axis{stroke:var(--line)}
svg .curve{fill:none;stroke:var(--c);stroke-width:2.2;stroke-linejoin:round}
svg .dashed{stroke-dasharray:7 5}
svg .marker{fill:var(--c);stroke:var(--card);stroke-width:1.2}
svg .marker:hover,svg .bar:hover{opacity:.75}
svg .bar{fill:var(--c)}
svg .reference{stroke:var(--c);stroke-width:1.3;stroke-dasharray:2 4}
.neutral{--c:var(--soft)}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th,td{padding:7px 12px;text-align:right;border-bottom:1px solid var(--line);white-space:nowrap}
th{font-weight:600;color:var(--soft);font-size:13px;white-space:normal;vertical-align:bottom}
td.detail{text-align:left;white-space:normal;min-width:260px}
.warning{border-left:4px solid var(--c);padding:6px 12px;margin:0 0 12px;font-size:14px;
background:var(--bg)}
th:first-child,td:first-child{text-align:left}
tr:last-child td{border-bottom:0}
.swatch{display:inline-block;width:11px;height:11px;border-radius:3px;background:var(--c);
margin-right:8px}
.legend{display:flex;flex-wrap:wrap;gap:4px 20px;margin:0 0 8px;padding:0;list-style:none;
font-size:13.5px}
.legend svg{width:34px;min-width:0;display:inline-block;vertical-align:middle;margin-right:7px}
dl{display:grid;grid-template-columns:max-content minmax(0,1fr);gap:6px 18px;margin:0;font-size:14px}
dt{color:var(--soft)}dd{margin:0;overflow-wrap:anywhere}
code{font-family:ui-monospace,"DejaVu Sans Mono",Menlo,monospace;font-size:13px}
@media (max-width:560px){main{padding:20px 10px 40px}section{padding:14px 12px}
dl{grid-template-columns:minmax(0,1fr)}dd{margin-bottom:8px}}
@media print{body{background:#fff}section{break-inside:avoid}}
)css";

std::string level_name(int level) { return "level " + std::to_string(level); }
std::string level_color(int level) { return "l" + std::to_string(level); }

/// From amber for the sparsest level over rose to indigo for the least sparse one.
std::string level_styles(const ReportData& report) {
  constexpr double kAmber = 36;
  constexpr double kSweep = 145;
  std::string css;
  const int last = report.levels.empty() ? 0 : report.levels.back().level;
  for (int level = 0; level <= last; ++level) {
    const double hue = kAmber + 360 - (last == 0 ? 0 : kSweep * level / last);
    css += "." + level_color(level) + "{--c:hsl(" + format_fixed(std::fmod(hue, 360), 0) +
           " 72% var(--light))}\n";
  }
  return css;
}

std::string milliseconds(double ms) {
  return format_fixed(ms, ms < 1 ? 3 : ms < 100 ? 2 : 1) + " ms";
}

std::string section(const std::string& title, const std::string& explanation,
                    const std::string& body) {
  return "<section>\n<h2>" + escape_markup(title) + "</h2>\n<p>" + escape_markup(explanation) +
         "</p>\n" + body + "</section>\n";
}

std::string scrolling(const std::string& content) {
  return "<div class=\"scroll\">\n" + content + "</div>\n";
}

/// What a reader must know before a figure of time is quoted; empty if all is well.
std::string busy_warning(const ReportData& report) {
  if (report.steady) return "";
  return "<div class=\"warning l0\" role=\"note\">The times were taken on a busy machine: measure "
         "again on a quiet one before you quote a time or a speed-up.</div>\n";
}

std::string swatch(const std::string& color) {
  return "<span class=\"swatch " + color + "\"></span>";
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
    legend +=
        "<li><svg viewBox=\"0 0 34 10\" aria-hidden=\"true\"><line x1=\"1\" y1=\"5\" "
        "x2=\"33\" y2=\"5\" class=\"curve " +
        level_color(line.to) + (dashed ? " dashed" : "") + "\"/></svg>" + name + "</li>\n";
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
  const auto fact = [&html](const std::string& value, const std::string& label) {
    html += "<div class=\"fact\"><b>" + escape_markup(value) + "</b><span>" + escape_markup(label) +
            "</span></div>\n";
  };
  fact(std::to_string(report.levels.size()), "nested levels in one file");
  fact(format_bytes(report.file_bytes),
       "file" + (report.values.empty() ? std::string() : ", values in " + report.values));
  if (report.parameters > 0) {
    fact(format_quantity(static_cast<double>(report.parameters)), "parameters when dense");
  }
  const ReportLevel* best = nullptr;
  const ReportLevel* fastest = nullptr;
  for (const ReportLevel& level : report.levels) {
    if (level.accuracy && (best == nullptr || *level.accuracy > *best->accuracy)) best = &level;
    if (level.p50_ms && (fastest == nullptr || *level.p50_ms < *fastest->p50_ms)) fastest = &level;
  }
  if (best != nullptr) {
    fact(format_fixed(*best->accuracy, 2) + " %", "top-1 at " + level_name(best->level) + " (" +
                                                      format_fixed(best->weights_pct, 1) +
                                                      " % of the weights)");
  }
  if (fastest != nullptr) {
    fact(milliseconds(*fastest->p50_ms),
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
    entry(source.verb == "eval" ? "Accuracy" : "Latency", source.command, true);
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
  return "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
         "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>" +
         escape_markup(title) + "</title>\n<style>" + kStyle + level_styles(report) +
         "</style>\n</head>\n<body>\n<main>\n<header>\n<h1>" + escape_markup(title) + "</h1>\n<p>" +
         escape_markup(subtitle) + "</p>\n</header>\n" + facts(report) + level_section(report) +
         curves + latency_bars(report) + switch_section(report) + layer_section(report) +
         layout_section(report) + source_section(report, command) + "</main>\n</body>\n</html>\n";
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
