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
#include <xxhash.h>

#include "core/file.h"
#include "format/writer.h"
#include "models/resnet.h"
#include "sparse/accounting.h"
#include "train/data/augment.h"
#include "train/data/dataset.h"
#include "train/data/normalisation.h"
#include "train/error.h"
#include "train/progress.h"
#include "train/torch/algorithm.h"
#include "train/torch/checkpoint.h"
#include "train/torch/csv_log.h"
#include "train/torch/interruption.h"
#include "train/torch/train.h"

namespace strata::train {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kStepsPerLogRow = 50;

using Accuracies = std::vector<std::optional<double>>;

struct TrainingData {
  data::Dataset train;
  data::Dataset test;
  data::Normalisation normalisation;
  uint64_t digest = 0;
};

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

uint64_t digest_of(const data::Dataset& dataset) {
  const uint64_t labels =
      XXH3_64bits(dataset.labels.data(), dataset.labels.size() * sizeof(dataset.labels[0]));
  return XXH3_64bits_withSeed(dataset.pixels.data(), dataset.pixels.size(), labels);
}

TrainingData load_data(const Recipe& recipe, bool quiet) {
  if (recipe.data.dir.empty()) {
    throw Error("no data set: set data.dir in the recipe or pass --data DIR");
  }
  data::LoadOptions options;
  switch (recipe.data.format) {
    case DataFormat::kAuto:
      options.format = data::Format::kAuto;
      break;
    case DataFormat::kFolder:
      options.format = data::Format::kFolder;
      break;
    case DataFormat::kCifar10:
      options.format = data::Format::kCifar10;
      break;
    case DataFormat::kIdx:
      options.format = data::Format::kIdx;
      break;
  }
  if (!recipe.model.input.empty()) options.shape = data::parse_image_shape(recipe.model.input);
  options.convert = recipe.data.convert;
  options.holdout = recipe.data.holdout;
  options.threads = thread_count(recipe);
  const auto load = [&](data::Split split, int64_t limit) {
    options.limit = limit;
    std::unique_ptr<Progress> progress;
    options.progress = [&](int64_t done, int64_t total) {
      if (progress == nullptr) {
        progress = std::make_unique<Progress>("reading " + std::string(data::to_string(split)),
                                              total, progress_options(quiet, 0, "images"));
      }
      progress->update(done);
    };
    return data::load(recipe.data.dir, split, options);
  };
  TrainingData data;
  data.train = load(data::Split::kTrain, recipe.data.limit_train);
  options.shape = data.train.shape();
  options.classes = data.train.classes;
  data.test = load(data::Split::kTest, recipe.data.limit_test);
  data.normalisation = data::measure(data.train);
  data.digest = digest_of(data.train);
  return data;
}

graph::Model build_model(const Recipe& recipe, const TrainingData& data) {
  models::ResNetConfig config = value_or_throw(models::resnet_config(recipe.model.arch));
  if (recipe.model.width > 0) config.width = recipe.model.width;
  if (recipe.model.stem_stride > 0) {
    if (config.stem != models::ResNetStem::kSmall) {
      throw Error("model.stem_stride cannot change the ImageNet stem of '" + recipe.model.arch +
                  "'; remove the key");
    }
    config.stem_stride = recipe.model.stem_stride;
  }
  const auto classes = static_cast<int64_t>(data.train.classes.size());
  config.classes = recipe.model.classes > 0 ? recipe.model.classes : classes;
  if (config.classes < classes) {
    throw Error("model.classes is " + std::to_string(config.classes) + ", but the data set '" +
                data.train.name + "' has " + std::to_string(classes) + " classes");
  }
  config.input_channels = data.train.channels;
  config.image_height = data.train.height;
  config.image_width = data.train.width;
  config.keep_ends_dense = recipe.model.keep_ends_dense;
  graph::Model model = value_or_throw(models::resnet(config));
  data::write_normalisation(data.normalisation, model.metadata);
  std::string names;
  for (const std::string& name : data.train.classes) names += (names.empty() ? "" : "\n") + name;
  model.metadata["classes"] = names;
  model.metadata["family"] = "image-classification";
  return model;
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
  void log(const StepReport& report, Accuracies accuracies);
  void add_losses(const StepReport& report);
  void check_writable() const;
  void remove_half_written() const;
  TrainResult finish();
  [[nodiscard]] Batch batch(int64_t step);
  [[nodiscard]] Batch test_batch(int64_t begin, int64_t count) const;
  [[nodiscard]] Accuracies evaluate();
  [[nodiscard]] bool evaluation_due() const;
  [[nodiscard]] std::string progress_message(const StepReport& report) const;
  [[nodiscard]] double epoch() const {
    return static_cast<double>(steps_done_) / static_cast<double>(steps_per_epoch_);
  }
  [[nodiscard]] std::string record(const TrainResult& result) const;
  [[nodiscard]] static double now() {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch())
        .count();
  }
  [[nodiscard]] double seconds() const { return seconds_before_ + now() - begin_; }
  void visit_state(const StateVisitor& visitor);
  [[nodiscard]] CheckpointFacts facts() const {
    return {to_toml(recipe_), data_.digest, steps_done_, seconds()};
  }

  TrainOptions options_;
  Recipe recipe_;
  int threads_;
  fs::path checkpoint_path_;
  TrainingData data_;
  int64_t steps_per_epoch_;
  std::unique_ptr<Network> network_;
  std::unique_ptr<NestingAlgorithm> algorithm_;
  std::unique_ptr<CsvLog> csv_;
  int64_t steps_done_ = 0;
  double seconds_before_ = 0;
  double begin_ = now();
  at::Tensor loss_sums_;  ///< [level][sum, count] since the last row of the log
  std::unique_ptr<data::BatchPlan> plan_;
  int64_t plan_epoch_ = -1;
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
  data_ = load_data(recipe_, options.quiet);
  steps_per_epoch_ =
      data::BatchPlan({}, data_.train.count, recipe_.optimizer.batch_size, true).batch_count();
  const int levels = recipe_.algorithm.kind == AlgorithmKind::kDense
                         ? 1
                         : static_cast<int>(recipe_.levels.weights.size());
  network_ = std::make_unique<Network>(build_model(recipe_, data_), levels,
                                       static_cast<uint64_t>(recipe_.seed), device);
  algorithm_ = make_algorithm(recipe_, *network_, steps_per_epoch_);
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

Batch Run::batch(int64_t step) {
  const int64_t epoch = step / steps_per_epoch_;
  const data::RandomKey key{static_cast<uint64_t>(recipe_.seed), static_cast<uint64_t>(epoch)};
  if (epoch != plan_epoch_) {
    plan_ = std::make_unique<data::BatchPlan>(key, data_.train.count, recipe_.optimizer.batch_size,
                                              /*drop_last=*/true);
    plan_epoch_ = epoch;
  }
  const std::span<const int64_t> indices = plan_->batch(step % steps_per_epoch_);
  const auto count = static_cast<int64_t>(indices.size());
  const data::Augmentation augmentation{.crop_padding = recipe_.data.augment.crop_padding,
                                        .flip = recipe_.data.augment.flip,
                                        .cutout = recipe_.data.augment.cutout};
  const data::Dataset& train = data_.train;
  const at::Tensor images = at::empty({count, train.channels, train.height, train.width});
  const at::Tensor labels = at::empty({count}, at::kLong);
  data::assemble_batch(train, indices, augmentation, data_.normalisation, key,
                       images.data_ptr<float>(), threads_);
  for (int64_t i = 0; i < count; ++i) {
    labels.data_ptr<int64_t>()[i] =
        train.labels[static_cast<size_t>(indices[static_cast<size_t>(i)])];
  }
  return {images.contiguous(at::MemoryFormat::ChannelsLast).to(network_->device()),
          labels.to(network_->device())};
}

Batch Run::test_batch(int64_t begin, int64_t count) const {
  const data::Dataset& test = data_.test;
  std::vector<int64_t> indices(static_cast<size_t>(count));
  const at::Tensor images = at::empty({count, test.channels, test.height, test.width});
  const at::Tensor labels = at::empty({count}, at::kLong);
  for (int64_t i = 0; i < count; ++i) {
    indices[static_cast<size_t>(i)] = begin + i;
    labels.data_ptr<int64_t>()[i] = test.labels[static_cast<size_t>(begin + i)];
  }
  data::to_float(test, indices, data_.normalisation, images.data_ptr<float>());
  return {images.contiguous(at::MemoryFormat::ChannelsLast).to(network_->device()),
          labels.to(network_->device())};
}

Accuracies Run::evaluate() {
  const at::NoGradGuard no_grad;
  const int levels = network_->level_count();
  Accuracies accuracies(static_cast<size_t>(levels));
  std::vector<int64_t> correct(static_cast<size_t>(levels), 0);
  for (int k = 0; k < levels; ++k) {
    if (algorithm_->ready(k, steps_done_)) network_->refresh(k);
  }
  for (int64_t begin = 0; begin < data_.test.count; begin += recipe_.eval.batch_size) {
    const Batch batch =
        test_batch(begin, std::min(recipe_.eval.batch_size, data_.test.count - begin));
    for (int k = 0; k < levels; ++k) {
      if (!algorithm_->ready(k, steps_done_)) continue;
      const at::Tensor logits =
          network_->logits(batch.images, network_->executor().fixed_route(k), Pass{});
      correct[static_cast<size_t>(k)] += logits.argmax(1).eq(batch.labels).sum().item<int64_t>();
    }
  }
  for (int k = 0; k < levels; ++k) {
    if (!algorithm_->ready(k, steps_done_)) continue;
    accuracies[static_cast<size_t>(k)] = static_cast<double>(correct[static_cast<size_t>(k)]) /
                                         static_cast<double>(data_.test.count);
  }
  return accuracies;
}

bool Run::evaluation_due() const {
  if (steps_done_ == algorithm_->total_steps()) return true;
  const double interval = recipe_.eval.every_epochs;
  if (interval <= 0) return false;
  const double before =
      static_cast<double>(steps_done_ - 1) / static_cast<double>(steps_per_epoch_);
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

void Run::log(const StepReport& report, Accuracies accuracies) {
  LogRow row;
  row.step = steps_done_;
  row.epoch = epoch();
  row.learning_rate = report.learning_rate;
  const auto sums = loss_sums_.accessor<double, 2>();
  for (int64_t k = 0; k < loss_sums_.size(0); ++k) {
    row.loss.push_back(sums[k][1] > 0 ? std::optional<double>(sums[k][0] / sums[k][1])
                                      : std::nullopt);
  }
  accuracies.resize(row.loss.size());
  row.accuracy = std::move(accuracies);
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

std::string accuracy_note(double epoch, const Accuracies& accuracies) {
  char text[32];
  std::snprintf(text, sizeof(text), "epoch %6.2f  accuracy", epoch);
  std::string note = text;
  for (const std::optional<double>& accuracy : accuracies) {
    std::snprintf(text, sizeof(text), "  %6.2f %%", 100 * accuracy.value_or(0));
    note += accuracy ? text : "       - ";
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
  while (steps_done_ < algorithm_->total_steps()) {
    const StepReport report = algorithm_->step(batch(steps_done_), steps_done_);
    ++steps_done_;
    add_losses(report);
    const bool evaluate_now = evaluation_due();
    if (evaluate_now || steps_done_ % kStepsPerLogRow == 0) {
      Accuracies accuracies;
      if (evaluate_now) {
        accuracies = evaluate();
        progress.note(accuracy_note(epoch(), accuracies));
      }
      log(report, std::move(accuracies));
    }
    progress.update(steps_done_, progress_message(report));
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
                      {"accuracy", level.accuracy},
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
                           {"data", data_.train.name},
                           {"train_images", data_.train.count},
                           {"test_images", data_.test.count},
                           {"recipe", to_toml(recipe_)},
                           {"levels", levels}};
  if (!options_.recipe_text.empty()) record["recipe_text"] = options_.recipe_text;
  return record.dump();
}

TrainResult Run::finish() {
  TrainResult result;
  result.steps = steps_done_;
  result.epochs = epoch();
  const Accuracies accuracies = evaluate();
  sparse::NestedModel nested = network_->nested();
  const sparse::DensityReport density = value_or_throw(sparse::account(nested));
  for (const sparse::LevelDensity& level : density.levels) {
    result.levels.push_back({level.level, accuracies[static_cast<size_t>(level.level)].value_or(0),
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
  csv_ = std::make_unique<CsvLog>(options_.output.string() + ".csv", network_->level_count(),
                                  steps_done_);
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
