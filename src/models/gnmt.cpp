#include "models/gnmt.h"

#include <array>
#include <utility>
#include <vector>

#include "graph/builder.h"

namespace strata::models {
namespace {

using graph::DataType;
using graph::GraphBuilder;
using graph::ParameterRole;

constexpr int64_t kMaxWidth = 1 << 14;
constexpr int64_t kMaxVocabulary = 1 << 20;
constexpr int64_t kMaxLayers = 32;
constexpr int64_t kFirstResidualLayer = 3;

constexpr const char* kSharedEmbedding = "embedding.weight";

Status check_size(const char* what, int64_t size, int64_t least, int64_t most) {
  if (size >= least && size <= most) return {};
  return invalid_argument(std::string("gnmt: ") + what + " is " + std::to_string(size) +
                          ", expected " + std::to_string(least) + " to " + std::to_string(most));
}

/// What both graphs are made of. Sequences are [time, sentences, features].
class Part {
 public:
  Part(GraphBuilder& builder, const GnmtConfig& config) : builder_(builder), config_(config) {}

  std::string embed(const std::string& name, const std::string& table, const std::string& words) {
    return builder_.node(name, "Gather", {table, words}, {{"axis", int64_t{0}}});
  }

  std::string dropout(const std::string& name, const std::string& value) {
    if (config_.dropout == 0) return value;
    return builder_.node(name, "Dropout", {value}, {{"ratio", config_.dropout}});
  }

  /// As graph::GraphBuilder::reshape().
  std::string reshape(const std::string& name, const std::string& value,
                      const std::vector<int64_t>& sizes) {
    return builder_.reshape(name, value, sizes);
  }

  std::string transpose(const std::string& name, const std::string& value,
                        std::vector<int64_t> order) {
    return builder_.node(name, "Transpose", {value}, {{"perm", std::move(order)}});
  }

  /// A layer in one direction and its last state.
  struct Layer {
    std::string sequence, h, c;
  };
  Layer layer(const std::string& name, const std::string& value, graph::LstmOptions options) {
    options.hidden = config_.width;
    const graph::LstmOutputs outputs =
        builder_.lstm(name, dropout(name + ".dropout", value), options);
    return {reshape(name + ".sequence", outputs.y, {0, -1, config_.width}), outputs.h, outputs.c};
  }

  std::string add_residual(const std::string& layer_name, int64_t number, const std::string& made,
                           const std::string& read) {
    if (number < kFirstResidualLayer) return made;
    return builder_.add(layer_name + ".residual", made, read);
  }

 private:
  GraphBuilder& builder_;
  const GnmtConfig& config_;
};

std::string embedding_of(GraphBuilder& builder, const GnmtConfig& config, const char* side) {
  if (config.share_embeddings) return kSharedEmbedding;
  return builder.parameter(std::string(side) + "_embedding.weight",
                           {config.vocabulary, config.width}, ParameterRole::kWeight,
                           config.prunable_ends);
}

void add_encoder(graph::Model& model, const GnmtConfig& config) {
  GraphBuilder builder(model, "encode");
  Part part(builder, config);
  const std::string source =
      builder.input("source", {"source_time", "sentences"}, DataType::kInt64);
  const std::string lengths = builder.input("source_lengths", {"sentences"}, DataType::kInt32);
  std::string x = part.embed("encoder.embedding", embedding_of(builder, config, "source"), source);

  graph::LstmOptions both_ways;
  both_ways.in_features = config.width;
  both_ways.hidden = config.width;
  both_ways.direction = "bidirectional";
  both_ways.sequence_lens = lengths;
  const std::string first = "encoder.layer1";
  x = builder.lstm(first, part.dropout(first + ".dropout", x), both_ways).y;
  x = part.transpose(first + ".side_by_side", x, {0, 2, 1, 3});
  x = part.reshape(first + ".sequence", x, {0, 0, 2 * config.width});

  for (int64_t number = 2; number <= config.encoder_layers; ++number) {
    const std::string name = "encoder.layer" + std::to_string(number);
    graph::LstmOptions options;
    options.in_features = number == 2 ? 2 * config.width : config.width;
    options.sequence_lens = lengths;
    x = part.add_residual(name, number, part.layer(name, x, options).sequence, x);
  }

  const std::string memory = part.transpose("memory_of_sentences", x, {1, 0, 2});
  const std::string weight = builder.parameter("attention.key.weight", {config.width, config.width},
                                               ParameterRole::kWeight);
  const std::string keys = builder.node("attention.key", "MatMul", {memory, weight});
  const graph::Shape shape = {"sentences", "source_time", config.width};
  builder.output(memory, "memory", shape);
  builder.output(keys, "keys", shape);
  builder.finish();
}

/// Inputs of the decoder that tell of the source.
struct Source {
  std::string memory, keys, mask;
};

/// What the sequence of `queries` learns from the source, [target_time, sentences, width].
std::string attend(GraphBuilder& builder, Part& part, const GnmtConfig& config,
                   const Source& source, const std::string& queries) {
  const std::string weight = builder.parameter(
      "attention.query.weight", {config.width, config.width}, ParameterRole::kWeight);
  const std::string bias =
      builder.parameter("attention.bias", {config.width}, ParameterRole::kBias);
  const std::string vector = builder.parameter("attention.vector", {config.width, 1},
                                               ParameterRole::kWeight, /*prunable=*/false);
  const std::string scale = builder.parameter("attention.scale", {1}, ParameterRole::kScale);

  std::string x = builder.node("attention.query", "MatMul", {queries, weight});
  x = builder.add("attention.shifted_query", x, bias);
  x = part.reshape("attention.each_query", x, {0, 0, 1, config.width});
  x = builder.add("attention.sum", x, source.keys);
  x = builder.node("attention.energy", "Tanh", {x});
  x = builder.node("attention.product", "MatMul", {x, vector});
  const std::string length =
      builder.node("attention.length", "ReduceL2", {vector},
                   {{"axes", std::vector<int64_t>{0, 1}}, {"keepdims", int64_t{0}}});
  const std::string factor = builder.node("attention.factor", "Div", {scale, length});
  x = builder.node("attention.score", "Mul", {x, factor});
  x = part.reshape("attention.scores", x, {0, 0, -1});
  x = builder.add("attention.masked", x, source.mask);
  x = builder.node("attention.shares", "Softmax", {x}, {{"axis", int64_t{-1}}});
  // One product per sentence.
  x = part.transpose("attention.by_sentence", x, {1, 0, 2});
  x = builder.node("attention.context", "MatMul", {x, source.memory});
  return part.transpose("attention.by_time", x, {1, 0, 2});
}

void add_decoder(graph::Model& model, const GnmtConfig& config) {
  GraphBuilder builder(model, "decode");
  Part part(builder, config);
  const std::string target =
      builder.input("target", {"target_time", "sentences"}, DataType::kInt64);
  const graph::Shape memory = {"sentences", "source_time", config.width};
  Source source;
  source.memory = builder.input("memory", memory);
  source.keys = builder.input("keys", memory);
  source.mask = builder.input("source_mask", {"sentences", "source_time"});
  const std::string embedded =
      part.embed("decoder.embedding", embedding_of(builder, config, "target"), target);

  const graph::Shape state = {1, "sentences", config.width};
  std::vector<Part::Layer> layers;
  const auto add_layer = [&](int64_t number, const std::string& value, int64_t in_features) {
    graph::LstmOptions options;
    options.in_features = in_features;
    options.initial_h = builder.input("h" + std::to_string(number), state);
    options.initial_c = builder.input("c" + std::to_string(number), state);
    layers.push_back(part.layer("decoder.layer" + std::to_string(number), value, options));
    return layers.back().sequence;
  };

  std::string x = add_layer(1, embedded, config.width);
  const std::string context = attend(builder, part, config, source, x);
  for (int64_t number = 2; number <= config.decoder_layers; ++number) {
    const std::string name = "decoder.layer" + std::to_string(number);
    const std::string seen =
        builder.node(name + ".input", "Concat", {x, context}, {{"axis", int64_t{2}}});
    x = part.add_residual(name, number, add_layer(number, seen, 2 * config.width), x);
  }
  x = part.reshape("decoder.rows", x, {-1, config.width});
  const std::string logits = builder.gemm("output", x, config.width, config.vocabulary,
                                          /*bias=*/true, config.prunable_ends);
  builder.output(logits, "logits", {"rows", config.vocabulary});
  for (size_t i = 0; i < layers.size(); ++i) {
    builder.output(layers[i].h, "next_h" + std::to_string(i + 1), state);
    builder.output(layers[i].c, "next_c" + std::to_string(i + 1), state);
  }
  builder.finish();
}

}  // namespace

Result<graph::Model> gnmt(const GnmtConfig& config) {
  STRATA_RETURN_IF_ERROR(check_size("vocabulary", config.vocabulary, 4, kMaxVocabulary));
  STRATA_RETURN_IF_ERROR(check_size("width", config.width, 1, kMaxWidth));
  STRATA_RETURN_IF_ERROR(check_size("encoder_layers", config.encoder_layers, 2, kMaxLayers));
  STRATA_RETURN_IF_ERROR(check_size("decoder_layers", config.decoder_layers, 2, kMaxLayers));
  if (!(config.dropout >= 0 && config.dropout < 1)) {
    return invalid_argument("gnmt: dropout must be at least 0 and below 1");
  }
  graph::Model model;
  model.name = config.name;
  model.metadata["family"] = "translation";
  // A sentence of usual length, and one step of its translation.
  model.metadata["sizes"] = "source_time=20 target_time=1 sentences=1";
  if (config.share_embeddings) {
    model.parameters.push_back({kSharedEmbedding,
                                {config.vocabulary, config.width},
                                ParameterRole::kWeight,
                                config.prunable_ends});
  }
  add_encoder(model, config);
  add_decoder(model, config);
  return model;
}

bool is_gnmt(const std::string& name) { return gnmt_config(name).ok(); }

Result<GnmtConfig> gnmt_config(const std::string& name) {
  GnmtConfig config;
  config.name = name;
  if (name == "gnmt") return config;
  if (name == "gnmt-mlperf") {
    config.encoder_layers = 4;
    config.decoder_layers = 4;
    config.vocabulary = 32320;
    return config;
  }
  return not_found("there is no translator '" + name + "'; there are gnmt and gnmt-mlperf");
}

}  // namespace strata::models
