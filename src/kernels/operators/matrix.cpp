// Products of matrices that are both computed by the network; a product with a trained weight is a
// step of its own kind, which uses that the weight is sparse.
#include <array>
#include <memory>
#include <utility>

#include "kernels/operators/support.h"

namespace strata::kernels {
namespace {

/// One matrix as its product reads it.
struct Matrix {
  const float* data = nullptr;
  int64_t row_stride = 0;
  int64_t column_stride = 0;
};

/// The sum of products of two rows of `count` numbers, by lanes that compilers turn into vectors.
float inner_product(const float* a, const float* b, int64_t count) {
  constexpr int64_t kLanes = 16;
  std::array<float, kLanes> sums = {};
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    for (int64_t lane = 0; lane < kLanes; ++lane)
      sums[static_cast<size_t>(lane)] += a[i + lane] * b[i + lane];
  }
  float sum = 0;
  for (; i < count; ++i) sum += a[i] * b[i];
  for (const float lane : sums) sum += lane;
  return sum;
}

/// Row `row` of a * b, added up in the order of the inner dimension, or by lanes of it if b is a
/// vector.
void multiply_row(const Matrix& a, const Matrix& b, int64_t row, int64_t inner, int64_t columns,
                  float factor, float* output) {
  if (columns == 1 && a.column_stride == 1 && b.row_stride == 1) {
    *output = factor * inner_product(a.data + row * a.row_stride, b.data, inner);
    return;
  }
  std::fill_n(output, columns, 0.0F);
  for (int64_t k = 0; k < inner; ++k) {
    const float value = factor * a.data[row * a.row_stride + k * a.column_stride];
    const float* from = b.data + k * b.row_stride;
    if (b.column_stride == 1) {
      for (int64_t i = 0; i < columns; ++i) output[i] += value * from[i];
    } else {
      for (int64_t i = 0; i < columns; ++i) output[i] += value * from[i * b.column_stride];
    }
  }
}

class MatMulKernel final : public OperatorKernel {
 public:
  explicit MatMulKernel(const OperatorSite& site)
      : batch_(batch_shape(site.outputs[0].shape), batch_shape(site.inputs[0].shape),
               batch_shape(site.inputs[1].shape)) {
    const std::vector<int64_t>& a = site.inputs[0].shape;
    const std::vector<int64_t>& b = site.inputs[1].shape;
    rows_ = a[a.size() - 2];
    inner_ = a.back();
    columns_ = b.back();
  }

  Status run(const OperatorData& data, ThreadPool& pool) const override {
    const auto* a = data.input<float>(0);
    const auto* b = data.input<float>(1);
    auto* output = data.output<float>(0);
    const int64_t products = batch_.rows() * batch_.row_length();
    for_ranges(pool, products * rows_, inner_ * columns_, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const int64_t product = i / rows_;
        const Matrix left = {a + place(0, product) * rows_ * inner_, inner_, 1};
        const Matrix right = {b + place(1, product) * inner_ * columns_, columns_, 1};
        multiply_row(left, right, i % rows_, inner_, columns_, 1, output + i * columns_);
      }
    });
    return {};
  }

 private:
  static std::vector<int64_t> batch_shape(const std::vector<int64_t>& shape) {
    return {shape.begin(), shape.end() - 2};
  }
  /// Which matrix of an operand product number `product` reads.
  [[nodiscard]] int64_t place(size_t operand, int64_t product) const {
    const int64_t length = batch_.row_length();
    return batch_.begin(operand, product / length) + product % length * batch_.step(operand);
  }

  Broadcast batch_;
  int64_t rows_ = 0;
  int64_t inner_ = 0;
  int64_t columns_ = 0;
};

class GemmKernel final : public OperatorKernel {
 public:
  explicit GemmKernel(const OperatorSite& site)
      : bias_(site.outputs[0].shape, has_bias(site) ? site.inputs[2].shape : std::vector<int64_t>{},
              {}),
        has_bias_(has_bias(site)),
        alpha_(site.node.attribute_float("alpha", 1)),
        beta_(site.node.attribute_float("beta", 1)),
        transpose_a_(site.node.attribute_int("transA", 0) != 0),
        transpose_b_(site.node.attribute_int("transB", 0) != 0),
        rows_(site.outputs[0].shape[0]),
        inner_(site.inputs[0].shape[transpose_a_ ? 0 : 1]),
        columns_(site.outputs[0].shape[1]) {}

  Status run(const OperatorData& data, ThreadPool& pool) const override {
    const Matrix a = transpose_a_ ? Matrix{data.input<float>(0), 1, rows_}
                                  : Matrix{data.input<float>(0), inner_, 1};
    const Matrix b = transpose_b_ ? Matrix{data.input<float>(1), 1, inner_}
                                  : Matrix{data.input<float>(1), columns_, 1};
    const auto* bias = data.input<float>(2);
    auto* output = data.output<float>(0);
    for_ranges(pool, rows_, inner_ * columns_, [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) {
        multiply_row(a, b, row, inner_, columns_, alpha_, output + row * columns_);
      }
    });
    if (!has_bias_) return {};
    const int64_t length = bias_.row_length();
    for (int64_t row = 0; row < bias_.rows(); ++row) {
      const float* from = bias + bias_.begin(0, row);
      for (int64_t i = 0; i < length; ++i) {
        output[row * length + i] += beta_ * from[i * bias_.step(0)];
      }
    }
    return {};
  }

 private:
  static bool has_bias(const OperatorSite& site) {
    return site.inputs.size() > 2 && site.inputs[2].present;
  }

  Broadcast bias_;
  bool has_bias_;
  float alpha_;
  float beta_;
  bool transpose_a_;
  bool transpose_b_;
  int64_t rows_;
  int64_t inner_;
  int64_t columns_;
};

}  // namespace

std::span<const OperatorEntry> matrix_kernels() {
  static constexpr std::array kEntries = {
      OperatorEntry{"", "Gemm", make_float_kernel<GemmKernel>},
      OperatorEntry{"", "MatMul", make_float_kernel<MatMulKernel>},
  };
  return kEntries;
}

}  // namespace strata::kernels
