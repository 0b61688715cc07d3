#include "tools/strata/svg_chart.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

#include "tools/strata/table.h"

namespace strata::cli {
namespace {

/// Share of the plot's width up to which a point's label stands at its right.
constexpr double kLabelsRightUntil = 0.85;
constexpr int kMarginLeft = 64;
constexpr int kMarginRight = 18;
constexpr int kMarginRightLabelled = 92;
constexpr int kMarginTop = 18;
constexpr int kMarginBottom = 52;
constexpr int kTickCount = 5;
constexpr int kLabelHeight = 14;

std::string number(double value) {
  std::string text = format_fixed(value, 2);
  text.erase(text.find_last_not_of('0') + 1);
  if (text.ends_with('.')) text.pop_back();
  return text;
}

std::string attribute(std::string_view name, double value) {
  return ' ' + std::string(name) + "=\"" + number(value) + '"';
}

std::string line(double x1, double y1, double x2, double y2, const std::string& css) {
  return "<line" + attribute("x1", x1) + attribute("y1", y1) + attribute("x2", x2) +
         attribute("y2", y2) + " class=\"" + css + "\"/>\n";
}

std::string text(double x, double y, const std::string& css, std::string_view content) {
  return "<text" + attribute("x", x) + attribute("y", y) + " class=\"" + css + "\">" +
         escape_markup(content) + "</text>\n";
}

std::string title(const std::string& tooltip) {
  return tooltip.empty() ? "" : "<title>" + escape_markup(tooltip) + "</title>";
}

std::string open_svg(int width, int height, const std::string& description) {
  return "<svg viewBox=\"0 0 " + std::to_string(width) + ' ' + std::to_string(height) +
         "\" style=\"min-width:" + std::to_string(width * 3 / 4) +
         "px;max-width:" + std::to_string(width * 3 / 2) + "px\" role=\"img\" aria-label=\"" +
         escape_markup(description) + "\">\n";
}

struct Range {
  double low = std::numeric_limits<double>::infinity();
  double high = -std::numeric_limits<double>::infinity();
  void include(double value) {
    low = std::min(low, value);
    high = std::max(high, value);
  }
};

/// From data to pixels along one axis.
struct Scale {
  std::vector<double> ticks;
  double begin = 0;  ///< pixel of the first tick
  double end = 0;    ///< pixel of the last one
  [[nodiscard]] double operator()(double value) const {
    return begin + (value - ticks.front()) / (ticks.back() - ticks.front()) * (end - begin);
  }
  [[nodiscard]] std::string label(double tick) const {
    return tick_label(tick, ticks[1] - ticks[0]);
  }
};

/// Moves labels that would overlap apart, downwards, keeping their order; `at` are pixel heights.
std::vector<double> spread_labels(const std::vector<double>& at, double lowest) {
  std::vector<size_t> order(at.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return at[a] < at[b]; });
  std::vector<double> placed = at;
  for (size_t i = 1; i < order.size(); ++i) {
    placed[order[i]] = std::max(placed[order[i]], placed[order[i - 1]] + kLabelHeight);
  }
  double limit = lowest;
  for (size_t i = order.size(); i-- > 0; limit = placed[order[i]] - kLabelHeight) {
    placed[order[i]] = std::min(placed[order[i]], limit);
  }
  return placed;
}

std::string draw_series(const ChartSeries& series, const Scale& x, const Scale& y) {
  std::string out;
  if (series.points.size() > 1 && series.joined) {
    out += "<polyline class=\"curve " + series.color + (series.dashed ? " dashed" : "") +
           "\" points=\"";
    for (const ChartPoint& point : series.points) {
      out += number(x(point.x)) + ',' + number(y(point.y)) + ' ';
    }
    out += "\"/>\n";
  }
  for (const ChartPoint& point : series.points) {
    if (!(series.marker_radius > 0)) break;
    const std::string& color = point.color.empty() ? series.color : point.color;
    out += "<circle class=\"marker " + color + '"' + attribute("cx", x(point.x)) +
           attribute("cy", y(point.y)) + attribute("r", series.marker_radius) + '>' +
           title(point.tooltip) + "</circle>\n";
    if (!point.label.empty()) {
      // A label to the right of the last points would run out of the picture.
      const bool is_last = x(point.x) > x.begin + kLabelsRightUntil * (x.end - x.begin);
      out += text(x(point.x) + (is_last ? -9 : 9), y(point.y) + 16,
                  is_last ? "point-label end" : "point-label", point.label);
    }
  }
  return out;
}

}  // namespace

std::string escape_markup(std::string_view raw) {
  std::string out;
  for (const char c : raw) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

std::vector<double> nice_ticks(double low, double high, int wanted) {
  if (!(high > low)) {
    low -= 0.5;
    high += 0.5;
  }
  const double rough = (high - low) / wanted;
  const double power = std::pow(10, std::floor(std::log10(rough)));
  const double lead = rough / power;
  const double step = power * (lead <= 1 ? 1 : lead <= 2 ? 2 : lead <= 5 ? 5 : 10);
  // A bound that is a tick but for rounding must not cost another step.
  constexpr double kSlack = 1e-9;
  const double first = std::floor(low / step + kSlack);
  const double last = std::ceil(high / step - kSlack);
  std::vector<double> ticks;
  const auto count = static_cast<int64_t>(std::llround(last - first)) + 1;
  ticks.reserve(static_cast<size_t>(count));
  for (int64_t i = 0; i < count; ++i) ticks.push_back((first + static_cast<double>(i)) * step);
  return ticks;
}

std::string tick_label(double value, double step) {
  const int decimals = std::max(0, -static_cast<int>(std::floor(std::log10(step) + 1e-9)));
  std::string label = format_fixed(value, decimals);
  return label.find_first_not_of("-0.") == std::string::npos ? "0" : label;
}

std::string draw(const LineChart& chart) {
  Range xs;
  Range ys;
  if (chart.x_from_zero) xs.include(0);
  for (const ChartSeries& series : chart.series) {
    for (const ChartPoint& point : series.points) {
      xs.include(point.x);
      ys.include(point.y);
    }
  }
  for (const ReferenceLine& across : chart.across) ys.include(across.at);
  for (const ReferenceLine& upright : chart.upright) xs.include(upright.at);
  const double margin_right = chart.across.empty() ? kMarginRight : kMarginRightLabelled;
  const double bottom = chart.height - kMarginBottom;
  const Scale x{nice_ticks(xs.low, xs.high, kTickCount + 2), kMarginLeft,
                chart.width - margin_right};
  const Scale y{nice_ticks(ys.low, ys.high, kTickCount), bottom, kMarginTop};

  std::string out = open_svg(chart.width, chart.height, chart.description);
  for (const ShadedBand& band : chart.shaded) {
    const double begin = std::clamp(x(band.begin), x.begin, x.end);
    const double end = std::clamp(x(band.end), x.begin, x.end);
    out += "<rect class=\"band\"" + attribute("x", begin) + attribute("y", y.end) +
           attribute("width", end - begin) + attribute("height", bottom - y.end) + "/>\n";
  }
  for (const double tick : y.ticks) {
    out += line(x.begin, y(tick), x.end, y(tick), "gridline");
    out += text(x.begin - 8, y(tick) + 4, "tick end",
                chart.y_label ? chart.y_label(tick) : y.label(tick));
  }
  for (const double tick : x.ticks) {
    out += line(x(tick), bottom, x(tick), bottom + 5, "axis");
    out += text(x(tick), bottom + 19, "tick middle", x.label(tick));
  }
  out += line(x.begin, bottom, x.end, bottom, "axis");
  out += text((x.begin + x.end) / 2, chart.height - 10, "axis-title middle", chart.x_title);
  out += "<text class=\"axis-title middle\" transform=\"translate(16 " +
         number((y.begin + y.end) / 2) + ") rotate(-90)\">" + escape_markup(chart.y_title) +
         "</text>\n";

  std::vector<double> heights;
  for (const ReferenceLine& across : chart.across) heights.push_back(y(across.at));
  const std::vector<double> placed = spread_labels(heights, bottom);
  for (size_t i = 0; i < chart.across.size(); ++i) {
    const ReferenceLine& across = chart.across[i];
    out += line(x.begin, heights[i], x.end, heights[i], "reference " + across.color);
    out += text(x.end + 6, placed[i] + 4, "point-label", across.label);
  }
  for (const ReferenceLine& upright : chart.upright) {
    const bool right_half = x(upright.at) > (x.begin + x.end) / 2;
    out += line(x(upright.at), y.end, x(upright.at), bottom, "reference " + upright.color);
    out += text(x(upright.at) + (right_half ? -6 : 6), bottom - 8,
                right_half ? "point-label end" : "point-label", upright.label);
  }
  for (const ChartSeries& series : chart.series) out += draw_series(series, x, y);
  return out + "</svg>\n";
}

std::string draw(const BarChart& chart) {
  double longest = 0;
  for (const BarRow& row : chart.rows) {
    double length = 0;
    for (const BarPart& part : row.parts) length += part.size;
    longest = std::max(longest, length);
  }
  Scale x{nice_ticks(0, chart.x_end > 0 ? chart.x_end : longest, kTickCount),
          static_cast<double>(chart.label_width),
          static_cast<double>(chart.width - chart.note_width)};
  const int rows_height = static_cast<int>(chart.rows.size()) * chart.row_height;
  const int bottom = 8 + rows_height;
  const int height = bottom + kMarginBottom - 4;

  std::string out = open_svg(chart.width, height, chart.description);
  for (const double tick : x.ticks) {
    out += line(x(tick), 4, x(tick), bottom, "gridline");
    out += text(x(tick), bottom + 16, "tick middle", x.label(tick));
  }
  int top = 8;
  for (const BarRow& row : chart.rows) {
    const double middle = top + chart.row_height / 2.0 + 4;
    out += "<g>" + title(row.tooltip);
    out += text(chart.label_width - 8, middle, "row-label end", row.label);
    double begin = 0;
    for (const BarPart& part : row.parts) {
      out += "<rect class=\"bar " + part.color + '"' + attribute("x", x(begin)) +
             attribute("y", top + 2) +
             attribute("width", std::max(0.0, x(begin + part.size) - x(begin))) +
             attribute("height", chart.row_height - 4) + '>' + title(part.tooltip) + "</rect>\n";
      begin += part.size;
    }
    if (!row.note.empty()) out += text(x(begin) + 6, middle, "row-note", row.note);
    out += "</g>\n";
    top += chart.row_height;
  }
  out += line(x.begin, 4, x.begin, bottom, "axis");
  out += text((x.begin + x.end) / 2, height - 10, "axis-title middle", chart.x_title);
  return out + "</svg>\n";
}

}  // namespace strata::cli
