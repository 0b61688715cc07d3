#include "tools/strata/output_file.h"

#include <array>
#include <filesystem>
#include <system_error>

#include "core/file.h"
#include "train/error.h"

namespace strata::cli {

void check_output(const std::string& path, std::span<const std::string> inputs) {
  namespace fs = std::filesystem;
  if (path.empty()) throw Error("the name of the output file is empty");
  std::error_code failure;
  const fs::path folder = fs::path(path).parent_path();
  if (!folder.empty() && !fs::is_directory(folder, failure)) {
    throw Error("cannot write '" + path + "': the folder '" + folder.string() +
                "' does not exist; create it first");
  }
  if (fs::is_directory(path, failure)) {
    throw Error("cannot write '" + path + "': it is a folder; name a file in it");
  }
  for (const std::string& input : inputs) {
    if (fs::equivalent(path, input, failure)) {
      throw Error("the output '" + path + "' is also an input; choose another name with -o");
    }
  }
}

void write_text(const std::string& path, std::string_view text) {
  const std::array<std::span<const uint8_t>, 1> parts = {
      std::span(reinterpret_cast<const uint8_t*>(text.data()), text.size())};
  throw_if_error(write_file_atomically(path, parts));
}

void write_json(const std::string& path, const Json& document) {
  write_text(path, document.dump(2, ' ', false, Json::error_handler_t::replace) + '\n');
}

}  // namespace strata::cli
