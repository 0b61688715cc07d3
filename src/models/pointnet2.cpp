// Channels come first inside the graph, points last: a shared layer is a convolution of one by one
// over a plane whose rows are neighbours and whose columns are centres.
#include "models/pointnet2.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "graph/builder.h"

namespace strata::models {
namespace {

using graph::GraphBuilder;
using Ints = std::vector<int64_t>;

constexpr int64_t kCoordinates = 3;
constexpr int64_t kMaxSize = 1 << 20;
constexpr int64_t kPublishedWidth = 64;

Status check_size(const std::string& name, int64_t size) {
  if (size >= 1 && size <= kMaxSize) return {};
  return invalid_argument("pointnet: " + name + " is " + std::to_string(size) + ", expected 1 to " +
                          std::to_string(kMaxSize));
}

Status check_widths(const std::string& name, const Ints& widths) {
  if (widths.empty()) return invalid_argument("pointnet: " + name + " has no layers");
  for (const int64_t width : widths) {
    STRATA_RETURN_IF_ERROR(check_size("a width of " + name, width));
  }
  return {};
}

Status check_config(const PointNetConfig& config) {
  STRATA_RETURN_IF_ERROR(check_size("points", config.points));
  STRATA_RETURN_IF_ERROR(check_size("classes", config.classes));
  STRATA_RETURN_IF_ERROR(check_size("width", config.width));
  int64_t points = config.points;
  for (const SetAbstraction& stage : config.stages) {
    STRATA_RETURN_IF_ERROR(check_size("the number of centres", stage.centres));
    if (stage.centres > points) {
      return invalid_argument("pointnet: " + std::to_string(stage.centres) +
                              " centres cannot be chosen of " + std::to_string(points) + " points");
    }
    points = stage.centres;
    if (stage.scales.empty()) return invalid_argument("pointnet: a stage has no scales");
    for (const GroupingScale& scale : stage.scales) {
      STRATA_RETURN_IF_ERROR(check_size("the number of neighbours", scale.neighbours));
      STRATA_RETURN_IF_ERROR(check_widths("a scale", scale.widths));
      if (!(scale.radius > 0) || !std::isfinite(scale.radius)) {
        return invalid_argument("pointnet: a radius must be a number above 0");
      }
    }
  }
  STRATA_RETURN_IF_ERROR(check_widths("the global stage", config.global_widths));
  for (const int64_t width : config.hidden) {
    STRATA_RETURN_IF_ERROR(check_size("a hidden width", width));
  }
  if (!(config.dropout >= 0 && config.dropout < 1)) {
    return invalid_argument("pointnet: dropout must be at least 0 and below 1");
  }
  return {};
}

class PointNetBuilder {
 public:
  PointNetBuilder(const PointNetConfig& config, graph::Model& model)
      : config_(config), builder_(model, "main") {}

  void build() {
    const int64_t inputs = config_.normals ? 2 * kCoordinates : kCoordinates;
    const std::string cloud = builder_.input("points", {"batch", "points", inputs});
    Points points{cloud, {}, 0};
    if (config_.normals) {
      points.positions = columns("positions", cloud, 0);
      points.features = channels_first("normal_planes", columns("normals", cloud, kCoordinates));
      points.channels = kCoordinates;
    }
    for (size_t i = 0; i < config_.stages.size(); ++i) {
      points = abstract("sa" + std::to_string(i + 1), points, config_.stages[i], i == 0);
    }
    std::string value = over_all("sa" + std::to_string(config_.stages.size() + 1), points);
    value = classify(value);
    builder_.output(value, "logits", {"batch", config_.classes});
    builder_.finish();
  }

 private:
  struct Points {
    std::string positions;  ///< [batch, points, 3]
    std::string features;   ///< [batch, channels, points] or [batch, channels, 1, points], or none
    int64_t channels = 0;
  };

  [[nodiscard]] int64_t scaled(int64_t width) const {
    return std::max<int64_t>(1, (width * config_.width + kPublishedWidth / 2) / kPublishedWidth);
  }

  std::string ours(const std::string& name, const std::string& op, std::vector<std::string> inputs,
                   std::map<std::string, graph::Attribute, std::less<>> attributes = {}) {
    return builder_.node(name, op, std::move(inputs), std::move(attributes),
                         std::string(graph::kStrataDomain));
  }

  std::string constant(const std::string& name, const Ints& values) {
    return builder_.constant(
        graph::make_constant(name, {static_cast<int64_t>(values.size())}, values));
  }

  /// Three columns of the cloud.
  std::string columns(const std::string& name, const std::string& cloud, int64_t first) {
    return builder_.node(
        name, "Slice",
        {cloud, constant(name + ".begin", {first}), constant(name + ".end", {first + kCoordinates}),
         constant(name + ".axis", {2})});
  }

  std::string channels_first(const std::string& name, const std::string& points) {
    return builder_.node(name, "Transpose", {points}, {{"perm", Ints{0, 2, 1}}});
  }

  /// Convolution, normalisation and ReLU for each width.
  std::string shared_layers(const std::string& name, std::string value, int64_t& channels,
                            const Ints& widths, bool first) {
    for (size_t i = 0; i < widths.size(); ++i) {
      const auto layer = [&](const char* kind) { return name + kind + std::to_string(i + 1); };
      const int64_t width = scaled(widths[i]);
      value = builder_.conv(layer(".conv"), value,
                            {.in_channels = channels,
                             .out_channels = width,
                             .prunable = !(first && i == 0 && config_.keep_ends_dense)});
      value = builder_.batch_norm(layer(".bn"), value, width);
      value = builder_.relu(layer(".relu"), value);
      channels = width;
    }
    return value;
  }

  Points abstract(const std::string& name, const Points& points, const SetAbstraction& stage,
                  bool first) {
    const std::string chosen = ours(name + ".sample", "FarthestPointSampling", {points.positions},
                                    {{"count", stage.centres}});
    Points result;
    result.positions = ours(name + ".centres", "GatherPoints", {points.positions, chosen});
    std::vector<std::string> seen;
    for (size_t i = 0; i < stage.scales.size(); ++i) {
      const GroupingScale& scale = stage.scales[i];
      const std::string part =
          stage.scales.size() == 1 ? name : name + ".scale" + std::to_string(i + 1);
      const std::string near =
          ours(part + ".neighbours", "BallQuery", {result.positions, points.positions},
               {{"count", scale.neighbours}, {"radius", static_cast<float>(scale.radius)}});
      std::vector<std::string> inputs = {result.positions, points.positions, near};
      if (!points.features.empty()) inputs.push_back(points.features);
      int64_t channels = kCoordinates + points.channels;
      std::string value = ours(part + ".group", "GroupPoints", std::move(inputs));
      value = shared_layers(part, value, channels, scale.widths, first);
      seen.push_back(builder_.node(part + ".max", "MaxPool", {value},
                                   {{"ceil_mode", int64_t{0}},
                                    {"kernel_shape", Ints{scale.neighbours, 1}},
                                    {"pads", Ints(4, 0)},
                                    {"strides", Ints{1, 1}}}));
      result.channels += channels;
    }
    result.features = seen.size() == 1
                          ? seen.front()
                          : builder_.node(name + ".join", "Concat", seen, {{"axis", int64_t{1}}});
    return result;
  }

  /// One vector for all points: [batch, channels].
  std::string over_all(const std::string& name, const Points& points) {
    std::string value =
        builder_.reshape(name + ".position_plane",
                         channels_first(name + ".positions", points.positions), {0, 0, 1, -1});
    if (!points.features.empty()) {
      std::string features = points.features;
      if (config_.stages.empty()) {
        features = builder_.reshape(name + ".feature_plane", features, {0, 0, 1, -1});
      }
      value = builder_.node(name + ".join", "Concat", {value, features}, {{"axis", int64_t{1}}});
    }
    channels_ = kCoordinates + points.channels;
    value = shared_layers(name, value, channels_, config_.global_widths, config_.stages.empty());
    value = builder_.node(name + ".max", "ReduceMax", {value},
                          {{"axes", Ints{2, 3}}, {"keepdims", int64_t{1}}});
    return builder_.flatten("flatten", value);
  }

  std::string classify(std::string value) {
    for (size_t i = 0; i < config_.hidden.size(); ++i) {
      const auto layer = [&](const char* kind) { return kind + std::to_string(i + 1); };
      const int64_t width = scaled(config_.hidden[i]);
      value = builder_.gemm(layer("fc"), value, channels_, width, /*bias=*/false);
      value = builder_.batch_norm(layer("bn"), value, width);
      value = builder_.relu(layer("relu"), value);
      if (config_.dropout > 0) {
        value = builder_.node(layer("dropout"), "Dropout", {value}, {{"ratio", config_.dropout}});
      }
      channels_ = width;
    }
    return builder_.gemm("fc" + std::to_string(config_.hidden.size() + 1), value, channels_,
                         config_.classes, /*bias=*/true, !config_.keep_ends_dense);
  }

  const PointNetConfig& config_;
  GraphBuilder builder_;
  int64_t channels_ = 0;
};

PointNetConfig pointnet2(const std::string& name, std::vector<SetAbstraction> stages) {
  PointNetConfig config;
  config.name = name;
  config.stages = std::move(stages);
  config.global_widths = {256, 512, 1024};
  config.hidden = {512, 256};
  return config;
}

/// As published, for 1,024 points of ModelNet40 in the unit ball.
const std::vector<PointNetConfig>& architectures() {
  static const std::vector<PointNetConfig> table = [] {
    PointNetConfig plain;
    plain.global_widths = {64, 64, 64, 128, 1024};
    plain.hidden = {512, 256};
    PointNetConfig small = pointnet2("pointnet2-ssg-small", {{128, {{0.2, 16, {64, 64, 128}}}},
                                                             {32, {{0.4, 16, {128, 128, 256}}}}});
    small.points = 512;
    return std::vector<PointNetConfig>{
        plain,
        pointnet2("pointnet2-ssg",
                  {{512, {{0.2, 32, {64, 64, 128}}}}, {128, {{0.4, 64, {128, 128, 256}}}}}),
        pointnet2(
            "pointnet2-msg",
            {{512, {{0.1, 16, {32, 32, 64}}, {0.2, 32, {64, 64, 128}}, {0.4, 128, {64, 96, 128}}}},
             {128,
              {{0.2, 32, {64, 64, 128}},
               {0.4, 64, {128, 128, 256}},
               {0.8, 128, {128, 128, 256}}}}}),
        small};
  }();
  return table;
}

}  // namespace

Result<graph::Model> pointnet(const PointNetConfig& config) {
  STRATA_RETURN_IF_ERROR(check_config(config));
  graph::Model model;
  model.name = config.name;
  PointNetBuilder(config, model).build();
  model.metadata["family"] = "point-classification";
  model.metadata["sizes"] = "points=" + std::to_string(config.points);
  return model;
}

Result<PointNetConfig> pointnet_config(const std::string& name) {
  for (const PointNetConfig& config : architectures()) {
    if (config.name == name) return config;
  }
  std::string names;
  for (const std::string& known : pointnet_names()) names += (names.empty() ? "" : ", ") + known;
  return not_found("there is no classifier of point clouds '" + name + "'; there are " + names);
}

std::vector<std::string> pointnet_names() {
  std::vector<std::string> names;
  for (const PointNetConfig& config : architectures()) names.push_back(config.name);
  return names;
}

bool is_pointnet(const std::string& name) { return pointnet_config(name).ok(); }

}  // namespace strata::models
