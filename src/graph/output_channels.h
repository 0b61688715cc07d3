// Which elements of a weight make the same output: what narrow values share a scale over.
#pragma once

#include <cstddef>
#include <cstdint>

#include "graph/graph.h"

namespace strata::graph {

/// The element at flat position p belongs to channel p / stride % count. Both are at least 1, and
/// their product divides the count of elements, which is below 2^32 where of() is asked.
struct OutputChannels {
  int64_t count = 1;
  int64_t stride = 1;

  [[nodiscard]] size_t of(uint32_t position) const {
    return position / static_cast<uint32_t>(stride) % static_cast<uint32_t>(count);
  }
  bool operator==(const OutputChannels&) const = default;
};

/// The channels along dimension 0: of a convolution, of an embedding. The weight has elements.
OutputChannels leading_channels(const Parameter& weight);

/// The channels of what the first node makes that reads the weight: rows of a matrix stored
/// [outputs, inputs], columns of one stored [inputs, outputs], and of a recurrent layer the rows of
/// every direction and gate. Where no node says better, leading_channels().
OutputChannels output_channels(const Model& model, const Parameter& weight);

}  // namespace strata::graph
