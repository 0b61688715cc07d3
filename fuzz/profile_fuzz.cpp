// Fuzzes the reader of profiles: any bytes are refused or give tables that can be written and read
// again, and of which a profile is made or refused. Two targets from this file, as for the model:
// fuzz_profile takes the input as it is, fuzz_profile_sealed makes its checksum right first.
//
//   build/fuzz/fuzz/fuzz_profile_sealed -max_total_time=60 build/fuzz/corpus/fuzz_profile_sealed
#include <cmath>
#include <vector>

#include "fuzz/sealed_bytes.h"
#include "runtime/profile_file.h"

using strata::fuzz::require;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::vector<uint8_t> bytes(data, data + size);
  if (STRATA_FUZZ_SEAL) strata::fuzz::seal(bytes);
  const auto profiles = strata::runtime::decode_profiles(bytes, "fuzz");
  if (!profiles.ok()) return 0;
  const auto again = strata::runtime::encode_profiles(*profiles);
  require(again.ok(), "what was read cannot be written");
  require(*again == bytes, "what was read is written differently");
  for (const strata::runtime::StoredProfile& stored : *profiles) {
    const auto profile = strata::route::Profile::create(stored.table);
    if (!profile.ok()) continue;
    for (int level = 0; level < profile->level_count(); ++level) {
      require(profile->total_ns(level) > 0 && std::isfinite(profile->total_ns(level)),
              "a profile with impossible times was made");
    }
  }
  return 0;
}
