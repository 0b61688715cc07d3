// Writes small files of tunings into the directory that it is given: what fuzz_tuning starts from.
#include <cstdio>
#include <string>
#include <vector>

#include "runtime/tuning_file.h"

namespace {

strata::runtime::StoredTuning sample(int threads, int steps, int levels) {
  strata::runtime::StoredTuning tuning;
  tuning.fingerprint = {1, threads, "cpu", "build"};
  for (int i = 0; i < steps; ++i) {
    strata::runtime::StepTuning& step = tuning.steps.emplace_back();
    step.alone = i % (levels + 1);
    step.first_dense_level = i % (levels + 2) - 1;
    for (int level = 0; level < levels; ++level) step.levels.push_back({i + level, 16 * level});
  }
  return tuning;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: tuning_seeds DIRECTORY\n");
    return 2;
  }
  const strata::runtime::StoredTuning tunings[] = {sample(1, 3, 2), sample(2, 2, 3),
                                                   sample(4, 1, 1)};
  for (const auto& tuning : tunings) {
    const std::string path =
        std::string(argv[1]) + "/" + std::to_string(tuning.fingerprint.threads) + ".tuning";
    const strata::Status status = strata::runtime::add_tuning(path, tuning);
    if (!status.ok()) {
      std::fprintf(stderr, "%s\n", status.message().c_str());
      return 1;
    }
  }
  return 0;
}
