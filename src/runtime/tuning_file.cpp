#include "runtime/tuning_file.h"

#include <algorithm>
#include <array>
#include <iterator>

#include "route/profile.h"
#include "runtime/record_file.h"

namespace strata::runtime {
namespace {

constexpr RecordFormat kFormat = {.magic = {0x89, 'S', 'T', 'R', 'T', 'U', 'N', '\n'},
                                  .version = 1,
                                  .record = "tuning",
                                  .again = "tune again with 'strata tune'",
                                  .most = kMaxStoredTunings};
constexpr uint32_t kMaxThreads = 1024;
constexpr uint32_t kMaxSteps = 1U << 20;
constexpr auto kMaxLevels = static_cast<uint32_t>(route::kMaxLevels);
constexpr size_t kStepSize = 2 * sizeof(uint32_t);
constexpr size_t kLevelSize = 2 * sizeof(uint32_t);

Status damaged(const std::string& name, const std::string& why) {
  return damaged_records(kFormat, name, why);
}

Result<StoredTuning> read_tuning(FieldReader& fields, const std::string& name) {
  StoredTuning tuning;
  tuning.fingerprint.layers = fields.read<uint64_t>();
  const auto threads = fields.read<uint32_t>();
  const auto steps = fields.read<uint32_t>();
  const auto levels = fields.read<uint32_t>();
  const auto cpu_size = fields.read<uint32_t>();
  const auto build_size = fields.read<uint32_t>();
  const auto zero = fields.read<uint32_t>();
  const bool possible = threads >= 1 && threads <= kMaxThreads && steps >= 1 &&
                        steps <= kMaxSteps && levels >= 1 && levels <= kMaxLevels &&
                        cpu_size <= kMaxRecordText && build_size <= kMaxRecordText && zero == 0;
  if (fields.failed() || !possible) return damaged(name, "a tuning has impossible counts");
  tuning.fingerprint.threads = static_cast<int>(threads);
  tuning.fingerprint.cpu = fields.read_text(cpu_size);
  tuning.fingerprint.build = fields.read_text(build_size);
  if (!fields.claim(steps, kStepSize + levels * kLevelSize)) {
    return damaged(name, "it ends within the steps");
  }
  for (uint32_t i = 0; i < steps; ++i) {
    StepTuning& step = tuning.steps.emplace_back();
    step.alone = fields.read<int32_t>();
    step.first_dense_level = fields.read<int32_t>();
    bool valid = step.alone >= 0 && step.alone <= static_cast<int32_t>(levels) &&
                 step.first_dense_level >= -1 &&
                 step.first_dense_level <= static_cast<int32_t>(levels);
    for (uint32_t level = 0; level < levels; ++level) {
      LevelTuning& cut = step.levels.emplace_back();
      cut.tile_blocks = fields.read<int32_t>();
      cut.slice_kib = fields.read<int32_t>();
      valid = valid && cut.tile_blocks >= 0 && cut.tile_blocks <= kMaxTunedTile &&
              cut.slice_kib >= 0 && cut.slice_kib <= kMaxTunedSliceKib;
    }
    if (!valid) return damaged(name, "a step has an impossible choice");
  }
  return tuning;
}

void append_tuning(std::vector<uint8_t>& bytes, const StoredTuning& tuning) {
  const TuningFingerprint& fingerprint = tuning.fingerprint;
  const std::string cpu = fingerprint.cpu.substr(0, kMaxRecordText);
  const std::string build = fingerprint.build.substr(0, kMaxRecordText);
  size_t levels = 1;
  for (const StepTuning& step : tuning.steps) levels = std::max(levels, step.levels.size());
  append_field(bytes, fingerprint.layers);
  for (const size_t value : {static_cast<size_t>(fingerprint.threads), tuning.steps.size(), levels,
                             cpu.size(), build.size(), size_t{0}}) {
    append_field(bytes, static_cast<uint32_t>(value));
  }
  append_text(bytes, cpu);
  append_text(bytes, build);
  for (const StepTuning& step : tuning.steps) {
    append_field(bytes, step.alone);
    append_field(bytes, step.first_dense_level);
    for (size_t level = 0; level < levels; ++level) {
      const LevelTuning cut = level < step.levels.size() ? step.levels[level] : LevelTuning();
      append_field(bytes, cut.tile_blocks);
      append_field(bytes, cut.slice_kib);
    }
  }
}

}  // namespace

std::string tuning_path(const std::string& model_path) { return model_path + ".tuning"; }

Result<std::vector<uint8_t>> encode_tunings(std::span<const StoredTuning> tunings) {
  STRATA_ASSIGN_OR_RETURN(std::vector<uint8_t> bytes, begin_records(kFormat, tunings.size()));
  for (const StoredTuning& tuning : tunings) {
    if (tuning.steps.empty() || tuning.steps.size() > kMaxSteps || tuning.fingerprint.threads < 1) {
      return invalid_argument("a tuning of " + std::to_string(tuning.steps.size()) +
                              " steps cannot be stored");
    }
    append_tuning(bytes, tuning);
  }
  seal_records(bytes);
  return bytes;
}

Result<std::vector<StoredTuning>> decode_tunings(std::span<const uint8_t> bytes,
                                                 const std::string& name) {
  return decode_records<StoredTuning>(kFormat, bytes, name, read_tuning);
}

Result<std::vector<StoredTuning>> read_tunings(const std::string& path) {
  STRATA_ASSIGN_OR_RETURN(const MappedFile file, MappedFile::open(path));
  return decode_tunings(file.bytes(), path);
}

Status add_tuning(const std::string& path, const StoredTuning& tuning) {
  const auto gives_way = [&tuning](const StoredTuning& old) {
    return old.fingerprint == tuning.fingerprint;
  };
  STRATA_ASSIGN_OR_RETURN(const std::vector<StoredTuning> tunings,
                          with_record(kFormat, read_tunings(path), tuning, gives_way));
  STRATA_ASSIGN_OR_RETURN(const std::vector<uint8_t> bytes, encode_tunings(tunings));
  const std::array<std::span<const uint8_t>, 1> parts = {bytes};
  return write_file_atomically(path, parts);
}

Result<const StoredTuning*> find_tuning(std::span<const StoredTuning> tunings,
                                        const TuningFingerprint& wanted, const std::string& path) {
  // How many of the fields, from the weightiest on, are as wanted.
  const auto likeness = [&wanted](const TuningFingerprint& other) {
    const bool same[] = {other.cpu == wanted.cpu, other.build == wanted.build,
                         other.layers == wanted.layers, other.threads == wanted.threads};
    return std::find(std::begin(same), std::end(same), false) - std::begin(same);
  };
  const StoredTuning* nearest = nearest_record(tunings, likeness);
  if (nearest != nullptr && nearest->fingerprint == wanted) return nearest;
  if (nearest == nullptr) return failed_precondition("'" + path + "' holds no tuning");
  const TuningFingerprint& other = nearest->fingerprint;
  const std::string was = "the tuning in '" + path + "' is ";
  switch (likeness(other)) {
    case 0:
      return failed_precondition(was + "of '" + other.cpu + "', this is '" + wanted.cpu + "'");
    case 1:
      return failed_precondition(was + "of the build '" + other.build + "', this is '" +
                                 wanted.build + "'");
    case 2:
      return failed_precondition(was + "of other layers, densities, levels or another batch");
    default:
      return failed_precondition(was + "for " + std::to_string(other.threads) +
                                 (other.threads == 1 ? " thread" : " threads") +
                                 ", the session has " + std::to_string(wanted.threads));
  }
}

}  // namespace strata::runtime
