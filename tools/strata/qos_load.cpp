#include "tools/strata/qos_load.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <sstream>
#include <string_view>

#include "route/random.h"
#include "train/data/file.h"
#include "train/error.h"

namespace strata::cli {
namespace {

constexpr double kNsPerSecond = 1e9;
constexpr double kNsPerMs = 1e6;
constexpr uint64_t kBurstPurpose = 77;  // a random stream of its own

// A bursty source: four times as many requests while a burst lasts, a fifth of the time.
constexpr double kBurstFactor = 4;
constexpr double kCalmSeconds = 0.8;
constexpr double kBurstSeconds = 0.2;

bool is_generated(const std::string& arrivals) {
  return arrivals == "poisson" || arrivals == "bursty" || arrivals == "periodic";
}

/// One arrival in seconds a line; what follows a # is a remark.
std::vector<double> read_trace(const std::string& path) {
  const std::vector<uint8_t> bytes = data::read_file(path);
  std::istringstream lines(std::string(bytes.begin(), bytes.end()));
  std::vector<double> times;
  int number = 0;
  for (std::string line; std::getline(lines, line);) {
    ++number;
    line.resize(std::min(line.size(), line.find('#')));
    const size_t begin = line.find_first_not_of(" \t\r");
    if (begin == std::string::npos) continue;
    const std::string word = line.substr(begin, line.find_last_not_of(" \t\r") + 1 - begin);
    double seconds = 0;
    const auto [end, failure] = std::from_chars(word.data(), word.data() + word.size(), seconds);
    if (failure != std::errc() || end != word.data() + word.size()) {
      std::string message = "'" + path + "', line " + std::to_string(number) + ": '";
      message += word;
      message += "' is no arrival time; a trace has one time in seconds on each line";
      throw Error(message);
    }
    times.push_back(seconds * kNsPerSecond);
  }
  return times;
}

std::vector<Interval> plan_bursts(const LoadOptions& options, double length_ns) {
  route::Random random(options.seed, kBurstPurpose);
  std::vector<Interval> loaded;
  double now = random.exponential(options.burst_off_ms * kNsPerMs);
  while (now < length_ns) {
    const double end = now + random.exponential(options.burst_on_ms * kNsPerMs);
    loaded.push_back({now, std::min(end, length_ns)});
    now = end + random.exponential(options.burst_off_ms * kNsPerMs);
  }
  return loaded;
}

}  // namespace

const char* to_string(Pattern pattern) {
  switch (pattern) {
    case Pattern::kOff:
      return "off";
    case Pattern::kOn:
      return "on";
    case Pattern::kBursts:
      return "bursts";
  }
  return "off";
}

std::unique_ptr<route::Arrivals> make_arrivals(const LoadOptions& options, uint64_t seed) {
  if (!is_generated(options.arrivals)) {
    auto arrivals = route::trace_arrivals(read_trace(options.arrivals));
    if (!arrivals.ok()) {
      throw Error("the trace '" + options.arrivals +
                  "' is refused: " + arrivals.status().message());
    }
    return std::move(arrivals).value();
  }
  const double gap_ns = kNsPerSecond / options.rate_per_second;
  if (options.arrivals == "periodic") return value_or_throw(route::periodic_arrivals(gap_ns));
  if (options.arrivals == "poisson") return value_or_throw(route::poisson_arrivals(gap_ns, seed));
  const double burst_share = kBurstSeconds / (kBurstSeconds + kCalmSeconds);
  const double calm_gap = gap_ns * (1 - burst_share + burst_share * kBurstFactor);
  return value_or_throw(
      route::bursty_arrivals({calm_gap, calm_gap / kBurstFactor, kCalmSeconds * kNsPerSecond,
                              kBurstSeconds * kNsPerSecond},
                             seed));
}

LoadPlan plan_load(const LoadOptions& options, double seconds) {
  LoadPlan plan;
  plan.length_ns = seconds * kNsPerSecond;
  const auto arrivals = make_arrivals(options, options.seed);
  double at = arrivals->next_ns();
  while (at < plan.length_ns) {
    plan.arrivals_ns.push_back(at);
    at = arrivals->next_ns();
  }
  if (plan.arrivals_ns.empty()) {
    throw Error("no request arrives within the experiment; make it longer or the rate higher");
  }
  if (options.pattern == Pattern::kOn) plan.loaded.push_back({0, plan.length_ns});
  if (options.pattern == Pattern::kBursts) plan.loaded = plan_bursts(options, plan.length_ns);
  return plan;
}

double trace_rate(const std::string& path) {
  const std::vector<double> times = read_trace(path);
  if (times.size() < 2 || times.back() <= times.front()) {
    throw Error("the trace '" + path + "' has fewer than two different arrival times");
  }
  return static_cast<double>(times.size() - 1) / (times.back() - times.front()) * kNsPerSecond;
}

Json to_json(const LoadOptions& options) {
  return {{"arrivals", options.arrivals},          {"rate_per_second", options.rate_per_second},
          {"pattern", to_string(options.pattern)}, {"burst_on_ms", options.burst_on_ms},
          {"burst_off_ms", options.burst_off_ms},  {"seed", options.seed}};
}

LoadOptions load_options_from(const Json& json) {
  LoadOptions options;
  options.arrivals = json.at("arrivals").get<std::string>();
  options.rate_per_second = json.at("rate_per_second").get<double>();
  const auto pattern = json.at("pattern").get<std::string>();
  options.pattern = pattern == "on" ? Pattern::kOn : Pattern::kOff;
  if (pattern == "bursts") options.pattern = Pattern::kBursts;
  options.burst_on_ms = json.at("burst_on_ms").get<double>();
  options.burst_off_ms = json.at("burst_off_ms").get<double>();
  options.seed = json.at("seed").get<uint64_t>();
  const bool plausible = options.rate_per_second > 0 && std::isfinite(options.rate_per_second);
  if (!plausible) throw Error("the recording has a rate of requests that is not above zero");
  return options;
}

}  // namespace strata::cli
