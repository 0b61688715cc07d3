// Operators that make one number of many along some axes. Sums are kept in double.
#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>

#include "kernels/operators/support.h"

namespace strata::kernels {
namespace {

using MadeOperator = Result<std::shared_ptr<const OperatorKernel>>;
using Ints = std::vector<int64_t>;

struct Sum {
  double start = 0;
  static double add(double sum, double x) { return sum + x; }
  static double finish(double sum, double /*count*/) { return sum; }
};
struct Mean : Sum {
  static double finish(double sum, double count) { return sum / count; }
};
struct AbsoluteSum : Sum {
  static double add(double sum, double x) { return sum + std::fabs(x); }
};
struct SquareSum : Sum {
  static double add(double sum, double x) { return sum + x * x; }
};
struct Norm : SquareSum {
  static double finish(double sum, double /*count*/) { return std::sqrt(sum); }
};
struct LogSum : Sum {
  static double finish(double sum, double /*count*/) { return std::log(sum); }
};
struct Product : Sum {
  Product() { start = 1; }
  static double add(double product, double x) { return product * x; }
};
struct Largest : Sum {
  Largest() { start = -std::numeric_limits<double>::infinity(); }
  static double add(double a, double x) { return std::max(a, x); }
};
struct Least : Sum {
  Least() { start = std::numeric_limits<double>::infinity(); }
  static double add(double a, double x) { return std::min(a, x); }
};

/// Where the elements of one output lie, and where each output's first one does.
class Reach {
 public:
  Reach(const Ints& shape, const std::vector<bool>& reduced) {
    int64_t stride = 1;
    Ints strides(shape.size());
    for (size_t i = shape.size(); i-- > 0;) {
      strides[i] = stride;
      stride *= shape[i];
    }
    for (size_t i = 0; i < shape.size(); ++i) {
      if (!reduced[i]) {
        sizes_.push_back(shape[i]);
        strides_.push_back(strides[i]);
        outputs_ *= shape[i];
        continue;
      }
      count_ *= shape[i];
      if (inner_stride_ == shape[i] * strides[i]) {  // beside the one before: one longer axis
        inner_size_ *= shape[i];
      } else {
        if (inner_size_ > 1) {
          outer_sizes_.push_back(inner_size_);
          outer_strides_.push_back(inner_stride_);
        }
        inner_size_ = shape[i];
      }
      inner_stride_ = strides[i];
    }
  }

  [[nodiscard]] int64_t outputs() const { return outputs_; }
  [[nodiscard]] int64_t count() const { return count_; }  ///< of the elements of one output
  [[nodiscard]] int64_t first(int64_t output) const { return place(output, sizes_, strides_); }
  /// Calls visit(element) for those of the output whose first one is at `from`, in row-major order.
  template <typename Visit>
  void each(const float* from, Visit visit) const {
    for (int64_t outer = 0; outer < count_ / inner_size_; ++outer) {
      const float* row = from + place(outer, outer_sizes_, outer_strides_);
      for (int64_t k = 0; k < inner_size_; ++k) visit(row[k * inner_stride_]);
    }
  }

 private:
  static int64_t place(int64_t index, const Ints& sizes, const Ints& strides) {
    int64_t place = 0;
    for (size_t i = sizes.size(); i-- > 0;) {
      place += index % sizes[i] * strides[i];
      index /= sizes[i];
    }
    return place;
  }

  Ints sizes_, strides_;              ///< of the axes that stay
  Ints outer_sizes_, outer_strides_;  ///< of those that go, but for the last
  int64_t inner_size_ = 1;
  int64_t inner_stride_ = 0;
  int64_t outputs_ = 1;
  int64_t count_ = 1;
};

std::vector<bool> reduced_axes(const OperatorSite& site) {
  const size_t rank = site.inputs[0].shape.size();
  std::vector<bool> reduced(rank, !site.node.attributes.contains("axes"));
  for (const int64_t axis : site.node.attribute_ints("axes", {})) {
    reduced[static_cast<size_t>(axis < 0 ? axis + static_cast<int64_t>(rank) : axis)] = true;
  }
  return reduced;
}

template <typename Rule>
class ReduceKernel final : public OperatorKernel {
 public:
  explicit ReduceKernel(const OperatorSite& site)
      : reach_(site.inputs[0].shape, reduced_axes(site)) {}

  Status run(const OperatorData& data, ThreadPool& pool) const override {
    const auto* input = data.input<float>(0);
    auto* output = data.output<float>(0);
    const auto count = static_cast<double>(reach_.count());
    for_ranges(pool, reach_.outputs(), reach_.count(), [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        double result = Rule().start;
        reach_.each(input + reach_.first(i),
                    [&](float x) { result = Rule::add(result, static_cast<double>(x)); });
        output[i] = static_cast<float>(Rule::finish(result, count));
      }
    });
    return {};
  }

 private:
  Reach reach_;
};

/// log(sum(exp(x))), with the largest x taken out so that nothing overflows.
class LogSumExpKernel final : public OperatorKernel {
 public:
  explicit LogSumExpKernel(const OperatorSite& site)
      : reach_(site.inputs[0].shape, reduced_axes(site)) {}

  Status run(const OperatorData& data, ThreadPool& pool) const override {
    const auto* input = data.input<float>(0);
    auto* output = data.output<float>(0);
    for_ranges(pool, reach_.outputs(), reach_.count(), [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const float* from = input + reach_.first(i);
        float largest = -std::numeric_limits<float>::infinity();
        reach_.each(from, [&](float x) { largest = std::max(largest, x); });
        double sum = 0;
        reach_.each(from, [&](float x) { sum += std::exp(static_cast<double>(x - largest)); });
        output[i] = largest + static_cast<float>(std::log(sum));
      }
    });
    return {};
  }

 private:
  Reach reach_;
};

/// The place of the largest (or, negated, the least) element along one axis.
class ArgKernel final : public OperatorKernel {
 public:
  ArgKernel(const OperatorSite& site, float sign)
      : reach_(site.inputs[0].shape, one_axis(site)),
        sign_(sign),
        last_(site.node.attribute_int("select_last_index", 0) != 0) {}

  Status run(const OperatorData& data, ThreadPool& pool) const override {
    const auto* input = data.input<float>(0);
    auto* output = data.output<int64_t>(0);
    for_ranges(pool, reach_.outputs(), reach_.count(), [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) output[i] = best(input + reach_.first(i));
    });
    return {};
  }

 private:
  static std::vector<bool> one_axis(const OperatorSite& site) {
    const size_t rank = site.inputs[0].shape.size();
    std::vector<bool> reduced(rank, false);
    reduced[axis_of(site, "axis", 0, rank)] = true;
    return reduced;
  }
  [[nodiscard]] int64_t best(const float* from) const {
    int64_t chosen = 0;
    int64_t at = 0;
    float record = 0;
    reach_.each(from, [&](float x) {
      const float value = sign_ * x;
      if (at == 0 || value > record || (last_ && value == record)) {
        record = value;
        chosen = at;
      }
      ++at;
    });
    return chosen;
  }

  Reach reach_;
  float sign_;
  bool last_;
};

template <int kSign>
MadeOperator make_arg(const OperatorSite& site) {
  if (site.inputs[0].type != graph::DataType::kFloat32) {
    return unsupported("the runtime runs it on float32 only");
  }
  return MadeOperator(std::make_shared<ArgKernel>(site, static_cast<float>(kSign)));
}

}  // namespace

std::span<const OperatorEntry> reduction_kernels() {
  static constexpr std::array kEntries = {
      OperatorEntry{"", "ArgMax", make_arg<1>},
      OperatorEntry{"", "ArgMin", make_arg<-1>},
      OperatorEntry{"", "ReduceL1", make_float_kernel<ReduceKernel<AbsoluteSum>>},
      OperatorEntry{"", "ReduceL2", make_float_kernel<ReduceKernel<Norm>>},
      OperatorEntry{"", "ReduceLogSum", make_float_kernel<ReduceKernel<LogSum>>},
      OperatorEntry{"", "ReduceLogSumExp", make_float_kernel<LogSumExpKernel>},
      OperatorEntry{"", "ReduceMax", make_float_kernel<ReduceKernel<Largest>>},
      OperatorEntry{"", "ReduceMean", make_float_kernel<ReduceKernel<Mean>>},
      OperatorEntry{"", "ReduceMin", make_float_kernel<ReduceKernel<Least>>},
      OperatorEntry{"", "ReduceProd", make_float_kernel<ReduceKernel<Product>>},
      OperatorEntry{"", "ReduceSum", make_float_kernel<ReduceKernel<Sum>>},
      OperatorEntry{"", "ReduceSumSquare", make_float_kernel<ReduceKernel<SquareSum>>},
  };
  return kEntries;
}

}  // namespace strata::kernels
