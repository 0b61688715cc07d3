// Opens .strata files by mmap and decodes levels on request. Trusts nothing: every byte that is
// used has been checked against a checksum and a bound, so a damaged or hostile file is refused.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/status.h"
#include "format/writer.h"
#include "graph/graph.h"
#include "sparse/nested.h"
#include "sparse/nested_model.h"

namespace strata::format {

/// Where one level lies in the file and what it costs.
struct LevelBlock {
  uint64_t offset = 0;         ///< of the increment's first byte
  uint64_t bytes_to_end = 0;   ///< file size when cut at this level's end
  uint64_t position_bits = 0;  ///< spent on places, over all tensors
  uint64_t value_bits = 0;     ///< spent on values
  uint64_t nonzeros = 0;       ///< in this increment
  double entropy_bits = 0;     ///< bound for places: sum over tensors of log2 C(free, taken)
};

/// One decoded increment: what level k adds to level k-1, and level k's own vectors.
struct LevelData {
  std::map<std::string, sparse::Increment, std::less<>> weights;
  sparse::VectorTable vectors;
};

/// Immutable after open; safe to use from several threads.
class Reader {
 public:
  /// Maps the file. Errors name the path and say: missing, not a .strata file, newer major version
  /// than this build reads, damaged, or truncated (a size that is not a level's end).
  static Result<std::shared_ptr<const Reader>> open(const std::string& path);

  /// The same from memory; `name` stands for the path in errors. Copies the bytes.
  static Result<std::shared_ptr<const Reader>> from_bytes(std::span<const uint8_t> bytes,
                                                          const std::string& name = "<memory>");
  virtual ~Reader() = default;

  [[nodiscard]] virtual const std::string& path() const = 0;
  [[nodiscard]] virtual const graph::Model& model() const = 0;
  [[nodiscard]] virtual const std::string& record() const = 0;  ///< training record, JSON or empty
  [[nodiscard]] virtual ValueType value_type() const = 0;
  [[nodiscard]] virtual uint64_t file_bytes() const = 0;
  [[nodiscard]] virtual uint64_t metadata_bytes() const = 0;
  /// Tells this file from any other: the checksum of its header, which holds the checksums of all
  /// that follows. The same for a file that was cut at a level's end.
  [[nodiscard]] virtual uint64_t identity() const = 0;
  /// Levels that the file was written with / that are present in it (fewer if it was cut).
  [[nodiscard]] virtual int declared_level_count() const = 0;
  [[nodiscard]] virtual int level_count() const = 0;
  /// One per present level.
  [[nodiscard]] virtual const std::vector<LevelBlock>& blocks() const = 0;

  /// Verifies and decodes one increment, 0 <= level < level_count(). Positions of level k are coded
  /// against what 0..k-1 took, so `below` must hold the data of the levels below, in order.
  [[nodiscard]] virtual Result<LevelData> read_level(int level,
                                                     std::span<const LevelData> below) const = 0;

  /// Every present level.
  [[nodiscard]] virtual Result<sparse::NestedModel> read_all() const = 0;

 protected:
  Reader() = default;
};

}  // namespace strata::format
