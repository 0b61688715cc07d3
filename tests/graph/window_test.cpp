// Output sizes of convolution and pooling against a count of the window positions, one by one.
#include "graph/window.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "one_node.h"

namespace strata::graph {
namespace {

struct Axis {
  int64_t size, kernel, stride, dilation, begin, end;
  bool ceil;
};

int64_t small(int64_t least, int64_t most) { return *rc::gen::inRange<int64_t>(least, most + 1); }

Axis any_axis(bool pooling) {
  Axis axis{};
  axis.size = small(1, 40);
  axis.kernel = small(1, 7);
  axis.stride = small(1, 5);
  axis.dilation = pooling ? 1 : small(1, 4);
  axis.begin = small(0, pooling ? axis.kernel - 1 : 8);
  axis.end = small(0, pooling ? axis.kernel - 1 : 8);
  axis.ceil = pooling && small(0, 1) == 1;
  return axis;
}

/// Slides the window over the padded axis; 0 if not even the first position fits.
int64_t count_positions(const Axis& axis) {
  const int64_t padded = axis.begin + axis.size + axis.end;
  const int64_t reach = axis.dilation * (axis.kernel - 1);
  int64_t count = 0;
  for (int64_t start = 0; start + reach < padded; start += axis.stride) ++count;
  if (count == 0 || !axis.ceil) return count;
  const int64_t last_seen = (count - 1) * axis.stride + reach;
  const bool something_unseen = last_seen < padded - 1;
  const bool starts_inside = count * axis.stride < axis.begin + axis.size;
  return something_unseen && starts_inside ? count + 1 : count;
}

std::string expected(const Axis& height, const Axis& width, int64_t channels) {
  return to_string(Shape{2, channels, count_positions(height), count_positions(width)});
}

Attributes window_attributes(const Axis& h, const Axis& w) {
  return {{"strides", Ints{h.stride, w.stride}}, {"pads", Ints{h.begin, w.begin, h.end, w.end}}};
}

RC_GTEST_PROP(Window, ConvolutionHasOneOutputPerPosition, ()) {
  const Axis h = any_axis(false);
  const Axis w = any_axis(false);
  const int64_t group = small(1, 3);
  const int64_t in = small(1, 3);
  const int64_t out = small(1, 3) * group;
  Attributes attributes = window_attributes(h, w);
  attributes["dilations"] = Ints{h.dilation, w.dilation};
  attributes["group"] = group;
  const std::string result = inferred(
      "Conv",
      {Shape{2, in * group, h.size, w.size}, Shape{out, in, h.kernel, w.kernel}, Shape{out}},
      attributes);
  if (count_positions(h) == 0 || count_positions(w) == 0) {
    RC_ASSERT(result.find("too small for a window of") != std::string::npos);
  } else {
    RC_ASSERT(result == expected(h, w, out));
  }
}

RC_GTEST_PROP(Window, PoolingHasOneOutputPerPosition, ()) {
  const Axis h = any_axis(true);
  Axis w = any_axis(true);
  w.ceil = h.ceil;
  Attributes attributes = window_attributes(h, w);
  attributes["kernel_shape"] = Ints{h.kernel, w.kernel};
  attributes["ceil_mode"] = int64_t{h.ceil};
  const std::string op = *rc::gen::element<std::string>("MaxPool", "AveragePool");
  const std::string result = inferred(op, {Shape{2, 5, h.size, w.size}}, attributes);
  if (count_positions(h) == 0 || count_positions(w) == 0) {
    RC_ASSERT(result.find("too small for a window of") != std::string::npos);
  } else {
    RC_ASSERT(result == expected(h, w, 5));
  }
}

RC_GTEST_PROP(Window, EveryPoolingWindowSeesTheInput, ()) {
  const Axis axis = any_axis(true);
  Node node{"n", "MaxPool", "", {}, {}, {}};
  node.attributes = {{"strides", Ints{axis.stride}},
                     {"pads", Ints{axis.begin, axis.end}},
                     {"ceil_mode", int64_t{axis.ceil}}};
  const Result<Window> window = read_window(node, {axis.kernel});
  RC_ASSERT(window.ok());
  const Result<int64_t> positions = window_positions(*window, 0, axis.size);
  RC_PRE(positions.ok());
  for (int64_t i = 0; i < *positions; ++i) {
    const int64_t start = i * axis.stride - axis.begin;
    RC_ASSERT(start < axis.size);
    RC_ASSERT(start + axis.kernel > 0);
  }
}

TEST(Window, KnownSizes) {
  const auto conv = [](int64_t size, int64_t kernel, int64_t stride, int64_t pad) {
    return inferred("Conv", {Shape{1, 1, size, size}, Shape{1, 1, kernel, kernel}},
                    {{"strides", Ints{stride, stride}}, {"pads", Ints{pad, pad, pad, pad}}});
  };
  EXPECT_EQ(conv(224, 7, 2, 3), "[1,1,112,112]");
  EXPECT_EQ(conv(32, 3, 1, 1), "[1,1,32,32]");
  EXPECT_EQ(conv(33, 3, 2, 1), "[1,1,17,17]");
  EXPECT_EQ(conv(1, 1, 2, 0), "[1,1,1,1]");
}

TEST(Window, CeilModeIgnoresAWindowThatWouldStartInThePaddingBehind) {
  const auto pool = [](int64_t ceil) {
    return inferred("MaxPool", {Shape{1, 1, 4}},
                    {{"kernel_shape", Ints{2}},
                     {"strides", Ints{3}},
                     {"pads", Ints{1, 1}},
                     {"ceil_mode", ceil}});
  };
  EXPECT_EQ(pool(0), "[1,1,2]");
  EXPECT_EQ(pool(1), "[1,1,2]");
  EXPECT_EQ(inferred("MaxPool", {Shape{1, 1, 6}},
                     {{"kernel_shape", Ints{3}}, {"strides", Ints{2}}, {"ceil_mode", int64_t{1}}}),
            "[1,1,3]");
}

TEST(Window, OneAndThreeSpatialAxes) {
  EXPECT_EQ(inferred("Conv", {Shape{1, 2, 10}, Shape{4, 2, 3}}), "[1,4,8]");
  EXPECT_EQ(inferred("Conv", {Shape{1, 2, 10, 9, 8}, Shape{4, 2, 3, 2, 1}}), "[1,4,8,8,8]");
}

}  // namespace
}  // namespace strata::graph
