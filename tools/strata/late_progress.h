// A progress line that is made once it is known how much there is to do.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "tools/strata/console.h"
#include "train/progress.h"

namespace strata::cli {

class LateProgress {
 public:
  LateProgress(std::string label, std::string unit, const Console& console)
      : label_(std::move(label)) {
    options_.mode = progress_mode(console.quiet);
    options_.unit = std::move(unit);
  }
  void update(int64_t done, int64_t total, const std::string& what = {}) {
    if (!progress_) progress_ = std::make_unique<Progress>(label_, total, options_);
    progress_->update(done, what);
  }
  /// Ends the line; the next update() begins another.
  void finish() {
    if (progress_) progress_->finish();
    progress_.reset();
  }

 private:
  std::string label_;
  ProgressOptions options_;
  std::unique_ptr<Progress> progress_;
};

}  // namespace strata::cli
