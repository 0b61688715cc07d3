// strata convert: the same model with its values stored in another type.
#include <cmath>
#include <string>

#include "format/writer.h"
#include "tools/strata/inspection.h"
#include "tools/strata/output_file.h"
#include "tools/strata/table.h"
#include "tools/strata/value_option.h"
#include "tools/strata/verb.h"
#include "train/error.h"

namespace strata::cli {
namespace {

/// What rounding did to the weights of the least sparse level.
struct Rounding {
  double error_pct = 0;  ///< |after - before| / |before| over all weights, in percent
  int64_t lost = 0;      ///< became zero
};

Rounding rounding(const sparse::NestedModel& before, const sparse::NestedModel& after) {
  Rounding result;
  double error = 0;
  double total = 0;
  for (const auto& [name, tensor] : before.weights) {
    const sparse::NestedTensor& rounded = after.weights.at(name);
    for (size_t k = 0; k < tensor.increments.size(); ++k) {
      const sparse::Increment& from = tensor.increments[k];
      const sparse::Increment& to = rounded.increments[k];
      size_t next = 0;
      for (size_t i = 0; i < from.positions.size(); ++i) {
        const bool kept = next < to.positions.size() && to.positions[next] == from.positions[i];
        const double value = kept ? to.values[next] : 0;
        if (kept) ++next;
        result.lost += kept ? 0 : 1;
        error += std::pow(value - double{from.values[i]}, 2);
        total += std::pow(double{from.values[i]}, 2);
      }
    }
  }
  result.error_pct = total > 0 ? 100 * std::sqrt(error / total) : 0;
  return result;
}

class ConvertVerb : public Verb {
 public:
  ConvertVerb()
      : Verb("convert", "Store a model's values in another type",
             "  strata convert photos.strata --values int8 -o small.strata\n"
             "  strata convert photos.strata --values f16 -o half.strata\n\n"
             "'strata eval' of both files shows what it costs.") {}

  void declare(CLI::App& app) override {
    app.add_option("FILE", file_, "The .strata file")->required();
    declare_values(app, values_);
    app.get_option("--values")->required();
    app.add_option("-o,--output", output_, "The .strata file to write")
        ->option_text("FILE (required)")
        ->required();
  }

  void run(const Console& console) override {
    check_output(output_, {{file_}});
    const auto before = value_or_throw(format::Reader::open(file_));
    const sparse::NestedModel nested = value_or_throw(before->read_all());
    stop_if_interrupted();
    throw_if_error(format::write(output_, nested, {.values = values_}));
    const OpenedModel after = open_model(output_);
    const Rounding rounded = rounding(nested, after.nested);
    Json document = console.document();
    document["model"] = model_json(*after.reader);
    document["output"] = output_;
    document["values"] = to_string(values_);
    document["bytes_before"] = before->file_bytes();
    document["rounding_error_pct"] = rounded.error_pct;
    document["rounded_to_zero"] = rounded.lost;
    document["levels"] = Json::array();
    for (size_t k = 0; k < after.density.levels.size(); ++k) {
      document["levels"].push_back(level_json(after.density.levels[k], after.reader->blocks()[k]));
    }
    if (console.json) console.result(document, "");
    console.note("wrote " + output_ + ": " + to_string(values_) + " instead of " +
                 to_string(before->value_type()) + ", " + format_bytes(after.reader->file_bytes()) +
                 " instead of " + format_bytes(before->file_bytes()) + "; weights moved by " +
                 format_fixed(rounded.error_pct, 3) + " %, " + format_count(rounded.lost) +
                 " became zero");
  }

 private:
  std::string file_;
  format::ValueType values_ = format::ValueType::kFloat32;
  std::string output_;
};

}  // namespace

std::unique_ptr<Verb> make_convert_verb() { return std::make_unique<ConvertVerb>(); }

}  // namespace strata::cli
