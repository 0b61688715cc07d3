#include "train/torch/tasks/translation.h"

#include <algorithm>
#include <string>
#include <utility>

#include <nlohmann/json.hpp>
#include <xxhash.h>

#include "models/gnmt.h"
#include "train/error.h"
#include "train/text/bleu.h"
#include "train/torch/tasks/translation_batches.h"
#include "train/torch/tasks/translation_decoding.h"

namespace strata::train {
namespace {

models::GnmtConfig config_of(const Recipe& recipe) {
  models::GnmtConfig config = value_or_throw(models::gnmt_config(recipe.model.arch));
  if (recipe.model.width > 0) config.width = recipe.model.width;
  if (recipe.model.layers > 0) {
    config.encoder_layers = config.decoder_layers = recipe.model.layers;
  }
  if (recipe.model.vocabulary > 0) config.vocabulary = recipe.model.vocabulary;
  config.share_embeddings = recipe.model.share_embeddings;
  config.dropout = static_cast<float>(recipe.model.dropout);
  config.prunable_ends = !recipe.model.keep_ends_dense;
  return config;
}

/// Both languages, from which one vocabulary is learned.
text::Subwords learn_subwords(std::span<const text::SentencePair> pairs, int64_t size) {
  std::vector<std::string> sentences;
  for (const text::SentencePair& pair : pairs) {
    sentences.push_back(pair.source);
    sentences.push_back(pair.target);
  }
  return text::Subwords::learn(sentences, size);
}

/// Some sentences that are evaluated.
struct Split {
  std::vector<EncodedPair> pairs;
  std::vector<std::string> references;
};

class Translation final : public Task {
 public:
  Translation(const Recipe& recipe, const TaskContext& context);

  [[nodiscard]] graph::Model model() const override;
  [[nodiscard]] Initialisation initialisation() const override { return Initialisation::kWide; }
  [[nodiscard]] Metric metric() const override {
    return {
        .name = "bleu", .unit = "BLEU", .title = "BLEU", .field = "bleu", .shown_per_measured = 1};
  }
  [[nodiscard]] int64_t steps_per_epoch() const override {
    const auto count = static_cast<int64_t>(train_.size());
    return (count + recipe_.optimizer.batch_size - 1) / recipe_.optimizer.batch_size;
  }
  [[nodiscard]] bool has_validation() const override { return true; }
  [[nodiscard]] uint64_t digest() const override { return digest_; }
  [[nodiscard]] nlohmann::json facts() const override {
    return {{"data", data_.name},
            {"train_sentences", train_.size()},
            {"validation_sentences", validation_.pairs.size()},
            {"test_sentences", test_.pairs.size()},
            {"test", recipe_.data.test},
            {"beam", recipe_.eval.beam},
            {"signature", text::bleu_signature()}};
  }
  [[nodiscard]] Batch batch(int64_t step) override;
  [[nodiscard]] at::Tensor answer(Network& network, const Batch& batch, const ModelRoute& route,
                                  const Pass& pass) const override;
  [[nodiscard]] at::Tensor divergence(const at::Tensor& student, const at::Tensor& teacher,
                                      const Batch& batch, double temperature) const override;
  [[nodiscard]] std::vector<Evaluation> evaluate(Network& network,
                                                 std::span<const ModelRoute> routes) override;

 private:
  [[nodiscard]] Split split_of(std::vector<text::SentencePair> pairs) const;
  [[nodiscard]] Score score(const Network& network, const Split& split,
                            const ModelRoute& route) const;

  Recipe recipe_;
  at::Device device_;
  text::TranslationData data_;
  text::Subwords subwords_;
  std::vector<EncodedPair> train_;
  Split validation_, test_;
  uint64_t digest_ = 0;
  std::vector<std::vector<int64_t>> plan_;
  int64_t plan_epoch_ = -1;
};

text::TranslationData load(const Recipe& recipe) {
  text::TranslationData data =
      text::load_translation(recipe.data.dir, {recipe.data.source, recipe.data.target},
                             recipe.data.test, recipe.data.holdout);
  const auto limit = [](std::vector<text::SentencePair>& pairs, int64_t most) {
    if (most > 0) pairs.resize(std::min(pairs.size(), static_cast<size_t>(most)));
  };
  limit(data.train, recipe.data.limit_train);
  limit(data.validation, recipe.data.limit_test);
  limit(data.test, recipe.data.limit_test);
  return data;
}

Translation::Translation(const Recipe& recipe, const TaskContext& context)
    : Task(recipe.optimizer.label_smoothing),
      recipe_(recipe),
      device_(context.device),
      data_(load(recipe)),
      subwords_(learn_subwords(data_.train, config_of(recipe).vocabulary)),
      train_(encode_pairs(subwords_, data_.train, recipe.data.max_length)),
      validation_(split_of(data_.validation)),
      test_(split_of(data_.test)) {
  if (train_.empty()) {
    throw Error("every training sentence of '" + data_.name + "' has more than " +
                std::to_string(recipe.data.max_length) + " sub-words; raise data.max_length");
  }
  const auto add = [&](const std::string& text) {
    digest_ = XXH3_64bits_withSeed(text.data(), text.size(), digest_ + 1);
  };
  add(subwords_.bytes());
  for (const auto* split : {&data_.train, &data_.validation}) {  // one is learned, one chooses
    for (const text::SentencePair& pair : *split) {
      add(pair.source);
      add(pair.target);
    }
  }
}

Split Translation::split_of(std::vector<text::SentencePair> pairs) const {
  Split split;
  split.pairs = encode_pairs(subwords_, pairs, /*max_length=*/0);
  for (text::SentencePair& pair : pairs) split.references.push_back(std::move(pair.target));
  return split;
}

graph::Model Translation::model() const {
  models::GnmtConfig config = config_of(recipe_);
  graph::Model model = value_or_throw(models::gnmt(config));
  model.metadata["source"] = recipe_.data.source;
  model.metadata["target"] = recipe_.data.target;
  model.constants.push_back(subwords_.constant());
  return model;
}

Batch Translation::batch(int64_t step) {
  const int64_t epoch = step / steps_per_epoch();
  if (epoch != plan_epoch_) {
    plan_ = plan_epoch({static_cast<uint64_t>(recipe_.seed), static_cast<uint64_t>(epoch)}, train_,
                       recipe_.optimizer.batch_size);
    plan_epoch_ = epoch;
  }
  Batch batch = training_batch(train_, plan_[static_cast<size_t>(step % steps_per_epoch())]);
  for (at::Tensor& tensor : batch.inputs) tensor = tensor.to(device_);
  for (at::Tensor& tensor : batch.targets) tensor = tensor.to(device_);
  return batch;
}

at::Tensor Translation::answer(Network& network, const Batch& batch, const ModelRoute& route,
                               const Pass& pass) const {
  const std::vector<at::Tensor> encoded =
      network.forward(0, std::vector{batch.inputs[0], batch.inputs[1]}, route, pass);
  std::vector<at::Tensor> inputs = {batch.inputs[3], encoded[0], encoded[1], batch.inputs[2]};
  const int64_t sentences = batch.inputs[3].size(1);
  while (inputs.size() < network.model().graphs[1].inputs.size()) {
    inputs.push_back(at::zeros({1, sentences, encoded[0].size(2)}, encoded[0].options()));
  }
  return network.forward(1, inputs, route, pass).at(0);
}

/// Over what is no padding.
at::Tensor Translation::divergence(const at::Tensor& student, const at::Tensor& teacher,
                                   const Batch& batch, double temperature) const {
  const at::Tensor rows = batch.targets[0].ne(kNoTarget).nonzero().flatten();
  return Task::divergence(student.index_select(0, rows), teacher.index_select(0, rows), batch,
                          temperature);
}

Score Translation::score(const Network& network, const Split& split,
                         const ModelRoute& route) const {
  const auto translations =
      translate_all(network, split.pairs, route,
                    {.beam = recipe_.eval.beam, .batch_size = recipe_.eval.batch_size});
  std::vector<std::string> sentences;
  for (const std::vector<int64_t>& words : translations) {
    sentences.push_back(subwords_.decode(words));
  }
  // BLEU alone chooses the epoch that is kept, so every loss is the same.
  return {text::corpus_bleu(sentences, {&split.references, 1}).score, 0};
}

std::vector<Evaluation> Translation::evaluate(Network& network,
                                              std::span<const ModelRoute> routes) {
  std::vector<Evaluation> result;
  for (const ModelRoute& route : routes) {
    result.push_back({score(network, test_, route), score(network, validation_, route)});
  }
  return result;
}

}  // namespace

std::unique_ptr<Task> make_translation(const Recipe& recipe, const TaskContext& context) {
  return std::make_unique<Translation>(recipe, context);
}

}  // namespace strata::train
