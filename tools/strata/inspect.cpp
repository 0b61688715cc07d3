// strata inspect: what a file holds, level by level, and whether the levels really nest.
#include <string>

#include "tools/strata/inspection.h"
#include "tools/strata/table.h"
#include "tools/strata/verb.h"
#include "train/error.h"

namespace strata::cli {
namespace {

std::string facts(const Json& json) {
  std::string text;
  const auto line = [&text](const std::string& label, const std::string& value) {
    text += label + std::string(14 - label.size(), ' ') + value + '\n';
  };
  line("file", json["file"].get<std::string>() + ", " + format_bytes(json["file_bytes"]));
  line("architecture", json["architecture"]);
  const bool named = json["graphs"].size() > 1;
  for (const Json& graph : json["graphs"]) {
    const std::string prefix = named ? graph["name"].get<std::string>() + ": " : "";
    for (const char* kind : {"inputs", "outputs"}) {
      for (const Json& value : graph[kind]) {
        line(kind == std::string("inputs") ? "input" : "output",
             prefix + value["name"].get<std::string>() + " " + value["shape"].get<std::string>());
      }
    }
  }
  line("parameters", format_count(json["parameters"]) + ", " + format_count(json["weights"]) +
                         " of them weights (" + format_count(json["weights_prunable"]) +
                         " prunable)");
  line("multiply-adds", format_quantity(json["dense_macs"]) + " when dense");
  line("values", json["values"]);
  line("metadata", format_bytes(json["metadata_bytes"]));
  const auto declared = json["levels_declared"].get<size_t>();
  if (declared != json["levels"].size()) {
    line("levels", std::to_string(json["levels"].size()) + " of " + std::to_string(declared) +
                       "; the file is cut at the end of a level");
  }
  line("nested",
       json["nested"].get<bool>() ? "yes" : "NO: " + json["nested_problem"].get<std::string>());
  return text;
}

std::string level_table(const Json& levels) {
  Table table;
  for (const char* title : {"level", "weights %", "of prunable %", "FLOPs %", "non-zeros",
                            "bytes to end", "position bits", "entropy bound", "value bits"}) {
    table.add_column(title);
  }
  for (const Json& level : levels) {
    table.add_row({std::to_string(level["level"].get<int>()), format_fixed(level["weights_pct"], 2),
                   format_fixed(level["weights_pct_prunable"], 2),
                   format_fixed(level["flops_pct"], 2), format_count(level["nonzeros"]),
                   format_count(level["bytes_to_end"]),
                   format_fixed(level["position_bits_per_nonzero"], 3),
                   format_fixed(level["entropy_bits_per_nonzero"], 3),
                   format_fixed(level["value_bits_per_nonzero"], 2)});
  }
  return table.text() + "bits are per non-zero that the level adds to the one below it\n";
}

std::string layer_table(const Json& json) {
  Table table;
  table.add_column("weight tensor", Align::kLeft);
  table.add_column("elements");
  table.add_column("multiply-adds");
  for (const Json& level : json["levels"]) {
    table.add_column("level " + std::to_string(level["level"].get<int>()) + " %");
  }
  table.add_column("", Align::kLeft);
  for (const Json& layer : json["layers"]) {
    std::vector<std::string> row = {layer["name"], format_count(layer["elements"]),
                                    format_quantity(layer["dense_macs"])};
    for (const Json& density : layer["density_pct"]) row.push_back(format_fixed(density, 2));
    row.emplace_back(layer["prunable"].get<bool>() ? "" : "kept dense");
    table.add_row(std::move(row));
  }
  return table.text();
}

class InspectVerb : public Verb {
 public:
  InspectVerb()
      : Verb("inspect", "Show what a .strata file holds, level by level",
             "  strata inspect photos.strata\n"
             "  strata inspect photos.strata --layers      density of every weight tensor\n"
             "  strata inspect photos.strata --json | jq '.levels[].weights_pct'") {}

  void declare(CLI::App& app) override {
    app.add_option("FILE", file_, "The .strata file")->required();
    app.add_flag("--layers", layers_, "Also show the density of every weight tensor");
  }

  void run(const Console& console) override {
    const Json inspected = to_json(inspect_file(file_), layers_);
    std::string text = facts(inspected) + '\n' + level_table(inspected["levels"]);
    if (layers_) text += '\n' + layer_table(inspected);
    Json document = console.document();
    document.update(inspected);
    console.result(document, text);
    if (!inspected["nested"].get<bool>()) {
      throw Error("'" + file_ +
                  "' is not nested: " + inspected["nested_problem"].get<std::string>());
    }
  }

 private:
  std::string file_;
  bool layers_ = false;
};

}  // namespace

std::unique_ptr<Verb> make_inspect_verb() { return std::make_unique<InspectVerb>(); }

}  // namespace strata::cli
