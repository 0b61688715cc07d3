// LSTM and GRU over whole sequences. The products with the input of all steps come first, so that
// weights are read once for them; then step after step the product with the state, and the cell.
// Sequences that have ended take no part in a step: their outputs are zero, their state stays.
#include <algorithm>
#include <array>
#include <memory>
#include <string>
#include <vector>

#include "kernels/operators/support.h"
#include "kernels/recurrent/cell.h"
#include "kernels/sparse_gemm/panel_product.h"

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
  /// Of W (of `features` columns) or R (of `hidden`). `together` is how many gates share a panel.
  [[nodiscard]] PanelShape panels(int64_t columns, int64_t together) const {
    return {.matrices = directions * gates / together,
            .gates = together,
            .units = hidden,
            .columns = columns};
  }
};

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
  RecurrentOperator(const OperatorSite& site, Target target, int64_t gates, int64_t together)
      : cell_(cell_kernel(target)),
        spec_(site, gates),
        input_panels_(spec_.panels(spec_.features, together)),
        state_panels_(spec_.panels(spec_.hidden, together)),
        input_product_(panel_kernel(target), input_panels_),
        state_product_(panel_kernel(target), state_panels_) {}

  [[nodiscard]] std::optional<PanelShape> panels(size_t index) const override {
    if (index == kW) return input_panels_;
    if (index == kR) return state_panels_;
    return {};
  }

  [[nodiscard]] size_t scratch_bytes(int /*threads*/) const override {
    return static_cast<size_t>(lay_out(nullptr).end) * sizeof(float);
  }

  Status run(const OperatorData& data, ThreadPool& pool) const override {
    STRATA_RETURN_IF_ERROR(check_lengths(data.input<int32_t>(kSequenceLens)));
    for (int64_t d = 0; d < spec_.directions; ++d) run_direction(data, d, pool);
    return {};
  }

 protected:
  /// What the steps of one direction work on.
  struct Pass {
    const PanelWeights* input_weights = nullptr;
    const PanelWeights* state_weights = nullptr;
    int64_t direction = 0;
    const float* bias = nullptr;       ///< [2][gates][hidden], or null
    const int32_t* lengths = nullptr;  ///< [batch], or null
    bool reverse = false;

    float* projections = nullptr;    ///< [time][batch][gates][hidden]
    float* input_vectors = nullptr;  ///< as PanelProduct wants them
    float* state_vectors = nullptr;  ///< of the sequences that live
    float* h = nullptr;              ///< [batch][hidden] before the step
    float* next_h = nullptr;         ///< after it
    float* c = nullptr;              ///< [batch][hidden]
    int32_t* living = nullptr;       ///< sequences that take part in the step
    int64_t living_count = 0;
    float* y = nullptr;  ///< or null
    int64_t step = 0;
    int64_t end = 0;  ///< of the scratch, in floats
  };

  /// One step of the sequences that live, from `h` to `next_h`. Where project_in_step() says so the
  /// projections are not there yet.
  virtual void run_step(const Pass& pass, ThreadPool& pool) const = 0;
  /// Whether steps call project() themselves, panel by panel.
  [[nodiscard]] virtual bool project_in_step() const { return false; }
  /// Whether the recurrent bias of a gate adds to its projection.
  [[nodiscard]] virtual bool adds_recurrent_bias(int64_t gate) const = 0;

  [[nodiscard]] int64_t first_panel(int64_t direction) const {
    return direction * panels_per_direction();
  }
  [[nodiscard]] int64_t panels_per_direction() const {
    return state_panels_.panels() / spec_.directions;
  }
  /// Place of a sequence's step in time.
  [[nodiscard]] int64_t time_of(const Pass& pass, int64_t sequence) const {
    const int64_t length = pass.lengths == nullptr ? spec_.time : pass.lengths[sequence];
    return pass.reverse && pass.step < length ? length - 1 - pass.step : pass.step;
  }
  [[nodiscard]] float* projection(const Pass& pass, int64_t sequence) const {
    return pass.projections + (time_of(pass, sequence) * spec_.batch + sequence) * spec_.rows();
  }
  /// Where the outputs of a sequence go in this step; only if `y` is not null.
  [[nodiscard]] float* output(const Pass& pass, int64_t sequence) const {
    const int64_t t = time_of(pass, sequence);
    return pass.y +
           ((t * spec_.directions + pass.direction) * spec_.batch + sequence) * spec_.hidden;
  }

  /// Rows of one panel in the projections of all steps.
  void project(const Pass& pass, int64_t panel) const {
    alignas(kCacheLine) PanelSums sums;
    const PanelUnits units = units_of_panel(input_panels_, panel);
    const int64_t together = input_panels_.gates;
    const int64_t first_gate = units.matrix * together - pass.direction * spec_.gates;
    const int64_t count = spec_.time * spec_.batch;
    const int64_t block = input_product_.block(count);
    for (int64_t b = 0; b < input_product_.blocks(count); ++b) {
      input_product_.run(*pass.input_weights, panel, pass.input_vectors, count, b, sums.data());
      const int64_t end = std::min((b + 1) * block, count);
      for (int64_t column = b * block; column < end; ++column) {
        for (int64_t g = 0; g < together; ++g) {
          const int64_t row = (first_gate + g) * spec_.hidden + units.begin;
          const float* const sum =
              sums.data() + (column - b * block) * kPanelRows + g * input_panels_.units_per_panel();
          float* const to = pass.projections + column * spec_.rows() + row;
          if (pass.bias == nullptr) {
            std::copy_n(sum, units.count(), to);
            continue;
          }
          const float* const bias = pass.bias + row;
          const float* const more = bias + spec_.rows();
          if (adds_recurrent_bias(first_gate + g)) {
            for (int64_t i = 0; i < units.count(); ++i) to[i] = sum[i] + bias[i] + more[i];
          } else {
            for (int64_t i = 0; i < units.count(); ++i) to[i] = sum[i] + bias[i];
          }
        }
      }
    }
  }

  /// Lays the state of the living sequences out for multiply().
  void load_vectors(const Pass& pass, const float* state) const {
    for (int64_t i = 0; i < pass.living_count; ++i) {
      state_product_.load(*pass.state_weights, state + pass.living[i] * spec_.hidden, 1, i,
                          pass.living_count, pass.state_vectors);
    }
  }

  /// Calls body(sequence, sums) with the product of one panel and the state of each living
  /// sequence.
  template <typename Body>
  void multiply(const Pass& pass, int64_t panel, const Body& body) const {
    alignas(kCacheLine) PanelSums sums;
    const int64_t block = state_product_.block(pass.living_count);
    for (int64_t b = 0; b < state_product_.blocks(pass.living_count); ++b) {
      state_product_.run(*pass.state_weights, panel, pass.state_vectors, pass.living_count, b,
                         sums.data());
      const int64_t end = std::min((b + 1) * block, pass.living_count);
      for (int64_t i = b * block; i < end; ++i) {
        body(int64_t{pass.living[i]}, sums.data() + (i - b * block) * kPanelRows);
      }
    }
  }

  CellKernel cell_;
  RecurrentSpec spec_;
  PanelShape input_panels_;
  PanelShape state_panels_;
  PanelProduct input_product_;
  PanelProduct state_product_;

 private:
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

  /// The parts of the scratch, each on a cache line.
  [[nodiscard]] Pass lay_out(std::byte* scratch) const {
    constexpr int64_t kLine = kCacheLine / sizeof(float);
    Pass pass;
    auto* const begin = reinterpret_cast<float*>(scratch);
    const auto take = [&](int64_t floats) {
      float* const part = begin == nullptr ? nullptr : begin + pass.end;
      pass.end += (floats + kLine - 1) / kLine * kLine;
      return part;
    };
    const int64_t steps = spec_.time * spec_.batch;
    const int64_t states = spec_.batch * spec_.hidden;
    pass.projections = take(steps * spec_.rows());
    pass.input_vectors = take(input_product_.input_floats(steps));
    pass.state_vectors = take(state_product_.input_floats(spec_.batch));
    pass.h = take(states);
    pass.next_h = take(states);
    pass.c = take(states);
    pass.living = reinterpret_cast<int32_t*>(take(spec_.batch));
    return pass;
  }

  void run_direction(const OperatorData& data, int64_t direction, ThreadPool& pool) const {
    const int64_t states = spec_.batch * spec_.hidden;
    Pass pass = lay_out(data.scratch);
    pass.input_weights = data.input<PanelWeights>(kW);
    pass.state_weights = data.input<PanelWeights>(kR);
    pass.direction = direction;
    if (const auto* bias = data.input<float>(kB); bias != nullptr) {
      pass.bias = bias + 2 * direction * spec_.rows();
    }
    pass.lengths = data.input<int32_t>(kSequenceLens);
    pass.reverse = spec_.reverse || direction == 1;
    pass.y = data.output<float>(kY);
    const auto initial = [&](size_t index) {
      const auto* all = data.input<float>(index);
      return all == nullptr ? nullptr : all + direction * states;
    };
    load_state(initial(kInitialH), states, pass.h);
    load_state(initial(kInitialC), states, pass.c);

    const int64_t vectors = spec_.time * spec_.batch;
    for_ranges(pool, vectors, spec_.features, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        input_product_.load(*pass.input_weights, data.input<float>(kX) + i * spec_.features, 1, i,
                            vectors, pass.input_vectors);
      }
    });
    if (!project_in_step()) {
      pool.parallel_for(static_cast<int>(panels_per_direction()), [&](int panel, int /*thread*/) {
        project(pass, first_panel(direction) + panel);
      });
    }
    for (pass.step = 0; pass.step < spec_.time; ++pass.step) {
      choose_living(pass);
      run_step(pass, pool);
      std::swap(pass.h, pass.next_h);
    }
    if (auto* last = data.output<float>(kLastH); last != nullptr) {
      std::copy_n(pass.h, states, last + direction * states);
    }
    if (auto* last = data.output<float>(kLastC); last != nullptr) {
      std::copy_n(pass.c, states, last + direction * states);
    }
  }

  /// Lists the sequences that take part in the step, and does for the others what is to do.
  void choose_living(Pass& pass) const {
    pass.living_count = 0;
    for (int64_t i = 0; i < spec_.batch; ++i) {
      if (pass.lengths == nullptr || pass.step < pass.lengths[i]) {
        pass.living[pass.living_count++] = static_cast<int32_t>(i);
        continue;
      }
      std::copy_n(pass.h + i * spec_.hidden, spec_.hidden, pass.next_h + i * spec_.hidden);
      if (pass.y != nullptr) std::fill_n(output(pass, i), spec_.hidden, 0.0F);
    }
  }
};

/// A panel has all gates of some units, so one task takes them from the product to the new state.
class LstmOperator final : public RecurrentOperator {
 public:
  LstmOperator(const OperatorSite& site, Target target)
      : RecurrentOperator(site, target, kGates, kGates) {}

 private:
  static constexpr int64_t kGates = 4;

  [[nodiscard]] bool adds_recurrent_bias(int64_t /*gate*/) const override { return true; }
  /// A single step, which a decoder takes, is one parallel loop.
  [[nodiscard]] bool project_in_step() const override { return spec_.time == 1; }

  void run_step(const Pass& pass, ThreadPool& pool) const override {
    load_vectors(pass, pass.h);
    const int64_t hidden = spec_.hidden;
    const int64_t width = state_panels_.units_per_panel();
    pool.parallel_for(static_cast<int>(panels_per_direction()), [&](int task, int /*thread*/) {
      const int64_t panel = first_panel(pass.direction) + task;
      if (project_in_step()) project(pass, panel);
      const PanelUnits units = units_of_panel(state_panels_, panel);
      multiply(pass, panel, [&](int64_t sequence, float* sums) {
        const float* const projected = projection(pass, sequence) + units.begin;
        for (int64_t g = 0; g < kGates; ++g) {
          for (int64_t i = 0; i < units.count(); ++i) {
            sums[g * width + i] += projected[g * hidden + i];
          }
        }
        const int64_t offset = sequence * hidden + units.begin;
        cell_.lstm({sums, width, pass.c + offset, pass.next_h + offset}, 0, units.count());
        if (pass.y != nullptr) {
          std::copy_n(pass.next_h + offset, units.count(), output(pass, sequence) + units.begin);
        }
      });
    });
  }
};

/// Every gate has panels of its own, for the candidate may need the reset gates of all units.
class GruOperator final : public RecurrentOperator {
 public:
  GruOperator(const OperatorSite& site, Target target)
      : RecurrentOperator(site, target, kGates, 1) {}

 private:
  static constexpr int64_t kGates = 3;
  enum Gate : int64_t { kUpdate, kReset, kCandidate };

  [[nodiscard]] bool adds_recurrent_bias(int64_t gate) const override {
    return gate != kCandidate || !spec_.linear_before_reset;
  }

  /// Adds the products of the gates first..last-1 to their projections; but those of a candidate
  /// that is linear before the reset replace `next_h`, which is free until then.
  void add_products(const Pass& pass, int64_t first, int64_t last, ThreadPool& pool) const {
    const int64_t per_gate = state_panels_.panels_per_matrix();
    pool.parallel_for(static_cast<int>((last - first) * per_gate), [&](int task, int /*thread*/) {
      const int64_t panel = first_panel(pass.direction) + first * per_gate + task;
      const PanelUnits units = units_of_panel(state_panels_, panel);
      const int64_t gate = first + task / per_gate;
      const int64_t row = gate * spec_.hidden + units.begin;
      multiply(pass, panel, [&](int64_t sequence, const float* sums) {
        if (gate == kCandidate && spec_.linear_before_reset) {
          float* const to = pass.next_h + sequence * spec_.hidden + units.begin;
          load_state(pass.bias == nullptr ? nullptr : pass.bias + spec_.rows() + row, units.count(),
                     to);
          for (int64_t i = 0; i < units.count(); ++i) to[i] += sums[i];
        } else {
          float* const to = projection(pass, sequence) + row;
          for (int64_t i = 0; i < units.count(); ++i) to[i] += sums[i];
        }
      });
    });
  }

  void run_step(const Pass& pass, ThreadPool& pool) const override {
    const int64_t hidden = spec_.hidden;
    const bool linear = spec_.linear_before_reset;
    load_vectors(pass, pass.h);
    add_products(pass, kUpdate, linear ? kGates : kCandidate, pool);
    for (int64_t i = 0; i < pass.living_count; ++i) {
      float* const gates = projection(pass, pass.living[i]);
      float* const candidate = gates + kCandidate * hidden;
      float* const next = pass.next_h + pass.living[i] * hidden;
      const float* const h = pass.h + pass.living[i] * hidden;
      const float* const reset = gates + kReset * hidden;
      if (linear) {
        cell_.gru_reset({reset, next, candidate, candidate}, 0, hidden);
      } else {
        cell_.gru_reset({reset, h, nullptr, next}, 0, hidden);
      }
    }
    if (!linear) {
      load_vectors(pass, pass.next_h);
      add_products(pass, kCandidate, kGates, pool);
    }
    for (int64_t i = 0; i < pass.living_count; ++i) {
      const int64_t sequence = pass.living[i];
      const float* const gates = projection(pass, sequence);
      float* const next = pass.next_h + sequence * hidden;
      cell_.gru_update({gates, gates + kCandidate * hidden, pass.h + sequence * hidden, next}, 0,
                       hidden);
      if (pass.y != nullptr) std::copy_n(next, hidden, output(pass, sequence));
    }
  }
};

template <typename Operator>
MadeOperator make_recurrent(const OperatorSite& site) {
  STRATA_ASSIGN_OR_RETURN(const Target target, default_target());
  return MadeOperator(std::make_shared<Operator>(site, target));
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
