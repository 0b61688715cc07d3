// How a verb speaks: results on stdout, as text or as JSON; chatter on stderr, or nothing; and
// whether the user has asked to stop.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

namespace strata::cli {

/// Keys stay in the order in which they were written.
using Json = nlohmann::ordered_json;

/// Number of the JSON layout that --json prints: keys are added without changing it, never renamed.
inline constexpr int kJsonSchema = 1;

/// The command line itself is wrong; exit code 2.
class UsageError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// The user pressed Ctrl-C; exit code 130.
class Interrupted : public std::exception {
 public:
  [[nodiscard]] const char* what() const noexcept override { return "interrupted"; }
};

struct Console {
  bool json = false;
  bool quiet = false;
  std::string verb;
  std::string command_line;  ///< as typed, quoted for a shell

  /// A JSON document with what every one has: schema, verb, version, command line.
  [[nodiscard]] Json document() const;

  /// The result, on stdout: the document with --json, else the text.
  /// Throws Error if stdout cannot be written.
  void result(const Json& document, std::string_view text) const;

  /// A line for people, on stderr, unless quiet.
  void note(std::string_view line) const;
};

/// Words as a shell reads them back.
std::string shell_quote(int argc, const char* const* argv);

/// Makes the first SIGINT or SIGTERM ask for a stop; the second one ends the program at once.
/// Writing beyond a file size limit becomes an error like a full disk.
void catch_signals();
[[nodiscard]] bool interrupted();
/// Throws Interrupted once the user has asked to stop. Call it between pieces of long work.
void stop_if_interrupted();

}  // namespace strata::cli
