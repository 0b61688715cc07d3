// Residual networks (He et al. 2016; the v1.5 bottleneck with the stride on the 3x3) as graphs.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/status.h"
#include "graph/graph.h"

namespace strata::models {

enum class ResNetStem : uint8_t {
  kImageNet,  ///< 7x7 stride 2, then 3x3 max-pool stride 2
  kSmall,     ///< one 3x3, for small images
};

struct ResNetConfig {
  std::string name;                 ///< of the model
  std::vector<int64_t> blocks;      ///< residual blocks per stage
  bool bottleneck = false;          ///< 1x1, 3x3, 1x1 with expansion 4; else two 3x3
  bool projection_shortcut = true;  ///< 1x1 convolution where the shape changes (option B); else
                                    ///< strided sub-sampling and zero channels (option A, CIFAR)
  ResNetStem stem = ResNetStem::kImageNet;
  int64_t width = 64;  ///< channels of the first stage
  int64_t input_channels = 3;
  int64_t image_height = 224;
  int64_t image_width = 224;
  int64_t classes = 1000;
  int64_t stem_stride = 1;       ///< of the kSmall stem: 2 halves a small image at once
  bool keep_ends_dense = false;  ///< the first convolution and the classifier are not prunable
};

/// One graph "main": input "image" [batch, C, H, W], output "logits" [batch, classes].
Result<graph::Model> resnet(const ResNetConfig& config);

/// The configuration of a named architecture: resnet20, resnet56 (CIFAR, 3x32x32, 10 classes),
/// resnet18, resnet50 (ImageNet), resnet18-small, resnet50-small (3x3 stem, 3x32x32, 10 classes),
/// and resnet8 (CIFAR family with one block per stage). Errors: an unknown name; the message lists
/// those that exist.
Result<ResNetConfig> resnet_config(const std::string& architecture);

/// Names that resnet_config() knows.
std::vector<std::string> resnet_names();

}  // namespace strata::models
