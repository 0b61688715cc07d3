// On every target of this CPU the matrix-vector kernel agrees with the scalar reference, for rows
// that are sparse, dense from the start, or both.
#include "kernels/sparse_gemm/sparse_gemm.h"

#include <string>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "random_data.h"

namespace strata::kernels {
namespace {

class SparseGemv : public ::testing::TestWithParam<Target> {};

TEST_P(SparseGemv, AgreesWithTheReference) {
  const SparseGemvFunction gemv = sparse_gemv_kernel(GetParam());
  EXPECT_TRUE(rc::check("SIMD agrees with the reference", [&] {
    const int64_t rows = pick(1, 9);
    const int64_t columns = pick(1, 90);
    const auto seed = static_cast<uint32_t>(pick(0, 1000));
    std::mt19937 random(seed);
    std::vector<std::vector<GemvTap>> taps(2);
    std::vector<std::vector<uint32_t>> row_begin(2, {0});
    std::vector<uint32_t> prefix;
    for (int64_t row = 0; row < rows; ++row) {
      const int64_t dense = pick(0, columns);
      prefix.push_back(static_cast<uint32_t>(dense));
      for (int64_t column = 0; column < columns; ++column) {
        const size_t level = column < dense ? 0 : random() % 3;
        if (level == 2) continue;
        taps[level].push_back({std::uniform_real_distribution<float>(-1, 1)(random),
                               static_cast<int32_t>(column * 4)});
      }
      for (size_t level = 0; level < 2; ++level) {
        row_begin[level].push_back(static_cast<uint32_t>(taps[level].size()));
      }
    }
    const auto input = random_floats(columns, seed + 1);
    const auto scale = random_floats(rows, seed + 2);
    const auto shift = random_floats(rows, seed + 3);
    const std::vector<GemvIncrement> increments = {{taps[0].data(), row_begin[0].data()},
                                                   {taps[1].data(), row_begin[1].data()}};
    std::vector<float> expected(static_cast<size_t>(rows), -7.0F);
    std::vector<float> actual = expected;
    SparseGemvArguments arguments{
        input.data(), increments.data(), pick(1, 2),      prefix.data(),
        scale.data(), shift.data(),      expected.data(), *rc::gen::arbitrary<bool>()};
    const int64_t row_end = pick(0, rows);
    sparse_gemv_reference(arguments, 0, row_end);
    arguments.output = actual.data();
    gemv(arguments, 0, row_end);
    RC_ASSERT(nearly_equal(expected, actual));
  }));
}

INSTANTIATE_TEST_SUITE_P(Targets, SparseGemv, ::testing::ValuesIn(supported_targets()),
                         [](const auto& instance) {
                           return std::string(target_name(instance.param));
                         });

}  // namespace
}  // namespace strata::kernels
