// See small_transformer.h. Which opset moved what: Slice's places to inputs (10), Squeeze's axes
// (13), ReduceMean's axes (18); Erf and Where came with 9, LayerNormalization with 17, Gelu
// with 20.
#include "small_transformer.h"

#include <algorithm>
#include <cmath>
#include <functional>

namespace strata::interop::testing {
namespace {

using Ints = std::vector<int64_t>;

constexpr float kEpsilon = 1e-5F;
constexpr float kMasked = -1e4F;
constexpr double kPi = 3.14159265358979323846;

}  // namespace

SmallTransformer::SmallTransformer(int64_t opset) : opset_(opset), model_(opset) {
  model_.input("tokens", {-1, kTime}, onnx::TensorProto::INT64).output("scores");
  const std::string table = weight("embedding", {kTokens, kWidth}, 1.0F);
  std::string x = add("Gather", {table, "tokens"});
  x = add("Add", {x, weight("position", {1, kTime, kWidth}, 0.5F)});
  x = add("Add", {x, attention(layer_norm("norm1", x), mask())});
  std::string y = linear("up", layer_norm("norm2", x), kWidth, kHidden);
  x = add("Add", {x, linear("down", gelu(y), kHidden, kWidth)});
  x = layer_norm("norm3", x);
  if (opset_ >= 10) {
    x = add("Slice", {x, integers({0}), integers({1}), integers({1})});
  } else {
    x = add("Slice", {x});
    set(last(), "starts", Ints{0});
    set(last(), "ends", Ints{1});
    set(last(), "axes", Ints{1});
  }
  x = with_axes("Squeeze", x, 1, 13);
  x = linear("classifier", x, kWidth, kClasses);
  model_.node("Identity", {x}, {"scores"});
}

std::string SmallTransformer::add(const std::string& op_type,
                                  const std::vector<std::string>& inputs) {
  std::string name = op_type + std::to_string(count_++);
  model_.node(op_type, inputs, {name});
  return name;
}

std::string SmallTransformer::weight(const std::string& name, const Ints& shape, float scale) {
  int64_t count = 1;
  for (const int64_t size : shape) count *= size;
  auto state = static_cast<uint32_t>(std::hash<std::string>()(name));
  std::vector<float>& values = weights_[name];
  for (int64_t i = 0; i < count; ++i) {
    state = state * 1664525U + 1013904223U;
    values.push_back(scale * (static_cast<float>(state >> 8) / static_cast<float>(1 << 23) - 1));
  }
  model_.floats(name, shape, values);
  return name;
}

std::string SmallTransformer::number(float value) {
  std::string name = "number" + std::to_string(count_++);
  model_.floats(name, {}, {value});
  return name;
}

std::string SmallTransformer::integers(const Ints& values) {
  std::string name = "integers" + std::to_string(count_++);
  model_.integers(name, values);
  return name;
}

std::string SmallTransformer::with_axes(const std::string& op_type, const std::string& value,
                                        int64_t axis, int64_t opset_of_input) {
  if (opset_ >= opset_of_input) return add(op_type, {value, integers({axis})});
  std::string made = add(op_type, {value});
  set(last(), "axes", Ints{axis});
  return made;
}

std::string SmallTransformer::transposed(const std::string& value, const Ints& order) {
  std::string made = add("Transpose", {value});
  set(last(), "perm", order);
  return made;
}

std::string SmallTransformer::linear(const std::string& name, const std::string& value, int64_t in,
                                     int64_t out) {
  const float scale = 1.5F / std::sqrt(static_cast<float>(in));
  const std::string product = add("MatMul", {value, weight(name + ".weight", {in, out}, scale)});
  return add("Add", {product, weight(name + ".bias", {out}, 0.2F)});
}

std::string SmallTransformer::layer_norm(const std::string& name, const std::string& value) {
  const std::string scale = weight(name + ".scale", {kWidth}, 1.0F);
  const std::string shift = weight(name + ".shift", {kWidth}, 0.2F);
  if (opset_ >= 17) {
    std::string made = add("LayerNormalization", {value, scale, shift});
    set(last(), "epsilon", kEpsilon);
    return made;
  }
  const std::string centred = add("Sub", {value, with_axes("ReduceMean", value, -1, 18)});
  const std::string square = add("Pow", {centred, number(2)});
  const std::string variance =
      add("Add", {with_axes("ReduceMean", square, -1, 18), number(kEpsilon)});
  const std::string normal = add("Div", {centred, add("Sqrt", {variance})});
  return add("Add", {add("Mul", {normal, scale}), shift});
}

std::string SmallTransformer::gelu(const std::string& value) {
  if (opset_ >= 20) return add("Gelu", {value});
  std::string bent;
  if (opset_ >= 9) {
    bent = add("Erf", {add("Div", {value, number(std::sqrt(2.0F))})});
  } else {
    const std::string cube = add("Mul", {add("Pow", {value, number(3)}), number(0.044715F)});
    const auto factor = static_cast<float>(std::sqrt(2 / kPi));
    bent = add("Tanh", {add("Mul", {add("Add", {value, cube}), number(factor)})});
  }
  return add("Mul", {add("Mul", {value, add("Add", {bent, number(1)})}), number(0.5F)});
}

/// [batch, time, width] -> [batch, heads, time, width / heads], with a target that is computed.
std::string SmallTransformer::heads(const std::string& value, const std::string& batch) {
  const std::string target = add("Concat", {batch, integers({kTime, kHeads, kWidth / kHeads})});
  set(last(), "axis", int64_t{0});
  return transposed(add("Reshape", {value, target}), {0, 2, 1, 3});
}

/// [batch, 1, 1, time]: where there is a token.
std::string SmallTransformer::mask() {
  const std::string numbers = add("Cast", {"tokens"});
  set(last(), "to", int64_t{onnx::TensorProto::FLOAT});
  const std::string present = add("Greater", {numbers, number(0)});
  return with_axes("Unsqueeze", with_axes("Unsqueeze", present, 1, 13), 1, 13);
}

std::string SmallTransformer::attention(const std::string& value, const std::string& mask) {
  const std::string shape = add("Shape", {value});
  const std::string batch = add("Gather", {shape, integers({0})});
  const std::string all = linear("qkv", value, kWidth, 3 * kWidth);
  const std::vector<std::string> parts = {"query", "key", "value"};
  std::vector<std::string> split = {all};
  if (opset_ >= 13) split.push_back(integers({kWidth, kWidth, kWidth}));
  onnx::NodeProto& node = model_.node("Split", split, parts);
  set(node, "axis", int64_t{2});
  if (opset_ < 13) set(node, "split", Ints{kWidth, kWidth, kWidth});
  const std::string query = heads(parts[0], batch);
  const std::string key = transposed(heads(parts[1], batch), {0, 1, 3, 2});
  const int64_t head_width = kWidth / kHeads;
  const auto size = static_cast<float>(head_width);
  std::string scores = add("Div", {add("MatMul", {query, key}), number(std::sqrt(size))});
  if (opset_ >= 9) {
    const std::string target = add("Concat", {batch, integers({kHeads, kTime, kTime})});
    set(last(), "axis", int64_t{0});
    scores = add("Where", {add("Expand", {mask, target}), scores, number(kMasked)});
  } else {
    const std::string present = add("Cast", {mask});
    set(last(), "to", int64_t{onnx::TensorProto::FLOAT});
    const std::string lost = add("Mul", {add("Sub", {number(1), present}), number(kMasked)});
    scores = add("Add", {add("Mul", {scores, present}), lost});
  }
  const std::string shares = add("Softmax", {scores});
  set(last(), "axis", int64_t{3});
  const std::string seen =
      transposed(add("MatMul", {shares, heads(parts[2], batch)}), {0, 2, 1, 3});
  const std::string target = add("Concat", {batch, integers({kTime, kWidth})});
  set(last(), "axis", int64_t{0});
  return linear("out", add("Reshape", {seen, target}), kWidth, kWidth);
}

SmallTransformer::Matrix SmallTransformer::apply_linear(const std::string& name, const Matrix& rows,
                                                        int64_t in, int64_t out) const {
  Matrix made;
  for (const std::vector<double>& row : rows) {
    std::vector<double>& result = made.emplace_back();
    for (int64_t o = 0; o < out; ++o) {
      double sum = at(name + ".bias", o);
      for (int64_t i = 0; i < in; ++i) {
        sum += row[static_cast<size_t>(i)] * at(name + ".weight", i * out + o);
      }
      result.push_back(sum);
    }
  }
  return made;
}

SmallTransformer::Matrix SmallTransformer::apply_norm(const std::string& name,
                                                      const Matrix& rows) const {
  Matrix made = rows;
  for (std::vector<double>& row : made) {
    double mean = 0;
    for (const double x : row) mean += x / kWidth;
    double variance = 0;
    for (const double x : row) variance += (x - mean) * (x - mean) / kWidth;
    const double deviation = std::sqrt(variance + static_cast<double>(kEpsilon));
    for (size_t i = 0; i < row.size(); ++i) {
      const auto index = static_cast<int64_t>(i);
      row[i] =
          (row[i] - mean) / deviation * at(name + ".scale", index) + at(name + ".shift", index);
    }
  }
  return made;
}

double SmallTransformer::apply_gelu(double x) const {
  if (opset_ >= 9) return 0.5 * x * (1 + std::erf(x / std::sqrt(2.0)));
  return 0.5 * x * (1 + std::tanh(std::sqrt(2 / kPi) * (x + 0.044715 * x * x * x)));
}

SmallTransformer::Matrix SmallTransformer::apply_attention(const Matrix& rows,
                                                           const int64_t* tokens) const {
  const Matrix all = apply_linear("qkv", rows, kWidth, 3 * kWidth);
  constexpr auto kSize = static_cast<size_t>(kWidth / kHeads);
  Matrix seen(kTime, std::vector<double>(kWidth));
  for (size_t h = 0; h < kHeads; ++h) {
    for (size_t t = 0; t < kTime; ++t) {
      std::vector<double> scores;
      for (size_t s = 0; s < kTime; ++s) {
        double sum = 0;
        for (size_t i = h * kSize; i < (h + 1) * kSize; ++i) sum += all[t][i] * all[s][kWidth + i];
        scores.push_back(tokens[s] > 0 ? sum / std::sqrt(static_cast<double>(kSize)) : -1e4);
      }
      const double highest = *std::max_element(scores.begin(), scores.end());
      double total = 0;
      for (double& score : scores) total += score = std::exp(score - highest);
      for (size_t s = 0; s < kTime; ++s) {
        for (size_t i = h * kSize; i < (h + 1) * kSize; ++i) {
          seen[t][i] += scores[s] / total * all[s][2 * kWidth + i];
        }
      }
    }
  }
  return apply_linear("out", seen, kWidth, kWidth);
}

std::vector<double> SmallTransformer::answer(const std::vector<int64_t>& tokens) const {
  std::vector<double> scores;
  for (size_t begin = 0; begin < tokens.size(); begin += kTime) {
    Matrix x;
    for (int64_t t = 0; t < kTime; ++t) {
      std::vector<double>& row = x.emplace_back();
      for (int64_t i = 0; i < kWidth; ++i) {
        row.push_back(at("embedding", tokens[begin + static_cast<size_t>(t)] * kWidth + i) +
                      at("position", t * kWidth + i));
      }
    }
    const auto add_to = [&](const Matrix& y) {
      for (size_t t = 0; t < x.size(); ++t) {
        for (size_t i = 0; i < x[t].size(); ++i) x[t][i] += y[t][i];
      }
    };
    add_to(apply_attention(apply_norm("norm1", x), tokens.data() + begin));
    Matrix hidden = apply_linear("up", apply_norm("norm2", x), kWidth, kHidden);
    for (std::vector<double>& row : hidden) {
      for (double& value : row) value = apply_gelu(value);
    }
    add_to(apply_linear("down", hidden, kHidden, kWidth));
    const Matrix last =
        apply_linear("classifier", {apply_norm("norm3", x).front()}, kWidth, kClasses);
    scores.insert(scores.end(), last.front().begin(), last.front().end());
  }
  return scores;
}

}  // namespace strata::interop::testing
