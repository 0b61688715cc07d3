// Writes a graph node by node: names values and parameters, and fills in attributes. The model
// builders use it; it checks nothing by itself, validate() and infer_shapes() do.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "graph/graph.h"

namespace strata::graph {

/// A two-dimensional convolution with square kernel, equal strides and equal padding.
struct ConvOptions {
  int64_t in_channels = 0;
  int64_t out_channels = 0;
  int64_t kernel = 1;
  int64_t stride = 1;
  int64_t padding = 0;
  int64_t dilation = 1;
  int64_t group = 1;
  bool bias = false;
  bool prunable = true;
};

/// A two-dimensional pooling window, square like ConvOptions.
struct PoolOptions {
  int64_t kernel = 2;
  int64_t stride = 2;
  int64_t padding = 0;
  bool ceil_mode = false;
};

/// One recurrent layer. Names of values; empty ones are omitted.
struct LstmOptions {
  int64_t in_features = 0;
  int64_t hidden = 0;
  std::string direction = "forward";  ///< or "reverse", "bidirectional"
  std::string sequence_lens = {};     ///< int32 [batch]
  std::string initial_h = {};         ///< [directions, batch, hidden], as initial_c
  std::string initial_c = {};
  bool prunable = true;
};

/// What a recurrent layer makes.
struct LstmOutputs {
  std::string y;  ///< [time, directions, batch, hidden]
  std::string h;  ///< [directions, batch, hidden], after the last step of each sequence
  std::string c;
};

/// Adds one graph to a model. Every function that adds a node takes the node's name, which is also
/// the name of its output value (returned), and names parameters NODE.weight, NODE.bias, and so on.
/// The model must outlive the builder.
class GraphBuilder {
 public:
  GraphBuilder(Model& model, std::string graph_name);

  std::string input(std::string name, Shape shape, DataType type = DataType::kFloat32);
  /// Declares `value` as an output called `name`; its producer and its users are renamed.
  void output(const std::string& value, std::string name, Shape shape,
              DataType type = DataType::kFloat32);

  std::string conv(const std::string& name, const std::string& value, const ConvOptions& options);
  /// Four parameters: NAME.weight (scale), NAME.bias (shift), NAME.running_mean, NAME.running_var.
  std::string batch_norm(const std::string& name, const std::string& value, int64_t channels,
                         float epsilon = 1e-5F);
  std::string relu(const std::string& name, const std::string& value);
  std::string add(const std::string& name, const std::string& a, const std::string& b);
  std::string max_pool(const std::string& name, const std::string& value,
                       const PoolOptions& options);
  /// Averages over the elements inside the input; padding is not counted.
  std::string average_pool(const std::string& name, const std::string& value,
                           const PoolOptions& options);
  std::string global_average_pool(const std::string& name, const std::string& value);
  std::string flatten(const std::string& name, const std::string& value, int64_t axis = 1);
  /// value * NAME.weight^T + NAME.bias, the weight being [out_features, in_features].
  std::string gemm(const std::string& name, const std::string& value, int64_t in_features,
                   int64_t out_features, bool bias = true, bool prunable = true);
  /// Over [time, batch, in_features], gates in the order of ONNX (input, output, forget, cell).
  /// Parameters NAME.weight [directions, 4 hidden, in_features], NAME.recurrent_weight [directions,
  /// 4 hidden, hidden] and NAME.bias [directions, 8 hidden]; outputs NAME, NAME.h and NAME.c.
  LstmOutputs lstm(const std::string& name, const std::string& value, const LstmOptions& options);
  /// Zeros before and after; `pads` holds all begins, then all ends.
  std::string pad(const std::string& name, const std::string& value, std::vector<int64_t> pads);

  /// The same elements in row-major order under other sizes; 0 keeps a size, one -1 takes the rest.
  std::string reshape(const std::string& name, const std::string& value,
                      const std::vector<int64_t>& sizes);

  /// Any other operator with one output.
  std::string node(const std::string& name, std::string op_type, std::vector<std::string> inputs,
                   std::map<std::string, Attribute, std::less<>> attributes = {},
                   std::string domain = {});
  std::string parameter(std::string name, std::vector<int64_t> shape, ParameterRole role,
                        bool prunable = true);

  std::string constant(Constant constant);

  /// Moves the graph into the model. The builder is of no use afterwards.
  void finish();

 private:
  Model& model_;
  Graph graph_;
};

}  // namespace strata::graph
