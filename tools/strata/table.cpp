#include "tools/strata/table.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <string_view>

namespace strata::cli {
namespace {

/// Characters of UTF-8 text, each taken as one cell wide.
size_t display_width(std::string_view text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U;
  }));
}

std::string scaled(double value, std::string_view separator, std::string_view suffix,
                   const std::array<std::string_view, 5>& prefixes) {
  size_t unit = 0;
  // 999.5 would be printed as 1000.
  while (std::abs(value) >= 999.5 && unit + 1 < prefixes.size()) {
    value /= 1000;
    ++unit;
  }
  const int decimals = unit == 0 ? 0 : value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
  std::string text = format_fixed(value, decimals);
  const std::string tail = std::string(prefixes[unit]) + std::string(suffix);
  if (!tail.empty()) text += std::string(separator) + tail;
  return text;
}

}  // namespace

void Table::add_column(std::string title, Align align) {
  columns_.push_back({std::move(title), align});
}

void Table::add_row(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }

std::string Table::text() const {
  std::vector<size_t> widths;
  for (size_t c = 0; c < columns_.size(); ++c) {
    size_t width = display_width(columns_[c].title);
    for (const auto& row : rows_) width = std::max(width, display_width(row[c]));
    widths.push_back(width);
  }
  std::string out;
  const auto append_line = [&](const auto& cell_of) {
    std::string line;
    for (size_t c = 0; c < columns_.size(); ++c) {
      const std::string& cell = cell_of(c);
      const std::string space(widths[c] - display_width(cell), ' ');
      if (c > 0) line += "  ";
      line += columns_[c].align == Align::kLeft ? cell + space : space + cell;
    }
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + '\n';
  };
  append_line([&](size_t c) -> const std::string& { return columns_[c].title; });
  std::vector<std::string> rules;
  rules.reserve(widths.size());
  for (const size_t width : widths) rules.emplace_back(width, '-');
  append_line([&](size_t c) -> const std::string& { return rules[c]; });
  for (const auto& row : rows_) {
    append_line([&](size_t c) -> const std::string& { return row[c]; });
  }
  return out;
}

std::string format_fixed(double value, int decimals) {
  std::array<char, 64> buffer{};
  const int length = std::snprintf(buffer.data(), buffer.size(), "%.*f", decimals, value);
  const std::string_view text(buffer.data(), static_cast<size_t>(length));
  const bool zero = text.find_first_not_of("-0.") == std::string_view::npos;
  return std::string(zero && text.starts_with('-') ? text.substr(1) : text);
}

std::string format_count(int64_t value) {
  std::string digits = std::to_string(value);
  const size_t first = digits.starts_with('-') ? 1 : 0;
  for (size_t place = digits.size(); place > first + 3; place -= 3) digits.insert(place - 3, ",");
  return digits;
}

std::string format_bytes(uint64_t bytes) {
  return scaled(static_cast<double>(bytes), " ", "B", {"", "k", "M", "G", "T"});
}

std::string format_quantity(double value) {
  return scaled(value, " ", "", {"", "k", "M", "G", "T"});
}

}  // namespace strata::cli
