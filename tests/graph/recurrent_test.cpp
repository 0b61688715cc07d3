// LSTM and GRU: what is inferred, what is refused, what they cost.
#include <gtest/gtest.h>

#include "graph/builder.h"
#include "one_node.h"

namespace strata::graph {
namespace {

Model recurrent(const std::string& op, const std::vector<Shape>& inputs,
                Attributes attributes = {}) {
  Model model = one_node(op, inputs, std::move(attributes));
  if (inputs.size() > 4) model.graphs[0].inputs[4].type = DataType::kInt32;
  return model;
}

/// An LSTM of 5 features and 6 hidden units.
std::vector<Shape> lstm_inputs() {
  return {{"time", "batch", 5}, {1, 24, 5},     {1, 24, 6}, {1, 48}, {"batch"},
          {1, "batch", 6},      {1, "batch", 6}};
}

std::string refusal(const std::string& op, const std::string& reason) {
  return "graph 'main': node 'n' (" + op + "): " + reason;
}

std::string lstm_with(size_t input, Shape shape) {
  std::vector<Shape> inputs = lstm_inputs();
  inputs[input] = std::move(shape);
  return inferred(recurrent("LSTM", inputs));
}

TEST(Recurrent, OutputsHaveADirection) {
  EXPECT_EQ(inferred(recurrent("LSTM", lstm_inputs())), "[time,1,batch,6]");
  EXPECT_EQ(inferred(recurrent("LSTM", {{3, 2, 5}, {2, 24, 5}, {2, 24, 6}},
                               {{"direction", std::string("bidirectional")}})),
            "[3,2,2,6]");
  EXPECT_EQ(inferred(recurrent("GRU", {{3, 2, 5}, {1, 18, 5}, {1, 18, 6}},
                               {{"direction", std::string("reverse")},
                                {"hidden_size", int64_t{6}},
                                {"linear_before_reset", int64_t{1}}})),
            "[3,1,2,6]");
}

TEST(Recurrent, TheBuilderNamesAllThatALayerMakes) {
  Model model;
  GraphBuilder builder(model, "main");
  builder.input("x", {"time", "batch", 5});
  builder.input("lengths", {"batch"}, DataType::kInt32);
  const LstmOutputs outputs = builder.lstm(
      "encoder", "x",
      {.in_features = 5, .hidden = 6, .direction = "bidirectional", .sequence_lens = "lengths"});
  builder.output(outputs.y, "y", {"time", 2, "batch", 6});
  builder.output(outputs.h, "h", {2, "batch", 6});
  builder.output(outputs.c, "c", {2, "batch", 6});
  builder.finish();
  ASSERT_TRUE(validate(model).ok()) << validate(model).message();
  const auto table = infer_shapes(model, model.graphs[0], {{"time", 7}, {"batch", 3}});
  ASSERT_TRUE(table.ok()) << table.status().message();
  EXPECT_EQ(to_string(table->at("y").shape), "[7,2,3,6]");
  EXPECT_EQ(to_string(table->at("h").shape), "[2,3,6]");
  EXPECT_EQ(to_string(table->at("c").shape), "[2,3,6]");
}

TEST(Recurrent, EveryWeightMeetsEveryStepOfEverySequence) {
  Model model;
  GraphBuilder builder(model, "main");
  builder.input("x", {"time", "batch", 5});
  const LstmOutputs outputs = builder.lstm("n", "x", {.in_features = 5, .hidden = 6});
  builder.output(outputs.y, "y", {"time", 1, "batch", 6});
  builder.finish();
  const auto costs = count_macs(model, model.graphs[0], {{"time", 7}, {"batch", 3}});
  ASSERT_TRUE(costs.ok()) << costs.status().message();
  ASSERT_EQ(costs->size(), 2U);
  EXPECT_EQ(costs->at(0).weight, "n.weight");
  EXPECT_EQ(costs->at(0).dense_macs, 21 * 24 * 5);
  EXPECT_EQ(costs->at(1).weight, "n.recurrent_weight");
  EXPECT_EQ(costs->at(1).macs_per_nonzero, 21);
  EXPECT_FALSE(count_macs(model, model.graphs[0], {{"batch", 3}}).ok());
}

TEST(Recurrent, ErrorsNameTheReason) {
  EXPECT_EQ(lstm_with(0, {"time", 5}),
            refusal("LSTM", "input has shape [time,5], expected 3 dimensions"));
  EXPECT_EQ(lstm_with(0, {"time", "batch", 4}),
            refusal("LSTM", "input has 4 features, the weight W expects 5"));
  EXPECT_EQ(lstm_with(1, {1, 18, 5}),
            refusal("LSTM", "the weight W has shape [1,18,5], expected [1,24,?]"));
  EXPECT_EQ(lstm_with(1, {2, 24, 5}),
            refusal("LSTM", "the weight W has shape [2,24,5], expected [1,24,?]"));
  EXPECT_EQ(lstm_with(2, {1, 18, 6}),
            refusal("LSTM", "the weight R has shape [1,18,6], expected [1,24,6]"));
  EXPECT_EQ(lstm_with(3, {1, 24}), refusal("LSTM", "the bias B has shape [1,24], expected [1,48]"));
  EXPECT_EQ(lstm_with(4, {"batch", 1}),
            refusal("LSTM", "sequence_lens has shape [batch,1], expected 1 dimensions"));
  EXPECT_EQ(lstm_with(6, {1, "batch", 5}),
            refusal("LSTM", "initial_c has shape [1,batch,5], expected [1,batch,6]"));
  EXPECT_EQ(inferred(recurrent("LSTM", lstm_inputs(), {{"hidden_size", int64_t{7}}})),
            refusal("LSTM", "the weight R has 6 hidden units, expected 7"));
  EXPECT_EQ(inferred(recurrent("LSTM", lstm_inputs(), {{"direction", std::string("both")}})),
            refusal("LSTM",
                    "attribute 'direction' is 'both', it must be 'forward', 'reverse' or "
                    "'bidirectional'"));
  EXPECT_EQ(inferred(recurrent("LSTM", lstm_inputs(), {{"clip", 1.0F}})),
            refusal("LSTM", "attribute 'clip' is not known for this operator"));
  Model model = recurrent("LSTM", lstm_inputs());
  model.graphs[0].inputs[4].type = DataType::kInt64;
  EXPECT_EQ(inferred(model), refusal("LSTM", "input 4 must be of type int32"));
  EXPECT_EQ(inferred(recurrent("GRU", lstm_inputs())),
            refusal("GRU", "it has 7 inputs, the operator takes 3 to 6"));
}

}  // namespace
}  // namespace strata::graph
