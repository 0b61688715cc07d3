// Profiles on disk: what each was measured with, the times, and the accuracies if known. A small
// file beside the model that trusts nothing when it is read, like the model's own.
//
// Every number is little-endian; docs/format.md has the layout, byte by byte.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/status.h"
#include "route/profile.h"

namespace strata::runtime {

/// What a profile holds for. The times of anything else say nothing.
struct ProfileFingerprint {
  uint64_t model = 0;  ///< format::Reader::identity(); 0: a model in memory
  uint64_t graph = 0;  ///< checksum over the steps with their sizes: graph, batch
  int threads = 1;
  std::string cpu;    ///< name and instruction set
  std::string build;  ///< version of strata and compiler

  bool operator==(const ProfileFingerprint&) const = default;
};

struct StoredProfile {
  ProfileFingerprint fingerprint;
  route::ProfileTable table;  ///< its `threads` are the fingerprint's
};

inline constexpr size_t kMaxStoredProfiles = 64;

/// "FILE.profile": where the profiles of a model are looked for.
std::string profile_path(const std::string& model_path);

/// Errors: more than kMaxStoredProfiles, a table whose counts do not fit its vectors.
Result<std::vector<uint8_t>> encode_profiles(std::span<const StoredProfile> profiles);

/// Any bytes are refused or give tables whose counts fit; times are taken as they are, since
/// route::Profile repairs them. `name` stands for the path in errors.
Result<std::vector<StoredProfile>> decode_profiles(std::span<const uint8_t> bytes,
                                                   const std::string& name);

Result<std::vector<StoredProfile>> read_profiles(const std::string& path);

/// Puts `profile` into the file at `path`, atomically. It replaces what has the same fingerprint
/// and what belongs to another model; other threads, batches and devices stay. A file that cannot
/// be read as profiles is refused, not overwritten.
Status add_profile(const std::string& path, const StoredProfile& profile);

/// The profile for `wanted`. Errors say what the nearest one was measured with instead, and how to
/// measure again.
Result<const StoredProfile*> find_profile(std::span<const StoredProfile> profiles,
                                          const ProfileFingerprint& wanted,
                                          const std::string& path);

}  // namespace strata::runtime
