// Any bytes as lines of text: well-formed UTF-8 or refused, and words whose BLEU against themselves
// is whole or, for want of long sentences, nothing.
// Run: build/fuzz/fuzz/fuzz_text build/fuzz/corpus/fuzz_text
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "train/error.h"
#include "train/text/bleu.h"
#include "train/text/bleu_tokenizer.h"
#include "train/text/parallel_corpus.h"
#include "train/text/utf8.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string text(data, data + size);
  for (const std::string& token : strata::text::tokenize_13a(text)) {
    if (token.empty()) std::abort();
  }
  if (const auto malformed = strata::text::first_malformed(text)) {
    if (*malformed >= size || strata::text::describe_malformed(text, *malformed).empty()) {
      std::abort();
    }
  }
  std::vector<std::string> lines;
  try {
    lines = strata::text::split_lines(text, "fuzz");
  } catch (const strata::Error&) {
    return 0;
  }
  for (const std::string& line : lines) {
    if (strata::text::first_malformed(line)) std::abort();
  }
  const double score = strata::text::corpus_bleu(lines, {&lines, 1}).score;
  if (score != 0 && (score < 99.999 || score > 100.001)) std::abort();
  return 0;
}
