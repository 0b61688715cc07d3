// See onnx_graph_attention.h. docs/graph-attention.md has the semantics of what is rewritten here.
#include "interop/onnx_graph_attention.h"

#include <cstdint>
#include <limits>
#include <map>
#include <span>
#include <utility>

namespace strata::interop {
namespace {

using graph::Node;
using Ints = std::vector<int64_t>;
using Attributes = std::map<std::string, graph::Attribute, std::less<>>;

class Rewriter {
 public:
  Rewriter(const graph::ValueTable& shapes, std::set<std::string>& names)
      : shapes_(shapes), names_(names) {}

  Status rewrite(const Node& node);
  Result<RewrittenGraph> finish(const graph::Graph& graph) && {
    rewritten_.graph.name = graph.name;
    rewritten_.graph.inputs = graph.inputs;
    rewritten_.graph.outputs = graph.outputs;
    return std::move(rewritten_);
  }

 private:
  /// A sparse matrix in compressed rows, every row padded to the longest one.
  struct PaddedRows {
    std::string entries;  ///< int64 [rows, longest], the number of each entry; 0 where padded
    std::string present;  ///< bool [rows, longest], false where padded
    std::string columns;  ///< int32 [rows, longest]
  };
  const PaddedRows& padded_rows(const std::string& begins, const std::string& columns);

  void sparse_product(const Node& node);
  Status head_scores(const Node& node);
  Status edge_softmax(const Node& node);
  Status edge_sum(const Node& node);

  /// The size of `value` along `axis`. Errors: it is not known.
  [[nodiscard]] Result<int64_t> size(const std::string& value, size_t axis) const;
  std::string unused(std::string name);
  std::string integers(const Ints& values, const Ints& shape);
  std::string number(float value);
  /// Adds a node that makes one value; its name, unless `output` says which.
  std::string add(const std::string& op_type, std::vector<std::string> inputs,
                  Attributes attributes = {}, const std::string& output = {});
  std::string unsqueeze(const std::string& value, int64_t axis) {
    return add("Unsqueeze", {value, integers({axis}, {1})});
  }

  const graph::ValueTable& shapes_;
  std::set<std::string>& names_;
  std::string prefix_;  ///< of what is added now: the node that it stands for
  std::map<std::pair<std::string, std::string>, PaddedRows> rows_;
  std::map<std::pair<Ints, Ints>, std::string> integers_;
  std::map<float, std::string> numbers_;
  RewrittenGraph rewritten_;
};

Result<int64_t> Rewriter::size(const std::string& value, size_t axis) const {
  const graph::Dim& dim = shapes_.find(value)->second.shape.at(axis);
  if (dim.known()) return dim.value();
  return unsupported("the size of '" + value + "' along axis " + std::to_string(axis) +
                     " is not known");
}

std::string Rewriter::unused(std::string name) {
  while (!names_.insert(name).second) name += '_';
  return name;
}

std::string Rewriter::integers(const Ints& values, const Ints& shape) {
  std::string& name = integers_[{values, shape}];
  if (name.empty()) {
    name = unused(prefix_ + ".integers");
    rewritten_.constants.push_back(graph::make_constant(name, shape, values));
  }
  return name;
}

std::string Rewriter::number(float value) {
  std::string& name = numbers_[value];
  if (name.empty()) {
    name = unused(prefix_ + ".number");
    rewritten_.constants.push_back(graph::make_constant(name, {}, std::span(&value, 1)));
  }
  return name;
}

std::string Rewriter::add(const std::string& op_type, std::vector<std::string> inputs,
                          Attributes attributes, const std::string& output) {
  const std::string name = unused(prefix_ + "." + op_type);
  std::string made = output.empty() ? name : output;
  rewritten_.graph.nodes.push_back(
      {name, op_type, "", std::move(inputs), {made}, std::move(attributes)});
  return made;
}

const Rewriter::PaddedRows& Rewriter::padded_rows(const std::string& begins,
                                                  const std::string& columns) {
  PaddedRows& rows = rows_[{begins, columns}];
  if (!rows.entries.empty()) return rows;
  const std::string all =
      add("Cast", {begins}, {{"to", static_cast<int64_t>(graph::DataType::kInt64)}});
  const std::string axis = integers({0}, {1});
  const std::string one = integers({1}, {1});
  const std::string first = add("Slice", {all, integers({0}, {1}), integers({-1}, {1}), axis});
  const std::string end = integers({std::numeric_limits<int64_t>::max()}, {1});
  const std::string past = add("Slice", {all, one, end, axis});
  const std::string count = add("Sub", {past, first});
  const std::string longest = add("ReduceMax", {count}, {{"keepdims", int64_t{0}}});
  const std::string zero = integers({0}, {});
  const std::string place = unsqueeze(add("Range", {zero, longest, integers({1}, {})}), 0);
  rows.present = add("Less", {place, unsqueeze(count, 1)});
  const std::string entry = add("Add", {unsqueeze(first, 1), place});
  rows.entries = add("Where", {rows.present, entry, zero});
  rows.columns = add("Gather", {columns, rows.entries}, {{"axis", int64_t{0}}});
  return rows;
}

void Rewriter::sparse_product(const Node& node) {
  const PaddedRows rows = padded_rows(node.inputs[0], node.inputs[1]);
  const std::string entries = add("Gather", {node.inputs[2], rows.entries}, {{"axis", int64_t{0}}});
  const std::string values = add("Where", {rows.present, entries, number(0)});
  const std::string weights = add("Gather", {node.inputs[3], rows.columns}, {{"axis", int64_t{0}}});
  const std::string products = add("MatMul", {unsqueeze(values, 1), weights});
  add("Squeeze", {products, integers({1}, {1})}, {}, node.outputs[0]);
}

Status Rewriter::head_scores(const Node& node) {
  STRATA_ASSIGN_OR_RETURN(const int64_t heads, size(node.inputs[1], 0));
  STRATA_ASSIGN_OR_RETURN(const int64_t width, size(node.inputs[1], 1));
  const std::string x = add("Reshape", {node.inputs[0], integers({-1, heads, width}, {3})});
  const std::string products = add("Mul", {x, node.inputs[1]});
  add("ReduceSum", {products}, {{"axes", Ints{2}}, {"keepdims", int64_t{0}}}, node.outputs[0]);
  return {};
}

Status Rewriter::edge_softmax(const Node& node) {
  STRATA_ASSIGN_OR_RETURN(const int64_t heads, size(node.inputs[2], 1));
  const PaddedRows rows = padded_rows(node.inputs[0], node.inputs[1]);
  const std::string sources = add("Gather", {node.inputs[3], rows.columns}, {{"axis", int64_t{0}}});
  const std::string sums = add("Add", {unsqueeze(node.inputs[2], 1), sources});
  const std::string scores =
      add("LeakyRelu", {sums}, {{"alpha", node.attribute_float("negative_slope", 0.2F)}});
  const std::string lowest = number(std::numeric_limits<float>::lowest());
  const std::string kept = add("Where", {unsqueeze(rows.present, 2), scores, lowest});
  const std::string shares = add("Softmax", {kept}, {{"axis", int64_t{1}}});
  // Without the padding, rows lie one after the other, as the edges do.
  const std::string flat = add("Reshape", {shares, integers({-1, heads}, {2})});
  const std::string present = add("Reshape", {rows.present, integers({-1}, {1})});
  add("Compress", {flat, present}, {{"axis", int64_t{0}}}, node.outputs[0]);
  return {};
}

Status Rewriter::edge_sum(const Node& node) {
  STRATA_ASSIGN_OR_RETURN(const int64_t heads, size(node.inputs[2], 1));
  STRATA_ASSIGN_OR_RETURN(const int64_t width, size(node.inputs[3], 1));
  const bool mean = node.attribute_int("mean_of_heads", 0) != 0;
  const PaddedRows rows = padded_rows(node.inputs[0], node.inputs[1]);
  const std::string shares = add("Gather", {node.inputs[2], rows.entries}, {{"axis", int64_t{0}}});
  const std::string kept = add("Where", {unsqueeze(rows.present, 2), shares, number(0)});
  const std::string sources = add("Gather", {node.inputs[3], rows.columns}, {{"axis", int64_t{0}}});
  const std::string by_head =
      add("Reshape", {sources, integers({0, 0, heads, width / heads}, {4})});
  const std::string parts = add("Mul", {by_head, unsqueeze(kept, 3)});
  const std::string sums = add("ReduceSum", {parts}, {{"axes", Ints{1}}, {"keepdims", int64_t{0}}});
  if (mean) {
    add("ReduceMean", {sums}, {{"axes", Ints{1}}, {"keepdims", int64_t{0}}}, node.outputs[0]);
  } else {
    add("Reshape", {sums, integers({-1, width}, {2})}, {}, node.outputs[0]);
  }
  return {};
}

Status Rewriter::rewrite(const Node& node) {
  prefix_ = node.name;
  const std::string op = node.domain == graph::kStrataDomain ? node.op_type : "";
  if (op == "HeadScores") return head_scores(node);
  if (op == "EdgeSoftmax") return edge_softmax(node);
  if (op == "EdgeSum") return edge_sum(node);
  if (op == "SparseProduct") {
    sparse_product(node);
  } else {
    rewritten_.graph.nodes.push_back(node);
  }
  return {};
}

}  // namespace

Result<RewrittenGraph> rewrite_graph_attention(const graph::Model& model, const graph::Graph& graph,
                                               std::set<std::string>& names) {
  STRATA_ASSIGN_OR_RETURN(const graph::ValueTable shapes, graph::infer_shapes(model, graph));
  Rewriter rewriter(shapes, names);
  for (const Node& node : graph.nodes) {
    if (const Status status = rewriter.rewrite(node); !status.ok()) return status;
  }
  return std::move(rewriter).finish(graph);
}

}  // namespace strata::interop
