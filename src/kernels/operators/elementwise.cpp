// Operators that compute each element from one element alone.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>

#include "kernels/operators/support.h"

namespace strata::kernels {
namespace {

using graph::DataType;
template <typename T, typename R, typename Function>
class UnaryKernel final : public OperatorKernel {
 public:
  UnaryKernel(const OperatorSite& site, Function function)
      : count_(site.outputs[0].elements()), function_(std::move(function)) {}

  Status run(const OperatorData& data, ThreadPool& pool) const override {
    const T* input = data.input<T>(0);
    R* output = data.output<R>(0);
    for_ranges(pool, count_, 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) output[i] = function_(input[i]);
    });
    return {};
  }

 private:
  int64_t count_;
  Function function_;
};

template <typename T, typename R, typename Function>
MadeOperator unary(const OperatorSite& site, Function function) {
  return MadeOperator(std::make_shared<UnaryKernel<T, R, Function>>(site, std::move(function)));
}

/// Of floats, by a function without attributes.
template <float (*kFunction)(float)>
MadeOperator make_float(const OperatorSite& site) {
  STRATA_RETURN_IF_ERROR(require_float(site));
  return unary<float, float>(site, [](float x) { return kFunction(x); });
}

/// Of floats or integers.
template <typename Function>
MadeOperator make_number(const OperatorSite& site) {
  switch (site.inputs[0].type) {
    case DataType::kFloat32:
      return unary<float, float>(site, Function());
    case DataType::kInt64:
      return unary<int64_t, int64_t>(site, Function());
    case DataType::kInt32:
      return unary<int32_t, int32_t>(site, Function());
    default:
      return unsupported("the runtime does not compute with " +
                         std::string(graph::to_string(site.inputs[0].type)));
  }
}

struct Absolute {
  float operator()(float x) const { return std::fabs(x); }
  template <typename T>
  T operator()(T x) const {
    return x < 0 ? static_cast<T>(0 - static_cast<uint64_t>(x)) : x;
  }
};
struct Negated {
  float operator()(float x) const { return -x; }
  template <typename T>
  T operator()(T x) const {
    return static_cast<T>(0 - static_cast<uint64_t>(x));
  }
};
struct Signum {
  template <typename T>
  T operator()(T x) const {
    return static_cast<T>((x > 0) - (x < 0));
  }
};

// These wrap functions of the C library, whose overloads have no single address.
float ceil_of(float x) { return std::ceil(x); }
float cos_of(float x) { return std::cos(x); }
float erf_of(float x) { return std::erf(x); }
float exp_of(float x) { return std::exp(x); }
float floor_of(float x) { return std::floor(x); }
float log_of(float x) { return std::log(x); }
float reciprocal_of(float x) { return 1 / x; }
float round_of(float x) { return std::nearbyint(x); }  // halves to even
float sin_of(float x) { return std::sin(x); }
float softplus_of(float x) { return std::max(x, 0.0F) + std::log1p(std::exp(-std::fabs(x))); }
float softsign_of(float x) { return x / (1 + std::fabs(x)); }
float sqrt_of(float x) { return std::sqrt(x); }

MadeOperator make_selu(const OperatorSite& site) {
  STRATA_RETURN_IF_ERROR(require_float(site));
  const float alpha = site.node.attribute_float("alpha", 1.67326319217681884765625F);
  const float gamma = site.node.attribute_float("gamma", 1.05070102214813232421875F);
  return unary<float, float>(
      site, [alpha, gamma](float x) { return gamma * (x < 0 ? alpha * std::expm1(x) : x); });
}

MadeOperator make_leaky_relu(const OperatorSite& site) {
  STRATA_RETURN_IF_ERROR(require_float(site));
  const float alpha = site.node.attribute_float("alpha", 0.01F);
  return unary<float, float>(site, [alpha](float x) { return x < 0 ? alpha * x : x; });
}

MadeOperator make_thresholded_relu(const OperatorSite& site) {
  STRATA_RETURN_IF_ERROR(require_float(site));
  const float alpha = site.node.attribute_float("alpha", 1);
  return unary<float, float>(site, [alpha](float x) { return x > alpha ? x : 0; });
}

MadeOperator make_hard_sigmoid(const OperatorSite& site) {
  STRATA_RETURN_IF_ERROR(require_float(site));
  const float alpha = site.node.attribute_float("alpha", 0.2F);
  const float beta = site.node.attribute_float("beta", 0.5F);
  return unary<float, float>(
      site, [alpha, beta](float x) { return std::max(0.0F, std::min(1.0F, alpha * x + beta)); });
}

MadeOperator make_not(const OperatorSite& site) {
  return unary<uint8_t, uint8_t>(site, [](uint8_t x) { return uint8_t{x == 0}; });
}

template <typename T>
class ClipKernel final : public OperatorKernel {
 public:
  explicit ClipKernel(const OperatorSite& site) : count_(site.outputs[0].elements()) {}

  Status run(const OperatorData& data, ThreadPool& pool) const override {
    const T* low = data.input<T>(1);
    const T* high = data.input<T>(2);
    const T least = low != nullptr ? *low : std::numeric_limits<T>::lowest();
    const T most = high != nullptr ? *high : std::numeric_limits<T>::max();
    const T* input = data.input<T>(0);
    T* output = data.output<T>(0);
    for_ranges(pool, count_, 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) output[i] = std::min(most, std::max(least, input[i]));
    });
    return {};
  }

 private:
  int64_t count_;
};

MadeOperator make_clip(const OperatorSite& site) {
  switch (site.inputs[0].type) {
    case DataType::kFloat32:
      return MadeOperator(std::make_shared<ClipKernel<float>>(site));
    case DataType::kInt64:
      return MadeOperator(std::make_shared<ClipKernel<int64_t>>(site));
    case DataType::kInt32:
      return MadeOperator(std::make_shared<ClipKernel<int32_t>>(site));
    case DataType::kInt8:
      return MadeOperator(std::make_shared<ClipKernel<int8_t>>(site));
    default:
      return unsupported("the runtime does not compute with " +
                         std::string(graph::to_string(site.inputs[0].type)));
  }
}

template <typename From, typename To>
MadeOperator make_cast_between(const OperatorSite& site) {
  const bool to_bool = site.outputs[0].type == DataType::kBool;
  if (to_bool) return unary<From, uint8_t>(site, [](From x) { return uint8_t{x != From{0}}; });
  return unary<From, To>(site, [](From x) {
    if constexpr (std::is_same_v<From, float> && std::is_integral_v<To>) {
      // Beyond its range, the conversion of a float is undefined; saturate instead.
      constexpr double kLow = static_cast<double>(std::numeric_limits<To>::lowest());
      constexpr double kHigh = static_cast<double>(std::numeric_limits<To>::max());
      if (std::isnan(x)) return To{0};
      if (static_cast<double>(x) <= kLow) return std::numeric_limits<To>::lowest();
      if (static_cast<double>(x) >= kHigh) return std::numeric_limits<To>::max();
    }
    return static_cast<To>(x);
  });
}

template <typename From>
MadeOperator make_cast_from(const OperatorSite& site) {
  switch (site.outputs[0].type) {
    case DataType::kFloat32:
      return make_cast_between<From, float>(site);
    case DataType::kInt64:
      return make_cast_between<From, int64_t>(site);
    case DataType::kInt32:
      return make_cast_between<From, int32_t>(site);
    case DataType::kInt8:
      return make_cast_between<From, int8_t>(site);
    case DataType::kUint8:
    case DataType::kBool:
      return make_cast_between<From, uint8_t>(site);
    default:
      return unsupported("the runtime does not compute with " +
                         std::string(graph::to_string(site.outputs[0].type)));
  }
}

MadeOperator make_cast(const OperatorSite& site) {
  switch (site.inputs[0].type) {
    case DataType::kFloat32:
      return make_cast_from<float>(site);
    case DataType::kInt64:
      return make_cast_from<int64_t>(site);
    case DataType::kInt32:
      return make_cast_from<int32_t>(site);
    case DataType::kInt8:
      return make_cast_from<int8_t>(site);
    case DataType::kUint8:
    case DataType::kBool:
      return make_cast_from<uint8_t>(site);
    default:
      return unsupported("the runtime does not compute with " +
                         std::string(graph::to_string(site.inputs[0].type)));
  }
}

}  // namespace

std::span<const OperatorEntry> elementwise_kernels() {
  static constexpr std::array kEntries = {
      OperatorEntry{"", "Abs", make_number<Absolute>},
      OperatorEntry{"", "Cast", make_cast},
      OperatorEntry{"", "Ceil", make_float<ceil_of>},
      OperatorEntry{"", "Clip", make_clip},
      OperatorEntry{"", "Cos", make_float<cos_of>},
      OperatorEntry{"", "Erf", make_float<erf_of>},
      OperatorEntry{"", "Exp", make_float<exp_of>},
      OperatorEntry{"", "Floor", make_float<floor_of>},
      OperatorEntry{"", "HardSigmoid", make_hard_sigmoid},
      OperatorEntry{"", "LeakyRelu", make_leaky_relu},
      OperatorEntry{"", "Log", make_float<log_of>},
      OperatorEntry{"", "Neg", make_number<Negated>},
      OperatorEntry{"", "Not", make_not},
      OperatorEntry{"", "Reciprocal", make_float<reciprocal_of>},
      OperatorEntry{"", "Round", make_float<round_of>},
      OperatorEntry{"", "Selu", make_selu},
      OperatorEntry{"", "Sign", make_number<Signum>},
      OperatorEntry{"", "Sin", make_float<sin_of>},
      OperatorEntry{"", "Softplus", make_float<softplus_of>},
      OperatorEntry{"", "Softsign", make_float<softsign_of>},
      OperatorEntry{"", "Sqrt", make_float<sqrt_of>},
      OperatorEntry{"", "ThresholdedRelu", make_thresholded_relu},
  };
  return kEntries;
}

}  // namespace strata::kernels
