// The LSTM is libtorch's own, over packed sequences where lengths are given; only the order of the
// gates differs. Its GRU applies the reset gate behind the product alone, so the GRU is a loop.
#include "train/torch/recurrent_operators.h"

#include <string>
#include <tuple>
#include <utility>

#include "train/error.h"

namespace strata::train {
namespace {

using Arguments = std::vector<at::Tensor>;

enum Input : size_t { kX, kW, kR, kB, kSequenceLens, kInitialH, kInitialC };

at::Tensor argument(const Arguments& in, size_t index) {
  return index < in.size() ? in[index] : at::Tensor();
}

/// Lengths as int64 in main memory; undefined where every sequence takes all the time.
at::Tensor lengths_of(const Arguments& in, const std::string& node) {
  const at::Tensor given = argument(in, kSequenceLens);
  if (!given.defined()) return given;
  const int64_t time = in[kX].size(0);
  const at::Tensor lengths = given.to(at::kCPU, at::kLong);
  for (int64_t i = 0; i < lengths.numel(); ++i) {
    const auto length = lengths[i].item<int64_t>();
    if (length < 1 || length > time) {
      throw Error("node '" + node + "': sequence " + std::to_string(i) + " has length " +
                  std::to_string(length) + ", allowed are 1 to " + std::to_string(time));
    }
  }
  return lengths;
}

/// Each sequence of [time, batch, …] backwards within its length; what follows it stays.
at::Tensor reversed(const at::Tensor& sequences, const at::Tensor& lengths) {
  if (!lengths.defined()) return at::flip(sequences, {0});
  const at::Tensor step = at::arange(sequences.size(0), at::kLong).unsqueeze(1);
  const at::Tensor last = lengths.unsqueeze(0) - 1;
  const at::Tensor source = at::where(step <= last, last - step, step).to(sequences.device());
  return sequences.gather(0, source.unsqueeze(2).expand_as(sequences));
}

/// ONNX's gates input, output, forget, cell as libtorch's input, forget, cell, output.
at::Tensor reordered(const at::Tensor& gates) {
  const std::vector<at::Tensor> parts = at::chunk(gates, 4, 0);
  return at::cat({parts[0], parts[2], parts[3], parts[1]}, 0);
}

/// Y [time, batch, directions * hidden], Y_h and Y_c of sequences that begin at the first step.
using LstmResult = std::tuple<at::Tensor, at::Tensor, at::Tensor>;

LstmResult run_lstm(const at::Tensor& x, const std::vector<at::Tensor>& state,
                    const std::vector<at::Tensor>& parameters, bool biased, bool bidirectional,
                    bool training, const at::Tensor& lengths) {
  if (!lengths.defined()) {
    return at::lstm(x, state, parameters, biased, 1, 0, training, bidirectional, false);
  }
  const at::Tensor order = at::argsort(lengths, 0, /*descending=*/true);
  const at::Tensor back = at::argsort(order, 0, false).to(x.device());
  const at::Tensor here = order.to(x.device());
  const auto [data, sizes] =
      at::_pack_padded_sequence(x.index_select(1, here), lengths.index_select(0, order), false);
  const auto [packed, h, c] =
      at::lstm(data, sizes, {state[0].index_select(1, here), state[1].index_select(1, here)},
               parameters, biased, 1, 0, training, bidirectional);
  const at::Tensor y = std::get<0>(at::_pad_packed_sequence(packed, sizes, false, 0, x.size(0)));
  return {y.index_select(1, back), h.index_select(1, back), c.index_select(1, back)};
}

/// One direction of a GRU; gates update, reset, hidden.
struct GruDirection {
  at::Tensor w, r, bias_w, bias_r;
  bool linear_before_reset = false;

  [[nodiscard]] at::Tensor step(const at::Tensor& inputs, const at::Tensor& h) const {
    const int64_t hidden = h.size(1);
    const at::Tensor products = at::linear(h, linear_before_reset ? r : r.slice(0, 0, 2 * hidden),
                                           linear_before_reset ? bias_r : first_two(bias_r));
    const at::Tensor z = at::sigmoid(inputs.slice(1, 0, hidden) + products.slice(1, 0, hidden));
    const at::Tensor reset =
        at::sigmoid(inputs.slice(1, hidden, 2 * hidden) + products.slice(1, hidden, 2 * hidden));
    const at::Tensor recurrent =
        linear_before_reset ? reset * products.slice(1, 2 * hidden)
                            : at::linear(reset * h, r.slice(0, 2 * hidden),
                                         bias_r.defined() ? bias_r.slice(0, 2 * hidden) : bias_r);
    const at::Tensor candidate = at::tanh(inputs.slice(1, 2 * hidden) + recurrent);
    return candidate + z * (h - candidate);
  }

  static at::Tensor first_two(const at::Tensor& bias) {
    return bias.defined() ? bias.slice(0, 0, bias.size(0) / 3 * 2) : bias;
  }
};

}  // namespace

OperatorKernel make_lstm(const graph::Node& node,
                         std::span<const graph::Constant* const> /*constants*/) {
  const std::string direction = node.attribute_string("direction", "forward");
  return [direction, name = node.name](Arguments& in, const Pass& pass) {
    const bool reverse = direction == "reverse";
    const bool bidirectional = direction == "bidirectional";
    const int64_t directions = bidirectional ? 2 : 1;
    const int64_t hidden = in[kR].size(2);
    const at::Tensor lengths = lengths_of(in, name);
    const at::Tensor bias = argument(in, kB);
    std::vector<at::Tensor> parameters;
    for (int64_t d = 0; d < directions; ++d) {
      parameters.push_back(reordered(in[kW][d]));
      parameters.push_back(reordered(in[kR][d]));
      if (!bias.defined()) continue;
      for (const at::Tensor& half : at::chunk(bias[d], 2, 0)) {
        parameters.push_back(reordered(half));
      }
    }
    std::vector<at::Tensor> state;
    for (const size_t i : {kInitialH, kInitialC}) {
      state.push_back(argument(in, i));
      if (state.back().defined()) continue;
      state.back() = at::zeros({directions, in[kX].size(1), hidden}, in[kX].options());
    }
    const at::Tensor x = reverse ? reversed(in[kX], lengths) : in[kX];
    auto [y, h, c] =
        run_lstm(x, state, parameters, bias.defined(), bidirectional, pass.training, lengths);
    if (reverse) y = reversed(y, lengths);
    y = y.reshape({y.size(0), y.size(1), directions, hidden}).permute({0, 2, 1, 3}).contiguous();
    return std::vector<at::Tensor>{y, h, c};
  };
}

OperatorKernel make_gru(const graph::Node& node,
                        std::span<const graph::Constant* const> /*constants*/) {
  const std::string direction = node.attribute_string("direction", "forward");
  const bool linear_before_reset = node.attribute_int("linear_before_reset", 0) != 0;
  return [=, name = node.name](Arguments& in, const Pass& /*pass*/) {
    const int64_t directions = direction == "bidirectional" ? 2 : 1;
    const at::Tensor lengths = lengths_of(in, name);
    const at::Tensor bias = argument(in, kB);
    const at::Tensor initial = argument(in, kInitialH);
    std::vector<at::Tensor> outputs;
    std::vector<at::Tensor> last;
    for (int64_t d = 0; d < directions; ++d) {
      const bool reverse = direction == "reverse" || d == 1;
      GruDirection gru{in[kW][d], in[kR][d], {}, {}, linear_before_reset};
      if (bias.defined()) {
        const std::vector<at::Tensor> halves = at::chunk(bias[d], 2, 0);
        gru.bias_w = halves[0];
        gru.bias_r = halves[1];
      }
      const at::Tensor x = reverse ? reversed(in[kX], lengths) : in[kX];
      const at::Tensor inputs = at::linear(x, gru.w, gru.bias_w);
      at::Tensor h =
          initial.defined() ? initial[d] : at::zeros({x.size(1), gru.r.size(1)}, in[kX].options());
      std::vector<at::Tensor> steps;
      for (int64_t t = 0; t < x.size(0); ++t) {
        at::Tensor next = gru.step(inputs[t], h);
        if (lengths.defined()) {
          const at::Tensor lives = (lengths > t).to(x.device()).unsqueeze(1);
          steps.push_back(at::where(lives, next, at::zeros_like(next)));
          next = at::where(lives, next, h);
        } else {
          steps.push_back(next);
        }
        h = next;
      }
      const at::Tensor y = at::stack(steps, 0);
      outputs.push_back(reverse ? reversed(y, lengths) : y);
      last.push_back(h);
    }
    return std::vector<at::Tensor>{at::stack(outputs, 1), at::stack(last, 0)};
  };
}

}  // namespace strata::train
