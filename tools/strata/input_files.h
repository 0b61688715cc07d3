// Files that words of the command line name: themselves, all of their kind in a folder, or those
// that standard input has or lists.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace strata::cli {

/// Of which kind the wanted files are.
struct InputKind {
  std::string_view extensions;  ///< of files in folders, in lower case: ".jpg .png"
  /// Whether bytes of standard input are one such file, and no list of names.
  bool (*is_one)(std::string_view bytes);
};

/// One file, or what standard input had.
struct InputFile {
  std::string name;            ///< "-": standard input
  std::vector<uint8_t> bytes;  ///< of standard input; empty for a file

  [[nodiscard]] bool is_stdin() const { return name == "-"; }
  /// For people.
  [[nodiscard]] std::string described() const {
    return is_stdin() ? "standard input" : "'" + name + "'";
  }
};

/// All of standard input.
std::vector<uint8_t> read_stdin();

/// Files as they are, folders as the files of that kind below them in the order of their names, "-"
/// as one file or a list of files, one a line, on standard input. Throws Error: a folder without
/// such files.
std::vector<InputFile> find_inputs(std::span<const std::string> words, const InputKind& kind);

}  // namespace strata::cli
