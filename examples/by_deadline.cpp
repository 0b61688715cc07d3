// Answers by a deadline: measures how fast this machine is, unless that is known already, and then
// runs one inference after the other, as accurately as the time allows. by_deadline FILE [MS]
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <vector>

#include <strata/strata.hpp>

int main(int argc, char** argv) try {
  if (argc != 2 && argc != 3) {
    std::fprintf(stderr, "usage: by_deadline FILE [MILLISECONDS]\n");
    return 2;
  }
  const strata::api::Model model(argv[1]);
  strata::api::Session session(model);
  try {
    session.load_profile();  // FILE.profile, as `strata profile FILE` writes it
  } catch (const strata::api::Error& error) {
    std::printf("measuring, since %s\n", error.what());
    session.measure_profile();
  }

  const std::chrono::duration<double, std::milli> deadline(argc == 3 ? std::atof(argv[2]) : 10);
  const std::vector<float> input(session.input_size(), 0.5F);
  std::vector<float> output(session.output_size());
  for (int i = 0; i < 5; ++i) {
    const strata::api::RunReport report =
        session.run(input, output,
                    {.within = std::chrono::duration_cast<std::chrono::nanoseconds>(deadline),
                     .when_late = STRATA_GIVE_UP,
                     .nines = 3});
    if (!report.ok()) {
      std::printf("no answer within %.3f ms\n", deadline.count());
      continue;
    }
    const auto route = session.last_route();
    std::printf("output[0] = %g after %.3f ms, from level %d to level %d, %d reroutes\n", output[0],
                report.total.count() * 1e-6, route.front().level, route.back().level,
                report.reroutes);
  }
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "by_deadline: %s\n", error.what());
  return 1;
}
