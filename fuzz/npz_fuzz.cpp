// Any bytes as a NumPy archive, and as a single array (which no checksum guards): read or refused.
// Run: build/fuzz/fuzz/fuzz_npz build/fuzz/corpus/fuzz_npz
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>

#include "interop/npz.h"

namespace {

void check(const strata::Result<strata::interop::NpyArray>& array) {
  if (!array.ok()) return;
  uint64_t elements = 1;
  for (const int64_t dim : array->shape) elements *= static_cast<uint64_t>(dim);
  if (array->bytes.size() != elements * strata::interop::element_size(array->type)) std::abort();
  if (strata::interop::to_floats(*array).size() != elements) std::abort();
  const auto integers = strata::interop::to_integers(*array, "fuzz");
  if (integers.ok() && integers->size() != elements) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::span<const uint8_t> bytes(data, size);
  check(strata::interop::parse_npy(bytes, "fuzz"));
  const auto archive = strata::interop::NpzArchive::parse(bytes, "fuzz");
  if (!archive.ok()) return 0;
  for (const std::string& name : archive->names()) check(archive->read(name));
  return 0;
}
