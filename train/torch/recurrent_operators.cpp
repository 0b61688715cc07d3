// Training uses libtorch's own LSTM, over packed sequences where lengths are given. All else is a
// loop over time: inference, which would pay for bringing the gates into libtorch's order, and the
// GRU, as libtorch's applies the reset gate behind the product alone.
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

/// One direction of a layer, one step at a time.
struct Direction {
  at::Tensor w, r, bias_w, bias_r;

  /// What adds to the products with the input; `gates` of them take the recurrent bias too.
  [[nodiscard]] at::Tensor inputs(const at::Tensor& x, int64_t gates) const {
    if (!bias_w.defined()) return at::linear(x, w);
    const int64_t added = gates * r.size(1);
    const at::Tensor rest = at::zeros({bias_r.size(0) - added}, bias_r.options());
    return at::linear(x, w, bias_w + at::cat({bias_r.slice(0, 0, added), rest}, 0));
  }
};

/// State of a step: h, and the LSTM's c.
using State = std::vector<at::Tensor>;

State step_lstm(const Direction& d, const at::Tensor& inputs, const State& state) {
  const std::vector<at::Tensor> gates = at::chunk(at::addmm(inputs, state[0], d.r.t()), 4, 1);
  const at::Tensor c =
      at::sigmoid(gates[2]) * state[1] + at::sigmoid(gates[0]) * at::tanh(gates[3]);
  return {at::sigmoid(gates[1]) * at::tanh(c), c};
}

State step_gru(const Direction& d, const at::Tensor& inputs, const State& state) {
  const at::Tensor& h = state[0];
  const int64_t hidden = h.size(1);
  const at::Tensor both =
      at::sigmoid(at::addmm(inputs.slice(1, 0, 2 * hidden), h, d.r.slice(0, 0, 2 * hidden).t()));
  const at::Tensor recurrent = at::mm(both.slice(1, hidden) * h, d.r.slice(0, 2 * hidden).t());
  const at::Tensor candidate = at::tanh(inputs.slice(1, 2 * hidden) + recurrent);
  return {candidate + both.slice(1, 0, hidden) * (h - candidate)};
}

State step_gru_linear_before_reset(const Direction& d, const at::Tensor& inputs,
                                   const State& state) {
  const at::Tensor& h = state[0];
  const int64_t hidden = h.size(1);
  const at::Tensor products = at::linear(h, d.r);
  const at::Tensor both =
      at::sigmoid(inputs.slice(1, 0, 2 * hidden) + products.slice(1, 0, 2 * hidden));
  at::Tensor recurrent = products.slice(1, 2 * hidden);
  if (d.bias_r.defined()) recurrent = recurrent + d.bias_r.slice(0, 2 * hidden);
  const at::Tensor candidate =
      at::tanh(inputs.slice(1, 2 * hidden) + both.slice(1, hidden) * recurrent);
  return {candidate + both.slice(1, 0, hidden) * (h - candidate)};
}

using Step = State (*)(const Direction&, const at::Tensor& inputs, const State&);

/// All directions by a loop over time. `biased_gates` take the recurrent bias with the inputs.
std::vector<at::Tensor> run_loop(const Arguments& in, const std::string& direction,
                                 const at::Tensor& lengths, const State& initial, Step step,
                                 int64_t biased_gates) {
  const at::Tensor bias = argument(in, kB);
  std::vector<at::Tensor> outputs;
  std::vector<std::vector<at::Tensor>> last(initial.size());
  for (int64_t d = 0; d < in[kR].size(0); ++d) {
    const bool reverse = direction == "reverse" || d == 1;
    Direction one{in[kW][d], in[kR][d], {}, {}};
    if (bias.defined()) {
      const std::vector<at::Tensor> halves = at::chunk(bias[d], 2, 0);
      one.bias_w = halves[0];
      one.bias_r = halves[1];
    }
    const at::Tensor inputs =
        one.inputs(reverse ? reversed(in[kX], lengths) : in[kX], biased_gates);
    State state;
    for (const at::Tensor& tensor : initial) state.push_back(tensor[d]);
    std::vector<at::Tensor> steps;
    for (int64_t t = 0; t < inputs.size(0); ++t) {
      State next = step(one, inputs[t], state);
      if (lengths.defined()) {
        const at::Tensor lives = (lengths > t).to(inputs.device()).unsqueeze(1);
        steps.push_back(at::where(lives, next[0], at::zeros_like(next[0])));
        for (size_t i = 0; i < next.size(); ++i) next[i] = at::where(lives, next[i], state[i]);
      } else {
        steps.push_back(next[0]);
      }
      state = std::move(next);
    }
    const at::Tensor y = at::stack(steps, 0);
    outputs.push_back(reverse ? reversed(y, lengths) : y);
    for (size_t i = 0; i < state.size(); ++i) last[i].push_back(state[i]);
  }
  std::vector<at::Tensor> results = {at::stack(outputs, 1)};
  for (const auto& states : last) results.push_back(at::stack(states, 0));
  return results;
}

/// Initial states that are given, or zeros.
State initial_state(const Arguments& in, size_t count) {
  State state;
  for (size_t i = 0; i < count; ++i) {
    state.push_back(argument(in, kInitialH + i));
    if (state.back().defined()) continue;
    state.back() = at::zeros({in[kR].size(0), in[kX].size(1), in[kR].size(2)}, in[kX].options());
  }
  return state;
}

/// libtorch's own LSTM, over packed sequences where lengths are given. It wants the gates in
/// another order, which is worth it where gradients or the GPU profit.
std::vector<at::Tensor> run_library_lstm(const Arguments& in, const std::string& direction,
                                         const at::Tensor& lengths, const State& state,
                                         bool training) {
  const bool reverse = direction == "reverse";
  const int64_t directions = in[kR].size(0);
  const at::Tensor bias = argument(in, kB);
  std::vector<at::Tensor> parameters;
  for (int64_t d = 0; d < directions; ++d) {
    parameters.push_back(reordered(in[kW][d]));
    parameters.push_back(reordered(in[kR][d]));
    if (!bias.defined()) continue;
    for (const at::Tensor& half : at::chunk(bias[d], 2, 0)) parameters.push_back(reordered(half));
  }
  const at::Tensor x = reverse ? reversed(in[kX], lengths) : in[kX];
  auto [y, h, c] =
      run_lstm(x, state, parameters, bias.defined(), directions == 2, training, lengths);
  if (reverse) y = reversed(y, lengths);
  y = y.reshape({y.size(0), y.size(1), directions, in[kR].size(2)}).permute({0, 2, 1, 3});
  return {y.contiguous(), h, c};
}

}  // namespace

OperatorKernel make_lstm(const graph::Node& node,
                         std::span<const graph::Constant* const> /*constants*/) {
  const std::string direction = node.attribute_string("direction", "forward");
  return [direction, name = node.name](Arguments& in, const Pass& pass) {
    const at::Tensor lengths = lengths_of(in, name);
    const State state = initial_state(in, 2);
    if (at::GradMode::is_enabled() || in[kX].is_cuda()) {
      return run_library_lstm(in, direction, lengths, state, pass.training);
    }
    return run_loop(in, direction, lengths, state, step_lstm, 4);
  };
}

OperatorKernel make_gru(const graph::Node& node,
                        std::span<const graph::Constant* const> /*constants*/) {
  const std::string direction = node.attribute_string("direction", "forward");
  const bool linear_before_reset = node.attribute_int("linear_before_reset", 0) != 0;
  return [=, name = node.name](Arguments& in, const Pass& /*pass*/) {
    return run_loop(in, direction, lengths_of(in, name), initial_state(in, 1),
                    linear_before_reset ? step_gru_linear_before_reset : step_gru,
                    linear_before_reset ? 2 : 3);
  };
}

}  // namespace strata::train
