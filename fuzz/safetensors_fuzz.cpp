// Any bytes as a safetensors file: read or refused.
// Run: build/fuzz/fuzz/fuzz_safetensors build/fuzz/corpus/fuzz_safetensors
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string>

#include "interop/safetensors.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto file = strata::interop::SafetensorsFile::parse({data, size}, "fuzz");
  if (!file.ok()) return 0;
  for (const std::string& name : file->tensors()) {
    const auto tensor = file->read(name);
    if (!tensor.ok()) std::abort();
    const size_t elements = tensor->floating() ? tensor->floats.size() : tensor->integers.size();
    if (elements != static_cast<size_t>(tensor->element_count())) std::abort();
  }
  return 0;
}
