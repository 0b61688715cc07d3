#include "models/gat.h"

#include <utility>

#include "graph/builder.h"

namespace strata::models {
namespace {

using graph::GraphBuilder;
using graph::ParameterRole;

constexpr int64_t kMaxSize = 1 << 20;

Status check_size(const char* name, int64_t size) {
  if (size >= 1 && size <= kMaxSize) return {};
  return invalid_argument(std::string("gat: ") + name + " is " + std::to_string(size) +
                          ", expected 1 to " + std::to_string(kMaxSize));
}

struct Attention {
  std::string rows, neighbours;  ///< of the graph
  int64_t heads = 1, size = 1;
  float dropout = 0, negative_slope = 0;
  bool mean_of_heads = false;
};

class Layers {
 public:
  explicit Layers(GraphBuilder& builder) : builder_(builder) {}

  std::string dropout(const std::string& name, const std::string& value, float ratio) {
    if (ratio == 0) return value;
    return builder_.node(name, "Dropout", {value}, {{"ratio", ratio}});
  }

  /// Attention over `projected` [nodes, heads * size], bias included.
  std::string attend(const std::string& layer, const std::string& projected, const Attention& a) {
    const std::string domain(graph::kStrataDomain);
    const auto scores = [&](const std::string& end) {
      const std::string name = layer + "." + end;
      const std::string weight = builder_.parameter(name + ".weight", {a.heads, a.size},
                                                    ParameterRole::kWeight, /*prunable=*/false);
      return builder_.node(name, "HeadScores", {projected, weight}, {}, domain);
    };
    const std::string target = scores("target");
    const std::string source = scores("source");
    std::string shares =
        builder_.node(layer + ".attention", "EdgeSoftmax", {a.rows, a.neighbours, target, source},
                      {{"negative_slope", a.negative_slope}}, domain);
    shares = dropout(layer + ".attention_dropout", shares, a.dropout);
    const std::string values = dropout(layer + ".value_dropout", projected, a.dropout);
    const std::string sum =
        builder_.node(layer + ".sum", "EdgeSum", {a.rows, a.neighbours, shares, values},
                      {{"mean_of_heads", static_cast<int64_t>(a.mean_of_heads ? 1 : 0)}}, domain);
    const std::string bias = builder_.parameter(
        layer + ".bias", {a.mean_of_heads ? a.size : a.heads * a.size}, ParameterRole::kBias);
    return builder_.add(layer + ".shift", sum, bias);
  }

 private:
  GraphBuilder& builder_;
};

}  // namespace

Result<graph::Model> gat(const GatConfig& config) {
  STRATA_RETURN_IF_ERROR(check_size("features", config.features));
  STRATA_RETURN_IF_ERROR(check_size("classes", config.classes));
  STRATA_RETURN_IF_ERROR(check_size("heads", config.heads));
  STRATA_RETURN_IF_ERROR(check_size("hidden", config.hidden));
  STRATA_RETURN_IF_ERROR(check_size("output_heads", config.output_heads));
  STRATA_RETURN_IF_ERROR(check_size("heads times hidden", config.heads * config.hidden));
  if (!(config.dropout >= 0 && config.dropout < 1)) {
    return invalid_argument("gat: dropout must be at least 0 and below 1");
  }

  graph::Model model;
  model.name = config.name;
  GraphBuilder builder(model, "main");
  constexpr auto kIndex = graph::DataType::kInt32;
  const std::string feature_rows = builder.input("feature_rows", {"nodes+1"}, kIndex);
  const std::string feature_columns = builder.input("feature_columns", {"entries"}, kIndex);
  const std::string feature_values = builder.input("feature_values", {"entries"});
  Attention attention{.rows = builder.input("neighbour_rows", {"nodes+1"}, kIndex),
                      .neighbours = builder.input("neighbours", {"edges"}, kIndex),
                      .heads = config.heads,
                      .size = config.hidden,
                      .dropout = config.dropout,
                      .negative_slope = config.negative_slope};
  Layers layers(builder);

  const int64_t width = config.heads * config.hidden;
  const std::string seen = layers.dropout("layer1.dropout", feature_values, config.dropout);
  const std::string weight =
      builder.parameter("layer1.weight", {config.features, width}, ParameterRole::kWeight);
  std::string x =
      builder.node("layer1", "SparseProduct", {feature_rows, feature_columns, seen, weight}, {},
                   std::string(graph::kStrataDomain));
  x = layers.attend("layer1", x, attention);
  x = builder.node("layer1.elu", "Elu", {x});

  attention.heads = config.output_heads;
  attention.size = config.classes;
  attention.mean_of_heads = config.output_heads > 1;
  x = layers.dropout("layer2.dropout", x, config.dropout);
  x = builder.gemm("layer2", x, width, config.output_heads * config.classes, /*bias=*/false,
                   config.prunable_output);
  x = layers.attend("layer2", x, attention);
  builder.output(x, "logits", {"nodes", config.classes});
  builder.finish();
  return model;
}

bool is_gat(const std::string& name) { return gat_config(name).ok(); }

Result<GatConfig> gat_config(const std::string& name) {
  GatConfig config;
  config.name = name;
  if (name == "gat") return config;
  if (name == "gat-8-output-heads") {
    config.output_heads = 8;
    return config;
  }
  return not_found("there is no graph attention network '" + name +
                   "'; there are gat and gat-8-output-heads");
}

}  // namespace strata::models
