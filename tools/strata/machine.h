// The machine and the build that a measurement was made with; numbers without them mean nothing.
#pragma once

#include <string>
#include <vector>

#include "tools/strata/console.h"

namespace strata::cli {

/// cpu, cores (those that this process may use), os, load (mean of the last minute).
Json machine_json();

/// strata, type, compiler, libtorch (a version, or null in a build without it).
Json build_json();

/// Cores that this process may use.
int available_cores();

/// Cores of the machine that are switched on.
int online_cores();

/// The counts that --threads named, ascending and each once; of none: the cores, `most` at most.
std::vector<int> thread_counts(std::vector<int> named, int most);

std::string threads_text(int threads);  ///< "1 thread", "2 threads"

}  // namespace strata::cli
