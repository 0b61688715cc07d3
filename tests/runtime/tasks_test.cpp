#include "runtime/tasks.h"

#include <gtest/gtest.h>

namespace strata::runtime {
namespace {

TEST(Tasks, OneThreadTakesWholeTiles) { EXPECT_EQ(rows_of_task(2, 256, 12, 1), 256); }

TEST(Tasks, ManyPerThreadWhereTheyMayBe) {
  EXPECT_EQ(rows_of_task(2, 240, 100, 2), 40);    // 6 of each tile
  EXPECT_EQ(rows_of_task(28, 256, 100, 2), 256);  // there are enough tiles
  EXPECT_EQ(rows_of_task(1, 4, 100, 2), 1);       // no more than rows
}

TEST(Tasks, FewWhereTheirInputIsReadAnew) {
  EXPECT_EQ(rows_of_task(2, 256, 1, 2), 256);
  EXPECT_EQ(rows_of_task(2, 256, 4, 2), 64);
}

TEST(Tasks, EveryThreadGetsAsMany) {
  EXPECT_EQ(rows_of_task(1, 512, 1, 2), 256);
  EXPECT_EQ(rows_of_task(1, 512, 3, 2), 128);
  EXPECT_EQ(rows_of_task(2, 300, 1, 3), 100);
  EXPECT_EQ(rows_of_task(1, 1, 1, 2), 1);  // cannot be
}

}  // namespace
}  // namespace strata::runtime
