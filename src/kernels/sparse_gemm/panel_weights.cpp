// See panel_weights.h. Slots are filled greedily: the window begins at the column that some row of
// the group waits for longest, and every row whose next column it reaches puts its weight in. Rows
// of a panel that have about as many weights share a group, so that they end together.
#include "kernels/sparse_gemm/panel_weights.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <limits>
#include <numeric>
#include <optional>
#include <utility>
#include <vector>

#include "core/bit_cast.h"
#include "core/half.h"
#include "core/int8.h"

namespace strata::kernels {
namespace {

int64_t round_up(int64_t value, int64_t to) { return (value + to - 1) / to * to; }

constexpr uint32_t kPlaceMask = (1U << kWindowBits) - 1;
static_assert(kWindowColumns == int64_t{1} << kWindowBits);

struct Entry {
  uint32_t column = 0;
  float weight = 0;
};

/// The non-zeros by rows.
struct Rows {
  std::vector<uint32_t> begin;  ///< [row + 1]
  std::vector<Entry> entries;

  [[nodiscard]] uint32_t count(int64_t row) const {
    return begin[static_cast<size_t>(row) + 1] - begin[static_cast<size_t>(row)];
  }
  [[nodiscard]] std::span<const Entry> of(int64_t row) const {
    return std::span(entries).subspan(begin[static_cast<size_t>(row)], count(row));
  }
};

Rows rows_of(const PanelShape& shape, std::span<const uint32_t> positions,
             std::span<const float> values) {
  const int64_t matrix_rows = shape.gates * shape.units;
  const auto place = [&](uint32_t position) -> std::pair<size_t, uint32_t> {
    if (!shape.by_input) {
      return {static_cast<size_t>(position / shape.columns),
              static_cast<uint32_t>(position % shape.columns)};
    }
    const int64_t matrix = position / (matrix_rows * shape.columns);
    const int64_t within = position % (matrix_rows * shape.columns);
    return {static_cast<size_t>(matrix * matrix_rows + within % matrix_rows),
            static_cast<uint32_t>(within / matrix_rows)};
  };
  Rows rows;
  rows.begin.resize(static_cast<size_t>(shape.rows()) + 1);
  for (const uint32_t position : positions) ++rows.begin[place(position).first + 1];
  std::partial_sum(rows.begin.begin(), rows.begin.end(), rows.begin.begin());
  rows.entries.resize(positions.size());
  std::vector<uint32_t> next(rows.begin.begin(), rows.begin.end() - 1);
  for (size_t i = 0; i < positions.size(); ++i) {
    const auto [row, column] = place(positions[i]);
    rows.entries[next[row]++] = {column, values[i]};
  }
  return rows;
}

/// The scale of every row of which its weights are codes; nothing if a row has none.
std::optional<std::vector<float>> row_scales(const Rows& rows, int64_t row_count) {
  std::vector<float> scales;
  std::vector<float> weights;
  for (int64_t row = 0; row < row_count; ++row) {
    weights.clear();
    for (const Entry& entry : rows.of(row)) weights.push_back(entry.weight);
    const std::optional<float> scale = exact_int8_scale(weights);
    if (!scale) return std::nullopt;
    scales.push_back(*scale);
  }
  return scales;
}

/// What a slot holds before there is memory for all of them.
struct Slots {
  PanelCoding coding = PanelCoding::kWord;
  std::vector<uint32_t> words;
  std::vector<uint16_t> halves;
  std::vector<int8_t> codes;
  std::vector<uint8_t> places;
  std::vector<uint16_t> windows;

  void reserve(size_t weights) {
    switch (coding) {
      case PanelCoding::kWord:
        words.reserve(weights);
        return;
      case PanelCoding::kHalf:
        halves.reserve(weights);
        break;
      case PanelCoding::kInt8:
        codes.reserve(weights);
        break;
    }
    places.reserve(weights);
  }

  /// An empty place is a weight of 0.
  void push(float weight, uint32_t place, float scale) {
    switch (coding) {
      case PanelCoding::kWord:
        words.push_back(weight == 0 ? 0 : encode_weight(weight, place));
        return;
      case PanelCoding::kHalf:
        halves.push_back(to_half(weight));
        break;
      case PanelCoding::kInt8:
        codes.push_back(weight == 0 ? int8_t{0} : encode_int8(weight, scale));
        break;
    }
    places.push_back(static_cast<uint8_t>(place));
  }

  /// `lanes` are the weights left of each row, `scales` those of kInt8.
  void fill(std::array<std::span<const Entry>, kSlotRows> lanes,
            const std::array<float, kSlotRows>& scales, int64_t last_window) {
    constexpr uint32_t kNone = std::numeric_limits<uint32_t>::max();
    for (;;) {
      uint32_t first = kNone;
      for (const auto& lane : lanes) {
        if (!lane.empty()) first = std::min(first, lane.front().column);
      }
      if (first == kNone) return;
      const int64_t window = std::min(int64_t{first} / kWindowStep, last_window);
      windows.push_back(static_cast<uint16_t>(window));
      for (size_t place = 0; place < lanes.size() * weights_per_row(coding); ++place) {
        const size_t row = place / weights_per_row(coding);
        auto& lane = lanes[row];
        const int64_t offset =
            lane.empty() ? kWindowColumns : lane.front().column - window * kWindowStep;
        if (offset < kWindowColumns) {
          push(lane.front().weight, static_cast<uint32_t>(offset), scales[row]);
          lane = lane.subspan(1);
        } else {
          push(0, 0, 0);
        }
      }
    }
  }
};

bool is_of_codes(const PanelIncrement& increment) { return increment.coding == PanelCoding::kInt8; }

template <typename T>
Result<AlignedBuffer<T>> copy_of(const std::vector<T>& from, const std::string& purpose) {
  STRATA_ASSIGN_OR_RETURN(auto buffer, AlignedBuffer<T>::create(from.size(), purpose));
  std::copy(from.begin(), from.end(), buffer.data());
  return buffer;
}

}  // namespace

int64_t PanelShape::units_per_panel() const {
  constexpr int64_t kWantedPanels = 16;
  const int64_t most = kPanelRows / gates / kSlotRows * kSlotRows;
  return std::clamp(round_up((units + kWantedPanels - 1) / kWantedPanels, kSlotRows), kSlotRows,
                    most);
}

int64_t PanelShape::padded_columns() const {
  return std::max(round_up(columns, kWindowStep), kWindowColumns);
}

PanelUnits units_of_panel(const PanelShape& shape, int64_t panel) {
  const int64_t per_matrix = shape.panels_per_matrix();
  const int64_t begin = panel % per_matrix * shape.units_per_panel();
  return {panel / per_matrix, begin, std::min(begin + shape.units_per_panel(), shape.units)};
}

bool PanelWeights::has_codes() const {
  return std::any_of(increments, increments + increment_count, is_of_codes);
}

bool PanelWeights::has_floats() const {
  return !std::all_of(increments, increments + increment_count, is_of_codes);
}

uint32_t encode_weight(float weight, uint32_t place) {
  constexpr uint32_t kMagnitude = 0x7fffffff;
  constexpr uint32_t kInfinity = 0x7f800000;
  constexpr uint32_t kStep = kPlaceMask + 1;
  const auto bits = bit_cast<uint32_t>(weight);
  const uint32_t encoded = (bits & ~kPlaceMask) | place;
  const int32_t above = static_cast<int32_t>(bits & kPlaceMask) - static_cast<int32_t>(place);
  if (above > static_cast<int32_t>(kStep / 2) && ((encoded + kStep) & kMagnitude) < kInfinity) {
    return encoded + kStep;
  }
  if (-above > static_cast<int32_t>(kStep / 2) && (encoded & kMagnitude) >= kStep) {
    return encoded - kStep;
  }
  return encoded;
}

Result<PackedPanels> PackedPanels::pack(const PanelShape& shape,
                                        std::span<const uint32_t> positions,
                                        std::span<const float> values, const std::string& purpose) {
  const int64_t last_window = (shape.padded_columns() - kWindowColumns) / kWindowStep;
  if (last_window > std::numeric_limits<uint16_t>::max()) {
    return unsupported(purpose + " have " + std::to_string(shape.columns) +
                       " columns, too many for the runtime");
  }
  const Rows rows = rows_of(shape, positions, values);
  const int64_t width = shape.units_per_panel();
  const int64_t groups = shape.groups_per_panel();
  Slots slots;
  const std::optional<std::vector<float>> scale_of = row_scales(rows, shape.rows());
  if (scale_of) {
    slots.coding = PanelCoding::kInt8;
  } else if (std::all_of(values.begin(), values.end(), is_half)) {
    slots.coding = PanelCoding::kHalf;
  }
  slots.reserve(positions.size() + positions.size() / 2);
  std::vector<uint32_t> group_begin = {0};
  std::vector<uint8_t> row_of;
  std::vector<float> group_scales;
  std::vector<int64_t> order(static_cast<size_t>(groups * kSlotRows));
  for (int64_t panel = 0; panel < shape.panels(); ++panel) {
    const PanelUnits units = units_of_panel(shape, panel);
    // The row of the matrices, or -1 for a number within the panel that no row has.
    const auto row_at = [&](int64_t index) -> int64_t {
      const int64_t gate = index / width;
      const int64_t unit = units.begin + index % width;
      if (gate >= shape.gates || unit >= units.end) return -1;
      return (units.matrix * shape.gates + gate) * shape.units + unit;
    };
    const auto count = [&](int64_t index) {
      const int64_t row = row_at(index);
      return row < 0 ? 0 : rows.count(row);
    };
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(),
                     [&](int64_t a, int64_t b) { return count(a) > count(b); });
    for (int64_t group = 0; group < groups; ++group) {
      std::array<std::span<const Entry>, kSlotRows> lanes;
      std::array<float, kSlotRows> scales{};
      for (size_t lane = 0; lane < kSlotRows; ++lane) {
        const int64_t index = order[static_cast<size_t>(group * kSlotRows) + lane];
        row_of.push_back(static_cast<uint8_t>(index));
        const int64_t row = row_at(index);
        if (row < 0) continue;
        lanes[lane] = rows.of(row);
        if (scale_of) scales[lane] = (*scale_of)[static_cast<size_t>(row)];
      }
      if (scale_of) group_scales.insert(group_scales.end(), scales.begin(), scales.end());
      slots.fill(lanes, scales, last_window);
      group_begin.push_back(static_cast<uint32_t>(slots.windows.size()));
    }
  }
  PackedPanels packed;
  packed.coding_ = slots.coding;
  STRATA_ASSIGN_OR_RETURN(packed.words_, copy_of(slots.words, purpose));
  STRATA_ASSIGN_OR_RETURN(packed.halves_, copy_of(slots.halves, purpose));
  STRATA_ASSIGN_OR_RETURN(packed.codes_, copy_of(slots.codes, purpose));
  STRATA_ASSIGN_OR_RETURN(packed.scales_, copy_of(group_scales, purpose));
  STRATA_ASSIGN_OR_RETURN(packed.places_, copy_of(slots.places, purpose));
  STRATA_ASSIGN_OR_RETURN(packed.windows_, copy_of(slots.windows, purpose));
  STRATA_ASSIGN_OR_RETURN(packed.group_begin_, copy_of(group_begin, purpose));
  STRATA_ASSIGN_OR_RETURN(packed.rows_, copy_of(row_of, purpose));
  return packed;
}

}  // namespace strata::kernels
