// The loop around every algorithm: batches, evaluation, log, checkpoints, interruption, and the
// file at the end.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <memory>
#include <thread>
#include <utility>

#include <ATen/Parallel.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include "core/file.h"
#include "format/reader.h"
#include "format/writer.h"
#include "sparse/accounting.h"
#include "train/error.h"
#include "train/progress.h"
#include "train/torch/algorithm.h"
#include "train/torch/best_state.h"
#include "train/torch/checkpoint.h"
#include "train/torch/csv_log.h"
#include "train/torch/interruption.h"
#include "train/torch/task.h"
#include "train/torch/train.h"

namespace strata::train {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kStepsPerLogRow = 50;
constexpr double kSecondsBetweenNotes = 1;  // a small graph has hundreds of epochs in that time

using Values = std::vector<std::optional<double>>;           ///< [level] the metric
using Evaluations = std::vector<std::optional<Evaluation>>;  ///< [level]

Values test_values(const Evaluations& evaluations) {
  Values values;
  for (const std::optional<Evaluation>& evaluation : evaluations) {
    values.push_back(evaluation ? std::optional(evaluation->test.value) : std::nullopt);
  }
  return values;
}

Values validation_values(const Evaluations& evaluations) {
  Values values;
  for (const std::optional<Evaluation>& evaluation : evaluations) {
    const bool known = evaluation && evaluation->validation;
    values.push_back(known ? std::optional(evaluation->validation->value) : std::nullopt);
  }
  return values;
}

int thread_count(const Recipe& recipe) {
  if (recipe.threads > 0) return static_cast<int>(recipe.threads);
  return static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
}

ProgressOptions progress_options(bool quiet, int64_t first, std::string unit) {
  ProgressOptions options;
  options.mode = progress_mode(quiet);
  options.first = first;
  options.unit = std::move(unit);
  return options;
}

/// Everything of one run.
class Run {
 public:
  explicit Run(const TrainOptions& options);
  TrainResult execute();

 private:
  void resume();
  void loop();
  void save();
  void log(const StepReport& report, const Evaluations& evaluations);
  void keep_best(const Evaluations& evaluations);
  void end_stretch();
  void add_losses(const StepReport& report);
  void check_writable() const;
  void remove_half_written() const;
  TrainResult finish();
  [[nodiscard]] Evaluations evaluate();
  [[nodiscard]] bool evaluation_due() const;
  [[nodiscard]] std::string progress_message(const StepReport& report) const;
  [[nodiscard]] double epoch() const {
    return static_cast<double>(steps_done_) / static_cast<double>(task_->steps_per_epoch());
  }
  [[nodiscard]] std::string record(const TrainResult& result) const;
  [[nodiscard]] static double now() {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch())
        .count();
  }
  [[nodiscard]] double seconds() const { return seconds_before_ + now() - begin_; }
  void visit_state(const StateVisitor& visitor);
  [[nodiscard]] CheckpointFacts facts() const {
    return {to_toml(recipe_), task_->digest(), steps_done_, seconds()};
  }

  TrainOptions options_;
  Recipe recipe_;
  int threads_;
  fs::path checkpoint_path_;
  std::unique_ptr<Task> task_;
  std::unique_ptr<Network> network_;
  std::unique_ptr<NestingAlgorithm> algorithm_;
  std::unique_ptr<BestState> best_;  ///< if there is a validation split
  std::unique_ptr<CsvLog> csv_;
  int64_t steps_done_ = 0;
  double seconds_before_ = 0;
  double begin_ = now();
  at::Tensor loss_sums_;  ///< [level][sum, count] since the last row of the log
};

Run::Run(const TrainOptions& options)
    : options_(options), recipe_(options.recipe), threads_(thread_count(options.recipe)) {
  if (!options.data_dir.empty()) recipe_.data.dir = options.data_dir;
  checkpoint_path_ = recipe_.checkpoint.path.empty() ? fs::path(options.output.string() + ".ckpt")
                                                     : fs::path(recipe_.checkpoint.path);
  check_writable();
  const at::Device device = parse_device(options.device);
  at::set_num_threads(threads_);
  at::globalContext().setDeterministicAlgorithms(true, /*warn_only=*/false);
  if (recipe_.data.dir.empty()) {
    throw Error("no data set: set data.dir in the recipe or pass --data DIR");
  }
  task_ = make_task(recipe_, {threads_, options.quiet, device});
  const int levels = recipe_.algorithm.kind == AlgorithmKind::kDense
                         ? 1
                         : static_cast<int>(recipe_.levels.weights.size());
  network_ = std::make_unique<Network>(task_->model(), levels, static_cast<uint64_t>(recipe_.seed),
                                       device, task_->initialisation());
  if (!recipe_.model.start.empty()) {
    const auto reader = value_or_throw(format::Reader::open(recipe_.model.start));
    network_->start_from(value_or_throw(reader->read_all()));
  }
  algorithm_ = make_algorithm(recipe_, *network_, *task_);
  if (task_->has_validation()) best_ = std::make_unique<BestState>(*network_);
  loss_sums_ = at::zeros({levels, 2}, at::kDouble);
}

void Run::check_writable() const {
  if (options_.output.empty()) throw Error("no output: name the .strata file to write with -o");
  for (const fs::path& path : {options_.output, checkpoint_path_}) {
    const fs::path parent = path.parent_path();
    const fs::path directory = parent.empty() ? "." : parent;
    if (!fs::is_directory(directory)) {
      throw Error("cannot write '" + path.string() + "': the directory '" + directory.string() +
                  "' does not exist");
    }
    if (::access(directory.c_str(), W_OK) != 0) {
      throw Error("cannot write '" + path.string() + "': no permission to write in '" +
                  directory.string() + "'");
    }
  }
}

void Run::visit_state(const StateVisitor& visitor) {
  network_->visit(visitor);
  algorithm_->visit(visitor);
  if (best_ != nullptr) best_->visit(visitor);
  visitor("log/loss_sums", loss_sums_);
}

void Run::save() {
  write_checkpoint(checkpoint_path_.string(), facts(),
                   [this](const StateVisitor& visitor) { visit_state(visitor); });
}

void Run::resume() {
  if (!fs::exists(checkpoint_path_)) return;
  const CheckpointFacts found =
      read_checkpoint(checkpoint_path_.string(), facts(),
                      [this](const StateVisitor& visitor) { visit_state(visitor); });
  steps_done_ = found.steps_done;
  seconds_before_ = found.seconds;
  begin_ = now();
}

Evaluations Run::evaluate() {
  const at::NoGradGuard no_grad;
  Evaluations evaluations(static_cast<size_t>(network_->level_count()));
  std::vector<size_t> ready;
  std::vector<ModelRoute> routes;
  for (int k = 0; k < network_->level_count(); ++k) {
    if (!algorithm_->ready(k, steps_done_)) continue;
    network_->refresh(k);
    ready.push_back(static_cast<size_t>(k));
    routes.push_back(network_->fixed_route(k));
  }
  const std::vector<Evaluation> found = task_->evaluate(*network_, routes);
  for (size_t i = 0; i < ready.size(); ++i) evaluations[ready[i]] = found[i];
  return evaluations;
}

void Run::keep_best(const Evaluations& evaluations) {
  const auto stretch = algorithm_->stretch(steps_done_);
  if (best_ == nullptr || !stretch) return;
  Score mean;
  const int count = stretch->last_level - stretch->first_level + 1;
  for (int k = stretch->first_level; k <= stretch->last_level; ++k) {
    const Score& score = evaluations[static_cast<size_t>(k)].value().validation.value();
    mean.value += score.value / count;
    mean.loss += score.loss / count;
  }
  best_->consider(*stretch, mean);
}

/// After the last step of a stretch its best state takes over.
void Run::end_stretch() {
  const auto stretch = algorithm_->stretch(steps_done_);
  if (best_ == nullptr || !stretch) return;
  if (steps_done_ < algorithm_->total_steps()) {
    const auto next = algorithm_->stretch(steps_done_ + 1);
    if (next && next->index == stretch->index) return;
  }
  best_->restore(*stretch);
}

bool Run::evaluation_due() const {
  if (steps_done_ == algorithm_->total_steps()) return true;
  const double interval = recipe_.eval.every_epochs;
  if (interval <= 0) return false;
  const double before =
      static_cast<double>(steps_done_ - 1) / static_cast<double>(task_->steps_per_epoch());
  return std::floor(epoch() / interval) > std::floor(before / interval);
}

void Run::add_losses(const StepReport& report) {
  auto sums = loss_sums_.accessor<double, 2>();
  for (size_t k = 0; k < report.loss.size(); ++k) {
    if (!report.loss[k]) continue;
    if (!std::isfinite(*report.loss[k])) {
      throw Error("the loss of level " + std::to_string(k) + " is not finite after " +
                  std::to_string(steps_done_) + " steps; lower optimizer.lr, lengthen " +
                  "optimizer.warmup_epochs or set optimizer.gradient_clip");
    }
    sums[static_cast<int64_t>(k)][0] += *report.loss[k];
    sums[static_cast<int64_t>(k)][1] += 1;
  }
}

void Run::log(const StepReport& report, const Evaluations& evaluations) {
  LogRow row;
  row.step = steps_done_;
  row.epoch = epoch();
  row.learning_rate = report.learning_rate;
  const auto sums = loss_sums_.accessor<double, 2>();
  for (int64_t k = 0; k < loss_sums_.size(0); ++k) {
    row.loss.push_back(sums[k][1] > 0 ? std::optional<double>(sums[k][0] / sums[k][1])
                                      : std::nullopt);
  }
  row.metric = test_values(evaluations);
  row.metric.resize(row.loss.size());
  if (task_->has_validation()) {
    row.validation = validation_values(evaluations);
    row.validation.resize(row.loss.size());
  }
  row.seconds = seconds();
  csv_->append(row);
  loss_sums_.zero_();
}

std::string Run::progress_message(const StepReport& report) const {
  char text[32];
  std::snprintf(text, sizeof(text), "epoch %.2f ", epoch());
  std::string message = text + algorithm_->phase(steps_done_ - 1) + " loss";
  for (const std::optional<double>& loss : report.loss) {
    std::snprintf(text, sizeof(text), " %.3f", loss.value_or(0));
    message += loss ? text : " -";
  }
  return message;
}

std::string metric_note(double epoch, const Metric& metric, const Values& values) {
  char text[32];
  std::snprintf(text, sizeof(text), "epoch %6.2f  ", epoch);
  std::string note = text + metric.field;
  const bool percent = metric.unit == "percent";
  for (const std::optional<double>& value : values) {
    std::snprintf(text, sizeof(text), "  %6.2f", metric.shown_per_measured * value.value_or(0));
    note += value ? std::string(text) + (percent ? " %" : "") : percent ? "       - " : "       -";
  }
  return note;
}

void Run::loop() {
  const InterruptionGuard interruption;
  Progress progress("training", algorithm_->total_steps(),
                    progress_options(options_.quiet, steps_done_, "steps"));
  if (steps_done_ > 0) {
    progress.note("continuing from '" + checkpoint_path_.string() + "' after " +
                  std::to_string(steps_done_) + " steps");
  }
  const auto interval = static_cast<double>(recipe_.checkpoint.every_seconds);
  double last_saved = now();
  double last_note = 0;
  while (steps_done_ < algorithm_->total_steps()) {
    const StepReport report = algorithm_->step(task_->batch(steps_done_), steps_done_);
    ++steps_done_;
    add_losses(report);
    const bool evaluate_now = evaluation_due();
    if (evaluate_now || steps_done_ % kStepsPerLogRow == 0) {
      Evaluations evaluations;
      if (evaluate_now) {
        evaluations = evaluate();
        keep_best(evaluations);
        if (now() - last_note >= kSecondsBetweenNotes) {
          progress.note(metric_note(epoch(), task_->metric(), test_values(evaluations)));
          last_note = now();
        }
      }
      log(report, evaluations);
    }
    end_stretch();
    progress.update(steps_done_, progress_message(report));
    if (options_.after_step) options_.after_step(steps_done_);
    const bool stop = interruption.requested();
    if (interval > 0 && (stop || now() - last_saved >= interval)) {
      save();
      last_saved = now();
    }
    if (stop) {
      progress.finish();
      throw Error("interrupted after step " + std::to_string(steps_done_) + " of " +
                  std::to_string(algorithm_->total_steps()) +
                  (interval > 0 ? "; the state is in '" + checkpoint_path_.string() +
                                      "', run the same command with --resume to go on"
                                : "; nothing is kept, because checkpoint.every_seconds is 0"));
    }
  }
}

std::string Run::record(const TrainResult& result) const {
  nlohmann::json levels = nlohmann::json::array();
  for (const LevelResult& level : result.levels) {
    levels.push_back({{"level", level.level},
                      {result.metric.field, level.value},
                      {"weights_pct", level.weights_pct},
                      {"weights_pct_prunable", level.weights_pct_prunable},
                      {"flops_pct", level.flops_pct}});
  }
  constexpr const char* kKinds[] = {"joint", "grow", "dense"};
  nlohmann::json record = {{"strata", STRATA_VERSION},
                           {"algorithm", kKinds[static_cast<size_t>(recipe_.algorithm.kind)]},
                           {"seed", recipe_.seed},
                           {"epochs", result.epochs},
                           {"steps", result.steps},
                           {"metric", result.metric.field},
                           {"recipe", to_toml(recipe_)},
                           {"levels", levels}};
  record.update(task_->facts());
  if (!options_.recipe_text.empty()) record["recipe_text"] = options_.recipe_text;
  return record.dump();
}

TrainResult Run::finish() {
  TrainResult result;
  result.steps = steps_done_;
  result.epochs = epoch();
  result.metric = task_->metric();
  const Values values = test_values(evaluate());
  sparse::NestedModel nested = network_->nested();
  const sparse::DensityReport density = value_or_throw(sparse::account(nested));
  for (const sparse::LevelDensity& level : density.levels) {
    result.levels.push_back({level.level, values[static_cast<size_t>(level.level)].value_or(0),
                             level.weights_pct, level.weights_pct_prunable, level.flops_pct});
  }
  throw_if_error(sparse::fold_normalisation(nested));
  nested.record = record(result);
  throw_if_error(format::write(options_.output.string(), nested));
  std::error_code ignored;
  fs::remove(checkpoint_path_, ignored);
  result.seconds = seconds();
  return result;
}

/// What a process that was killed while it wrote a checkpoint left behind.
void Run::remove_half_written() const {
  const fs::path parent = checkpoint_path_.parent_path();
  const std::string prefix = checkpoint_path_.filename().string() + ".tmp-";
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(parent.empty() ? "." : parent, ignored)) {
    if (entry.path().filename().string().starts_with(prefix)) fs::remove(entry.path(), ignored);
  }
}

TrainResult Run::execute() {
  remove_half_written();
  if (options_.resume) resume();
  std::vector<std::string> columns = {task_->metric().field};
  if (task_->has_validation()) columns.push_back("validation_" + columns.front());
  csv_ = std::make_unique<CsvLog>(options_.output.string() + ".csv", columns,
                                  network_->level_count(), steps_done_);
  loop();
  return finish();
}

}  // namespace

TrainResult train(const TrainOptions& options) {
  try {
    return Run(options).execute();
  } catch (const c10::Error& error) {
    throw Error(std::string("training failed inside libtorch: ") + error.what_without_backtrace());
  }
}

}  // namespace strata::train
