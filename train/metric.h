// The one figure that a task's models are judged by, and how it is called where it is shown.
#pragma once

#include <string>

namespace strata {

/// Higher is better. The defaults are those of classification.
struct Metric {
  std::string name = "top1";       ///< in the JSON of `train` and `eval`
  std::string unit = "percent";    ///< of the figure as it is shown
  std::string title = "top-1 %";   ///< of a table's column
  std::string field = "accuracy";  ///< in the log and the training record, as measured
  double shown_per_measured = 100;
};

}  // namespace strata
