// --tuning, for the verbs that run a model: whether they use what 'strata tune' found.
#pragma once

#include <string>

#include <CLI/CLI.hpp>

#include "runtime/session.h"
#include "tools/strata/console.h"

namespace strata::cli {

inline void add_tuning_option(CLI::App& app, std::string& tuning) {
  app.add_option("--tuning", tuning,
                 "What 'strata tune' found: a file, or 'off' (default: $STRATA_TUNING, then "
                 "FILE.tuning if it is there and fits)")
      ->type_name("FILE|off");
}

/// Says on stderr why the file beside the model is not used, if so.
inline void note_tuning(const runtime::Session& session, const Console& console) {
  if (!session.tuning_note().empty()) {
    console.note("note: not tuned: " + session.tuning_note() + "; see 'strata tune --help'");
  }
}

}  // namespace strata::cli
