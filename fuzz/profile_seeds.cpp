// Writes small files of profiles into the directory that it is given: what fuzz_profile starts
// from.
#include <cstdio>
#include <string>
#include <vector>

#include "runtime/profile_file.h"

namespace {

strata::runtime::StoredProfile sample(int threads, int steps, int levels, bool accuracy) {
  strata::runtime::StoredProfile profile;
  profile.fingerprint = {1, 2, threads, "cpu", "build"};
  profile.table.threads = threads;
  profile.table.step_count = steps;
  profile.table.level_count = levels;
  for (int i = 0; i < steps * levels; ++i) profile.table.times.push_back({1000.0 + i, 1100.0 + i});
  if (accuracy) {
    for (int level = 0; level < levels; ++level) {
      profile.table.accuracy.levels.push_back(70.0 + level);
    }
    profile.table.accuracy.switch_points.push_back({1, 1, 0, 70.5});
  }
  return profile;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: profile_seeds DIRECTORY\n");
    return 2;
  }
  const strata::runtime::StoredProfile profiles[] = {sample(1, 3, 2, true), sample(2, 2, 3, false),
                                                     sample(4, 1, 1, false)};
  for (const auto& profile : profiles) {
    const std::string path =
        std::string(argv[1]) + "/" + std::to_string(profile.fingerprint.threads) + ".profile";
    const strata::Status status = strata::runtime::add_profile(path, profile);
    if (!status.ok()) {
      std::fprintf(stderr, "%s\n", status.message().c_str());
      return 1;
    }
  }
  return 0;
}
