// The nesting rule: which level first has an element, and the proof that every level keeps what the
// levels below it have.
#include "sparse/nested.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>
#include <string>
#include <utility>

#include "core/bit_cast.h"

namespace strata::sparse {

namespace {

constexpr int64_t kMaxElements = std::numeric_limits<uint32_t>::max();  // positions are 32 bits

std::string shape_text(std::span<const int64_t> shape) {
  std::string text = "[";
  for (size_t i = 0; i < shape.size(); ++i) {
    if (i > 0) text += ',';
    text += std::to_string(shape[i]);
  }
  return text + "]";
}

/// The count of elements, or the reason why a tensor of this shape cannot be nested.
Result<int64_t> checked_element_count(std::span<const int64_t> shape) {
  int64_t count = 1;
  for (const int64_t dim : shape) {
    if (dim < 1) {
      return invalid_argument("shape " + shape_text(shape) + " has the dimension " +
                              std::to_string(dim) + "; every dimension must be at least 1");
    }
    if (dim > kMaxElements / count) {
      return invalid_argument("shape " + shape_text(shape) + " has more than " +
                              std::to_string(kMaxElements) +
                              " elements; split the tensor, positions are 32-bit");
    }
    count *= dim;
  }
  return count;
}

Status size_error(size_t level, const char* what, size_t size, int64_t count) {
  return invalid_argument("the " + std::string(what) + " of level " + std::to_string(level) +
                          " has " + std::to_string(size) + " elements, the shape has " +
                          std::to_string(count));
}

std::string at(size_t level, int64_t position) {
  return "level " + std::to_string(level) + " at position " + std::to_string(position);
}

/// Bit-exact text of a value, so that two values that differ by one bit read differently.
std::string exact(float value) {
  char text[32];
  const int length = std::snprintf(text, sizeof text, "%a", static_cast<double>(value));
  return {text, static_cast<size_t>(length)};
}

/// The tensor whose element i first appears in level first_level(i), level_count if in none.
template <typename FirstLevel>
NestedTensor build(std::vector<int64_t> shape, std::span<const float> values, size_t level_count,
                   FirstLevel first_level) {
  NestedTensor tensor;
  tensor.shape = std::move(shape);
  tensor.increments.resize(level_count);
  for (size_t i = 0; i < values.size(); ++i) {
    if (values[i] == 0.0F) continue;
    const size_t level = first_level(i);
    if (level == level_count) continue;
    tensor.increments[level].positions.push_back(static_cast<uint32_t>(i));
    tensor.increments[level].values.push_back(values[i]);
  }
  for (Increment& increment : tensor.increments) {
    increment.positions.shrink_to_fit();
    increment.values.shrink_to_fit();
  }
  return tensor;
}

}  // namespace

int64_t NestedTensor::element_count() const {
  const Result<int64_t> count = checked_element_count(shape);
  return count.ok() ? count.value() : 0;
}

int64_t NestedTensor::nonzeros(int level) const {
  int64_t count = 0;
  for (int k = 0; k <= level; ++k) {
    count += static_cast<int64_t>(increments[static_cast<size_t>(k)].positions.size());
  }
  return count;
}

Result<NestedTensor> nest(std::vector<int64_t> shape, std::span<const float> values,
                          std::span<const std::vector<uint8_t>> masks) {
  STRATA_ASSIGN_OR_RETURN(const int64_t count, checked_element_count(shape));
  if (masks.empty()) return invalid_argument("nesting needs at least one level, got no mask");
  if (static_cast<int64_t>(values.size()) != count) {
    return invalid_argument("the value tensor has " + std::to_string(values.size()) +
                            " elements, the shape " + shape_text(shape) + " has " +
                            std::to_string(count));
  }
  for (size_t level = 0; level < masks.size(); ++level) {
    if (static_cast<int64_t>(masks[level].size()) != count) {
      return size_error(level, "mask", masks[level].size(), count);
    }
  }
  for (size_t i = 0; i < values.size(); ++i) {
    if (!std::isfinite(values[i])) {
      return invalid_argument("the value at position " + std::to_string(i) + " is not finite");
    }
  }
  for (size_t level = 0; level + 1 < masks.size(); ++level) {
    for (size_t i = 0; i < values.size(); ++i) {
      if (masks[level][i] != 0 && masks[level + 1][i] == 0) {
        return invalid_argument(at(level, static_cast<int64_t>(i)) + " has a weight that level " +
                                std::to_string(level + 1) +
                                " lacks; each level's mask must be inside the next level's");
      }
    }
  }
  return build(std::move(shape), values, masks.size(), [&](size_t i) {
    size_t level = 0;
    while (level < masks.size() && masks[level][i] == 0) ++level;
    return level;
  });
}

Result<NestedTensor> nest_levels(std::vector<int64_t> shape,
                                 std::span<const std::vector<float>> levels) {
  STRATA_ASSIGN_OR_RETURN(const int64_t count, checked_element_count(shape));
  if (levels.empty()) return invalid_argument("nesting needs at least one level, got none");
  for (size_t level = 0; level < levels.size(); ++level) {
    if (static_cast<int64_t>(levels[level].size()) != count) {
      return size_error(level, "tensor", levels[level].size(), count);
    }
    for (size_t i = 0; i < levels[level].size(); ++i) {
      if (!std::isfinite(levels[level][i])) {
        return invalid_argument("the value of " + at(level, static_cast<int64_t>(i)) +
                                " is not finite");
      }
    }
  }
  for (size_t level = 0; level + 1 < levels.size(); ++level) {
    for (size_t i = 0; i < levels[level].size(); ++i) {
      const float lower = levels[level][i];
      const float upper = levels[level + 1][i];
      if (lower != 0.0F && bit_cast<uint32_t>(lower) != bit_cast<uint32_t>(upper)) {
        return invalid_argument(at(level, static_cast<int64_t>(i)) + " is " + exact(lower) +
                                " and level " + std::to_string(level + 1) + " has " + exact(upper) +
                                " there; a weight keeps its value, bit by bit, in every less "
                                "sparse level");
      }
    }
  }
  return build(std::move(shape), levels.back(), levels.size(), [&](size_t i) {
    size_t level = 0;
    while (level < levels.size() && levels[level][i] == 0.0F) ++level;
    return level;
  });
}

std::vector<float> densify(const NestedTensor& tensor, int level) {
  std::vector<float> dense(static_cast<size_t>(tensor.element_count()), 0.0F);
  for (int k = 0; k <= level; ++k) {
    const Increment& increment = tensor.increments[static_cast<size_t>(k)];
    for (size_t i = 0; i < increment.positions.size(); ++i) {
      dense[increment.positions[i]] = increment.values[i];
    }
  }
  return dense;
}

std::vector<uint8_t> mask(const NestedTensor& tensor, int level) {
  std::vector<uint8_t> present(static_cast<size_t>(tensor.element_count()), 0);
  for (int k = 0; k <= level; ++k) {
    for (const uint32_t position : tensor.increments[static_cast<size_t>(k)].positions) {
      present[position] = 1;
    }
  }
  return present;
}

Status check(const NestedTensor& tensor, std::string_view name) {
  const std::string prefix = "weight '" + std::string(name) + "': ";
  const Result<int64_t> count = checked_element_count(tensor.shape);
  if (!count.ok()) return {count.status().code(), prefix + count.status().message()};
  if (tensor.increments.empty()) return invalid_argument(prefix + "it has no level");

  // Merging sorted positions needs memory for the non-zeros alone, whatever size a shape claims.
  std::vector<uint32_t> taken;
  for (size_t level = 0; level < tensor.increments.size(); ++level) {
    const std::vector<uint32_t>& positions = tensor.increments[level].positions;
    const std::vector<float>& values = tensor.increments[level].values;
    if (positions.size() != values.size()) {
      return invalid_argument(prefix + "increment " + std::to_string(level) + " has " +
                              std::to_string(positions.size()) + " positions but " +
                              std::to_string(values.size()) + " values");
    }
    for (size_t i = 0; i < positions.size(); ++i) {
      const std::string_view reason =
          static_cast<int64_t>(positions[i]) >= count.value() ? "lies outside the tensor"
          : i > 0 && positions[i] <= positions[i - 1] ? "does not ascend from the one before"
          : !std::isfinite(values[i])                 ? "has a value that is not finite"
          : values[i] == 0.0F                         ? "has the value zero"
                                                      : "";
      if (!reason.empty()) {
        return invalid_argument(prefix + "position " + std::to_string(positions[i]) + " (entry " +
                                std::to_string(i) + " of increment " + std::to_string(level) +
                                ") " + std::string(reason));
      }
    }
    std::vector<uint32_t> merged(taken.size() + positions.size());
    std::merge(taken.begin(), taken.end(), positions.begin(), positions.end(), merged.begin());
    const auto twice = std::adjacent_find(merged.begin(), merged.end());
    if (twice != merged.end()) {
      return invalid_argument(prefix + "position " + std::to_string(*twice) + " of increment " +
                              std::to_string(level) + " is already taken by a sparser level");
    }
    taken = std::move(merged);
  }
  return {};
}

}  // namespace strata::sparse
