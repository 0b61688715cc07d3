// Fuzzes the reader of tunings: any bytes are refused or give tunings that are written back as they
// were read. Two targets from this file, as for profiles: fuzz_tuning takes the input as it is,
// fuzz_tuning_sealed makes its checksum right first.
//
//   build/fuzz/fuzz/fuzz_tuning_sealed -max_total_time=60 build/fuzz/corpus/fuzz_tuning_sealed
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <span>
#include <vector>

#include "format/layout.h"
#include "runtime/tuning_file.h"

namespace {

void require(bool condition, const char* what) {
  if (condition) return;
  std::fprintf(stderr, "%s\n", what);
  std::abort();
}

/// With the checksum that the rest asks for.
void seal(std::span<uint8_t> bytes) {
  if (bytes.size() < sizeof(uint64_t)) return;
  const uint64_t sum = strata::format::checksum(bytes.first(bytes.size() - sizeof(uint64_t)));
  std::memcpy(bytes.data() + bytes.size() - sizeof sum, &sum, sizeof sum);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::vector<uint8_t> bytes(data, data + size);
  if (STRATA_FUZZ_SEAL) seal(bytes);
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
