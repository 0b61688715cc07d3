// On every target of this CPU a matrix of any size is transposed as by the scalar reference.
#include "kernels/transpose/transpose.h"

#include <string>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "random_data.h"

namespace strata::kernels {
namespace {

class Transpose : public ::testing::TestWithParam<Target> {};

TEST_P(Transpose, AgreesWithTheReferenceAndWritesNothingElse) {
  const TransposeFunction transpose = transpose_kernel(GetParam());
  EXPECT_TRUE(rc::check("SIMD agrees with the reference", [&] {
    const int64_t rows = pick(1, 40);
    const int64_t columns = pick(1, 40);
    const int64_t from_stride = columns + pick(0, 5);
    const int64_t to_stride = rows + pick(0, 5);
    // No float more than the matrix ends with, so that a sanitizer sees what is read beyond.
    const auto from = random_floats((rows - 1) * from_stride + columns, 1);
    std::vector<float> expected(static_cast<size_t>((columns - 1) * to_stride + rows), -7.0F);
    std::vector<float> actual = expected;
    transpose_reference(from.data(), from_stride, rows, columns, expected.data(), to_stride);
    transpose(from.data(), from_stride, rows, columns, actual.data(), to_stride);
    RC_ASSERT(expected == actual);
  }));
}

INSTANTIATE_TEST_SUITE_P(Targets, Transpose, ::testing::ValuesIn(supported_targets()),
                         [](const auto& instance) {
                           return std::string(target_name(instance.param));
                         });

TEST(TransposeReference, SwapsRowsAndColumns) {
  const std::vector<float> from{1, 2, 3, 4, 5, 6};  // [2, 3]
  std::vector<float> to(6);
  transpose_reference(from.data(), 3, 2, 3, to.data(), 2);
  EXPECT_EQ(to, (std::vector<float>{1, 4, 2, 5, 3, 6}));
}

}  // namespace
}  // namespace strata::kernels
