#include "naive_executor.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <limits>
#include <utility>

namespace strata::testing {
namespace {

using graph::Node;

int64_t count(const std::vector<int64_t>& shape) {
  int64_t product = 1;
  for (const int64_t size : shape) product *= size;
  return product;
}

/// Row-major access with any number of dimensions.
double& at(NaiveTensor& tensor, const std::vector<int64_t>& index) {
  int64_t flat = 0;
  for (size_t i = 0; i < index.size(); ++i) flat = flat * tensor.shape[i] + index[i];
  return tensor.data[static_cast<size_t>(flat)];
}
double at(const NaiveTensor& tensor, const std::vector<int64_t>& index) {
  return at(const_cast<NaiveTensor&>(tensor), index);
}

NaiveTensor make(std::vector<int64_t> shape) {
  NaiveTensor tensor{std::move(shape), {}};
  tensor.data.assign(static_cast<size_t>(count(tensor.shape)), 0.0);
  return tensor;
}

struct Axis {
  int64_t size, kernel, stride, dilation, begin, end, output;
};

Axis make_axis(const Node& node, size_t i, int64_t size, int64_t kernel) {
  const auto pads = node.attribute_ints("pads", {0, 0, 0, 0});
  Axis axis{size,
            kernel,
            node.attribute_ints("strides", {1, 1})[i],
            node.attribute_ints("dilations", {1, 1})[i],
            pads[i],
            pads[i + 2],
            0};
  const int64_t room = axis.size + axis.begin + axis.end - (axis.dilation * (axis.kernel - 1) + 1);
  axis.output = room / axis.stride + 1;
  if (node.attribute_int("ceil_mode", 0) != 0 && room % axis.stride != 0 &&
      axis.output * axis.stride < axis.size + axis.begin) {
    ++axis.output;
  }
  return axis;
}

NaiveTensor conv(const Node& node, const NaiveTensor& x, const NaiveTensor& w,
                 const NaiveTensor* bias) {
  const int64_t group = node.attribute_int("group", 1);
  const Axis rows = make_axis(node, 0, x.shape[2], w.shape[2]);
  const Axis columns = make_axis(node, 1, x.shape[3], w.shape[3]);
  NaiveTensor y = make({x.shape[0], w.shape[0], rows.output, columns.output});
  const int64_t per_group = w.shape[0] / group;
  for (int64_t o = 0; o < w.shape[0]; ++o) {
    for (int64_t c = 0; c < w.shape[1]; ++c) {
      for (int64_t ky = 0; ky < rows.kernel; ++ky) {
        for (int64_t kx = 0; kx < columns.kernel; ++kx) {
          const double weight = at(w, {o, c, ky, kx});
          if (weight == 0) continue;
          for (int64_t n = 0; n < x.shape[0]; ++n) {
            for (int64_t oy = 0; oy < rows.output; ++oy) {
              const int64_t iy = oy * rows.stride + ky * rows.dilation - rows.begin;
              if (iy < 0 || iy >= rows.size) continue;
              const int64_t channel = o / per_group * w.shape[1] + c;
              const double* from = &x.data[static_cast<size_t>(
                  ((n * x.shape[1] + channel) * x.shape[2] + iy) * x.shape[3])];
              double* to = &y.data[static_cast<size_t>(((n * y.shape[1] + o) * y.shape[2] + oy) *
                                                       y.shape[3])];
              for (int64_t ox = 0; ox < columns.output; ++ox) {
                const int64_t ix = ox * columns.stride + kx * columns.dilation - columns.begin;
                if (ix >= 0 && ix < columns.size) to[ox] += weight * from[ix];
              }
            }
          }
        }
      }
    }
  }
  const int64_t plane = rows.output * columns.output;
  for (size_t i = 0; bias != nullptr && i < y.data.size(); ++i) {
    const int64_t channel = static_cast<int64_t>(i) / plane % y.shape[1];
    y.data[i] += bias->data[static_cast<size_t>(channel)];
  }
  return y;
}

NaiveTensor pool(const Node& node, const NaiveTensor& x) {
  const auto kernel = node.attribute_ints("kernel_shape", {});
  const Axis rows = make_axis(node, 0, x.shape[2], kernel[0]);
  const Axis columns = make_axis(node, 1, x.shape[3], kernel[1]);
  const bool maximum = node.op_type == "MaxPool";
  const bool include_pad = node.attribute_int("count_include_pad", 0) != 0;
  NaiveTensor y = make({x.shape[0], x.shape[1], rows.output, columns.output});
  for (int64_t n = 0; n < x.shape[0]; ++n) {
    for (int64_t c = 0; c < x.shape[1]; ++c) {
      for (int64_t oy = 0; oy < rows.output; ++oy) {
        for (int64_t ox = 0; ox < columns.output; ++ox) {
          double sum = 0;
          double largest = -std::numeric_limits<double>::infinity();
          int64_t seen = 0;
          int64_t padded = 0;
          for (int64_t ky = 0; ky < rows.kernel; ++ky) {
            for (int64_t kx = 0; kx < columns.kernel; ++kx) {
              const int64_t iy = oy * rows.stride + ky - rows.begin;
              const int64_t ix = ox * columns.stride + kx - columns.begin;
              if (iy < rows.size + rows.end && ix < columns.size + columns.end) ++padded;
              if (iy < 0 || ix < 0 || iy >= rows.size || ix >= columns.size) continue;
              ++seen;
              sum += at(x, {n, c, iy, ix});
              largest = std::max(largest, at(x, {n, c, iy, ix}));
            }
          }
          const auto divisor = static_cast<double>(include_pad ? padded : seen);
          at(y, {n, c, oy, ox}) = maximum ? largest : sum / divisor;
        }
      }
    }
  }
  return y;
}

NaiveTensor global_average(const NaiveTensor& x) {
  NaiveTensor y = make({x.shape[0], x.shape[1], 1, 1});
  const size_t plane = static_cast<size_t>(x.shape[2] * x.shape[3]);
  for (size_t i = 0; i < x.data.size(); ++i) {
    y.data[i / plane] += x.data[i] / static_cast<double>(plane);
  }
  return y;
}

NaiveTensor batch_norm(const Node& node, const NaiveTensor& x, const NaiveTensor& scale,
                       const NaiveTensor& shift, const NaiveTensor& mean,
                       const NaiveTensor& variance) {
  NaiveTensor y = x;
  const int64_t plane = count(x.shape) / x.shape[0] / x.shape[1];
  const double epsilon = node.attribute_float("epsilon", 1e-5F);
  for (size_t i = 0; i < y.data.size(); ++i) {
    const auto c = static_cast<size_t>(static_cast<int64_t>(i) / plane % x.shape[1]);
    y.data[i] = (x.data[i] - mean.data[c]) / std::sqrt(variance.data[c] + epsilon) * scale.data[c] +
                shift.data[c];
  }
  return y;
}

NaiveTensor gemm(const Node& node, const NaiveTensor& a, const NaiveTensor& b,
                 const NaiveTensor* bias) {
  const bool transposed = node.attribute_int("transB", 0) != 0;
  const double alpha = node.attribute_float("alpha", 1);
  const double beta = node.attribute_float("beta", 1);
  const int64_t outputs = b.shape[transposed ? 0 : 1];
  NaiveTensor y = make({a.shape[0], outputs});
  for (int64_t n = 0; n < a.shape[0]; ++n) {
    for (int64_t o = 0; o < outputs; ++o) {
      double sum = 0;
      for (int64_t k = 0; k < a.shape[1]; ++k) {
        sum += at(a, {n, k}) * (transposed ? at(b, {o, k}) : at(b, {k, o}));
      }
      at(y, {n, o}) =
          alpha * sum + (bias == nullptr ? 0 : beta * bias->data[static_cast<size_t>(o)]);
    }
  }
  return y;
}

/// Products of matrices: of every list of rows with one matrix, or pair by pair.
NaiveTensor mat_mul(const NaiveTensor& a, const NaiveTensor& b) {
  NaiveTensor y{a.shape, {}};
  y.shape.back() = b.shape.back();
  const int64_t rows = a.shape[a.shape.size() - 2];
  const int64_t inner = a.shape.back();
  const int64_t columns = b.shape.back();
  for (int64_t row = 0; row < count(a.shape) / inner; ++row) {
    const int64_t matrix = b.shape.size() == 2 ? 0 : row / rows;
    for (int64_t column = 0; column < columns; ++column) {
      double sum = 0;
      for (int64_t k = 0; k < inner; ++k) {
        sum += a.data[static_cast<size_t>(row * inner + k)] *
               b.data[static_cast<size_t>((matrix * inner + k) * columns + column)];
      }
      y.data.push_back(sum);
    }
  }
  return y;
}

NaiveTensor pad(const Node& node, const NaiveTensor& x) {
  const auto pads = node.attribute_ints("pads", {});
  std::vector<int64_t> shape = x.shape;
  for (size_t i = 0; i < shape.size(); ++i) shape[i] += pads[i] + pads[i + shape.size()];
  NaiveTensor y = make(shape);
  for (size_t flat = 0; flat < x.data.size(); ++flat) {
    std::vector<int64_t> index(x.shape.size());
    auto rest = static_cast<int64_t>(flat);
    for (size_t i = index.size(); i-- > 0; rest /= x.shape[i]) {
      index[i] = rest % x.shape[i] + pads[i];
    }
    at(y, index) = x.data[flat];
  }
  return y;
}

NaiveTensor constant(const graph::Constant& from);

NaiveTensor parameter(const sparse::NestedModel& nested, const std::string& name, int level) {
  if (const graph::Constant* found = nested.model.find_constant(name); found != nullptr) {
    return constant(*found);
  }
  const graph::Parameter* found = nested.model.find_parameter(name);
  if (found == nullptr) {
    std::fprintf(stderr, "no value '%s'\n", name.c_str());
    std::abort();
  }
  const std::vector<float> values =
      found->role == graph::ParameterRole::kWeight
          ? sparse::densify(nested.weights.find(name)->second, level)
          : nested.vectors[static_cast<size_t>(level)].find(name)->second;
  return {found->shape, std::vector<double>(values.begin(), values.end())};
}

NaiveTensor constant(const graph::Constant& from) {
  const std::vector<int64_t> values = from.integers().value();
  return {from.shape, std::vector<double>(values.begin(), values.end())};
}

NaiveTensor reshape(const NaiveTensor& x, const NaiveTensor& sizes) {
  NaiveTensor y = x;
  y.shape.clear();
  int64_t known = 1;
  for (size_t i = 0; i < sizes.data.size(); ++i) {
    y.shape.push_back(sizes.data[i] == 0 ? x.shape[i] : static_cast<int64_t>(sizes.data[i]));
    if (y.shape.back() > 0) known *= y.shape.back();
  }
  for (int64_t& size : y.shape) {
    if (size < 0) size = count(x.shape) / known;
  }
  return y;
}

NaiveTensor transpose(const Node& node, const NaiveTensor& x) {
  const std::vector<int64_t> order = node.attribute_ints("perm", {});
  NaiveTensor y{{}, std::vector<double>(x.data.size())};
  for (const int64_t axis : order) y.shape.push_back(x.shape[static_cast<size_t>(axis)]);
  for (int64_t i = 0; i < count(y.shape); ++i) {
    std::vector<int64_t> place(order.size());
    int64_t rest = i;
    for (size_t axis = order.size(); axis-- > 0;) {
      place[static_cast<size_t>(order[axis])] = rest % y.shape[axis];
      rest /= y.shape[axis];
    }
    int64_t from = 0;
    for (size_t axis = 0; axis < place.size(); ++axis) from = from * x.shape[axis] + place[axis];
    y.data[static_cast<size_t>(i)] = x.data[static_cast<size_t>(from)];
  }
  return y;
}

/// Along the last axis.
NaiveTensor concat(const std::vector<NaiveTensor>& in) {
  NaiveTensor y{in[0].shape, {}};
  y.shape.back() = 0;
  for (const NaiveTensor& x : in) y.shape.back() += x.shape.back();
  for (int64_t row = 0; row < count(in[0].shape) / in[0].shape.back(); ++row) {
    for (const NaiveTensor& x : in) {
      const auto begin = x.data.begin() + row * x.shape.back();
      y.data.insert(y.data.end(), begin, begin + x.shape.back());
    }
  }
  return y;
}

/// Along the last axis.
NaiveTensor softmax(NaiveTensor x) {
  const int64_t size = x.shape.back();
  for (int64_t row = 0; row < count(x.shape) / size; ++row) {
    double* values = x.data.data() + row * size;
    const double largest = *std::max_element(values, values + size);
    double sum = 0;
    for (int64_t i = 0; i < size; ++i) sum += values[i] = std::exp(values[i] - largest);
    for (int64_t i = 0; i < size; ++i) values[i] /= sum;
  }
  return x;
}

/// With numpy's broadcasting.
template <typename Function>
NaiveTensor combine(const NaiveTensor& a, const NaiveTensor& b, const Function& function) {
  const size_t rank = std::max(a.shape.size(), b.shape.size());
  const auto size = [rank](const NaiveTensor& x, size_t axis) {
    const size_t missing = rank - x.shape.size();
    return axis < missing ? 1 : x.shape[axis - missing];
  };
  NaiveTensor y;
  for (size_t axis = 0; axis < rank; ++axis) {
    y.shape.push_back(std::max(size(a, axis), size(b, axis)));
  }
  for (int64_t i = 0; i < count(y.shape); ++i) {
    std::array<int64_t, 2> from = {0, 0};
    std::array<int64_t, 2> stride = {1, 1};
    int64_t rest = i;
    for (size_t axis = rank; axis-- > 0;) {
      const int64_t place = rest % y.shape[axis];
      rest /= y.shape[axis];
      for (size_t k = 0; k < 2; ++k) {
        const int64_t own = size(k == 0 ? a : b, axis);
        from[k] += own == 1 ? 0 : place * stride[k];
        stride[k] *= own;
      }
    }
    y.data.push_back(
        function(a.data[static_cast<size_t>(from[0])], b.data[static_cast<size_t>(from[1])]));
  }
  return y;
}

NaiveTensor apply_node(const Node& node, const std::vector<NaiveTensor>& in) {
  const NaiveTensor* third = in.size() > 2 ? &in[2] : nullptr;
  if (node.op_type == "Conv") return conv(node, in[0], in[1], third);
  if (node.op_type == "Gemm") return gemm(node, in[0], in[1], third);
  if (node.op_type == "MatMul") return mat_mul(in[0], in[1]);
  if (node.op_type == "MaxPool" || node.op_type == "AveragePool") return pool(node, in[0]);
  if (node.op_type == "GlobalAveragePool") return global_average(in[0]);
  if (node.op_type == "BatchNormalization") {
    return batch_norm(node, in[0], in[1], in[2], in[3], in[4]);
  }
  if (node.op_type == "Pad") return pad(node, in[0]);
  if (node.op_type == "Reshape") return reshape(in[0], in[1]);
  if (node.op_type == "Transpose") return transpose(node, in[0]);
  if (node.op_type == "Concat") return concat(in);
  if (node.op_type == "Softmax") return softmax(in[0]);
  if (node.op_type == "Add") return combine(in[0], in[1], std::plus<>());
  if (node.op_type == "Mul") return combine(in[0], in[1], std::multiplies<>());
  NaiveTensor y = in[0];
  if (node.op_type == "Flatten") {
    y.shape = {y.shape[0], count(y.shape) / y.shape[0]};
  } else if (node.op_type == "Relu") {
    for (double& value : y.data) value = std::max(value, 0.0);
  } else if (node.op_type != "Identity") {
    std::fprintf(stderr, "no operator '%s'\n", node.op_type.c_str());
    std::abort();
  }
  return y;
}

}  // namespace

std::map<std::string, NaiveTensor> run_naively(const sparse::NestedModel& nested,
                                               const graph::Graph& graph,
                                               std::map<std::string, NaiveTensor> inputs,
                                               const LevelOfNode& level_of_node) {
  std::map<std::string, NaiveTensor> values = std::move(inputs);
  for (const Node& node : graph.nodes) {
    std::vector<NaiveTensor> in;
    for (const std::string& name : node.inputs) {
      if (name.empty()) continue;
      const auto found = values.find(name);
      in.push_back(found != values.end() ? found->second
                                         : parameter(nested, name, level_of_node(node)));
    }
    values[node.outputs[0]] = apply_node(node, in);
  }
  return values;
}

}  // namespace strata::testing
