// See constant.h.
#include "interop/constant.h"

#include <algorithm>
#include <utility>

#include "graph/operators.h"

namespace strata::interop {

bool Constant::floating() const {
  return type == graph::DataType::kFloat32 || type == graph::DataType::kFloat16;
}

int64_t Constant::element_count() const {
  return static_cast<int64_t>(floating() ? floats.size() : integers.size());
}

bool Constant::known() const {
  return std::all_of(symbols.begin(), symbols.end(),
                     [](const std::string& symbol) { return symbol.empty(); });
}

size_t Constant::bytes() const {
  return floats.size() * sizeof(float) + integers.size() * sizeof(int64_t) +
         symbols.size() * sizeof(std::string);
}

Constant integer_vector(std::vector<int64_t> values) {
  Constant constant;
  constant.type = graph::DataType::kInt64;
  constant.shape = {static_cast<int64_t>(values.size())};
  constant.integers = std::move(values);
  return constant;
}

Constant shape_vector(const graph::Shape& shape) {
  Constant constant = integer_vector(std::vector<int64_t>(shape.size(), 0));
  for (size_t i = 0; i < shape.size(); ++i) {
    if (shape[i].known()) {
      constant.integers[i] = shape[i].value();
      continue;
    }
    constant.symbols.resize(shape.size());
    constant.symbols[i] = shape[i].symbol().empty() ? kUnknown : shape[i].symbol();
  }
  return constant;
}

graph::Shape as_shape(const Constant& constant) {
  graph::Shape shape;
  for (size_t i = 0; i < constant.integers.size(); ++i) {
    const std::string symbol = constant.symbols.empty() ? "" : constant.symbols[i];
    if (symbol.empty()) {
      shape.emplace_back(constant.integers[i]);
    } else if (symbol == kUnknown) {
      shape.emplace_back();
    } else {
      shape.emplace_back(symbol);
    }
  }
  return shape;
}

Result<int64_t> checked_count(const std::vector<int64_t>& shape) {
  graph::Shape dims;
  for (const int64_t size : shape) {
    if (size < 0) return invalid_argument("a size is " + std::to_string(size));
    dims.emplace_back(size);
  }
  return graph::element_count(dims);
}

Constant rearranged(const Constant& in, std::vector<int64_t> shape,
                    const std::function<int64_t(int64_t)>& source) {
  Constant out;
  out.type = in.type;
  out.shape = std::move(shape);
  int64_t count = 1;
  for (const int64_t size : out.shape) count *= size;
  const auto move_elements = [&](const auto& from, auto& to) {
    if (from.empty()) return;
    to.reserve(static_cast<size_t>(count));
    for (int64_t i = 0; i < count; ++i) to.push_back(from[static_cast<size_t>(source(i))]);
  };
  move_elements(in.floats, out.floats);
  move_elements(in.integers, out.integers);
  move_elements(in.symbols, out.symbols);
  return out;
}

Result<std::vector<int64_t>> broadcast_shape(const std::vector<int64_t>& a,
                                             const std::vector<int64_t>& b) {
  std::vector<int64_t> shape = a.size() >= b.size() ? a : b;
  const std::vector<int64_t>& shorter = a.size() >= b.size() ? b : a;
  const size_t offset = shape.size() - shorter.size();
  for (size_t i = 0; i < shorter.size(); ++i) {
    int64_t& size = shape[offset + i];
    if (size != shorter[i] && size != 1 && shorter[i] != 1) {
      return invalid_argument("its constant operands do not broadcast");
    }
    if (size == 1) size = shorter[i];
  }
  STRATA_RETURN_IF_ERROR(checked_count(shape).status());
  return shape;
}

int64_t broadcast_source(int64_t index, const std::vector<int64_t>& from,
                         const std::vector<int64_t>& to) {
  int64_t source = 0;
  int64_t stride = 1;
  for (size_t back = 1; back <= to.size(); ++back) {
    const int64_t size = to[to.size() - back];
    const int64_t place = index % size;
    index /= size;
    if (back > from.size()) continue;
    const int64_t own = from[from.size() - back];
    if (own != 1) source += place * stride;
    stride *= own;
  }
  return source;
}

Constant expanded(const Constant& in, const std::vector<int64_t>& shape) {
  if (in.shape == shape) return in;
  return rearranged(in, shape, [&](int64_t i) { return broadcast_source(i, in.shape, shape); });
}

Constant transposed(const Constant& in, const std::vector<int64_t>& permutation) {
  const size_t rank = in.shape.size();
  std::vector<int64_t> strides(rank, 1);
  for (size_t i = rank; i-- > 1;) strides[i - 1] = strides[i] * in.shape[i];
  std::vector<int64_t> shape(rank);
  std::vector<int64_t> steps(rank);
  for (size_t i = 0; i < rank; ++i) {
    shape[i] = in.shape[static_cast<size_t>(permutation[i])];
    steps[i] = strides[static_cast<size_t>(permutation[i])];
  }
  return rearranged(in, shape, [&](int64_t index) {
    int64_t source = 0;
    for (size_t i = rank; i-- > 0;) {
      source += index % shape[i] * steps[i];
      index /= shape[i];
    }
    return source;
  });
}

}  // namespace strata::interop
