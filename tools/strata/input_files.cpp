#include "tools/strata/input_files.h"

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <iostream>
#include <iterator>
#include <sstream>
#include <utility>

#include "train/error.h"

namespace strata::cli {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> split(std::string_view words) {
  std::istringstream stream{std::string(words)};
  return {std::istream_iterator<std::string>(stream), {}};
}

std::string lower_extension(const fs::path& path) {
  std::string extension = path.extension().string();
  std::transform(extension.begin(), extension.end(), extension.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return extension;
}

std::vector<std::string> files_below(const std::string& folder, std::string_view extensions) {
  const std::vector<std::string> wanted = split(extensions);
  std::vector<std::string> found;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    const bool fits =
        std::find(wanted.begin(), wanted.end(), lower_extension(entry.path())) != wanted.end();
    if (fits && entry.is_regular_file()) found.push_back(entry.path());
  }
  if (found.empty()) {
    throw Error("'" + folder + "' has no file in it that ends in one of " +
                std::string(extensions));
  }
  std::sort(found.begin(), found.end());
  return found;
}

void append_stdin(std::vector<InputFile>& inputs, const InputKind& kind) {
  std::vector<uint8_t> bytes = read_stdin();
  const std::string text(bytes.begin(), bytes.end());
  if (kind.is_one(text)) {
    inputs.push_back({"-", std::move(bytes)});
    return;
  }
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (!line.empty()) inputs.push_back({line, {}});
  }
}

}  // namespace

std::vector<uint8_t> read_stdin() { return {std::istreambuf_iterator<char>(std::cin), {}}; }

std::vector<InputFile> find_inputs(std::span<const std::string> words, const InputKind& kind) {
  std::vector<InputFile> inputs;
  for (const std::string& word : words) {
    if (word == "-") {
      append_stdin(inputs, kind);
    } else if (fs::is_directory(word)) {
      for (std::string& path : files_below(word, kind.extensions)) {
        inputs.push_back({std::move(path), {}});
      }
    } else {
      inputs.push_back({word, {}});
    }
  }
  return inputs;
}

}  // namespace strata::cli
