// strata train: a recipe and images in, a nested model out. The work is done in train/; a build
// without libtorch says so.
#include <filesystem>
#include <iostream>
#include <string>
#include <vector>

#include "tools/strata/heap.h"
#include "tools/strata/inspection.h"
#include "tools/strata/machine.h"
#include "tools/strata/output_file.h"
#include "tools/strata/table.h"
#include "tools/strata/value_option.h"
#include "tools/strata/verb.h"
#include "train/data/file.h"
#include "train/error.h"
#include "train/progress.h"
#include "train/recipe.h"

#ifdef STRATA_TORCH_VERSION
#include "train/torch/train.h"
#endif

namespace strata::cli {
namespace {

class TrainVerb : public Verb {
 public:
  TrainVerb()
      : Verb("train", "Train a nested model by a recipe",
             "  strata train recipes/fashion-demo.toml --data /usr/share/datasets/fashion-mnist "
             "-o fashion.strata\n"
             "  strata train recipe.toml --data photos/ --set optimizer.lr=0.05 "
             "--set levels.weights=[5,13] -o photos.strata\n"
             "  strata train recipe.toml --data photos/ --resume -o photos.strata   "
             "go on after Ctrl-C\n"
             "  strata train --help-recipe | less") {}

  void declare(CLI::App& app) override {
    app.add_option("RECIPE", recipe_, "The recipe, a TOML file")->required();
    app.add_option("--data", data_, "Data set, instead of the recipe's data.dir")->type_name("DIR");
    app.add_option("--set", overrides_, "Change one key of the recipe; may be repeated")
        ->option_text("KEY=VALUE")
        ->expected(1)
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
    app.add_flag("--resume", resume_, "Go on from the checkpoint, if there is one");
    declare_values(app, values_);
    app.add_option("--device", device_, "cpu or cuda (default: cpu)")
        ->type_name("DEVICE")
        ->check(CLI::IsMember({"cpu", "cuda"}).description(""));
    app.add_option("-o,--output", output_,
                   "The .strata file to write; FILE.csv is the log beside it "
                   "(default: the recipe's name)")
        ->type_name("FILE");
    app.add_flag_callback(
        "--help-recipe",
        [] {
          std::cout << train::recipe_help() << std::flush;
          throw CLI::Success();
        },
        "Show every key of a recipe, with its range and default");
  }

  void run(const Console& console) override {
    if (output_.empty()) {
      output_ = std::filesystem::path(recipe_).stem().string() + ".strata";
    }
    check_output(output_, {{recipe_}});
    const train::Recipe recipe = train::load_recipe(recipe_, overrides_);
#ifdef STRATA_TORCH_VERSION
    keep_freed_memory();
    train::TrainOptions options;
    options.recipe = recipe;
    const std::vector<uint8_t> text = data::read_file(recipe_);
    options.recipe_text.assign(text.begin(), text.end());
    options.output = output_;
    options.data_dir = data_;
    options.resume = resume_;
    options.device = device_;
    options.values = values_;
    options.quiet = console.quiet;
    show(console, train::train(options));
#else
    static_cast<void>(console);
    static_cast<void>(recipe);
    throw Error(
        "this strata was built without libtorch and cannot train; build it with "
        "-DSTRATA_TRAIN=ON");
#endif
  }

 private:
#ifdef STRATA_TORCH_VERSION
  void show(const Console& console, const train::TrainResult& result) const {
    const auto reader = value_or_throw(format::Reader::open(output_));
    Json document = console.document();
    document["model"] = model_json(*reader);
    document["metric"] = result.metric.name;
    document["unit"] = result.metric.unit;
    document["seconds"] = result.seconds;
    document["epochs"] = result.epochs;
    document["steps"] = result.steps;
    document["levels"] = Json::array();
    Table table;
    for (const char* title : {"level", result.metric.title.c_str(), "weights %", "of prunable %",
                              "FLOPs %", "bytes to end"}) {
      table.add_column(title);
    }
    for (const train::LevelResult& level : result.levels) {
      const double value = result.metric.shown_per_measured * level.value;
      const uint64_t bytes = reader->blocks()[static_cast<size_t>(level.level)].bytes_to_end;
      document["levels"].push_back({{"level", level.level},
                                    {"value", value},
                                    {"weights_pct", level.weights_pct},
                                    {"weights_pct_prunable", level.weights_pct_prunable},
                                    {"flops_pct", level.flops_pct},
                                    { "bytes_to_end",
                                      bytes }});
      table.add_row({std::to_string(level.level), format_fixed(value, 2),
                     format_fixed(level.weights_pct, 2),
                     format_fixed(level.weights_pct_prunable, 2), format_fixed(level.flops_pct, 2),
                     format_count(static_cast<int64_t>(bytes))});
    }
    document["machine"] = machine_json();
    document["build"] = build_json();
    console.result(document, table.text());
    console.note("wrote " + output_ + " after " + format_duration(result.seconds) + " of training");
  }
#endif

  std::string recipe_;
  std::string data_;
  std::vector<std::string> overrides_;
  bool resume_ = false;
  std::string device_ = "cpu";
  format::ValueType values_ = format::ValueType::kFloat32;
  std::string output_;
};

}  // namespace

std::unique_ptr<Verb> make_train_verb() { return std::make_unique<TrainVerb>(); }

}  // namespace strata::cli
