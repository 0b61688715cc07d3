// Fuzzes the import of ONNX: any bytes are refused or give a sound model that can be exported and
// imported again.
//
//   cmake --preset fuzz && cmake --build --preset fuzz
//   build/fuzz/fuzz/fuzz_onnx_import -max_total_time=60 build/fuzz/corpus/fuzz_onnx_import
//
// The directory holds the seeds (onnx_seeds.cpp) and collects new inputs.
#include <cstdio>
#include <cstdlib>
#include <string>

#include "interop/onnx_export.h"
#include "interop/onnx_import.h"
#include "sparse/nested_model.h"

namespace {

void require(const strata::Status& status, const char* what) {
  if (status.ok()) return;
  std::fprintf(stderr, "%s: %s\n", what, status.message().c_str());
  std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto nested = strata::interop::import_onnx_bytes({data, size}, "fuzz");
  if (!nested.ok()) return 0;
  require(strata::sparse::check(*nested), "an unsound model was imported");
  const auto bytes = strata::interop::export_onnx(*nested, 0);
  require(bytes.status(), "what was imported cannot be exported");
  const auto again = strata::interop::import_onnx_bytes(
      {reinterpret_cast<const uint8_t*>(bytes->data()), bytes->size()}, "again");
  require(again.status(), "what was exported cannot be imported");
  return 0;
}
