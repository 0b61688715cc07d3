#include "interop/onnx_point_sets.h"

#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

namespace strata::interop {
namespace {

using onnx::TensorProto;
using Ints = std::vector<int64_t>;
using Names = std::vector<std::string>;

/// No index: larger than all, yet an index that a cast to int32 keeps.
constexpr int64_t kNoPoint = std::numeric_limits<int32_t>::max();

struct Attribute {
  const char* name;
  Ints values;
  bool list = false;
};

/// Appends nodes to a graph. Constants become initialisers of `root`, which the body of a loop sees
/// too.
class NodeWriter {
 public:
  NodeWriter(onnx::GraphProto& root, onnx::GraphProto& graph, std::string prefix,
             std::set<std::string>& names)
      : root_(root), graph_(graph), prefix_(std::move(prefix)), names_(names) {}

  [[nodiscard]] NodeWriter inside(onnx::GraphProto& body) const {
    return {root_, body, prefix_, names_};
  }

  std::string name(const std::string& what) {
    std::string result = prefix_ + "." + what;
    for (int number = 2; !names_.insert(result).second; ++number) {
      result = prefix_ + "." + what + std::to_string(number);
    }
    return result;
  }

  onnx::NodeProto& add(const char* op, const Names& inputs, const Names& outputs,
                       const std::vector<Attribute>& attributes = {}) {
    onnx::NodeProto& node = *graph_.add_node();
    node.set_name(name(op));
    node.set_op_type(op);
    for (const std::string& input : inputs) node.add_input(input);
    for (const std::string& output : outputs) node.add_output(output);
    for (const Attribute& attribute : attributes) {
      onnx::AttributeProto& proto = *node.add_attribute();
      proto.set_name(attribute.name);
      proto.set_type(attribute.list ? onnx::AttributeProto::INTS : onnx::AttributeProto::INT);
      if (!attribute.list) proto.set_i(attribute.values.front());
      for (const int64_t value : attribute.list ? attribute.values : Ints{}) proto.add_ints(value);
    }
    return node;
  }

  /// The same for a value in between, whose name is returned.
  std::string make(const char* op, const Names& inputs,
                   const std::vector<Attribute>& attributes = {}) {
    std::string output = name(std::string(op) + ".value");
    add(op, inputs, {output}, attributes);
    return output;
  }

  std::string list(const Ints& values) {
    return constant(TensorProto::INT64, {static_cast<int64_t>(values.size())}, values.data(),
                    values.size() * sizeof(int64_t));
  }
  std::string number(int64_t value) {
    return constant(TensorProto::INT64, {}, &value, sizeof(value));
  }
  std::string number(float value) {
    return constant(TensorProto::FLOAT, {}, &value, sizeof(value));
  }

  std::string cast(const std::string& value, TensorProto::DataType type) {
    return make("Cast", {value}, {{"to", {type}}});
  }
  std::string transpose(const std::string& value, const Ints& order) {
    return make("Transpose", {value}, {{"perm", order, true}});
  }
  /// Three values, one per coordinate, each with a dimension of 1 there.
  Names coordinates(const std::string& points, int64_t axis) {
    Names parts = {name("x"), name("y"), name("z")};
    add("Split", {points}, parts, {{"axis", {axis}}});
    return parts;
  }
  /// (dx * dx + dy * dy) + dz * dz, as our kernels round it.
  std::string squared_distance(const Names& a, const Names& b) {
    Names squares;
    for (size_t axis = 0; axis < a.size(); ++axis) {
      const std::string difference = make("Sub", {a[axis], b[axis]});
      squares.push_back(make("Mul", {difference, difference}));
    }
    return make("Add", {make("Add", {squares[0], squares[1]}), squares[2]});
  }
  /// Of values [batch, points, width] those that int32 `indices` [batch, ...] name.
  std::string gather(const std::string& values, const std::string& indices, int64_t rank) {
    const std::string where = make("Unsqueeze", {cast(indices, TensorProto::INT64), list({rank})});
    return make("GatherND", {values, where}, {{"batch_dims", {1}}});
  }

 private:
  std::string constant(TensorProto::DataType type, const Ints& shape, const void* data,
                       size_t bytes) {
    TensorProto& tensor = *root_.add_initializer();
    tensor.set_name(name("constant"));
    tensor.set_data_type(type);
    for (const int64_t size : shape) tensor.add_dims(size);
    tensor.set_raw_data(data, bytes);
    return tensor.name();
  }

  onnx::GraphProto& root_;
  onnx::GraphProto& graph_;
  std::string prefix_;
  std::set<std::string>& names_;
};

/// A number, or a tensor of three dimensions.
void declare(onnx::ValueInfoProto& value, const std::string& name, TensorProto::DataType type,
             bool is_number = false) {
  value.set_name(name);
  onnx::TypeProto::Tensor& tensor = *value.mutable_type()->mutable_tensor_type();
  tensor.set_elem_type(type);
  onnx::TensorShapeProto& shape = *tensor.mutable_shape();
  for (int axis = 0; axis < (is_number ? 0 : 3); ++axis) shape.add_dim();
}

/// One turn: `chosen` [batch, 1, 1] is noted, `distances` [batch, points, 1] become those to the
/// nearest of all chosen so far, and the farthest point is chosen next.
onnx::GraphProto sampling_turn(const graph::Node& node, const Names& points, NodeWriter& outer) {
  onnx::GraphProto body;
  body.set_name(node.name + ".turn");
  NodeWriter writer = outer.inside(body);
  const std::string turn = writer.name("turn");
  const std::string go_on = writer.name("go_on");
  const std::string distances = writer.name("distances");
  const std::string chosen = writer.name("chosen");
  declare(*body.add_input(), turn, TensorProto::INT64, true);
  declare(*body.add_input(), go_on, TensorProto::BOOL, true);
  declare(*body.add_input(), distances, TensorProto::FLOAT);
  declare(*body.add_input(), chosen, TensorProto::INT64);

  const std::string still_on = writer.make("Identity", {go_on});
  const std::string here = writer.make("GatherND", {node.inputs[0], chosen}, {{"batch_dims", {1}}});
  const Names centre = writer.coordinates(here, 2);
  const std::string distance = writer.squared_distance(points, centre);
  const std::string nearest = writer.make("Min", {distances, distance});
  const std::string farthest = writer.make("ArgMax", {nearest}, {{"axis", {1}}, {"keepdims", {1}}});
  const std::string noted = writer.make("Identity", {chosen});
  declare(*body.add_output(), still_on, TensorProto::BOOL, true);
  declare(*body.add_output(), nearest, TensorProto::FLOAT);
  declare(*body.add_output(), farthest, TensorProto::INT64);
  declare(*body.add_output(), noted, TensorProto::INT64);
  return body;
}

/// A tensor of the shape of another, filled with one value.
template <typename Set>
std::string filled_like(const std::string& other, TensorProto::DataType type, NodeWriter& writer,
                        const Set& set) {
  const std::string shape = writer.make("Shape", {other});
  std::string output = writer.name("filled");
  onnx::AttributeProto& value = *writer.add("ConstantOfShape", {shape}, {output}).add_attribute();
  value.set_name("value");
  value.set_type(onnx::AttributeProto::TENSOR);
  value.mutable_t()->set_data_type(type);
  value.mutable_t()->add_dims(1);
  set(*value.mutable_t());
  return output;
}

void add_farthest_point_sampling(const graph::Node& node, NodeWriter& writer) {
  const Names points = writer.coordinates(node.inputs[0], 2);
  const std::string far = filled_like(
      points[0], TensorProto::FLOAT, writer,
      [](TensorProto& tensor) { tensor.add_float_data(std::numeric_limits<float>::max()); });
  const std::string one_of_each =
      writer.make("Slice", {points[0], writer.list({0}), writer.list({1}), writer.list({1})});
  const std::string first = filled_like(one_of_each, TensorProto::INT64, writer,
                                        [](TensorProto& tensor) { tensor.add_int64_data(0); });

  onnx::GraphProto body = sampling_turn(node, points, writer);
  const std::string all = writer.name("chosen");
  onnx::NodeProto& loop =
      writer.add("Loop", {writer.number(node.attribute_int("count", 1)), "", far, first},
                 {writer.name("distances"), writer.name("next"), all});
  onnx::AttributeProto& attribute = *loop.add_attribute();
  attribute.set_name("body");
  attribute.set_type(onnx::AttributeProto::GRAPH);
  *attribute.mutable_g() = std::move(body);
  const std::string flat = writer.make("Squeeze", {all, writer.list({2, 3})});
  writer.add("Cast", {writer.transpose(flat, {1, 0})}, {node.outputs[0]},
             {{"to", {TensorProto::INT32}}});
}

void add_ball_query(const graph::Node& node, NodeWriter& writer) {
  const std::string& centres = node.inputs[0];
  const std::string& points = node.inputs[1];
  const int64_t count = node.attribute_int("count", 1);
  const float radius = node.attribute_float("radius", 0);
  const Names rows = writer.coordinates(writer.transpose(points, {0, 2, 1}), 1);
  const Names columns = writer.coordinates(centres, 2);
  const std::string distance = writer.squared_distance(rows, columns);
  const std::string inside = writer.make("Less", {distance, writer.number(radius * radius)});
  const std::string size =
      writer.make("Gather", {writer.make("Shape", {points}), writer.number(int64_t{1})});
  const std::string indices =
      writer.make("Range", {writer.number(int64_t{0}), size, writer.number(int64_t{1})});
  const std::string none = writer.number(kNoPoint);
  // There may be fewer points than are asked for.
  const std::string candidates = writer.make("Pad", {writer.make("Where", {inside, indices, none}),
                                                     writer.list({0, 0, 0, 0, 0, count}), none});
  const std::string found = writer.name("found");
  writer.add("TopK", {candidates, writer.list({count})}, {found, writer.name("places")},
             {{"axis", {2}}, {"largest", {0}}, {"sorted", {1}}});
  const std::string first =
      writer.make("Slice", {found, writer.list({0}), writer.list({1}), writer.list({2})});
  const std::string filled =
      writer.make("Where", {writer.make("Less", {found, none}), found, first});
  const std::string known = writer.make(
      "Where", {writer.make("Less", {filled, none}), filled, writer.number(int64_t{0})});
  writer.add("Cast", {known}, {node.outputs[0]}, {{"to", {TensorProto::INT32}}});
}

void add_group_points(const graph::Node& node, NodeWriter& writer) {
  const Ints channels_first = {0, 3, 2, 1};
  const std::string& indices = node.inputs[2];
  const std::string centres = writer.make("Unsqueeze", {node.inputs[0], writer.list({2})});
  const std::string positions = writer.transpose(
      writer.make("Sub", {writer.gather(node.inputs[1], indices, 3), centres}), channels_first);
  if (node.inputs.size() < 4 || node.inputs[3].empty()) {
    writer.add("Identity", {positions}, {node.outputs[0]});
    return;
  }
  const std::string rows = writer.make("Reshape", {node.inputs[3], writer.list({0, 0, -1})});
  const std::string features = writer.transpose(
      writer.gather(writer.transpose(rows, {0, 2, 1}), indices, 3), channels_first);
  writer.add("Concat", {positions, features}, {node.outputs[0]}, {{"axis", {1}}});
}

}  // namespace

bool add_point_set_nodes(const graph::Node& node, onnx::GraphProto& graph,
                         std::set<std::string>& names) {
  if (node.domain != graph::kStrataDomain) return false;
  NodeWriter writer(graph, graph, node.name, names);
  if (node.op_type == "FarthestPointSampling") {
    add_farthest_point_sampling(node, writer);
  } else if (node.op_type == "BallQuery") {
    add_ball_query(node, writer);
  } else if (node.op_type == "GroupPoints") {
    add_group_points(node, writer);
  } else if (node.op_type == "GatherPoints") {
    writer.add("Identity", {writer.gather(node.inputs[0], node.inputs[1], 2)}, {node.outputs[0]});
  } else {
    return false;
  }
  return true;
}

}  // namespace strata::interop
