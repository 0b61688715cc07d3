// See general_operators.h.
#include "train/torch/general_operators.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <optional>

#include "train/error.h"
#include "train/torch/tensors.h"

namespace strata::train {
namespace {

using Arguments = std::vector<at::Tensor>;
using Constants = std::span<const graph::Constant* const>;
using Ints = std::vector<int64_t>;

[[noreturn]] void fail(const graph::Node& node, const std::string& reason) {
  throw Error("node '" + node.name + "' (" + node.op_type + ") cannot be trained: " + reason);
}

std::optional<Ints> integers_at(Constants constants, size_t index) {
  if (index >= constants.size() || constants[index] == nullptr) return std::nullopt;
  return constants[index]->integers();
}

Ints required_integers(const graph::Node& node, Constants constants, size_t index) {
  std::optional<Ints> values = integers_at(constants, index);
  if (!values) fail(node, "its input " + std::to_string(index) + " must be constant integers");
  return *std::move(values);
}

template <at::Tensor (*kFunction)(const at::Tensor&)>
OperatorKernel unary(const graph::Node& /*node*/, Constants /*constants*/) {
  return [](Arguments& in, const Pass&) { return kFunction(in[0]); };
}

template <at::Tensor (*kFunction)(const at::Tensor&, const at::Tensor&)>
OperatorKernel binary(const graph::Node& /*node*/, Constants /*constants*/) {
  return [](Arguments& in, const Pass&) { return kFunction(in[0], in[1]); };
}

at::Tensor divide(const at::Tensor& a, const at::Tensor& b) {
  return at::isIntegralType(a.scalar_type(), true) ? at::div(a, b, "trunc") : at::div(a, b);
}
at::Tensor subtract(const at::Tensor& a, const at::Tensor& b) { return at::sub(a, b); }
at::Tensor prelu(const at::Tensor& a, const at::Tensor& slope) {
  return at::where(a < 0, a * slope, a);
}

OperatorKernel make_cast(const graph::Node& node, Constants /*constants*/) {
  const auto to = static_cast<graph::DataType>(node.attribute_int("to", 0));
  if (graph::element_size(to) == 0) fail(node, "attribute 'to' is not known");
  const at::ScalarType type = scalar_type(to);
  return [=](Arguments& in, const Pass&) { return in[0].to(type); };
}

OperatorKernel make_clip(const graph::Node& /*node*/, Constants /*constants*/) {
  return [](Arguments& in, const Pass&) {
    at::Tensor out = in[0];
    if (in.size() > 1 && in[1].defined()) out = at::maximum(out, in[1]);
    if (in.size() > 2 && in[2].defined()) out = at::minimum(out, in[2]);
    return out;
  };
}

OperatorKernel make_elu(const graph::Node& node, Constants /*constants*/) {
  const double alpha = node.attribute_float("alpha", 1);
  return [=](Arguments& in, const Pass&) { return at::elu(in[0], alpha); };
}

OperatorKernel make_selu(const graph::Node& node, Constants /*constants*/) {
  const double alpha = node.attribute_float("alpha", 1.67326319217681884765625F);
  const double gamma = node.attribute_float("gamma", 1.05070102214813232421875F);
  return [=](Arguments& in, const Pass&) { return at::elu(in[0], alpha, gamma); };
}

OperatorKernel make_hard_sigmoid(const graph::Node& node, Constants /*constants*/) {
  const double alpha = node.attribute_float("alpha", 0.2F);
  const double beta = node.attribute_float("beta", 0.5F);
  return [=](Arguments& in, const Pass&) { return (in[0] * alpha + beta).clamp(0, 1); };
}

OperatorKernel make_leaky_relu(const graph::Node& node, Constants /*constants*/) {
  const double alpha = node.attribute_float("alpha", 0.01F);
  return [=](Arguments& in, const Pass&) { return at::leaky_relu(in[0], alpha); };
}

OperatorKernel make_thresholded_relu(const graph::Node& node, Constants /*constants*/) {
  const double alpha = node.attribute_float("alpha", 1);
  return [=](Arguments& in, const Pass&) { return at::threshold(in[0], alpha, 0); };
}

at::Tensor softplus(const at::Tensor& x) { return at::softplus(x); }
at::Tensor softsign(const at::Tensor& x) { return x / (1 + x.abs()); }
at::Tensor not_of(const at::Tensor& x) { return at::logical_not(x); }

// Reductions.

/// The axes of a reduction, or all that there are.
Ints axes_of(const std::optional<Ints>& axes, const at::Tensor& input) {
  if (axes) return *axes;
  Ints all(static_cast<size_t>(input.dim()));
  std::iota(all.begin(), all.end(), 0);
  return all;
}

using Reduction = at::Tensor (*)(const at::Tensor&, const Ints&, bool);

at::Tensor sum_of(const at::Tensor& x, const Ints& axes, bool keep) { return x.sum(axes, keep); }
at::Tensor mean_of(const at::Tensor& x, const Ints& axes, bool keep) { return x.mean(axes, keep); }
at::Tensor largest_of(const at::Tensor& x, const Ints& axes, bool keep) {
  return x.amax(axes, keep);
}
at::Tensor least_of(const at::Tensor& x, const Ints& axes, bool keep) { return x.amin(axes, keep); }
at::Tensor absolute_sum(const at::Tensor& x, const Ints& axes, bool keep) {
  return x.abs().sum(axes, keep);
}
at::Tensor square_sum(const at::Tensor& x, const Ints& axes, bool keep) {
  return x.square().sum(axes, keep);
}
at::Tensor norm_of(const at::Tensor& x, const Ints& axes, bool keep) {
  return square_sum(x, axes, keep).sqrt();
}
at::Tensor log_sum(const at::Tensor& x, const Ints& axes, bool keep) {
  return x.sum(axes, keep).log();
}
at::Tensor log_sum_exp(const at::Tensor& x, const Ints& axes, bool keep) {
  return x.logsumexp(axes, keep);
}
at::Tensor product_of(const at::Tensor& x, const Ints& axes, bool keep) {
  Ints ordered = axes;
  for (int64_t& axis : ordered) axis += axis < 0 ? x.dim() : 0;
  std::sort(ordered.rbegin(), ordered.rend());  // the last axis first, so that numbers stay right
  at::Tensor out = x;
  for (const int64_t axis : ordered) out = out.prod(axis, keep);
  return out;
}

template <Reduction kReduction>
OperatorKernel reduce(const graph::Node& node, Constants /*constants*/) {
  std::optional<Ints> axes;
  if (node.attributes.contains("axes")) axes = node.attribute_ints("axes", {});
  const bool keep = node.attribute_int("keepdims", 1) != 0;
  return [=](Arguments& in, const Pass&) {
    const Ints reduced = axes_of(axes, in[0]);
    return reduced.empty() ? in[0] : kReduction(in[0], reduced, keep);
  };
}

template <bool kLargest>
OperatorKernel arg(const graph::Node& node, Constants /*constants*/) {
  const int64_t axis = node.attribute_int("axis", 0);
  const bool keep = node.attribute_int("keepdims", 1) != 0;
  const bool last = node.attribute_int("select_last_index", 0) != 0;
  return [=](Arguments& in, const Pass&) {
    const at::Tensor x = last ? in[0].flip({axis}) : in[0];
    const at::Tensor found = kLargest ? x.argmax(axis, keep) : x.argmin(axis, keep);
    return last ? in[0].size(axis) - 1 - found : found;
  };
}

// Selections.

OperatorKernel make_expand(const graph::Node& node, Constants constants) {
  const Ints target = required_integers(node, constants, 1);
  return [=](Arguments& in, const Pass&) { return in[0] * at::ones(target, in[0].options()); };
}

OperatorKernel make_gather(const graph::Node& node, Constants /*constants*/) {
  const int64_t axis = node.attribute_int("axis", 0);
  return [=](Arguments& in, const Pass&) {
    const int64_t place = axis < 0 ? axis + in[0].dim() : axis;
    at::Tensor indices = in[1].to(at::kLong);
    indices = at::where(indices < 0, indices + in[0].size(place), indices);
    Ints shape(in[0].sizes().begin(), in[0].sizes().begin() + place);
    shape.insert(shape.end(), in[1].sizes().begin(), in[1].sizes().end());
    shape.insert(shape.end(), in[0].sizes().begin() + place + 1, in[0].sizes().end());
    return in[0].index_select(place, indices.flatten()).reshape(shape);
  };
}

OperatorKernel make_slice(const graph::Node& node, Constants constants) {
  const Ints starts = required_integers(node, constants, 1);
  const Ints ends = required_integers(node, constants, 2);
  const std::optional<Ints> axes = integers_at(constants, 3);
  const std::optional<Ints> steps = integers_at(constants, 4);
  return [=](Arguments& in, const Pass&) {
    at::Tensor out = in[0];
    for (size_t i = 0; i < starts.size(); ++i) {
      const int64_t axis = axes ? (*axes)[i] : static_cast<int64_t>(i);
      const int64_t step = steps ? (*steps)[i] : 1;
      if (step > 0) {
        out = out.slice(axis, starts[i], ends[i], step);
        continue;
      }
      // libtorch steps forward only: count the places, and pick them.
      const int64_t size = in[0].size(axis);
      const auto place = [&](int64_t at) { return at < 0 ? std::max(at, -size - 1) + size : at; };
      const int64_t start = std::clamp<int64_t>(place(starts[i]), 0, size - 1);
      const int64_t end = std::clamp<int64_t>(place(ends[i]), -1, size - 1);
      Ints places;
      for (int64_t at = start; at > end; at += step) places.push_back(at);
      out = out.index_select(axis, at::tensor(places, at::kLong).to(out.device()));
    }
    return out;
  };
}

OperatorKernel make_split(const graph::Node& node, Constants constants) {
  const Ints sizes = required_integers(node, constants, 1);
  const int64_t axis = node.attribute_int("axis", 0);
  return [=](Arguments& in, const Pass&) { return at::split_with_sizes(in[0], sizes, axis); };
}

OperatorKernel make_where(const graph::Node& /*node*/, Constants /*constants*/) {
  return [](Arguments& in, const Pass&) { return at::where(in[0], in[1], in[2]); };
}

// Normalisation of rows.

OperatorKernel make_layer_normalization(const graph::Node& node, Constants /*constants*/) {
  const int64_t axis = node.attribute_int("axis", -1);
  const double epsilon = node.attribute_float("epsilon", 1e-5F);
  return [=](Arguments& in, const Pass&) {
    const int64_t first = axis < 0 ? axis + in[0].dim() : axis;
    return at::layer_norm(in[0], in[0].sizes().slice(static_cast<size_t>(first)), in[1],
                          in.size() > 2 ? in[2] : at::Tensor(), epsilon, /*cudnn_enable=*/false);
  };
}

OperatorKernel make_instance_normalization(const graph::Node& node, Constants /*constants*/) {
  const double epsilon = node.attribute_float("epsilon", 1e-5F);
  return [=](Arguments& in, const Pass&) {
    return at::instance_norm(in[0], in[1], in[2], {}, {}, /*use_input_stats=*/true, 0, epsilon,
                             /*cudnn_enabled=*/false);
  };
}

/// Sums squares over neighbouring channels as the difference of two running sums.
OperatorKernel make_lrn(const graph::Node& node, Constants /*constants*/) {
  const int64_t size = node.attribute_int("size", 1);
  const double alpha = node.attribute_float("alpha", 1e-4F);
  const double beta = node.attribute_float("beta", 0.75F);
  const double bias = node.attribute_float("bias", 1);
  return [=](Arguments& in, const Pass&) {
    const int64_t channels = in[0].size(1);
    const at::Tensor squares = in[0].square();
    at::Tensor sum = at::zeros_like(squares);
    for (int64_t shift = -((size - 1) / 2); shift <= size / 2; ++shift) {
      const int64_t first = std::max<int64_t>(0, -shift);
      const int64_t count = channels - std::abs(shift);
      if (count <= 0) continue;
      std::vector<at::Tensor> parts;
      Ints shape = squares.sizes().vec();
      const auto zeros = [&](int64_t width) {
        shape[1] = width;
        parts.push_back(at::zeros(shape, squares.options()));
      };
      if (first > 0) zeros(first);
      parts.push_back(squares.narrow(1, first + shift, count));
      if (first + count < channels) zeros(channels - first - count);
      sum = sum + at::cat(parts, 1);
    }
    return in[0] / (bias + alpha / static_cast<double>(size) * sum).pow(beta);
  };
}

OperatorKernel make_log_softmax(const graph::Node& node, Constants /*constants*/) {
  const int64_t axis = node.attribute_int("axis", -1);
  return [=](Arguments& in, const Pass&) { return at::log_softmax(in[0], axis); };
}

}  // namespace

const std::map<std::string, OperatorFactory, std::less<>>& general_operators() {
  static const std::map<std::string, OperatorFactory, std::less<>> kTable = {
      {"Abs", unary<at::abs>},
      {"And", binary<at::logical_and>},
      {"ArgMax", arg<true>},
      {"ArgMin", arg<false>},
      {"Cast", make_cast},
      {"Ceil", unary<at::ceil>},
      {"Clip", make_clip},
      {"Cos", unary<at::cos>},
      {"Div", binary<divide>},
      {"Elu", make_elu},
      {"Equal", binary<at::eq>},
      {"Erf", unary<at::erf>},
      {"Exp", unary<at::exp>},
      {"Expand", make_expand},
      {"Floor", unary<at::floor>},
      {"Gather", make_gather},
      {"Greater", binary<at::gt>},
      {"GreaterOrEqual", binary<at::ge>},
      {"HardSigmoid", make_hard_sigmoid},
      {"InstanceNormalization", make_instance_normalization},
      {"LRN", make_lrn},
      {"LayerNormalization", make_layer_normalization},
      {"LeakyRelu", make_leaky_relu},
      {"Less", binary<at::lt>},
      {"LessOrEqual", binary<at::le>},
      {"Log", unary<at::log>},
      {"LogSoftmax", make_log_softmax},
      {"Max", binary<at::maximum>},
      {"Min", binary<at::minimum>},
      {"Neg", unary<at::neg>},
      {"Not", unary<not_of>},
      {"Or", binary<at::logical_or>},
      {"PRelu", binary<prelu>},
      {"Pow", binary<at::pow>},
      {"Reciprocal", unary<at::reciprocal>},
      {"ReduceL1", reduce<absolute_sum>},
      {"ReduceL2", reduce<norm_of>},
      {"ReduceLogSum", reduce<log_sum>},
      {"ReduceLogSumExp", reduce<log_sum_exp>},
      {"ReduceMax", reduce<largest_of>},
      {"ReduceMean", reduce<mean_of>},
      {"ReduceMin", reduce<least_of>},
      {"ReduceProd", reduce<product_of>},
      {"ReduceSum", reduce<sum_of>},
      {"ReduceSumSquare", reduce<square_sum>},
      {"Round", unary<at::round>},
      {"Selu", make_selu},
      {"Sigmoid", unary<at::sigmoid>},
      {"Sign", unary<at::sign>},
      {"Sin", unary<at::sin>},
      {"Slice", make_slice},
      {"Softplus", unary<softplus>},
      {"Softsign", unary<softsign>},
      {"Split", make_split},
      {"Sqrt", unary<at::sqrt>},
      {"Sub", binary<subtract>},
      {"Tanh", unary<at::tanh>},
      {"ThresholdedRelu", make_thresholded_relu},
      {"Where", make_where},
      {"Xor", binary<at::logical_xor>},
  };
  return kTable;
}

}  // namespace strata::train
