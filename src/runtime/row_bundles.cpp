// See row_bundles.h.
#include "runtime/row_bundles.h"

#include <algorithm>
#include <numeric>
#include <vector>

namespace strata::runtime {
namespace {

/// How many rows of like totals are looked at for the next one of a bundle.
constexpr size_t kCandidates = 24;

}  // namespace

void order_rows(std::span<const uint32_t> counts, int64_t runs, int64_t bundle,
                std::span<uint32_t> rows) {
  const auto size = static_cast<size_t>(runs);
  const auto of_row = [&](uint32_t row) { return counts.subspan(row * size, size); };
  std::vector<uint32_t> totals(rows.size());
  for (uint32_t row = 0; row < totals.size(); ++row) {
    const auto taps = of_row(row);
    totals[row] = std::accumulate(taps.begin(), taps.end(), uint32_t{0});
  }
  std::iota(rows.begin(), rows.end(), uint32_t{0});
  std::stable_sort(rows.begin(), rows.end(),
                   [&](uint32_t a, uint32_t b) { return totals[a] > totals[b]; });
  if (bundle == 1 || runs == 1) return;

  // One bundle after the other: the first row that is left, and those that lengthen its runs least.
  struct Bundle {
    std::vector<uint32_t> steps;  ///< [run]
    size_t first = 0;             ///< in `bundled`
  };
  std::vector<Bundle> bundles;
  std::vector<uint32_t> bundled;
  std::vector<uint32_t> left(rows.begin(), rows.end());  // from `next` on, without those taken
  std::vector<uint32_t> longest(size);
  constexpr uint32_t kTaken = ~uint32_t{0};
  for (size_t next = 0; bundled.size() < rows.size();) {
    bundles.push_back({{}, bundled.size()});
    std::fill(longest.begin(), longest.end(), 0);
    for (int64_t i = 0; i < bundle; ++i) {
      while (left[next] == kTaken) ++next;
      size_t best = next;
      int64_t best_cost = 0;
      size_t seen = 0;
      for (size_t at = next; at < left.size() && seen < (i == 0 ? 1 : kCandidates); ++at) {
        if (left[at] == kTaken) continue;
        const auto taps = of_row(left[at]);
        int64_t steps = 0;
        for (size_t run = 0; run < size; ++run) steps += std::max(longest[run], taps[run]);
        const int64_t cost = steps * (i + 1) - totals[left[at]];
        if (seen == 0 || cost < best_cost) {
          best = at;
          best_cost = cost;
        }
        ++seen;
      }
      const auto taps = of_row(left[best]);
      for (size_t run = 0; run < size; ++run) longest[run] = std::max(longest[run], taps[run]);
      bundled.push_back(left[best]);
      left[best] = kTaken;
    }
    bundles.back().steps = longest;
  }
  std::stable_sort(bundles.begin(), bundles.end(),
                   [](const Bundle& a, const Bundle& b) { return a.steps > b.steps; });
  auto to = rows.begin();
  for (const Bundle& of : bundles) {
    to = std::copy_n(bundled.begin() + static_cast<std::ptrdiff_t>(of.first), bundle, to);
  }
}

}  // namespace strata::runtime
