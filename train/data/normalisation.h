// From bytes to the floats that a model sees: (pixel / 255 - mean) / deviation, per channel.
// The numbers travel with the model as the metadata "input.mean" and "input.std".
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "train/data/dataset.h"

namespace strata::data {

/// Per channel, of pixels scaled to 0..1.
struct Normalisation {
  std::vector<float> mean;
  std::vector<float> deviation;  ///< standard deviation, above 0
  bool operator==(const Normalisation&) const = default;
};

/// Mean and standard deviation over the whole data set; a channel that is constant gets 1.
Normalisation measure(const Dataset& dataset);

/// "0.1307,0.25": comma-separated, shortest text that reads back as the same float.
std::string print_channels(std::span<const float> values);

/// Errors name `key` (such as "input.mean") and say what is wrong.
std::vector<float> parse_channels(std::string_view text, std::string_view key);

/// Reads "input.mean" and "input.std" of graph::Model::metadata; where both are absent, mean 0 and
/// deviation 1. Throws Error: one of the two alone, another count than `channels`, a deviation <=
/// 0.
Normalisation read_normalisation(const std::map<std::string, std::string, std::less<>>& metadata,
                                 int64_t channels);
void write_normalisation(const Normalisation& normalisation,
                         std::map<std::string, std::string, std::less<>>& metadata);

/// What each of the 256 byte values becomes in one channel.
using ByteTable = std::array<float, 256>;
std::vector<ByteTable> byte_tables(const Normalisation& normalisation);

/// Images `indices` of the data set, normalised, into out[indices.size(), C, H, W]. Throws Error if
/// the channels differ.
void to_float(const Dataset& dataset, std::span<const int64_t> indices,
              const Normalisation& normalisation, float* out);

}  // namespace strata::data
