// Text in and out of a translator: the vocabulary that a model carries, and the runtime that
// translates with it.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "format/reader.h"
#include "runtime/translator.h"
#include "train/text/parallel_corpus.h"
#include "train/text/subwords.h"

namespace strata::cli {

/// Whether the model translates sentences, by its metadata.
bool translates(const graph::Model& model);

/// The languages that it was trained on, as its test sets name them.
text::Languages languages_of(const graph::Model& model);

class SentenceTranslator {
 public:
  /// Throws Error: a model that is no translator or carries no vocabulary, options out of range.
  SentenceTranslator(const std::shared_ptr<const format::Reader>& reader,
                     const runtime::TranslatorOptions& options);

  [[nodiscard]] runtime::Translator& translator() { return *translator_; }

  struct Result {
    std::string text;
    size_t source_subwords = 0;
    runtime::Translation translation;
  };
  /// A level per step of translator(). `place` stands for the sentence in errors ("'in.txt':3").
  /// White space alone gives an empty translation. Throws Error: a sentence that is not UTF-8 or
  /// too long.
  Result translate(std::string_view sentence, std::span<const uint8_t> route,
                   const std::string& place);
  /// The same by a deadline, or at the level of a fixed policy.
  Result translate(std::string_view sentence, const runtime::RunOptions& options,
                   const std::string& place);

 private:
  template <typename How>
  Result translate_as(std::string_view sentence, const std::string& place, const How& how);

  text::Subwords subwords_;
  std::unique_ptr<runtime::Translator> translator_;
};

}  // namespace strata::cli
