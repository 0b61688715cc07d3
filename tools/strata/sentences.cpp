#include "tools/strata/sentences.h"

#include "train/error.h"
#include "train/text/utf8.h"

namespace strata::cli {

bool translates(const graph::Model& model) {
  const auto family = model.metadata.find("family");
  return family != model.metadata.end() && family->second == "translation";
}

text::Languages languages_of(const graph::Model& model) {
  const auto named = [&](const char* key, const char* otherwise) {
    const auto found = model.metadata.find(key);
    return found == model.metadata.end() ? std::string(otherwise) : found->second;
  };
  return {named("source", "en"), named("target", "de")};
}

SentenceTranslator::SentenceTranslator(const std::shared_ptr<const format::Reader>& reader,
                                       const runtime::TranslatorOptions& options)
    : subwords_([&] {
        if (translates(reader->model())) return text::Subwords::of(reader->model());
        throw Error("'" + reader->path() + "' is no translator; train one with strata train");
      }()),
      translator_(value_or_throw(runtime::Translator::create(reader, options))) {
  if (subwords_.size() != translator_->vocabulary()) {
    throw Error("'" + reader->path() + "' is damaged: it carries " +
                std::to_string(subwords_.size()) + " sub-words, but its network has " +
                std::to_string(translator_->vocabulary()));
  }
}

template <typename How>
SentenceTranslator::Result SentenceTranslator::translate_as(std::string_view sentence,
                                                            const std::string& place,
                                                            const How& how) {
  if (const auto malformed = text::first_malformed(sentence)) {
    throw Error(place + ": " + text::describe_malformed(sentence, *malformed));
  }
  const std::vector<int64_t> source = subwords_.encode(sentence);
  auto translation = how(source);
  if (!translation.ok()) throw Error(place + ": " + translation.status().message());
  Result result;
  result.text = subwords_.decode(translation->words);
  result.source_subwords = source.size();
  result.translation = std::move(translation).value();
  return result;
}

SentenceTranslator::Result SentenceTranslator::translate(std::string_view sentence,
                                                         std::span<const uint8_t> route,
                                                         const std::string& place) {
  return translate_as(sentence, place, [&](std::span<const int64_t> source) {
    return translator_->translate_route(source, route);
  });
}

SentenceTranslator::Result SentenceTranslator::translate(std::string_view sentence,
                                                         const runtime::RunOptions& options,
                                                         const std::string& place) {
  return translate_as(sentence, place, [&](std::span<const int64_t> source) {
    return translator_->translate(source, options);
  });
}

}  // namespace strata::cli
