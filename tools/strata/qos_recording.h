// What a live experiment saw, inference by inference, with all that is needed to simulate more of
// it; and the file that keeps it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "route/policy.h"
#include "route/profile.h"
#include "tools/strata/console.h"
#include "tools/strata/qos_load.h"

namespace strata::cli {

/// A policy by the name that the user gives it: those of route::to_string(), and "fixed-K".
/// "adaptive-" before a name turns PolicyOptions::adaptive on. Behind an @ may stand how many nines
/// this one wants: "best-route@2".
struct NamedPolicy {
  std::string name;
  route::PolicyOptions options;
};

/// "fixed-2", "best-route", ... as options; `miss_probability` is wanted of those that can.
/// Throws Error: no such policy, or no such level.
NamedPolicy policy_by_name(const std::string& name, int level_count, double miss_probability);

/// Times in nanoseconds since the load plan began.
struct RecordedInference {
  int policy = 0;  ///< index into QosRecording::policies
  int block = 0;
  bool warm_up = false;    ///< not counted
  bool completed = false;  ///< it was answered, in time or late
  bool missed = false;     ///< late, given up or dropped
  double arrival_ns = 0;
  double start_ns = 0;
  double finish_ns = 0;
  double slowdown = 1;  ///< believed afterwards
  int sentence = -1;    ///< of a translator: index into QosRecording::sentences
  std::string answer;   ///< of a translator: what it said; empty if it gave up
};

/// What a translator is asked, and what its levels make of it without any deadline.
struct RecordedSentence {
  std::string reference;
  std::vector<std::string> level_answers;  ///< [level]
};

struct QosRecording {
  std::string model;
  std::string co_runner;  ///< what ran beside it, for people
  std::string kind;       ///< "none", "cpu", "cache", "memory"
  int workers = 0;
  int batch = 1;
  double deadline_ns = 0;
  double miss_probability = 1e-3;
  std::string metric_source;  ///< where the accuracies come from, for people
  Json machine;
  double block_ns = 0;
  LoadOptions load;
  std::vector<Interval> loaded;  ///< as planned
  route::ProfileTable profile;
  std::vector<NamedPolicy> policies;
  std::vector<RecordedInference> inferences;  ///< in the order in which they ran
  std::vector<uint8_t> levels;  ///< [inference * steps() + step]; 255: the step did not run
  std::vector<float> step_ns;   ///< the same; 0: the step did not run

  /// Of a translator, else empty. `profile` is then that of a typical translation, and an inference
  /// has as many steps as its sentence needs.
  std::vector<RecordedSentence> sentences;
  size_t most_steps = 0;  ///< of a translator: that any sentence can take

  [[nodiscard]] bool translates() const { return !sentences.empty(); }
  /// Room for each inference in `levels` and `step_ns`.
  [[nodiscard]] size_t steps() const {
    return translates() ? most_steps : static_cast<size_t>(profile.step_count);
  }
};

inline constexpr uint8_t kNotRun = 255;

/// One JSON document per line: first the setting, then one inference each. Throws Error.
void write_recording(const std::string& path, const QosRecording& recording);
/// Throws Error: no such file, or not a complete recording.
QosRecording read_recording(const std::string& path);

}  // namespace strata::cli
