// Session: loads levels into packed weights, checks what callers pass, and runs the steps.
#include "runtime/session.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>
#include <utility>

#include "core/cpu_name.h"
#include "core/thread_pool.h"
#include "format/layout.h"
#include "kernels/dense_conv/dense_conv.h"
#include "kernels/sparse_conv/sparse_conv.h"
#include "kernels/target.h"
#include "runtime/packed_weights.h"
#include "runtime/plan.h"
#include "runtime/router.h"
#include "runtime/step_runner.h"
#include "runtime/sub_batches.h"

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

uint64_t checksum_of(const std::string& text) {
  return format::checksum({reinterpret_cast<const uint8_t*>(text.data()), text.size()});
}

uint64_t checksum_of(const Tuning& tuning) {
  std::string text;
  for (const StepTuning& step : tuning) {
    text += std::to_string(step.alone) + ' ' + std::to_string(step.first_dense_level);
    for (const LevelTuning& level : step.levels) {
      text += ' ' + std::to_string(level.tile_blocks) + ' ' + std::to_string(level.slice_kib);
    }
    text += '\n';
  }
  return checksum_of(text);
}

class PlannedSession final : public Session {
 public:
  static Result<std::unique_ptr<PlannedSession>> make(const graph::Model& model,
                                                      const SessionOptions& options) {
    std::unique_ptr<PlannedSession> session(new PlannedSession());
    STRATA_ASSIGN_OR_RETURN(const kernels::Target target, kernels::default_target());
    STRATA_ASSIGN_OR_RETURN(session->pool_, ThreadPool::create(options.threads));
    STRATA_ASSIGN_OR_RETURN(const graph::Graph* graph, choose_graph(model, options.graph));
    STRATA_ASSIGN_OR_RETURN(
        SubBatches parts,
        plan_sub_batches(model, *graph, options.bindings, kernels::sparse_conv_kernel(target).tiles,
                         options.threads, options.whole_batch));
    session->plan_ = std::move(parts.plan);
    session->memory_ = std::move(parts.memory);
    session->parts_ = parts.count;
    STRATA_ASSIGN_OR_RETURN(StepRunner runner, StepRunner::create(session->plan_, session->memory_,
                                                                  target, options.threads));
    session->runner_.emplace(std::move(runner));
    session->target_ = kernels::target_name(target);
    session->dense_rule_ = {kernels::dense_conv_kernel(target), kernels::dense_gemm_kernel(target),
                            options.dense_from};
    session->clock_ = options.clock;
    session->tuning_source_ = options.tuning;
    session->tuning_ = options.tuning_trial;
    STRATA_RETURN_IF_ERROR(session->check_tuning(session->tuning_));
    const size_t steps = static_cast<size_t>(parts.count) * session->plan_.steps.size();
    session->router_.emplace(steps);
    session->levels_.resize(steps);
    session->input_data_.resize(session->plan_.inputs.size());
    session->output_data_.resize(session->plan_.outputs.size());
    return session;
  }

  /// Packs every level of `source`; on an error the session stays as it was.
  Status load(const graph::Model& model, const LevelSource& source) {
    if (weights_.empty()) STRATA_RETURN_IF_ERROR(choose_tuning(model, source));
    STRATA_ASSIGN_OR_RETURN(weights_, pack(model, source, tuning_));
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
  [[nodiscard]] int64_t parts() const override { return parts_; }
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
    STRATA_RETURN_IF_ERROR(accept(inputs, outputs));
    for (size_t i = 0; i < steps_.size(); ++i) {
      const Router::Next next = router_->choose(i);
      if (next != Router::Next::kRun) return router_->finish(next, clock_.now_ns());
      STRATA_RETURN_IF_ERROR(run_step(i, router_->level(), inputs, outputs));
      router_->after_step(i, clock_.now_ns());
    }
    return router_->finish(Router::Next::kRun, clock_.now_ns());
  }

  Status run_guided(std::span<const InputView> inputs, std::span<const OutputView> outputs,
                    StepGuide& guide) override {
    STRATA_RETURN_IF_ERROR(accept(inputs, outputs));
    for (size_t i = 0; i < steps_.size(); ++i) {
      const int level = guide.choose(i);
      if (level < 0) return cancelled("the guide ended the inference");
      STRATA_RETURN_IF_ERROR(check_level(level));
      STRATA_RETURN_IF_ERROR(run_step(i, level, inputs, outputs));
      guide.after_step(i, clock_.now_ns());
    }
    return {};
  }

  [[nodiscard]] const RunReport& last_run() const override { return router_->report(); }

  Status set_profile(const route::ProfileTable& table) override {
    return router_->set_profile(table, level_count_);
  }
  [[nodiscard]] const route::Profile* profile() const override { return router_->profile(); }

  [[nodiscard]] ProfileFingerprint fingerprint() const override {
    std::string sizes;  // of everything that the time of a step depends on, weights excepted
    for (const Step& step : plan_.steps) sizes += step.name + ' ' + describe_sizes(step) + '\n';
    if (parts_ > 1) sizes += std::to_string(parts_) + " parts";
    ProfileFingerprint fingerprint;
    fingerprint.model = reader_ == nullptr ? 0 : reader_->identity();
    fingerprint.graph = checksum_of(sizes);
    fingerprint.threads = threads();
    fingerprint.cpu = cpu_name() + ", " + target_;
    fingerprint.build = STRATA_BUILD;
    if (!tuning_.empty()) {
      fingerprint.build += ", tuning " + std::to_string(checksum_of(tuning_));
    }
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

  [[nodiscard]] const TuningFingerprint& tuning_fingerprint() const override {
    return tuning_fingerprint_;
  }
  [[nodiscard]] const Tuning& tuning() const override { return tuning_; }
  [[nodiscard]] const std::string& tuning_note() const override { return tuning_note_; }

  [[nodiscard]] std::vector<StepPacking> packing() const override {
    std::vector<StepPacking> steps;
    for (const PackedWeights& weights : weights_) {
      StepPacking& step = steps.emplace_back();
      step.bytes = weights.bytes();
      for (int level = 0; level < level_count_; ++level) {
        StepPacking::Level& packing = step.levels.emplace_back();
        packing.dense = weights.runs_dense(level);
        if (packing.dense || !weights.has_taps()) continue;
        packing.tile_blocks = weights.taps().tile_blocks(level);
        packing.slices = static_cast<int64_t>(weights.taps().slices(level).size()) - 1;
        packing.lists = weights.taps().list_count(level);
      }
    }
    return steps;
  }

  Status prepare_tuning(const Tuning& tuning) override {
    STRATA_RETURN_IF_ERROR(check_reader());
    STRATA_RETURN_IF_ERROR(check_tuning(tuning));
    STRATA_ASSIGN_OR_RETURN(const auto levels, read_levels(*reader_, level_count_));
    STRATA_ASSIGN_OR_RETURN(spare_weights_, pack(reader_->model(), source_of(levels), tuning));
    spare_tuning_ = tuning;
    return {};
  }

  void swap_tuning() override {
    if (spare_weights_.empty()) return;
    std::swap(weights_, spare_weights_);
    std::swap(tuning_, spare_tuning_);
    for (size_t i = 0; i < steps_.size(); ++i) {
      steps_[i].first_dense_level = weights_[i % weights_.size()].first_dense_level();
    }
  }

  Status drop_levels_above(int level) override {
    STRATA_RETURN_IF_ERROR(check_level(level));
    level_count_ = level + 1;
    for (PackedWeights& weights : weights_) weights.keep_levels(level_count_);
    return {};
  }

  Status reload_levels() override {
    STRATA_RETURN_IF_ERROR(check_reader());
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

  [[nodiscard]] Result<std::vector<PackedWeights>> pack(const graph::Model& model,
                                                        const LevelSource& source,
                                                        const Tuning& tuning) const {
    const StepTuning by_rules;
    std::vector<PackedWeights> weights;
    for (size_t i = 0; i < plan_.steps.size(); ++i) {
      STRATA_ASSIGN_OR_RETURN(
          PackedWeights packed,
          PackedWeights::pack(model, plan_, plan_.steps[i], memory_.steps[i], source, dense_rule_,
                              tuning.empty() ? by_rules : tuning[i]));
      weights.push_back(std::move(packed));
    }
    return weights;
  }

  [[nodiscard]] std::string describe_sizes(const Step& step) const {
    return step.label + ' ' + std::to_string(step.dense_macs) + ' ' +
           std::to_string(plan_.tensors[static_cast<size_t>(step.output)].elements());
  }

  void describe_steps() {
    for (size_t i = 0; i < plan_.steps.size(); ++i) {
      const Step& step = plan_.steps[i];
      StepInfo info{step.name, step.label, step.dense_macs, {}, weights_[i].first_dense_level()};
      for (int level = 0; level < level_count_; ++level) {
        info.macs.push_back(weights_[i].nonzeros(level) * step.macs_per_nonzero);
      }
      steps_.push_back(std::move(info));
    }
    const std::vector<StepInfo> part = steps_;
    for (int64_t i = 1; i < parts_; ++i) steps_.insert(steps_.end(), part.begin(), part.end());
  }

  /// What the tuning is looked up by: everything that its times depend on, densities within a
  /// tenth or so.
  [[nodiscard]] uint64_t layers_checksum(const graph::Model& model,
                                         const LevelSource& source) const {
    constexpr double kPerOctave = 8;
    std::string layers;
    for (const Step& step : plan_.steps) {
      layers += '\n' + describe_sizes(step) + ' ';
      if (step.weight.empty()) continue;
      const auto elements = static_cast<double>(model.find_parameter(step.weight)->element_count());
      double nonzeros = 0;
      for (int level = 0; level < source.level_count; ++level) {
        const sparse::Increment* increment = source.increment(level, step.weight);
        if (increment != nullptr) nonzeros += static_cast<double>(increment->positions.size());
        const double density = std::max(nonzeros, 1.0) / elements;
        layers += std::to_string(std::lround(kPerOctave * std::log2(density))) + ' ';
      }
    }
    return checksum_of(layers);
  }

  Status choose_tuning(const graph::Model& model, const LevelSource& source) {
    tuning_fingerprint_ = {layers_checksum(model, source), threads(), cpu_name() + ", " + target_,
                           STRATA_BUILD};
    if (!tuning_.empty()) return {};
    const char* variable = std::getenv("STRATA_TUNING");
    if (tuning_source_.empty() && variable != nullptr) tuning_source_ = variable;
    if (tuning_source_ == "off") return {};
    const bool named = !tuning_source_.empty();
    if (!named && (reader_ == nullptr || reader_->path().empty())) return {};
    const std::string path = named ? tuning_source_ : tuning_path(reader_->path());
    const auto stored = read_tunings(path);
    if (!stored.ok()) {
      if (named) return stored.status();
      if (stored.status().code() != StatusCode::kNotFound) tuning_note_ = stored.status().message();
      return {};
    }
    const auto found = find_tuning(*stored, tuning_fingerprint_, path);
    if (!found.ok()) {
      tuning_note_ = found.status().message();
    } else if (found.value()->steps.size() != plan_.steps.size()) {
      tuning_note_ = "the tuning in '" + path + "' is of another number of steps";
    } else if (const Tuning& steps = found.value()->steps;
               std::any_of(steps.begin(), steps.end(), changes_anything)) {
      tuning_ = steps;
    }
    return {};
  }

  [[nodiscard]] Status check_reader() const {
    if (reader_ != nullptr) return {};
    return failed_precondition(
        "the session was made from a model in memory, levels can be reloaded only from a file");
  }

  [[nodiscard]] Status check_tuning(const Tuning& tuning) const {
    if (tuning.empty() || tuning.size() == plan_.steps.size()) return {};
    return invalid_argument("the tuning is of " + std::to_string(tuning.size()) +
                            " steps, the graph has " + std::to_string(plan_.steps.size()));
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
  [[nodiscard]] Status check_view(const char* what, const graph::ValueInfo& info,
                                  const PlanTensor& tensor, const View& view) const {
    if (view.type != info.type) {
      return invalid_argument(std::string(what) + " '" + info.name + "' has elements of type " +
                              std::string(graph::to_string(view.type)) + ", the graph's are " +
                              std::string(graph::to_string(info.type)));
    }
    const int64_t elements = parts_ * tensor.elements();
    if (view.elements == static_cast<uint64_t>(elements)) return {};
    return invalid_argument(std::string(what) + " '" + info.name + "' has " +
                            std::to_string(view.elements) + " elements, its shape " +
                            graph::to_string(info.shape) + " has " + std::to_string(elements));
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

  /// Checks what the caller passes. A graph without a single step is done with it.
  Status accept(std::span<const InputView> inputs, std::span<const OutputView> outputs) {
    STRATA_RETURN_IF_ERROR(check_data(inputs, outputs));
    if (!steps_.empty()) return {};
    buffers_ = buffers_of(0, inputs, outputs);
    hand_over();
    return {};
  }

  [[nodiscard]] Status check_levels(std::span<const uint8_t> levels) const {
    STRATA_RETURN_IF_ERROR(check_count("step levels", levels.size(), steps_.size()));
    for (const uint8_t level : levels) STRATA_RETURN_IF_ERROR(check_level(level));
    return {};
  }

  /// Where part `part` of the batch lies.
  Buffers buffers_of(int64_t part, std::span<const InputView> inputs,
                     std::span<const OutputView> outputs) {
    const auto offset = [&](int tensor) {
      const PlanTensor& info = plan_.tensors[static_cast<size_t>(tensor)];
      return static_cast<size_t>(part * info.elements()) * graph::element_size(info.type);
    };
    for (size_t i = 0; i < inputs.size(); ++i) {
      input_data_[i] = static_cast<const std::byte*>(inputs[i].data) + offset(plan_.inputs[i]);
    }
    for (size_t i = 0; i < outputs.size(); ++i) {
      output_data_[i] = static_cast<std::byte*>(outputs[i].data) + offset(plan_.outputs[i]);
    }
    return {input_data_, output_data_};
  }

  /// Step `step` of steps_. The last one of a part hands its outputs over.
  Status run_step(size_t step, int level, std::span<const InputView> inputs,
                  std::span<const OutputView> outputs) {
    const size_t count = plan_.steps.size();
    const size_t of_part = step % count;
    if (of_part == 0) {
      buffers_ = buffers_of(static_cast<int64_t>(step / count), inputs, outputs);
    }
    STRATA_RETURN_IF_ERROR(runner_->run(of_part, weights_[of_part], level, buffers_, *pool_));
    if (of_part + 1 == count) hand_over();
    return {};
  }

  void hand_over() {
    for (size_t i = 0; i < output_data_.size(); ++i) runner_->copy_output(i, buffers_);
  }

  Status execute(std::span<const InputView> inputs, std::span<const OutputView> outputs,
                 std::span<const uint8_t> levels, int64_t* step_ns) {
    STRATA_RETURN_IF_ERROR(accept(inputs, outputs));
    STRATA_RETURN_IF_ERROR(check_levels(levels));
    int64_t before = step_ns == nullptr ? 0 : clock_.now_ns();
    for (size_t i = 0; i < steps_.size(); ++i) {
      STRATA_RETURN_IF_ERROR(run_step(i, levels[i], inputs, outputs));
      if (step_ns != nullptr) {
        const int64_t now = clock_.now_ns();
        step_ns[i] = now - before;
        before = now;
      }
    }
    return {};
  }

  std::shared_ptr<const format::Reader> reader_;  ///< null for a model in memory
  int loadable_levels_ = 0;
  Plan plan_;  ///< of one part of the batch
  MemoryPlan memory_;
  int64_t parts_ = 1;
  std::vector<PackedWeights> weights_;  ///< [step of a part]
  std::vector<StepInfo> steps_;         ///< of all parts
  int level_count_ = 0;
  std::unique_ptr<ThreadPool> pool_;
  std::optional<StepRunner> runner_;
  std::optional<Router> router_;
  Clock clock_;
  DenseRule dense_rule_;
  std::string tuning_source_;  ///< as SessionOptions::tuning
  Tuning tuning_;
  std::vector<PackedWeights> spare_weights_;  ///< of prepare_tuning()
  Tuning spare_tuning_;
  TuningFingerprint tuning_fingerprint_;
  std::string tuning_note_;
  std::string target_;           ///< instruction set
  std::vector<uint8_t> levels_;  ///< of run() at one level
  std::vector<const void*> input_data_;
  std::vector<void*> output_data_;
  Buffers buffers_;  ///< of the part at hand
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
