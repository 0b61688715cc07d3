// Tunings on disk: what each was measured with, and what was found for every step. A small file
// beside the model that trusts nothing when it is read, like that of profiles.
//
// Every number is little-endian; docs/format.md has the layout, byte by byte.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/status.h"
#include "runtime/tuning.h"

namespace strata::runtime {

/// What a tuning holds for. Values of weights do not matter, only how many there are: a model that
/// was trained on keeps its tuning.
struct TuningFingerprint {
  uint64_t layers = 0;  ///< checksum over the steps with their sizes and densities
  int threads = 1;
  std::string cpu;    ///< name and instruction set
  std::string build;  ///< version of strata and compiler

  bool operator==(const TuningFingerprint&) const = default;
};

struct StoredTuning {
  TuningFingerprint fingerprint;
  Tuning steps;
};

inline constexpr size_t kMaxStoredTunings = 64;

/// "FILE.tuning": where the tunings of a model are looked for.
std::string tuning_path(const std::string& model_path);

/// Errors: more than kMaxStoredTunings, a tuning of no steps.
Result<std::vector<uint8_t>> encode_tunings(std::span<const StoredTuning> tunings);

/// Any bytes are refused or give tunings that every session can run with. `name` stands for the
/// path in errors.
Result<std::vector<StoredTuning>> decode_tunings(std::span<const uint8_t> bytes,
                                                 const std::string& name);

Result<std::vector<StoredTuning>> read_tunings(const std::string& path);

/// Puts `tuning` into the file at `path`, atomically. It replaces what has the same fingerprint; of
/// too many the oldest goes. A file that cannot be read as tunings is refused, not overwritten.
Status add_tuning(const std::string& path, const StoredTuning& tuning);

/// The tuning for `wanted`. Errors say what the nearest one was measured with instead.
Result<const StoredTuning*> find_tuning(std::span<const StoredTuning> tunings,
                                        const TuningFingerprint& wanted, const std::string& path);

}  // namespace strata::runtime
