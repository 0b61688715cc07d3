// Runs a .strata file at every level on a constant input, then frees the upper levels:
// every_level FILE
#include <cstdio>
#include <exception>
#include <vector>

#include <strata/strata.hpp>

int main(int argc, char** argv) try {
  if (argc != 2) {
    std::fprintf(stderr, "usage: every_level FILE\n");
    return 2;
  }
  const strata::api::Model model(argv[1]);
  strata::api::Session session(model, {.threads = 2});
  const std::vector<float> input(session.input_size(), 0.5F);
  std::vector<float> output(session.output_size());
  for (int level = 0; level < session.level_count(); ++level) {
    session.run(input, output, level);
    std::printf("level %d: output[0] = %g\n", level, output[0]);
  }

  // The first half of the steps at the least sparse level, the rest at the sparsest.
  std::vector<uint8_t> route(session.step_count(), 0);
  for (size_t step = 0; step < route.size() / 2; ++step) {
    route[step] = static_cast<uint8_t>(session.level_count() - 1);
  }
  session.run_route(input, output, route);
  std::printf("rerouted halfway: output[0] = %g\n", output[0]);

  const size_t before = session.memory_bytes();
  session.drop_levels_above(0);
  std::printf("memory: %zu bytes with every level, %zu with level 0\n", before,
              session.memory_bytes());
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "every_level: %s\n", error.what());
  return 1;
}
