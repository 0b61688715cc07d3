// Asks the CPU itself, so that the library needs nothing of Highway but its headers.
#include "kernels/target.h"

#include <algorithm>
#include <cstdlib>
#include <string>

#if defined(STRATA_WITH_SVE256) && defined(__linux__)
#include <sys/auxv.h>
#include <sys/prctl.h>
#endif

namespace strata::kernels {

namespace {

#ifdef STRATA_WITH_SVE256
/// Bytes of an SVE vector in this thread; 0 without SVE.
int sve_vector_bytes() {
#if defined(__linux__)
  if ((getauxval(AT_HWCAP) & HWCAP_SVE) == 0) return 0;
  const int length = prctl(PR_SVE_GET_VL);
  return length < 0 ? 0 : length & PR_SVE_VL_LEN_MASK;
#else
  return 0;
#endif
}
#endif

}  // namespace

std::string_view target_name(Target target) {
  switch (target) {
    case Target::kScalar:
      return "scalar";
    case Target::kSse4:
      return "sse4";
    case Target::kAvx2:
      return "avx2";
    case Target::kAvx3:
      return "avx3";
    case Target::kNeon:
      return "neon";
    case Target::kSve256:
      return "sve256";
    case Target::kWasm:
      return "wasm";
  }
  return "unknown";
}

std::vector<Target> supported_targets() {
  std::vector<Target> targets = {Target::kScalar};
#if defined(__x86_64__)
  // What Highway lets the compiler use for each of its targets.
  __builtin_cpu_init();
  const bool sse4 = __builtin_cpu_supports("ssse3") && __builtin_cpu_supports("sse4.2") &&
                    __builtin_cpu_supports("pclmul") && __builtin_cpu_supports("aes");
  const bool avx2 = sse4 && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                    __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2");
  const bool avx3 = avx2 && __builtin_cpu_supports("avx512f") &&
                    __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
                    __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512cd");
  if (sse4) targets.push_back(Target::kSse4);
  if (avx2) targets.push_back(Target::kAvx2);
  if (avx3) targets.push_back(Target::kAvx3);
#elif defined(__aarch64__)
  targets.push_back(Target::kNeon);
#ifdef STRATA_WITH_SVE256
  if (sve_vector_bytes() == 32) targets.push_back(Target::kSve256);
#endif
#elif defined(__wasm_simd128__)
  targets.push_back(Target::kWasm);
#endif
  return targets;
}

Result<Target> default_target() {
  const std::vector<Target> targets = supported_targets();
  const char* wanted = std::getenv("STRATA_TARGET");
  if (wanted == nullptr || *wanted == '\0') return targets.back();
  const auto found = std::find_if(targets.begin(), targets.end(),
                                  [&](Target target) { return target_name(target) == wanted; });
  if (found != targets.end()) return *found;
  std::string names;
  for (const Target target : targets) {
    names += (names.empty() ? "" : ", ") + std::string(target_name(target));
  }
  return invalid_argument("environment variable STRATA_TARGET is '" + std::string(wanted) +
                          "', this CPU runs: " + names);
}

}  // namespace strata::kernels
