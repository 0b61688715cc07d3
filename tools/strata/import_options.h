// What the verbs that read ONNX ask for alike.
#pragma once

#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "graph/graph.h"

namespace strata::cli {

/// --bind SYMBOL=SIZE,…
void declare_bind(CLI::App& app, std::vector<std::string>& into);

/// --weights FILE.safetensors
void declare_weights(CLI::App& app, std::string& into);

/// Throws UsageError: what is not SYMBOL=SIZE, a size below 1.
graph::Bindings parse_bindings(const std::vector<std::string>& texts);

}  // namespace strata::cli
