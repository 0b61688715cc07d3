// The C and C++ interfaces against the session that they wrap: same outputs, clear errors.
#include <cmath>
#include <filesystem>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <strata/strata.hpp>
#include <unistd.h>

#include "format/writer.h"
#include "models/resnet.h"
#include "sparse/random.h"

namespace {

class PublicInterface : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    path_ = std::filesystem::path(testing::TempDir()) /
            ("public_interface_" + std::to_string(getpid()) + ".strata");
    auto config = strata::models::resnet_config("resnet8").value();
    const strata::sparse::LevelBudget levels[] = {{.weights = 0.1, .flops = {}},
                                                  {.weights = 0.3, .flops = {}}};
    auto nested =
        strata::sparse::random_nested_model(strata::models::resnet(config).value(), levels,
                                            strata::sparse::AllocationMethod::kUniform, 1);
    ASSERT_TRUE(nested.ok()) << nested.status().message();
    ASSERT_TRUE(strata::sparse::fold_normalisation(nested.value()).ok());
    ASSERT_TRUE(strata::format::write(path_.string(), nested.value()).ok());
  }
  static void TearDownTestSuite() { std::filesystem::remove(path_); }

  static inline std::filesystem::path path_;
};

TEST_F(PublicInterface, RunsEveryLevelAndRoutesAgreeWithLevels) {
  const strata::api::Model model(path_.string());
  EXPECT_EQ(model.level_count(), 2);
  strata::api::Session session(model, {.threads = 2, .batch = 3});
  ASSERT_EQ(session.input_size(), 3U * 3 * 32 * 32);
  ASSERT_EQ(session.output_size(), 3U * 10);
  std::vector<float> input(session.input_size());
  for (size_t i = 0; i < input.size(); ++i) input[i] = std::sin(static_cast<float>(i));
  std::vector<float> sparse(session.output_size()), dense(sparse), routed(sparse);
  session.run(input, sparse, 0);
  session.run(input, dense, 1);
  EXPECT_NE(sparse, dense);
  session.run_route(input, routed, std::vector<uint8_t>(session.step_count(), 0));
  EXPECT_EQ(routed, sparse);
  session.run_route(input, routed, std::vector<uint8_t>(session.step_count(), 1));
  EXPECT_EQ(routed, dense);
}

TEST_F(PublicInterface, DropsAndReloadsLevels) {
  const strata::api::Model model(path_.string());
  strata::api::Session session(model);
  const std::vector<float> input(session.input_size(), 0.25F);
  std::vector<float> before(session.output_size()), after(before);
  session.run(input, before, 1);
  const size_t bytes = session.memory_bytes();
  session.drop_levels_above(0);
  EXPECT_LT(session.memory_bytes(), bytes);
  EXPECT_EQ(session.level_count(), 1);
  EXPECT_THROW(session.run(input, after, 1), strata::api::Error);
  session.reload_levels();
  session.run(input, after, 1);
  EXPECT_EQ(after, before);
}

TEST_F(PublicInterface, SaysWhatIsWrong) {
  strata_model* none = nullptr;
  EXPECT_EQ(strata_model_open("no such file.strata", &none), STRATA_NOT_FOUND);
  EXPECT_NE(std::string(strata_last_error()).find("no such file.strata"), std::string::npos);
  EXPECT_EQ(strata_model_open(nullptr, &none), STRATA_INVALID_ARGUMENT);

  const strata::api::Model model(path_.string());
  EXPECT_THROW(strata::api::Session(model, {.threads = 0}), strata::api::Error);
  EXPECT_THROW(strata::api::Session(model, {.batch = 0}), strata::api::Error);
  strata::api::Session session(model);
  std::vector<float> input(session.input_size()), output(session.output_size());
  try {
    session.run(input, output, 7);
    FAIL() << "level 7 does not exist";
  } catch (const strata::api::Error& error) {
    EXPECT_EQ(error.status(), STRATA_OUT_OF_RANGE) << error.what();
  }
  input.pop_back();
  EXPECT_THROW(session.run(input, output, 0), strata::api::Error);
}

}  // namespace
