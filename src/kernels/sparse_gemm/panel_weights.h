// A sparse matrix packed for products with few vectors, where weights stream from memory: bytes per
// non-zero decide. Rows are cut into panels, the unit of work of one thread, and a panel's rows
// into groups of as many as a slot has places; lanes run over the rows of a group. A slot holds at
// most one weight of each row (or two, see PanelCoding), out of a window of 64 columns, and so the
// column's place in the window fits the lowest bits of the weight itself: a non-zero takes four
// bytes, and empty places a little more. Narrow values take three bytes or two.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "core/aligned_buffer.h"
#include "core/status.h"

namespace strata::kernels {

inline constexpr int64_t kSlotRows = 16;       ///< places of a slot
inline constexpr int64_t kWindowBits = 6;      ///< of a weight that its column takes
inline constexpr int64_t kWindowColumns = 64;  ///< columns that one slot can reach
inline constexpr int64_t kWindowStep = 16;     ///< windows begin at multiples of it
inline constexpr int64_t kPanelRows = 256;     ///< at most

/// How the rows of one matrix or several of equal size are cut into panels. Row (m, g, u) is
/// number (m * gates + g) * units + u; a panel has some units of all gates of one matrix, so that
/// what combines gates needs one panel alone.
struct PanelShape {
  int64_t matrices = 1;
  int64_t gates = 1;
  int64_t units = 1;
  int64_t columns = 1;
  bool by_input = false;  ///< how positions count: matrices are stored [columns, rows]

  [[nodiscard]] int64_t rows() const { return matrices * gates * units; }
  /// Some 16 panels per matrix where it is large enough.
  [[nodiscard]] int64_t units_per_panel() const;
  [[nodiscard]] int64_t panels_per_matrix() const {
    return (units + units_per_panel() - 1) / units_per_panel();
  }
  [[nodiscard]] int64_t panels() const { return matrices * panels_per_matrix(); }
  [[nodiscard]] int64_t groups_per_panel() const {
    return (gates * units_per_panel() + kSlotRows - 1) / kSlotRows;
  }
  /// What a vector must have room for: whole windows.
  [[nodiscard]] int64_t padded_columns() const;
};

/// The units that one panel holds; its row of gate g and unit begin + i is number g * width + i of
/// the panel, `width` being units_per_panel() even where fewer are left.
struct PanelUnits {
  int64_t matrix = 0;
  int64_t begin = 0;
  int64_t end = 0;

  [[nodiscard]] int64_t count() const { return end - begin; }
};
PanelUnits units_of_panel(const PanelShape& shape, int64_t panel);

/// How the weights of an increment are stored: the narrowest way that keeps their values.
enum class PanelCoding : uint8_t {
  kWord,  ///< value and place in one word of 32 bits, see encode_weight()
  kHalf,  ///< all are f16 values: 16 bits and a byte for the place
  kInt8,  ///< all are codes of 8 bits times a scale of their row: a byte each for code and place
};

/// Weights of one row in a slot. Two codes go into one multiplication of 16-bit numbers.
constexpr int64_t weights_per_row(PanelCoding coding) {
  return coding == PanelCoding::kInt8 ? 2 : 1;
}

/// What one level adds to the level below it. Places that are empty hold zeros.
struct PanelIncrement {
  PanelCoding coding = PanelCoding::kWord;
  const uint32_t* words = nullptr;        ///< kWord: [slot][kSlotRows]
  const uint16_t* halves = nullptr;       ///< kHalf: [slot][kSlotRows]
  const int8_t* codes = nullptr;          ///< kInt8: [slot][kSlotRows][2]
  const float* scales = nullptr;          ///< kInt8: [group][kSlotRows]
  const uint8_t* places = nullptr;        ///< of halves or codes: their columns in the window
  const uint16_t* windows = nullptr;      ///< [slot] where its window begins, in kWindowStep
  const uint32_t* group_begin = nullptr;  ///< [group + 1] in slots
  const uint8_t* rows = nullptr;          ///< [group][kSlotRows] row within the panel
};

/// A level: the sum of its increments.
struct PanelWeights {
  const PanelIncrement* increments = nullptr;
  int64_t increment_count = 0;
  int64_t groups_per_panel = 0;
  int64_t padded_columns = 0;

  /// Whether an increment has codes of 8 bits.
  [[nodiscard]] bool has_codes() const;
  /// Whether one has other weights.
  [[nodiscard]] bool has_floats() const;
};

/// The float nearest to `weight` among those whose lowest bits are `place`: within 2^-18 of it,
/// relative.
uint32_t encode_weight(float weight, uint32_t place);

/// Owns what a PanelIncrement points to.
class PackedPanels {
 public:
  /// `positions` ascend, row-major in [rows, columns], or in [columns, rows] of each matrix if
  /// by_input. Errors: no memory for `purpose`, more columns than windows can reach.
  static Result<PackedPanels> pack(const PanelShape& shape, std::span<const uint32_t> positions,
                                   std::span<const float> values, const std::string& purpose);

  [[nodiscard]] PanelIncrement view() const {
    return {coding_,        words_.data(),   halves_.data(),      codes_.data(), scales_.data(),
            places_.data(), windows_.data(), group_begin_.data(), rows_.data()};
  }
  [[nodiscard]] size_t bytes() const {
    return words_.bytes() + halves_.bytes() + codes_.bytes() + scales_.bytes() + places_.bytes() +
           windows_.bytes() + group_begin_.bytes() + rows_.bytes();
  }

 private:
  PanelCoding coding_ = PanelCoding::kWord;
  AlignedBuffer<uint32_t> words_;
  AlignedBuffer<uint16_t> halves_;
  AlignedBuffer<int8_t> codes_;
  AlignedBuffer<float> scales_;
  AlignedBuffer<uint8_t> places_;
  AlignedBuffer<uint16_t> windows_;
  AlignedBuffer<uint32_t> group_begin_;
  AlignedBuffer<uint8_t> rows_;
};

}  // namespace strata::kernels
