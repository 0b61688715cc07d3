// A small convolutional network for the tests of this folder, nested and filled at random.
#pragma once

#include "graph/builder.h"
#include "graph/graph.h"

namespace strata::sparse {

/// conv 3->4 3x3 stride 2 (kept dense) · batch norm · relu · conv 4->6 1x1 · batch norm · average ·
/// gemm 6->5 with bias. Input [batch, 3, 8, 8].
inline graph::Model small_model() {
  graph::Model model;
  model.name = "small";
  graph::GraphBuilder builder(model, "main");
  std::string x = builder.input("image", {"batch", 3, 8, 8});
  x = builder.conv("conv1", x,
                   {.in_channels = 3,
                    .out_channels = 4,
                    .kernel = 3,
                    .stride = 2,
                    .padding = 1,
                    .prunable = false});
  x = builder.batch_norm("bn1", x, 4, 1e-3F);
  x = builder.relu("relu1", x);
  x = builder.conv("conv2", x, {.in_channels = 4, .out_channels = 6});
  x = builder.batch_norm("bn2", x, 6);
  x = builder.global_average_pool("pool", x);
  x = builder.flatten("flatten", x);
  x = builder.gemm("fc", x, 6, 5);
  builder.output(x, "logits", {"batch", 5});
  builder.finish();
  return model;
}

}  // namespace strata::sparse
