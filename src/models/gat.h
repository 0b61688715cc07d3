// Graph attention networks (Velickovic et al. 2018) with two layers, for graphs in compressed rows
// and sparse node features.
#pragma once

#include <cstdint>
#include <string>

#include "core/status.h"
#include "graph/graph.h"

namespace strata::models {

/// Sizes as published for Cora and Citeseer.
struct GatConfig {
  std::string name = "gat";
  int64_t features = 0;  ///< columns of the node features
  int64_t classes = 0;
  int64_t heads = 8;         ///< of the first layer, whose outputs are laid side by side
  int64_t hidden = 8;        ///< units per head
  int64_t output_heads = 1;  ///< of the second layer, whose outputs are averaged
  float dropout = 0.6F;      ///< of what a layer reads, of its projections and of its coefficients
  float negative_slope = 0.2F;
  bool prunable_output = true;  ///< whether the second projection may be pruned
};

/// One graph "main" with one output "logits" [nodes, classes]. Its inputs, matrices in compressed
/// rows, are the node features and for every node those that it listens to, which must include
/// itself if it is to hear itself:
///   feature_rows int32 [nodes+1], feature_columns int32 [entries], feature_values float [entries],
///   neighbour_rows int32 [nodes+1], neighbours int32 [edges].
/// Weights of attention (a vector per head) are not prunable: they are few, and every edge needs
/// them. Errors: a size out of range.
Result<graph::Model> gat(const GatConfig& config);

/// The configuration of a named architecture: gat, or gat-8-output-heads (as published for Pubmed).
/// Sizes of the data are left at 0. Errors: another name.
Result<GatConfig> gat_config(const std::string& name);

/// Whether gat_config() knows the name.
bool is_gat(const std::string& name);

}  // namespace strata::models
