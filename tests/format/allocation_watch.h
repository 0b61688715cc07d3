// The largest allocation of this executable since the last call of watch_allocations().
#pragma once

#include <cstddef>

namespace strata::format {

void watch_allocations();
size_t largest_allocation();

}  // namespace strata::format
