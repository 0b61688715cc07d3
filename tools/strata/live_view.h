// A live state as text: one line for a log, a screenful for a terminal. Pure: what it draws depends
// on nothing but what it is given.
#pragma once

#include <string>
#include <vector>

#include "runtime/live_state.h"
#include "tools/strata/console.h"

namespace strata::cli {

struct ViewSize {
  int columns = 80;
  int rows = 24;
};

/// "12s  120 inferences  3 misses (2.50 %, 1.6 nines)  level 2  slowdown 1.42x  slack 3.87 ms".
std::string live_line(const runtime::LiveSnapshot& state, int64_t now_ns);

/// At most `rows` lines of at most `columns` characters each, with ANSI colours.
std::vector<std::string> live_screen(const runtime::LiveSnapshot& state, int64_t now_ns,
                                     ViewSize size);

/// The same figures for scripts.
Json live_json(const runtime::LiveSnapshot& state, int64_t now_ns);

}  // namespace strata::cli
