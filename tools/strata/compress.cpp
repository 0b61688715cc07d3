// strata compress: a trained network in, one file with nested levels out, in minutes and without
// training. The work is done in train/; a build without libtorch says so.
#include <algorithm>
#include <array>
#include <chrono>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "format/writer.h"
#include "interop/onnx_import.h"
#include "tools/strata/evaluation.h"
#include "tools/strata/image_loading.h"
#include "tools/strata/import_options.h"
#include "tools/strata/inspection.h"
#include "tools/strata/machine.h"
#include "tools/strata/output_file.h"
#include "tools/strata/table.h"
#include "tools/strata/verb.h"
#include "train/data/dataset.h"
#include "train/data/normalisation.h"
#include "train/error.h"
#include "train/progress.h"

#ifdef STRATA_TORCH_VERSION
#include "train/torch/one_shot.h"
#endif

namespace strata::cli {
namespace {

constexpr int64_t kCalibrationInputs = 512;
constexpr double kSteepLoss = 10;  ///< points of accuracy below dense at which a level is doubted

class CompressVerb : public Verb {
 public:
  CompressVerb()
      : Verb("compress", "Make nested sparse levels of a trained network, without training",
             "  strata compress model.onnx --levels 30,50 --data photos/ -o model.strata\n"
             "  strata compress model.onnx --levels 13.4,30,50 --budget flops --data photos/ "
             "-o model.strata\n"
             "  strata compress dense.strata --levels 30 --method magnitude -o m.strata   "
             "no data needed\n\n"
             "Layers are fitted one after the other to what the dense network makes of a few "
             "hundred\nimages of the training split; labels are used only to report accuracy on "
             "the test split.\nSee what of a model is supported with 'strata import --check'.") {}

  void declare(CLI::App& app) override {
    app.add_option("FILE", file_, "The .onnx file, or a .strata file with one level")->required();
    app.add_option("--levels", levels_,
                   "Sizes of the levels, sparsest first, in percent of the dense network")
        ->option_text("PERCENT,... (required)")
        ->delimiter(',')
        ->required();
    app.add_option("--budget", budget_, "What --levels count: weights or flops (default: weights)")
        ->type_name("KIND")
        ->check(CLI::IsMember({"weights", "flops"}).description(""));
    app.add_option("--data", data_,
                   "Images like those that the network is for: a folder with train/CLASS/ and "
                   "test/CLASS/, CIFAR-10 or IDX. Without, weights are chosen by magnitude")
        ->type_name("DIR");
    app.add_option("--images", images_, "Calibration images to take (default: 512)")
        ->type_name("N")
        ->check(CLI::PositiveNumber.description(""));
    app.add_option("--method", method_,
                   "together (default): values are a compromise between all levels; outwards: the "
                   "sparsest level first; inwards: the least sparse first; magnitude: the largest "
                   "weights as they are")
        ->type_name("METHOD")
        ->check(CLI::IsMember({"together", "outwards", "inwards", "magnitude"}).description(""));
    app.add_flag("--convert", convert_, "Make images of another size or colour fit");
    declare_bind(app, bind_);
    app.add_option("--threads", threads_, "Threads (default: all cores)")
        ->type_name("N")
        ->check(CLI::Range(1, 64).description(""));
    app.add_option("-o,--output", output_, "The .strata file to write")
        ->option_text("FILE (required)")
        ->required();
  }

  void run(const Console& console) override {
    check_levels();
    check_output(output_, {{file_}});
#ifdef STRATA_TORCH_VERSION
    compress(console);
#else
    static_cast<void>(console);
    throw Error(
        "this strata was built without libtorch and cannot compress; build it with "
        "-DSTRATA_TRAIN=ON");
#endif
  }

 private:
  void check_levels() const {
    double before = 0;
    for (const double level : levels_) {
      if (!(level > before && level <= 100)) {
        throw UsageError(
            "--levels must be percentages above 0, at most 100, that grow from level "
            "to level; " +
            Json(level).dump() + " follows " + Json(before).dump());
      }
      before = level;
    }
  }

#ifdef STRATA_TORCH_VERSION
  void compress(const Console& console);
  [[nodiscard]] sparse::NestedModel load() const;
  [[nodiscard]] train::CalibrationData calibration(const Console& console,
                                                   const sparse::NestedModel& dense,
                                                   const data::ImageShape& shape) const;
  void show(const Console& console, const train::OneShotResult& result, double seconds,
            const std::vector<std::optional<double>>& accuracy) const;
#endif

  std::string file_;
  std::vector<double> levels_;
  std::string budget_ = "weights";
  std::string data_;
  int64_t images_ = kCalibrationInputs;
  std::string method_ = "together";
  bool convert_ = false;
  std::vector<std::string> bind_;
  int threads_ = 0;
  std::string output_;
};

#ifdef STRATA_TORCH_VERSION

sparse::NestedModel CompressVerb::load() const {
  if (std::filesystem::path(file_).extension() == ".onnx") {
    return value_or_throw(
        interop::import_onnx(file_, {.bindings = parse_bindings(bind_), .name = {}}));
  }
  const auto reader = value_or_throw(format::Reader::open(file_));
  if (reader->level_count() != 1) {
    throw Error("'" + file_ + "' has " + std::to_string(reader->level_count()) +
                " levels already; compress takes a dense network");
  }
  return value_or_throw(reader->read_all());
}

/// [channels, height, width] of the input, if it is one of images.
std::optional<data::ImageShape> image_shape(const sparse::NestedModel& dense) {
  const graph::Shape& shape = dense.model.graphs.at(0).inputs.at(0).shape;
  if (shape.size() != 4 || !shape[1].known() || !shape[2].known() || !shape[3].known()) return {};
  return data::ImageShape{shape[1].value(), shape[2].value(), shape[3].value()};
}

train::CalibrationData CompressVerb::calibration(const Console& console,
                                                 const sparse::NestedModel& dense,
                                                 const data::ImageShape& shape) const {
  data::LoadOptions options;
  options.shape = shape;
  options.convert = convert_;
  options.limit = images_;
  options.threads = threads_;
  const data::Dataset images = load_images(console, data_, data::Split::kTrain, options);
  const auto normalisation = data::read_normalisation(dense.model.metadata, shape.channels);
  const std::vector<int64_t> chosen = data::spread_over_classes(images.labels, images_);
  train::CalibrationData calibration;
  calibration.count = static_cast<int64_t>(chosen.size());
  calibration.shape = {shape.channels, shape.height, shape.width};
  calibration.inputs.resize(chosen.size() * static_cast<size_t>(shape.elements()));
  data::to_float(images, chosen, normalisation, calibration.inputs.data());
  return calibration;
}

std::shared_ptr<const format::Reader> reader_of(const sparse::NestedModel& nested,
                                                const std::string& name) {
  const std::vector<uint8_t> bytes = value_or_throw(format::encode(nested));
  return value_or_throw(format::Reader::from_bytes(bytes, name));
}

void CompressVerb::compress(const Console& console) {
  if (threads_ == 0) threads_ = available_cores();
  sparse::NestedModel dense = load();
  const bool magnitude = method_ == "magnitude";
  train::CalibrationData calibration_data;
  if (!data_.empty()) {
    const auto shape = image_shape(dense);
    if (!shape) {
      throw Error("'" + file_ + "' takes no images ([batch,C,H,W] with known sizes), so --data " +
                  "cannot feed it; see --bind if only sizes are open");
    }
    calibration_data = calibration(console, dense, *shape);
  } else if (!magnitude) {
    console.note(
        "warning: without --data, weights are chosen by magnitude and nothing makes up "
        "for those that leave; expect much lower accuracy");
  }
  train::OneShotOptions options;
  for (const double level : levels_) options.levels.push_back(level / 100);
  if (budget_ == "flops") options.budget = train::CompressionBudget::kFlops;
  options.order = magnitude               ? train::NestingOrder::kMagnitude
                  : method_ == "outwards" ? train::NestingOrder::kOutwards
                  : method_ == "inwards"  ? train::NestingOrder::kInwards
                                          : train::NestingOrder::kTogether;
  options.threads = threads_;
  ProgressOptions progress_options;
  progress_options.mode = progress_mode(console.quiet);
  std::unique_ptr<Progress> progress;
  options.progress = [&](int64_t done, int64_t total, const std::string& what) {
    stop_if_interrupted();
    if (!progress) progress = std::make_unique<Progress>("compress", total, progress_options);
    progress->update(done, what);
  };
  const auto begin = std::chrono::steady_clock::now();
  train::OneShotResult result = train::compress_one_shot(dense, calibration_data, options);
  progress.reset();
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  throw_if_error(sparse::fold_normalisation(result.nested));
  throw_if_error(sparse::fold_normalisation(dense));
  result.nested.record = Json({{"kind", "compress"},
                               {"method", method_},
                               {"levels", levels_},
                               {"budget", budget_},
                               {"images", calibration_data.count},
                               {"command", console.command_line}})
                             .dump(-1, ' ', false, Json::error_handler_t::replace);
  throw_if_error(format::write(output_, result.nested));

  std::vector<std::optional<double>> accuracy(levels_.size() + 1);  // the last one: dense
  if (!data_.empty()) {
    const auto original = reader_of(dense, file_);
    const EvaluationOptions evaluation{data_, 0, convert_, threads_};
    const std::shared_ptr<const format::Reader> compressed =
        value_or_throw(format::Reader::open(output_));
    const auto evaluators =
        make_image_evaluators(console, std::array{original, compressed}, evaluation);
    const int64_t count = evaluators[0]->sample_count(0);
    ProgressOptions eval_options = progress_options;
    eval_options.unit = evaluators[0]->sample_unit();
    Progress eval("eval", count * static_cast<int64_t>(accuracy.size()), eval_options);
    for (size_t k = 0; k < accuracy.size(); ++k) {
      const bool is_dense = k == levels_.size();
      Evaluator& which = *evaluators[is_dense ? 0 : 1];
      const std::vector<uint8_t> route(which.steps().size(),
                                       is_dense ? 0 : static_cast<uint8_t>(k));
      accuracy[k] = which.measure(0, route, eval).value;
    }
  }
  show(console, result, seconds, accuracy);
}

void CompressVerb::show(const Console& console, const train::OneShotResult& result, double seconds,
                        const std::vector<std::optional<double>>& accuracy) const {
  const auto reader = value_or_throw(format::Reader::open(output_));
  const sparse::DensityReport density = value_or_throw(sparse::account(result.nested));
  Json document = console.document();
  document["model"] = model_json(*reader);
  document["method"] = method_;
  document["seconds"] = seconds;
  document["metric"] = "top1";
  document["unit"] = "percent";
  const std::optional<double> dense = accuracy.back();
  if (dense) document["dense_value"] = *dense;
  document["levels"] = Json::array();
  Table table;
  for (const char* title : {"level", "top-1 %", "of dense", "output distance", "weights %",
                            "FLOPs %", "bytes to end"}) {
    table.add_column(title);
  }
  for (size_t k = 0; k < density.levels.size(); ++k) {
    const sparse::LevelDensity& level = density.levels[k];
    Json entry = level_json(level, reader->blocks()[k]);
    std::string value = "-";
    std::string loss = "-";
    std::string distance = "-";
    if (accuracy[k]) {
      entry["value"] = *accuracy[k];
      value = format_fixed(*accuracy[k], 2);
      loss = format_fixed(*accuracy[k] - *dense, 2);
    }
    if (k < result.output_distance.size()) {
      entry["output_distance"] = result.output_distance[k];
      distance = format_fixed(result.output_distance[k], 4);
    }
    table.add_row({std::to_string(k), value, loss, distance, format_fixed(level.weights_pct, 2),
                   format_fixed(level.flops_pct, 2),
                   format_count(static_cast<int64_t>(reader->blocks()[k].bytes_to_end))});
    document["levels"].push_back(std::move(entry));
    if (accuracy[k] && *dense - *accuracy[k] > kSteepLoss) {
      console.note("warning: level " + std::to_string(k) + " is " +
                   format_fixed(*dense - *accuracy[k], 1) +
                   " points below the dense network; it is hardly worth having");
    }
  }
  document["layers"] = Json::array();
  for (const train::LayerOutcome& layer : result.layers) {
    document["layers"].push_back({{"weight", layer.weight},
                                  {"elements", layer.elements},
                                  {"nonzeros", layer.nonzeros},
                                  {"sensitivity", layer.sensitivity},
                                  {"error", layer.error},
                                  {"seconds", layer.seconds}});
  }
  document["machine"] = machine_json();
  document["build"] = build_json();
  std::string text = table.text();
  if (dense) text += "dense: " + format_fixed(*dense, 2) + " %\n";
  console.result(document, text);
  console.note("wrote " + output_ + " after " + format_duration(seconds) + " of compression");
}

#endif

}  // namespace

std::unique_ptr<Verb> make_compress_verb() { return std::make_unique<CompressVerb>(); }

}  // namespace strata::cli
