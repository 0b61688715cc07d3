// Session: loads levels into packed weights, checks what callers pass, and runs the steps.
#include "runtime/session.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>

#include "core/clock.h"
#include "core/thread_pool.h"
#include "kernels/target.h"
#include "runtime/memory_plan.h"
#include "runtime/packed_weights.h"
#include "runtime/plan.h"
#include "runtime/step_runner.h"

namespace strata::runtime {
namespace {

template <typename Table>
auto find_or_null(const Table& table, std::string_view name) {
  const auto found = table.find(name);
  return found == table.end() ? nullptr : &found->second;
}

LevelSource source_of(const sparse::NestedModel& nested, int level_count) {
  LevelSource source;
  source.level_count = level_count;
  source.increment = [&nested](int level, std::string_view name) -> const sparse::Increment* {
    const sparse::NestedTensor* tensor = find_or_null(nested.weights, name);
    return tensor == nullptr ? nullptr : &tensor->increments[static_cast<size_t>(level)];
  };
  source.vector = [&nested](int level, std::string_view name) {
    return find_or_null(nested.vectors[static_cast<size_t>(level)], name);
  };
  return source;
}

LevelSource source_of(const std::vector<format::LevelData>& levels) {
  LevelSource source;
  source.level_count = static_cast<int>(levels.size());
  source.increment = [&levels](int level, std::string_view name) {
    return find_or_null(levels[static_cast<size_t>(level)].weights, name);
  };
  source.vector = [&levels](int level, std::string_view name) {
    return find_or_null(levels[static_cast<size_t>(level)].vectors, name);
  };
  return source;
}

Result<std::vector<format::LevelData>> read_levels(const format::Reader& reader, int level_count) {
  std::vector<format::LevelData> levels;
  for (int level = 0; level < level_count; ++level) {
    STRATA_ASSIGN_OR_RETURN(format::LevelData data, reader.read_level(level, levels));
    levels.push_back(std::move(data));
  }
  return levels;
}

Result<const graph::Graph*> choose_graph(const graph::Model& model, const std::string& name) {
  std::string names;
  for (const graph::Graph& graph : model.graphs) {
    if (graph.name == name || (name.empty() && model.graphs.size() == 1)) return &graph;
    names += (names.empty() ? "'" : ", '") + graph.name + "'";
  }
  if (name.empty()) return invalid_argument("the model has several graphs, name one of " + names);
  return not_found("the model has no graph '" + name + "', it has " + names);
}

Result<int> levels_to_load(const SessionOptions& options, int available) {
  if (options.max_level < 0) return available;
  if (options.max_level >= available) {
    return out_of_range("level " + std::to_string(options.max_level) +
                        " does not exist, the model has levels 0 to " +
                        std::to_string(available - 1));
  }
  return options.max_level + 1;
}

class PlannedSession final : public Session {
 public:
  static Result<std::unique_ptr<PlannedSession>> make(const graph::Model& model,
                                                      const SessionOptions& options) {
    std::unique_ptr<PlannedSession> session(new PlannedSession());
    STRATA_ASSIGN_OR_RETURN(const kernels::Target target, kernels::default_target());
    STRATA_ASSIGN_OR_RETURN(session->pool_, ThreadPool::create(options.threads));
    STRATA_ASSIGN_OR_RETURN(const graph::Graph* graph, choose_graph(model, options.graph));
    STRATA_ASSIGN_OR_RETURN(session->plan_, make_plan(model, *graph, options.bindings));
    STRATA_ASSIGN_OR_RETURN(session->memory_, plan_memory(session->plan_));
    STRATA_ASSIGN_OR_RETURN(StepRunner runner, StepRunner::create(session->plan_, session->memory_,
                                                                  target, options.threads));
    session->runner_.emplace(std::move(runner));
    session->levels_.resize(session->plan_.steps.size());
    session->input_data_.resize(session->plan_.inputs.size());
    session->output_data_.resize(session->plan_.outputs.size());
    return session;
  }

  /// Packs every level of `source`; on an error the session stays as it was.
  Status load(const graph::Model& model, const LevelSource& source) {
    std::vector<PackedWeights> weights;
    for (size_t i = 0; i < plan_.steps.size(); ++i) {
      STRATA_ASSIGN_OR_RETURN(
          PackedWeights packed,
          PackedWeights::pack(model, plan_, plan_.steps[i], memory_.steps[i], source));
      weights.push_back(std::move(packed));
    }
    weights_ = std::move(weights);
    level_count_ = source.level_count;
    if (steps_.empty()) describe_steps();
    return {};
  }

  void set_reader(std::shared_ptr<const format::Reader> reader) { reader_ = std::move(reader); }

  [[nodiscard]] const std::vector<graph::ValueInfo>& inputs() const override {
    return plan_.input_infos;
  }
  [[nodiscard]] const std::vector<graph::ValueInfo>& outputs() const override {
    return plan_.output_infos;
  }
  [[nodiscard]] const std::vector<StepInfo>& steps() const override { return steps_; }
  [[nodiscard]] int level_count() const override { return level_count_; }
  [[nodiscard]] int threads() const override { return pool_->threads(); }

  Status run(std::span<const InputView> inputs, std::span<const OutputView> outputs,
             int level) override {
    STRATA_RETURN_IF_ERROR(check_level(level));
    std::fill(levels_.begin(), levels_.end(), static_cast<uint8_t>(level));
    return execute(inputs, outputs, levels_, nullptr);
  }

  Status run_route(std::span<const InputView> inputs, std::span<const OutputView> outputs,
                   std::span<const uint8_t> levels) override {
    return execute(inputs, outputs, levels, nullptr);
  }

  Status run_timed(std::span<const InputView> inputs, std::span<const OutputView> outputs,
                   std::span<const uint8_t> levels, std::span<int64_t> step_ns) override {
    if (step_ns.size() != steps_.size()) {
      return invalid_argument("there is room for " + std::to_string(step_ns.size()) +
                              " step times, the graph has " + std::to_string(steps_.size()) +
                              " steps");
    }
    return execute(inputs, outputs, levels, step_ns.data());
  }

  Status drop_levels_above(int level) override {
    STRATA_RETURN_IF_ERROR(check_level(level));
    level_count_ = level + 1;
    for (PackedWeights& weights : weights_) weights.keep_levels(level_count_);
    return {};
  }

  Status reload_levels() override {
    if (reader_ == nullptr) {
      return failed_precondition(
          "the session was made from a model in memory, levels can be reloaded only from a file");
    }
    STRATA_ASSIGN_OR_RETURN(const auto levels, read_levels(*reader_, loadable_levels_));
    return load(reader_->model(), source_of(levels));
  }

  [[nodiscard]] MemoryReport memory() const override {
    MemoryReport report;
    for (const PackedWeights& weights : weights_) report.weights += weights.bytes();
    report.activations = runner_->bytes();
    return report;
  }

  void set_loadable_levels(int count) { loadable_levels_ = count; }

 private:
  PlannedSession() = default;

  void describe_steps() {
    for (size_t i = 0; i < plan_.steps.size(); ++i) {
      const Step& step = plan_.steps[i];
      StepInfo info{step.name, step.label, step.dense_macs, {}};
      for (int level = 0; level < level_count_; ++level) {
        info.macs.push_back(weights_[i].nonzeros(level) * step.macs_per_nonzero);
      }
      steps_.push_back(std::move(info));
    }
  }

  [[nodiscard]] Status check_level(int level) const {
    if (level >= 0 && level < level_count_) return {};
    return out_of_range("level " + std::to_string(level) + " is not loaded, levels 0 to " +
                        std::to_string(level_count_ - 1) + " are");
  }

  [[nodiscard]] static Status check_count(const char* what, size_t given, size_t wanted) {
    if (given == wanted) return {};
    return invalid_argument(std::to_string(given) + " " + what + " were passed, the graph has " +
                            std::to_string(wanted));
  }

  [[nodiscard]] static Status check_size(const char* what, const graph::ValueInfo& info,
                                         const PlanTensor& tensor, size_t given) {
    if (given == static_cast<size_t>(tensor.elements())) return {};
    return invalid_argument(std::string(what) + " '" + info.name + "' has " +
                            std::to_string(given) + " elements, its shape " +
                            graph::to_string(info.shape) + " has " +
                            std::to_string(tensor.elements()));
  }

  [[nodiscard]] Status check(std::span<const InputView> inputs, std::span<const OutputView> outputs,
                             std::span<const uint8_t> levels) const {
    STRATA_RETURN_IF_ERROR(check_count("inputs", inputs.size(), plan_.inputs.size()));
    STRATA_RETURN_IF_ERROR(check_count("outputs", outputs.size(), plan_.outputs.size()));
    STRATA_RETURN_IF_ERROR(check_count("step levels", levels.size(), plan_.steps.size()));
    for (size_t i = 0; i < inputs.size(); ++i) {
      STRATA_RETURN_IF_ERROR(check_size("input", plan_.input_infos[i],
                                        plan_.tensors[static_cast<size_t>(plan_.inputs[i])],
                                        inputs[i].data.size()));
    }
    for (size_t i = 0; i < outputs.size(); ++i) {
      STRATA_RETURN_IF_ERROR(check_size("output", plan_.output_infos[i],
                                        plan_.tensors[static_cast<size_t>(plan_.outputs[i])],
                                        outputs[i].data.size()));
    }
    for (const uint8_t level : levels) STRATA_RETURN_IF_ERROR(check_level(level));
    return {};
  }

  Status execute(std::span<const InputView> inputs, std::span<const OutputView> outputs,
                 std::span<const uint8_t> levels, int64_t* step_ns) {
    STRATA_RETURN_IF_ERROR(check(inputs, outputs, levels));
    for (size_t i = 0; i < inputs.size(); ++i) input_data_[i] = inputs[i].data.data();
    for (size_t i = 0; i < outputs.size(); ++i) output_data_[i] = outputs[i].data.data();
    const Buffers buffers{input_data_, output_data_};
    int64_t before = step_ns == nullptr ? 0 : monotonic_ns();
    for (size_t i = 0; i < plan_.steps.size(); ++i) {
      runner_->run(i, weights_[i], levels[i], buffers, *pool_);
      if (step_ns != nullptr) {
        const int64_t now = monotonic_ns();
        step_ns[i] = now - before;
        before = now;
      }
    }
    for (size_t i = 0; i < outputs.size(); ++i) runner_->copy_output(i, buffers);
    return {};
  }

  std::shared_ptr<const format::Reader> reader_;  ///< null for a model in memory
  int loadable_levels_ = 0;
  Plan plan_;
  MemoryPlan memory_;
  std::vector<PackedWeights> weights_;  ///< [step]
  std::vector<StepInfo> steps_;
  int level_count_ = 0;
  std::unique_ptr<ThreadPool> pool_;
  std::optional<StepRunner> runner_;
  std::vector<uint8_t> levels_;  ///< of run()
  std::vector<const float*> input_data_;
  std::vector<float*> output_data_;
};

}  // namespace

Result<std::unique_ptr<Session>> Session::create(std::shared_ptr<const format::Reader> reader,
                                                 const SessionOptions& options) {
  STRATA_ASSIGN_OR_RETURN(const int level_count, levels_to_load(options, reader->level_count()));
  STRATA_ASSIGN_OR_RETURN(auto session, PlannedSession::make(reader->model(), options));
  session->set_loadable_levels(level_count);
  session->set_reader(std::move(reader));
  STRATA_RETURN_IF_ERROR(session->reload_levels());
  return std::unique_ptr<Session>(std::move(session));
}

Result<std::unique_ptr<Session>> Session::create(const sparse::NestedModel& nested,
                                                 const SessionOptions& options) {
  STRATA_RETURN_IF_ERROR(sparse::check(nested));
  STRATA_ASSIGN_OR_RETURN(const int level_count, levels_to_load(options, nested.level_count));
  STRATA_ASSIGN_OR_RETURN(auto session, PlannedSession::make(nested.model, options));
  STRATA_RETURN_IF_ERROR(session->load(nested.model, source_of(nested, level_count)));
  return std::unique_ptr<Session>(std::move(session));
}

}  // namespace strata::runtime
