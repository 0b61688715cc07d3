// Random graphs of everything that the runtime runs, against the naive executor: windows with any
// stride, dilation, padding and group, fused and not, at every level.
#include <algorithm>
#include <string>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "graph/builder.h"
#include "session_fixture.h"

namespace strata::testing {
namespace {

using graph::GraphBuilder;
using graph::ParameterRole;

int64_t pick(int64_t least, int64_t most) { return *rc::gen::inRange(least, most + 1); }
bool flip() { return *rc::gen::arbitrary<bool>(); }

struct Value {
  std::string name;
  int64_t channels, height, width;
};

/// Grows a graph from its input, node after node.
class RandomGraph {
 public:
  explicit RandomGraph(graph::Model& model) : builder_(model, "main") {
    Value input{"x", pick(1, 5), pick(1, 14), pick(1, 14)};
    builder_.input("x", {"batch", input.channels, input.height, input.width});
    values_.push_back(input);
    for (int64_t i = pick(1, 8); i > 0; --i) add_node();
  }

  /// Ends in a classifier, or in the image itself; sometimes with a second output on the way.
  void finish() {
    Value last = values_.back();
    if (values_.size() > 2 && flip()) {
      const Value& middle = values_[values_.size() / 2];
      builder_.output(middle.name, "middle",
                      {"batch", middle.channels, middle.height, middle.width});
      if (middle.name == last.name) return builder_.finish();
      last = values_.back();
    }
    if (flip()) {
      if (flip()) {
        last = {builder_.global_average_pool("gap", last.name), last.channels, 1, 1};
      }
      const int64_t features = last.channels * last.height * last.width;
      std::string value = builder_.flatten("flatten", last.name);
      const int64_t classes = pick(1, 9);
      value = matrix_product(value, features, classes);
      if (flip()) value = builder_.relu("last_relu", value);
      builder_.output(value, "y", {"batch", classes});
    } else if (last.name != "x") {
      builder_.output(last.name, "y", {"batch", last.channels, last.height, last.width});
    } else {
      builder_.output(builder_.relu("only", "x"), "y",
                      {"batch", last.channels, last.height, last.width});
    }
    builder_.finish();
  }

 private:
  std::string matrix_product(const std::string& value, int64_t features, int64_t classes) {
    switch (pick(0, 2)) {
      case 0:
        return builder_.gemm("fc", value, features, classes, flip(), flip());
      case 1:
        builder_.parameter("fc.weight", {features, classes}, ParameterRole::kWeight);
        return builder_.node("fc", "MatMul", {value, "fc.weight"});
      default:
        builder_.parameter("fc.weight", {features, classes}, ParameterRole::kWeight, flip());
        builder_.parameter("fc.bias", {classes}, ParameterRole::kBias);
        return builder_.node("fc", "Gemm", {value, "fc.weight", "fc.bias"},
                             {{"alpha", 0.5F}, {"beta", 2.0F}});
    }
  }

  void add_node() {
    const std::string name = "n" + std::to_string(values_.size());
    Value value =
        flip() ? values_.back()
               : values_[static_cast<size_t>(pick(0, static_cast<int64_t>(values_.size()) - 1))];
    switch (pick(0, 7)) {
      case 0:
      case 1:
      case 2:
        value = conv(name, value);
        break;
      case 3:
        value.name = builder_.relu(name, value.name);
        break;
      case 4:
        value.name = builder_.batch_norm(name, value.name, value.channels, 1e-3F);
        break;
      case 5:
        value = add(name, value);
        break;
      case 6:
        value = pool(name, value);
        break;
      default:
        value = pad(name, value);
        break;
    }
    values_.push_back(value);
  }

  /// A window along one axis that fits, and the size of its output.
  static int64_t window(int64_t size, bool dilated, bool small_pads, std::vector<int64_t>* kernel,
                        std::vector<int64_t>* stride, std::vector<int64_t>* dilation,
                        std::vector<int64_t>* begin, std::vector<int64_t>* end) {
    const int64_t k = pick(1, 4);
    const int64_t d = dilated ? pick(1, 2) : 1;
    const int64_t most = small_pads ? k - 1 : 3;
    const int64_t p = pick(0, most);
    const int64_t reach = d * (k - 1) + 1;
    const int64_t q = pick(std::min(most, std::max<int64_t>(0, reach - size - p)), most);
    if (size + p + q < reach) {  // too small an image: the window that always fits
      kernel->push_back(1), stride->push_back(1), dilation->push_back(1);
      begin->push_back(0), end->push_back(0);
      return size;
    }
    kernel->push_back(k), stride->push_back(pick(1, 3)), dilation->push_back(d);
    begin->push_back(p), end->push_back(q);
    return (size + p + q - reach) / stride->back() + 1;
  }

  Value conv(const std::string& name, const Value& in) {
    std::vector<int64_t> kernel, stride, dilation, pads, ends;
    const int64_t height =
        window(in.height, true, false, &kernel, &stride, &dilation, &pads, &ends);
    const int64_t width = window(in.width, true, false, &kernel, &stride, &dilation, &pads, &ends);
    pads.insert(pads.end(), ends.begin(), ends.end());
    const int64_t group = in.channels % 2 == 0 && flip() ? 2 : flip() ? in.channels : 1;
    const int64_t outputs = group * pick(1, 3);
    std::vector<std::string> inputs = {in.name, name + ".weight"};
    builder_.parameter(inputs[1], {outputs, in.channels / group, kernel[0], kernel[1]},
                       ParameterRole::kWeight, flip());
    if (flip()) {
      inputs.push_back(builder_.parameter(name + ".bias", {outputs}, ParameterRole::kBias));
    }
    const std::string value = builder_.node(name, "Conv", inputs,
                                            {{"kernel_shape", kernel},
                                             {"strides", stride},
                                             {"dilations", dilation},
                                             {"pads", pads},
                                             {"group", group}});
    return {value, outputs, height, width};
  }

  Value pool(const std::string& name, const Value& in) {
    std::vector<int64_t> kernel, stride, dilation, pads, ends;
    const int64_t height =
        window(in.height, false, true, &kernel, &stride, &dilation, &pads, &ends);
    const int64_t width = window(in.width, false, true, &kernel, &stride, &dilation, &pads, &ends);
    pads.insert(pads.end(), ends.begin(), ends.end());
    std::map<std::string, graph::Attribute, std::less<>> attributes = {
        {"kernel_shape", kernel}, {"strides", stride}, {"pads", pads}};
    const bool maximum = flip();
    if (!maximum && flip()) attributes["count_include_pad"] = int64_t{1};
    const std::string value =
        builder_.node(name, maximum ? "MaxPool" : "AveragePool", {in.name}, attributes);
    return {value, in.channels, height, width};
  }

  Value pad(const std::string& name, const Value& in) {
    const std::vector<int64_t> pads = {0, pick(0, 2), pick(0, 2), pick(0, 2),
                                       0, pick(0, 2), pick(0, 2), pick(0, 2)};
    return {builder_.pad(name, in.name, pads), in.channels + pads[1] + pads[5],
            in.height + pads[2] + pads[6], in.width + pads[3] + pads[7]};
  }

  /// With any value of the same size, itself if there is no other.
  Value add(const std::string& name, const Value& in) {
    std::vector<Value> fitting;
    for (const Value& value : values_) {
      if (value.channels == in.channels && value.height == in.height && value.width == in.width) {
        fitting.push_back(value);
      }
    }
    const auto other = static_cast<size_t>(pick(0, static_cast<int64_t>(fitting.size()) - 1));
    return {builder_.add(name, in.name, fitting[other].name), in.channels, in.height, in.width};
  }

  GraphBuilder builder_;
  std::vector<Value> values_;
};

RC_GTEST_PROP(Operators, RandomGraphsEqualTheNaiveExecutor, ()) {
  graph::Model model;
  RandomGraph(model).finish();
  const Status valid = graph::validate(model);
  RC_ASSERT(valid.ok());
  const auto nested = random_nested(model, {0.3, 0.7}, static_cast<uint32_t>(pick(0, 1000)));
  runtime::SessionOptions options;
  options.threads = static_cast<int>(pick(1, 2));
  options.bindings["batch"] = pick(1, 5);
  options.dense_from = *rc::gen::element(2.0, 0.5, 0.0);  // no level dense, the upper one, all
  auto session = runtime::Session::create(nested, options);
  if (!session.ok()) RC_FAIL(session.status().message());
  std::vector<uint8_t> levels((*session)->steps().size());
  for (uint8_t& level : levels) level = static_cast<uint8_t>(pick(0, 1));
  SessionData data(**session);
  const Status status = (*session)->run_route(data.input_views, data.output_views, levels);
  RC_ASSERT(status.ok());
  constexpr double kTerm = 0.03;  // products of weights and activations are mostly larger
  expect_like_naive(nested, **session, data, levels, kTerm);
  RC_ASSERT(!::testing::Test::HasFailure());
}

}  // namespace
}  // namespace strata::testing
