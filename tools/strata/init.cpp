// strata init: a nested model with random weights at given densities, so that timing needs no
// training.
#include <charconv>
#include <cmath>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "format/writer.h"
#include "models/gnmt.h"
#include "models/pointnet2.h"
#include "models/resnet.h"
#include "sparse/allocation.h"
#include "sparse/nested_model.h"
#include "sparse/random.h"
#include "tools/strata/inspection.h"
#include "tools/strata/output_file.h"
#include "tools/strata/table.h"
#include "tools/strata/value_option.h"
#include "tools/strata/verb.h"
#include "train/error.h"

namespace strata::cli {
namespace {

constexpr int64_t kMaxInputSide = 65536;

struct InputShape {
  int64_t channels = 0;
  int64_t height = 0;
  int64_t width = 0;
};

/// "1x3x224x224", or without the batch.
InputShape parse_input(const std::string& text) {
  std::vector<int64_t> sizes;
  const char* at = text.data();
  const char* const end = at + text.size();
  while (true) {
    int64_t size = 0;
    const auto [next, failure] = std::from_chars(at, end, size);
    if (failure != std::errc() || size < 1 || size > kMaxInputSide) break;
    sizes.push_back(size);
    at = next;
    if (at == end || *at != 'x') break;
    ++at;
  }
  if (at != end || (sizes.size() != 3 && sizes.size() != 4)) {
    throw UsageError("--input '" + text +
                     "' is no image shape; write BATCHxCHANNELSxHEIGHTxWIDTH such as 1x3x224x224");
  }
  if (sizes.size() == 4) {
    if (sizes.front() != 1) {
      throw UsageError("--input '" + text +
                       "' asks for a batch; the batch is chosen when a model runs, so write 1");
    }
    sizes.erase(sizes.begin());
  }
  return {sizes[0], sizes[1], sizes[2]};
}

class InitVerb : public Verb {
 public:
  InitVerb()
      : Verb("init", "Make a randomly initialised nested model, to time it without training",
             "  strata init resnet50 --level-weights 5.38,13.38 -o r50.strata\n"
             "  strata init resnet50 --level-weights 5.38,13.38 --level-flops 4.47,14.97 "
             "-o r50.strata\n"
             "  strata init resnet20 --input 1x1x28x28 --classes 10 --level-weights 5,13,30 "
             "--values f16 -o small.strata\n"
             "  strata init gnmt --level-weights 5,13 -o gnmt.strata") {}

  void declare(CLI::App& app) override {
    std::string names;
    for (const std::string& name : models::resnet_names()) {
      names += (names.empty() ? "" : ", ") + name;
    }
    for (const std::string& name : models::pointnet_names()) names += ", " + name;
    names += ", gnmt, gnmt-mlperf";
    app.add_option("ARCH", architecture_, "The architecture: " + names)->required();
    app.add_option("--input", input_,
                   "Shape of one input: an image, or for point clouds 1xPOINTSx3, with normals "
                   "1xPOINTSx6 (default: the architecture's)")
        ->type_name("1xCxHxW");
    app.add_option("--level-weights", weights_,
                   "Per level, sparsest first, the percentage of all weights that it keeps")
        ->option_text("PCT,PCT,... (required)")
        ->delimiter(',')
        ->multi_option_policy(CLI::MultiOptionPolicy::Throw)
        ->required();
    app.add_option("--level-flops", flops_,
                   "Per level, the percentage of the dense model's multiply-adds; densities per "
                   "layer are chosen to meet it")
        ->option_text("PCT,PCT,...")
        ->delimiter(',')
        ->multi_option_policy(CLI::MultiOptionPolicy::Throw);
    app.add_option("--allocation", allocation_,
                   "How densities are shared out to layers: uniform, erk or global "
                   "(default: uniform)")
        ->type_name("METHOD");
    declare_values(app, values_);
    app.add_option("--seed", seed_, "The same seed gives the same file (default: 1)")
        ->type_name("N");
    app.add_option("--width", width_,
                   "Channels of the first stage, or of every layer of a gnmt (default: the "
                   "architecture's)")
        ->type_name("N")
        ->check(CLI::Range(int64_t{1}, int64_t{4096}).description(""));
    app.add_option("--layers", layers_,
                   "LSTM layers of a gnmt's encoder and of its decoder (default: the "
                   "architecture's)")
        ->type_name("N")
        ->check(CLI::Range(int64_t{2}, int64_t{32}).description(""));
    app.add_option("--vocabulary", vocabulary_, "Sub-words of a gnmt (default: the architecture's)")
        ->type_name("N")
        ->check(CLI::Range(int64_t{4}, int64_t{1'000'000}).description(""));
    app.add_option("--classes", classes_, "Outputs (default: the architecture's)")
        ->type_name("N")
        ->check(CLI::Range(int64_t{1}, int64_t{1'000'000}).description(""));
    app.add_option("-o,--output", output_, "The .strata file to write")
        ->type_name("FILE")
        ->required();
  }

  void run(const Console& console) override {
    const std::vector<sparse::LevelBudget> budgets = level_budgets();
    const auto method = value_or_throw(sparse::parse_allocation_method(allocation_));
    check_output(output_, {});

    const graph::Model model = architecture_model();
    sparse::NestedModel nested =
        value_or_throw(sparse::random_nested_model(model, budgets, method, seed_));
    stop_if_interrupted();
    throw_if_error(sparse::fold_normalisation(nested));
    nested.record = Json({{"kind", "init"},
                          {"seed", seed_},
                          {"allocation", sparse::to_string(method)},
                          {"command", console.command_line}})
                        .dump(-1, ' ', false, Json::error_handler_t::replace);
    throw_if_error(format::write(output_, nested, {.values = values_}));

    const auto reader = value_or_throw(format::Reader::open(output_));
    const sparse::DensityReport density = value_or_throw(sparse::account(nested));
    Json document = console.document();
    document["model"] = model_json(*reader);
    document["levels"] = Json::array();
    for (size_t k = 0; k < density.levels.size(); ++k) {
      document["levels"].push_back(level_json(density.levels[k], reader->blocks()[k]));
    }
    if (console.json) console.result(document, "");
    console.note("wrote " + output_ + ": " + model.name + ", " + std::to_string(budgets.size()) +
                 (budgets.size() == 1 ? " level, " : " levels, ") +
                 format_bytes(reader->file_bytes()) + "; see 'strata inspect " + output_ + "'");
  }

 private:
  [[nodiscard]] std::vector<sparse::LevelBudget> level_budgets() const {
    if (!flops_.empty() && flops_.size() != weights_.size()) {
      throw UsageError("--level-flops gives " + std::to_string(flops_.size()) +
                       " levels and --level-weights " + std::to_string(weights_.size()) +
                       "; give one figure per level in both");
    }
    const auto share = [](double percent, const char* flag) {
      if (!(percent > 0 && percent <= 100)) {
        throw UsageError(std::string(flag) + " has " + Json(percent).dump() +
                         "; a percentage lies above 0 and is at most 100");
      }
      return percent / 100;
    };
    std::vector<sparse::LevelBudget> budgets;
    for (size_t k = 0; k < weights_.size(); ++k) {
      if (k > 0 && weights_[k] <= weights_[k - 1]) {
        throw UsageError("--level-weights must grow from level to level, sparsest first; " +
                         Json(weights_[k]).dump() + " follows " + Json(weights_[k - 1]).dump());
      }
      sparse::LevelBudget budget;
      budget.weights = share(weights_[k], "--level-weights");
      if (!flops_.empty()) budget.flops = share(flops_[k], "--level-flops");
      budgets.push_back(budget);
    }
    return budgets;
  }

  [[nodiscard]] graph::Model architecture_model() const {
    if (models::is_pointnet(architecture_)) return value_or_throw(models::pointnet(cloud_config()));
    if (models::is_gnmt(architecture_)) return value_or_throw(models::gnmt(gnmt_config()));
    return value_or_throw(models::resnet(config()));
  }

  [[nodiscard]] models::PointNetConfig cloud_config() const {
    models::PointNetConfig config = value_or_throw(models::pointnet_config(architecture_));
    if (!input_.empty()) {
      const InputShape shape = parse_input(input_);
      if (shape.channels != 1 || (shape.width != 3 && shape.width != 6)) {
        throw UsageError("--input '" + input_ +
                         "' is no point cloud; write 1xPOINTSx3, or 1xPOINTSx6 with normals");
      }
      config.points = shape.height;
      config.normals = shape.width == 6;
    }
    if (width_) config.width = *width_;
    if (classes_) config.classes = *classes_;
    return config;
  }

  [[nodiscard]] models::GnmtConfig gnmt_config() const {
    if (!input_.empty() || classes_) {
      throw UsageError("--input and --classes are for images; '" + architecture_ +
                       "' has --width, --layers and --vocabulary");
    }
    models::GnmtConfig config = value_or_throw(models::gnmt_config(architecture_));
    if (width_) config.width = *width_;
    if (layers_) config.encoder_layers = config.decoder_layers = *layers_;
    if (vocabulary_) config.vocabulary = *vocabulary_;
    return config;
  }

  [[nodiscard]] models::ResNetConfig config() const {
    if (layers_ || vocabulary_) {
      throw UsageError("--layers and --vocabulary are for translators; '" + architecture_ +
                       "' has neither");
    }
    models::ResNetConfig config = value_or_throw(models::resnet_config(architecture_));
    if (!input_.empty()) {
      const InputShape shape = parse_input(input_);
      config.input_channels = shape.channels;
      config.image_height = shape.height;
      config.image_width = shape.width;
    }
    if (width_) config.width = *width_;
    if (classes_) config.classes = *classes_;
    return config;
  }

  std::string architecture_;
  std::string input_;
  std::vector<double> weights_;
  std::vector<double> flops_;
  std::string allocation_ = "uniform";
  format::ValueType values_ = format::ValueType::kFloat32;
  uint64_t seed_ = 1;
  std::optional<int64_t> width_;
  std::optional<int64_t> classes_;
  std::optional<int64_t> layers_, vocabulary_;
  std::string output_;
};

}  // namespace

std::unique_ptr<Verb> make_init_verb() { return std::make_unique<InitVerb>(); }

}  // namespace strata::cli
