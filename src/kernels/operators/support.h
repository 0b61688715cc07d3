// What kernels of operators share: loops over broadcast tensors, cutting work into tasks, checks.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "kernels/operators/operator.h"

namespace strata::kernels {

/// Elements that one task should at least compute, so that starting it pays.
inline constexpr int64_t kMinTaskElements = 4096;

/// Calls body(begin, end) over parts of 0..count-1 in parallel; `cost` is elements per index.
template <typename Body>
void for_ranges(ThreadPool& pool, int64_t count, int64_t cost, const Body& body) {
  if (count <= 0) return;
  const int64_t worth = std::max<int64_t>(1, count * std::max<int64_t>(cost, 1) / kMinTaskElements);
  const int64_t wanted = pool.threads() == 1 ? 1 : int64_t{4} * pool.threads();
  const int64_t tasks = std::min({count, worth, wanted});
  pool.parallel_for(static_cast<int>(tasks), [&](int task, int /*thread*/) {
    body(count * task / tasks, count * (task + 1) / tasks);
  });
}

using MadeOperator = Result<std::shared_ptr<const OperatorKernel>>;

/// Errors: an input or output that is present and not float32.
Status require_float(const OperatorSite& site);

/// A kernel that is made from its site and computes with float32 alone.
template <typename Kernel>
MadeOperator make_float_kernel(const OperatorSite& site) {
  STRATA_RETURN_IF_ERROR(require_float(site));
  return MadeOperator(std::make_shared<Kernel>(site));
}

/// The axis that attribute `name` gives, from 0; shape inference has checked its range.
size_t axis_of(const OperatorSite& site, std::string_view name, int64_t fallback, size_t rank);

/// How two tensors that broadcast to a third are walked: in rows of the innermost dimension, with
/// dimensions that both walk alike merged into one.
class Broadcast {
 public:
  Broadcast(const std::vector<int64_t>& output, const std::vector<int64_t>& a,
            const std::vector<int64_t>& b);

  [[nodiscard]] int64_t rows() const { return rows_; }
  [[nodiscard]] int64_t row_length() const { return sizes_.back(); }
  /// From element to element of a row: 0 or 1.
  [[nodiscard]] int64_t step(size_t operand) const { return strides_[operand].back(); }
  /// Where row `row` begins in an operand.
  [[nodiscard]] int64_t begin(size_t operand, int64_t row) const {
    int64_t offset = 0;
    for (size_t axis = sizes_.size() - 1; axis-- > 0;) {
      offset += row % sizes_[axis] * strides_[operand][axis];
      row /= sizes_[axis];
    }
    return offset;
  }

 private:
  std::vector<int64_t> sizes_;
  std::array<std::vector<int64_t>, 2> strides_;
  int64_t rows_ = 1;
};

}  // namespace strata::kernels
