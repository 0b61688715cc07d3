// A recipe in, one .strata file out: makes what a trainer works with, and writes what comes of it.
#include "train/torch/train.h"

#include <memory>
#include <utility>

#include <ATen/Context.h>
#include <nlohmann/json.hpp>

#include "format/reader.h"
#include "format/writer.h"
#include "sparse/accounting.h"
#include "train/error.h"
#include "train/torch/algorithm.h"
#include "train/torch/task.h"
#include "train/torch/tensor_threads.h"
#include "train/torch/trainer.h"

namespace strata::train {
namespace {

namespace fs = std::filesystem;

/// Everything of one run.
class Run {
 public:
  explicit Run(const TrainOptions& options);
  TrainResult execute();

 private:
  void start();
  [[nodiscard]] std::string record(const TrainResult& result) const;

  TrainOptions options_;
  Recipe recipe_;
  fs::path checkpoint_path_;
  std::unique_ptr<Task> task_;
  std::unique_ptr<Network> network_;
  std::unique_ptr<NestingAlgorithm> algorithm_;
  std::unique_ptr<Trainer> trainer_;
};

Run::Run(const TrainOptions& options) : options_(options), recipe_(options.recipe) {
  if (!options.data_dir.empty()) recipe_.data.dir = options.data_dir;
  checkpoint_path_ = recipe_.checkpoint.path.empty() ? fs::path(options.output.string() + ".ckpt")
                                                     : fs::path(recipe_.checkpoint.path);
  if (options_.output.empty()) throw Error("no output: name the .strata file to write with -o");
  check_writable(options_.output);
  check_writable(checkpoint_path_);
  const at::Device device = parse_device(options.device);
  const int threads = thread_count(recipe_);
  set_tensor_threads(threads);
  at::globalContext().setDeterministicAlgorithms(true, /*warn_only=*/false);
  if (recipe_.data.dir.empty()) {
    throw Error("no data set: set data.dir in the recipe or pass --data DIR");
  }
  task_ = make_task(recipe_, {threads, options.quiet, device});
  const int levels = recipe_.algorithm.kind == AlgorithmKind::kDense
                         ? 1
                         : static_cast<int>(recipe_.levels.weights.size());
  network_ = std::make_unique<Network>(task_->model(), levels, static_cast<uint64_t>(recipe_.seed),
                                       device, task_->initialisation());
  if (!recipe_.model.start.empty()) start();
  algorithm_ = make_algorithm(recipe_, *network_, *task_);
  trainer_ = std::make_unique<Trainer>(recipe_, *task_, *network_, *algorithm_,
                                       TrainerOptions{.checkpoint = checkpoint_path_,
                                                      .log = options_.output.string() + ".csv",
                                                      .resume = options_.resume,
                                                      .quiet = options_.quiet,
                                                      .after_step = options_.after_step});
}

/// Takes over what model.start names. Normalisation is folded in a file: one batch tells which
/// statistics it had been divided by.
void Run::start() {
  const auto reader = value_or_throw(format::Reader::open(recipe_.model.start));
  network_->start_from(value_or_throw(reader->read_all()));
  const at::NoGradGuard no_grad;
  network_->refresh(0);
  (void)task_->answer(*network_, task_->batch(0), network_->fixed_route(0),
                      Pass{.adopt_statistics = true});
  for (int k = 1; k < network_->level_count(); ++k) network_->copy_vectors(0, k);
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

TrainResult Run::execute() {
  trainer_->run();
  TrainResult result;
  result.steps = trainer_->steps_done();
  result.epochs = trainer_->epoch();
  result.metric = task_->metric();
  const Trainer::Values values = Trainer::test_values(trainer_->evaluate());
  sparse::NestedModel nested = network_->nested();
  const sparse::DensityReport density = value_or_throw(sparse::account(nested));
  for (const sparse::LevelDensity& level : density.levels) {
    result.levels.push_back({level.level, values[static_cast<size_t>(level.level)].value_or(0),
                             level.weights_pct, level.weights_pct_prunable, level.flops_pct});
  }
  throw_if_error(sparse::fold_normalisation(nested));
  nested.record = record(result);
  throw_if_error(format::write(options_.output.string(), nested, {.values = options_.values}));
  std::error_code ignored;
  fs::remove(checkpoint_path_, ignored);
  result.seconds = trainer_->seconds();
  return result;
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
