// How an answer is asked for on the command line: at a level, or by a deadline.
#pragma once

#include <functional>
#include <string>

#include <CLI/CLI.hpp>

#include "runtime/session.h"
#include "tools/strata/console.h"

namespace strata::cli {

class AnswerOptions {
 public:
  /// Adds --level, --deadline-ms, --nines and --threads.
  void declare(CLI::App& app);

  /// One per core unless the user said how many.
  [[nodiscard]] int threads() const;
  [[nodiscard]] runtime::SessionOptions session_options() const;
  /// What every run of the session gets; looks up the session's profile where there is a deadline.
  /// Throws Error: no such level, no profile; UsageError: both a level and a deadline.
  [[nodiscard]] runtime::RunOptions run_options(runtime::Session& session,
                                                const std::string& model_path) const;
  /// The same for whatever has profiles of its own; `load_profile` is called where there is a
  /// deadline.
  [[nodiscard]] runtime::RunOptions run_options(int level_count, const std::string& model_path,
                                                const std::function<Status()>& load_profile) const;
  [[nodiscard]] bool has_deadline() const { return deadline_ms_ > 0; }

 private:
  int level_ = -1;          ///< -1: the highest
  double deadline_ms_ = 0;  ///< 0: none
  double nines_ = 3;
  int threads_ = 0;
};

/// What a run took, for --json: "levels" (of the first and the last step), "ms" and, by a
/// deadline, "met".
[[nodiscard]] Json route_json(const runtime::RunReport& report);

}  // namespace strata::cli
