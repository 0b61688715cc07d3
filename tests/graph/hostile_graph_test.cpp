// Graphs that came from a damaged or hostile file: any attribute, shape or name may hold anything.
// Each must end in a Status, within 64 bits; the sanitizer builds watch over this test.
#include <limits>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "graph/operators.h"
#include "one_node.h"

namespace strata::graph {
namespace {

constexpr int64_t kMin = std::numeric_limits<int64_t>::min();
constexpr int64_t kMax = std::numeric_limits<int64_t>::max();

int64_t nasty_int() {
  static const Ints extremes = {
      kMin,         kMin + 1,        -1, 0, 1, kMax - 1, kMax, kMaxDimension, kMaxDimension + 1,
      kMaxElements, int64_t{1} << 32};
  return *rc::gen::oneOf(rc::gen::inRange<int64_t>(-3, 9), rc::gen::arbitrary<int64_t>(),
                         rc::gen::elementOf(extremes));
}

/// Mostly plausible, so that the checks behind the first one are reached as well.
int64_t mixed_int() { return *rc::gen::inRange(0, 3) != 0 ? *rc::gen::inRange(1, 5) : nasty_int(); }

Ints mixed_ints() {
  Ints values(*rc::gen::inRange<size_t>(0, 7));
  for (int64_t& value : values) value = mixed_int();
  return values;
}

Attribute any_attribute() {
  switch (*rc::gen::inRange(0, 8)) {
    case 0:
      return *rc::gen::element(0.0F, -1.0F, std::numeric_limits<float>::quiet_NaN(),
                               std::numeric_limits<float>::infinity());
    case 1:
      return *rc::gen::element<std::string>("", "NOTSET", "SAME_LOWER", "constant", "edge");
    case 2:
      return std::vector<float>(2, 1.0F);
    case 3:
    case 4:
      return mixed_int();
    default:
      return mixed_ints();
  }
}

Shape any_shape() {
  Shape shape;
  const auto rank = *rc::gen::inRange(0, 6);
  for (int i = 0; i < rank; ++i) {
    switch (*rc::gen::inRange(0, 6)) {
      case 0:
        shape.emplace_back("batch");
        break;
      case 1:
        shape.emplace_back();
        break;
      default:
        shape.emplace_back(mixed_int());
    }
  }
  return shape;
}

const std::vector<std::string>& operator_names() {
  static const std::vector<std::string> names = {"Add",
                                                 "AveragePool",
                                                 "BatchNormalization",
                                                 "Concat",
                                                 "Conv",
                                                 "Flatten",
                                                 "Gemm",
                                                 "GlobalAveragePool",
                                                 "Identity",
                                                 "MatMul",
                                                 "MaxPool",
                                                 "Pad",
                                                 "Relu",
                                                 "Softmax"};
  return names;
}

void check_table(const ValueTable& table) {
  for (const auto& [name, value] : table) {
    RC_ASSERT(element_count(value.shape).ok());
    for (const Dim& dim : value.shape) RC_ASSERT(dim.value() >= -1);
  }
}

RC_GTEST_PROP(HostileGraph, AnyNodeEndsInAStatus, ()) {
  const std::string op = *rc::gen::elementOf(operator_names());
  std::vector<Shape> inputs(*rc::gen::inRange<size_t>(0, 6));
  for (Shape& shape : inputs) shape = any_shape();
  Attributes attributes;
  for (const AttributeRule& rule : find_operator("", op)->attributes) {
    if (*rc::gen::inRange(0, 3) != 0) attributes[std::string(rule.name)] = any_attribute();
  }
  Model model = one_node(op, inputs, attributes);
  model.graphs[0].outputs = {{"y", DataType::kFloat32, any_shape()}};
  Ints weight_shape;
  for (int i = *rc::gen::inRange(0, 6); i > 0; --i) weight_shape.push_back(mixed_int());
  model.parameters.push_back({"w", weight_shape, ParameterRole::kWeight, true});
  if (inputs.size() > 1) model.graphs[0].nodes[0].inputs[*rc::gen::inRange<size_t>(0, 2)] = "w";

  const bool valid = validate(model).ok();
  const Bindings bindings = {{"batch", mixed_int()}};
  const Result<ValueTable> table = infer_shapes(model, model.graphs[0], bindings);
  if (table.ok()) check_table(*table);
  const Result<std::vector<NodeCost>> costs = count_macs(model, model.graphs[0], bindings);
  if (costs.ok()) {
    for (const NodeCost& cost : *costs) RC_ASSERT(cost.dense_macs >= 0);
  }
  RC_CLASSIFY(valid && table.ok(), "accepted");
}

/// A convolution and a pooling whose ranks fit, so that only the values are hostile.
RC_GTEST_PROP(HostileGraph, AnyWindowEndsInAStatus, ()) {
  const auto ints = [](size_t count) {
    Ints values(count);
    for (int64_t& value : values) value = mixed_int();
    return values;
  };
  const Shape input = {mixed_int(), mixed_int(), mixed_int(), mixed_int()};
  const Shape weight = {mixed_int(), mixed_int(), mixed_int(), mixed_int()};
  Attributes window = {{"strides", ints(2)}, {"pads", ints(4)}};
  Attributes conv = window;
  conv["dilations"] = ints(2);
  conv["group"] = mixed_int();
  Attributes pool = window;
  pool["kernel_shape"] = ints(2);
  pool["ceil_mode"] = int64_t{1};
  for (const Model& model :
       {one_node("Conv", {input, weight}, conv), one_node("MaxPool", {input}, pool)}) {
    const Result<ValueTable> table = infer_shapes(model, model.graphs[0]);
    if (table.ok()) check_table(*table);
  }
}

TEST(HostileGraph, HugeAndImpossibleValuesAreNamed) {
  const std::vector<Shape> conv = {Shape{1, 3, 8, 8}, Shape{4, 3, 3, 3}};
  const std::string where = "graph 'main': node 'n' (Conv): ";
  EXPECT_EQ(inferred("Conv", conv, {{"strides", Ints{0, 1}}}),
            where + "attribute 'strides' holds 0, allowed are 1 to 2147483647");
  EXPECT_EQ(inferred("Conv", conv, {{"strides", Ints{1}}}),
            where + "attribute 'strides' has 1 values, expected 2");
  EXPECT_EQ(inferred("Conv", conv, {{"pads", Ints{0, 0, 0, -1}}}),
            where + "attribute 'pads' holds -1, allowed are 0 to 2147483647");
  EXPECT_EQ(inferred("Conv", conv, {{"dilations", Ints{kMax, 1}}}),
            where + "attribute 'dilations' holds 9223372036854775807, allowed are 1 to 2147483647");
  EXPECT_EQ(inferred("Conv", conv, {{"group", int64_t{0}}}),
            where + "attribute 'group' is 0, it must be at least 1");
  EXPECT_EQ(inferred("Relu", {Shape{kMax}}),
            "graph 'main': input 'i0': shape [9223372036854775807] is too large");
  EXPECT_EQ(inferred("Pad", {Shape{kMaxDimension}}, {{"pads", Ints{1, 1}}}),
            "graph 'main': node 'n' (Pad): shape [2147483649] is too large");
  EXPECT_EQ(
      inferred("MaxPool", {Shape{1, 1, 4}}, {{"kernel_shape", Ints{2}}, {"pads", Ints{2, 0}}}),
      "graph 'main': node 'n' (MaxPool): the padding of axis 0 must be smaller than the "
      "kernel, or a window sees nothing");
}

TEST(HostileGraph, BindingsAreChecked) {
  const std::vector<Shape> inputs = {Shape{"batch", 3}};
  EXPECT_EQ(inferred("Relu", inputs, {}, {{"batch", -1}}),
            "graph 'main': symbol 'batch' is bound to -1, allowed are 0 to 2147483647");
  EXPECT_EQ(inferred("Relu", inputs, {}, {{"batch", kMax}}),
            "graph 'main': symbol 'batch' is bound to 9223372036854775807, allowed are 0 to "
            "2147483647");
}

TEST(HostileGraph, AnUndefinedInputIsRefusedWithoutValidate) {
  Model model = one_node("Relu", {Shape{2}});
  model.graphs[0].nodes[0].inputs[0] = "ghost";
  EXPECT_EQ(inferred(model),
            "graph 'main': node 'n' (Relu): its input 'ghost' is not defined before it");
}

}  // namespace
}  // namespace strata::graph
