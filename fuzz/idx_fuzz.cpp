// Any bytes as an IDX file, plain or gzipped, and as CIFAR-10 records: parsed or refused.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <vector>

#include "train/data/dataset.h"
#include "train/data/idx.h"
#include "train/data/sources.h"
#include "train/error.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  constexpr size_t kMaxBytes = size_t{1} << 22;
  const std::span<const uint8_t> bytes(data, size);
  for (const size_t dims : {1, 3}) {
    try {
      std::vector<uint8_t> unpacked(bytes.begin(), bytes.end());
      if (strata::data::is_gzip(bytes)) unpacked = strata::data::gunzip(bytes, kMaxBytes, "fuzz");
      const auto array = strata::data::parse_idx(unpacked, dims, "fuzz");
      uint64_t elements = 1;
      for (const int64_t dim : array.dims) elements *= static_cast<uint64_t>(dim);
      if (array.dims.size() != dims || array.values.size() != elements) std::abort();
    } catch (const strata::Error&) {  // refused, which is fine
      continue;
    }
  }
  try {
    strata::data::Dataset dataset;
    dataset.classes.resize(10);
    strata::data::append_cifar10(bytes, "fuzz", dataset);
    if (dataset.labels.size() != static_cast<size_t>(dataset.count)) std::abort();
  } catch (const strata::Error&) {  // refused
    return 0;
  }
  return 0;
}
