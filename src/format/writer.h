// Writes a nested model as a .strata file, atomically (temporary file, fsync, rename).
// The layout is specified in format/layout.h.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/status.h"
#include "sparse/nested_model.h"

namespace strata::format {

/// How weight values are stored. Narrow types are rounded once, before nesting, so that a value is
/// the same in every level that has it.
enum class ValueType : uint8_t {
  kFloat32 = 0,
  kFloat16 = 1,
  kInt8 = 2,  ///< symmetric, one f32 scale per output channel (graph::output_channels())
};

/// "f32", "f16" or "int8".
const char* to_string(ValueType type);

struct WriteOptions {
  ValueType values = ValueType::kFloat32;
};

/// The whole file in memory. The model must be folded (sparse::fold_normalisation).
Result<std::vector<uint8_t>> encode(const sparse::NestedModel& nested, const WriteOptions& = {});

/// encode() into `path`. On any error the file that was there before stays as it was.
Status write(const std::string& path, const sparse::NestedModel& nested, const WriteOptions& = {});

}  // namespace strata::format
