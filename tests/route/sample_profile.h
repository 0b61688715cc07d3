// Profiles for the tests of routing.
#pragma once

#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "route/profile.h"

namespace strata::route {

/// Level k takes times[k] in every one of `steps` steps; high quantiles are a tenth above.
inline ProfileTable even_table(int steps, const std::vector<double>& times) {
  ProfileTable table;
  table.step_count = steps;
  table.level_count = static_cast<int>(times.size());
  for (int step = 0; step < steps; ++step) {
    for (const double time : times) table.times.push_back({time, 1.1 * time});
  }
  return table;
}

inline Profile make_profile(const ProfileTable& table) {
  Result<Profile> profile = Profile::create(table);
  EXPECT_TRUE(profile.ok()) << profile.status().message();
  return std::move(profile).value();
}

inline Profile even_profile(int steps, const std::vector<double>& times) {
  return make_profile(even_table(steps, times));
}

/// 1..12 steps of 1 to 1000 us at the sparsest level, each level above slower by up to 100 %.
inline ProfileTable arbitrary_table(int levels) {
  ProfileTable table;
  table.step_count = *rc::gen::inRange(1, 13);
  table.level_count = levels;
  for (int step = 0; step < table.step_count; ++step) {
    double time = *rc::gen::inRange(1, 1001) * 1e3;
    for (int level = 0; level < levels; ++level) {
      table.times.push_back({time, time * 1.2});
      time *= 1 + *rc::gen::inRange(0, 101) * 0.01;
    }
  }
  return table;
}

}  // namespace strata::route
