// Sigmoid and tanh on every target against what they are in double precision.
#include "kernels/activation/activation.h"

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "random_data.h"

namespace strata::kernels {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

/// From where nothing but the sign is left to where the result is the argument.
std::vector<float> arguments() {
  std::vector<float> x = {0.0F, -0.0F, kInfinity, -kInfinity, 3e38F, -3e38F, 0.625F, -0.625F};
  for (float magnitude = 1e-30F; magnitude < 90; magnitude *= 1.003F) {
    x.push_back(magnitude);
    x.push_back(-magnitude);
  }
  return x;
}

void expect_relative(float actual, double expected, const std::string& where) {
  EXPECT_NEAR(actual, expected, 1e-6 * std::fabs(expected) + 2e-38) << where;
}

TEST(Activation, IsTrueToAMillionthOfItself) {
  const std::vector<float> x = arguments();
  const auto count = static_cast<int64_t>(x.size());
  std::vector<float> sigmoids(x.size());
  std::vector<float> tangents(x.size());
  for (const Target target : supported_targets()) {
    const ActivationKernel kernel = activation_kernel(target);
    kernel.sigmoid(x.data(), sigmoids.data(), count);
    kernel.tanh(x.data(), tangents.data(), count);
    for (size_t i = 0; i < x.size(); ++i) {
      const std::string where = std::string(target_name(target)) + " at " + std::to_string(x[i]);
      expect_relative(sigmoids[i], 1 / (1 + std::exp(-double{x[i]})), where);
      expect_relative(tangents[i], std::tanh(double{x[i]}), where);
    }
    EXPECT_TRUE(std::signbit(tangents[1])) << target_name(target);
  }
}

TEST(Activation, NotANumberStaysOne) {
  const std::vector<float> x(11, std::numeric_limits<float>::quiet_NaN());
  std::vector<float> y(x.size());
  for (const Target target : supported_targets()) {
    const ActivationKernel kernel = activation_kernel(target);
    for (const ActivationFunction function : {kernel.sigmoid, kernel.tanh}) {
      function(x.data(), y.data(), 11);
      for (const float value : y) EXPECT_TRUE(std::isnan(value)) << target_name(target);
    }
  }
}

TEST(Activation, WritesWhatItIsAskedForWhereverItBegins) {
  const std::vector<float> x = random_floats(80, 5);
  for (const Target target : supported_targets()) {
    const ActivationKernel kernel = activation_kernel(target);
    for (const ActivationFunction function : {kernel.sigmoid, kernel.tanh}) {
      std::vector<float> whole(x.size());
      function(x.data(), whole.data(), 80);
      for (int64_t begin = 0; begin < 40; ++begin) {
        std::vector<float> part = x;
        const int64_t count = 39 - begin;
        function(part.data() + begin, part.data() + begin, count);
        for (int64_t i = 0; i < 80; ++i) {
          const auto at = static_cast<size_t>(i);
          const bool inside = i >= begin && i < begin + count;
          EXPECT_EQ(part[at], inside ? whole[at] : x[at]) << target_name(target) << " " << begin;
        }
      }
    }
  }
}

}  // namespace
}  // namespace strata::kernels
