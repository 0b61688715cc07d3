// Fuzzes the reader of tunings: any bytes are refused or give tunings that are written back as they
// were read. Two targets from this file, as for profiles: fuzz_tuning takes the input as it is,
// fuzz_tuning_sealed makes its checksum right first.
//
//   build/fuzz/fuzz/fuzz_tuning_sealed -max_total_time=60 build/fuzz/corpus/fuzz_tuning_sealed
#include <vector>

#include "fuzz/sealed_bytes.h"
#include "runtime/tuning_file.h"

using strata::fuzz::require;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::vector<uint8_t> bytes(data, data + size);
  if (STRATA_FUZZ_SEAL) strata::fuzz::seal(bytes);
  const auto tunings = strata::runtime::decode_tunings(bytes, "fuzz");
  if (!tunings.ok()) return 0;
  const auto again = strata::runtime::encode_tunings(*tunings);
  require(again.ok(), "what was read cannot be written");
  require(*again == bytes, "what was read is written differently");
  for (const strata::runtime::StoredTuning& tuning : *tunings) {
    require(strata::runtime::find_tuning(*tunings, tuning.fingerprint, "fuzz").ok(),
            "what was read is not found");
  }
  return 0;
}
