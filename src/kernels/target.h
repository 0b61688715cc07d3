// Instruction sets that the kernels are compiled for, and the choice among them at run time.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "core/status.h"

namespace strata::kernels {

/// kScalar is the reference implementation, present everywhere. The others are named as in Highway:
/// kSse4 is SSE4.2, kAvx2 includes FMA, kAvx3 is AVX-512 F, BW, DQ and VL, kSve256 is SVE where
/// vectors have 256 bits, kWasm is WebAssembly's 128-bit SIMD.
enum class Target : uint8_t { kScalar, kSse4, kAvx2, kAvx3, kNeon, kSve256, kWasm };

/// "scalar", "sse4", "avx2", "avx3", "neon", "sve256" or "wasm".
std::string_view target_name(Target target);

/// Targets that this build has and this CPU runs, the best last.
std::vector<Target> supported_targets();

/// The one that the environment variable STRATA_TARGET names, else the best. Errors: a name that
/// does not exist or that this CPU cannot run; the message lists those that it can.
Result<Target> default_target();

}  // namespace strata::kernels
