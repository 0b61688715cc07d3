// What a verb of the command line is: it declares its options once, and runs. Files of verbs know
// nothing of each other; main.cpp alone knows the list.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>

#include "tools/strata/console.h"

namespace strata::cli {

class Verb {
 public:
  Verb(std::string name, std::string summary, std::string examples)
      : name_(std::move(name)), summary_(std::move(summary)), examples_(std::move(examples)) {}
  virtual ~Verb() = default;
  Verb(const Verb&) = delete;
  Verb& operator=(const Verb&) = delete;

  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] const std::string& summary() const { return summary_; }
  /// Command lines to copy, one a line, as `--help` shows them.
  [[nodiscard]] const std::string& examples() const { return examples_; }

  /// Adds options and positional arguments; --json, --quiet and --help are there already.
  virtual void declare(CLI::App& app) = 0;

  /// Does the work. Throws strata::Error (exit code 1) or UsageError (exit code 2).
  virtual void run(const Console& console) = 0;

 private:
  std::string name_;
  std::string summary_;
  std::string examples_;
};

/// Every verb, in the order of `strata --help`. `root` is the whole command line, for completion.
std::vector<std::unique_ptr<Verb>> all_verbs(const CLI::App& root);

std::unique_ptr<Verb> make_train_verb();
std::unique_ptr<Verb> make_init_verb();
std::unique_ptr<Verb> make_inspect_verb();
std::unique_ptr<Verb> make_eval_verb();
std::unique_ptr<Verb> make_classify_verb();
std::unique_ptr<Verb> make_bench_verb();
std::unique_ptr<Verb> make_tune_verb();
std::unique_ptr<Verb> make_profile_verb();
std::unique_ptr<Verb> make_qos_verb();
std::unique_ptr<Verb> make_top_verb();
std::unique_ptr<Verb> make_translate_verb();
std::unique_ptr<Verb> make_import_verb();
std::unique_ptr<Verb> make_compress_verb();
std::unique_ptr<Verb> make_convert_verb();
std::unique_ptr<Verb> make_export_verb();
std::unique_ptr<Verb> make_report_verb();
std::unique_ptr<Verb> make_completion_verb(const CLI::App& root);
std::unique_ptr<Verb> make_version_verb();

}  // namespace strata::cli
