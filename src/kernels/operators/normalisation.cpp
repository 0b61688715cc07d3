// Operators that normalise over channels or one axis.
#include <cmath>
#include <limits>
#include <memory>

#include "kernels/operators/support.h"

namespace strata::kernels {
namespace {

using MadeOperator = Result<std::shared_ptr<const OperatorKernel>>;

/// A tensor seen from one axis.
struct AxisView {
  int64_t outer = 1;  ///< product of the dimensions before it
  int64_t size = 1;
  int64_t inner = 1;  ///< product of those after it

  AxisView(const std::vector<int64_t>& shape, size_t axis) : size(shape[axis]) {
    for (size_t i = 0; i < axis; ++i) outer *= shape[i];
    for (size_t i = axis + 1; i < shape.size(); ++i) inner *= shape[i];
  }
};

class SoftmaxKernel final : public OperatorKernel {
 public:
  explicit SoftmaxKernel(const OperatorSite& site)
      : view_(site.inputs[0].shape, axis_of(site, "axis", -1, site.inputs[0].shape.size())) {}

  Status run(const OperatorData& data, ThreadPool& pool) const override {
    const auto* input = data.input<float>(0);
    auto* output = data.output<float>(0);
    for_ranges(pool, view_.outer * view_.inner, view_.size, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const int64_t offset = i / view_.inner * view_.size * view_.inner + i % view_.inner;
        normalise(input + offset, output + offset);
      }
    });
    return {};
  }

 private:
  void normalise(const float* input, float* output) const {
    float largest = -std::numeric_limits<float>::infinity();
    for (int64_t i = 0; i < view_.size; ++i) largest = std::max(largest, input[i * view_.inner]);
    float sum = 0;
    for (int64_t i = 0; i < view_.size; ++i) {
      const float value = std::exp(input[i * view_.inner] - largest);
      output[i * view_.inner] = value;
      sum += value;
    }
    for (int64_t i = 0; i < view_.size; ++i) output[i * view_.inner] /= sum;
  }

  AxisView view_;
};

class BatchNormalizationKernel final : public OperatorKernel {
 public:
  explicit BatchNormalizationKernel(const OperatorSite& site)
      : view_(site.inputs[0].shape, 1), epsilon_(site.node.attribute_float("epsilon", 1e-5F)) {}

  Status run(const OperatorData& data, ThreadPool& pool) const override {
    const auto* input = data.input<float>(0);
    auto* output = data.output<float>(0);
    for_ranges(pool, view_.outer * view_.size, view_.inner, [&](int64_t begin, int64_t end) {
      for (int64_t plane = begin; plane < end; ++plane) {
        const int64_t channel = plane % view_.size;
        const float scale =
            data.input<float>(1)[channel] / std::sqrt(data.input<float>(4)[channel] + epsilon_);
        const float shift = data.input<float>(2)[channel] - data.input<float>(3)[channel] * scale;
        for (int64_t i = plane * view_.inner; i < (plane + 1) * view_.inner; ++i) {
          output[i] = input[i] * scale + shift;
        }
      }
    });
    return {};
  }

 private:
  AxisView view_;
  float epsilon_;
};

template <typename Kernel>
MadeOperator make_float_kernel(const OperatorSite& site) {
  STRATA_RETURN_IF_ERROR(require_float(site));
  return MadeOperator(std::make_shared<Kernel>(site));
}

}  // namespace

std::span<const OperatorEntry> normalisation_kernels() {
  static constexpr std::array kEntries = {
      OperatorEntry{"", "BatchNormalization", make_float_kernel<BatchNormalizationKernel>},
      OperatorEntry{"", "Softmax", make_float_kernel<SoftmaxKernel>},
  };
  return kEntries;
}

}  // namespace strata::kernels
