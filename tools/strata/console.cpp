#include "tools/strata/console.h"

#include <atomic>
#include <csignal>
#include <iostream>

#include "strata_version.h"
#include "train/error.h"

namespace strata::cli {
namespace {

std::atomic<bool> stop_requested{false};
static_assert(std::atomic<bool>::is_always_lock_free, "a signal handler sets it");

extern "C" void request_stop(int signal_number) {
  stop_requested.store(true, std::memory_order_relaxed);
  std::signal(signal_number, SIG_DFL);
}

}  // namespace

Json Console::document() const {
  Json document;
  document["schema"] = kJsonSchema;
  document["verb"] = verb;
  document["version"] = kVersion;
  document["command"] = command_line;
  return document;
}

void Console::result(const Json& document, std::string_view text) const {
  if (json) {
    // Names of files and classes may hold bytes that are no UTF-8; they must not end the program.
    std::cout << document.dump(2, ' ', false, Json::error_handler_t::replace) << '\n';
  } else {
    std::cout << text;
  }
  std::cout.flush();
  if (!std::cout) throw Error("the result could not be written to standard output");
}

void Console::note(std::string_view line) const {
  if (!quiet) std::cerr << line << '\n';
}

std::string shell_quote(int argc, const char* const* argv) {
  constexpr std::string_view kPlain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_@%+=:,./-";
  std::string line;
  for (int i = 0; i < argc; ++i) {
    const std::string word = argv[i];
    if (i > 0) line += ' ';
    if (!word.empty() && word.find_first_not_of(kPlain) == std::string::npos) {
      line += word;
      continue;
    }
    line += '\'';
    for (const char c : word) {
      if (c == '\'') {
        line += "'\\''";
      } else {
        line += c;
      }
    }
    line += '\'';
  }
  return line;
}

void catch_signals() {
  std::signal(SIGINT, request_stop);
  std::signal(SIGTERM, request_stop);
  // A file size limit is then an error of the write, with a sentence of its own.
  std::signal(SIGXFSZ, SIG_IGN);
}

bool interrupted() { return stop_requested.load(std::memory_order_relaxed); }

void stop_if_interrupted() {
  if (interrupted()) throw Interrupted();
}

}  // namespace strata::cli
