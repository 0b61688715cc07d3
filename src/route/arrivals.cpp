// Arrival processes.
#include "route/arrivals.h"

#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "route/random.h"

namespace strata::route {
namespace {

bool is_length(double ns) { return ns > 0 && std::isfinite(ns); }

Status check_length(const char* what, double ns) {
  if (is_length(ns)) return {};
  return invalid_argument(std::string(what) + " must be positive and finite, it is " +
                          std::to_string(ns) + " ns");
}

class PoissonArrivals final : public Arrivals {
 public:
  PoissonArrivals(double mean_gap_ns, uint64_t seed) : mean_gap_ns_(mean_gap_ns), random_(seed) {}
  double next_ns() override { return now_ns_ += random_.exponential(mean_gap_ns_); }

 private:
  double mean_gap_ns_;
  double now_ns_ = 0;
  Random random_;
};

class BurstyArrivals final : public Arrivals {
 public:
  BurstyArrivals(const BurstyRate& rate, uint64_t seed) : rate_(rate), random_(seed) {
    change_ns_ = random_.exponential(rate_.calm_ns);
  }

  double next_ns() override {
    for (;;) {
      const double gap = random_.exponential(burst_ ? rate_.burst_gap_ns : rate_.calm_gap_ns);
      if (now_ns_ + gap <= change_ns_) return now_ns_ += gap;
      // An exponential gap has no memory: draw anew from the change of rate on.
      now_ns_ = change_ns_;
      burst_ = !burst_;
      change_ns_ += random_.exponential(burst_ ? rate_.burst_ns : rate_.calm_ns);
    }
  }

 private:
  BurstyRate rate_;
  bool burst_ = false;
  double now_ns_ = 0;
  double change_ns_ = 0;
  Random random_;
};

class TraceArrivals final : public Arrivals {
 public:
  explicit TraceArrivals(std::span<const double> times_ns)
      : times_ns_(times_ns.begin(), times_ns.end()) {
    const double length = times_ns_.back() - times_ns_.front();
    period_ns_ = length + length / static_cast<double>(times_ns_.size() - 1);
  }

  double next_ns() override {
    const double time = times_ns_[next_] + offset_ns_;
    if (++next_ == times_ns_.size()) {
      next_ = 0;
      offset_ns_ += period_ns_;
    }
    return time;
  }

 private:
  std::vector<double> times_ns_;
  double period_ns_ = 0;
  double offset_ns_ = 0;
  size_t next_ = 0;
};

class PeriodicArrivals final : public Arrivals {
 public:
  explicit PeriodicArrivals(double gap_ns) : gap_ns_(gap_ns) {}
  double next_ns() override { return gap_ns_ * static_cast<double>(++count_); }

 private:
  double gap_ns_;
  int64_t count_ = 0;
};

}  // namespace

Result<std::unique_ptr<Arrivals>> poisson_arrivals(double mean_gap_ns, uint64_t seed) {
  STRATA_RETURN_IF_ERROR(check_length("the mean gap between arrivals", mean_gap_ns));
  return std::unique_ptr<Arrivals>(new PoissonArrivals(mean_gap_ns, seed));
}

Result<std::unique_ptr<Arrivals>> bursty_arrivals(const BurstyRate& rate, uint64_t seed) {
  STRATA_RETURN_IF_ERROR(check_length("the mean gap outside bursts", rate.calm_gap_ns));
  STRATA_RETURN_IF_ERROR(check_length("the mean gap inside bursts", rate.burst_gap_ns));
  STRATA_RETURN_IF_ERROR(check_length("the mean time between bursts", rate.calm_ns));
  STRATA_RETURN_IF_ERROR(check_length("the mean length of a burst", rate.burst_ns));
  return std::unique_ptr<Arrivals>(new BurstyArrivals(rate, seed));
}

Result<std::unique_ptr<Arrivals>> trace_arrivals(std::span<const double> times_ns) {
  if (times_ns.empty()) return invalid_argument("the trace of arrivals is empty");
  for (size_t i = 0; i < times_ns.size(); ++i) {
    const double least = i > 0 ? times_ns[i - 1] : 0;
    if (!(times_ns[i] >= least) || !std::isfinite(times_ns[i])) {
      return invalid_argument("arrival " + std::to_string(i) + " of the trace is at " +
                              std::to_string(times_ns[i]) +
                              " ns: arrivals must be finite and never fall");
    }
  }
  if (times_ns.back() <= times_ns.front()) {
    return invalid_argument("all arrivals of the trace are at once");
  }
  return std::unique_ptr<Arrivals>(new TraceArrivals(times_ns));
}

Result<std::unique_ptr<Arrivals>> periodic_arrivals(double gap_ns) {
  STRATA_RETURN_IF_ERROR(check_length("the gap between arrivals", gap_ns));
  return std::unique_ptr<Arrivals>(new PeriodicArrivals(gap_ns));
}

}  // namespace strata::route
