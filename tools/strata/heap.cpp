#include "tools/strata/heap.h"

#include <cstdlib>

#ifdef __GLIBC__
#include <malloc.h>
#endif

namespace strata::cli {

void keep_freed_memory() {
#ifdef __GLIBC__
  constexpr int kNever = -1;
  constexpr int kLargest = 1 << 30;
  constexpr int kLargestOfOldVersions = 32 << 20;  // before 2.35
  if (mallopt(M_MMAP_THRESHOLD, kLargest) == 0) mallopt(M_MMAP_THRESHOLD, kLargestOfOldVersions);
  mallopt(M_TRIM_THRESHOLD, kNever);
#endif
}

}  // namespace strata::cli
