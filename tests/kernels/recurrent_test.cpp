// The cells of recurrent layers: SIMD against the reference on every target, and the reference
// against what its formulas give in double precision.
#include <cmath>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "kernels/recurrent/cell.h"
#include "random_data.h"

namespace strata::kernels {
namespace {

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

TEST(RecurrentCell, SigmoidAndTanhAreTrueToAMillionth) {
  std::vector<float> x;
  constexpr int kSteps = 14599;
  for (int i = 0; i <= kSteps; ++i) x.push_back(static_cast<float>(-100 + 0.0137 * i));
  for (const float value : {0.0F, -0.0F, 1e-30F, -1e-8F, 3e38F, -3e38F}) x.push_back(value);
  const auto count = static_cast<int64_t>(x.size());
  const std::vector<float> zero(x.size(), 0.0F);
  const std::vector<float> one(x.size(), 1.0F);
  const std::vector<float> closed(x.size(), -1000.0F);
  std::vector<float> y(x.size());
  for (const Target target : supported_targets()) {
    const CellKernel kernel = cell_kernel(target);
    kernel.gru_reset({x.data(), one.data(), nullptr, y.data()}, 0, count);
    for (size_t i = 0; i < x.size(); ++i) {
      ASSERT_NEAR(y[i], sigmoid(x[i]), 1e-6) << target_name(target) << " at " << x[i];
    }
    kernel.gru_update({closed.data(), x.data(), zero.data(), y.data()}, 0, count);
    for (size_t i = 0; i < x.size(); ++i) {
      ASSERT_NEAR(y[i], std::tanh(double{x[i]}), 1e-6) << target_name(target) << " at " << x[i];
    }
  }
}

RC_GTEST_PROP(RecurrentCell, SimdEqualsTheReference, (uint32_t seed)) {
  const int64_t hidden = pick(1, 99);
  const int64_t begin = pick(0, hidden - 1);
  const int64_t end = pick(begin, hidden);
  const auto size = static_cast<size_t>(hidden);
  const std::vector<float> gates = random_floats(4 * hidden, seed);
  const std::vector<float> state = random_floats(hidden, seed + 1);
  const auto run = [&](const CellKernel& kernel) {
    std::vector<std::vector<float>> results(4, std::vector<float>(size, 7.0F));
    results[0] = state;
    kernel.lstm({gates.data(), hidden, results[0].data(), results[1].data()}, begin, end);
    kernel.gru_reset({gates.data(), state.data(), gates.data() + hidden, results[2].data()}, begin,
                     end);
    kernel.gru_update({gates.data(), gates.data() + hidden, state.data(), results[3].data()}, begin,
                      end);
    return results;
  };
  const auto expected = run(cell_reference());
  for (const Target target : supported_targets()) {
    const auto actual = run(cell_kernel(target));
    for (size_t i = 0; i < expected.size(); ++i) {
      for (size_t j = 0; j < size; ++j) {
        RC_ASSERT(std::fabs(actual[i][j] - expected[i][j]) <= 3e-6F);
      }
    }
  }
}

}  // namespace
}  // namespace strata::kernels
