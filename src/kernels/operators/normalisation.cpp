// Operators that normalise over channels or one axis.
#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>

#include "kernels/operators/support.h"

namespace strata::kernels {
namespace {

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

template <bool kLogarithm>
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
    if (kLogarithm) {
      const float shift = largest + std::log(sum);
      for (int64_t i = 0; i < view_.size; ++i)
        output[i * view_.inner] = input[i * view_.inner] - shift;
      return;
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

/// Rows of `size` elements to mean 0 and variance 1, then scaled and shifted: by element of the row
/// (layers), or by the row's channel (instances).
class RowNormalizationKernel final : public OperatorKernel {
 public:
  RowNormalizationKernel(const OperatorSite& site, size_t axis, bool by_channel)
      : by_channel_(by_channel), epsilon_(site.node.attribute_float("epsilon", 1e-5F)) {
    const std::vector<int64_t>& shape = site.inputs[0].shape;
    for (size_t i = 0; i < shape.size(); ++i) (i < axis ? rows_ : size_) *= shape[i];
    channels_ = shape.size() > 1 ? shape[1] : 1;
  }

  Status run(const OperatorData& data, ThreadPool& pool) const override {
    const auto* input = data.input<float>(0);
    const auto* scale = data.input<float>(1);
    const auto* shift = data.input<float>(2);
    auto* output = data.output<float>(0);
    for_ranges(pool, rows_, size_, [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) {
        const float* from = input + row * size_;
        float* to = output + row * size_;
        double sum = 0;
        for (int64_t i = 0; i < size_; ++i) sum += static_cast<double>(from[i]);
        const double mean = sum / static_cast<double>(size_);
        double square = 0;
        for (int64_t i = 0; i < size_; ++i) {
          const double distance = static_cast<double>(from[i]) - mean;
          square += distance * distance;
        }
        const double variance = square / static_cast<double>(size_);
        const auto factor =
            static_cast<float>(1 / std::sqrt(variance + static_cast<double>(epsilon_)));
        const auto centre = static_cast<float>(mean);
        const int64_t channel = row % channels_;
        for (int64_t i = 0; i < size_; ++i) {
          const int64_t at = by_channel_ ? channel : i;
          to[i] = (from[i] - centre) * factor * scale[at] + (shift != nullptr ? shift[at] : 0);
        }
      }
    });
    return {};
  }

 private:
  int64_t rows_ = 1;
  int64_t size_ = 1;
  int64_t channels_ = 1;
  bool by_channel_;
  float epsilon_;
};

/// Local response normalisation across channels (Krizhevsky et al. 2012).
class LrnKernel final : public OperatorKernel {
 public:
  explicit LrnKernel(const OperatorSite& site)
      : view_(site.inputs[0].shape, 1),
        size_(site.node.attribute_int("size", 1)),
        alpha_(site.node.attribute_float("alpha", 1e-4F)),
        beta_(site.node.attribute_float("beta", 0.75F)),
        bias_(site.node.attribute_float("bias", 1)) {}

  Status run(const OperatorData& data, ThreadPool& pool) const override {
    const auto* input = data.input<float>(0);
    auto* output = data.output<float>(0);
    const float factor = alpha_ / static_cast<float>(size_);
    for_ranges(pool, view_.outer * view_.size, view_.inner * size_,
               [&](int64_t begin, int64_t end) {
                 for (int64_t plane = begin; plane < end; ++plane) {
                   const int64_t channel = plane % view_.size;
                   const int64_t first = std::max<int64_t>(0, channel - (size_ - 1) / 2);
                   const int64_t last = std::min(view_.size - 1, channel + size_ / 2);
                   const float* image = input + (plane - channel) * view_.inner;
                   for (int64_t i = 0; i < view_.inner; ++i) {
                     float sum = 0;
                     for (int64_t c = first; c <= last; ++c) {
                       const float value = image[c * view_.inner + i];
                       sum += value * value;
                     }
                     output[plane * view_.inner + i] =
                         input[plane * view_.inner + i] / std::pow(bias_ + factor * sum, beta_);
                   }
                 }
               });
    return {};
  }

 private:
  AxisView view_;
  int64_t size_;
  float alpha_;
  float beta_;
  float bias_;
};

MadeOperator make_layer_normalization(const OperatorSite& site) {
  STRATA_RETURN_IF_ERROR(require_float(site));
  const size_t axis = axis_of(site, "axis", -1, site.inputs[0].shape.size());
  return MadeOperator(std::make_shared<RowNormalizationKernel>(site, axis, /*by_channel=*/false));
}

MadeOperator make_instance_normalization(const OperatorSite& site) {
  STRATA_RETURN_IF_ERROR(require_float(site));
  return MadeOperator(std::make_shared<RowNormalizationKernel>(site, 2, /*by_channel=*/true));
}

}  // namespace

std::span<const OperatorEntry> normalisation_kernels() {
  static constexpr std::array kEntries = {
      OperatorEntry{"", "BatchNormalization", make_float_kernel<BatchNormalizationKernel>},
      OperatorEntry{"", "InstanceNormalization", make_instance_normalization},
      OperatorEntry{"", "LRN", make_float_kernel<LrnKernel>},
      OperatorEntry{"", "LayerNormalization", make_layer_normalization},
      OperatorEntry{"", "LogSoftmax", make_float_kernel<SoftmaxKernel<true>>},
      OperatorEntry{"", "Softmax", make_float_kernel<SoftmaxKernel<false>>},
  };
  return kEntries;
}

}  // namespace strata::kernels
