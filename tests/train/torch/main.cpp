// gtest's main, which may also be started as a child that trains (see small_training.h).
#include <gtest/gtest.h>

#include "small_training.h"

int main(int argc, char** argv) {
  if (const int code = strata::testing::run_as_child(argc, argv); code >= 0) return code;
  ::testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
