// Constant folding: what exporters leave of shape arithmetic and of prepared weights. Sizes that
// are only known by name pass through as symbols.
#include "interop/onnx_folding.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <numeric>
#include <optional>
#include <type_traits>

#include "graph/operators.h"

namespace strata::interop {
namespace {

using graph::DataType;
using Ints = std::vector<int64_t>;

Constant with_shape(const Constant& in, Ints shape) {
  Constant out = in;
  out.shape = std::move(shape);
  return out;
}

Result<Constant> fold_identity(const Fold& f) { return f.input(0); }

Result<Constant> fold_constant(const Fold& f) {
  const auto& attributes = f.attributes().attributes;
  if (const auto tensor = f.node.tensors.find("value"); tensor != f.node.tensors.end()) {
    return f.scope.read(*tensor->second);
  }
  Constant out;
  const auto take = [&](std::string_view name, auto& into) {
    const auto found = attributes.find(name);
    if (found == attributes.end()) return false;
    using List = std::remove_reference_t<decltype(into)>;
    if (const auto* list = std::get_if<List>(&found->second)) into = *list;
    if (const auto* one = std::get_if<typename List::value_type>(&found->second)) into = {*one};
    if (name.ends_with('s')) out.shape = {static_cast<int64_t>(into.size())};
    return name.ends_with('s') || into.size() == 1;
  };
  if (take("value_float", out.floats) || take("value_floats", out.floats)) return out;
  out.type = DataType::kInt64;
  if (take("value_int", out.integers) || take("value_ints", out.integers)) return out;
  return unsupported("it has no value of a supported kind");
}

Result<Constant> fold_constant_of_shape(const Fold& f) {
  const Constant& shape = f.input(0);
  if (shape.floating() || !shape.known()) {
    return unsupported("the shape depends on a size that is not known; bind it");
  }
  STRATA_ASSIGN_OR_RETURN(const int64_t count, f.scope.room_for(shape.integers));
  Constant value;
  value.floats = {0.0F};
  if (const auto tensor = f.node.tensors.find("value"); tensor != f.node.tensors.end()) {
    STRATA_ASSIGN_OR_RETURN(value, f.scope.read(*tensor->second));
    if (value.element_count() != 1) return invalid_argument("'value' must hold one element");
  }
  Constant out;
  out.type = value.type;
  out.shape = shape.integers;
  if (value.floating()) out.floats.assign(static_cast<size_t>(count), value.floats[0]);
  if (!value.floating()) out.integers.assign(static_cast<size_t>(count), value.integers[0]);
  return out;
}

Result<Constant> fold_range(const Fold& f) {
  Constant out;
  out.type = f.input(0).type;
  std::array<double, 3> numbers{};
  for (size_t i = 0; i < 3; ++i) {
    const Constant& in = f.input(i);
    if (in.element_count() != 1 || !in.known()) return unsupported("its limits are not known");
    numbers[i] =
        in.floating() ? static_cast<double>(in.floats[0]) : static_cast<double>(in.integers[0]);
  }
  const auto [start, limit, delta] = numbers;
  const double steps = std::ceil((limit - start) / delta);
  if (!std::isfinite(steps) || steps > static_cast<double>(graph::kMaxElements)) {
    return invalid_argument("its limits make no finite range");
  }
  const auto count = static_cast<int64_t>(std::max(steps, 0.0));
  out.shape = {count};
  STRATA_RETURN_IF_ERROR(f.scope.room_for(out.shape).status());
  for (int64_t i = 0; i < count; ++i) {
    const double number = start + static_cast<double>(i) * delta;
    if (out.floating()) {
      out.floats.push_back(static_cast<float>(number));
    } else {
      out.integers.push_back(static_cast<int64_t>(number));
    }
  }
  return out;
}

Result<Constant> fold_reshape(const Fold& f) {
  const Constant& in = f.input(0);
  STRATA_ASSIGN_OR_RETURN(const auto wanted, integers_of(f.scope, f.node, "shape", 1));
  if (!wanted) return invalid_argument("it has no shape");
  Ints shape = *wanted;
  const bool zero_copies = f.attributes().attribute_int("allowzero", 0) == 0;
  std::optional<size_t> open;
  int64_t known = 1;
  for (size_t i = 0; i < shape.size(); ++i) {
    if (shape[i] == 0 && zero_copies && i < in.shape.size()) shape[i] = in.shape[i];
    if (shape[i] == -1) {
      open = i;
    } else if (shape[i] < 0 || __builtin_mul_overflow(known, shape[i], &known)) {
      return invalid_argument("it reshapes to an impossible shape");
    }
  }
  if (open) shape[*open] = known > 0 ? in.element_count() / known : 0;
  const Result<int64_t> count = checked_count(shape);
  if (!count.ok() || *count != in.element_count()) {
    return invalid_argument("it reshapes a constant to another count of elements");
  }
  return with_shape(in, shape);
}

Result<Constant> fold_squeeze(const Fold& f) {
  const Constant& in = f.input(0);
  STRATA_ASSIGN_OR_RETURN(const auto axes, integers_of(f.scope, f.node, "axes", 1));
  std::vector<bool> gone(in.shape.size(), false);
  for (size_t i = 0; !axes && i < gone.size(); ++i) gone[i] = in.shape[i] == 1;
  for (const int64_t axis : axes.value_or(Ints())) {
    STRATA_ASSIGN_OR_RETURN(const size_t place, resolve_axis(axis, in.shape.size()));
    if (in.shape[place] != 1) return invalid_argument("it squeezes an axis that is not 1");
    gone[place] = true;
  }
  Ints shape;
  for (size_t i = 0; i < gone.size(); ++i) {
    if (!gone[i]) shape.push_back(in.shape[i]);
  }
  return with_shape(in, shape);
}

Result<Constant> fold_unsqueeze(const Fold& f) {
  const Constant& in = f.input(0);
  STRATA_ASSIGN_OR_RETURN(const auto axes, integers_of(f.scope, f.node, "axes", 1));
  if (!axes) return invalid_argument("it has no axes");
  const size_t rank = in.shape.size() + axes->size();
  std::vector<bool> added(rank, false);
  for (const int64_t axis : *axes) {
    STRATA_ASSIGN_OR_RETURN(const size_t place, resolve_axis(axis, rank));
    if (added[place]) return invalid_argument("it adds one axis twice");
    added[place] = true;
  }
  Ints shape;
  size_t next = 0;
  for (size_t i = 0; i < rank; ++i) shape.push_back(added[i] ? 1 : in.shape[next++]);
  return with_shape(in, shape);
}

Result<Constant> fold_flatten(const Fold& f) {
  const Constant& in = f.input(0);
  const int64_t axis = f.attributes().attribute_int("axis", 1);
  const auto rank = static_cast<int64_t>(in.shape.size());
  if (axis < -rank || axis > rank) return invalid_argument("its axis is outside the input");
  const auto split = in.shape.begin() + (axis < 0 ? axis + rank : axis);
  const auto count = [](auto begin, auto end) {
    return std::accumulate(begin, end, int64_t{1}, std::multiplies<>());
  };
  return with_shape(in, {count(in.shape.begin(), split), count(split, in.shape.end())});
}

Result<Constant> fold_transpose(const Fold& f) {
  const Constant& in = f.input(0);
  Ints order(in.shape.size());
  std::iota(order.rbegin(), order.rend(), 0);
  order = f.attributes().attribute_ints("perm", order);
  Ints sorted = order;
  std::sort(sorted.begin(), sorted.end());
  Ints all(in.shape.size());
  std::iota(all.begin(), all.end(), 0);
  if (sorted != all) return invalid_argument("'perm' is not a permutation of its axes");
  return transposed(in, order);
}

/// Product of the sizes before, at and after an axis.
struct Split {
  int64_t outer = 1, size = 1, inner = 1;
};

Split split_at(const Ints& shape, size_t axis) {
  Split split;
  for (size_t i = 0; i < shape.size(); ++i) {
    (i < axis ? split.outer : i == axis ? split.size : split.inner) *= shape[i];
  }
  return split;
}

Result<Constant> fold_gather(const Fold& f) {
  const Constant& in = f.input(0);
  const Constant& indices = f.input(1);
  STRATA_ASSIGN_OR_RETURN(const size_t axis,
                          resolve_axis(f.attributes().attribute_int("axis", 0), in.shape.size()));
  const Split split = split_at(in.shape, axis);
  if (indices.floating() || !indices.known())
    return invalid_argument("its indices are no integers");
  for (const int64_t index : indices.integers) {
    if (index < -split.size || index >= split.size) {
      return invalid_argument("index " + std::to_string(index) + " is outside its constant input");
    }
  }
  Ints shape(in.shape.begin(), in.shape.begin() + static_cast<std::ptrdiff_t>(axis));
  shape.insert(shape.end(), indices.shape.begin(), indices.shape.end());
  shape.insert(shape.end(), in.shape.begin() + static_cast<std::ptrdiff_t>(axis) + 1,
               in.shape.end());
  STRATA_RETURN_IF_ERROR(f.scope.room_for(shape).status());
  const int64_t count = indices.element_count();
  return rearranged(in, shape, [&](int64_t i) {
    const int64_t inner = i % split.inner;
    int64_t index = indices.integers[static_cast<size_t>(i / split.inner % count)];
    if (index < 0) index += split.size;
    return (i / split.inner / count * split.size + index) * split.inner + inner;
  });
}

Result<Constant> fold_concat(const Fold& f) {
  Constant out;
  const Constant& first = f.input(0);
  STRATA_ASSIGN_OR_RETURN(
      const size_t axis, resolve_axis(f.attributes().attribute_int("axis", 0), first.shape.size()));
  out.type = first.type;
  out.shape = first.shape;
  out.shape[axis] = 0;
  bool symbolic = false;
  for (const Constant* in : f.inputs) {
    if (in == nullptr || in->shape.size() != first.shape.size() || in->type != first.type) {
      return invalid_argument("its constant inputs do not fit together");
    }
    for (size_t i = 0; i < in->shape.size(); ++i) {
      if (i != axis && in->shape[i] != first.shape[i]) {
        return invalid_argument("its constant inputs do not fit together");
      }
    }
    out.shape[axis] += in->shape[axis];
    symbolic = symbolic || !in->symbols.empty();
  }
  STRATA_RETURN_IF_ERROR(f.scope.room_for(out.shape).status());
  const int64_t outer = split_at(first.shape, axis).outer;
  for (int64_t o = 0; o < outer; ++o) {
    for (const Constant* in : f.inputs) {
      const Split split = split_at(in->shape, axis);
      const auto append = [&](const auto& from, auto& to) {
        const auto begin = from.begin() + o * split.size * split.inner;
        to.insert(to.end(), begin, begin + split.size * split.inner);
      };
      if (!in->floats.empty()) append(in->floats, out.floats);
      if (!in->integers.empty()) append(in->integers, out.integers);
      if (!symbolic) continue;
      if (in->symbols.empty()) {
        out.symbols.resize(out.integers.size());
      } else {
        append(in->symbols, out.symbols);
      }
    }
  }
  return out;
}

Result<Constant> fold_slice(const Fold& f) {
  const Constant& in = f.input(0);
  const size_t rank = in.shape.size();
  STRATA_ASSIGN_OR_RETURN(const auto starts, integers_of(f.scope, f.node, "starts", 1));
  STRATA_ASSIGN_OR_RETURN(const auto ends, integers_of(f.scope, f.node, "ends", 2));
  STRATA_ASSIGN_OR_RETURN(const auto axes, integers_of(f.scope, f.node, "axes", 3));
  STRATA_ASSIGN_OR_RETURN(const auto steps, integers_of(f.scope, f.node, "steps", 4));
  const size_t count = starts ? starts->size() : 0;
  if (!starts || !ends || ends->size() != count || (axes && axes->size() != count) ||
      (steps && steps->size() != count)) {
    return invalid_argument("its starts, ends, axes and steps do not fit together");
  }
  Ints begin(rank, 0);
  Ints step(rank, 1);
  Ints shape = in.shape;
  for (size_t i = 0; i < count; ++i) {
    STRATA_ASSIGN_OR_RETURN(const size_t axis,
                            resolve_axis(axes ? (*axes)[i] : static_cast<int64_t>(i), rank));
    const int64_t size = in.shape[axis];
    const int64_t stride = steps ? (*steps)[i] : 1;
    if (stride == 0 || stride < -graph::kMaxDimension) {
      return invalid_argument("one of its steps is impossible");
    }
    const auto place = [&](int64_t at) { return at < 0 ? std::max(at, -size) + size : at; };
    const int64_t low = stride > 0 ? 0 : -1;
    const int64_t high = stride > 0 ? size : size - 1;
    const int64_t from = std::clamp(place((*starts)[i]), int64_t{0}, high);
    const int64_t raw_end = (*ends)[i];
    const int64_t to = stride < 0 && raw_end < -size ? -1 : std::clamp(place(raw_end), low, high);
    const int64_t span = stride > 0 ? to - from : from - to;
    const int64_t magnitude = stride > 0 ? stride : -stride;
    begin[axis] = from;
    step[axis] = stride;
    shape[axis] = span > 0 ? (span - 1) / magnitude + 1 : 0;
  }
  return rearranged(in, shape, [&](int64_t index) {
    int64_t source = 0;
    int64_t stride = 1;
    for (size_t i = rank; i-- > 0;) {
      source += (begin[i] + index % shape[i] * step[i]) * stride;
      index /= shape[i];
      stride *= in.shape[i];
    }
    return source;
  });
}

Result<Constant> fold_expand(const Fold& f) {
  STRATA_ASSIGN_OR_RETURN(const auto wanted, integers_of(f.scope, f.node, "shape", 1));
  if (!wanted) return invalid_argument("it has no shape");
  STRATA_RETURN_IF_ERROR(checked_count(*wanted).status());
  STRATA_ASSIGN_OR_RETURN(const Ints shape, broadcast_shape(f.input(0).shape, *wanted));
  STRATA_RETURN_IF_ERROR(f.scope.room_for(shape).status());
  return expanded(f.input(0), shape);
}

Result<Constant> fold_where(const Fold& f) {
  STRATA_ASSIGN_OR_RETURN(Ints shape, broadcast_shape(f.input(1).shape, f.input(2).shape));
  STRATA_ASSIGN_OR_RETURN(shape, broadcast_shape(shape, f.input(0).shape));
  STRATA_RETURN_IF_ERROR(f.scope.room_for(shape).status());
  if (f.input(0).floating() || !f.input(0).known() || f.input(1).type != f.input(2).type) {
    return unsupported("its operands are of the wrong types");
  }
  const Constant condition = expanded(f.input(0), shape);
  const Constant yes = expanded(f.input(1), shape);
  Constant out = expanded(f.input(2), shape);
  if (!yes.symbols.empty()) out.symbols.resize(out.integers.size());
  for (size_t i = 0; i < condition.integers.size(); ++i) {
    if (condition.integers[i] == 0) continue;
    if (!out.floats.empty()) out.floats[i] = yes.floats[i];
    if (!out.integers.empty()) out.integers[i] = yes.integers[i];
    if (!out.symbols.empty()) out.symbols[i] = yes.symbols.empty() ? "" : yes.symbols[i];
  }
  return out;
}

const std::map<std::string_view, Folding>& foldings() {
  static const std::map<std::string_view, Folding> table = [] {
    std::map<std::string_view, Folding> all = {
        {"Cast", fold_cast},
        {"Concat", fold_concat},
        {"Constant", fold_constant},
        {"ConstantOfShape", fold_constant_of_shape},
        {"DequantizeLinear", fold_dequantize},
        {"Expand", fold_expand},
        {"Flatten", fold_flatten},
        {"Gather", fold_gather},
        {"Identity", fold_identity},
        {"Not", fold_not},
        {"Range", fold_range},
        {"ReduceProd", fold_reduce_product},
        {"Reshape", fold_reshape},
        {"Slice", fold_slice},
        {"Squeeze", fold_squeeze},
        {"Transpose", fold_transpose},
        {"Unsqueeze", fold_unsqueeze},
        {"Where", fold_where},
    };
    all.insert(binary_foldings().begin(), binary_foldings().end());
    all.insert(unary_foldings().begin(), unary_foldings().end());
    return all;
  }();
  return table;
}

/// Shape and Size, which ask only for the shape of their input.
Result<Constant> fold_shape(Scope& scope, const OnnxNode& node) {
  const std::string& op = node.node.op_type;
  if (!node.has_input(0)) return invalid_argument("its input is missing");
  STRATA_ASSIGN_OR_RETURN(const graph::Shape shape, scope.shape(node.node.inputs[0]));
  const auto rank = static_cast<int64_t>(shape.size());
  if (op == "Size") {
    STRATA_ASSIGN_OR_RETURN(const int64_t count, graph::element_count(shape));
    Constant size = integer_vector({count});
    size.shape.clear();
    if (count < 0) size.symbols = {kUnknown};
    return size;
  }
  const auto place = [&](int64_t at) {
    return std::clamp<int64_t>(at < 0 ? std::max(at, -rank) + rank : at, 0, rank);
  };
  const int64_t start = place(node.node.attribute_int("start", 0));
  const int64_t end = std::max(start, place(node.node.attribute_int("end", rank)));
  return shape_vector({shape.begin() + start, shape.begin() + end});
}

bool asks_for_a_shape(std::string_view op_type) { return op_type == "Shape" || op_type == "Size"; }

/// How many inputs must be there.
size_t needed_inputs(std::string_view op_type) {
  static const std::map<std::string_view, size_t> table = {
      {"Constant", 0}, {"Range", 3}, {"Where", 3}, {"Gather", 2}, {"DequantizeLinear", 2}};
  if (const auto found = table.find(op_type); found != table.end()) return found->second;
  return binary_foldings().contains(op_type) ? 2 : 1;
}

/// What is as large as an open size has to run, though it reads constants alone.
bool makes_open_size(const Fold& fold) {
  return fold.node.node.op_type == "Expand" && fold.inputs.size() > 1 &&
         fold.inputs[1] != nullptr && !fold.inputs[1]->known();
}

}  // namespace

Result<bool> fold(Scope& scope, const OnnxNode& node) {
  const std::string& op = node.node.op_type;
  if (!node.node.domain.empty() || node.node.outputs.empty()) return false;
  if (asks_for_a_shape(op)) {
    STRATA_ASSIGN_OR_RETURN(Constant shape, fold_shape(scope, node));
    STRATA_RETURN_IF_ERROR(scope.define(node.node.outputs[0], std::move(shape)));
    return true;
  }
  const auto found = foldings().find(op);
  if (found == foldings().end()) return false;
  Fold fold{scope, node, {}};
  for (const std::string& input : node.node.inputs) {
    const Constant* constant = nullptr;
    if (!input.empty()) {
      STRATA_ASSIGN_OR_RETURN(constant, scope.constant(input));
      if (constant == nullptr) return false;
    }
    fold.inputs.push_back(constant);
  }
  for (size_t i = 0; i < needed_inputs(op); ++i) {
    if (i >= fold.inputs.size() || fold.inputs[i] == nullptr) {
      return invalid_argument("its input " + std::to_string(i) + " is missing");
    }
  }
  if (makes_open_size(fold)) return false;
  STRATA_ASSIGN_OR_RETURN(Constant folded, found->second(fold));
  STRATA_RETURN_IF_ERROR(scope.define(node.node.outputs[0], std::move(folded)));
  return true;
}

bool folds(std::string_view op_type) {
  return foldings().contains(op_type) || asks_for_a_shape(op_type);
}

}  // namespace strata::interop
