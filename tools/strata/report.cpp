// strata report: the table of levels, and one HTML page with the pictures, from what eval,
// bench and qos measured.
#include <string>
#include <vector>

#include "tools/strata/output_file.h"
#include "tools/strata/report_data.h"
#include "tools/strata/report_html.h"
#include "tools/strata/table.h"
#include "tools/strata/verb.h"

namespace strata::cli {
namespace {

class ReportVerb : public Verb {
 public:
  ReportVerb()
      : Verb("report", "Make one HTML page from the results of eval, bench and qos",
             "  strata report --eval e.json --bench b.json photos.strata -o report.html\n"
             "  strata report --eval e.json --bench b.json --qos q.json -o report.html\n"
             "  strata report photos.strata -o report.html   densities and file layout alone\n"
             "e.json comes from 'strata eval ... -o e.json', and so do the others") {}

  void declare(CLI::App& app) override {
    app.add_option("FILE", files_.model,
                   "The .strata file, for densities and file layout (default: the one that the "
                   "results name, if it is there)");
    app.add_option("--eval", files_.eval, "Result of 'strata eval'")->type_name("JSON");
    app.add_option("--bench", files_.bench, "Result of 'strata bench'")->type_name("JSON");
    app.add_option("--qos", files_.qos, "Result of 'strata qos'")->type_name("JSON");
    app.add_option("--compress", files_.compress, "Result of 'strata compress --json'")
        ->type_name("JSON");
    app.add_option("-o,--output", output_, "The .html file to write")
        ->option_text("FILE (required)")
        ->required();
  }

  void run(const Console& console) override {
    std::vector<std::string> inputs;
    for (const std::string& file :
         {files_.eval, files_.bench, files_.qos, files_.compress, files_.model}) {
      if (!file.empty()) inputs.push_back(file);
    }
    if (inputs.empty()) {
      throw UsageError(
          "there is nothing to report on: give --eval, --bench, --qos, --compress or a .strata "
          "file; "
          "see "
          "'strata report --help'");
    }
    check_output(output_, inputs);
    const ReportData report = gather(files_);
    const std::string page = render_html(report, console.command_line);
    write_text(output_, page);
    Json document = console.document();
    document["output"] = output_;
    document["bytes"] = page.size();
    console.result(document, render_level_table(report));
    console.note("wrote " + output_ + ", " + format_bytes(page.size()));
  }

 private:
  ReportFiles files_;
  std::string output_;
};

}  // namespace

std::unique_ptr<Verb> make_report_verb() { return std::make_unique<ReportVerb>(); }

}  // namespace strata::cli
