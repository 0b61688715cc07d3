// Batches of sentences, and translations of the runtime that equal libtorch's at every level.
#include <algorithm>
#include <random>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "format/reader.h"
#include "format/writer.h"
#include "models/gnmt.h"
#include "runtime/translator.h"
#include "session_fixture.h"
#include "train/torch/tasks/translation_batches.h"
#include "train/torch/tasks/translation_decoding.h"

namespace strata::train {
namespace {

using ::testing::ElementsAre;

std::vector<EncodedPair> pairs_of_lengths(size_t count) {
  std::vector<EncodedPair> pairs;
  for (size_t i = 0; i < count; ++i) {
    const size_t length = 1 + (i * 37) % 23;
    pairs.push_back({std::vector<int64_t>(length, 4), std::vector<int64_t>(length + 1, 5)});
  }
  return pairs;
}

TEST(TranslationBatches, HoldEveryPairOnceAndSimilarLengths) {
  const std::vector<EncodedPair> pairs = pairs_of_lengths(503);
  const auto batches = plan_epoch({1, 2}, pairs, 16);
  EXPECT_EQ(batches.size(), 32U);
  std::multiset<int64_t> seen;
  size_t padded = 0;
  size_t words = 0;
  for (const std::vector<int64_t>& batch : batches) {
    size_t longest = 0;
    for (const int64_t i : batch) {
      seen.insert(i);
      const size_t length = pairs[static_cast<size_t>(i)].target.size();
      words += length;
      longest = std::max(longest, length);
    }
    padded += longest * batch.size();
  }
  EXPECT_EQ(seen.size(), 503U);
  EXPECT_EQ(std::set(seen.begin(), seen.end()).size(), 503U);
  EXPECT_LT(static_cast<double>(padded), 1.1 * static_cast<double>(words));
  EXPECT_EQ(plan_epoch({1, 2}, pairs, 16), batches);
  EXPECT_NE(plan_epoch({1, 3}, pairs, 16), batches);
}

TEST(TranslationBatches, PadAndMask) {
  const std::vector<EncodedPair> pairs = {{{10, 11}, {20}}, {{12}, {21, 22, 23}}};
  const std::vector<int64_t> chosen = {0, 1};
  const Batch batch = training_batch(pairs, chosen);
  const auto row = [](const at::Tensor& tensor) {
    const at::Tensor flat = tensor.flatten().contiguous();
    return std::vector<int64_t>(flat.data_ptr<int64_t>(), flat.data_ptr<int64_t>() + flat.numel());
  };
  EXPECT_THAT(row(batch.inputs[0]), ElementsAre(10, 12, 11, 3, 3, 0));
  EXPECT_THAT(row(batch.inputs[1].to(at::kLong)), ElementsAre(3, 2));
  EXPECT_THAT(row(batch.inputs[2].eq(0).to(at::kLong)), ElementsAre(1, 1, 1, 1, 1, 0));
  EXPECT_THAT(row(batch.inputs[3]), ElementsAre(2, 2, 20, 21, 0, 22, 0, 23));
  EXPECT_THAT(row(batch.targets[0]), ElementsAre(20, 21, 3, 22, kNoTarget, 23, kNoTarget, 3));
}

/// Of the decoder's answers over some steps, by finite differences.
TEST(TranslationGradients, ReachEveryWeightOfBothGraphs) {
  models::GnmtConfig config = models::gnmt_config("gnmt").value();
  config.vocabulary = 12;
  config.width = 6;
  config.encoder_layers = config.decoder_layers = 3;
  config.dropout = 0;
  Network network(models::gnmt(config).value(), 1, /*seed=*/7, at::kCPU);
  const std::vector<EncodedPair> pairs = {{{10, 11, 5}, {4, 7}}, {{9}, {6, 8, 5}}};
  const Batch batch = training_batch(pairs, std::vector<int64_t>{0, 1});
  const auto loss = [&] {
    const auto route = network.fixed_route(0);
    const std::vector<at::Tensor> encoded = network.forward(
        0, std::vector{batch.inputs[0], batch.inputs[1]}, route, Pass{.training = true});
    std::vector<at::Tensor> inputs = {batch.inputs[3], encoded[0], encoded[1], batch.inputs[2]};
    while (inputs.size() < 10) inputs.push_back(at::zeros({1, 2, 6}));
    const at::Tensor logits = network.forward(1, inputs, route, Pass{.training = true}).at(0);
    return at::cross_entropy_loss(logits, batch.targets[0], {}, at::Reduction::Sum, kNoTarget);
  };
  network.refresh(0);
  loss().backward();
  for (const size_t p : network.weights()) {
    const std::string& name = network.model().parameters[p].name;
    const at::Tensor gradient = network.weight_gradient(p, -1);
    ASSERT_TRUE(gradient.defined()) << name;
    const at::NoGradGuard no_grad;
    // Along the gradient the loss grows by its squared length.
    const at::Tensor direction = gradient / gradient.norm();
    constexpr double kStep = 0.01;
    const auto at_distance = [&](double distance) {
      network.weight(p).add_(direction, distance);
      network.refresh(0);
      const double value = loss().item<double>();
      network.weight(p).sub_(direction, distance);
      return value;
    };
    const double slope = (at_distance(kStep) - at_distance(-kStep)) / (2 * kStep);
    EXPECT_NEAR(slope, gradient.norm().item<double>(), 0.03 * slope + 1e-3) << name;
  }
}

struct Size {
  int64_t layers, width;
  bool share;
};

class TranslatorParity : public ::testing::TestWithParam<Size> {};

/// The same network for both: random weights, and biases that let some sentences end.
TEST_P(TranslatorParity, TheRuntimeTranslatesAsLibtorchDoes) {
  const Size& size = GetParam();
  models::GnmtConfig config = models::gnmt_config("gnmt").value();
  config.vocabulary = 40;
  config.width = size.width;
  config.encoder_layers = config.decoder_layers = size.layers;
  config.share_embeddings = size.share;
  const graph::Model model = models::gnmt(config).value();
  Network network(model, 3, /*seed=*/7, at::kCPU);
  std::mt19937 random(3);
  for (const size_t p : network.weights()) {
    if (!model.parameters[p].prunable) continue;
    // Larger than at the start of training, so that translations differ.
    const at::NoGradGuard no_grad;
    network.weight(p).mul_(4);
    std::vector<uint8_t> mask(static_cast<size_t>(model.parameters[p].element_count()));
    for (const auto& [level, every] : {std::pair(1, 3U), std::pair(0, 2U)}) {
      for (uint8_t& place : mask) {
        place = level == 1 || place != 0 ? (random() % every != 0 ? 1 : 0) : 0;
      }
      network.set_mask(level, p, mask);
    }
  }
  for (int level = 0; level < 3; ++level) network.refresh(level);
  const sparse::NestedModel nested = network.nested();
  const auto reader = format::Reader::from_bytes(format::encode(nested).value()).value();

  std::vector<EncodedPair> pairs(12);
  for (EncodedPair& pair : pairs) {
    pair.source.resize(1 + random() % 20);
    for (int64_t& word : pair.source) word = 4 + static_cast<int64_t>(random() % 36);
  }
  for (const int64_t beam : {1, 4}) {
    for (const int threads : {1, 2}) {
      auto translator = runtime::Translator::create(reader, {.threads = threads, .beam = beam});
      ASSERT_TRUE(translator.ok()) << translator.status().message();
      for (int level = 0; level < 3; ++level) {
        const at::NoGradGuard no_grad;
        const auto expected = translate_all(network, pairs, network.fixed_route(level),
                                            {.beam = beam, .batch_size = 5});
        for (size_t i = 0; i < pairs.size(); ++i) {
          const auto found = (*translator)->translate(pairs[i].source, level);
          ASSERT_TRUE(found.ok()) << found.status().message();
          EXPECT_EQ(found->words, expected[i]) << "sentence " << i << ", level " << level;
        }
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Sizes, TranslatorParity,
                         ::testing::Values(Size{2, 16, true}, Size{3, 24, false},
                                           Size{4, 7, true}));

/// The network that a file holds, for libtorch.
std::unique_ptr<Network> network_of(const sparse::NestedModel& nested) {
  auto network = std::make_unique<Network>(nested.model, nested.level_count, 1, at::kCPU);
  network->start_from(nested);
  for (int level = 0; level < nested.level_count; ++level) {
    for (const size_t p : network->weights()) {
      const auto& tensor = nested.weights.at(nested.model.parameters[p].name);
      std::vector<uint8_t> mask;
      for (const float value : sparse::densify(tensor, level)) mask.push_back(value != 0 ? 1 : 0);
      network->set_mask(level, p, mask);
    }
    const at::NoGradGuard no_grad;
    for (const size_t p : network->vectors()) {
      const auto& values =
          nested.vectors[static_cast<size_t>(level)].at(nested.model.parameters[p].name);
      std::copy(values.begin(), values.end(), network->vector(level, p).data_ptr<float>());
    }
    network->refresh(level);
  }
  return network;
}

/// With a trained translator and a parallel text, named in the environment.
TEST(Translator, TranslatesATestSetAsLibtorchDoes) {
  const char* model = std::getenv("STRATA_TRANSLATOR");
  const char* data = std::getenv("STRATA_PARALLEL_TEXT");
  if (model == nullptr || data == nullptr) {
    GTEST_SKIP() << "name a model in STRATA_TRANSLATOR and a text in STRATA_PARALLEL_TEXT";
  }
  const auto reader = format::Reader::open(model).value();
  const auto network = network_of(reader->read_all().value());
  const text::Subwords subwords = text::Subwords::of(reader->model());
  const auto& metadata = reader->model().metadata;
  const std::vector<EncodedPair> pairs = encode_pairs(
      subwords, text::load_parallel(data, {metadata.at("source"), metadata.at("target")}), 0);
  const at::NoGradGuard no_grad;
  for (const int64_t beam : {1, 5}) {
    const auto translator = runtime::Translator::create(reader, {.beam = beam}).value();
    for (int level = 0; level < reader->level_count(); ++level) {
      const auto expected =
          translate_all(*network, pairs, network->fixed_route(level), {.beam = beam});
      size_t different = 0;
      for (size_t i = 0; i < pairs.size(); ++i) {
        if (translator->translate(pairs[i].source, level).value().words != expected[i]) ++different;
      }
      EXPECT_EQ(different, 0U) << "of " << pairs.size() << ", level " << level << ", beam " << beam;
    }
  }
}

TEST(Translator, HasDefinedResultsAndClearErrors) {
  models::GnmtConfig config = models::gnmt_config("gnmt").value();
  config.vocabulary = 40;
  config.width = 8;
  config.encoder_layers = config.decoder_layers = 2;
  const auto open = [](const graph::Model& model) {
    sparse::NestedModel nested = testing::random_nested(model, {0.5, 1}, 1);
    EXPECT_TRUE(sparse::fold_normalisation(nested).ok());
    return format::Reader::from_bytes(format::encode(nested).value()).value();
  };
  const auto reader = open(models::gnmt(config).value());
  const auto translator = runtime::Translator::create(reader, {.beam = 2}).value();
  EXPECT_TRUE(translator->translate({}, 0)->words.empty());
  const std::vector<int64_t> unknown = {5, 40};
  EXPECT_EQ(translator->translate(unknown, 0).status().message(),
            "sub-word 40 does not exist, the model has 40");
  const std::vector<int64_t> one = {5};
  EXPECT_EQ(translator->translate(one, 2).status().message(),
            "level 2 does not exist, the model has levels 0 to 1");
  EXPECT_FALSE(translator->translate_route(one, std::vector<uint8_t>{0}).ok());
  const std::vector<int64_t> endless(1024, 5);
  EXPECT_EQ(translator->translate(endless, 0).status().message(),
            "the sentence has 1024 sub-words, at most 1023 are translated; split it");
  EXPECT_TRUE(translator->translate(std::vector<int64_t>(200, 5), 0).ok());
  EXPECT_FALSE(runtime::Translator::create(reader, {.beam = 0}).ok());
  EXPECT_FALSE(runtime::Translator::create(reader, {.length_penalty = -1}).ok());
  const auto other = open(models::resnet(models::resnet_config("resnet8").value()).value());
  EXPECT_EQ(runtime::Translator::create(other, {}).status().message(),
            "the model is no translator: it needs a graph 'encode' and a graph 'decode'");
}

}  // namespace
}  // namespace strata::train
