// Operators that compute element by element, with broadcasting.
#include <cmath>
#include <functional>
#include <memory>
#include <type_traits>
#include <utility>

#include "kernels/operators/support.h"

namespace strata::kernels {
namespace {

using graph::DataType;

/// T is the operands' type, R the result's.
template <typename T, typename R, typename Function>
class BinaryKernel final : public OperatorKernel {
 public:
  BinaryKernel(Broadcast walk, Function function) : walk_(std::move(walk)), function_(function) {}

  Status run(const OperatorData& data, ThreadPool& pool) const override {
    const T* a = data.input<T>(0);
    const T* b = data.input<T>(1);
    R* output = data.output<R>(0);
    const int64_t length = walk_.row_length();
    const int64_t step_a = walk_.step(0);
    const int64_t step_b = walk_.step(1);
    if (walk_.rows() == 1) {  // one long row: cut it instead
      for_ranges(pool, length, 1, [&](int64_t begin, int64_t end) {
        compute(a + begin * step_a, step_a, b + begin * step_b, step_b, output + begin,
                end - begin);
      });
      return {};
    }
    for_ranges(pool, walk_.rows(), length, [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) {
        compute(a + walk_.begin(0, row), step_a, b + walk_.begin(1, row), step_b,
                output + row * length, length);
      }
    });
    return {};
  }

 private:
  /// Loops of their own for what compilers can vectorise.
  void compute(const T* a, int64_t step_a, const T* b, int64_t step_b, R* output,
               int64_t count) const {
    if (step_a == 1 && step_b == 1) {
      for (int64_t i = 0; i < count; ++i) output[i] = function_(a[i], b[i]);
    } else if (step_a == 1) {
      const T value = *b;
      for (int64_t i = 0; i < count; ++i) output[i] = function_(a[i], value);
    } else if (step_b == 1) {
      const T value = *a;
      for (int64_t i = 0; i < count; ++i) output[i] = function_(value, b[i]);
    } else {
      std::fill_n(output, count, function_(*a, *b));
    }
  }

  Broadcast walk_;
  Function function_;
};

/// With kTruth the result is a boolean, else of the operands' type.
template <typename Function, bool kTruth>
MadeOperator make_numeric(const OperatorSite& site) {
  Broadcast walk(site.outputs[0].shape, site.inputs[0].shape, site.inputs[1].shape);
  const auto kernel = [&](auto zero) -> MadeOperator {
    using T = decltype(zero);
    using R = std::conditional_t<kTruth, uint8_t, T>;
    return MadeOperator(
        std::make_shared<BinaryKernel<T, R, Function>>(std::move(walk), Function()));
  };
  switch (site.inputs[0].type) {
    case DataType::kFloat32:
      return kernel(float{});
    case DataType::kInt64:
      return kernel(int64_t{});
    case DataType::kInt32:
      return kernel(int32_t{});
    case DataType::kBool:
      if constexpr (kTruth) return kernel(uint8_t{});
      break;
    default:
      break;
  }
  return unsupported("the runtime does not compute with " +
                     std::string(graph::to_string(site.inputs[0].type)));
}

template <typename Function>
MadeOperator make_binary(const OperatorSite& site) {
  return make_numeric<Function, false>(site);
}

template <typename Function>
MadeOperator make_comparison(const OperatorSite& site) {
  return make_numeric<Function, true>(site);
}

template <typename Function>
MadeOperator make_logic(const OperatorSite& site) {
  Broadcast walk(site.outputs[0].shape, site.inputs[0].shape, site.inputs[1].shape);
  return MadeOperator(
      std::make_shared<BinaryKernel<uint8_t, uint8_t, Function>>(std::move(walk), Function()));
}

/// Integers wrap around, as in ONNX Runtime; signed overflow would be undefined.
struct Plus {
  float operator()(float a, float b) const { return a + b; }
  template <typename T>
  T operator()(T a, T b) const {
    return static_cast<T>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b));
  }
};
struct Times {
  float operator()(float a, float b) const { return a * b; }
  template <typename T>
  T operator()(T a, T b) const {
    return static_cast<T>(static_cast<uint64_t>(a) * static_cast<uint64_t>(b));
  }
};

struct Minus {
  float operator()(float a, float b) const { return a - b; }
  template <typename T>
  T operator()(T a, T b) const {
    return static_cast<T>(static_cast<uint64_t>(a) - static_cast<uint64_t>(b));
  }
};
/// Integers: truncated; a division by 0 gives 0, because there is no number to give.
struct Quotient {
  float operator()(float a, float b) const { return a / b; }
  template <typename T>
  T operator()(T a, T b) const {
    if (b == 0) return 0;
    return b == -1 ? Minus()(T{0}, a) : static_cast<T>(a / b);
  }
};
struct Power {
  float operator()(float a, float b) const { return b == 2 ? a * a : std::pow(a, b); }
  template <typename T>
  T operator()(T base, T exponent) const {
    if (exponent < 0) return base == 1 ? 1 : base == -1 ? (exponent % 2 == 0 ? 1 : -1) : 0;
    T result = 1;
    for (; exponent > 0; exponent /= 2) {
      if (exponent % 2 == 1) result = Times()(result, base);
      base = Times()(base, base);
    }
    return result;
  }
};
template <typename T>
bool is_nan(T value) {
  if constexpr (std::is_floating_point_v<T>) return std::isnan(value);
  return false;
}
struct Larger {
  template <typename T>
  T operator()(T a, T b) const {
    return a < b || is_nan(b) ? b : a;  // a NaN wins
  }
};
struct Smaller {
  template <typename T>
  T operator()(T a, T b) const {
    return b < a || is_nan(b) ? b : a;
  }
};
/// PRelu: the second operand is the slope below 0.
struct Slope {
  template <typename T>
  T operator()(T a, T b) const {
    return a < 0 ? Times()(a, b) : a;
  }
};

template <template <typename> typename Relation>
struct Holds {
  template <typename T>
  uint8_t operator()(T a, T b) const {
    return Relation<T>()(a, b) ? 1 : 0;
  }
};
struct Both {
  uint8_t operator()(uint8_t a, uint8_t b) const { return a != 0 && b != 0 ? 1 : 0; }
};
struct Either {
  uint8_t operator()(uint8_t a, uint8_t b) const { return a != 0 || b != 0 ? 1 : 0; }
};
struct OneOf {
  uint8_t operator()(uint8_t a, uint8_t b) const { return (a != 0) != (b != 0) ? 1 : 0; }
};

}  // namespace

std::span<const OperatorEntry> arithmetic_kernels() {
  static constexpr std::array kEntries = {
      OperatorEntry{"", "Add", make_binary<Plus>},
      OperatorEntry{"", "And", make_logic<Both>},
      OperatorEntry{"", "Div", make_binary<Quotient>},
      OperatorEntry{"", "Equal", make_comparison<Holds<std::equal_to>>},
      OperatorEntry{"", "Greater", make_comparison<Holds<std::greater>>},
      OperatorEntry{"", "GreaterOrEqual", make_comparison<Holds<std::greater_equal>>},
      OperatorEntry{"", "Less", make_comparison<Holds<std::less>>},
      OperatorEntry{"", "LessOrEqual", make_comparison<Holds<std::less_equal>>},
      OperatorEntry{"", "Max", make_binary<Larger>},
      OperatorEntry{"", "Min", make_binary<Smaller>},
      OperatorEntry{"", "Mul", make_binary<Times>},
      OperatorEntry{"", "Or", make_logic<Either>},
      OperatorEntry{"", "Pow", make_binary<Power>},
      OperatorEntry{"", "PRelu", make_binary<Slope>},
      OperatorEntry{"", "Sub", make_binary<Minus>},
      OperatorEntry{"", "Xor", make_logic<OneOf>},
  };
  return kEntries;
}

}  // namespace strata::kernels
