// strata compress: a trained network in, one file with nested levels out, in minutes and without
// training, or better with some. The work is done in train/; a build without libtorch says so.
#include <charconv>
#include <chrono>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "format/writer.h"
#include "interop/onnx_import.h"
#include "tools/strata/heap.h"
#include "tools/strata/import_options.h"
#include "tools/strata/inspection.h"
#include "tools/strata/late_progress.h"
#include "tools/strata/machine.h"
#include "tools/strata/output_file.h"
#include "tools/strata/sample_loading.h"
#include "tools/strata/table.h"
#include "tools/strata/value_option.h"
#include "tools/strata/verb.h"
#include "train/error.h"
#include "train/recipe.h"

#ifdef STRATA_TORCH_VERSION
#include "tools/strata/compression_report.h"
#include "tools/strata/level_choice.h"
#include "train/torch/fine_tune.h"
#include "train/torch/level_normalisation.h"
#include "train/torch/one_shot.h"
#include "train/torch/sensitivity.h"
#endif

namespace strata::cli {
namespace {

constexpr int64_t kCalibrationSamples = 512;

/// How long to fine-tune: one of the two.
struct TuningBudget {
  double minutes = 0;
  double epochs = 0;
};

/// "10m", "2h", "90s" or "5epochs".
TuningBudget parse_tuning_budget(const std::string& text) {
  double number = 0;
  const auto [rest, failure] = std::from_chars(text.data(), text.data() + text.size(), number);
  const std::string unit = rest;
  if (failure == std::errc() && number > 0 && number < 1e6) {
    if (unit == "m" || unit == "min") return {.minutes = number};
    if (unit == "h") return {.minutes = 60 * number};
    if (unit == "s") return {.minutes = number / 60};
    if (unit == "epochs" || unit == "epoch") return {.epochs = number};
  }
  throw UsageError("--finetune '" + text +
                   "' is no time such as 10m or 2h, nor a number of epochs such as 5epochs");
}

class CompressVerb : public Verb {
 public:
  CompressVerb()
      : Verb("compress",
             "Make nested sparse levels of a trained network, without training or with some",
             "  strata compress model.onnx --levels 30,50 --data photos/ -o model.strata\n"
             "  strata compress model.onnx --level-ms 2,4 --data calibration.npz -o model.strata\n"
             "  strata compress model.onnx --levels 13.4,30 --data photos/ --finetune 10m "
             "-o model.strata\n"
             "  strata compress dense.strata --levels 30 --method magnitude -o m.strata   "
             "no data needed\n\n"
             "Layers are fitted one after the other to what the dense network makes of a few "
             "hundred\nsamples of the training split. With --finetune the levels then learn from "
             "the dense\nnetwork, and from labels where there are. The test split is for the "
             "report alone.\nSee what of a model is supported with 'strata import --check'.") {}

  void declare(CLI::App& app) override {
    app.add_option("FILE", file_, "The .onnx file, or a .strata file with one level")->required();
    declare_levels(app);
    app.add_option("--data", data_,
                   "Data like those that the network is for: a folder with train/CLASS/ and "
                   "test/CLASS/ of images, CIFAR-10, IDX, or an .npz file with 'x' (or the inputs "
                   "by name) and, for accuracy, 'y'. Without, weights are chosen by magnitude")
        ->type_name("PATH");
    app.add_option("--samples,--images", samples_, "Calibration samples to take (default: 512)")
        ->type_name("N")
        ->check(CLI::PositiveNumber.description(""));
    app.add_option("--method", method_,
                   "together (default): values are a compromise between all levels; outwards: the "
                   "sparsest level first; inwards: the least sparse first; magnitude: the largest "
                   "weights as they are")
        ->type_name("METHOD")
        ->check(CLI::IsMember({"together", "outwards", "inwards", "magnitude"}).description(""));
    app.add_option("--finetune", finetune_,
                   "Train afterwards: a time such as 10m or 2h, or 5epochs. Ctrl-C keeps the state "
                   "in OUTPUT.ckpt")
        ->type_name("BUDGET");
    app.add_option("--set", overrides_,
                   "Change how --finetune trains by one key of a recipe (see 'strata train "
                   "--help-recipe'); may be repeated")
        ->option_text("KEY=VALUE")
        ->expected(1)
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
    app.add_flag("--resume", resume_, "Go on fine-tuning from the checkpoint, if there is one");
    app.add_flag("--convert", convert_, "Make images of another size or colour fit");
    declare_bind(app, bind_);
    declare_weights(app, weights_);
    declare_values(app, values_);
    app.add_option("--threads", threads_, "Threads (default: all cores)")
        ->type_name("N")
        ->check(CLI::Range(1, 64).description(""));
    app.add_option("-o,--output", output_, "The .strata file to write")
        ->option_text("FILE (required)")
        ->required();
  }

  void run(const Console& console) override {
    check_usage();
    check_output(output_, {{file_}});
#ifdef STRATA_TORCH_VERSION
    if (tuning_) keep_freed_memory();
    compress(console);
#else
    static_cast<void>(console);
    throw Error(
        "this strata was built without libtorch and cannot compress; build it with "
        "-DSTRATA_TRAIN=ON");
#endif
  }

 private:
  void declare_levels(CLI::App& app);
  void check_usage();
  void check_levels(const std::string& option, const std::vector<double>& levels,
                    bool percent) const;

#ifdef STRATA_TORCH_VERSION
  void compress(const Console& console);
  [[nodiscard]] sparse::NestedModel load() const;
  [[nodiscard]] LevelRequest request() const;
  [[nodiscard]] std::unique_ptr<data::Samples> samples(const Console& console,
                                                       const sparse::NestedModel& dense,
                                                       data::Split split) const;
  [[nodiscard]] std::string record(const Console& console, const CompressionReport& report) const;
  void fit(const Console& console, const sparse::NestedModel& dense);
  void tune(const Console& console, const sparse::NestedModel& dense);
  void write_and_show(const Console& console, sparse::NestedModel dense);

  std::unique_ptr<data::Samples> training_;  ///< null without data
  sparse::NestedModel nested_;               ///< what there is so far
  CompressionReport report_;
#endif

  std::string file_;
  std::vector<double> levels_, level_flops_, level_ms_;
  std::string budget_ = "weights";
  std::string data_;
  int64_t samples_ = kCalibrationSamples;
  std::string method_ = "together";
  std::string finetune_;
  std::optional<TuningBudget> tuning_;
  std::vector<std::string> overrides_;
  bool resume_ = false;
  bool convert_ = false;
  std::vector<std::string> bind_;
  std::string weights_;
  format::ValueType values_ = format::ValueType::kFloat32;
  int threads_ = 0;
  std::string output_;
};

void CompressVerb::declare_levels(CLI::App& app) {
  const auto add = [&](const char* name, std::vector<double>& into, const char* type,
                       const char* text) {
    return app.add_option(name, into, text)->option_text(type)->delimiter(',');
  };
  add("--levels", levels_, "PERCENT,...",
      "Sizes of the levels, sparsest first, in percent of the dense network's weights");
  add("--level-flops", level_flops_, "PERCENT,...",
      "Instead: in percent of the dense network's multiply-adds");
  add("--level-ms", level_ms_, "MS,...",
      "Instead: milliseconds that one inference may take on this machine with --threads");
  app.add_option("--budget", budget_, "What --levels count: weights or flops (default: weights)")
      ->type_name("KIND")
      ->check(CLI::IsMember({"weights", "flops"}).description(""));
}

void CompressVerb::check_levels(const std::string& option, const std::vector<double>& levels,
                                bool percent) const {
  double before = 0;
  for (const double level : levels) {
    if (!(level > before && (!percent || level <= 100))) {
      throw UsageError(option + " must be " +
                       (percent ? "percentages above 0, at most 100," : "times above 0") +
                       " that grow from level to level; " + Json(level).dump() + " follows " +
                       Json(before).dump());
    }
    before = level;
  }
}

void CompressVerb::check_usage() {
  const auto given = static_cast<int>(!levels_.empty()) + static_cast<int>(!level_flops_.empty()) +
                     static_cast<int>(!level_ms_.empty());
  if (given != 1) {
    throw UsageError(given == 0 ? "say which levels to make: --levels, --level-flops or --level-ms"
                                : "give one of --levels, --level-flops and --level-ms");
  }
  check_levels("--levels", levels_, true);
  check_levels("--level-flops", level_flops_, true);
  check_levels("--level-ms", level_ms_, false);
  if (!weights_.empty() && std::filesystem::path(file_).extension() != ".onnx") {
    throw UsageError("--weights belongs to an ONNX model");
  }
  if (!finetune_.empty()) {
    tuning_ = parse_tuning_budget(finetune_);
    if (data_.empty()) throw UsageError("--finetune needs data to train on; give --data");
  } else if (resume_ || !overrides_.empty()) {
    throw UsageError("--resume and --set belong to --finetune");
  }
}

#ifdef STRATA_TORCH_VERSION

LevelRequest CompressVerb::request() const {
  if (!level_ms_.empty()) return {LevelUnit::kMilliseconds, level_ms_};
  if (!level_flops_.empty()) return {LevelUnit::kFlops, level_flops_};
  return {budget_ == "flops" ? LevelUnit::kFlops : LevelUnit::kWeights, levels_};
}

sparse::NestedModel CompressVerb::load() const {
  if (std::filesystem::path(file_).extension() == ".onnx") {
    return value_or_throw(
        interop::import_onnx(file_, {.bindings = parse_bindings(bind_), .weights = weights_}));
  }
  const auto reader = value_or_throw(format::Reader::open(file_));
  if (reader->level_count() != 1) {
    throw Error("'" + file_ + "' has " + std::to_string(reader->level_count()) +
                " levels already; compress takes a dense network");
  }
  return value_or_throw(reader->read_all());
}

std::unique_ptr<data::Samples> CompressVerb::samples(const Console& console,
                                                     const sparse::NestedModel& dense,
                                                     data::Split split) const {
  const bool few = split == data::Split::kTrain && !tuning_;
  return load_samples(
      console, dense.model, split,
      {.path = data_, .convert = convert_, .limit = few ? samples_ : 0, .threads = threads_});
}

/// Fits every level in one shot.
void CompressVerb::fit(const Console& console, const sparse::NestedModel& dense) {
  const bool magnitude = method_ == "magnitude";
  train::Calibration calibration;
  LevelChoice choice{.dense = dense, .threads = threads_};
  choice.method =
      magnitude ? sparse::AllocationMethod::kGlobalMagnitude : sparse::AllocationMethod::kUniform;
  if (training_) {
    calibration = {training_.get(), data::choose_samples(*training_, samples_)};
    choice.bindings = bindings_of(dense.model.graphs[0], *training_);
  } else if (!magnitude) {
    console.note(
        "warning: without --data, weights are chosen by magnitude and nothing makes up "
        "for those that leave; expect much lower accuracy");
  }
  LateProgress progress("compress", "", console);
  const auto show_progress = [&](int64_t done, int64_t total, const std::string& what) {
    stop_if_interrupted();
    progress.update(done, total, what);
  };
  train::set_compression_threads(threads_);
  if (!calibration.empty() && !magnitude) {
    choice.sensitivity = train::measure_sensitivity(dense, calibration, show_progress);
    progress.finish();
  }
  const LevelCounts counts = choose_levels(console, choice, request());
  train::OneShotOptions options;
  options.order = magnitude               ? train::NestingOrder::kMagnitude
                  : method_ == "outwards" ? train::NestingOrder::kOutwards
                  : method_ == "inwards"  ? train::NestingOrder::kInwards
                                          : train::NestingOrder::kTogether;
  options.progress = show_progress;
  train::OneShotResult result = train::compress_one_shot(dense, calibration, counts, options);
  nested_ = std::move(result.nested);
  for (size_t i = 0; i < result.layers.size(); ++i) {
    const train::LayerOutcome& layer = result.layers[i];
    const double sensitivity = choice.sensitivity.empty() ? 0 : choice.sensitivity[i].sensitivity;
    report_.layers.push_back(
        {layer.weight, layer.elements, sensitivity, layer.nonzeros, layer.error, layer.seconds});
  }
}

void CompressVerb::tune(const Console& console, const sparse::NestedModel& dense) {
  train::FineTuneOptions options;
  train::Recipe recipe = train::fine_tuning_recipe();
  recipe.threads = threads_;
  if (tuning_->epochs > 0) recipe.optimizer.epochs = tuning_->epochs;
  options.recipe = train::parse_recipe(train::to_toml(recipe), "--set", overrides_);
  options.minutes = tuning_->minutes;
  options.checkpoint = output_ + ".ckpt";
  options.log = output_ + ".csv";
  options.resume = resume_;
  options.quiet = console.quiet;
  train::FineTuneResult result = train::fine_tune(dense, nested_, *training_, options);
  nested_ = std::move(result.nested);
  report_.fine_tuning = {result.seconds, result.epochs, result.steps};
}

std::string CompressVerb::record(const Console& console, const CompressionReport& report) const {
  const LevelRequest asked = request();
  constexpr const char* kUnits[] = {"weights", "flops", "ms"};
  Json record = {{"kind", "compress"},
                 {"method", method_},
                 {"levels", asked.values},
                 {"budget", kUnits[static_cast<size_t>(asked.unit)]},
                 {"samples", training_ ? samples_ : 0},
                 {"command", console.command_line}};
  if (report.fine_tuning) record["fine_tuning_epochs"] = report.fine_tuning->epochs;
  return record.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::shared_ptr<const format::Reader> reader_of(const sparse::NestedModel& nested,
                                                const std::string& name) {
  const std::vector<uint8_t> bytes = value_or_throw(format::encode(nested));
  return value_or_throw(format::Reader::from_bytes(bytes, name));
}

void CompressVerb::write_and_show(const Console& console, sparse::NestedModel dense) {
  throw_if_error(sparse::fold_normalisation(nested_));
  throw_if_error(sparse::fold_normalisation(dense));
  nested_.record = record(console, report_);
  throw_if_error(format::write(output_, nested_, {.values = values_}));
  const OpenedModel written = open_model(output_);
  report_.reader = written.reader;
  report_.density = written.density;
  report_.method = method_;
  report_.asked_ms = level_ms_;
  const auto original = reader_of(dense, file_);
  graph::Bindings bindings;
  if (training_) {
    bindings = bindings_of(dense.model.graphs[0], *training_);
    const auto test = samples(console, dense, data::Split::kTest);
    report_.data = test->name();
    report_.comparison = compare_levels(console, original, report_.reader, *test, threads_);
    if (values_ != format::ValueType::kFloat32) {
      report_.unrounded =
          compare_levels(console, original, reader_of(nested_, output_), *test, threads_);
    }
  }
  report_.threads = threads_;
  report_.times = time_levels(original, report_.reader, bindings, threads_);
  show(console, report_);
  std::string note =
      "wrote " + output_ + " after " + format_duration(report_.seconds) + " of compression";
  if (report_.fine_tuning) {
    note += " and " + format_duration(report_.fine_tuning->seconds) + " of fine-tuning (" +
            format_fixed(report_.fine_tuning->epochs, 1) + " epochs)";
  }
  console.note(note);
}

void CompressVerb::compress(const Console& console) {
  if (threads_ == 0) threads_ = available_cores();
  sparse::NestedModel dense = load();
  if (!data_.empty()) {
    training_ = samples(console, dense, data::Split::kTrain);
    train::add_level_normalisation(dense);
  }
  const auto begin = std::chrono::steady_clock::now();
  fit(console, dense);
  report_.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  if (tuning_) {
    console.note("compressed after " + format_duration(report_.seconds) + ", now fine-tuning");
    tune(console, dense);
  }
  write_and_show(console, std::move(dense));
  std::error_code ignored;
  std::filesystem::remove(output_ + ".ckpt", ignored);
}

#endif

}  // namespace

std::unique_ptr<Verb> make_compress_verb() { return std::make_unique<CompressVerb>(); }

}  // namespace strata::cli
