// Recurrent layers over sequences, one or both ways: LSTM (Hochreiter and Schmidhuber 1997, without
// peepholes) and GRU (Cho et al. 2014), as in ONNX with its default activations and layout 0.
#include <cstdint>
#include <string>
#include <utility>

#include "graph/inference.h"

namespace strata::graph {
namespace {

/// Inputs of both operators; initial_c is the LSTM's alone.
enum RecurrentInput : size_t { kX, kW, kR, kB, kSequenceLens, kInitialH, kInitialC };

/// Where two sizes that must agree do not, as far as they are known.
Status check_dim(const Dim& dim, const Dim& expected, const std::string& what,
                 std::string_view unit) {
  if (!dim.known() || !expected.known() || dim == expected) return {};
  return invalid_argument(what + " has " + std::to_string(dim.value()) + " " + std::string(unit) +
                          ", expected " + std::to_string(expected.value()));
}

/// A float32 tensor [directions, a, b].
Status check_operand(const NodeInputs& in, size_t index, const Shape& expected,
                     const std::string& what) {
  const Shape& shape = in.shape(index);
  STRATA_RETURN_IF_ERROR(check_rank(shape, expected.size(), what));
  for (size_t axis = 0; axis < shape.size(); ++axis) {
    if (shape[axis].known() && expected[axis].known() && shape[axis] != expected[axis]) {
      return invalid_argument(what + " has shape " + to_string(shape) + ", expected " +
                              to_string(expected));
    }
  }
  return {};
}

Status check_types(const NodeInputs& in) {
  for (size_t i = 0; i < in.values.size(); ++i) {
    if (!in.has(i)) continue;
    const bool lengths = i == kSequenceLens;
    if (in.type(i) != (lengths ? DataType::kInt32 : DataType::kFloat32)) {
      return invalid_argument("input " + std::to_string(i) + " must be of type " +
                              (lengths ? "int32" : "float32"));
    }
  }
  return {};
}

Result<TensorTypes> infer_recurrent(const NodeInputs& in, int64_t gates) {
  const std::string direction = in.node.attribute_string("direction", "forward");
  if (direction != "forward" && direction != "reverse" && direction != "bidirectional") {
    return invalid_argument("attribute 'direction' is " + quoted(direction) +
                            ", it must be 'forward', 'reverse' or 'bidirectional'");
  }
  STRATA_RETURN_IF_ERROR(check_types(in));
  STRATA_RETURN_IF_ERROR(check_rank(in.shape(kX), 3, "input"));
  STRATA_RETURN_IF_ERROR(check_rank(in.shape(kW), 3, "the weight W"));
  STRATA_RETURN_IF_ERROR(check_rank(in.shape(kR), 3, "the weight R"));
  const Dim& time = in.shape(kX)[0];
  const Dim& batch = in.shape(kX)[1];
  const Dim directions(direction == "bidirectional" ? 2 : 1);
  const Dim& hidden = in.shape(kR)[2];
  const int64_t declared = in.node.attribute_int("hidden_size", 0);
  if (declared != 0) {
    STRATA_RETURN_IF_ERROR(check_dim(hidden, Dim(declared), "the weight R", "hidden units"));
  }
  const auto times_hidden = [&](int64_t count) {
    return hidden.known() ? Dim(count * hidden.value()) : Dim();
  };
  if (in.shape(kW)[2].known() && in.shape(kX)[2].known() && in.shape(kW)[2] != in.shape(kX)[2]) {
    return invalid_argument("input has " + std::to_string(in.shape(kX)[2].value()) +
                            " features, the weight W expects " +
                            std::to_string(in.shape(kW)[2].value()));
  }
  STRATA_RETURN_IF_ERROR(
      check_operand(in, kW, {directions, times_hidden(gates), Dim()}, "the weight W"));
  STRATA_RETURN_IF_ERROR(
      check_operand(in, kR, {directions, times_hidden(gates), hidden}, "the weight R"));
  if (in.has(kB)) {
    STRATA_RETURN_IF_ERROR(
        check_operand(in, kB, {directions, times_hidden(2 * gates)}, "the bias B"));
  }
  if (in.has(kSequenceLens)) {
    STRATA_RETURN_IF_ERROR(check_operand(in, kSequenceLens, {batch}, "sequence_lens"));
  }
  for (const size_t i : {kInitialH, kInitialC}) {
    if (!in.has(i)) continue;
    STRATA_RETURN_IF_ERROR(check_operand(in, i, {directions, batch, hidden},
                                         i == kInitialH ? "initial_h" : "initial_c"));
  }
  const Shape state = {directions, batch, hidden};
  TensorTypes outputs = {{DataType::kFloat32, {time, directions, batch, hidden}},
                         {DataType::kFloat32, state}};
  if (in.node.op_type == "LSTM") outputs.push_back({DataType::kFloat32, state});
  return outputs;
}

Result<TensorTypes> infer_lstm(const NodeInputs& in) { return infer_recurrent(in, 4); }
Result<TensorTypes> infer_gru(const NodeInputs& in) { return infer_recurrent(in, 3); }

/// Every element of a weight meets each step of each sequence once; sequences that end early are
/// not known here.
int64_t recurrent_uses(const NodeInputs& in, const TensorTypes& /*outputs*/, size_t index) {
  if (index != kW && index != kR) return 0;
  const Shape& input = in.shape(kX);
  int64_t uses = 0;
  if (!input[0].known() || !input[1].known() ||
      __builtin_mul_overflow(input[0].value(), input[1].value(), &uses)) {
    return -1;
  }
  return uses;
}

}  // namespace

std::vector<Operator> recurrent_operators() {
  using Kind = AttributeKind;
  return {
      {"",
       "GRU",
       3,
       6,
       2,
       TypeRule::kAny,
       {{"direction", Kind::kString},
        {"hidden_size", Kind::kInt},
        {"linear_before_reset", Kind::kInt}},
       infer_gru,
       recurrent_uses},
      {"",
       "LSTM",
       3,
       7,
       3,
       TypeRule::kAny,
       {{"direction", Kind::kString}, {"hidden_size", Kind::kInt}},
       infer_lstm,
       recurrent_uses},
  };
}

}  // namespace strata::graph
