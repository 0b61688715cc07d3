// Arithmetic on constants, with the sizes of dynamic dimensions as symbols.
#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include "graph/operators.h"
#include "interop/onnx_folding.h"

namespace strata::interop {
namespace {

using graph::DataType;
using Ints = std::vector<int64_t>;

using FloatBinary = float (*)(float, float);
using IntBinary = bool (*)(int64_t, int64_t, int64_t*);  // false: it has no result

struct Binary {
  FloatBinary floats;
  IntBinary integers;
  bool logical = false;      ///< the result is a boolean
  int64_t neutral = -1;      ///< right operand that leaves the left as it is; -1: none
  bool commutative = false;  ///< the left one may be neutral too
};

bool keep(int64_t value, int64_t* out) {
  *out = value;
  return true;
}

const std::map<std::string_view, Binary>& binaries() {
  static const std::map<std::string_view, Binary> table = {
      {"Add",
       {[](float a, float b) { return a + b; },
        [](int64_t a, int64_t b, int64_t* c) { return !__builtin_add_overflow(a, b, c); }, false, 0,
        true}},
      {"Sub",
       {[](float a, float b) { return a - b; },
        [](int64_t a, int64_t b, int64_t* c) { return !__builtin_sub_overflow(a, b, c); }, false,
        0}},
      {"Mul",
       {[](float a, float b) { return a * b; },
        [](int64_t a, int64_t b, int64_t* c) { return !__builtin_mul_overflow(a, b, c); }, false, 1,
        true}},
      {"Div",
       {[](float a, float b) { return a / b; },
        [](int64_t a, int64_t b, int64_t* c) {
          if (b == 0 || b == -1) return b == -1 && !__builtin_sub_overflow(int64_t{0}, a, c);
          *c = a / b;
          return true;
        },
        false, 1}},
      {"Pow",
       {[](float a, float b) { return std::pow(a, b); },
        [](int64_t a, int64_t b, int64_t* c) {
          const double power = std::pow(static_cast<double>(a), static_cast<double>(b));
          *c = std::abs(power) < 9e15 ? static_cast<int64_t>(power) : 0;
          return std::abs(power) < 9e15;
        },
        false, 1}},
      {"Min",
       {[](float a, float b) { return std::min(a, b); },
        [](int64_t a, int64_t b, int64_t* c) { return keep(std::min(a, b), c); }}},
      {"Max",
       {[](float a, float b) { return std::max(a, b); },
        [](int64_t a, int64_t b, int64_t* c) { return keep(std::max(a, b), c); }}},
      {"Equal",
       {[](float a, float b) { return a == b ? 1.0F : 0.0F; },
        [](int64_t a, int64_t b, int64_t* c) { return keep(int64_t{a == b}, c); }, true}},
      {"Less",
       {[](float a, float b) { return a < b ? 1.0F : 0.0F; },
        [](int64_t a, int64_t b, int64_t* c) { return keep(int64_t{a < b}, c); }, true}},
      {"Greater",
       {[](float a, float b) { return a > b ? 1.0F : 0.0F; },
        [](int64_t a, int64_t b, int64_t* c) { return keep(int64_t{a > b}, c); }, true}},
      {"And",
       {nullptr, [](int64_t a, int64_t b, int64_t* c) { return keep(int64_t{a && b}, c); }, true}},
      {"Or",
       {nullptr, [](int64_t a, int64_t b, int64_t* c) { return keep(int64_t{a || b}, c); }, true}},
  };
  return table;
}

Result<Constant> fold_binary(const Fold& f) {
  const Binary& op = binaries().at(f.attributes().op_type);
  if (f.inputs.size() != 2) return unsupported("more than two constants are not folded");
  if (f.input(0).type != f.input(1).type) return invalid_argument("its operands differ in type");
  STRATA_ASSIGN_OR_RETURN(const Ints shape, broadcast_shape(f.input(0).shape, f.input(1).shape));
  STRATA_RETURN_IF_ERROR(f.scope.room_for(shape).status());
  const Constant a = expanded(f.input(0), shape);
  const Constant b = expanded(f.input(1), shape);
  Constant out;
  out.type = op.logical ? DataType::kBool : a.type;
  out.shape = shape;
  if (a.floating()) {
    if (op.floats == nullptr) return invalid_argument("its operands must be booleans");
    for (size_t i = 0; i < a.floats.size(); ++i) {
      const float number = op.floats(a.floats[i], b.floats[i]);
      if (op.logical) {
        out.integers.push_back(number != 0 ? 1 : 0);
      } else {
        out.floats.push_back(number);
      }
    }
    return out;
  }
  const bool symbolic = !a.known() || !b.known();
  for (size_t i = 0; i < a.integers.size(); ++i) {
    int64_t number = 0;
    const std::string left = a.symbols.empty() ? "" : a.symbols[i];
    const std::string right = b.symbols.empty() ? "" : b.symbols[i];
    std::string symbol;
    if (!left.empty() || !right.empty()) {
      symbol = kUnknown;
      if (right.empty() && op.neutral >= 0 && b.integers[i] == op.neutral) symbol = left;
      if (left.empty() && op.commutative && a.integers[i] == op.neutral) symbol = right;
    } else if (!op.integers(a.integers[i], b.integers[i], &number)) {
      return invalid_argument("its integers have no result (overflow, or a division by zero)");
    }
    out.integers.push_back(number);
    if (symbolic) out.symbols.push_back(std::move(symbol));
  }
  return out;
}

using FloatUnary = float (*)(float);

const std::map<std::string_view, FloatUnary>& unaries() {
  static const std::map<std::string_view, FloatUnary> table = {
      {"Abs", [](float x) { return std::abs(x); }},
      {"Ceil", [](float x) { return std::ceil(x); }},
      {"Exp", [](float x) { return std::exp(x); }},
      {"Floor", [](float x) { return std::floor(x); }},
      {"Log", [](float x) { return std::log(x); }},
      {"Neg", [](float x) { return -x; }},
      {"Reciprocal", [](float x) { return 1 / x; }},
      {"Relu", [](float x) { return std::max(x, 0.0F); }},
      {"Sqrt", [](float x) { return std::sqrt(x); }},
      {"Tanh", [](float x) { return std::tanh(x); }},
  };
  return table;
}

Result<Constant> fold_unary(const Fold& f) {
  Constant out = f.input(0);
  if (out.floating()) {
    for (float& number : out.floats) number = unaries().at(f.attributes().op_type)(number);
    return out;
  }
  if (!out.known()) return unsupported("it computes with a size that is not known");
  for (int64_t& number : out.integers) {
    if (f.attributes().op_type == "Neg" || (f.attributes().op_type == "Abs" && number < 0)) {
      if (__builtin_sub_overflow(int64_t{0}, number, &number)) {
        return invalid_argument("its integers overflow");
      }
    } else if (f.attributes().op_type != "Abs") {
      return unsupported("it is not folded for integers");
    }
  }
  return out;
}

}  // namespace

const Foldings& binary_foldings() {
  static const Foldings table = [] {
    Foldings all;
    for (const auto& [name, op] : binaries()) all.emplace(name, fold_binary);
    return all;
  }();
  return table;
}

const Foldings& unary_foldings() {
  static const Foldings table = [] {
    Foldings all;
    for (const auto& [name, op] : unaries()) all.emplace(name, fold_unary);
    return all;
  }();
  return table;
}

Result<Constant> fold_cast(const Fold& f) {
  STRATA_ASSIGN_OR_RETURN(
      const DataType type,
      data_type(static_cast<int32_t>(std::clamp<int64_t>(f.attributes().attribute_int("to", 0), -1,
                                                         std::numeric_limits<int32_t>::max()))));
  const Constant& in = f.input(0);
  Constant out;
  out.type = type;
  out.shape = in.shape;
  if (out.floating()) {
    if (!in.known()) return unsupported("it casts a size that is not known to a number");
    out.floats = in.floats;
    for (const int64_t integer : in.integers) out.floats.push_back(static_cast<float>(integer));
    return out;
  }
  out.integers = in.integers;
  out.symbols = in.symbols;
  for (const float number : in.floats) {
    constexpr float kLimit = 9.2e18F;
    const bool fits = number > -kLimit && number < kLimit;
    out.integers.push_back(fits ? static_cast<int64_t>(number) : 0);
  }
  if (type == DataType::kBool) {
    for (size_t i = 0; i < out.integers.size(); ++i) {
      const bool set = in.floating() ? in.floats[i] != 0 : in.integers[i] != 0;
      out.integers[i] = set ? 1 : 0;
    }
  }
  return out;
}

/// weight * scale, per tensor or along `axis`.
Result<Constant> fold_dequantize(const Fold& f) {
  const Constant& in = f.input(0);
  const Constant& scale = f.input(1);
  const Constant* zero = f.inputs.size() > 2 ? f.inputs[2] : nullptr;
  if (in.floating() || !scale.floating()) return invalid_argument("its operands have wrong types");
  if (f.attributes().attribute_int("block_size", 0) != 0) {
    return unsupported("quantisation in blocks is not supported");
  }
  Ints per_axis(in.shape.size(), 1);
  if (scale.element_count() != 1) {
    STRATA_ASSIGN_OR_RETURN(const size_t axis,
                            resolve_axis(f.attributes().attribute_int("axis", 1), in.shape.size()));
    per_axis[axis] = scale.element_count();
    if (per_axis[axis] != in.shape[axis]) {
      return invalid_argument("it has " + std::to_string(scale.element_count()) +
                              " scales for an axis of " + std::to_string(in.shape[axis]));
    }
  }
  if (zero != nullptr && (zero->floating() || zero->element_count() != scale.element_count())) {
    return invalid_argument("its zero points do not fit its scales");
  }
  STRATA_RETURN_IF_ERROR(f.scope.room_for(in.shape).status());
  Constant out;
  out.shape = in.shape;
  out.floats.reserve(in.integers.size());
  for (size_t i = 0; i < in.integers.size(); ++i) {
    const auto place =
        static_cast<size_t>(broadcast_source(static_cast<int64_t>(i), per_axis, in.shape));
    const int64_t offset = zero != nullptr ? zero->integers[place] : 0;
    out.floats.push_back(static_cast<float>(in.integers[i] - offset) * scale.floats[place]);
  }
  return out;
}

Result<Constant> fold_not(const Fold& f) {
  Constant out = f.input(0);
  if (out.type != DataType::kBool || !out.known()) {
    return invalid_argument("its operand must be a boolean");
  }
  for (int64_t& value : out.integers) value = value == 0 ? 1 : 0;
  return out;
}

Result<Constant> fold_reduce_product(const Fold& f) {
  const Constant& in = f.input(0);
  STRATA_ASSIGN_OR_RETURN(const auto axes, integers_of(f.scope, f.node, "axes", 1));
  if (in.shape.size() != 1 || in.floating()) return unsupported("only sizes are multiplied here");
  Constant out = integer_vector({1});
  out.type = in.type;
  if (f.attributes().attribute_int("keepdims", 1) == 0) out.shape.clear();
  if (!in.known()) {
    out.symbols = {kUnknown};
    return out;
  }
  for (const int64_t number : in.integers) {
    if (__builtin_mul_overflow(out.integers[0], number, out.integers.data())) {
      return invalid_argument("the product of its sizes overflows");
    }
  }
  return out;
}

}  // namespace strata::interop
