// The onnx project's backend tests as cases: a model, inputs and outputs, made ready for strata.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "core/status.h"
#include "interop/constant.h"
#include "sparse/nested_model.h"

namespace strata::interop::testing {

struct BackendCase {
  std::string name;       ///< "test_conv_with_strides_padding"
  std::string operators;  ///< "Conv"; several are "A+B"
  std::string bytes;      ///< of the model
  std::vector<std::filesystem::path> inputs, outputs;
};

/// Every case below `folder`/node, by name.
std::vector<BackendCase> node_cases(const std::filesystem::path& folder);

struct ReadyCase {
  sparse::NestedModel nested;
  std::vector<Constant> inputs;   ///< of the imported graph's inputs, in order
  std::vector<Constant> outputs;  ///< what is expected
  /// All inputs but the first became constants, as weights are in networks, and optional outputs
  /// may have gone.
  bool adapted = false;
};

/// Imports a case as it is; where that cannot be, with every input but the first as a constant,
/// and at last with only the first output. Errors: why that does not work either.
Result<ReadyCase> prepare(const BackendCase& test);

/// Runs level 0 with the runtime. Errors: what it cannot run.
Result<std::vector<Constant>> run(const ReadyCase& test);

/// What a case gives after it went through a .strata file, or out as ONNX and in again.
Result<std::vector<Constant>> run_stored(const ReadyCase& test);
Result<std::vector<Constant>> run_exported(const ReadyCase& test);

/// "" if `actual` is `expected` within onnx's own tolerances (1e-3 relative, 1e-6 absolute), else
/// the first difference.
std::string difference(const Constant& actual, const Constant& expected);

}  // namespace strata::interop::testing
