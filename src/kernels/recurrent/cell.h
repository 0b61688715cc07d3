// What a recurrent layer computes element by element between its matrix products. Lanes run over
// hidden units.
#pragma once

#include <cstdint>

#include "kernels/target.h"

namespace strata::kernels {

/// One sequence of an LSTM: c = sigmoid(f) * c + sigmoid(i) * tanh(g), h = sigmoid(o) * tanh(c).
struct LstmCellArguments {
  const float* gates = nullptr;  ///< [4][hidden] in ONNX's order: input, output, forget, cell
  int64_t hidden = 0;
  float* c = nullptr;  ///< [hidden], replaced
  float* h = nullptr;  ///< [hidden], written
};

/// output = addend + sigmoid(gate) * operand, of a GRU's reset gate.
struct GruResetArguments {
  const float* gate = nullptr;
  const float* operand = nullptr;
  const float* addend = nullptr;  ///< null: zero
  float* output = nullptr;        ///< may be `operand` or `addend`
};

/// output = (1 - z) * tanh(candidate) + z * h with z = sigmoid(gate).
struct GruUpdateArguments {
  const float* gate = nullptr;
  const float* candidate = nullptr;
  const float* h = nullptr;
  float* output = nullptr;
};

/// Sigmoid and tanh are within 1e-6 of the true values; units begin..end-1 are computed.
struct CellKernel {
  void (*lstm)(const LstmCellArguments& arguments, int64_t begin, int64_t end);
  void (*gru_reset)(const GruResetArguments& arguments, int64_t begin, int64_t end);
  void (*gru_update)(const GruUpdateArguments& arguments, int64_t begin, int64_t end);
};

/// For one target, which must be among supported_targets().
CellKernel cell_kernel(Target target);

/// The oracle.
CellKernel cell_reference();

}  // namespace strata::kernels
