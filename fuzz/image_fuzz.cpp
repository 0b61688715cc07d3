// Any bytes as a JPEG or PNG: decoded to as many pixels as its shape says, or refused.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>

#include "train/data/image.h"
#include "train/error.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    const auto image = strata::data::decode_image(std::span(data, size), "fuzz");
    if (static_cast<int64_t>(image.pixels.size()) != image.shape.elements()) std::abort();
    const strata::data::ImageShape small = {4 - image.shape.channels, 5, 7};
    if (strata::data::convert(image, small).pixels.size() !=
        static_cast<size_t>(small.elements())) {
      std::abort();
    }
  } catch (const strata::Error&) {  // refused
    return 0;
  }
  return 0;
}
