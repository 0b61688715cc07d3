// How a file stores the values of weights, as the verbs that write files ask for it.
#pragma once

#include <CLI/CLI.hpp>

#include "format/writer.h"

namespace strata::cli {

/// --values f32|f16|int8
void declare_values(CLI::App& app, format::ValueType& into);

}  // namespace strata::cli
