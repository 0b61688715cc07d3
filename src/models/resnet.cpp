// Builds residual networks. Parameters are named as torchvision names them (conv1.weight,
// layer1.0.conv1.weight, layer1.0.downsample.0.weight, fc.weight), so that weights can be
// exchanged.
#include "models/resnet.h"

#include <string>
#include <utility>

#include "graph/builder.h"

namespace strata::models {
namespace {

using graph::ConvOptions;
using graph::GraphBuilder;

constexpr int64_t kBottleneckExpansion = 4;
/// Beyond these a graph would be no network any more; they keep every product below in 64 bits.
constexpr int64_t kMaxChannels = 1 << 20;
constexpr int64_t kMaxBlocks = 1000;
constexpr size_t kMaxStages = 8;

Status check_range(const char* what, int64_t value, int64_t least, int64_t most) {
  if (value >= least && value <= most) return {};
  return invalid_argument(std::string("resnet: ") + what + " is " + std::to_string(value) +
                          ", allowed are " + std::to_string(least) + " to " + std::to_string(most));
}

Status check_config(const ResNetConfig& config) {
  STRATA_RETURN_IF_ERROR(check_range("the number of stages",
                                     static_cast<int64_t>(config.blocks.size()), 1, kMaxStages));
  for (const int64_t blocks : config.blocks) {
    STRATA_RETURN_IF_ERROR(check_range("the number of blocks of a stage", blocks, 1, kMaxBlocks));
  }
  STRATA_RETURN_IF_ERROR(check_range("width", config.width, 1, kMaxChannels / 1024));
  STRATA_RETURN_IF_ERROR(check_range("input_channels", config.input_channels, 1, kMaxChannels));
  STRATA_RETURN_IF_ERROR(check_range("image_height", config.image_height, 1, kMaxChannels));
  STRATA_RETURN_IF_ERROR(check_range("image_width", config.image_width, 1, kMaxChannels));
  STRATA_RETURN_IF_ERROR(check_range("classes", config.classes, 1, kMaxChannels));
  return check_range("stem_stride", config.stem_stride, 1, 2);
}

/// Appends stem, stages and classifier to a graph, keeping track of the channels.
class ResNetBuilder {
 public:
  ResNetBuilder(const ResNetConfig& config, graph::Model& model)
      : config_(config), builder_(model, "main") {}

  void build() {
    std::string value = builder_.input(
        "image", {"batch", config_.input_channels, config_.image_height, config_.image_width});
    value = stem(value);
    int64_t width = config_.width;
    for (size_t stage = 0; stage < config_.blocks.size(); ++stage, width *= 2) {
      for (int64_t i = 0; i < config_.blocks[stage]; ++i) {
        const std::string name = "layer" + std::to_string(stage + 1) + "." + std::to_string(i);
        value = block(name, value, width, stage > 0 && i == 0 ? 2 : 1);
      }
    }
    value = builder_.global_average_pool("avgpool", value);
    value = builder_.flatten("flatten", value);
    value = builder_.gemm("fc", value, channels_, config_.classes, true, !config_.keep_ends_dense);
    builder_.output(value, "logits", {"batch", config_.classes});
    builder_.finish();
  }

 private:
  std::string stem(const std::string& image) {
    const bool large = config_.stem == ResNetStem::kImageNet;
    channels_ = config_.width;
    std::string value = builder_.conv("conv1", image,
                                      {.in_channels = config_.input_channels,
                                       .out_channels = channels_,
                                       .kernel = large ? 7 : 3,
                                       .stride = large ? 2 : config_.stem_stride,
                                       .padding = large ? 3 : 1,
                                       .prunable = !config_.keep_ends_dense});
    value = builder_.batch_norm("bn1", value, channels_);
    value = builder_.relu("relu", value);
    if (large)
      value = builder_.max_pool("maxpool", value, {.kernel = 3, .stride = 2, .padding = 1});
    return value;
  }

  /// Convolution and normalisation number `index` of a block.
  std::string conv_bn(const std::string& block, int index, const std::string& value,
                      const ConvOptions& options) {
    const std::string suffix = std::to_string(index);
    const std::string conv = builder_.conv(block + ".conv" + suffix, value, options);
    return builder_.batch_norm(block + ".bn" + suffix, conv, options.out_channels);
  }

  std::string block(const std::string& name, const std::string& value, int64_t width,
                    int64_t stride) {
    const int64_t in = channels_;
    const int64_t out = config_.bottleneck ? width * kBottleneckExpansion : width;
    std::string residual;
    if (config_.bottleneck) {
      residual = conv_bn(name, 1, value, {.in_channels = in, .out_channels = width});
      residual = builder_.relu(name + ".relu1", residual);
      residual = conv_bn(name, 2, residual,
                         {.in_channels = width,
                          .out_channels = width,
                          .kernel = 3,
                          .stride = stride,
                          .padding = 1});
      residual = builder_.relu(name + ".relu2", residual);
      residual = conv_bn(name, 3, residual, {.in_channels = width, .out_channels = out});
    } else {
      residual = conv_bn(
          name, 1, value,
          {.in_channels = in, .out_channels = out, .kernel = 3, .stride = stride, .padding = 1});
      residual = builder_.relu(name + ".relu1", residual);
      residual = conv_bn(name, 2, residual,
                         {.in_channels = out, .out_channels = out, .kernel = 3, .padding = 1});
    }
    const std::string identity = shortcut(name, value, out, stride);
    channels_ = out;
    return builder_.relu(name + ".relu", builder_.add(name + ".add", residual, identity));
  }

  std::string shortcut(const std::string& block, const std::string& value, int64_t out,
                       int64_t stride) {
    if (stride == 1 && out == channels_) return value;
    const std::string name = block + ".downsample";
    if (config_.projection_shortcut) {
      const std::string conv = builder_.conv(
          name + ".0", value, {.in_channels = channels_, .out_channels = out, .stride = stride});
      return builder_.batch_norm(name + ".1", conv, out);
    }
    std::string identity = value;
    if (stride != 1) {
      identity = builder_.max_pool(name + ".0", identity, {.kernel = 1, .stride = stride});
    }
    const int64_t missing = out - channels_;
    const int64_t before = missing / 2;
    return builder_.pad(name + ".1", identity, {0, before, 0, 0, 0, missing - before, 0, 0});
  }

  const ResNetConfig& config_;
  GraphBuilder builder_;
  int64_t channels_ = 0;
};

/// ImageNet networks have four stages of width 64 and up; CIFAR's have three, from width 16.
ResNetConfig imagenet(std::string name, std::vector<int64_t> blocks, bool bottleneck) {
  ResNetConfig config;
  config.name = std::move(name);
  config.blocks = std::move(blocks);
  config.bottleneck = bottleneck;
  return config;
}

ResNetConfig small_images(ResNetConfig config) {
  config.stem = ResNetStem::kSmall;
  config.image_height = 32;
  config.image_width = 32;
  config.classes = 10;
  return config;
}

ResNetConfig cifar(std::string name, int64_t blocks_per_stage) {
  ResNetConfig config = small_images(
      imagenet(std::move(name), {blocks_per_stage, blocks_per_stage, blocks_per_stage}, false));
  config.projection_shortcut = false;
  config.width = 16;
  return config;
}

const std::vector<ResNetConfig>& architectures() {
  static const std::vector<ResNetConfig> table = {
      cifar("resnet8", 1),
      cifar("resnet20", 3),
      cifar("resnet56", 9),
      imagenet("resnet18", {2, 2, 2, 2}, false),
      imagenet("resnet50", {3, 4, 6, 3}, true),
      small_images(imagenet("resnet18-small", {2, 2, 2, 2}, false)),
      small_images(imagenet("resnet50-small", {3, 4, 6, 3}, true)),
  };
  return table;
}

}  // namespace

Result<graph::Model> resnet(const ResNetConfig& config) {
  STRATA_RETURN_IF_ERROR(check_config(config));
  graph::Model model;
  model.name = config.name;
  model.metadata["family"] = "image-classification";
  ResNetBuilder(config, model).build();
  STRATA_RETURN_IF_ERROR(graph::validate(model));
  STRATA_RETURN_IF_ERROR(graph::infer_shapes(model, model.graphs.front()).status());
  return model;
}

Result<ResNetConfig> resnet_config(const std::string& architecture) {
  std::string known;
  for (const ResNetConfig& config : architectures()) {
    if (config.name == architecture) return config;
    known += (known.empty() ? "" : ", ") + config.name;
  }
  return not_found("no architecture is named '" + architecture + "'; there are " + known);
}

std::vector<std::string> resnet_names() {
  std::vector<std::string> names;
  for (const ResNetConfig& config : architectures()) names.push_back(config.name);
  return names;
}

}  // namespace strata::models
