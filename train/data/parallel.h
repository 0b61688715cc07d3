// Work on numbered items by several threads, with the outcome of one thread.
#pragma once

#include <cstdint>
#include <functional>

namespace strata::data {

/// Calls work(i) for every i in 0..count-1, on `threads` threads of which the caller is one. If
/// some calls throw, rethrows the exception of the smallest i. `progress`, if set, is called on the
/// calling thread now and then.
void for_each_item(int64_t count, int threads, const std::function<void(int64_t)>& work,
                   const std::function<void(int64_t done, int64_t total)>& progress = {});

}  // namespace strata::data
