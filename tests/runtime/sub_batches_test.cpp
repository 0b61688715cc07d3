// Batches that are run in parts: which graphs may be, and that a part is what it is alone.
#include "runtime/sub_batches.h"

#include <algorithm>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "graph/builder.h"
#include "models/pointnet2.h"
#include "session_fixture.h"

namespace strata::testing {
namespace {

using graph::GraphBuilder;

const std::vector<double> densities = {0.06, 0.15, 0.6};

sparse::NestedModel images() {
  return random_nested(resnet("resnet8", 160, 160, 16), densities, 3);
}

sparse::NestedModel clouds() {
  models::PointNetConfig config = models::pointnet_config("pointnet2-ssg").value();
  config.width = 16;
  config.points = 700;
  return random_nested(models::pointnet(config).value(), densities, 4);
}

std::unique_ptr<runtime::Session> open_batch(const sparse::NestedModel& nested, int64_t batch,
                                             int threads = 1) {
  return open(nested, {.threads = threads, .graph = {}, .bindings = {{"batch", batch}}});
}

/// Every part of `data` through a session for one part, along its share of the route.
std::vector<std::vector<float>> part_by_part(const sparse::NestedModel& nested, int64_t parts,
                                             const SessionData& data,
                                             const std::vector<uint8_t>& levels, int64_t batch) {
  const auto session = open(
      nested,
      {.threads = 1, .graph = {}, .bindings = {{"batch", batch / parts}}, .whole_batch = true});
  std::vector<std::vector<float>> outputs(data.outputs.size());
  const size_t steps = session->steps().size();
  EXPECT_EQ(levels.size(), steps * static_cast<size_t>(parts));
  for (size_t part = 0; part < static_cast<size_t>(parts); ++part) {
    SessionData own(*session);
    for (size_t i = 0; i < own.inputs.size(); ++i) {
      const size_t count = own.inputs[i].size();
      std::copy_n(data.inputs[i].begin() + static_cast<std::ptrdiff_t>(part * count), count,
                  own.inputs[i].begin());
    }
    const auto begin = levels.begin() + static_cast<std::ptrdiff_t>(part * steps);
    const std::vector<uint8_t> route(begin, begin + static_cast<std::ptrdiff_t>(steps));
    EXPECT_TRUE(session->run_route(own.input_views, own.output_views, route).ok());
    for (size_t i = 0; i < outputs.size(); ++i) {
      outputs[i].insert(outputs[i].end(), own.outputs[i].begin(), own.outputs[i].end());
    }
  }
  return outputs;
}

struct Subject {
  const char* name;
  sparse::NestedModel (*model)();
  int64_t batch;
  int64_t parts;
};

class SubBatches : public ::testing::TestWithParam<Subject> {};

TEST_P(SubBatches, APartIsWhatItIsAloneOnAnyRoute) {
  const auto& [name, model, batch, parts] = GetParam();
  const sparse::NestedModel nested = model();
  for (const int threads : {1, 2}) {
    const auto session = open_batch(nested, batch, threads);
    ASSERT_NE(session, nullptr);
    ASSERT_EQ(session->parts(), parts);
    std::mt19937 random(5);
    for (int round = 0; round < 5; ++round) {
      std::vector<uint8_t> levels(session->steps().size(), static_cast<uint8_t>(round % 3));
      if (round >= 3) {
        for (uint8_t& level : levels) level = static_cast<uint8_t>(random() % 3);
      }
      SessionData data(*session, random());
      std::vector<int64_t> times(levels.size(), -1);
      const Status status =
          round < 3 ? session->run(data.input_views, data.output_views, round)
                    : session->run_timed(data.input_views, data.output_views, levels, times);
      ASSERT_TRUE(status.ok()) << status.message();
      EXPECT_EQ(data.outputs, part_by_part(nested, parts, data, levels, batch))
          << "round " << round;
      if (round < 3) continue;
      EXPECT_TRUE(std::all_of(times.begin(), times.end(), [](int64_t ns) { return ns >= 0; }));
    }
  }
}

TEST_P(SubBatches, TakeLessMemoryThanTheWholeBatch) {
  const auto& [name, model, batch, parts] = GetParam();
  const sparse::NestedModel nested = model();
  const auto whole = open(
      nested, {.threads = 1, .graph = {}, .bindings = {{"batch", batch}}, .whole_batch = true});
  EXPECT_EQ(whole->parts(), 1);
  EXPECT_LT(open_batch(nested, batch)->memory().activations, whole->memory().activations);
}

INSTANTIATE_TEST_SUITE_P(All, SubBatches,
                         ::testing::Values(Subject{"images", images, 6, 6},
                                           Subject{"clouds", clouds, 4, 4}),
                         [](const auto& one) { return std::string(one.param.name); });

TEST(SubBatchesSmall, StayTogetherWhereTheyFitIntoTheCache) {
  const auto nested = random_nested(resnet("resnet8", 32, 32, 16), densities, 3);
  EXPECT_EQ(open_batch(nested, 4)->parts(), 1);
  // Of many, as many as fit: neither all nor single ones.
  const int64_t parts = open_batch(nested, 128)->parts();
  EXPECT_GT(parts, 1);
  EXPECT_LT(parts, 32);
}

TEST(SubBatchesVectors, ShareTheirWeights) {
  graph::Model model;
  GraphBuilder builder(model, "main");
  std::string value = builder.input("x", {graph::Dim("batch"), graph::Dim(512)});
  value = builder.relu("relu", builder.gemm("fc1", value, 512, 512));
  builder.output(builder.gemm("fc2", value, 512, 10), "y", {graph::Dim("batch"), graph::Dim(10)});
  builder.finish();
  EXPECT_EQ(open_batch(random_nested(model, {0.1}, 3), 4096)->parts(), 1);
}

TEST(SubBatchesDeadline, EveryStepOfEveryPartIsARoutePoint) {
  const sparse::NestedModel nested = images();
  // By this clock every step takes a second, longer than the profile says: a route that begins
  // above level 0 leaves for it in the midst of the batch.
  int64_t now = 0;
  const auto session = open(
      nested,
      {.threads = 1,
       .graph = {},
       .bindings = {{"batch", 6}},
       .clock = {[](void* time) { return *static_cast<int64_t*>(time) += 1000000000; }, &now}});
  SessionData data(*session);
  route::ProfileTable table;
  table.step_count = static_cast<int>(session->steps().size());
  table.level_count = session->level_count();
  for (int step = 0; step < table.step_count; ++step) {
    for (const double ns : {0.3e9, 0.8e9, 0.8e9}) table.times.push_back({ns, ns});
  }
  ASSERT_TRUE(session->set_profile(table).ok());
  runtime::RunOptions options;
  options.policy.kind = route::PolicyKind::kReroute;
  options.within_ns = 0.85e9 * table.step_count;
  const Status status = session->run(data.input_views, data.output_views, options);
  ASSERT_TRUE(status.ok()) << status.message();
  const runtime::RunReport& report = session->last_run();
  ASSERT_EQ(report.steps.size(), session->steps().size());
  std::vector<uint8_t> levels;
  for (const auto& step : report.steps) levels.push_back(static_cast<uint8_t>(step.level));
  EXPECT_GT(levels.front(), 0);
  EXPECT_EQ(levels.back(), 0);
  EXPECT_EQ(data.outputs, part_by_part(nested, 6, data, levels, 6));
}

TEST(SubBatchesDeadline, CancellationEndsBetweenParts) {
  struct StopAfter final : runtime::StepGuide {
    size_t last = 0, seen = 0;
    int choose(size_t step) override { return step > last ? -1 : 1; }
    void after_step(size_t step, int64_t) override { seen = step; }
  };
  const auto session = open_batch(images(), 6);
  SessionData data(*session);
  StopAfter guide;
  guide.last = session->steps().size() / 6;
  EXPECT_EQ(session->run_guided(data.input_views, data.output_views, guide).code(),
            StatusCode::kCancelled);
  EXPECT_EQ(guide.seen, guide.last);
  EXPECT_FALSE(std::isnan(data.outputs[0][0]));  // the first part had been handed over
  EXPECT_TRUE(std::isnan(data.outputs[0].back()));
}

TEST(SubBatchesProfile, IsNotThatOfASingleInput) {
  const sparse::NestedModel nested = images();
  const auto one = open_batch(nested, 1)->fingerprint();
  const auto six = open_batch(nested, 6)->fingerprint();
  EXPECT_NE(one.graph, six.graph);
}

TEST(SubBatchesTuning, ServesEveryBatch) {
  const sparse::NestedModel nested = images();
  EXPECT_EQ(open_batch(nested, 1)->tuning_fingerprint().layers,
            open_batch(nested, 6)->tuning_fingerprint().layers);
}

/// Graphs of one node, or of few, on a batch of planes.
struct Mixing {
  const char* name;
  bool apart;
  std::function<std::string(GraphBuilder&, const std::string&)> add;
};

class KeepsInputsApart : public ::testing::TestWithParam<Mixing> {};

TEST_P(KeepsInputsApart, Graph) {
  constexpr int64_t kBatch = 6;
  graph::Model model;
  GraphBuilder builder(model, "main");
  const std::string input =
      builder.input("x", {graph::Dim("batch"), graph::Dim(6), graph::Dim(6), graph::Dim(6)});
  (void)GetParam().add(builder, input);
  builder.finish();
  const auto values = graph::infer_shapes(model, model.graphs[0], {{"batch", kBatch}});
  ASSERT_TRUE(values.ok()) << values.status().message();
  EXPECT_EQ(runtime::keeps_inputs_apart(model, model.graphs[0], *values, kBatch), GetParam().apart);
}

using Ints = std::vector<int64_t>;

std::string constant(GraphBuilder& builder, const std::string& name, const Ints& values) {
  return builder.constant(
      graph::make_constant(name, {static_cast<int64_t>(values.size())}, values));
}

std::string slice(GraphBuilder& b, const std::string& x, int64_t axis) {
  return b.node(
      "slice", "Slice",
      {x, constant(b, "begin", {0}), constant(b, "end", {6}), constant(b, "axis", {axis})});
}

INSTANTIATE_TEST_SUITE_P(
    All, KeepsInputsApart,
    ::testing::Values(
        Mixing{"relu", true, [](auto& b, auto& x) { return b.relu("relu", x); }},
        Mixing{
            "conv", true,
            [](auto& b, auto& x) { return b.conv("c", x, {.in_channels = 6, .out_channels = 6}); }},
        Mixing{"sum", true, [](auto& b, auto& x) { return b.add("add", x, b.relu("relu", x)); }},
        Mixing{"flatten", true, [](auto& b, auto& x) { return b.flatten("f", x); }},
        Mixing{"flatten_batch", false, [](auto& b, auto& x) { return b.flatten("f", x, 0); }},
        Mixing{"reshape", true,
               [](auto& b, auto& x) {
                 return b.reshape("r", x, {0, 36, 6});
               }},
        Mixing{"reshape_batch", false,
               [](auto& b, auto& x) {
                 return b.reshape("r", x, {36, -1});
               }},
        Mixing{"softmax", true,
               [](auto& b, auto& x) {
                 return b.node("s", "Softmax", {x}, {{"axis", int64_t{1}}});
               }},
        Mixing{"softmax_batch", false,
               [](auto& b, auto& x) {
                 return b.node("s", "Softmax", {x}, {{"axis", int64_t{-4}}});
               }},
        Mixing{"concat", true,
               [](auto& b, auto& x) {
                 return b.node("j", "Concat", {x, x}, {{"axis", int64_t{1}}});
               }},
        Mixing{"concat_batch", false,
               [](auto& b, auto& x) {
                 return b.node("j", "Concat", {x, x}, {{"axis", int64_t{0}}});
               }},
        Mixing{"transpose", true,
               [](auto& b, auto& x) {
                 return b.node("t", "Transpose", {x}, {{"perm", Ints{0, 2, 1, 3}}});
               }},
        Mixing{"transpose_batch", false,  // whose sizes say nothing: all are 6
               [](auto& b, auto& x) {
                 return b.node("t", "Transpose", {x}, {{"perm", Ints{1, 0, 2, 3}}});
               }},
        Mixing{"slice", true, [](auto& b, auto& x) { return slice(b, x, 2); }},
        Mixing{"slice_batch", false, [](auto& b, auto& x) { return slice(b, x, 0); }},
        Mixing{"mean", true,
               [](auto& b, auto& x) {
                 return b.node("m", "ReduceMean", {x},
                               {{"axes", Ints{2, 3}}, {"keepdims", int64_t{1}}});
               }},
        Mixing{
            "mean_batch", false,
            [](auto& b, auto& x) {
              return b.node("m", "ReduceMean", {x}, {{"axes", Ints{-4}}, {"keepdims", int64_t{0}}});
            }},
        Mixing{"product_of_inputs", false,
               [](auto& b, auto& x) {
                 return b.node("p", "MatMul", {x, x});
               }},
        Mixing{"broadcast_over_batch", false,  // [6, 6, 36] + [6, 36]
               [](auto& b, auto& x) {
                 const std::string flat = b.reshape("r", x, {0, 6, 36});
                 const std::string part = b.node("m", "ReduceMean", {flat},
                                                 {{"axes", Ints{1}}, {"keepdims", int64_t{0}}});
                 return b.add("add", flat, part);
               }}),
    [](const auto& one) { return std::string(one.param.name); });

}  // namespace
}  // namespace strata::testing
