// Small models around one convolution of any form, for tests of how convolutions are cut.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>

#include "graph/builder.h"
#include "graph/graph.h"

namespace strata::testing {

struct Form {
  graph::ConvOptions conv;
  int64_t height = 1, width = 1;
  bool residual = false;
};

inline int64_t output_size(const graph::ConvOptions& conv, int64_t size) {
  return (size + 2 * conv.padding - conv.dilation * (conv.kernel - 1) - 1) / conv.stride + 1;
}

/// A 1x1 convolution, so that the convolution in question reads planes that a step wrote,
/// normalised so that what lies around its pixels would not be zero by chance; then that one, then
/// a sum with itself after another 1x1.
inline graph::Model model_of(const Form& form) {
  graph::Model model;
  graph::GraphBuilder builder(model, "main");
  const graph::ConvOptions& conv = form.conv;
  std::string value = builder.input("x", {"batch", 2, form.height, form.width});
  value = builder.conv("first", value, {.in_channels = 2, .out_channels = conv.in_channels});
  value = builder.batch_norm("first_norm", value, conv.in_channels);
  value = builder.batch_norm("norm", builder.conv("conv", value, conv), conv.out_channels);
  if (form.residual) {
    value = builder.relu("relu", value);
    const std::string other = builder.conv(
        "last", value, {.in_channels = conv.out_channels, .out_channels = conv.out_channels});
    value = builder.relu("end", builder.add("add", other, value));
  }
  builder.output(
      value, "y",
      {"batch", conv.out_channels, output_size(conv, form.height), output_size(conv, form.width)});
  builder.finish();
  return model;
}

/// `pick` draws from a range, both ends included.
template <typename Pick>
Form any_form(const Pick& pick) {
  Form form;
  form.conv.group = pick(1, 3);
  form.conv.in_channels = form.conv.group * pick(1, 8);
  form.conv.out_channels = form.conv.group * pick(1, 3);
  form.conv.kernel = pick(1, 5);
  form.conv.stride = pick(1, 3);
  form.conv.dilation = pick(1, 3);
  form.conv.padding = pick(0, 4);
  const int64_t reach = form.conv.dilation * (form.conv.kernel - 1) + 1;
  const int64_t least = std::max<int64_t>(1, reach - 2 * form.conv.padding);
  form.height = pick(least, 40);
  form.width = pick(least, 70);
  form.residual = pick(0, 1) == 1;
  return form;
}

}  // namespace strata::testing
