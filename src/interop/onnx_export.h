// Writes one level of a nested model as an ONNX file with the zeros in place, so that any other
// engine can run and check that level.
#pragma once

#include <string>

#include "core/status.h"
#include "sparse/nested_model.h"

namespace strata::interop {

/// Instead of a level: the architecture with no zero in any weight, for timing other engines. The
/// places that the least sparse level leaves empty hold made-up numbers, so its outputs mean
/// nothing.
inline constexpr int kDense = -1;

struct ExportOptions {
  std::string graph;  ///< which graph of the model; empty = the only one
};

/// A serialised onnx.ModelProto, IR version 7, opset 13 (17 for what only that has). Operators of
/// our own domain are expressed in ONNX's. Initialisers are float32 and equal
/// sparse::densify() bit for bit; BatchNormalization keeps that level's own vectors; a symbolic
/// dimension becomes a dim_param. metadata_props carry model.metadata, "strata.level" (a number or
/// "dense") and "strata.level_count".
/// Operators of our own domain become several of ONNX's.
/// Errors: a model that sparse::check() refuses, a level or graph that does not exist, weights
/// beyond the 2 GiB that protobuf can hold, an operator that ONNX has no words for.
Result<std::string> export_onnx(const sparse::NestedModel& nested, int level,
                                const ExportOptions& options = {});

/// export_onnx() into `path`. On any error the file that was there before stays as it was.
Status write_onnx(const std::string& path, const sparse::NestedModel& nested, int level,
                  const ExportOptions& options = {});

}  // namespace strata::interop
