// Normalisation: measured, printed into metadata, applied.
#include "train/data/normalisation.h"

#include <charconv>
#include <cmath>

#include "train/error.h"

namespace strata::data {

Normalisation measure(const Dataset& dataset) {
  const int64_t plane = dataset.height * dataset.width;
  Normalisation result;
  for (int64_t channel = 0; channel < dataset.channels; ++channel) {
    // Counting bytes first makes the sums exact and independent of any order.
    std::array<int64_t, 256> histogram{};
    for (int64_t i = 0; i < dataset.count; ++i) {
      const uint8_t* pixels = dataset.image(i) + channel * plane;
      for (int64_t j = 0; j < plane; ++j) ++histogram[pixels[j]];
    }
    double sum = 0;
    double squares = 0;
    for (size_t value = 0; value < histogram.size(); ++value) {
      const double scaled = static_cast<double>(value) / 255;
      sum += scaled * static_cast<double>(histogram[value]);
      squares += scaled * scaled * static_cast<double>(histogram[value]);
    }
    const auto pixels = static_cast<double>(std::max<int64_t>(1, dataset.count * plane));
    const double mean = sum / pixels;
    const double variance = squares / pixels - mean * mean;
    constexpr double kConstant = 1e-10;  // far below the variance of one pixel that differs by one
    result.mean.push_back(static_cast<float>(mean));
    result.deviation.push_back(variance > kConstant ? static_cast<float>(std::sqrt(variance)) : 1);
  }
  return result;
}

std::string print_channels(std::span<const float> values) {
  std::string text;
  for (const float value : values) {
    std::array<char, 32> digits{};
    const auto result = std::to_chars(digits.data(), digits.data() + digits.size(), value);
    if (!text.empty()) text += ',';
    text.append(digits.data(), result.ptr);
  }
  return text;
}

std::vector<float> parse_channels(std::string_view text, std::string_view key) {
  std::vector<float> values;
  const char* at = text.data();
  const char* const end = at + text.size();
  while (true) {
    while (at != end && *at == ' ') ++at;
    float value = 0;
    const auto [next, error] = std::from_chars(at, end, value);
    if (error != std::errc() || !std::isfinite(value) || (next != end && *next != ',')) {
      throw Error("'" + std::string(key) + "' is '" + std::string(text) +
                  "'; expected one number per channel, comma-separated, such as 0.49,0.48,0.45");
    }
    values.push_back(value);
    if (next == end) return values;
    at = next + 1;
  }
}

Normalisation read_normalisation(const std::map<std::string, std::string, std::less<>>& metadata,
                                 int64_t channels) {
  const auto mean = metadata.find("input.mean");
  const auto deviation = metadata.find("input.std");
  const auto count = static_cast<size_t>(channels);
  if (mean == metadata.end() && deviation == metadata.end()) {
    return {std::vector<float>(count, 0.0F), std::vector<float>(count, 1.0F)};
  }
  if (mean == metadata.end() || deviation == metadata.end()) {
    throw Error("the model's metadata has one of 'input.mean' and 'input.std' but not the other");
  }
  Normalisation result{parse_channels(mean->second, "input.mean"),
                       parse_channels(deviation->second, "input.std")};
  if (result.mean.size() != count || result.deviation.size() != count) {
    throw Error("the model's 'input.mean' and 'input.std' have " +
                std::to_string(result.mean.size()) + " and " +
                std::to_string(result.deviation.size()) + " numbers for " +
                std::to_string(channels) + " input channels");
  }
  for (const float value : result.deviation) {
    if (value <= 0) throw Error("the model's 'input.std' has a number that is not above 0");
  }
  return result;
}

void write_normalisation(const Normalisation& normalisation,
                         std::map<std::string, std::string, std::less<>>& metadata) {
  metadata["input.mean"] = print_channels(normalisation.mean);
  metadata["input.std"] = print_channels(normalisation.deviation);
}

std::vector<ByteTable> byte_tables(const Normalisation& normalisation) {
  std::vector<ByteTable> tables(normalisation.mean.size());
  for (size_t channel = 0; channel < tables.size(); ++channel) {
    for (size_t value = 0; value < tables[channel].size(); ++value) {
      tables[channel][value] = (static_cast<float>(value) / 255.0F - normalisation.mean[channel]) /
                               normalisation.deviation[channel];
    }
  }
  return tables;
}

void to_float(const Dataset& dataset, std::span<const int64_t> indices,
              const Normalisation& normalisation, float* out) {
  const std::vector<ByteTable> tables = byte_tables(normalisation);
  if (static_cast<int64_t>(tables.size()) != dataset.channels) {
    throw Error("the data set '" + dataset.name + "' has " + std::to_string(dataset.channels) +
                " channels, the normalisation " + std::to_string(tables.size()));
  }
  const int64_t plane = dataset.height * dataset.width;
  for (const int64_t index : indices) {
    const uint8_t* pixels = dataset.image(index);
    for (const ByteTable& table : tables) {
      for (int64_t i = 0; i < plane; ++i) *out++ = table[*pixels++];
    }
  }
}

}  // namespace strata::data
