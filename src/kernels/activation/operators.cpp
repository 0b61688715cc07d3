// Sigmoid and Tanh over whole tensors.
#include <array>
#include <memory>

#include "kernels/activation/activation.h"
#include "kernels/operators/support.h"

namespace strata::kernels {
namespace {

/// Beside an addition, for cutting into tasks.
constexpr int64_t kCost = 4;

class ActivationOperator final : public OperatorKernel {
 public:
  ActivationOperator(int64_t count, ActivationFunction function)
      : count_(count), function_(function) {}

  Status run(const OperatorData& data, ThreadPool& pool) const override {
    const auto* input = data.input<float>(0);
    auto* output = data.output<float>(0);
    for_ranges(pool, count_, kCost, [&](int64_t begin, int64_t end) {
      function_(input + begin, output + begin, end - begin);
    });
    return {};
  }

 private:
  int64_t count_;
  ActivationFunction function_;
};

template <ActivationFunction ActivationKernel::*kFunction>
MadeOperator make_activation(const OperatorSite& site) {
  STRATA_RETURN_IF_ERROR(require_float(site));
  STRATA_ASSIGN_OR_RETURN(const Target target, default_target());
  return MadeOperator(std::make_shared<ActivationOperator>(site.outputs[0].elements(),
                                                           activation_kernel(target).*kFunction));
}

}  // namespace

std::span<const OperatorEntry> activation_kernels() {
  static constexpr std::array kEntries = {
      OperatorEntry{"", "Sigmoid", make_activation<&ActivationKernel::sigmoid>},
      OperatorEntry{"", "Tanh", make_activation<&ActivationKernel::tanh>},
  };
  return kEntries;
}

}  // namespace strata::kernels
