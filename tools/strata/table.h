// Aligned text tables for terminals, and the numbers inside them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace strata::cli {

enum class Align : uint8_t { kLeft, kRight };

/// Columns are as wide as their widest cell; two spaces lie between them.
class Table {
 public:
  void add_column(std::string title, Align align = Align::kRight);
  /// Precondition: one cell per column.
  void add_row(std::vector<std::string> cells);

  /// Title line, a rule, the rows; every line ends with a newline and has no trailing space.
  [[nodiscard]] std::string text() const;

 private:
  struct Column {
    std::string title;
    Align align;
  };
  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

/// "5.38": `decimals` digits after the point. What rounds to zero has no sign.
std::string format_fixed(double value, int decimals);
/// "1,234,567".
std::string format_count(int64_t value);
/// "512 B", "1.23 MB": decimal units, three significant digits.
std::string format_bytes(uint64_t bytes);
/// "25.6 M", "4.1 G": three significant digits.
std::string format_quantity(double value);

}  // namespace strata::cli
