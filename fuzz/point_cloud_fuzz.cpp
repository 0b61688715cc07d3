// Any bytes as a text cloud: parsed to finite numbers, or refused. HDF5 files are read by libhdf5,
// which is not ours to fuzz; docs/point-clouds.md says what guards it.
//     build/fuzz/fuzz/fuzz_point_cloud -max_total_time=60
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>
#include <vector>

#include "train/data/point_cloud.h"
#include "train/error.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  const int64_t points = data[0] % 16 + 1;
  const bool normals = data[1] % 2 == 1;
  const std::string_view text(reinterpret_cast<const char*>(data + 2), size - 2);
  try {
    std::vector<float> values;
    strata::data::parse_cloud(text, "fuzz", points, normals, values);
    if (values.size() != static_cast<size_t>(points * (normals ? 6 : 3))) std::abort();
    strata::data::normalise_cloud(values.data(), points, normals ? 6 : 3);
    for (const float value : values) {
      if (!std::isfinite(value)) std::abort();
    }
  } catch (const strata::Error&) {  // refused
    return 0;
  }
  return 0;
}
