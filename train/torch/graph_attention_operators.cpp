// Our operators over graphs in compressed rows, with their gradients written out: libtorch's own
// sparse tensors neither keep the order of edges nor know a softmax over them.
// docs/graph-attention.md has the semantics.
#include "train/torch/graph_attention_operators.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <mutex>

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Parallel.h>
#include <torch/csrc/autograd/custom_function.h>

#include "train/error.h"

namespace strata::train {
namespace {

using Arguments = OperatorKernel::Arguments;
using torch::autograd::AutogradContext;
using torch::autograd::Function;
using torch::autograd::variable_list;

constexpr int64_t kRowsPerTask = 64;

/// Rows of edges or of entries.
struct Rows {
  const int32_t* begins;
  const int32_t* columns;
  int64_t count;
};

Rows rows_of(const at::Tensor& begins, const at::Tensor& columns) {
  if (!begins.is_cpu()) throw Error("operators over graphs train on the CPU only");
  return {begins.data_ptr<int32_t>(), columns.data_ptr<int32_t>(), begins.size(0) - 1};
}

/// value * in[0..size) is added to out.
inline void accumulate(float value, const float* in, int64_t size, float* out) {
  for (int64_t i = 0; i < size; ++i) out[i] += value * in[i];
}

/// Sparse features times weight.
class SparseProduct : public Function<SparseProduct> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& begins,
                            const at::Tensor& columns, const at::Tensor& values,
                            const at::Tensor& weight) {
    context->save_for_backward({begins, columns, values});
    context->saved_data["features"] = weight.size(0);
    const Rows rows = rows_of(begins, columns);
    const int64_t size = weight.size(1);
    at::Tensor result = at::zeros({rows.count, size}, weight.options());
    const float* const value = values.data_ptr<float>();
    const float* const w = weight.data_ptr<float>();
    float* const out = result.data_ptr<float>();
    at::parallel_for(0, rows.count, kRowsPerTask, [&](int64_t first, int64_t last) {
      for (int64_t r = first; r < last; ++r) {
        for (int32_t e = rows.begins[r]; e < rows.begins[r + 1]; ++e) {
          if (value[e] != 0) accumulate(value[e], w + rows.columns[e] * size, size, out + r * size);
        }
      }
    });
    return result;
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const variable_list saved = context->get_saved_variables();
    const Rows rows = rows_of(saved[0], saved[1]);
    const at::Tensor gradient = gradients[0].contiguous();
    const int64_t size = gradient.size(1);
    at::Tensor result =
        at::zeros({context->saved_data["features"].toInt(), size}, gradient.options());
    const float* const value = saved[2].data_ptr<float>();
    const float* const in = gradient.data_ptr<float>();
    float* const out = result.data_ptr<float>();
    for (int64_t r = 0; r < rows.count; ++r) {
      for (int32_t e = rows.begins[r]; e < rows.begins[r + 1]; ++e) {
        if (value[e] != 0) accumulate(value[e], in + r * size, size, out + rows.columns[e] * size);
      }
    }
    return {at::Tensor(), at::Tensor(), at::Tensor(), result};
  }
};

/// LeakyRelu(target[i] + source[j]) per edge i <- j, normalised over the edges of i.
class EdgeSoftmax : public Function<EdgeSoftmax> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& begins,
                            const at::Tensor& columns, const at::Tensor& target,
                            const at::Tensor& source, double slope) {
    const Rows rows = rows_of(begins, columns);
    const int64_t heads = target.size(1);
    at::Tensor result = at::empty({columns.size(0), heads}, target.options());
    const float* const t = target.data_ptr<float>();
    const float* const s = source.data_ptr<float>();
    float* const out = result.data_ptr<float>();
    const auto leak = static_cast<float>(slope);
    at::parallel_for(0, rows.count, kRowsPerTask, [&](int64_t first, int64_t last) {
      for (int64_t r = first; r < last; ++r) {
        for (int64_t h = 0; h < heads; ++h) {
          float highest = -std::numeric_limits<float>::infinity();
          for (int32_t e = rows.begins[r]; e < rows.begins[r + 1]; ++e) {
            const float sum = t[r * heads + h] + s[rows.columns[e] * heads + h];
            out[e * heads + h] = sum > 0 ? sum : leak * sum;
            highest = std::max(highest, out[e * heads + h]);
          }
          float total = 0;
          for (int32_t e = rows.begins[r]; e < rows.begins[r + 1]; ++e) {
            out[e * heads + h] = std::exp(out[e * heads + h] - highest);
            total += out[e * heads + h];
          }
          for (int32_t e = rows.begins[r]; e < rows.begins[r + 1]; ++e) out[e * heads + h] /= total;
        }
      }
    });
    context->save_for_backward({begins, columns, target, source, result});
    context->saved_data["slope"] = slope;
    return result;
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const variable_list saved = context->get_saved_variables();
    const Rows rows = rows_of(saved[0], saved[1]);
    const at::Tensor gradient = gradients[0].contiguous();
    const int64_t heads = gradient.size(1);
    const at::Tensor of_target = at::zeros_like(saved[2]);
    const at::Tensor of_source = at::zeros_like(saved[3]);
    const auto leak = static_cast<float>(context->saved_data["slope"].toDouble());
    const float* const t = saved[2].data_ptr<float>();
    const float* const s = saved[3].data_ptr<float>();
    const float* const share = saved[4].data_ptr<float>();
    const float* const in = gradient.data_ptr<float>();
    float* const to_target = of_target.data_ptr<float>();
    float* const to_source = of_source.data_ptr<float>();
    for (int64_t r = 0; r < rows.count; ++r) {
      for (int64_t h = 0; h < heads; ++h) {
        float mean = 0;
        for (int32_t e = rows.begins[r]; e < rows.begins[r + 1]; ++e) {
          mean += share[e * heads + h] * in[e * heads + h];
        }
        for (int32_t e = rows.begins[r]; e < rows.begins[r + 1]; ++e) {
          const int64_t source = rows.columns[e] * heads + h;
          const bool positive = t[r * heads + h] + s[source] > 0;
          const float change =
              share[e * heads + h] * (in[e * heads + h] - mean) * (positive ? 1.0F : leak);
          to_target[r * heads + h] += change;
          to_source[source] += change;
        }
      }
    }
    return {at::Tensor(), at::Tensor(), of_target, of_source, at::Tensor()};
  }
};

/// Sum over the edges i <- j of coefficient * value[j], head by head.
class EdgeSum : public Function<EdgeSum> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& begins,
                            const at::Tensor& columns, const at::Tensor& coefficients,
                            const at::Tensor& values) {
    context->save_for_backward({begins, columns, coefficients, values});
    const Rows rows = rows_of(begins, columns);
    const int64_t heads = coefficients.size(1);
    const int64_t width = values.size(1);
    const int64_t size = width / heads;
    at::Tensor result = at::zeros({rows.count, width}, values.options());
    const float* const share = coefficients.data_ptr<float>();
    const float* const in = values.data_ptr<float>();
    float* const out = result.data_ptr<float>();
    at::parallel_for(0, rows.count, kRowsPerTask, [&](int64_t first, int64_t last) {
      for (int64_t r = first; r < last; ++r) {
        for (int32_t e = rows.begins[r]; e < rows.begins[r + 1]; ++e) {
          for (int64_t h = 0; h < heads; ++h) {
            accumulate(share[e * heads + h], in + rows.columns[e] * width + h * size, size,
                       out + r * width + h * size);
          }
        }
      }
    });
    return result;
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const variable_list saved = context->get_saved_variables();
    const Rows rows = rows_of(saved[0], saved[1]);
    const at::Tensor gradient = gradients[0].contiguous();
    const int64_t heads = saved[2].size(1);
    const int64_t width = gradient.size(1);
    const int64_t size = width / heads;
    const at::Tensor of_share = at::empty_like(saved[2]);
    const at::Tensor of_values = at::zeros_like(saved[3]);
    const float* const share = saved[2].data_ptr<float>();
    const float* const value = saved[3].data_ptr<float>();
    const float* const in = gradient.data_ptr<float>();
    float* const to_share = of_share.data_ptr<float>();
    float* const to_values = of_values.data_ptr<float>();
    for (int64_t r = 0; r < rows.count; ++r) {
      for (int32_t e = rows.begins[r]; e < rows.begins[r + 1]; ++e) {
        for (int64_t h = 0; h < heads; ++h) {
          const float* const upstream = in + r * width + h * size;
          const int64_t source = rows.columns[e] * width + h * size;
          float product = 0;
          for (int64_t i = 0; i < size; ++i) product += upstream[i] * value[source + i];
          to_share[e * heads + h] = product;
          accumulate(share[e * heads + h], upstream, size, to_values + source);
        }
      }
    }
    return {at::Tensor(), at::Tensor(), of_share, of_values};
  }
};

/// 0 for what is dropped, 1 / (1 - ratio) for what is kept. One number of the generator seeds
/// SplitMix64 (Steele et al. 2014), each of whose numbers decides two elements: to draw every
/// element from the generator was a third of the time of training on Cora.
at::Tensor draw_kept(at::IntArrayRef sizes, double ratio, at::Generator generator) {
  const uint64_t seed = [&] {
    const std::lock_guard<std::mutex> lock(generator.mutex());
    return at::check_generator<at::CPUGeneratorImpl>(generator)->random64();
  }();
  constexpr int kBits = 32;
  const auto limit = static_cast<uint64_t>(std::llround(std::ldexp(ratio, kBits)));
  const auto scale = static_cast<float>(1 / (1 - ratio));
  at::Tensor kept = at::empty(sizes, at::kFloat);
  float* const out = kept.data_ptr<float>();
  const int64_t count = kept.numel();
  for (int64_t i = 0; i < count; i += 2) {
    uint64_t bits = seed + (static_cast<uint64_t>(i) / 2 + 1) * 0x9e3779b97f4a7c15ULL;
    bits = (bits ^ (bits >> 30)) * 0xbf58476d1ce4e5b9ULL;
    bits = (bits ^ (bits >> 27)) * 0x94d049bb133111ebULL;
    bits ^= bits >> 31;
    out[i] = (bits >> kBits) < limit ? 0 : scale;
    if (i + 1 < count) out[i + 1] = (bits & 0xffffffffULL) < limit ? 0 : scale;
  }
  return kept;
}

}  // namespace

OperatorKernel make_dropout(const graph::Node& node, OperatorConstants /*constants*/) {
  const double ratio = node.attribute_float("ratio", 0.5F);
  return [=, name = node.name](Arguments& in, const Pass& pass) {
    if (!pass.training || ratio == 0) return in[0];
    if (!pass.generator) throw Error("node '" + name + "' (Dropout) has nothing to draw from");
    return in[0] * draw_kept(in[0].sizes(), ratio, *pass.generator).to(in[0].device());
  };
}

OperatorKernel make_sparse_product(const graph::Node& /*node*/, OperatorConstants /*constants*/) {
  return [](Arguments& in, const Pass&) {
    return SparseProduct::apply(in[0], in[1], in[2].contiguous(), in[3].contiguous());
  };
}

OperatorKernel make_head_scores(const graph::Node& /*node*/, OperatorConstants /*constants*/) {
  return [](Arguments& in, const Pass&) {
    return (in[0].reshape({in[0].size(0), in[1].size(0), in[1].size(1)}) * in[1]).sum(2);
  };
}

OperatorKernel make_edge_softmax(const graph::Node& node, OperatorConstants /*constants*/) {
  const double slope = node.attribute_float("negative_slope", 0.2F);
  return [=](Arguments& in, const Pass&) {
    return EdgeSoftmax::apply(in[0], in[1], in[2].contiguous(), in[3].contiguous(), slope);
  };
}

OperatorKernel make_edge_sum(const graph::Node& node, OperatorConstants /*constants*/) {
  const bool mean = node.attribute_int("mean_of_heads", 0) != 0;
  return [=](Arguments& in, const Pass&) -> at::Tensor {
    at::Tensor sum = EdgeSum::apply(in[0], in[1], in[2].contiguous(), in[3].contiguous());
    if (!mean) return sum;
    const int64_t heads = in[2].size(1);
    return sum.reshape({sum.size(0), heads, sum.size(1) / heads}).mean(1);
  };
}

}  // namespace strata::train
