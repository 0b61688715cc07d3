// LSTM and GRU over whole sequences. The products with the input of all steps come first; then step
// after step the product with the state, and the cell. Sequences that have ended take no part in a
// step: their outputs are zero, their state stays.
#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "kernels/operators/support.h"
#include "kernels/recurrent/cell.h"

namespace strata::kernels {
namespace {

enum Input : size_t { kX, kW, kR, kB, kSequenceLens, kInitialH, kInitialC };
enum Output : size_t { kY, kLastH, kLastC };

/// Sizes and attributes of a node.
struct RecurrentSpec {
  int64_t time = 0;
  int64_t batch = 0;
  int64_t features = 0;
  int64_t hidden = 0;
  int64_t gates = 0;
  int64_t directions = 0;
  bool reverse = false;  ///< of the first direction
  bool linear_before_reset = false;

  RecurrentSpec(const OperatorSite& site, int64_t gate_count)
      : time(site.inputs[kX].shape[0]),
        batch(site.inputs[kX].shape[1]),
        features(site.inputs[kX].shape[2]),
        hidden(site.inputs[kR].shape[2]),
        gates(gate_count),
        directions(site.inputs[kR].shape[0]),
        reverse(site.node.attribute_string("direction", "forward") == "reverse"),
        linear_before_reset(site.node.attribute_int("linear_before_reset", 0) != 0) {}

  [[nodiscard]] int64_t rows() const { return gates * hidden; }
};

/// output[row - begin] += row of the weight times input, for rows begin..end-1.
void add_product(const SparseRows& weight, int64_t begin, int64_t end, const float* input,
                 float* output) {
  for (int64_t row = begin; row < end; ++row) {
    float sum = 0;
    for (int64_t k = 0; k < weight.increment_count; ++k) {
      const GemvIncrement& increment = weight.increments[k];
      for (uint32_t i = increment.row_begin[row]; i < increment.row_begin[row + 1]; ++i) {
        sum += increment.taps[i].weight *
               input[increment.taps[i].offset / static_cast<int64_t>(sizeof(float))];
      }
    }
    output[row - begin] += sum;
  }
}

/// `initial`, or zeros if it is null.
void load_state(const float* initial, int64_t count, float* state) {
  if (initial == nullptr) {
    std::fill_n(state, count, 0.0F);
  } else {
    std::copy_n(initial, count, state);
  }
}

class RecurrentOperator : public OperatorKernel {
 public:
  RecurrentOperator(const OperatorSite& site, const CellKernel& cell, int64_t gates)
      : cell_(cell), spec_(site, gates) {}

  [[nodiscard]] bool reads_sparse(size_t index) const override {
    return index == kW || index == kR;
  }

  [[nodiscard]] size_t scratch_bytes(int /*threads*/) const override {
    return static_cast<size_t>(projection_floats() + 3 * state_floats()) * sizeof(float);
  }

  Status run(const OperatorData& data, ThreadPool& pool) const override {
    STRATA_RETURN_IF_ERROR(check_lengths(data.input<int32_t>(kSequenceLens)));
    for (int64_t d = 0; d < spec_.directions; ++d) run_direction(data, d, pool);
    return {};
  }

 protected:
  /// What one direction works on.
  struct Pass {
    const SparseRows* recurrent = nullptr;
    int64_t first_row = 0;                  ///< of `recurrent`
    const float* recurrent_bias = nullptr;  ///< null: zero
    float* projections = nullptr;           ///< [time][batch][gates * hidden]
    float* h = nullptr;                     ///< [batch][hidden], before the step
    float* next_h = nullptr;                ///< after it
    float* c = nullptr;                     ///< [batch][hidden]
  };

  /// One step of one sequence; `gates` are its projections and of the kernel's to overwrite.
  virtual void step(const Pass& pass, float* gates, int64_t sequence) const = 0;
  /// Whether the recurrent bias of a row adds to its projection.
  [[nodiscard]] virtual bool adds_recurrent_bias(int64_t row) const = 0;

  CellKernel cell_;
  RecurrentSpec spec_;

 private:
  [[nodiscard]] int64_t projection_floats() const {
    return spec_.time * spec_.batch * spec_.rows();
  }
  [[nodiscard]] int64_t state_floats() const { return spec_.batch * spec_.hidden; }

  [[nodiscard]] Status check_lengths(const int32_t* lengths) const {
    for (int64_t i = 0; lengths != nullptr && i < spec_.batch; ++i) {
      if (lengths[i] < 1 || lengths[i] > spec_.time) {
        return out_of_range("sequence " + std::to_string(i) + " has length " +
                            std::to_string(lengths[i]) + ", allowed are 1 to " +
                            std::to_string(spec_.time));
      }
    }
    return {};
  }

  void project(const OperatorData& data, int64_t direction, float* projections) const {
    const auto& weight = *data.input<SparseRows>(kW);
    const int64_t rows = spec_.rows();
    const float* const bias =
        data.input<float>(kB) == nullptr ? nullptr : data.input<float>(kB) + direction * 2 * rows;
    for (int64_t column = 0; column < spec_.time * spec_.batch; ++column) {
      float* const output = projections + column * rows;
      for (int64_t row = 0; row < rows; ++row) {
        output[row] =
            bias == nullptr ? 0 : bias[row] + (adds_recurrent_bias(row) ? bias[rows + row] : 0);
      }
      add_product(weight, direction * rows, (direction + 1) * rows,
                  data.input<float>(kX) + column * spec_.features, output);
    }
  }

  void run_direction(const OperatorData& data, int64_t direction, ThreadPool& /*pool*/) const {
    const int64_t states = state_floats();
    auto* const scratch = reinterpret_cast<float*>(data.scratch);
    Pass pass;
    pass.recurrent = data.input<SparseRows>(kR);
    pass.first_row = direction * spec_.rows();
    if (const auto* bias = data.input<float>(kB); bias != nullptr) {
      pass.recurrent_bias = bias + (2 * direction + 1) * spec_.rows();
    }
    pass.projections = scratch;
    pass.h = scratch + projection_floats();
    pass.next_h = pass.h + states;
    pass.c = pass.next_h + states;
    const auto initial = [&](size_t index) {
      const auto* all = data.input<float>(index);
      return all == nullptr ? nullptr : all + direction * states;
    };
    load_state(initial(kInitialH), states, pass.h);
    load_state(initial(kInitialC), states, pass.c);
    project(data, direction, pass.projections);

    const auto* const lengths = data.input<int32_t>(kSequenceLens);
    auto* const y = data.output<float>(kY);
    const bool reverse = spec_.reverse || direction == 1;
    for (int64_t s = 0; s < spec_.time; ++s) {
      for (int64_t b = 0; b < spec_.batch; ++b) {
        const int64_t length = lengths == nullptr ? spec_.time : lengths[b];
        const int64_t t = reverse && s < length ? length - 1 - s : s;
        float* const target =
            y == nullptr
                ? nullptr
                : y + ((t * spec_.directions + direction) * spec_.batch + b) * spec_.hidden;
        float* const next = pass.next_h + b * spec_.hidden;
        if (s < length) {
          step(pass, pass.projections + (t * spec_.batch + b) * spec_.rows(), b);
          if (target != nullptr) std::copy_n(next, spec_.hidden, target);
        } else {
          std::copy_n(pass.h + b * spec_.hidden, spec_.hidden, next);
          if (target != nullptr) std::fill_n(target, spec_.hidden, 0.0F);
        }
      }
      std::swap(pass.h, pass.next_h);
    }
    if (auto* last = data.output<float>(kLastH); last != nullptr) {
      std::copy_n(pass.h, states, last + direction * states);
    }
    if (auto* last = data.output<float>(kLastC); last != nullptr) {
      std::copy_n(pass.c, states, last + direction * states);
    }
  }
};

class LstmOperator final : public RecurrentOperator {
 public:
  LstmOperator(const OperatorSite& site, const CellKernel& cell)
      : RecurrentOperator(site, cell, 4) {}

 private:
  [[nodiscard]] bool adds_recurrent_bias(int64_t /*row*/) const override { return true; }

  void step(const Pass& pass, float* gates, int64_t sequence) const override {
    const int64_t offset = sequence * spec_.hidden;
    add_product(*pass.recurrent, pass.first_row, pass.first_row + spec_.rows(), pass.h + offset,
                gates);
    cell_.lstm({gates, spec_.hidden, pass.c + offset, pass.next_h + offset}, 0, spec_.hidden);
  }
};

class GruOperator final : public RecurrentOperator {
 public:
  GruOperator(const OperatorSite& site, const CellKernel& cell)
      : RecurrentOperator(site, cell, 3) {}

 private:
  [[nodiscard]] bool adds_recurrent_bias(int64_t row) const override {
    return row < 2 * spec_.hidden || !spec_.linear_before_reset;
  }

  void step(const Pass& pass, float* gates, int64_t sequence) const override {
    const int64_t hidden = spec_.hidden;
    const float* const h = pass.h + sequence * hidden;
    float* const next = pass.next_h + sequence * hidden;
    float* const update = gates;
    float* const reset = gates + hidden;
    float* const candidate = gates + 2 * hidden;
    add_product(*pass.recurrent, pass.first_row, pass.first_row + 2 * hidden, h, gates);
    const auto add_candidate = [&](const float* input, float* output) {
      add_product(*pass.recurrent, pass.first_row + 2 * hidden, pass.first_row + 3 * hidden, input,
                  output);
    };
    if (spec_.linear_before_reset) {
      load_state(pass.recurrent_bias == nullptr ? nullptr : pass.recurrent_bias + 2 * hidden,
                 hidden, next);
      add_candidate(h, next);
      cell_.gru_reset({reset, next, candidate, candidate}, 0, hidden);
    } else {
      cell_.gru_reset({reset, h, nullptr, next}, 0, hidden);
      add_candidate(next, candidate);
    }
    cell_.gru_update({update, candidate, h, next}, 0, hidden);
  }
};

template <typename Operator>
MadeOperator make_recurrent(const OperatorSite& site) {
  STRATA_ASSIGN_OR_RETURN(const Target target, default_target());
  return MadeOperator(std::make_shared<Operator>(site, cell_kernel(target)));
}

}  // namespace

std::span<const OperatorEntry> recurrent_kernels() {
  static constexpr std::array kEntries = {
      OperatorEntry{"", "GRU", make_recurrent<GruOperator>},
      OperatorEntry{"", "LSTM", make_recurrent<LstmOperator>},
  };
  return kEntries;
}

}  // namespace strata::kernels
