// Which instruction sets exist here, and what STRATA_TARGET does to the choice.
#include "kernels/target.h"

#include <cstdlib>
#include <string>

#include <gtest/gtest.h>

namespace strata::kernels {
namespace {

class TargetChoice : public ::testing::Test {
 protected:
  void TearDown() override { unsetenv("STRATA_TARGET"); }
};

TEST_F(TargetChoice, ScalarIsAlwaysThereAndComesFirst) {
  ASSERT_FALSE(supported_targets().empty());
  EXPECT_EQ(supported_targets().front(), Target::kScalar);
}

TEST_F(TargetChoice, IsTheBestWithoutTheVariable) {
  unsetenv("STRATA_TARGET");
  ASSERT_TRUE(default_target().ok());
  EXPECT_EQ(default_target().value(), supported_targets().back());
  setenv("STRATA_TARGET", "", 1);
  EXPECT_EQ(default_target().value(), supported_targets().back());
}

TEST_F(TargetChoice, FollowsTheVariable) {
  for (const Target target : supported_targets()) {
    setenv("STRATA_TARGET", std::string(target_name(target)).c_str(), 1);
    ASSERT_TRUE(default_target().ok());
    EXPECT_EQ(default_target().value(), target);
  }
}

TEST_F(TargetChoice, RefusesAnUnknownNameAndListsThoseThatRun) {
  setenv("STRATA_TARGET", "avx9", 1);
  const auto target = default_target();
  ASSERT_FALSE(target.ok());
  EXPECT_EQ(target.status().message().find(
                "environment variable STRATA_TARGET is 'avx9', this CPU runs: scalar"),
            0U);
}

}  // namespace
}  // namespace strata::kernels
