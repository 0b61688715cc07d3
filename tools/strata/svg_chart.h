// Draws charts as inline SVG text: lines and points over two axes, and horizontal bars made of
// parts. Colours come from CSS classes of the page around it; knows nothing of models.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace strata::cli {

/// Text with &, <, > and quotes replaced, for HTML and SVG.
std::string escape_markup(std::string_view text);

/// Round numbers (1, 2 or 5 times a power of ten apart) that cover low..high: the first is at most
/// `low`, the last at least `high`; about `wanted` steps. low == high widens by one.
std::vector<double> nice_ticks(double low, double high, int wanted);

/// A tick as text, with just the decimals that the step between ticks needs.
std::string tick_label(double value, double step);

struct ChartPoint {
  double x = 0;
  double y = 0;
  std::string tooltip;
  std::string label;  ///< beside the point; may be empty
  std::string color;  ///< CSS class; empty: the series'
};

struct ChartSeries {
  std::string color;  ///< CSS class
  std::vector<ChartPoint> points;
  bool dashed = false;
  bool joined = true;        ///< by a line
  double marker_radius = 5;  ///< 0: the line alone
};

/// A dotted line across the whole plot, with its name at the end.
struct ReferenceLine {
  double at = 0;
  std::string label;
  std::string color;
};

/// A part of the x axis that is shaded from bottom to top.
struct ShadedBand {
  double begin = 0;
  double end = 0;
};

struct LineChart {
  std::string description;  ///< for those who cannot see it
  std::string x_title;
  std::string y_title;
  bool x_from_zero = false;
  std::vector<ChartSeries> series;
  std::vector<ReferenceLine> across;   ///< at a y
  std::vector<ReferenceLine> upright;  ///< at an x
  std::vector<ShadedBand> shaded;
  /// What stands at a tick of the y axis; empty: the number. For axes that are not linear.
  std::function<std::string(double)> y_label;
  int width = 640;
  int height = 380;
};
std::string draw(const LineChart& chart);

struct BarPart {
  double size = 0;
  std::string color;
  std::string tooltip;
};

struct BarRow {
  std::string label;
  std::vector<BarPart> parts;  ///< one behind the other
  std::string note;            ///< behind the last part
  std::string tooltip;
};

struct BarChart {
  std::string description;
  std::string x_title;
  std::vector<BarRow> rows;
  double x_end = 0;  ///< where the axis ends; 0: a round number beyond the longest row
  int width = 640;
  int row_height = 18;
  int label_width = 150;
  int note_width = 120;
};
std::string draw(const BarChart& chart);

}  // namespace strata::cli
