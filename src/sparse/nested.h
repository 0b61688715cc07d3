// A nested tensor: its non-zeros in increments, one per level. Level k is increments 0..k.
// The only place that knows the nesting rule; masks in, increments out, and back.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "core/status.h"

namespace strata::sparse {

/// The non-zeros that one level adds to the level below it.
struct Increment {
  std::vector<uint32_t> positions;  ///< row-major flat indices, strictly ascending
  std::vector<float> values;        ///< one per position, never zero of either sign, finite
  bool operator==(const Increment&) const = default;
};

/// One weight tensor over all levels. Positions of different increments are disjoint.
struct NestedTensor {
  std::vector<int64_t> shape;         ///< row-major; at most 2^32 - 1 elements
  std::vector<Increment> increments;  ///< [level count]
  bool operator==(const NestedTensor&) const = default;

  [[nodiscard]] int64_t element_count() const;
  /// Non-zeros of a level: the increments 0..level together.
  [[nodiscard]] int64_t nonzeros(int level) const;
};

/// Builds increments from one value tensor and one mask per level (non-zero byte = present),
/// sparsest level first. A present weight whose value is exactly zero is dropped from every level:
/// it multiplies nothing. Errors: sizes that differ, a mask that is not inside the next (with the
/// first offending place), a value that is not finite.
Result<NestedTensor> nest(std::vector<int64_t> shape, std::span<const float> values,
                          std::span<const std::vector<uint8_t>> masks);

/// The same from one full tensor per level; checks bit by bit that each level's non-zeros, places
/// and values, are a subset of the next level's.
Result<NestedTensor> nest_levels(std::vector<int64_t> shape,
                                 std::span<const std::vector<float>> levels);

/// The dense tensor of one level, zeros in place. Precondition: 0 <= level < increments.size().
std::vector<float> densify(const NestedTensor& tensor, int level);

/// One byte per element, 1 where the level has a non-zero.
std::vector<uint8_t> mask(const NestedTensor& tensor, int level);

/// Checks every invariant of a NestedTensor that came from outside: ascending, disjoint, in range,
/// finite, non-zero, sizes equal. `name` appears in the error.
Status check(const NestedTensor& tensor, std::string_view name);

}  // namespace strata::sparse
