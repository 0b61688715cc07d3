// Decoding the places of non-zeros, which a session does once for each of its levels.
#include <cstdint>
#include <random>
#include <vector>

#include <benchmark/benchmark.h>

#include "format/position_coding.h"

namespace strata::format {
namespace {

constexpr uint32_t kElements = 2'000'000;

/// Arguments: percent of the elements that sparser levels have, and this level. Time per place that
/// this level adds.
void BM_DecodePositions(benchmark::State& state) {
  std::mt19937 random(1);
  std::uniform_real_distribution<double> percent(0, 100);
  std::vector<uint32_t> occupied;
  std::vector<uint32_t> positions;
  for (uint32_t i = 0; i < kElements; ++i) {
    const double drawn = percent(random);
    if (drawn < static_cast<double>(state.range(0))) {
      occupied.push_back(i);
    } else if (drawn < static_cast<double>(state.range(1))) {
      positions.push_back(i);
    }
  }
  const CodedPositions coded = encode_positions(positions, occupied, kElements);
  for (auto _ : state) {
    benchmark::DoNotOptimize(
        decode_positions(coded.code, coded.bytes, positions.size(), occupied, kElements));
  }
  state.counters["per_place"] = benchmark::Counter(
      static_cast<double>(positions.size()),
      benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert);
}
BENCHMARK(BM_DecodePositions)->ArgNames({"below", "level"})->Args({0, 5})->Args({5, 13});

}  // namespace
}  // namespace strata::format
