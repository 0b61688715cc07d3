// strata translate: sentences of a file or of standard input, one a line, through a translator.
#include <fstream>
#include <iostream>
#include <string>
#include <vector>

#include "tools/strata/answer_options.h"
#include "tools/strata/inspection.h"
#include "tools/strata/sentences.h"
#include "tools/strata/verb.h"
#include "train/error.h"

namespace strata::cli {
namespace {

class TranslateVerb : public Verb {
 public:
  TranslateVerb()
      : Verb("translate", "Translate sentences, one a line",
             "  strata translate en-de.strata letter.txt > brief.txt\n"
             "  echo 'Two dogs run.' | strata translate en-de.strata\n"
             "  strata translate en-de.strata --level 0 --beam 1 letter.txt   as fast as it can\n"
             "  strata profile en-de.strata && strata translate en-de.strata letter.txt "
             "--deadline-ms 20\n"
             "  strata translate en-de.strata letter.txt --json") {}

  void declare(CLI::App& app) override {
    app.add_option("FILE", file_, "The .strata file")->required();
    app.add_option("TEXT", text_, "File of sentences, '-' for standard input (default: -)");
    answer_.declare(app);
    app.add_option("--beam", beam_, "Hypotheses of the beam search; 1 is greedy (default: 5)")
        ->type_name("N")
        ->check(CLI::Range(int64_t{1}, int64_t{64}).description(""));
    app.add_option("--length-penalty", length_penalty_,
                   "The larger, the longer translations become (default: 0.6)")
        ->type_name("X")
        ->check(CLI::Range(0.0, 10.0).description(""));
  }

  void run(const Console& console) override {
    const auto reader = value_or_throw(format::Reader::open(file_));
    SentenceTranslator translator(
        reader, {.threads = answer_.threads(), .beam = beam_, .length_penalty = length_penalty_});
    const runtime::RunOptions options = answer_.run_options(
        reader->level_count(), file_, [&] { return translator.translator().load_profiles(); });
    std::ifstream file;
    if (text_ != "-") {
      file.open(text_, std::ios::binary);
      if (!file) throw Error("cannot read '" + text_ + "'; is the path right?");
    }
    std::istream& input = text_ == "-" ? std::cin : file;
    const std::string name = text_ == "-" ? "standard input" : "'" + text_ + "'";

    Json document = console.document();
    document["model"] = model_json(*reader);
    if (!answer_.has_deadline()) document["level"] = options.policy.level;
    document["beam"] = beam_;
    document["length_penalty"] = length_penalty_;
    document["translations"] = Json::array();
    std::string line;
    for (int64_t number = 1; std::getline(input, line); ++number) {
      stop_if_interrupted();
      if (line.ends_with('\r')) line.pop_back();
      const auto result = translator.translate(line, options, name + ":" + std::to_string(number));
      if (console.json) {
        Json entry = {{"source", line},
                      {"text", result.text},
                      {"score", result.translation.score},
                      {"source_subwords", result.source_subwords},
                      {"subwords", result.translation.words.size()}};
        entry.update(route_json(translator.translator().last_run()));
        document["translations"].push_back(std::move(entry));
        continue;
      }
      // At once, so that one can talk with it.
      std::cout << result.text << std::endl;
      if (!std::cout) throw Error("cannot write the translations to standard output");
    }
    if (input.bad()) throw Error("cannot read " + name + "; is it a file?");
    if (console.json) console.result(document, "");
  }

 private:
  std::string file_;
  std::string text_ = "-";
  AnswerOptions answer_;
  int64_t beam_ = 5;
  double length_penalty_ = 0.6;
};

}  // namespace

std::unique_ptr<Verb> make_translate_verb() { return std::make_unique<TranslateVerb>(); }

}  // namespace strata::cli
