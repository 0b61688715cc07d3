// The module itself: the only source that includes SentencePiece.
#include "train/text/sentencepiece_module.h"

#include <exception>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <sentencepiece_processor.h>
#include <sentencepiece_trainer.h>

namespace {

using sentencepiece::SentencePieceProcessor;

/// Sentences as the trainer wants to have them.
class Sentences final : public sentencepiece::SentenceIterator {
 public:
  Sentences(const char* const* sentences, const size_t* sizes, size_t count)
      : sentences_(sentences), sizes_(sizes), count_(count) {
    read();
  }
  [[nodiscard]] bool done() const override { return next_ == count_; }
  void Next() override {
    ++next_;
    read();
  }
  [[nodiscard]] const std::string& value() const override { return value_; }
  [[nodiscard]] sentencepiece::util::Status status() const override { return {}; }

 private:
  void read() {
    if (next_ < count_) value_.assign(sentences_[next_], sizes_[next_]);
  }
  const char* const* sentences_;
  const size_t* sizes_;
  size_t count_;
  size_t next_ = 0;
  std::string value_;
};

/// Exceptions must not leave the module.
template <typename F>
bool without_exceptions(F function) {
  try {
    return function();
  } catch (const std::exception&) {
    return false;
  }
}

bool learn(const char* const* sentences, const size_t* sizes, size_t count, int64_t vocabulary,
           void* receiver, StrataTake take, void* error_receiver, StrataTake error) {
  const auto fail = [&](std::string_view reason) {
    error(error_receiver, reason.data(), reason.size());
    return false;
  };
  try {
    const std::unordered_map<std::string, std::string> options = {
        {"model_type", "bpe"},
        {"vocab_size", std::to_string(vocabulary)},
        {"character_coverage", "1.0"},
        {"pad_id", "0"},
        {"unk_id", "1"},
        {"bos_id", "2"},
        {"eos_id", "3"},
        {"minloglevel", "2"},  // errors only: they come back as the status too
    };
    Sentences iterator(sentences, sizes, count);
    std::string bytes;
    const auto status = sentencepiece::SentencePieceTrainer::Train(options, &iterator, &bytes);
    if (!status.ok()) return fail(status.message());
    take(receiver, bytes.data(), bytes.size());
    return true;
  } catch (const std::exception& exception) {
    return fail(exception.what());
  }
}

void* open(const char* bytes, size_t size) {
  auto model = std::make_unique<SentencePieceProcessor>();
  const bool opened = without_exceptions([&] {
    return model->LoadFromSerializedProto(std::string(bytes, size)).ok() && model->pad_id() == 0 &&
           model->unk_id() == 1 && model->bos_id() == 2 && model->eos_id() == 3;
  });
  return opened ? model.release() : nullptr;
}

void close(void* model) { delete static_cast<SentencePieceProcessor*>(model); }

int64_t size_of(const void* model) {
  return static_cast<const SentencePieceProcessor*>(model)->GetPieceSize();
}

bool encode(const void* model, const char* text, size_t size, void* receiver, StrataTake take) {
  return without_exceptions([&] {
    std::vector<int> words;
    const auto& processor = *static_cast<const SentencePieceProcessor*>(model);
    if (!processor.Encode(std::string(text, size), &words).ok()) return false;
    take(receiver, reinterpret_cast<const char*>(words.data()), words.size() * sizeof(int));
    return true;
  });
}

bool decode(const void* model, const int* words, size_t count, void* receiver, StrataTake take) {
  return without_exceptions([&] {
    std::string text;
    const auto& processor = *static_cast<const SentencePieceProcessor*>(model);
    if (!processor.Decode(std::vector<int>(words, words + count), &text).ok()) return false;
    take(receiver, text.data(), text.size());
    return true;
  });
}

constexpr StrataSentencePiece kModule = {learn, open, close, size_of, encode, decode};

}  // namespace

extern "C" __attribute__((visibility("default"))) const StrataSentencePiece*
strata_sentencepiece() {
  return &kModule;
}
