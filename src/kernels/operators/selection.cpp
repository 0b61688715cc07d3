// Operators that choose elements: slices, parts, rows by index, repetition, one of two.
#include <algorithm>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "graph/inference.h"
#include "kernels/operators/support.h"

namespace strata::kernels {
namespace {

using graph::DataType;
using MadeOperator = Result<std::shared_ptr<const OperatorKernel>>;
using Ints = std::vector<int64_t>;

/// One operand's steps through an output of up to any rank: the last axis in a row, the others by
/// division.
class Walk {
 public:
  Walk(Ints sizes, Ints strides) : sizes_(std::move(sizes)), strides_(std::move(strides)) {
    if (sizes_.empty()) {
      sizes_ = {1};
      strides_ = {0};
    }
  }
  /// `shape` repeated where it has 1 and `output` has more.
  static Walk broadcast(const Ints& output, const Ints& shape) {
    Ints strides(output.size(), 0);
    int64_t stride = 1;
    for (size_t back = 1; back <= shape.size(); ++back) {
      const int64_t size = shape[shape.size() - back];
      if (size != 1) strides[output.size() - back] = stride;
      stride *= size;
    }
    return {output, std::move(strides)};
  }

  [[nodiscard]] int64_t rows() const {
    int64_t rows = 1;
    for (size_t i = 0; i + 1 < sizes_.size(); ++i) rows *= sizes_[i];
    return rows;
  }
  [[nodiscard]] int64_t length() const { return sizes_.back(); }
  [[nodiscard]] int64_t step() const { return strides_.back(); }
  [[nodiscard]] int64_t begin(int64_t row) const {
    int64_t offset = 0;
    for (size_t axis = sizes_.size() - 1; axis-- > 0;) {
      offset += row % sizes_[axis] * strides_[axis];
      row /= sizes_[axis];
    }
    return offset;
  }

 private:
  Ints sizes_, strides_;
};

/// Copies along a walk, from `offset` on: Slice and Expand.
template <typename T>
class CopyKernel final : public OperatorKernel {
 public:
  CopyKernel(Walk walk, int64_t offset) : walk_(std::move(walk)), offset_(offset) {}

  Status run(const OperatorData& data, ThreadPool& pool) const override {
    const T* input = data.input<T>(0) + offset_;
    T* output = data.output<T>(0);
    const int64_t length = walk_.length();
    const int64_t step = walk_.step();
    for_ranges(pool, walk_.rows(), length, [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) {
        const T* from = input + walk_.begin(row);
        T* to = output + row * length;
        for (int64_t i = 0; i < length; ++i) to[i] = from[i * step];
      }
    });
    return {};
  }

 private:
  Walk walk_;
  int64_t offset_;
};

/// Calls `make` with a zero of an unsigned type as wide as the elements.
template <typename Make>
MadeOperator by_width(DataType type, const Make& make) {
  switch (graph::element_size(type)) {
    case 1:
      return make(uint8_t{});
    case 2:
      return make(uint16_t{});
    case 4:
      return make(uint32_t{});
    default:
      return make(uint64_t{});
  }
}

MadeOperator make_copy(const OperatorSite& site, const Walk& walk, int64_t offset) {
  return by_width(site.inputs[0].type, [&](auto zero) {
    return MadeOperator(std::make_shared<CopyKernel<decltype(zero)>>(walk, offset));
  });
}

MadeOperator make_expand(const OperatorSite& site) {
  return make_copy(site, Walk::broadcast(site.outputs[0].shape, site.inputs[0].shape), 0);
}

std::optional<Ints> integers_at(const OperatorSite& site, size_t index) {
  if (index >= site.constants.size() || site.constants[index] == nullptr) return std::nullopt;
  return site.constants[index]->integers();
}

MadeOperator make_slice(const OperatorSite& site) {
  const Ints& shape = site.inputs[0].shape;
  const auto starts = integers_at(site, 1);
  const auto ends = integers_at(site, 2);
  if (!starts || !ends) return unsupported("its starts and ends must be constants");
  STRATA_ASSIGN_OR_RETURN(const std::vector<graph::SliceAxis> slices,
                          graph::read_slices(graph::Shape(shape.begin(), shape.end()), *starts,
                                             *ends, integers_at(site, 3), integers_at(site, 4)));
  Ints strides(shape.size(), 1);
  for (size_t i = shape.size(); i-- > 1;) strides[i - 1] = strides[i] * shape[i];
  int64_t offset = 0;
  for (size_t i = 0; i < shape.size(); ++i) {
    offset += slices[i].start * strides[i];
    strides[i] *= slices[i].step;
  }
  return make_copy(site, Walk(site.outputs[0].shape, strides), offset);
}

/// The parts of every row of the dimensions before the axis, one after the other.
class SplitKernel final : public OperatorKernel {
 public:
  explicit SplitKernel(const OperatorSite& site) {
    const Ints& shape = site.inputs[0].shape;
    const size_t axis = axis_of(site, "axis", 0, shape.size());
    const auto element = static_cast<int64_t>(graph::element_size(site.inputs[0].type));
    for (size_t i = 0; i < axis; ++i) rows_ *= shape[i];
    int64_t inner = element;
    for (size_t i = axis + 1; i < shape.size(); ++i) inner *= shape[i];
    row_bytes_ = shape[axis] * inner;
    const auto sizes = integers_at(site, 1);
    for (const int64_t size : sizes.value_or(Ints())) parts_.push_back(size * inner);
  }

  Status run(const OperatorData& data, ThreadPool& pool) const override {
    const auto* input = data.input<std::byte>(0);
    for_ranges(pool, rows_, row_bytes_ / 4, [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) {
        const std::byte* from = input + row * row_bytes_;
        for (size_t i = 0; i < parts_.size(); ++i) {
          auto* to = data.output<std::byte>(i);
          if (to != nullptr && parts_[i] > 0) {
            std::memcpy(to + row * parts_[i], from, static_cast<size_t>(parts_[i]));
          }
          from += parts_[i];
        }
      }
    });
    return {};
  }

 private:
  int64_t rows_ = 1;
  int64_t row_bytes_ = 0;
  Ints parts_;  ///< [output] bytes of it in every row
};

template <typename Index>
class GatherKernel final : public OperatorKernel {
 public:
  explicit GatherKernel(const OperatorSite& site) {
    const Ints& shape = site.inputs[0].shape;
    const size_t axis = axis_of(site, "axis", 0, shape.size());
    for (size_t i = 0; i < axis; ++i) outer_ *= shape[i];
    size_ = shape[axis];
    block_ = static_cast<int64_t>(graph::element_size(site.inputs[0].type));
    for (size_t i = axis + 1; i < shape.size(); ++i) block_ *= shape[i];
    count_ = site.inputs[1].elements();
  }

  Status run(const OperatorData& data, ThreadPool& pool) const override {
    const auto* input = data.input<std::byte>(0);
    const auto* indices = data.input<Index>(1);
    auto* output = data.output<std::byte>(0);
    for (int64_t i = 0; i < count_; ++i) {
      const auto index = static_cast<int64_t>(indices[i]);
      if (index < -size_ || index >= size_) {
        return out_of_range("index " + std::to_string(index) + " is outside an axis of " +
                            std::to_string(size_));
      }
    }
    for_ranges(pool, outer_ * count_, block_ / 4 + 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        auto index = static_cast<int64_t>(indices[i % count_]);
        if (index < 0) index += size_;
        std::memcpy(output + i * block_, input + (i / count_ * size_ + index) * block_,
                    static_cast<size_t>(block_));
      }
    });
    return {};
  }

 private:
  int64_t outer_ = 1;
  int64_t size_ = 0;   ///< of the axis
  int64_t block_ = 0;  ///< bytes behind one index
  int64_t count_ = 0;  ///< of indices
};

MadeOperator make_gather(const OperatorSite& site) {
  if (site.inputs[1].type == DataType::kInt32) {
    return MadeOperator(std::make_shared<GatherKernel<int32_t>>(site));
  }
  return MadeOperator(std::make_shared<GatherKernel<int64_t>>(site));
}

template <typename T>
class WhereKernel final : public OperatorKernel {
 public:
  explicit WhereKernel(const OperatorSite& site)
      : condition_(Walk::broadcast(site.outputs[0].shape, site.inputs[0].shape)),
        yes_(Walk::broadcast(site.outputs[0].shape, site.inputs[1].shape)),
        no_(Walk::broadcast(site.outputs[0].shape, site.inputs[2].shape)) {}

  Status run(const OperatorData& data, ThreadPool& pool) const override {
    const int64_t length = condition_.length();
    const uint8_t* condition = data.input<uint8_t>(0);
    const T* yes = data.input<T>(1);
    const T* no = data.input<T>(2);
    T* output = data.output<T>(0);
    if (condition == nullptr || yes == nullptr || no == nullptr || output == nullptr) return {};
    for_ranges(pool, condition_.rows(), length, [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) {
        choose(condition + condition_.begin(row), yes + yes_.begin(row), no + no_.begin(row),
               output + row * length);
      }
    });
    return {};
  }

 private:
  void choose(const uint8_t* condition, const T* yes, const T* no, T* output) const {
    for (int64_t i = 0; i < condition_.length(); ++i) {
      output[i] = condition[i * condition_.step()] != 0 ? yes[i * yes_.step()] : no[i * no_.step()];
    }
  }

  Walk condition_, yes_, no_;
};

MadeOperator make_where(const OperatorSite& site) {
  return by_width(site.outputs[0].type, [&](auto zero) {
    return MadeOperator(std::make_shared<WhereKernel<decltype(zero)>>(site));
  });
}

MadeOperator make_split(const OperatorSite& site) {
  return MadeOperator(std::make_shared<SplitKernel>(site));
}

}  // namespace

std::span<const OperatorEntry> selection_kernels() {
  static constexpr std::array kEntries = {
      OperatorEntry{"", "Expand", make_expand}, OperatorEntry{"", "Gather", make_gather},
      OperatorEntry{"", "Slice", make_slice},   OperatorEntry{"", "Split", make_split},
      OperatorEntry{"", "Where", make_where},
  };
  return kEntries;
}

}  // namespace strata::kernels
