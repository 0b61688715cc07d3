// On every target of this CPU the dense product with few vectors agrees with the scalar reference.
#include "kernels/dense_gemm/dense_gemm.h"

#include <string>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "core/aligned_buffer.h"
#include "core/cache_size.h"
#include "random_data.h"

namespace strata::kernels {
namespace {

class DenseGemm : public ::testing::TestWithParam<Target> {};

TEST_P(DenseGemm, AgreesWithTheReference) {
  const DenseGemmKernel kernel = dense_gemm_kernel(GetParam());
  EXPECT_TRUE(rc::check("SIMD agrees with the reference", [&] {
    const int64_t columns = pick(0, 70);
    const int64_t vectors = pick(1, kMostDenseVectors);
    const auto seed = static_cast<uint32_t>(pick(0, 1000));
    const std::vector<float> values = random_floats(columns * kDensePanelRows, seed);
    auto weights = AlignedBuffer<float>::create(values.size(), "weights").value();
    std::copy(values.begin(), values.end(), weights.data());
    const std::vector<float> input = random_floats(vectors * columns, seed + 1);
    const auto used = static_cast<size_t>(vectors * kDensePanelRows);
    auto sums = AlignedBuffer<float>::create(used + 1, "sums").value();
    sums[used] = 7;  // nothing behind is written
    std::vector<float> expected(used + 1, 7.0F);
    dense_gemm_reference(weights.data(), columns, input.data(), vectors, expected.data());
    kernel.run(weights.data(), columns, input.data(), vectors, sums.data());
    RC_ASSERT(nearly_equal(expected, {sums.data(), sums.data() + sums.size()}));
  }));
}

TEST(DenseGemmKernels, CrossoverDependsOnVectorsAndCache) {
  const DenseGemmKernel kernel{nullptr, {0.1, 0.2}, {0.3, 0.4}};
  const int64_t small = 4096;
  const int64_t large = last_level_cache_bytes();
  EXPECT_EQ(kernel.crossover(1, small), 0.1);
  EXPECT_EQ(kernel.crossover(3, small), 0.2);
  EXPECT_EQ(kernel.crossover(1, large), 0.3);
  EXPECT_EQ(kernel.crossover(2, large), 0.4);
}

INSTANTIATE_TEST_SUITE_P(Targets, DenseGemm, ::testing::ValuesIn(supported_targets()),
                         [](const auto& instance) {
                           return std::string(target_name(instance.param));
                         });

}  // namespace
}  // namespace strata::kernels
