// Fuzzes the reader of .strata files: any bytes are refused or give a sound model that can be
// written and read again. Two targets from this file:
//   fuzz_format         the input as it is: header, level table, checksums
//   fuzz_format_sealed  the input with its checksums made right: what is behind them
//
//   cmake --preset fuzz && cmake --build --preset fuzz
//   build/fuzz/fuzz/fuzz_format_sealed -max_total_time=60 build/fuzz/corpus/fuzz_format_sealed
//
// -max_total_time is in seconds; without it the fuzzer runs until it finds something. The directory
// holds the seeds (format_seeds.cpp) and collects new inputs. To run again what it has found, name
// the file that it left. `./run test --fuzz SECONDS` builds and runs all fuzz targets.
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "format/layout.h"
#include "format/reader.h"
#include "format/writer.h"
#include "sparse/nested_model.h"

namespace {

void require(const strata::Status& status, const char* what) {
  if (status.ok()) return;
  std::fprintf(stderr, "%s: %s\n", what, status.message().c_str());
  std::abort();
}

void check_file(std::span<const uint8_t> bytes) {
  const auto reader = strata::format::Reader::from_bytes(bytes);
  if (!reader.ok()) return;
  const auto nested = (*reader)->read_all();
  if (!nested.ok()) return;
  require(strata::sparse::check(*nested), "an unsound model was accepted");
  const strata::format::ValueType type = (*reader)->value_type();
  const auto file = strata::format::encode(*nested, {type});
  require(file.status(), "what was read cannot be written");
  const auto again = strata::format::Reader::from_bytes(*file);
  require(again.status(), "what was written cannot be opened");
  const auto back = (*again)->read_all();
  require(back.status(), "what was written cannot be read");
  // The scales of a hostile int8 file need not be ones that the writer would choose.
  if (type != strata::format::ValueType::kInt8 && *back != *nested) {
    std::fprintf(stderr, "what was written reads differently\n");
    std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::vector<uint8_t> file(data, data + size);
  if (STRATA_FUZZ_SEAL) strata::format::seal(file);
  check_file(file);
  return 0;
}
