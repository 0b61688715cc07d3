// strata eval: accuracy of every level and, when asked, of every switch point, on the test split of
// a data set.
#include <charconv>
#include <cstdint>
#include <string>
#include <vector>

#include "tools/strata/evaluation.h"
#include "tools/strata/inspection.h"
#include "tools/strata/machine.h"
#include "tools/strata/output_file.h"
#include "tools/strata/table.h"
#include "tools/strata/verb.h"
#include "train/error.h"

namespace strata::cli {
namespace {

constexpr int64_t kSwitchPointImages = 1000;
constexpr int kMaxThreads = 64;

/// Shares are small numbers, percentages and scores are not.
int digits_of(const Metric& metric) { return metric.unit == "share" ? 4 : 2; }

std::string level_table(const Json& levels, const Metric& metric, const std::string& unit) {
  Table table;
  for (const std::string& title : {std::string("level"), metric.title, std::string("weights %"),
                                   std::string("FLOPs %"), std::string("bytes to end"), unit}) {
    table.add_column(title);
  }
  for (const Json& level : levels) {
    table.add_row({std::to_string(level["level"].get<int>()),
                   format_fixed(level["value"], digits_of(metric)),
                   format_fixed(level["weights_pct"], 2), format_fixed(level["flops_pct"], 2),
                   format_count(level["bytes_to_end"]), format_count(level["images"])});
  }
  return table.text();
}

/// One row per step, one column per pair of levels.
std::string switch_point_table(const Json& points, const Metric& metric) {
  Table table;
  table.add_column("switch before step");
  table.add_column("", Align::kLeft);
  std::vector<std::vector<std::string>> rows;
  std::string pair;
  size_t row = 0;
  for (const Json& point : points) {
    const std::string this_pair = std::to_string(point["from"].get<int>()) + " to " +
                                  std::to_string(point["to"].get<int>()) +
                                  (metric.unit == "percent" ? " %" : "");
    if (this_pair != pair) {
      pair = this_pair;
      table.add_column(pair);
      row = 0;
    }
    if (row == rows.size()) {
      rows.push_back({std::to_string(point["step"].get<int>()), point["step_name"]});
    }
    rows[row++].push_back(format_fixed(point["value"], digits_of(metric)));
  }
  for (auto& cells : rows) table.add_row(std::move(cells));
  return table.text();
}

class EvalVerb : public Verb {
 public:
  EvalVerb()
      : Verb("eval", "Measure the accuracy of every level, and of changing level in between",
             "  strata eval photos.strata --data photos/\n"
             "  strata eval photos.strata --data photos/ --switch-points -o eval.json\n"
             "  strata eval photos.strata --data photos/ --level 0 --limit 1000 --json\n"
             "  strata eval cora.strata --data cora.npz --switch-points\n"
             "  strata eval shapes.strata --data shapes69/ --votes 10     point clouds, in ten "
             "views\n"
             "  strata eval model.strata --data samples.npz   its inputs, and labels 'y'\n"
             "  strata eval en-de.strata --data multi30k/test_2016_flickr --beam 5") {}

  void declare(CLI::App& app) override {
    app.add_option("FILE", file_, "The .strata file")->required();
    app.add_option(
           "--data", data_,
           "Data set: image folders, CIFAR-10 binary, IDX, point clouds as ModelNet40 has them; "
           "the "
           ".npz file of a graph, whose test split is used, or a folder with such files in test/; "
           "parallel text, without the ending that names its language; or for any network an .npz "
           "file with 'x' (or the inputs by name) and, for accuracy, 'y': without, every level is "
           "compared with the least sparse one")
        ->type_name("DIR")
        ->required();
    level_option_ = app.add_option("--level", level_, "Only this level")->type_name("K");
    switch_option_ = app.add_option("--switch-points", switch_images_,
                                    "Also from every level to every sparser one, before every "
                                    "step, on N images, nodes, clouds, sentences or samples "
                                    "spread over the classes (default: 1000)")
                         ->option_text("[N]")
                         ->expected(0, 1);
    app.add_option("--threads", threads_, "Images at a time (default: one per core)")
        ->type_name("N")
        ->check(CLI::Range(1, kMaxThreads).description(""));
    app.add_option("--beam", beam_, "Hypotheses of a translator's beam search (default: 5)")
        ->type_name("N")
        ->check(CLI::Range(int64_t{1}, int64_t{64}).description(""));
    app.add_option("--limit", limit_,
                   "At most N images, nodes, clouds, sentences or samples, spread over the "
                   "classes")
        ->type_name("N")
        ->check(CLI::Range(int64_t{1}, INT64_MAX).description(""));
    app.add_option("--votes", votes_, "Views of a point cloud whose answers are added up")
        ->type_name("N")
        ->check(CLI::Range(int64_t{1}, int64_t{1000}).description(""))
        ->capture_default_str();
    app.add_flag("--convert", convert_, "Make images of another size or colour fit");
    app.add_option("-o,--output", output_, "Also write the JSON to FILE")->type_name("FILE");
  }

  void run(const Console& console) override {
    const bool wants_switch_points = switch_option_->count() > 0;
    if (wants_switch_points && level_option_->count() > 0) {
      throw UsageError("--switch-points compares levels; it does not go with --level");
    }
    const int64_t switch_limit = wants_switch_points ? switch_image_count() : 0;
    if (!output_.empty()) check_output(output_, {{file_}});
    const int threads = threads_ > 0 ? threads_ : std::min(available_cores(), kMaxThreads);

    const OpenedModel model = open_model(file_);
    const int level_count = model.nested.level_count;
    if (level_option_->count() > 0) check_level(level_, level_count, file_);
    const auto evaluator = make_evaluator(console, model.reader,
                                          {.data = data_,
                                           .limit = limit_,
                                           .convert = convert_,
                                           .votes = votes_,
                                           .threads = threads,
                                           .beam = beam_});
    const Metric metric = evaluator->metric();

    std::vector<int> levels;
    for (int level = 0; level < level_count; ++level) {
      if (level_option_->count() == 0 || level == level_) levels.push_back(level);
    }
    const size_t steps = evaluator->steps().size();
    const int64_t all = evaluator->sample_count(0);
    const int64_t some = evaluator->sample_count(switch_limit);
    const std::vector<SwitchPoint> points =
        wants_switch_points ? switch_points(level_count, steps) : std::vector<SwitchPoint>();

    const auto level_work = static_cast<int64_t>(levels.size());
    const auto point_work = static_cast<int64_t>(points.size());
    ProgressOptions progress_options;
    progress_options.mode = progress_mode(console.quiet);
    progress_options.unit = evaluator->sample_unit();
    Progress progress(
        "eval", all * level_work + (wants_switch_points ? some * (point_work + level_work) : 0),
        progress_options);

    Json document = console.document();
    document["model"] = model_json(*model.reader);
    document["data"] = {{"dir", data_},
                        {"name", evaluator->data_name()},
                        {"split", "test"},
                        {"sample_unit", evaluator->sample_unit()},
                        {"images", all}};
    if (votes_ > 1) document["data"]["votes"] = votes_;
    document["metric"] = metric.name;
    document["unit"] = metric.unit;
    if (!evaluator->signature().empty()) {
      document["signature"] = evaluator->signature();
      document["beam"] = beam_;
    }
    document["threads"] = threads;
    document["levels"] = Json::array();
    for (const int level : levels) {
      const auto k = static_cast<size_t>(level);
      const Evaluator::Figure figure =
          evaluator->measure(0, std::vector<uint8_t>(steps, static_cast<uint8_t>(level)), progress);
      Json entry = level_json(model.density.levels[k], model.reader->blocks()[k]);
      entry["value"] = figure.value;
      if (figure.correct) entry["correct"] = *figure.correct;
      entry["images"] = all;
      document["levels"].push_back(std::move(entry));
      progress.note("level " + std::to_string(level) + ": " +
                    format_fixed(figure.value, digits_of(metric)) +
                    (metric.unit == "percent" ? " %" : ""));
    }
    if (wants_switch_points) {
      document["steps"] = Json::array();
      for (const runtime::StepInfo& step : evaluator->steps()) {
        document["steps"].push_back({{"name", step.name}, {"kind", step.kind}});
      }
      document["switch_point_images"] = some;
      document["switch_point_levels"] = Json::array();
      for (const int level : levels) {
        document["switch_point_levels"].push_back(
            {{"level", level},
             {"value",
              evaluator
                  ->measure(switch_limit, std::vector<uint8_t>(steps, static_cast<uint8_t>(level)),
                            progress)
                  .value}});
      }
    }
    document["switch_points"] = Json::array();
    for (const SwitchPoint& point : points) {
      document["switch_points"].push_back(
          {{"step", point.step},
           {"step_name", evaluator->steps()[point.step].name},
           {"from", point.from},
           {"to", point.to},
           {"value", evaluator->measure(switch_limit, route_of(point, steps), progress).value}});
    }
    progress.finish();
    document["machine"] = machine_json();
    document["build"] = build_json();

    std::string text = level_table(document["levels"], metric, evaluator->sample_unit());
    if (!evaluator->signature().empty()) {
      text +=
          metric.title + "|" + evaluator->signature() + ", beam " + std::to_string(beam_) + "\n";
    }
    if (!points.empty()) {
      text += "\n" + metric.name + " of changing level, on " + format_count(some) + " " +
              evaluator->sample_unit() + "\n" +
              switch_point_table(document["switch_points"], metric);
    }
    if (!output_.empty()) write_json(output_, document);
    console.result(document, text);
  }

 private:
  [[nodiscard]] int64_t switch_image_count() const {
    if (switch_images_.empty() || switch_images_ == "{}") return kSwitchPointImages;
    int64_t count = 0;
    const char* const end = switch_images_.data() + switch_images_.size();
    const auto [next, failure] = std::from_chars(switch_images_.data(), end, count);
    if (failure != std::errc() || next != end || count < 1) {
      throw UsageError("--switch-points '" + switch_images_ +
                       "' is no number of images; write --switch-points=1000, or the option alone "
                       "at the end");
    }
    return count;
  }

  std::string file_;
  std::string data_;
  int level_ = 0;
  std::string switch_images_;
  int threads_ = 0;
  int64_t limit_ = 0;
  int64_t beam_ = 5;
  bool convert_ = false;
  int64_t votes_ = 1;
  std::string output_;
  CLI::Option* level_option_ = nullptr;
  CLI::Option* switch_option_ = nullptr;
};

}  // namespace

std::unique_ptr<Verb> make_eval_verb() { return std::make_unique<EvalVerb>(); }

}  // namespace strata::cli
