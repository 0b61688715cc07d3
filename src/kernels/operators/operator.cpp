#include "kernels/operators/operator.h"

#include <string>

namespace strata::kernels {

Result<std::shared_ptr<const OperatorKernel>> make_operator(const OperatorSite& site) {
  for (const auto set :
       {activation_kernels(), arithmetic_kernels(), elementwise_kernels(),
        graph_attention_kernels(), layout_kernels(), matrix_kernels(), normalisation_kernels(),
        point_set_kernels(), recurrent_kernels(), reduction_kernels(), selection_kernels()}) {
    for (const OperatorEntry& entry : set) {
      if (entry.domain == site.node.domain && entry.op_type == site.node.op_type) {
        return entry.make(site);
      }
    }
  }
  return unsupported("the runtime cannot run this operator" +
                     (site.node.domain.empty() ? "" : " of domain '" + site.node.domain + "'"));
}

}  // namespace strata::kernels
