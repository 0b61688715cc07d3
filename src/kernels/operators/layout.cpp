// Operators that move elements without computing with them.
#include <algorithm>
#include <cstring>
#include <memory>
#include <string>
#include <utility>

#include "kernels/operators/support.h"

namespace strata::kernels {
namespace {

class ConcatKernel final : public OperatorKernel {
 public:
  explicit ConcatKernel(const OperatorSite& site) {
    const std::vector<int64_t>& output = site.outputs[0].shape;
    const size_t axis = axis_of(site, "axis", 0, output.size());
    const auto element = static_cast<int64_t>(graph::element_size(site.outputs[0].type));
    for (size_t i = 0; i < axis; ++i) rows_ *= output[i];
    for (const TensorSpec& input : site.inputs) {
      parts_.push_back(rows_ == 0 ? 0 : input.elements() / rows_ * element);
      row_bytes_ += parts_.back();
    }
  }

  Status run(const OperatorData& data, ThreadPool& pool) const override {
    auto* output = data.output<std::byte>(0);
    for_ranges(pool, rows_, row_bytes_ / 4, [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) {
        std::byte* to = output + row * row_bytes_;
        for (size_t i = 0; i < parts_.size(); ++i) {
          std::memcpy(to, data.input<std::byte>(i) + row * parts_[i],
                      static_cast<size_t>(parts_[i]));
          to += parts_[i];
        }
      }
    });
    return {};
  }

 private:
  int64_t rows_ = 1;            ///< product of the dimensions before the axis
  int64_t row_bytes_ = 0;       ///< of the output
  std::vector<int64_t> parts_;  ///< [input] bytes of it in every row
};

template <typename T>
class TransposeKernel final : public OperatorKernel {
 public:
  explicit TransposeKernel(const OperatorSite& site) {
    const std::vector<int64_t>& shape = site.inputs[0].shape;
    std::vector<int64_t> order;
    for (size_t i = shape.size(); i-- > 0;) order.push_back(static_cast<int64_t>(i));
    order = site.node.attribute_ints("perm", order);
    std::vector<int64_t> strides(shape.size(), 1);
    for (size_t i = shape.size(); i-- > 1;) strides[i - 1] = strides[i] * shape[i];
    for (const int64_t axis : order) {
      sizes_.push_back(shape[static_cast<size_t>(axis)]);
      strides_.push_back(strides[static_cast<size_t>(axis)]);
    }
    if (sizes_.empty()) {
      sizes_ = {1};
      strides_ = {1};
    }
    for (size_t i = 0; i + 1 < sizes_.size(); ++i) rows_ *= sizes_[i];
  }

  Status run(const OperatorData& data, ThreadPool& pool) const override {
    const T* input = data.input<T>(0);
    T* output = data.output<T>(0);
    const int64_t length = sizes_.back();
    const int64_t stride = strides_.back();
    for_ranges(pool, rows_, length, [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) {
        int64_t offset = 0;
        int64_t rest = row;
        for (size_t axis = sizes_.size() - 1; axis-- > 0;) {
          offset += rest % sizes_[axis] * strides_[axis];
          rest /= sizes_[axis];
        }
        const T* from = input + offset;
        T* to = output + row * length;
        if (stride == 1) {
          std::copy_n(from, length, to);
        } else {
          for (int64_t i = 0; i < length; ++i) to[i] = from[i * stride];
        }
      }
    });
    return {};
  }

 private:
  std::vector<int64_t> sizes_;    ///< of the output
  std::vector<int64_t> strides_;  ///< of the input, in the order of the output's dimensions
  int64_t rows_ = 1;
};

/// Every element of the output is one of the input, found along each axis by a table, or the
/// filling.
class PadKernel final : public OperatorKernel {
 public:
  explicit PadKernel(const OperatorSite& site)
      : sizes_(site.outputs[0].shape), filling_(site.node.attribute_float("value", 0)) {
    const std::vector<int64_t>& shape = site.inputs[0].shape;
    const std::vector<int64_t> pads = site.node.attribute_ints("pads", {});
    const std::string mode = site.node.attribute_string("mode", "constant");
    int64_t stride = 1;
    sources_.resize(shape.size());
    for (size_t axis = shape.size(); axis-- > 0;) {
      for (int64_t i = 0; i < sizes_[axis]; ++i) {
        sources_[axis].push_back(source(i - pads[axis], shape[axis], mode));
        if (sources_[axis].back() > 0) sources_[axis].back() *= stride;
      }
      stride *= shape[axis];
    }
    if (sizes_.empty()) {
      sizes_ = {1};
      sources_ = {{0}};
    }
    for (size_t axis = 0; axis + 1 < sizes_.size(); ++axis) rows_ *= sizes_[axis];
  }

  Status run(const OperatorData& data, ThreadPool& pool) const override {
    const auto* input = data.input<float>(0);
    auto* output = data.output<float>(0);
    const int64_t length = sizes_.back();
    for_ranges(pool, rows_, length, [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) {
        int64_t offset = 0;
        int64_t rest = row;
        bool inside = true;
        for (size_t axis = sizes_.size() - 1; axis-- > 0;) {
          const int64_t from = sources_[axis][static_cast<size_t>(rest % sizes_[axis])];
          inside = inside && from >= 0;
          offset += from;
          rest /= sizes_[axis];
        }
        fill_row(inside ? input + offset : nullptr, output + row * length);
      }
    });
    return {};
  }

 private:
  /// `input` is null where the whole row is filling.
  void fill_row(const float* input, float* output) const {
    for (const int64_t from : sources_.back()) {
      *output++ = input != nullptr && from >= 0 ? input[from] : filling_;
    }
  }
  /// Where element `at` of an axis, counted from the input's first, comes from; -1: nowhere.
  static int64_t source(int64_t at, int64_t size, const std::string& mode) {
    if (mode == "edge") return std::clamp<int64_t>(at, 0, size - 1);
    if (mode == "reflect" && at < 0) return -at;
    if (mode == "reflect" && at >= size) return 2 * (size - 1) - at;
    return at >= 0 && at < size ? at : kNowhere;
  }

  static constexpr int64_t kNowhere = -1;
  std::vector<int64_t> sizes_;                 ///< of the output
  std::vector<std::vector<int64_t>> sources_;  ///< [axis][place] offset in the input, or negative
  int64_t rows_ = 1;
  float filling_;
};

MadeOperator make_pad(const OperatorSite& site) {
  STRATA_RETURN_IF_ERROR(require_float(site));
  return MadeOperator(std::make_shared<PadKernel>(site));
}

MadeOperator make_concat(const OperatorSite& site) {
  return MadeOperator(std::make_shared<ConcatKernel>(site));
}

MadeOperator make_transpose(const OperatorSite& site) {
  switch (graph::element_size(site.inputs[0].type)) {
    case 1:
      return MadeOperator(std::make_shared<TransposeKernel<uint8_t>>(site));
    case 2:
      return MadeOperator(std::make_shared<TransposeKernel<uint16_t>>(site));
    case 4:
      return MadeOperator(std::make_shared<TransposeKernel<uint32_t>>(site));
    default:
      return MadeOperator(std::make_shared<TransposeKernel<uint64_t>>(site));
  }
}

}  // namespace

std::span<const OperatorEntry> layout_kernels() {
  static constexpr std::array kEntries = {
      OperatorEntry{"", "Concat", make_concat},
      OperatorEntry{"", "Pad", make_pad},
      OperatorEntry{"", "Transpose", make_transpose},
  };
  return kEntries;
}

}  // namespace strata::kernels
