// What every page of strata is made of: its style, sections, tables and colours. Pages need nothing
// but themselves, in light and in dark.
#pragma once

#include <string>

namespace strata::cli {

[[nodiscard]] std::string level_name(int level);   ///< "level 2"
[[nodiscard]] std::string level_color(int level);  ///< the CSS class of a level: "l2"

/// Colours of the levels 0..last: from amber for the sparsest one over rose to indigo.
[[nodiscard]] std::string level_styles(int last);

[[nodiscard]] std::string milliseconds(double ms);  ///< "3.14 ms"

/// A card with a heading; `body` is HTML, the others are text.
[[nodiscard]] std::string section(const std::string& title, const std::string& explanation,
                                  const std::string& body);
/// Something wide, in a box that scrolls.
[[nodiscard]] std::string scrolling(const std::string& content);
/// A little square of a colour class.
[[nodiscard]] std::string swatch(const std::string& color);
/// An entry of a legend: a line of a colour class with its name.
[[nodiscard]] std::string legend_entry(const std::string& color, bool dashed,
                                       const std::string& name);
/// A figure in large letters, with what it is.
[[nodiscard]] std::string fact(const std::string& value, const std::string& label);

/// The whole page. `styles` is added to the style sheet; `body` follows the heading.
[[nodiscard]] std::string page(const std::string& title, const std::string& subtitle,
                               const std::string& styles, const std::string& body);

}  // namespace strata::cli
