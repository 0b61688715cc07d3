#include "train/text/parallel_corpus.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <string_view>
#include <utility>

#include "train/data/file.h"
#include "train/error.h"
#include "train/text/utf8.h"

namespace strata::text {
namespace {

namespace fs = std::filesystem;
using data::quoted;

/// Bytes of a file as text.
std::string read_text(const fs::path& path) {
  const std::vector<uint8_t> bytes = data::read_file(path);
  return {bytes.begin(), bytes.end()};
}

/// Number of a column from 0; nothing unless `name` is a number from 1.
std::optional<size_t> column_of(const std::string& name) {
  size_t number = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
  if (error != std::errc() || end != name.data() + name.size() || number < 1) return std::nullopt;
  return number - 1;
}

std::vector<std::string_view> columns_of(std::string_view line) {
  std::vector<std::string_view> columns;
  while (true) {
    const size_t tab = line.find('\t');
    columns.push_back(line.substr(0, tab));
    if (tab == std::string_view::npos) return columns;
    line.remove_prefix(tab + 1);
  }
}

std::vector<SentencePair> load_columns(const fs::path& path, const Languages& languages) {
  const auto source = column_of(languages.source);
  const auto target = column_of(languages.target);
  if (!source || !target) {
    throw Error("the sides of the tab-separated file " + quoted(path) +
                " must be numbers of columns, such as 1 and 2, not '" + languages.source +
                "' and '" + languages.target + "'");
  }
  std::vector<SentencePair> pairs;
  const std::vector<std::string> lines = split_lines(read_text(path), path.string());
  for (size_t i = 0; i < lines.size(); ++i) {
    const std::vector<std::string_view> columns = columns_of(lines[i]);
    if (std::max(*source, *target) >= columns.size()) {
      throw Error(quoted(path) + ":" + std::to_string(i + 1) + ": the line has " +
                  std::to_string(columns.size()) + " tab-separated columns, column " +
                  std::to_string(std::max(*source, *target) + 1) + " is wanted");
    }
    pairs.push_back({std::string(columns[*source]), std::string(columns[*target])});
  }
  return pairs;
}

std::vector<SentencePair> load_two_files(const fs::path& path, const Languages& languages) {
  const auto side = [&](const std::string& language) {
    return fs::path(path.string() + "." + language);
  };
  const fs::path source = side(languages.source);
  const fs::path target = side(languages.target);
  if (!fs::exists(source) || !fs::exists(target)) {
    throw Error("there is no parallel text " + quoted(path) + ": expected the two files " +
                quoted(source) + " and " + quoted(target) + ", or one tab-separated file");
  }
  std::vector<std::string> sources = split_lines(read_text(source), source.string());
  std::vector<std::string> targets = split_lines(read_text(target), target.string());
  if (sources.size() != targets.size()) {
    throw Error(quoted(source) + " has " + std::to_string(sources.size()) + " lines, but " +
                quoted(target) + " has " + std::to_string(targets.size()) +
                "; line n of one must translate line n of the other");
  }
  std::vector<SentencePair> pairs;
  for (size_t i = 0; i < sources.size(); ++i) {
    pairs.push_back({std::move(sources[i]), std::move(targets[i])});
  }
  return pairs;
}

/// FNV-1a, finished so that its upper bits are well mixed: the same everywhere and for ever.
uint64_t hash_of(std::string_view text) {
  uint64_t hash = 0xCBF29CE484222325;
  for (const char letter : text) {
    hash = (hash ^ static_cast<uint8_t>(letter)) * 0x100000001B3;
  }
  hash = (hash ^ (hash >> 33)) * 0xFF51AFD7ED558CCD;
  return hash ^ (hash >> 33);
}

void hold_out(std::vector<SentencePair> pairs, double holdout, TranslationData& data) {
  constexpr double kWhole = 18446744073709551616.0;  // 2^64
  for (SentencePair& pair : pairs) {
    const double place = static_cast<double>(hash_of(pair.source)) / kWhole;
    std::vector<SentencePair>& split = place < holdout / 2 ? data.test
                                       : place < holdout   ? data.validation
                                                           : data.train;
    split.push_back(std::move(pair));
  }
}

}  // namespace

std::vector<std::string> split_lines(std::string_view bytes, const std::string& name) {
  std::vector<std::string> lines;
  while (!bytes.empty()) {
    const size_t end = bytes.find('\n');
    std::string_view line = bytes.substr(0, end);
    bytes.remove_prefix(end == std::string_view::npos ? bytes.size() : end + 1);
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (const auto malformed = first_malformed(line)) {
      throw Error("'" + name + "':" + std::to_string(lines.size() + 1) + ": " +
                  describe_malformed(line, *malformed));
    }
    lines.emplace_back(line);
  }
  return lines;
}

std::vector<SentencePair> load_parallel(const fs::path& path, const Languages& languages) {
  if (fs::is_directory(path)) {
    throw Error(quoted(path) + " is a directory; name a text in it without its language, such as " +
                quoted(path / "test") + " for test." + languages.source + " and test." +
                languages.target);
  }
  std::vector<SentencePair> pairs =
      fs::is_regular_file(path) ? load_columns(path, languages) : load_two_files(path, languages);
  if (pairs.empty()) throw Error("the parallel text " + quoted(path) + " has no sentence");
  return pairs;
}

TranslationData load_translation(const fs::path& path, const Languages& languages,
                                 const std::string& test, double holdout) {
  TranslationData data;
  data.name = fs::path(path).lexically_normal().filename().string();
  if (data.name.empty()) data.name = path.parent_path().filename().string();
  if (fs::is_directory(path)) {
    data.train = load_parallel(path / "train", languages);
    data.validation = load_parallel(path / "val", languages);
    data.test = load_parallel(path / test, languages);
  } else {
    hold_out(load_parallel(path, languages), holdout, data);
  }
  std::erase_if(data.train, [](const SentencePair& pair) {
    return pair.source.empty() || pair.target.empty();
  });
  if (data.train.empty() || data.validation.empty() || data.test.empty()) {
    throw Error("the parallel text " + quoted(path) + " leaves " +
                std::to_string(data.train.size()) + " pairs to train, " +
                std::to_string(data.validation.size()) + " to validate and " +
                std::to_string(data.test.size()) +
                " to test; each needs at least one: change data.holdout or take more text");
  }
  return data;
}

}  // namespace strata::text
