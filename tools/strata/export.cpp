// strata export: one level as ONNX with the zeros in place, so that any other engine can check it.
#include <charconv>
#include <filesystem>
#include <string>

#include "interop/onnx_export.h"
#include "tools/strata/inspection.h"
#include "tools/strata/output_file.h"
#include "tools/strata/table.h"
#include "tools/strata/verb.h"
#include "train/error.h"

namespace strata::cli {
namespace {

class ExportVerb : public Verb {
 public:
  ExportVerb()
      : Verb("export", "Write one level as an ONNX file, for any other engine",
             "  strata export photos.strata --level 0 -o sparsest.onnx\n"
             "  strata export r50.strata --level dense -o dense.onnx   no zeros: to time others") {}

  void declare(CLI::App& app) override {
    app.add_option("FILE", file_, "The .strata file")->required();
    app.add_option("--level", level_,
                   "Which level, its zeros in place; 'dense' fills the places that the least "
                   "sparse level leaves empty with made-up numbers, to time other engines")
        ->option_text("K|dense (required)")
        ->required();
    app.add_option("--graph", graph_, "Which graph, if the model has several")->type_name("NAME");
    app.add_option("-o,--output", output_, "The .onnx file to write")
        ->option_text("FILE (required)")
        ->required();
  }

  void run(const Console& console) override {
    int level = interop::kDense;
    if (level_ != "dense") {
      const char* const end = level_.data() + level_.size();
      const auto [next, failure] = std::from_chars(level_.data(), end, level);
      if (failure != std::errc() || next != end) {
        throw UsageError("--level '" + level_ + "' is neither a level's number nor 'dense'");
      }
    }
    check_output(output_, {{file_}});
    const auto reader = value_or_throw(format::Reader::open(file_));
    if (level_ != "dense") check_level(level, reader->level_count(), file_);
    const sparse::NestedModel nested = value_or_throw(reader->read_all());
    stop_if_interrupted();
    throw_if_error(interop::write_onnx(output_, nested, level, {.graph = graph_}));

    const auto bytes = static_cast<uint64_t>(std::filesystem::file_size(output_));
    Json document = console.document();
    document["model"] = model_json(*reader);
    document["output"] = output_;
    document["level"] = level_ == "dense" ? Json("dense") : Json(level);
    document["bytes"] = bytes;
    if (console.json) console.result(document, "");
    console.note("wrote " + output_ + ": " +
                 (level_ == "dense" ? std::string("dense") : "level " + std::to_string(level)) +
                 " of " + reader->model().name + ", " + format_bytes(bytes));
  }

 private:
  std::string file_;
  std::string level_;
  std::string graph_;
  std::string output_;
};

}  // namespace

std::unique_ptr<Verb> make_export_verb() { return std::make_unique<ExportVerb>(); }

}  // namespace strata::cli
