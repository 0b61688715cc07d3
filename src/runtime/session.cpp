// Session: loads levels into packed weights, checks what callers pass, and runs the steps.
#include "runtime/session.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "core/cpu_name.h"
#include "core/thread_pool.h"
#include "format/layout.h"
#include "kernels/dense_conv/dense_conv.h"
#include "kernels/sparse_conv/sparse_conv.h"
#include "kernels/target.h"
#include "runtime/memory_plan.h"
#include "runtime/packed_weights.h"
#include "runtime/plan.h"
#include "runtime/router.h"
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
    STRATA_ASSIGN_OR_RETURN(
        session->memory_,
        plan_memory(session->plan_, kernels::sparse_conv_kernel(target).tile_blocks,
                    options.threads));
    STRATA_ASSIGN_OR_RETURN(StepRunner runner, StepRunner::create(session->plan_, session->memory_,
                                                                  target, options.threads));
    session->runner_.emplace(std::move(runner));
    session->target_ = kernels::target_name(target);
    session->dense_rule_ = {kernels::dense_conv_kernel(target), kernels::dense_gemm_kernel(target),
                            options.dense_from};
    session->clock_ = options.clock;
    session->router_.emplace(session->plan_.steps.size());
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
          PackedWeights::pack(model, plan_, plan_.steps[i], memory_.steps[i], source, dense_rule_));
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

  Status run(std::span<const InputView> inputs, std::span<const OutputView> outputs,
             const RunOptions& options) override {
    // First of all: what run() does before its first step is a part of its time.
    const int64_t called = clock_.now_ns();
    STRATA_RETURN_IF_ERROR(router_->begin(options, level_count_, called));
    STRATA_RETURN_IF_ERROR(check_data(inputs, outputs));
    const Buffers buffers = bind(inputs, outputs);
    for (size_t i = 0; i < plan_.steps.size(); ++i) {
      const Router::Next next = router_->choose(i);
      if (next != Router::Next::kRun) return router_->finish(next, clock_.now_ns());
      STRATA_RETURN_IF_ERROR(run_step(i, router_->level(), buffers));
      router_->after_step(i, clock_.now_ns());
    }
    for (size_t i = 0; i < outputs.size(); ++i) runner_->copy_output(i, buffers);
    return router_->finish(Router::Next::kRun, clock_.now_ns());
  }

  Status run_guided(std::span<const InputView> inputs, std::span<const OutputView> outputs,
                    StepGuide& guide) override {
    STRATA_RETURN_IF_ERROR(check_data(inputs, outputs));
    const Buffers buffers = bind(inputs, outputs);
    for (size_t i = 0; i < plan_.steps.size(); ++i) {
      const int level = guide.choose(i);
      if (level < 0) return cancelled("the guide ended the inference");
      STRATA_RETURN_IF_ERROR(check_level(level));
      STRATA_RETURN_IF_ERROR(run_step(i, level, buffers));
      guide.after_step(i, clock_.now_ns());
    }
    for (size_t i = 0; i < outputs.size(); ++i) runner_->copy_output(i, buffers);
    return {};
  }

  [[nodiscard]] const RunReport& last_run() const override { return router_->report(); }

  Status set_profile(const route::ProfileTable& table) override {
    return router_->set_profile(table, level_count_);
  }
  [[nodiscard]] const route::Profile* profile() const override { return router_->profile(); }

  [[nodiscard]] ProfileFingerprint fingerprint() const override {
    std::string sizes;  // of everything that the time of a step depends on, weights excepted
    for (const Step& step : plan_.steps) {
      sizes += step.name + ' ' + step.label + ' ' + std::to_string(step.dense_macs) + ' ' +
               std::to_string(plan_.tensors[static_cast<size_t>(step.output)].elements()) + '\n';
    }
    ProfileFingerprint fingerprint;
    fingerprint.model = reader_ == nullptr ? 0 : reader_->identity();
    fingerprint.graph =
        format::checksum({reinterpret_cast<const uint8_t*>(sizes.data()), sizes.size()});
    fingerprint.threads = threads();
    fingerprint.cpu = cpu_name() + ", " + target_;
    fingerprint.build = STRATA_BUILD;
    return fingerprint;
  }

  Status load_profile(const std::string& path) override {
    STRATA_ASSIGN_OR_RETURN(const std::string place, place_of_profile(path));
    STRATA_ASSIGN_OR_RETURN(const auto profiles, read_profiles(place));
    STRATA_ASSIGN_OR_RETURN(const StoredProfile* stored,
                            find_profile(profiles, fingerprint(), place));
    return set_profile(stored->table);
  }

  [[nodiscard]] Status save_profile(const std::string& path) const override {
    STRATA_ASSIGN_OR_RETURN(const std::string place, place_of_profile(path));
    if (profile() == nullptr) {
      return failed_precondition("the session has no profile to save; measure one first");
    }
    return add_profile(place, {fingerprint(), profile()->table()});
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
      StepInfo info{step.name, step.label, step.dense_macs, {}, weights_[i].first_dense_level()};
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

  template <typename View>
  [[nodiscard]] static Status check_view(const char* what, const graph::ValueInfo& info,
                                         const PlanTensor& tensor, const View& view) {
    if (view.type != info.type) {
      return invalid_argument(std::string(what) + " '" + info.name + "' has elements of type " +
                              std::string(graph::to_string(view.type)) + ", the graph's are " +
                              std::string(graph::to_string(info.type)));
    }
    if (view.elements == static_cast<size_t>(tensor.elements())) return {};
    return invalid_argument(std::string(what) + " '" + info.name + "' has " +
                            std::to_string(view.elements) + " elements, its shape " +
                            graph::to_string(info.shape) + " has " +
                            std::to_string(tensor.elements()));
  }

  [[nodiscard]] Result<std::string> place_of_profile(const std::string& path) const {
    if (!path.empty()) return path;
    if (reader_ == nullptr) {
      return failed_precondition(
          "the session was made from a model in memory, nothing lies beside it; name the file of "
          "the profile");
    }
    return profile_path(reader_->path());
  }

  [[nodiscard]] Status check_data(std::span<const InputView> inputs,
                                  std::span<const OutputView> outputs) const {
    STRATA_RETURN_IF_ERROR(check_count("inputs", inputs.size(), plan_.inputs.size()));
    STRATA_RETURN_IF_ERROR(check_count("outputs", outputs.size(), plan_.outputs.size()));
    for (size_t i = 0; i < inputs.size(); ++i) {
      STRATA_RETURN_IF_ERROR(check_view("input", plan_.input_infos[i],
                                        plan_.tensors[static_cast<size_t>(plan_.inputs[i])],
                                        inputs[i]));
    }
    for (size_t i = 0; i < outputs.size(); ++i) {
      STRATA_RETURN_IF_ERROR(check_view("output", plan_.output_infos[i],
                                        plan_.tensors[static_cast<size_t>(plan_.outputs[i])],
                                        outputs[i]));
    }
    return {};
  }

  [[nodiscard]] Status check_levels(std::span<const uint8_t> levels) const {
    STRATA_RETURN_IF_ERROR(check_count("step levels", levels.size(), plan_.steps.size()));
    for (const uint8_t level : levels) STRATA_RETURN_IF_ERROR(check_level(level));
    return {};
  }

  Buffers bind(std::span<const InputView> inputs, std::span<const OutputView> outputs) {
    for (size_t i = 0; i < inputs.size(); ++i) input_data_[i] = inputs[i].data;
    for (size_t i = 0; i < outputs.size(); ++i) output_data_[i] = outputs[i].data;
    return {input_data_, output_data_};
  }

  Status run_step(size_t step, int level, const Buffers& buffers) {
    return runner_->run(step, weights_[step], level, buffers, *pool_);
  }

  Status execute(std::span<const InputView> inputs, std::span<const OutputView> outputs,
                 std::span<const uint8_t> levels, int64_t* step_ns) {
    STRATA_RETURN_IF_ERROR(check_data(inputs, outputs));
    STRATA_RETURN_IF_ERROR(check_levels(levels));
    const Buffers buffers = bind(inputs, outputs);
    int64_t before = step_ns == nullptr ? 0 : clock_.now_ns();
    for (size_t i = 0; i < plan_.steps.size(); ++i) {
      STRATA_RETURN_IF_ERROR(run_step(i, levels[i], buffers));
      if (step_ns != nullptr) {
        const int64_t now = clock_.now_ns();
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
  std::optional<Router> router_;
  Clock clock_;
  DenseRule dense_rule_;
  std::string target_;           ///< instruction set
  std::vector<uint8_t> levels_;  ///< of run() at one level
  std::vector<const void*> input_data_;
  std::vector<void*> output_data_;
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
