#include "tools/strata/answer_options.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "tools/strata/inspection.h"
#include "tools/strata/machine.h"
#include "train/error.h"

namespace strata::cli {
namespace {

constexpr double kNsPerMs = 1e6;
constexpr int kMostThreads = 64;

}  // namespace

void AnswerOptions::declare(CLI::App& app) {
  app.add_option("--level", level_, "At which level (default: the highest)")
      ->type_name("K")
      ->check(CLI::NonNegativeNumber.description(""));
  app.add_option("--deadline-ms", deadline_ms_,
                 "Answer within so many milliseconds, at the levels that this allows; needs a "
                 "profile (see 'strata profile --help')")
      ->type_name("D")
      ->check(CLI::PositiveNumber.description(""));
  app.add_option("--nines", nines_, "Wanted share of answers in time: 3 is 999 of 1000")
      ->type_name("N")
      ->check(CLI::Range(0.1, 9.0).description(""))
      ->capture_default_str();
  app.add_option("--threads", threads_, "Of one answer (default: one per core)")
      ->type_name("N")
      ->check(CLI::Range(1, kMostThreads).description(""));
}

int AnswerOptions::threads() const {
  return threads_ > 0 ? threads_ : std::min(available_cores(), kMostThreads);
}

runtime::SessionOptions AnswerOptions::session_options() const {
  runtime::SessionOptions options;
  options.threads = threads();
  return options;
}

runtime::RunOptions AnswerOptions::run_options(runtime::Session& session,
                                               const std::string& model_path) const {
  return run_options(session.level_count(), model_path, [&] { return session.load_profile(); });
}

runtime::RunOptions AnswerOptions::run_options(int level_count, const std::string& model_path,
                                               const std::function<Status()>& load_profile) const {
  if (level_ >= 0 && has_deadline()) {
    throw UsageError("--level and --deadline-ms exclude each other: a deadline chooses the level");
  }
  runtime::RunOptions options;
  if (!has_deadline()) {
    options.policy.kind = route::PolicyKind::kFixed;
    options.policy.level = level_ < 0 ? level_count - 1 : level_;
    check_level(options.policy.level, level_count, model_path);
    return options;
  }
  if (const Status loaded = load_profile(); !loaded.ok()) {
    throw Error(loaded.message() + "; 'strata profile " + model_path + " --threads " +
                std::to_string(threads()) + "' measures one, which --deadline-ms needs");
  }
  options.within_ns = deadline_ms_ * kNsPerMs;
  options.policy.miss_probability = std::pow(10.0, -nines_);
  options.policy.adaptive = true;
  return options;
}

Json route_json(const runtime::RunReport& report) {
  Json json;
  json["levels"] = report.steps.empty()
                       ? Json::array()
                       : Json::array({report.steps.front().level, report.steps.back().level});
  json["ms"] = report.total_ns / kNsPerMs;
  if (report.deadline_ns < std::numeric_limits<double>::infinity()) json["met"] = report.met;
  return json;
}

}  // namespace strata::cli
