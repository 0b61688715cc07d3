// What validate() accepts and refuses, with the sentence that the user reads.
#include <functional>

#include <gtest/gtest.h>

#include "graph/builder.h"
#include "one_node.h"

namespace strata::graph {
namespace {

Model small_model() {
  Model model;
  GraphBuilder builder(model, "main");
  std::string value = builder.input("image", {"batch", 3, 8, 8});
  value = builder.conv("conv", value, {.in_channels = 3, .out_channels = 4, .kernel = 3});
  value = builder.relu("relu", value);
  value = builder.global_average_pool("pool", value);
  value = builder.flatten("flatten", value);
  value = builder.gemm("fc", value, 4, 10);
  builder.output(value, "logits", {"batch", 10});
  builder.finish();
  return model;
}

std::string refusal(const std::function<void(Model&)>& damage) {
  Model model = small_model();
  damage(model);
  const Status status = validate(model);
  EXPECT_FALSE(status.ok());
  return status.message();
}

Node& node(Model& model, size_t index) { return model.graphs[0].nodes[index]; }

TEST(Validate, AcceptsAModel) {
  const Status status = validate(small_model());
  EXPECT_TRUE(status.ok()) << status.message();
}

TEST(Validate, Nodes) {
  EXPECT_EQ(refusal([](Model& m) { node(m, 1).op_type = "Foo"; }),
            "graph 'main': node 'relu' (Foo): the operator is not known");
  EXPECT_EQ(refusal([](Model& m) { node(m, 1).domain = "ai.strata"; }),
            "graph 'main': node 'relu' (Relu): the operator is not known in domain 'ai.strata'");
  EXPECT_EQ(refusal([](Model& m) { node(m, 1).inputs.emplace_back("image"); }),
            "graph 'main': node 'relu' (Relu): it has 2 inputs, the operator takes 1");
  EXPECT_EQ(refusal([](Model& m) { node(m, 0).inputs.resize(1); }),
            "graph 'main': node 'conv' (Conv): it has 1 inputs, the operator takes 2 to 3");
  EXPECT_EQ(refusal([](Model& m) { node(m, 0).inputs[1].clear(); }),
            "graph 'main': node 'conv' (Conv): input 1 must not be omitted");
  EXPECT_EQ(refusal([](Model& m) { node(m, 1).inputs[0] = "nowhere"; }),
            "graph 'main': node 'relu' (Relu): its input 'nowhere' is neither a graph input, nor a "
            "parameter, nor a constant, nor the output of an earlier node");
  EXPECT_EQ(refusal([](Model& m) { std::swap(node(m, 1), node(m, 2)); }),
            "graph 'main': node 'pool' (GlobalAveragePool): its input 'relu' is neither a graph "
            "input, nor a parameter, nor a constant, nor the output of an earlier node");
  EXPECT_EQ(refusal([](Model& m) { node(m, 2).outputs[0] = "relu"; }),
            "graph 'main': node 'pool' (GlobalAveragePool): its output 'relu' is defined a second "
            "time");
  EXPECT_EQ(refusal([](Model& m) { node(m, 2).name = "relu"; }),
            "graph 'main': two nodes are named 'relu'");
  EXPECT_EQ(refusal([](Model& m) { node(m, 2).name.clear(); }),
            "graph 'main': a node (GlobalAveragePool) has no name");
  EXPECT_EQ(
      refusal([](Model& m) { node(m, 2).outputs.clear(); }),
      "graph 'main': node 'pool' (GlobalAveragePool): it has 0 outputs, the operator makes 1");
}

TEST(Validate, Attributes) {
  EXPECT_EQ(refusal([](Model& m) { node(m, 0).attributes["strides"] = int64_t{2}; }),
            "graph 'main': node 'conv' (Conv): attribute 'strides' must be a list of integers");
  EXPECT_EQ(refusal([](Model& m) { node(m, 0).attributes["group"] = 1.0F; }),
            "graph 'main': node 'conv' (Conv): attribute 'group' must be an integer");
  EXPECT_EQ(refusal([](Model& m) { node(m, 0).attributes["colour"] = int64_t{2}; }),
            "graph 'main': node 'conv' (Conv): attribute 'colour' is not known for this operator");
}

TEST(Validate, Parameters) {
  EXPECT_EQ(refusal([](Model& m) { m.parameters.erase(m.parameters.begin()); }),
            "graph 'main': node 'conv' (Conv): its input 'conv.weight' is neither a graph input, "
            "nor a parameter, nor a constant, nor the output of an earlier node");
  EXPECT_EQ(refusal([](Model& m) { m.parameters.push_back(m.parameters[0]); }),
            "parameter 'conv.weight': the name is used twice");
  EXPECT_EQ(refusal([](Model& m) { m.parameters[0].shape[2] = 0; }),
            "parameter 'conv.weight': a dimension has size 0, it must be at least 1");
  EXPECT_EQ(refusal([](Model& m) { m.parameters[0].shape = Ints(4, 1 << 30); }),
            "parameter 'conv.weight': shape [1073741824,1073741824,1073741824,1073741824] is too "
            "large");
  EXPECT_EQ(refusal([](Model& m) { m.parameters[0].name.clear(); }), "a parameter has no name");
  EXPECT_EQ(refusal([](Model& m) { m.parameters[0].role = static_cast<ParameterRole>(9); }),
            "parameter 'conv.weight': its role is not known");
}

TEST(Validate, GraphsInputsAndOutputs) {
  EXPECT_EQ(refusal([](Model& m) { m.graphs.clear(); }), "the model holds no graph");
  EXPECT_EQ(refusal([](Model& m) { m.graphs.push_back(m.graphs[0]); }),
            "two graphs are named 'main'");
  EXPECT_EQ(refusal([](Model& m) { m.graphs[0].name.clear(); }), "a graph has no name");
  EXPECT_EQ(refusal([](Model& m) { m.graphs[0].outputs.clear(); }),
            "graph 'main': it declares no output");
  EXPECT_EQ(refusal([](Model& m) { m.graphs[0].outputs[0].name = "probabilities"; }),
            "graph 'main': output 'probabilities' is not produced by any node");
  EXPECT_EQ(refusal([](Model& m) { m.graphs[0].outputs.push_back(m.graphs[0].outputs[0]); }),
            "graph 'main': output 'logits' is declared twice");
  EXPECT_EQ(
      refusal([](Model& m) { m.graphs[0].inputs[0].name = "conv.weight"; }),
      "graph 'main': input 'conv.weight' has the name of another input, of a parameter or of a "
      "constant");
  EXPECT_EQ(refusal([](Model& m) { m.graphs[0].inputs[0].shape[1] = Dim(-7); }),
            "graph 'main': input 'image': a dimension is negative");
  EXPECT_EQ(refusal([](Model& m) { m.graphs[0].inputs[0].type = static_cast<DataType>(77); }),
            "graph 'main': input 'image': its element type is not known");
}

}  // namespace
}  // namespace strata::graph
