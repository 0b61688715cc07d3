#include "format/position_coding.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

namespace strata::format {
namespace {

/// Golomb code with divisor m; see format/layout.h for the bits.
struct Golomb {
  explicit Golomb(uint32_t m)
      : divisor(m),
        width(static_cast<int>(std::bit_width(m - 1))),
        cutoff((uint64_t{1} << width) - m) {}

  uint32_t divisor;
  int width;        ///< b = ceil(log2 m)
  uint64_t cutoff;  ///< remainders below it take b - 1 bits

  struct Remainder {
    uint64_t bits = 0;
    int count = 0;
  };
  /// What follows the quotient in a gap's code.
  [[nodiscard]] Remainder remainder(uint32_t gap) const {
    if (width == 0) return {};
    const uint64_t remainder = gap % divisor;
    if (remainder < cutoff) return {remainder, width - 1};
    const uint64_t shifted = remainder + cutoff;
    return {shifted >> 1 | (shifted & 1) << (width - 1), width};
  }

  [[nodiscard]] uint64_t bits(uint32_t gap) const {
    return gap / divisor + 1 + static_cast<uint64_t>(remainder(gap).count);
  }
};

/// Gaps by the next bits of a stream. Next to random gaps a processor guesses every second branch
/// wrong, and a code read field by field is a long chain of instructions; this is one load.
class GapTable {
 public:
  static constexpr int kBits = 11;
  struct Entry {
    uint16_t gap = 0;
    uint16_t bits = 0;  ///< of its code; 0: it is longer than kBits
  };

  explicit GapTable(const Golomb& golomb) {
    for (uint32_t gap = 0; gap < entries_.size() && golomb.bits(gap) <= kBits; ++gap) {
      const auto bits = static_cast<uint16_t>(golomb.bits(gap));
      const uint32_t ones = gap / golomb.divisor;
      const uint64_t code = ((uint64_t{1} << ones) - 1) | golomb.remainder(gap).bits << (ones + 1);
      for (size_t i = code; i < entries_.size(); i += size_t{1} << bits) {
        entries_[i] = {static_cast<uint16_t>(gap), bits};
      }
    }
  }

  [[nodiscard]] Entry operator[](uint64_t stream) const {
    return entries_[stream % (uint64_t{1} << kBits)];
  }

 private:
  std::array<Entry, size_t{1} << kBits> entries_{};
};

/// Bits go into bytes from the least significant upwards.
class BitWriter {
 public:
  /// 0 <= count <= 32
  void put(uint64_t bits, int count) {
    buffer_ |= bits << used_;
    used_ += count;
    while (used_ >= 8) {
      bytes_.push_back(static_cast<uint8_t>(buffer_));
      buffer_ >>= 8;
      used_ -= 8;
    }
  }

  void put_gap(const Golomb& golomb, uint32_t gap) {
    uint32_t ones = gap / golomb.divisor;
    for (; ones >= 32; ones -= 32) put(0xFFFFFFFF, 32);
    put((uint64_t{1} << ones) - 1, static_cast<int>(ones) + 1);
    const Golomb::Remainder remainder = golomb.remainder(gap);
    put(remainder.bits, remainder.count);
  }

  std::vector<uint8_t> finish() && {
    if (used_ > 0) bytes_.push_back(static_cast<uint8_t>(buffer_));
    return std::move(bytes_);
  }

 private:
  std::vector<uint8_t> bytes_;
  uint64_t buffer_ = 0;
  int used_ = 0;
};

class BitReader {
 public:
  explicit BitReader(std::span<const uint8_t> bytes)
      : next_(bytes.data()), end_(bytes.data() + bytes.size()) {}

  /// False if the stream ends within the code or the gap is 2^32 or more.
  bool get_gap(const Golomb& golomb, const GapTable& table, uint64_t& gap) {
    if (available_ < GapTable::kBits) refill();
    const GapTable::Entry entry = table[buffer_];
    if (entry.bits != 0 && entry.bits <= available_) {
      drop(entry.bits);
      gap = entry.gap;
      return true;
    }
    uint64_t quotient = 0;
    while (true) {
      refill();
      const int ones = std::countr_one(buffer_);  // at most available_: the bits above are zero
      quotient += static_cast<uint64_t>(ones);
      if (ones < available_) {
        drop(ones + 1);
        break;
      }
      if (available_ == 0) return false;
      drop(ones);
    }
    if (quotient > std::numeric_limits<uint32_t>::max()) return false;
    gap = quotient * golomb.divisor;
    if (golomb.width == 0) return true;
    if (available_ < golomb.width) refill();
    if (available_ < golomb.width - 1) return false;
    uint64_t remainder = buffer_ & ((uint64_t{1} << (golomb.width - 1)) - 1);
    drop(golomb.width - 1);
    if (remainder >= golomb.cutoff) {
      if (available_ < 1) return false;
      remainder = 2 * remainder + (buffer_ & 1) - golomb.cutoff;
      drop(1);
    }
    gap += remainder;
    return gap <= std::numeric_limits<uint32_t>::max();
  }

  /// Nothing is left but the zeros that fill the last byte.
  [[nodiscard]] bool finished() const { return next_ == end_ && available_ < 8 && buffer_ == 0; }

 private:
  /// At least 56 bits, or all that are left.
  void refill() {
    if (std::endian::native == std::endian::little && end_ - next_ >= 8) {
      if (available_ > 56) return;
      uint64_t bytes = 0;
      std::memcpy(&bytes, next_, sizeof bytes);
      const int count = (64 - available_) / 8;
      buffer_ |= bytes << available_;
      next_ += count;
      available_ += 8 * count;
      buffer_ &= ~uint64_t{0} >> (64 - available_);
      return;
    }
    while (available_ <= 56 && next_ != end_) {
      buffer_ |= static_cast<uint64_t>(*next_++) << available_;
      available_ += 8;
    }
  }
  void drop(int count) {
    buffer_ = count < 64 ? buffer_ >> count : 0;
    available_ -= count;
  }

  const uint8_t* next_;
  const uint8_t* end_;
  uint64_t buffer_ = 0;
  int available_ = 0;
};

/// Calls visit(gap) between the taken places' numbers among the free ones.
template <typename Visit>
void for_each_taken_gap(std::span<const uint32_t> positions, std::span<const uint32_t> occupied,
                        Visit visit) {
  size_t below = 0;  // occupied places before the position
  uint32_t next = 0;
  for (const uint32_t position : positions) {
    while (below < occupied.size() && occupied[below] < position) ++below;
    const auto rank = static_cast<uint32_t>(position - below);
    visit(rank - next);
    next = rank + 1;
  }
}

/// The same between the free places that are not taken.
template <typename Visit>
void for_each_left_gap(std::span<const uint32_t> positions, std::span<const uint32_t> occupied,
                       uint64_t free, Visit visit) {
  uint32_t gap = 0;  // taken places since the last one left
  uint64_t next = 0;
  const auto leave = [&](uint64_t until) {
    for (; next < until; ++next) {
      visit(gap);
      gap = 0;
    }
  };
  uint64_t rank = 0;
  for_each_taken_gap(positions, occupied, [&](uint32_t skipped) {
    rank += skipped;
    leave(rank);
    ++gap;
    next = ++rank;
  });
  leave(free);
}

/// The divisor that is optimal for gaps of geometric distribution (Gallager and Van Voorhis 1975).
uint32_t geometric_divisor(uint64_t free, uint64_t coded) {
  const double p = static_cast<double>(coded) / static_cast<double>(free);
  const double m = std::ceil(-std::log(2 - p) / std::log1p(-p));
  return static_cast<uint32_t>(std::clamp(m, 1.0, 4294967295.0));
}

/// Descends from the divisor for geometric gaps to one that is better for these gaps.
/// `cost(m)` is the code's length in bits.
template <typename Cost>
std::pair<uint32_t, uint64_t> best_divisor(uint32_t start, Cost cost) {
  uint32_t best = start;
  uint64_t least = cost(best);
  for (const bool up : {false, true}) {
    while (true) {
      const uint64_t step = std::max<uint64_t>(1, best / 8);
      const uint64_t other = up ? best + step : best - std::min<uint64_t>(step, best - 1);
      if (other == best || other > std::numeric_limits<uint32_t>::max()) break;
      const uint64_t bits = cost(static_cast<uint32_t>(other));
      if (bits >= least) break;
      best = static_cast<uint32_t>(other);
      least = bits;
    }
  }
  return {best, least};
}

/// Numbers among the free places, ascending, to positions among all.
class RankToPosition {
 public:
  explicit RankToPosition(std::span<const uint32_t> occupied) : occupied_(occupied) {}
  uint32_t operator()(uint64_t rank) {
    // Mostly there are fewer than two more, in no order that a processor could guess.
    if (occupied_.size() - below_ >= 2) {
      below_ += static_cast<size_t>(occupied_[below_] <= rank + below_);
      below_ += static_cast<size_t>(occupied_[below_] <= rank + below_);
    }
    while (below_ < occupied_.size() && occupied_[below_] <= rank + below_) ++below_;
    return static_cast<uint32_t>(rank + below_);
  }

 private:
  std::span<const uint32_t> occupied_;
  size_t below_ = 0;
};

}  // namespace

CodedPositions encode_positions(std::span<const uint32_t> positions,
                                std::span<const uint32_t> occupied, uint64_t elements) {
  const uint64_t free = elements - occupied.size();
  if (positions.size() == free) return {{PositionCoding::kEvery, 1}, {}};
  if (positions.empty()) return {{PositionCoding::kTaken, 1}, {}};
  const uint64_t left = free - positions.size();
  const bool code_left = left < positions.size();
  const auto for_each_gap = [&](auto visit) {
    if (code_left) {
      for_each_left_gap(positions, occupied, free, visit);
    } else {
      for_each_taken_gap(positions, occupied, visit);
    }
  };
  const auto cost = [&](uint32_t divisor) {
    const Golomb golomb(divisor);
    uint64_t bits = 0;
    for_each_gap([&](uint32_t gap) { bits += golomb.bits(gap); });
    return bits;
  };
  const uint32_t start = geometric_divisor(free, code_left ? left : positions.size());
  const auto [divisor, bits] = best_divisor(start, cost);
  const Golomb golomb(divisor);
  BitWriter writer;
  for_each_gap([&](uint32_t gap) { writer.put_gap(golomb, gap); });
  return {{code_left ? PositionCoding::kLeft : PositionCoding::kTaken, divisor},
          std::move(writer).finish()};
}

std::optional<std::vector<uint32_t>> decode_positions(PositionCode code,
                                                      std::span<const uint8_t> bytes,
                                                      uint64_t count,
                                                      std::span<const uint32_t> occupied,
                                                      uint64_t elements) {
  if (occupied.size() > elements || code.golomb < 1) return std::nullopt;
  const uint64_t free = elements - occupied.size();
  if (count > free) return std::nullopt;
  std::vector<uint32_t> positions;
  RankToPosition position(occupied);

  if (code.coding == PositionCoding::kEvery) {
    if (count != free || !bytes.empty()) return std::nullopt;
    positions.resize(count);
    for (uint64_t rank = 0; rank < count; ++rank) positions[rank] = position(rank);
    return positions;
  }

  const Golomb golomb(code.golomb);
  const GapTable table(golomb);
  BitReader reader(bytes);
  if (code.coding == PositionCoding::kTaken) {
    positions.resize(count);
    uint64_t rank = 0;
    for (uint64_t i = 0; i < count; ++i, ++rank) {
      uint64_t gap = 0;
      if (!reader.get_gap(golomb, table, gap)) return std::nullopt;
      rank += gap;
      if (rank >= free) return std::nullopt;
      positions[i] = position(rank);
    }
  } else if (code.coding == PositionCoding::kLeft) {
    const uint64_t left = free - count;
    if (left >= count) return std::nullopt;
    positions.resize(count);
    size_t filled = 0;
    uint64_t rank = 0;
    for (uint64_t i = 0; i < left; ++i, ++rank) {
      uint64_t gap = 0;
      if (!reader.get_gap(golomb, table, gap) || gap > count - filled) return std::nullopt;
      for (; gap > 0; --gap, ++rank) positions[filled++] = position(rank);
    }
    for (; filled < count; ++rank) positions[filled++] = position(rank);
  } else {
    return std::nullopt;
  }
  if (!reader.finished()) return std::nullopt;
  return positions;
}

double entropy_bits(uint64_t free, uint64_t taken) {
  // Not std::lgamma, which writes to a global variable: files are opened from several threads.
  const auto log_factorial = [](uint64_t n) {
    int sign = 0;
    return ::lgamma_r(static_cast<double>(n) + 1, &sign);
  };
  const double nats = log_factorial(free) - log_factorial(taken) - log_factorial(free - taken);
  return std::max(0.0, nats / std::log(2.0));
}

}  // namespace strata::format
