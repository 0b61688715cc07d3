// Times several contenders against each other in one process: run by run in turn, so that whatever
// slows the machine down meanwhile slows all of them down alike.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace strata::cli {

struct Contender {
  std::string name;
  std::function<void()> run;  ///< one inference
  std::vector<double> ms;     ///< filled by time_in_turns()
};

struct TimingOptions {
  int64_t runs = 0;     ///< of each contender; 0: as many as fit into `seconds`, 20 to 2000
  double seconds = 10;  ///< what `runs` is chosen by
  int64_t warm_up = 3;  ///< rounds that are not counted
  std::function<void(int64_t done, int64_t total)> progress;
};

/// Every round runs each contender twice and counts the second time: the first one brings its
/// weights into the caches and lets the threads of the one before go to sleep. The order rotates
/// from round to round.
void time_in_turns(std::vector<Contender>& contenders, const TimingOptions& options);

/// The q-quantile, 0..1, interpolated between order statistics (type 7 of Hyndman and Fan 1996).
/// Precondition: not empty.
double quantile(std::vector<double> values, double q);

}  // namespace strata::cli
