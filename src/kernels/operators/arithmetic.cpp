// Operators that compute element by element, with broadcasting.
#include <functional>
#include <memory>
#include <utility>

#include "kernels/operators/support.h"

namespace strata::kernels {
namespace {

using graph::DataType;

template <typename T, typename Function>
class BinaryKernel final : public OperatorKernel {
 public:
  BinaryKernel(Broadcast walk, Function function) : walk_(std::move(walk)), function_(function) {}

  Status run(const OperatorData& data, ThreadPool& pool) const override {
    const T* a = data.input<T>(0);
    const T* b = data.input<T>(1);
    T* output = data.output<T>(0);
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
  void compute(const T* a, int64_t step_a, const T* b, int64_t step_b, T* output,
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

using MadeOperator = Result<std::shared_ptr<const OperatorKernel>>;

template <typename Function>
MadeOperator make_binary(const OperatorSite& site) {
  Broadcast walk(site.outputs[0].shape, site.inputs[0].shape, site.inputs[1].shape);
  const auto kernel = [&](auto zero) -> MadeOperator {
    using T = decltype(zero);
    return MadeOperator(std::make_shared<BinaryKernel<T, Function>>(std::move(walk), Function()));
  };
  switch (site.inputs[0].type) {
    case DataType::kFloat32:
      return kernel(float{});
    case DataType::kInt64:
      return kernel(int64_t{});
    case DataType::kInt32:
      return kernel(int32_t{});
    default:
      return unsupported("the runtime does not compute with " +
                         std::string(graph::to_string(site.inputs[0].type)));
  }
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

}  // namespace

std::span<const OperatorEntry> arithmetic_kernels() {
  static constexpr std::array kEntries = {
      OperatorEntry{"", "Add", make_binary<Plus>},
      OperatorEntry{"", "Mul", make_binary<Times>},
  };
  return kEntries;
}

}  // namespace strata::kernels
