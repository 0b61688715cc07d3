// Where every tensor of a plan lies: its layout, chosen so that convolutions read it as it is where
// possible, and its place in one block of memory that tensors share when their lifetimes do not
// overlap.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "core/status.h"
#include "kernels/plane_layout.h"
#include "kernels/sparse_conv/geometry.h"
#include "kernels/sparse_conv/tiling.h"
#include "runtime/plan.h"

namespace strata::runtime {

enum class Home : uint8_t {
  kArena,   ///< the session's own memory
  kInput,   ///< the caller's input number `place`
  kOutput,  ///< the caller's output number `place`
};

struct TensorPlace {
  kernels::PlaneLayout layout;
  Home home = Home::kArena;
  int64_t place = 0;    ///< kArena: offset in floats; else an index
  bool padded = false;  ///< a convolution reads its gaps as padding, so they must be zero
};

/// Below this batch a matrix product runs vector by vector, from it on with lanes over the batch.
inline constexpr int64_t kMinBatchForLanes = 4;

/// What a step needs besides its tensors.
struct StepMemory {
  std::optional<kernels::ConvGeometry> geometry;  ///< of a convolution
  kernels::ConvTiling tiling;                     ///< of it, or of a product over a batch
  int64_t tasks = 1;                              ///< that an image of it is wanted to be cut into
  bool packed = false;                            ///< its input is first copied to the scratch
  kernels::PlaneLayout scratch_layout;            ///< of the packed input
  int64_t scratch = 0;                            ///< offset in floats
  int64_t scratch_floats = 0;
  /// Of an operator: where in the scratch the row-major copy of each operand lies, -1 for one that
  /// is read as it is; and where the kernel's own memory begins. In floats.
  std::vector<int64_t> copies;
  int64_t kernel_scratch = 0;
};

struct MemoryPlan {
  std::vector<TensorPlace> tensors;
  std::vector<StepMemory> steps;
  int64_t arena_floats = 0;
  int64_t row_floats = 0;  ///< most of kernels::pool_row_floats(), scratch per thread
};

/// `tile_sizes`: of the convolution kernel of the target that the plan is made for.
/// Errors: a tensor whose offsets do not fit those of the kernels.
Result<MemoryPlan> plan_memory(const Plan& plan, const kernels::TileSizes& tile_sizes, int threads);

}  // namespace strata::runtime
