#include "runtime/profile_file.h"

#include <algorithm>
#include <array>
#include <iterator>

#include "runtime/record_file.h"

namespace strata::runtime {
namespace {

constexpr RecordFormat kFormat = {.magic = {0x89, 'S', 'T', 'R', 'P', 'R', 'F', '\n'},
                                  .version = 1,
                                  .record = "profile",
                                  .again = "measure again with 'strata profile'",
                                  .most = kMaxStoredProfiles};
constexpr uint32_t kMaxSteps = 1U << 20;
constexpr uint32_t kMaxSwitchPoints = 1U << 24;

Status damaged(const std::string& name, const std::string& why) {
  return damaged_records(kFormat, name, why);
}

constexpr size_t kTimeSize = 2 * sizeof(double);
constexpr size_t kSwitchPointSize = 4 * sizeof(uint32_t) + sizeof(double);

Result<StoredProfile> read_profile(FieldReader& cursor, const std::string& name) {
  StoredProfile profile;
  profile.fingerprint.model = cursor.read<uint64_t>();
  profile.fingerprint.graph = cursor.read<uint64_t>();
  const auto threads = cursor.read<uint32_t>();
  const auto steps = cursor.read<uint32_t>();
  const auto levels = cursor.read<uint32_t>();
  const auto level_metrics = cursor.read<uint32_t>();
  const auto switch_points = cursor.read<uint32_t>();
  const auto cpu_size = cursor.read<uint32_t>();
  const auto build_size = cursor.read<uint32_t>();
  const auto zero = cursor.read<uint32_t>();
  route::ProfileTable& table = profile.table;
  table.high_quantile = cursor.read<double>();
  const bool possible = threads >= 1 && threads <= 1024 && steps >= 1 && steps <= kMaxSteps &&
                        levels >= 1 && levels <= static_cast<uint32_t>(route::kMaxLevels) &&
                        (level_metrics == 0 || level_metrics == levels) &&
                        switch_points <= kMaxSwitchPoints && cpu_size <= kMaxRecordText &&
                        build_size <= kMaxRecordText && zero == 0;
  if (cursor.failed() || !possible) return damaged(name, "a profile has impossible counts");
  profile.fingerprint.threads = table.threads = static_cast<int>(threads);
  table.step_count = static_cast<int>(steps);
  table.level_count = static_cast<int>(levels);
  profile.fingerprint.cpu = cursor.read_text(cpu_size);
  profile.fingerprint.build = cursor.read_text(build_size);
  const size_t times = size_t{steps} * levels;
  if (!cursor.claim(times, kTimeSize)) return damaged(name, "it ends within the times");
  for (size_t i = 0; i < times; ++i) {
    const auto median = cursor.read<double>();
    table.times.push_back({median, cursor.read<double>()});
  }
  for (uint32_t i = 0; i < level_metrics; ++i) {
    table.accuracy.levels.push_back(cursor.read<double>());
  }
  if (!cursor.claim(switch_points, kSwitchPointSize)) {
    return damaged(name, "it ends within the switch points");
  }
  for (uint32_t i = 0; i < switch_points; ++i) {
    route::SwitchPoint point;
    point.step = cursor.read<int32_t>();
    point.from = cursor.read<int32_t>();
    point.to = cursor.read<int32_t>();
    if (cursor.read<uint32_t>() != 0) return damaged(name, "a reserved field is not zero");
    point.metric = cursor.read<double>();
    table.accuracy.switch_points.push_back(point);
  }
  if (cursor.failed()) return damaged(name, "it ends within a profile");
  return profile;
}

Status check_encodable(const StoredProfile& profile) {
  const route::ProfileTable& table = profile.table;
  const auto steps = static_cast<size_t>(std::max(table.step_count, 0));
  const auto levels = static_cast<size_t>(std::max(table.level_count, 0));
  if (steps < 1 || steps > kMaxSteps || levels < 1 ||
      levels > static_cast<size_t>(route::kMaxLevels) || table.times.size() != steps * levels ||
      (!table.accuracy.levels.empty() && table.accuracy.levels.size() != levels) ||
      table.accuracy.switch_points.size() > kMaxSwitchPoints || profile.fingerprint.threads < 1) {
    return invalid_argument("a profile of " + std::to_string(table.step_count) + " steps and " +
                            std::to_string(table.level_count) + " levels with " +
                            std::to_string(table.times.size()) + " times cannot be stored");
  }
  return {};
}

void append_profile(std::vector<uint8_t>& bytes, const StoredProfile& profile) {
  const route::ProfileTable& table = profile.table;
  const std::string cpu = profile.fingerprint.cpu.substr(0, kMaxRecordText);
  const std::string build = profile.fingerprint.build.substr(0, kMaxRecordText);
  append_field(bytes, profile.fingerprint.model);
  append_field(bytes, profile.fingerprint.graph);
  for (const size_t value :
       {static_cast<size_t>(profile.fingerprint.threads), static_cast<size_t>(table.step_count),
        static_cast<size_t>(table.level_count), table.accuracy.levels.size(),
        table.accuracy.switch_points.size(), cpu.size(), build.size()}) {
    append_field(bytes, static_cast<uint32_t>(value));
  }
  append_field(bytes, uint32_t{0});
  append_field(bytes, table.high_quantile);
  append_text(bytes, cpu);
  append_text(bytes, build);
  for (const route::StepTime& time : table.times) {
    append_field(bytes, time.median_ns);
    append_field(bytes, time.high_ns);
  }
  for (const double metric : table.accuracy.levels) append_field(bytes, metric);
  for (const route::SwitchPoint& point : table.accuracy.switch_points) {
    append_field(bytes, static_cast<int32_t>(point.step));
    append_field(bytes, static_cast<int32_t>(point.from));
    append_field(bytes, static_cast<int32_t>(point.to));
    append_field(bytes, uint32_t{0});
    append_field(bytes, point.metric);
  }
}

}  // namespace

std::string profile_path(const std::string& model_path) { return model_path + ".profile"; }

Result<std::vector<uint8_t>> encode_profiles(std::span<const StoredProfile> profiles) {
  STRATA_ASSIGN_OR_RETURN(std::vector<uint8_t> bytes, begin_records(kFormat, profiles.size()));
  for (const StoredProfile& profile : profiles) {
    STRATA_RETURN_IF_ERROR(check_encodable(profile));
    append_profile(bytes, profile);
  }
  seal_records(bytes);
  return bytes;
}

Result<std::vector<StoredProfile>> decode_profiles(std::span<const uint8_t> bytes,
                                                   const std::string& name) {
  return decode_records<StoredProfile>(kFormat, bytes, name, read_profile);
}

Result<std::vector<StoredProfile>> read_profiles(const std::string& path) {
  STRATA_ASSIGN_OR_RETURN(const MappedFile file, MappedFile::open(path));
  return decode_profiles(file.bytes(), path);
}

Status add_profile(const std::string& path, const StoredProfile& profile) {
  const auto gives_way = [&profile](const StoredProfile& old) {
    return old.fingerprint == profile.fingerprint ||
           old.fingerprint.model != profile.fingerprint.model;
  };
  STRATA_ASSIGN_OR_RETURN(const std::vector<StoredProfile> profiles,
                          with_record(kFormat, read_profiles(path), profile, gives_way));
  STRATA_ASSIGN_OR_RETURN(const std::vector<uint8_t> bytes, encode_profiles(profiles));
  const std::array<std::span<const uint8_t>, 1> parts = {bytes};
  return write_file_atomically(path, parts);
}

Result<const StoredProfile*> find_profile(std::span<const StoredProfile> profiles,
                                          const ProfileFingerprint& wanted,
                                          const std::string& path) {
  // How many of the fields, from the weightiest on, are as wanted.
  const auto likeness = [&wanted](const ProfileFingerprint& other) {
    const bool same[] = {other.model == wanted.model, other.cpu == wanted.cpu,
                         other.build == wanted.build, other.graph == wanted.graph,
                         other.threads == wanted.threads};
    return std::find(std::begin(same), std::end(same), false) - std::begin(same);
  };
  const StoredProfile* nearest = nearest_record(profiles, likeness);
  if (nearest != nullptr && nearest->fingerprint == wanted) return nearest;
  const std::string remedy = "; measure one with 'strata profile'";
  if (nearest == nullptr) return failed_precondition("'" + path + "' holds no profile" + remedy);
  const ProfileFingerprint& other = nearest->fingerprint;
  const std::string was = "the profile in '" + path + "' was measured ";
  switch (likeness(other)) {
    case 0:
      return failed_precondition(was + "for another model" + remedy);
    case 1:
      return failed_precondition(was + "on '" + other.cpu + "', this is '" + wanted.cpu + "'" +
                                 remedy);
    case 2:
      return failed_precondition(was + "with the build '" + other.build + "', this is '" +
                                 wanted.build + "'" + remedy);
    case 3:
      return failed_precondition(was + "for another graph or batch of the model" + remedy);
    default:
      return failed_precondition(was + "with " + std::to_string(other.threads) +
                                 (other.threads == 1 ? " thread" : " threads") +
                                 ", the session has " + std::to_string(wanted.threads) + remedy);
  }
}

}  // namespace strata::runtime
