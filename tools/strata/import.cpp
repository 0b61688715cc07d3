// strata import: an ONNX model as a .strata file with one dense level, or the list of what it needs
// and what of it strata has.
#include <string>
#include <vector>

#include "format/writer.h"
#include "graph/graph.h"
#include "interop/onnx_import.h"
#include "runtime/plan.h"
#include "tools/strata/import_options.h"
#include "tools/strata/inspection.h"
#include "tools/strata/output_file.h"
#include "tools/strata/table.h"
#include "tools/strata/value_option.h"
#include "tools/strata/verb.h"
#include "train/error.h"

namespace strata::cli {
namespace {

class ImportVerb : public Verb {
 public:
  ImportVerb()
      : Verb(
            "import", "Read an ONNX model as a .strata file with one dense level",
            "  strata import --check model.onnx              what it needs, what strata has of it\n"
            "  strata import model.onnx -o model.strata      then inspect, eval, bench, export it\n"
            "  strata import --bind height=224,width=224 --check model.onnx\n\n"
            "'strata compress' makes several nested levels of it.") {}

  void declare(CLI::App& app) override {
    app.add_option("FILE", file_, "The .onnx file, opset 7 to 25")->required();
    app.add_flag("--check", check_,
                 "Write nothing; list every operator with its count and whether it is supported, "
                 "and why not");
    declare_bind(app, bind_);
    declare_weights(app, weights_);
    declare_values(app, values_);
    app.add_option("-o,--output", output_, "The .strata file to write")->type_name("FILE");
  }

  void run(const Console& console) override {
    if (check_ == !output_.empty()) {
      throw UsageError(check_ ? "--check writes nothing, so leave -o out"
                              : "give -o FILE to write, or --check to look only");
    }
    const interop::ImportOptions options{
        .bindings = parse_bindings(bind_), .name = {}, .weights = weights_};
    if (check_) {
      check(console, options);
      return;
    }
    check_output(output_, {{file_}});
    sparse::NestedModel nested = value_or_throw(interop::import_onnx(file_, options));
    stop_if_interrupted();
    throw_if_error(sparse::fold_normalisation(nested));
    nested.record = Json({{"kind", "import"}, {"command", console.command_line}})
                        .dump(-1, ' ', false, Json::error_handler_t::replace);
    throw_if_error(format::write(output_, nested, {.values = values_}));
    const auto [reader, written, density] = open_model(output_);
    Json document = console.document();
    document["model"] = model_json(*reader);
    document["output"] = output_;
    document["levels"] = Json::array({level_json(density.levels[0], reader->blocks()[0])});
    if (console.json) console.result(document, "");
    console.note("wrote " + output_ + ": " + format_quantity(static_cast<double>(density.weights)) +
                 " weights, " + format_bytes(reader->file_bytes()) + "; see 'strata inspect " +
                 output_ + "', 'strata compress --help'");
  }

 private:
  void check(const Console& console, const interop::ImportOptions& options) const {
    const interop::ImportReport report = value_or_throw(interop::check_onnx(file_, options));
    std::string cannot_run;
    if (report.problems.empty()) {
      const sparse::NestedModel nested = value_or_throw(interop::import_onnx(file_, options));
      const auto plan = runtime::make_plan(nested.model, nested.model.graphs[0], {});
      cannot_run = plan.status().message();
    }
    Json document = console.document();
    document["file"] = file_;
    document["opset"] = report.opset;
    document["ir_version"] = report.ir_version;
    document["producer"] = report.producer;
    document["importable"] = report.problems.empty();
    document["runs"] = report.problems.empty() && cannot_run.empty();
    document["problems"] = report.problems;
    if (!cannot_run.empty()) document["problems"].push_back(cannot_run);
    document["operators"] = Json::array();
    Table table;
    table.add_column("operator", Align::kLeft);
    table.add_column("count");
    table.add_column("folded");
    table.add_column("first node", Align::kLeft);
    table.add_column("supported", Align::kLeft);
    for (const interop::OperatorUse& use : report.operators) {
      const std::string name = (use.domain.empty() ? "" : use.domain + ".") + use.op_type;
      document["operators"].push_back({{"operator", use.op_type},
                                       {"domain", use.domain},
                                       {"count", use.count},
                                       {"folded", use.folded},
                                       {"first_node", use.first_node},
                                       {"supported", use.problem.empty()},
                                       {"problem", use.problem}});
      table.add_row({name, format_count(use.count), format_count(use.folded), use.first_node,
                     use.problem.empty() ? "yes" : "no: " + use.problem});
    }
    std::string text = table.text();
    for (const graph::ValueInfo& input : report.inputs) {
      text += "input " + input.name + " " + to_string(input.shape) + "\n";
    }
    for (const graph::ValueInfo& output : report.outputs) {
      text += "output " + output.name + " " + to_string(output.shape) + "\n";
    }
    if (!report.problems.empty()) {
      text += "cannot be imported: " + report.problems[0] + "\n";
    } else if (!cannot_run.empty()) {
      text += "can be imported, but not run: " + cannot_run + "\n";
    } else {
      text += "can be imported and run\n";
    }
    console.result(document, text);
  }

  std::string file_;
  bool check_ = false;
  std::vector<std::string> bind_;
  std::string weights_;
  format::ValueType values_ = format::ValueType::kFloat32;
  std::string output_;
};

}  // namespace

std::unique_ptr<Verb> make_import_verb() { return std::make_unique<ImportVerb>(); }

}  // namespace strata::cli
