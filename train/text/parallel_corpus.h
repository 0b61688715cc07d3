// Pairs of sentences that mean the same in two languages, from the plain-text forms in which such
// corpora are spread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace strata::text {

struct SentencePair {
  std::string source, target;
  bool operator==(const SentencePair&) const = default;
};

/// How the two sides of a corpus are called: file extensions ("en", "de"), or, of a tab-separated
/// file, numbers of columns from 1 ("1", "2").
struct Languages {
  std::string source, target;
};

/// Lines of a text without their ends (LF or CRLF); a last line without end counts. Throws Error
/// naming `name`, line and byte if a line is not UTF-8.
std::vector<std::string> split_lines(std::string_view bytes, const std::string& name);

/// One sentence a line: `path` + "." + source and the same of target, line by line; or the file
/// `path`, whose lines have tab-separated columns. Empty sentences stay, so that line n is pair n.
/// Throws Error naming file, line, cause and remedy: a missing file, text that is not UTF-8, files
/// of different length, a line without the wanted columns, no sentence at all.
std::vector<SentencePair> load_parallel(const std::filesystem::path& path,
                                        const Languages& languages);

/// What training, the choice of the best epoch, and testing see.
struct TranslationData {
  std::string name;
  std::vector<SentencePair> train, validation, test;
};

/// Of a directory: its splits "train", "val" and `test`, each as load_parallel() reads it. Of a
/// tab-separated file: `holdout` of the source sentences, half each, are kept for validation and
/// test; which ones is a function of the sentence alone, so that one sentence with several
/// translations is on one side. Pairs with an empty side are left out of train. Throws Error as
/// load_parallel() does, or if a split is left empty.
TranslationData load_translation(const std::filesystem::path& path, const Languages& languages,
                                 const std::string& test, double holdout);

}  // namespace strata::text
