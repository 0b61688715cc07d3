// Sentences as sequences of sub-words and back, through SentencePiece. The vocabulary is learned
// from text (byte-pair encoding) and travels inside the model's file.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "graph/graph.h"

namespace strata::text {

/// Numbers that every vocabulary gives to what is no sub-word.
inline constexpr int64_t kPadding = 0;
inline constexpr int64_t kUnknown = 1;
inline constexpr int64_t kBegin = 2;
inline constexpr int64_t kEnd = 3;

/// The constant that holds the vocabulary in a model.
inline constexpr std::string_view kSubwordsConstant = "subwords.sentencepiece";

/// Immutable; safe to use from several threads.
class Subwords {
 public:
  /// Learns a vocabulary of `size` sub-words (those above included) from `sentences`: the same one
  /// from the same sentences. Throws Error: a size that the text cannot fill or that is too small
  /// for its characters.
  static Subwords learn(std::span<const std::string> sentences, int64_t size);
  /// The vocabulary that `model` carries. Throws Error: none, or a damaged one.
  static Subwords of(const graph::Model& model);
  /// From what bytes() gave. Throws Error if it is no SentencePiece model as learn() makes them.
  static Subwords from_bytes(std::string bytes);

  ~Subwords();
  Subwords(Subwords&&) noexcept;
  Subwords& operator=(Subwords&&) noexcept;

  [[nodiscard]] const std::string& bytes() const;
  /// The vocabulary as the constant that of() finds again.
  [[nodiscard]] graph::Constant constant() const;
  [[nodiscard]] int64_t size() const;
  /// Numbers of the sub-words, without kBegin and kEnd. `sentence` must be UTF-8.
  [[nodiscard]] std::vector<int64_t> encode(std::string_view sentence) const;
  /// What is no sub-word is left out, numbers out of range too.
  [[nodiscard]] std::string decode(std::span<const int64_t> subwords) const;

 private:
  struct Implementation;
  explicit Subwords(std::unique_ptr<Implementation> implementation);
  std::unique_ptr<Implementation> implementation_;
};

}  // namespace strata::text
