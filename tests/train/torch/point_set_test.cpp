// Operators over sets of points: choices and gradients against formulations in libtorch's
// operators, and the runtime against libtorch at every level of the networks that they make.
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <iostream>

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "format/reader.h"
#include "models/pointnet2.h"
#include "session_fixture.h"
#include "small_training.h"
#include "train/data/point_cloud.h"
#include "train/torch/dense_runner.h"
#include "train/torch/point_set_operators.h"
#include "train/torch/tensor_point_sets.h"

namespace strata::train {
namespace {

using testing::error_of;

using Attributes = std::map<std::string, graph::Attribute, std::less<>>;

at::Tensor draw(std::vector<int64_t> shape, uint64_t seed) {
  at::Generator generator = at::detail::createCPUGenerator(seed);
  return at::empty(shape, at::kFloat).uniform_(-1, 1, generator);
}

graph::Node node_of(const std::string& op, Attributes attributes = {}) {
  return {"n", op, std::string(graph::kStrataDomain), {}, {"y"}, std::move(attributes)};
}

at::Tensor run(const OperatorKernel& kernel, std::vector<at::Tensor> arguments) {
  return kernel(arguments, Pass{.training = true}).at(0);
}

std::vector<int32_t> indices(const at::Tensor& tensor) {
  return {tensor.data_ptr<int32_t>(), tensor.data_ptr<int32_t>() + tensor.numel()};
}

std::span<const float> values(const at::Tensor& tensor) {
  return {tensor.data_ptr<float>(), static_cast<size_t>(tensor.numel())};
}

TEST(PointSetOperators, ChooseWhatTensorOperationsChoose) {
  const at::Tensor points = draw({3, 200, 3}, 1);
  const at::Tensor chosen = run(
      make_farthest_point_sampling(node_of("FarthestPointSampling", {{"count", int64_t{60}}}), {}),
      {points});
  EXPECT_EQ(indices(chosen), tensor_farthest_points(values(points), 3, 60));
  const at::Tensor centres = run(make_gather_points(node_of("GatherPoints"), {}), {points, chosen});
  for (const float radius : {0.05F, 0.4F, 5.0F}) {
    const at::Tensor found =
        run(make_ball_query(node_of("BallQuery", {{"count", int64_t{16}}, {"radius", radius}}), {}),
            {centres, points});
    EXPECT_EQ(indices(found), tensor_ball_query(values(centres), values(points), 3, radius, 16))
        << radius;
  }
}

TEST(PointSetOperators, GroupsHaveTheGradientsOfAGather) {
  const at::Tensor points = draw({2, 30, 3}, 1).requires_grad_();
  const at::Tensor features = draw({2, 5, 1, 30}, 2).requires_grad_();
  const at::Tensor centres = draw({2, 7, 3}, 3).requires_grad_();
  const at::Tensor neighbours = draw({2, 7, 4}, 4).abs().mul(30).to(at::kInt);
  const at::Tensor grouped =
      run(make_group_points(node_of("GroupPoints"), {}), {centres, points, neighbours, features});
  ASSERT_EQ(grouped.sizes(), (std::vector<int64_t>{2, 8, 4, 7}));
  const at::Tensor flat = neighbours.to(at::kLong).reshape({2, 28, 1});
  const auto gather = [&](const at::Tensor& values) {  // [2, 30, c] to [2, c, 4, 7]
    return values.gather(1, flat.expand({2, 28, values.size(2)}))
        .reshape({2, 7, 4, values.size(2)})
        .permute({0, 3, 2, 1});
  };
  const at::Tensor expected = at::cat({gather(points) - centres.permute({0, 2, 1}).unsqueeze(2),
                                       gather(features.reshape({2, 5, 30}).transpose(1, 2))},
                                      1);
  EXPECT_TRUE(at::equal(grouped, expected));
  const at::Tensor upstream = draw({2, 8, 4, 7}, 5);
  std::vector<std::vector<at::Tensor>> gradients;
  for (const at::Tensor& output : {grouped, expected}) {
    for (const at::Tensor* leaf : {&points, &features, &centres}) {
      leaf->mutable_grad() = at::Tensor();
    }
    (output * upstream).sum().backward();
    gradients.push_back({points.grad(), features.grad(), centres.grad()});
  }
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_TRUE(at::allclose(gradients[0][i], gradients[1][i], 1e-5, 1e-5)) << i;
  }
}

TEST(PointSetOperators, FewerPointsThanAskedAreAnError) {
  EXPECT_EQ(error_of([] {
              (void)run(make_farthest_point_sampling(
                            node_of("FarthestPointSampling", {{"count", int64_t{9}}}), {}),
                        {draw({1, 8, 3}, 1)});
            }),
            "node 'n' (FarthestPointSampling): a cloud has 8 points, but 9 are to be chosen of it");
}

struct Shape {
  std::string arch;
  bool normals;
  int64_t width, points;
};

class PointParity : public ::testing::TestWithParam<Shape> {};

/// A cloud with doubles, as random point dropout makes them.
std::vector<float> cloud_of(int64_t batch, int64_t points, int64_t width) {
  std::vector<float> values =
      testing::random_values(static_cast<size_t>(batch * points * width), 5);
  for (float& value : values) value *= 0.4F;
  for (int64_t i = 1; i < points; i += 7) {
    std::copy_n(values.begin(), width, values.begin() + i * width);
  }
  return values;
}

TEST_P(PointParity, TheRuntimeEqualsLibtorchAtEveryLevel) {
  const Shape& shape = GetParam();
  models::PointNetConfig config = models::pointnet_config(shape.arch).value();
  config.normals = shape.normals;
  config.width = shape.width;
  config.classes = 11;
  const sparse::NestedModel nested =
      testing::random_nested(models::pointnet(config).value(), {0.05, 0.134, 0.5, 1.0}, 11);
  const int64_t width = shape.normals ? 6 : 3;
  for (const int64_t batch : {1, 3, 5}) {
    const std::vector<float> cloud = cloud_of(batch, shape.points, width);
    std::vector<float> actual(static_cast<size_t>(batch * 11));
    std::vector<float> expected(actual.size());
    const runtime::InputView input(cloud);
    const runtime::OutputView output(actual);
    std::vector<std::unique_ptr<runtime::Session>> sessions;
    for (const int threads : {1, 2}) {
      runtime::SessionOptions options;
      options.threads = threads;
      options.bindings = {{"batch", batch}, {"points", shape.points}};
      sessions.push_back(testing::open(nested, options));
      ASSERT_NE(sessions.back(), nullptr);
    }
    for (int level = 0; level < nested.level_count; ++level) {
      TorchModel torch(nested, {.level = level});
      torch.run(
          {{TorchInput{cloud.data(), graph::DataType::kFloat32, {batch, shape.points, width}}}},
          expected);
      float largest = 0;
      for (const float value : expected) largest = std::max(largest, std::fabs(value));
      for (const auto& session : sessions) {
        const Status status = session->run({&input, 1}, {&output, 1}, level);
        ASSERT_TRUE(status.ok()) << status.message();
        for (size_t i = 0; i < expected.size(); ++i) {
          ASSERT_NEAR(actual[i], expected[i], 1e-4F * largest)
              << "batch " << batch << ", level " << level << ", at " << i;
        }
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    Shapes, PointParity,
    ::testing::Values(Shape{"pointnet2-ssg-small", true, 16, 512},
                      Shape{"pointnet2-ssg-small", false, 5, 131},
                      Shape{"pointnet2-ssg", true, 8, 600}, Shape{"pointnet2-msg", true, 4, 512},
                      Shape{"pointnet2-msg", false, 4, 513}, Shape{"pointnet", true, 16, 77},
                      Shape{"pointnet", false, 9, 1}),
    [](const auto& instance) {
      std::string name = instance.param.arch + (instance.param.normals ? "_normals" : "");
      std::replace(name.begin(), name.end(), '-', '_');
      return name;
    });

TEST(PointData, CloudsWithTooFewPointsAreRefusedAndOthersRun) {
  const sparse::NestedModel nested = testing::random_nested(
      models::pointnet(models::pointnet_config("pointnet2-ssg-small").value()).value(), {1.0}, 1);
  const auto opened = [&](int64_t points) {
    runtime::SessionOptions options;
    options.bindings = {{"points", points}};
    return runtime::Session::create(nested, options);
  };
  EXPECT_NE(
      opened(127).status().message().find("a cloud has 127 points, but 128 are to be chosen of it"),
      std::string::npos);
  EXPECT_NE(opened(0).status().message().find("0 points"), std::string::npos);
  auto made = opened(128);
  ASSERT_TRUE(made.ok()) << made.status().message();
  const auto session = std::move(made).value();
  const std::vector<float> one_point(128 * 3, 0.25F);
  std::vector<float> logits(40);
  const runtime::InputView input(one_point);
  const runtime::OutputView output(logits);
  ASSERT_TRUE(session->run({&input, 1}, {&output, 1}, 0).ok());
  for (const float logit : logits) EXPECT_TRUE(std::isfinite(logit));
}

/// With a trained classifier and its data set, named in the environment.
TEST(PointData, ATestSetIsClassifiedAsLibtorchDoes) {
  const char* model = std::getenv("STRATA_POINT_CLASSIFIER");
  const char* directory = std::getenv("STRATA_POINT_CLOUDS");
  if (model == nullptr || directory == nullptr) {
    GTEST_SKIP() << "name a model in STRATA_POINT_CLASSIFIER, its data in STRATA_POINT_CLOUDS";
  }
  const auto reader = format::Reader::open(model).value();
  const sparse::NestedModel nested = reader->read_all().value();
  const int64_t points = graph::usual_sizes(nested.model)->at("points");
  const int64_t width = nested.model.graphs[0].inputs[0].shape[2].value();
  const data::PointClouds clouds = data::load_point_clouds(
      directory, data::Split::kTest, {.points = points, .normals = width == 6});
  std::vector<float> expected(clouds.classes.size());
  std::vector<float> actual(expected.size());
  for (int level = 0; level < nested.level_count; ++level) {
    TorchModel torch(nested, {.level = level, .layout = TorchModelOptions::Layout::kPlain});
    for (const int threads : {1, 2}) {
      runtime::SessionOptions options;
      options.threads = threads;
      const auto session = runtime::Session::create(reader, options).value();
      size_t others = 0;
      float difference = 0;
      for (int64_t i = 0; i < clouds.count; ++i) {
        const float* const cloud = clouds.cloud(i);
        torch.run({{TorchInput{cloud, graph::DataType::kFloat32, {1, points, width}}}}, expected);
        const runtime::InputView input(std::span(cloud, static_cast<size_t>(points * width)));
        const runtime::OutputView output(actual);
        ASSERT_TRUE(session->run({&input, 1}, {&output, 1}, level).ok());
        const auto top = [](const std::vector<float>& logits) {
          return std::max_element(logits.begin(), logits.end()) - logits.begin();
        };
        if (top(actual) != top(expected)) ++others;
        float largest = 0;
        for (const float value : expected) largest = std::max(largest, std::fabs(value));
        for (size_t c = 0; c < expected.size(); ++c) {
          difference = std::max(difference, std::fabs(actual[c] - expected[c]) / largest);
        }
      }
      EXPECT_EQ(others, 0U) << "of " << clouds.count << ", level " << level;
      EXPECT_LE(difference, 1e-4F) << "level " << level;
      std::cout << "level " << level << ", " << threads << " threads: " << clouds.count - others
                << " of " << clouds.count << " alike, largest relative difference " << difference
                << '\n';
    }
  }
}

}  // namespace
}  // namespace strata::train
