// Graph attention from data to file: gradients against a dense formulation, the runtime against
// libtorch at every level, training that resumes without a trace, and what is said of bad graphs.
#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "format/reader.h"
#include "models/gat.h"
#include "session_fixture.h"
#include "small_graph.h"
#include "temporary_directory.h"
#include "train/torch/dense_runner.h"
#include "train/torch/graph_attention_operators.h"

namespace strata::train {
namespace {

using testing::error_of;
using testing::read_bytes;
using testing::small_graph_options;

/// Random rows, some of them empty.
struct Rows {
  std::vector<int32_t> begins = {0};
  std::vector<int32_t> columns;

  Rows(int64_t rows, int64_t column_count, uint32_t seed, int most = 5) {
    std::mt19937 random(seed);
    for (int64_t i = 0; i < rows; ++i) {
      std::vector<int32_t> row(random() % static_cast<uint32_t>(most + 1));
      for (int32_t& column : row) {
        column = static_cast<int32_t>(random() % static_cast<uint32_t>(column_count));
      }
      std::sort(row.begin(), row.end());
      row.erase(std::unique(row.begin(), row.end()), row.end());
      columns.insert(columns.end(), row.begin(), row.end());
      begins.push_back(static_cast<int32_t>(columns.size()));
    }
  }
  [[nodiscard]] at::Tensor begins_tensor() const { return at::tensor(begins, at::kInt); }
  [[nodiscard]] at::Tensor columns_tensor() const { return at::tensor(columns, at::kInt); }
  /// Index of the row of every entry.
  [[nodiscard]] at::Tensor rows_tensor() const {
    std::vector<int64_t> rows;
    for (size_t i = 0; i + 1 < begins.size(); ++i) {
      rows.insert(rows.end(), static_cast<size_t>(begins[i + 1] - begins[i]),
                  static_cast<int64_t>(i));
    }
    return at::tensor(rows, at::kLong);
  }
};

at::Tensor draw(const std::vector<int64_t>& shape, uint64_t seed) {
  at::Generator generator = at::detail::createCPUGenerator(seed);
  return at::empty(shape, at::kFloat).normal_(0, 1, generator).requires_grad_();
}

graph::Node node_of(const std::string& op,
                    std::map<std::string, graph::Attribute, std::less<>> attributes = {}) {
  return {"n", op, std::string(graph::kStrataDomain), {}, {"y"}, std::move(attributes)};
}

/// Compares value and gradients of a kernel with those of `expected`, made of libtorch's operators.
void expect_same(const OperatorKernel& kernel, const std::vector<at::Tensor>& arguments,
                 const std::function<at::Tensor()>& expected) {
  const auto gradients = [&](const at::Tensor& output) {
    for (const at::Tensor& tensor : arguments) {
      if (tensor.requires_grad()) tensor.mutable_grad() = at::Tensor();
    }
    (output * draw(output.sizes().vec(), 99).detach()).sum().backward();
    std::vector<at::Tensor> result;
    for (const at::Tensor& tensor : arguments) {
      if (tensor.requires_grad()) result.push_back(tensor.grad().clone());
    }
    return result;
  };
  std::vector<at::Tensor> given = arguments;
  const at::Tensor actual = kernel(given, Pass{.training = true}).at(0);
  const at::Tensor wanted = expected();
  EXPECT_TRUE(at::allclose(actual, wanted, 1e-4, 1e-5));
  const auto actual_gradients = gradients(actual);
  const auto wanted_gradients = gradients(wanted);
  for (size_t i = 0; i < actual_gradients.size(); ++i) {
    EXPECT_TRUE(at::allclose(actual_gradients[i], wanted_gradients[i], 1e-4, 1e-4)) << i;
  }
}

TEST(GraphAttentionGradients, SparseProductIsAMatrixProduct) {
  const Rows rows(9, 7, 1);
  const at::Tensor values = draw({static_cast<int64_t>(rows.columns.size())}, 2).detach();
  const at::Tensor weight = draw({7, 5}, 3);
  expect_same(make_sparse_product(node_of("SparseProduct"), {}),
              {rows.begins_tensor(), rows.columns_tensor(), values, weight}, [&] {
                const at::Tensor dense = at::zeros({9, 7}).index_put(
                    {rows.rows_tensor(), rows.columns_tensor().to(at::kLong)}, values);
                return at::mm(dense, weight);
              });
}

TEST(GraphAttentionGradients, EdgeSoftmaxIsASoftmaxOverNeighbours) {
  const Rows edges(9, 9, 4);
  const at::Tensor target = draw({9, 3}, 5);
  const at::Tensor source = draw({9, 3}, 6);
  expect_same(make_edge_softmax(node_of("EdgeSoftmax", {{"negative_slope", 0.2F}}), {}),
              {edges.begins_tensor(), edges.columns_tensor(), target, source}, [&] {
                const at::Tensor columns = edges.columns_tensor().to(at::kLong);
                const at::Tensor dense =
                    at::leaky_relu(target.unsqueeze(1) + source.unsqueeze(0), 0.2);
                const at::Tensor absent =
                    at::ones({9, 9}, at::kBool)
                        .index_put({edges.rows_tensor(), columns}, at::zeros({}, at::kBool))
                        .unsqueeze(2);
                const at::Tensor shares = at::softmax(dense.masked_fill(absent, -1e9), 1);
                return shares.index({edges.rows_tensor(), columns});
              });
}

TEST(GraphAttentionGradients, EdgeSumIsAWeightedSumOverNeighbours) {
  const Rows edges(9, 9, 7);
  const auto count = static_cast<int64_t>(edges.columns.size());
  const at::Tensor shares = draw({count, 2}, 8);
  const at::Tensor values = draw({9, 6}, 9);
  for (const int64_t mean : {0, 1}) {
    expect_same(
        make_edge_sum(node_of("EdgeSum", {{"mean_of_heads", mean}}), {}),
        {edges.begins_tensor(), edges.columns_tensor(), shares, values}, [&] {
          const at::Tensor per_edge =
              values.index_select(0, edges.columns_tensor()).reshape({count, 2, 3}) *
              shares.unsqueeze(2);
          const at::Tensor sum = at::zeros({9, 2, 3}).index_add(0, edges.rows_tensor(), per_edge);
          return mean != 0 ? sum.mean(1) : sum.reshape({9, 6});
        });
  }
}

TEST(GraphAttentionGradients, HeadScoresAreProductsPerHead) {
  const at::Tensor x = draw({9, 6}, 10);
  const at::Tensor weight = draw({2, 3}, 11);
  expect_same(make_head_scores(node_of("HeadScores"), {}), {x, weight}, [&] {
    return at::einsum("nhk,hk->nh", {x.reshape({9, 2, 3}), weight});
  });
}

TEST(Dropout, IsRepeatedByAnEqualGeneratorAndAbsentAtInference) {
  const OperatorKernel dropout = make_dropout(node_of("Dropout", {{"ratio", 0.6F}}), {});
  const at::Tensor x = at::ones({10'000});
  const auto run = [&](uint64_t seed) {
    std::vector<at::Tensor> in = {x};
    return dropout(in, Pass{.training = true, .generator = at::detail::createCPUGenerator(seed)})
        .at(0);
  };
  EXPECT_TRUE(at::equal(run(1), run(1)));
  EXPECT_FALSE(at::equal(run(1), run(2)));
  EXPECT_NEAR(run(1).mean().item<double>(), 1, 0.05);
  EXPECT_NEAR(run(1).eq(0).to(at::kFloat).mean().item<double>(), 0.6, 0.03);
  std::vector<at::Tensor> in = {x};
  EXPECT_TRUE(at::equal(dropout(in, Pass{}).at(0), x));
}

struct Size {
  int64_t nodes, features, classes, heads, hidden, output_heads;
};

class GraphParity : public ::testing::TestWithParam<Size> {};

TEST_P(GraphParity, TheRuntimeEqualsLibtorchAtEveryLevel) {
  const Size& size = GetParam();
  const sparse::NestedModel nested =
      testing::random_nested(models::gat({.features = size.features,
                                          .classes = size.classes,
                                          .heads = size.heads,
                                          .hidden = size.hidden,
                                          .output_heads = size.output_heads})
                                 .value(),
                             {0.02, 0.134, 0.5, 1.0}, 11);
  const Rows features(size.nodes, size.features, 1, 20);
  const Rows neighbours(size.nodes, size.nodes, 2, 6);
  std::vector<float> values(features.columns.size(), 0.3F);
  const auto count = [](const auto& list) { return static_cast<int64_t>(list.size()); };
  for (const int threads : {1, 2}) {
    runtime::SessionOptions options;
    options.threads = threads;
    options.bindings = {{"nodes", size.nodes},
                        {"nodes+1", size.nodes + 1},
                        {"entries", count(values)},
                        {"edges", count(neighbours.columns)}};
    const auto session = testing::open(nested, options);
    ASSERT_NE(session, nullptr);
    const std::vector<runtime::InputView> inputs = {features.begins, features.columns, values,
                                                    neighbours.begins, neighbours.columns};
    std::vector<float> actual(static_cast<size_t>(size.nodes * size.classes));
    std::vector<float> expected(actual.size());
    const runtime::OutputView output(actual);
    constexpr auto kInt = graph::DataType::kInt32;
    constexpr auto kFloat = graph::DataType::kFloat32;
    const std::vector<TorchInput> torch_inputs = {
        {features.begins.data(), kInt, {size.nodes + 1}},
        {features.columns.data(), kInt, {count(features.columns)}},
        {values.data(), kFloat, {count(values)}},
        {neighbours.begins.data(), kInt, {size.nodes + 1}},
        {neighbours.columns.data(), kInt, {count(neighbours.columns)}}};
    for (int level = 0; level < nested.level_count; ++level) {
      const Status status = session->run(inputs, {&output, 1}, level);
      ASSERT_TRUE(status.ok()) << status.message();
      TorchModel torch(nested, {.level = level, .threads = threads});
      torch.run(torch_inputs, expected);
      float largest = 0;
      for (const float value : expected) largest = std::max(largest, std::fabs(value));
      for (size_t i = 0; i < expected.size(); ++i) {
        ASSERT_NEAR(actual[i], expected[i], 1e-4F * largest) << "level " << level << ", at " << i;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Sizes, GraphParity,
                         ::testing::Values(Size{300, 500, 7, 8, 8, 1}, Size{1, 3, 2, 1, 1, 1},
                                           Size{57, 40, 3, 3, 5, 8}, Size{200, 90, 11, 4, 17, 2}));

TEST(GraphData, WhatAKernelCannotFollowIsAnError) {
  const sparse::NestedModel nested = testing::random_nested(
      models::gat({.features = 4, .classes = 2, .heads = 1, .hidden = 2}).value(), {1.0}, 1);
  runtime::SessionOptions options;
  options.bindings = {{"nodes", 2}, {"nodes+1", 3}, {"entries", 2}, {"edges", 2}};
  const auto session = testing::open(nested, options);
  ASSERT_NE(session, nullptr);
  const std::vector<float> values = {1, 1};
  std::vector<float> logits(4);
  const auto run = [&](std::vector<int32_t> feature_rows, std::vector<int32_t> features,
                       std::vector<int32_t> rows, std::vector<int32_t> neighbours) {
    const std::vector<runtime::InputView> inputs = {feature_rows, features, values, rows,
                                                    neighbours};
    const runtime::OutputView output(logits);
    return session->run(inputs, {&output, 1}, 0).message();
  };
  EXPECT_EQ(run({0, 1, 2}, {0, 3}, {0, 1, 2}, {0, 1}), "");
  EXPECT_EQ(run({0, 0, 2}, {0, 3}, {0, 2, 2}, {0, 1}), "") << "a node that hears nobody";
  EXPECT_NE(run({0, 1, 2}, {0, 4}, {0, 1, 2}, {0, 1})
                .find("entry 1 names column 4, there are columns 0 to 3"),
            std::string::npos);
  EXPECT_NE(run({0, 1, 2}, {0, 3}, {0, 1, 2}, {-1, 1}).find("entry 0 names column -1"),
            std::string::npos);
  EXPECT_NE(run({0, 1, 2}, {0, 3}, {0, 3, 2}, {0, 1}).find("must not fall"), std::string::npos);
  EXPECT_NE(run({0, 1, 1}, {0, 3}, {0, 1, 2}, {0, 1}).find("must begin at 0 and end at 2"),
            std::string::npos);
}

class GraphTraining : public ::testing::Test {
 protected:
  void SetUp() override { testing::write_small_graph(data()); }
  [[nodiscard]] std::filesystem::path data() const { return scratch_ / "graph.npz"; }
  [[nodiscard]] TrainOptions options(const std::string& algorithm,
                                     const std::vector<std::string>& overrides = {}) const {
    return small_graph_options(data(), scratch_ / "model.strata", algorithm, overrides);
  }

 private:
  TemporaryDirectory scratch_;
};

TEST_F(GraphTraining, EveryAlgorithmLearnsEveryLevel) {
  for (const std::string algorithm : {"dense", "joint", "grow"}) {
    const TrainOptions run = options(algorithm, {"optimizer.epochs=200"});
    const TrainResult result = train(run);
    ASSERT_EQ(result.levels.size(), algorithm == "dense" ? 1U : 3U);
    for (const LevelResult& level : result.levels) {
      EXPECT_GT(level.value, 0.7) << algorithm << ", level " << level.level;
    }
    const auto reader = format::Reader::open(run.output.string()).value();
    EXPECT_EQ(reader->model().metadata.at("family"), "node-classification");
    EXPECT_NE(reader->record().find(R"("test_nodes":60)"), std::string::npos);
  }
}

TEST_F(GraphTraining, KeepsTheEpochThatIsBestOnTheValidationSplit) {
  // Columns: step, epoch, lr, loss, accuracy, validation accuracy.
  const TrainOptions run = options("dense");
  const TrainResult result = train(run);
  double best = -1;
  std::vector<double> tests;
  for (const std::string& line : testing::log_without_seconds(run.output)) {
    std::vector<std::string> fields;
    std::istringstream stream(line);
    for (std::string field; std::getline(stream, field, ',');) fields.push_back(field);
    if (fields.size() != 6 || fields[0] == "step") continue;
    const double validation = std::stod(fields[5]);
    if (validation > best) tests.clear();
    best = std::max(best, validation);
    if (validation == best) tests.push_back(std::stod(fields[4]));
  }
  ASSERT_FALSE(tests.empty());
  EXPECT_TRUE(std::any_of(tests.begin(), tests.end(), [&](double value) {
    return std::fabs(value - result.levels[0].value) < 1e-4;
  })) << result.levels[0].value;
}

TEST_F(GraphTraining, InterruptedAndResumedRunsLeaveNoTrace) {
  for (const std::string algorithm : {"joint", "grow", "dense"}) {
    TrainOptions straight = options(algorithm);
    straight.output = data().parent_path() / "straight.strata";
    (void)train(straight);
    TrainOptions stopped = options(algorithm);
    for (const size_t rows : {size_t{20}, size_t{45}}) {
      const std::string message = testing::train_until_interrupted(stopped, rows);
      EXPECT_NE(message.find("--resume"), std::string::npos) << message;
      stopped.resume = true;
    }
    (void)train(stopped);
    EXPECT_TRUE(read_bytes(straight.output) == read_bytes(stopped.output)) << algorithm;
    std::filesystem::remove(stopped.output);
  }
}

TEST_F(GraphTraining, LearnsFromAFolderOfGraphsWhatHoldsForOthers) {
  const std::filesystem::path folder = data().parent_path() / "graphs";
  testing::write_small_graphs(folder);
  for (const std::string algorithm : {"dense", "joint", "grow"}) {
    TrainOptions run = options(algorithm, {"optimizer.epochs=70"});
    run.data_dir = folder;
    const TrainResult result = train(run);
    EXPECT_EQ(result.steps, 3 * 70) << "a step is one training graph";
    for (const LevelResult& level : result.levels) {
      EXPECT_GT(level.value, 0.7) << algorithm << ", level " << level.level;
    }
    const auto reader = format::Reader::open(run.output.string()).value();
    EXPECT_NE(reader->record().find(R"("graphs":7)"), std::string::npos);
    EXPECT_NE(reader->record().find(R"("test_nodes":315)"), std::string::npos);
    EXPECT_NE(reader->model().metadata.at("sizes").find("nodes=75 "), std::string::npos);
  }
}

TEST_F(GraphTraining, ResumesOverAFolderOfGraphsWithoutATrace) {
  const std::filesystem::path folder = data().parent_path() / "graphs";
  testing::write_small_graphs(folder);
  TrainOptions straight = options("joint", {"optimizer.epochs=30"});
  straight.data_dir = folder;
  straight.output = data().parent_path() / "straight.strata";
  (void)train(straight);
  TrainOptions stopped = options("joint", {"optimizer.epochs=30"});
  stopped.data_dir = folder;
  (void)testing::train_until_interrupted(stopped, 20);
  stopped.resume = true;
  (void)train(stopped);
  EXPECT_TRUE(read_bytes(straight.output) == read_bytes(stopped.output));
}

TEST_F(GraphTraining, SaysWhatIsWrongWithARun) {
  const auto failure = [](const TrainOptions& run) { return error_of([&] { (void)train(run); }); };
  EXPECT_NE(failure(options("dense", {"model.classes=2"})).find("has 3 classes"),
            std::string::npos);
  EXPECT_NE(failure(options("dense", {"data.dir='/nonexistent.npz'"})).find("/nonexistent.npz"),
            std::string::npos);
  testing::write_bytes(data(), "no archive");
  EXPECT_NE(failure(options("dense")).find("is no readable .npz archive"), std::string::npos);
}

}  // namespace
}  // namespace strata::train
