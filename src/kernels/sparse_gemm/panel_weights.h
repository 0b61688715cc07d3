// A sparse matrix packed for products with few vectors, where weights stream from memory: bytes per
// non-zero decide. Rows are cut into panels, the unit of work of one thread, and a panel's rows
// into groups of as many as a slot has places; lanes run over the rows of a group. A slot holds at
// most one weight of each row, out of a window of 64 columns, and so the column's place in the
// window fits the lowest bits of the weight itself: a non-zero takes four bytes, and empty places a
// little more. Weights that are all f16 values take three: two for the value, one for the place.
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

/// What one level adds to the level below it.
struct PanelIncrement {
  const uint32_t* slots = nullptr;  ///< [slot][kSlotRows] encoded weights, 0 where empty
  /// Instead of them, if every weight is one: [slot][kSlotRows] f16 values, 0 where empty.
  const uint16_t* halves = nullptr;
  const uint8_t* places = nullptr;        ///< with halves: of their columns in the window
  const uint16_t* windows = nullptr;      ///< [slot] where its window begins, in kWindowStep
  const uint32_t* group_begin = nullptr;  ///< [group + 1] in slots
  const uint8_t* rows = nullptr;          ///< [group][kSlotRows] row within the panel
};

/// A level: the sum of its increments.
struct PanelWeights {
  const PanelIncrement* increments = nullptr;
  int64_t increment_count = 0;
  int64_t groups_per_panel = 0;
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
    return {slots_.data(),   halves_.data(),      places_.data(),
            windows_.data(), group_begin_.data(), rows_.data()};
  }
  [[nodiscard]] size_t bytes() const {
    return slots_.bytes() + halves_.bytes() + places_.bytes() + windows_.bytes() +
           group_begin_.bytes() + rows_.bytes();
  }

 private:
  AlignedBuffer<uint32_t> slots_;
  AlignedBuffer<uint16_t> halves_;
  AlignedBuffer<uint8_t> places_;
  AlignedBuffer<uint16_t> windows_;
  AlignedBuffer<uint32_t> group_begin_;
  AlignedBuffer<uint8_t> rows_;
};

}  // namespace strata::kernels
