#include "train/text/subwords.h"

#include <filesystem>
#include <memory>
#include <utility>

#include <dlfcn.h>

#include "train/error.h"
#include "train/text/sentencepiece_module.h"

namespace strata::text {
namespace {

namespace fs = std::filesystem;

/// Beside the installed program, or where it was built.
std::string module_path() {
  std::error_code ignored;
  const fs::path program = fs::read_symlink("/proc/self/exe", ignored);
  const fs::path installed = program.parent_path() / STRATA_PROGRAM_TO_MODULES / STRATA_MODULE_NAME;
  return fs::exists(installed, ignored) ? installed.string() : STRATA_MODULE_BUILT;
}

const StrataSentencePiece& load_module() {
  const std::string path = module_path();
  int flags = RTLD_NOW | RTLD_LOCAL;
#ifndef __SANITIZE_ADDRESS__  // which does without, as it must see every allocation
  flags |= RTLD_DEEPBIND;
#endif
  void* module = ::dlopen(path.c_str(), flags);
  void* entry = module == nullptr ? nullptr : ::dlsym(module, "strata_sentencepiece");
  if (entry == nullptr) {
    const char* reason = ::dlerror();
    throw Error("cannot load SentencePiece from '" + path +
                "': " + (reason == nullptr ? "it is no module of strata" : reason) +
                "; install strata anew, and libsentencepiece0");
  }
  return *reinterpret_cast<decltype(&strata_sentencepiece)>(entry)();
}

const StrataSentencePiece& sentencepiece() {
  static const StrataSentencePiece& loaded = load_module();
  return loaded;
}

void take_text(void* receiver, const char* bytes, size_t size) {
  static_cast<std::string*>(receiver)->assign(bytes, size);
}

void take_words(void* receiver, const char* bytes, size_t size) {
  const int* words = reinterpret_cast<const int*>(bytes);
  static_cast<std::vector<int64_t>*>(receiver)->assign(words, words + size / sizeof(int));
}

}  // namespace

struct Subwords::Implementation {
  std::string bytes;
  std::unique_ptr<void, void (*)(void*)> model;
};

Subwords::Subwords(std::unique_ptr<Implementation> implementation)
    : implementation_(std::move(implementation)) {}
Subwords::~Subwords() = default;
Subwords::Subwords(Subwords&&) noexcept = default;
Subwords& Subwords::operator=(Subwords&&) noexcept = default;

Subwords Subwords::learn(std::span<const std::string> sentences, int64_t size) {
  std::vector<const char*> begins;
  std::vector<size_t> sizes;
  for (const std::string& sentence : sentences) {
    begins.push_back(sentence.data());
    sizes.push_back(sentence.size());
  }
  std::string bytes;
  std::string reason;
  if (!sentencepiece().learn(begins.data(), sizes.data(), begins.size(), size, &bytes, take_text,
                             &reason, take_text)) {
    throw Error("cannot learn " + std::to_string(size) + " sub-words from " +
                std::to_string(sentences.size()) +
                " sentences; change model.vocabulary (SentencePiece says: " + reason + ")");
  }
  return from_bytes(std::move(bytes));
}

Subwords Subwords::of(const graph::Model& model) {
  const graph::Constant* constant = model.find_constant(kSubwordsConstant);
  if (constant == nullptr || constant->type != graph::DataType::kUint8) {
    throw Error("the model '" + model.name +
                "' carries no vocabulary of sub-words, so it translates no text; train it with "
                "strata train");
  }
  return from_bytes({constant->data.begin(), constant->data.end()});
}

Subwords Subwords::from_bytes(std::string bytes) {
  void* model = sentencepiece().open(bytes.data(), bytes.size());
  if (model == nullptr) {
    throw Error("the vocabulary of sub-words is damaged, or not one that strata has learned");
  }
  return Subwords(std::make_unique<Implementation>(
      Implementation{std::move(bytes), {model, sentencepiece().close}}));
}

const std::string& Subwords::bytes() const { return implementation_->bytes; }

graph::Constant Subwords::constant() const {
  const std::string& all = bytes();
  return {std::string(kSubwordsConstant),
          graph::DataType::kUint8,
          {static_cast<int64_t>(all.size())},
          {all.begin(), all.end()}};
}

int64_t Subwords::size() const { return sentencepiece().size(implementation_->model.get()); }

std::vector<int64_t> Subwords::encode(std::string_view sentence) const {
  std::vector<int64_t> words;
  if (!sentencepiece().encode(implementation_->model.get(), sentence.data(), sentence.size(),
                              &words, take_words)) {
    throw Error("SentencePiece cannot split a sentence into sub-words");
  }
  return words;
}

std::string Subwords::decode(std::span<const int64_t> subwords) const {
  std::vector<int> known;
  const int64_t all = size();
  for (const int64_t subword : subwords) {
    if (subword > kEnd && subword < all) known.push_back(static_cast<int>(subword));
  }
  std::string sentence;
  if (!sentencepiece().decode(implementation_->model.get(), known.data(), known.size(), &sentence,
                              take_text)) {
    throw Error("SentencePiece cannot join sub-words to a sentence");
  }
  return sentence;
}

}  // namespace strata::text
