// One hidden unit after the other, by the functions of the standard library.
#include <cmath>

#include "kernels/recurrent/cell.h"

namespace strata::kernels {
namespace {

float sigmoid(float x) { return 1 / (1 + std::exp(-x)); }

void lstm(const LstmCellArguments& a, int64_t begin, int64_t end) {
  const float* const input = a.gates;
  const float* const output = input + a.hidden;
  const float* const forget = output + a.hidden;
  const float* const cell = forget + a.hidden;
  for (int64_t i = begin; i < end; ++i) {
    const float c = sigmoid(forget[i]) * a.c[i] + sigmoid(input[i]) * std::tanh(cell[i]);
    a.c[i] = c;
    a.h[i] = sigmoid(output[i]) * std::tanh(c);
  }
}

void gru_reset(const GruResetArguments& a, int64_t begin, int64_t end) {
  for (int64_t i = begin; i < end; ++i) {
    const float addend = a.addend == nullptr ? 0 : a.addend[i];
    a.output[i] = addend + sigmoid(a.gate[i]) * a.operand[i];
  }
}

void gru_update(const GruUpdateArguments& a, int64_t begin, int64_t end) {
  for (int64_t i = begin; i < end; ++i) {
    const float candidate = std::tanh(a.candidate[i]);
    a.output[i] = candidate + sigmoid(a.gate[i]) * (a.h[i] - candidate);
  }
}

}  // namespace

CellKernel cell_reference() { return {lstm, gru_reset, gru_update}; }

}  // namespace strata::kernels
