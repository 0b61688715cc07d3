#include "tools/strata/qos_recording.h"

#include <charconv>
#include <cmath>
#include <sstream>

#include "tools/strata/output_file.h"
#include "train/data/file.h"
#include "train/error.h"

namespace strata::cli {
namespace {

constexpr int kRecordingSchema = 1;
constexpr const char* kFixedPrefix = "fixed-";
constexpr const char* kAdaptivePrefix = "adaptive-";
constexpr double kNsPerUs = 1e3;
constexpr size_t kMostSteps = 100'000;  // of one translation
constexpr double kLeastNines = 0.1;
constexpr double kMostNines = 9;

double to_us(double ns) { return std::round(ns) / kNsPerUs; }

Json profile_to_json(const route::ProfileTable& table) {
  Json json = {{"threads", table.threads},
               {"step_count", table.step_count},
               {"level_count", table.level_count},
               {"high_quantile", table.high_quantile}};
  json["median_us"] = Json::array();
  json["high_us"] = Json::array();
  for (const route::StepTime& time : table.times) {
    json["median_us"].push_back(to_us(time.median_ns));
    json["high_us"].push_back(to_us(time.high_ns));
  }
  json["level_metrics"] = table.accuracy.levels;
  json["switch_points"] = Json::array();
  for (const route::SwitchPoint& point : table.accuracy.switch_points) {
    json["switch_points"].push_back({point.step, point.from, point.to, point.metric});
  }
  return json;
}

route::ProfileTable profile_from_json(const Json& json) {
  route::ProfileTable table;
  table.threads = json.at("threads").get<int>();
  table.step_count = json.at("step_count").get<int>();
  table.level_count = json.at("level_count").get<int>();
  table.high_quantile = json.at("high_quantile").get<double>();
  const auto medians = json.at("median_us").get<std::vector<double>>();
  const auto highs = json.at("high_us").get<std::vector<double>>();
  for (size_t i = 0; i < medians.size(); ++i) {
    table.times.push_back({medians[i] * kNsPerUs, highs.at(i) * kNsPerUs});
  }
  table.accuracy.levels = json.at("level_metrics").get<std::vector<double>>();
  for (const Json& point : json.at("switch_points")) {
    table.accuracy.switch_points.push_back({point.at(0).get<int>(), point.at(1).get<int>(),
                                            point.at(2).get<int>(), point.at(3).get<double>()});
  }
  return table;
}

Json setting_to_json(const QosRecording& recording) {
  Json json = {{"recording", "strata qos"},
               {"schema", kRecordingSchema},
               {"model", recording.model},
               {"co_runner", recording.co_runner},
               {"kind", recording.kind},
               {"workers", recording.workers},
               {"batch", recording.batch},
               {"deadline_us", to_us(recording.deadline_ns)},
               {"miss_probability", recording.miss_probability},
               {"metric_source", recording.metric_source},
               {"machine", recording.machine},
               {"block_us", to_us(recording.block_ns)},
               {"load", to_json(recording.load)}};
  json["loaded_us"] = Json::array();
  for (const Interval& interval : recording.loaded) {
    json["loaded_us"].push_back({to_us(interval.begin_ns), to_us(interval.end_ns)});
  }
  json["policies"] = Json::array();
  for (const NamedPolicy& policy : recording.policies) json["policies"].push_back(policy.name);
  json["profile"] = profile_to_json(recording.profile);
  json["inferences"] = recording.inferences.size();
  if (!recording.translates()) return json;
  json["most_steps"] = recording.most_steps;
  for (const RecordedSentence& sentence : recording.sentences) {
    json["sentences"].push_back(
        {{"reference", sentence.reference}, {"levels", sentence.level_answers}});
  }
  return json;
}

std::string inference_line(const QosRecording& recording, size_t index) {
  const RecordedInference& inference = recording.inferences[index];
  Json json = {{"p", inference.policy},
               {"b", inference.block},
               {"w", inference.warm_up ? 1 : 0},
               {"done", inference.completed ? 1 : 0},
               {"miss", inference.missed ? 1 : 0},
               {"at_us", to_us(inference.arrival_ns)},
               {"start_us", to_us(inference.start_ns)},
               {"end_us", to_us(inference.finish_ns)},
               {"slow", std::round(inference.slowdown * 1e4) / 1e4}};
  if (recording.translates()) {
    json["sentence"] = inference.sentence;
    json["answer"] = inference.answer;
  }
  std::string levels;
  Json times = Json::array();
  for (size_t i = index * recording.steps(); i < (index + 1) * recording.steps(); ++i) {
    levels += recording.levels[i] == kNotRun
                  ? '-'
                  : "0123456789abcdef"[recording.levels[i] % route::kMaxLevels];
    times.push_back(to_us(recording.step_ns[i]));
  }
  json["levels"] = levels;
  json["step_us"] = std::move(times);
  return json.dump() + '\n';
}

uint8_t level_of(char letter) {
  if (letter >= '0' && letter <= '9') return static_cast<uint8_t>(letter - '0');
  if (letter >= 'a' && letter <= 'f') return static_cast<uint8_t>(letter - 'a' + 10);
  return kNotRun;
}

/// What only a translator's recording has.
void read_sentences(QosRecording& recording, const Json& json) {
  if (!json.contains("sentences")) return;
  recording.most_steps = json.at("most_steps").get<size_t>();
  if (recording.most_steps < 1 || recording.most_steps > kMostSteps) {
    throw Error("translations of " + std::to_string(recording.most_steps) +
                " steps are not possible");
  }
  for (const Json& entry : json.at("sentences")) {
    RecordedSentence& sentence = recording.sentences.emplace_back();
    sentence.reference = entry.at("reference").get<std::string>();
    sentence.level_answers = entry.at("levels").get<std::vector<std::string>>();
    if (sentence.level_answers.size() != static_cast<size_t>(recording.profile.level_count)) {
      throw Error("a sentence does not have a translation of every level");
    }
  }
}

void read_setting(QosRecording& recording, const Json& json, const std::string& path) {
  if (json.value("recording", "") != "strata qos" || json.value("schema", 0) != kRecordingSchema) {
    throw Error("'" + path +
                "' is no recording that this strata reads; make one with 'strata qos "
                "... --record " +
                path + "'");
  }
  recording.model = json.at("model").get<std::string>();
  recording.co_runner = json.at("co_runner").get<std::string>();
  recording.kind = json.at("kind").get<std::string>();
  recording.workers = json.at("workers").get<int>();
  recording.batch = json.at("batch").get<int>();
  recording.deadline_ns = json.at("deadline_us").get<double>() * kNsPerUs;
  recording.miss_probability = json.at("miss_probability").get<double>();
  recording.metric_source = json.at("metric_source").get<std::string>();
  recording.machine = json.at("machine");
  recording.block_ns = json.at("block_us").get<double>() * kNsPerUs;
  recording.load = load_options_from(json.at("load"));
  for (const Json& interval : json.at("loaded_us")) {
    recording.loaded.push_back(
        {interval.at(0).get<double>() * kNsPerUs, interval.at(1).get<double>() * kNsPerUs});
  }
  recording.profile = profile_from_json(json.at("profile"));
  // Checks the counts that the lines below are read by.
  throw_if_error(route::Profile::create(recording.profile).status());
  read_sentences(recording, json);
  for (const Json& name : json.at("policies")) {
    recording.policies.push_back(policy_by_name(
        name.get<std::string>(), recording.profile.level_count, recording.miss_probability));
  }
}

void read_inference(QosRecording& recording, const Json& json) {
  RecordedInference inference;
  inference.policy = json.at("p").get<int>();
  inference.block = json.at("b").get<int>();
  inference.warm_up = json.at("w").get<int>() != 0;
  inference.completed = json.at("done").get<int>() != 0;
  inference.missed = json.at("miss").get<int>() != 0;
  inference.arrival_ns = json.at("at_us").get<double>() * kNsPerUs;
  inference.start_ns = json.at("start_us").get<double>() * kNsPerUs;
  inference.finish_ns = json.at("end_us").get<double>() * kNsPerUs;
  inference.slowdown = json.at("slow").get<double>();
  const auto levels = json.at("levels").get<std::string>();
  const auto times = json.at("step_us").get<std::vector<double>>();
  const bool known_policy =
      inference.policy >= 0 && inference.policy < static_cast<int>(recording.policies.size());
  if (!known_policy || levels.size() != recording.steps() || times.size() != recording.steps()) {
    throw Error("an inference does not fit the setting");
  }
  if (recording.translates()) {
    inference.sentence = json.at("sentence").get<int>();
    inference.answer = json.at("answer").get<std::string>();
    if (inference.sentence < 0 ||
        inference.sentence >= static_cast<int>(recording.sentences.size())) {
      throw Error("an inference is of a sentence that the setting lacks");
    }
  }
  // Sentences differ in length; any other inference that was completed ran every step.
  const bool is_whole = inference.completed && !recording.translates();
  for (size_t i = 0; i < levels.size(); ++i) {
    const uint8_t level = level_of(levels[i]);
    const bool is_level = level == kNotRun || level < recording.profile.level_count;
    if (!is_level || !(times[i] >= 0) || (is_whole && level == kNotRun)) {
      throw Error("an inference has a level that the model lacks, or a step without a time");
    }
    recording.levels.push_back(level);
    recording.step_ns.push_back(static_cast<float>(times[i] * kNsPerUs));
  }
  recording.inferences.push_back(inference);
}

/// The wanted nines behind the @ of a policy's name.
double nines_in(const std::string& number, const std::string& name) {
  double nines = 0;
  const auto [end, failure] = std::from_chars(number.data(), number.data() + number.size(), nines);
  if (failure != std::errc() || end != number.data() + number.size() ||
      !(nines >= kLeastNines && nines <= kMostNines)) {
    throw Error("policy '" + name + "' asks for '" + number +
                "' nines; best-route@2.5 is how to ask for 2.5");
  }
  return nines;
}

}  // namespace

NamedPolicy policy_by_name(const std::string& name, int level_count, double miss_probability) {
  NamedPolicy policy;
  policy.name = name;
  policy.options.miss_probability = miss_probability;
  if (const size_t at = name.find('@'); at != std::string::npos) {
    policy.options.miss_probability = std::pow(10.0, -nines_in(name.substr(at + 1), name));
  }
  std::string base = name.substr(0, name.find('@'));
  if (base.starts_with(kAdaptivePrefix)) {
    base = base.substr(std::string(kAdaptivePrefix).size());
    policy.options.adaptive = true;
  }
  if (base.starts_with(kFixedPrefix)) {
    const std::string number = base.substr(std::string(kFixedPrefix).size());
    const auto [end, failure] =
        std::from_chars(number.data(), number.data() + number.size(), policy.options.level);
    if (failure != std::errc() || end != number.data() + number.size() ||
        policy.options.level < 0 || policy.options.level >= level_count) {
      throw Error("policy '" + name + "' names no level of this model; it has fixed-0 to fixed-" +
                  std::to_string(level_count - 1));
    }
    policy.options.kind = route::PolicyKind::kFixed;
    return policy;
  }
  policy.options.kind = value_or_throw(route::policy_kind(base));
  if (policy.options.kind == route::PolicyKind::kFixed) {
    policy.options.level = level_count - 1;
    policy.name = kFixedPrefix + std::to_string(level_count - 1);
  }
  return policy;
}

void write_recording(const std::string& path, const QosRecording& recording) {
  std::string text = setting_to_json(recording).dump() + '\n';
  for (size_t i = 0; i < recording.inferences.size(); ++i) text += inference_line(recording, i);
  write_text(path, text);
}

QosRecording read_recording(const std::string& path) {
  const std::vector<uint8_t> bytes = data::read_file(path);
  std::istringstream lines(std::string(bytes.begin(), bytes.end()));
  QosRecording recording;
  size_t number = 0;
  size_t wanted = 0;
  try {
    for (std::string line; std::getline(lines, line); ++number) {
      const Json json = Json::parse(line);
      if (number == 0) {
        read_setting(recording, json, path);
        wanted = json.at("inferences").get<size_t>();
      } else {
        read_inference(recording, json);
      }
    }
  } catch (const Json::exception& error) {
    throw Error("'" + path + "', line " + std::to_string(number + 1) +
                ", is no part of a recording of strata qos");
  } catch (const Error& error) {
    throw Error("'" + path + "', line " + std::to_string(number + 1) + ": " + error.what());
  }
  if (number == 0 || recording.inferences.size() != wanted) {
    throw Error("'" + path + "' is cut off: it has " + std::to_string(recording.inferences.size()) +
                " of " + std::to_string(wanted) + " inferences");
  }
  return recording;
}

}  // namespace strata::cli
