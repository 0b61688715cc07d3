// See trainer.h.
#include "train/torch/trainer.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <thread>
#include <utility>

#include <unistd.h>

#include "train/error.h"
#include "train/progress.h"
#include "train/torch/interruption.h"

namespace strata::train {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kStepsPerLogRow = 50;
constexpr double kSecondsBetweenNotes = 1;  // a small graph has hundreds of epochs in that time

using Values = Trainer::Values;
using Evaluations = Trainer::Evaluations;

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

Values validation_values(const Evaluations& evaluations) {
  Values values;
  for (const std::optional<Evaluation>& evaluation : evaluations) {
    const bool known = evaluation && evaluation->validation;
    values.push_back(known ? std::optional(evaluation->validation->value) : std::nullopt);
  }
  return values;
}

ProgressOptions progress_options(bool quiet, int64_t first, std::string unit) {
  ProgressOptions options;
  options.mode = progress_mode(quiet);
  options.first = first;
  options.unit = std::move(unit);
  return options;
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

}  // namespace

Trainer::Trainer(const Recipe& recipe, Task& task, Network& network, NestingAlgorithm& algorithm,
                 TrainerOptions options)
    : recipe_(recipe),
      task_(task),
      network_(network),
      algorithm_(algorithm),
      options_(std::move(options)),
      begin_(now()),
      loss_sums_(at::zeros({network.level_count(), 2}, at::kDouble)) {
  if (task_.has_validation()) best_ = std::make_unique<BestState>(network_);
}

double Trainer::seconds() const { return seconds_before_ + now() - begin_; }

CheckpointFacts Trainer::facts() const {
  return {to_toml(recipe_), task_.digest(), steps_done_, seconds()};
}

Values Trainer::test_values(const Evaluations& evaluations) {
  Values values;
  for (const std::optional<Evaluation>& evaluation : evaluations) {
    values.push_back(evaluation ? std::optional(evaluation->test.value) : std::nullopt);
  }
  return values;
}

void Trainer::visit_state(const StateVisitor& visitor) {
  network_.visit(visitor);
  algorithm_.visit(visitor);
  if (best_ != nullptr) best_->visit(visitor);
  visitor("log/loss_sums", loss_sums_);
}

void Trainer::save() {
  write_checkpoint(options_.checkpoint.string(), facts(),
                   [this](const StateVisitor& visitor) { visit_state(visitor); });
}

void Trainer::resume() {
  if (!fs::exists(options_.checkpoint)) return;
  const CheckpointFacts found =
      read_checkpoint(options_.checkpoint.string(), facts(),
                      [this](const StateVisitor& visitor) { visit_state(visitor); });
  steps_done_ = found.steps_done;
  seconds_before_ = found.seconds;
  begin_ = now();
}

Evaluations Trainer::evaluate() {
  const at::NoGradGuard no_grad;
  Evaluations evaluations(static_cast<size_t>(network_.level_count()));
  std::vector<size_t> ready;
  std::vector<ModelRoute> routes;
  for (int k = 0; k < network_.level_count(); ++k) {
    if (!algorithm_.ready(k, steps_done_)) continue;
    network_.refresh(k);
    ready.push_back(static_cast<size_t>(k));
    routes.push_back(network_.fixed_route(k));
  }
  const std::vector<Evaluation> found = task_.evaluate(network_, routes);
  for (size_t i = 0; i < ready.size(); ++i) evaluations[ready[i]] = found[i];
  return evaluations;
}

void Trainer::keep_best(const Evaluations& evaluations) {
  const auto stretch = algorithm_.stretch(steps_done_);
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
void Trainer::end_stretch() {
  const auto stretch = algorithm_.stretch(steps_done_);
  if (best_ == nullptr || !stretch) return;
  if (steps_done_ < algorithm_.total_steps()) {
    const auto next = algorithm_.stretch(steps_done_ + 1);
    if (next && next->index == stretch->index) return;
  }
  best_->restore(*stretch);
}

bool Trainer::evaluation_due() const {
  if (steps_done_ == algorithm_.total_steps()) return true;
  const double interval = recipe_.eval.every_epochs;
  if (interval <= 0) return false;
  const double before =
      static_cast<double>(steps_done_ - 1) / static_cast<double>(task_.steps_per_epoch());
  return std::floor(epoch() / interval) > std::floor(before / interval);
}

void Trainer::add_losses(const StepReport& report) {
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

void Trainer::log(const StepReport& report, const Evaluations& evaluations) {
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
  if (task_.has_validation()) {
    row.validation = validation_values(evaluations);
    row.validation.resize(row.loss.size());
  }
  row.seconds = seconds();
  csv_->append(row);
  loss_sums_.zero_();
}

std::string Trainer::progress_message(const StepReport& report) const {
  char text[32];
  std::snprintf(text, sizeof(text), "epoch %.2f ", epoch());
  std::string message = text + algorithm_.phase(steps_done_ - 1) + " loss";
  for (const std::optional<double>& loss : report.loss) {
    std::snprintf(text, sizeof(text), " %.3f", loss.value_or(0));
    message += loss ? text : " -";
  }
  return message;
}

void Trainer::loop() {
  const InterruptionGuard interruption;
  Progress progress("training", algorithm_.total_steps(),
                    progress_options(options_.quiet, steps_done_, "steps"));
  if (steps_done_ > 0) {
    progress.note("continuing from '" + options_.checkpoint.string() + "' after " +
                  std::to_string(steps_done_) + " steps");
  }
  const auto interval = static_cast<double>(recipe_.checkpoint.every_seconds);
  double last_saved = now();
  double last_note = 0;
  while (steps_done_ < algorithm_.total_steps()) {
    const StepReport report = algorithm_.step(task_.batch(steps_done_), steps_done_);
    ++steps_done_;
    add_losses(report);
    const bool evaluate_now = evaluation_due();
    if (evaluate_now || steps_done_ % kStepsPerLogRow == 0) {
      Evaluations evaluations;
      if (evaluate_now) {
        evaluations = evaluate();
        keep_best(evaluations);
        if (now() - last_note >= kSecondsBetweenNotes) {
          progress.note(metric_note(epoch(), task_.metric(), test_values(evaluations)));
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
                  std::to_string(algorithm_.total_steps()) +
                  (interval > 0 ? "; the state is in '" + options_.checkpoint.string() +
                                      "', run the same command with --resume to go on"
                                : "; nothing is kept, because checkpoint.every_seconds is 0"));
    }
  }
}

/// What a process that was killed while it wrote a checkpoint left behind.
void Trainer::remove_half_written() const {
  const fs::path parent = options_.checkpoint.parent_path();
  const std::string prefix = options_.checkpoint.filename().string() + ".tmp-";
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(parent.empty() ? "." : parent, ignored)) {
    if (entry.path().filename().string().starts_with(prefix)) fs::remove(entry.path(), ignored);
  }
}

void Trainer::run() {
  remove_half_written();
  if (options_.resume) resume();
  std::vector<std::string> columns = {task_.metric().field};
  if (task_.has_validation()) columns.push_back("validation_" + columns.front());
  csv_ =
      std::make_unique<CsvLog>(options_.log.string(), columns, network_.level_count(), steps_done_);
  loop();
}

void check_writable(const std::filesystem::path& path) {
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

int thread_count(const Recipe& recipe) {
  if (recipe.threads > 0) return static_cast<int>(recipe.threads);
  return static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
}

}  // namespace strata::train
