// What a .strata file holds, in numbers: opened, decoded and checked once, then shown by several
// verbs as JSON or text.
#pragma once

#include <memory>
#include <string>

#include "format/reader.h"
#include "sparse/accounting.h"
#include "sparse/nested_model.h"
#include "tools/strata/console.h"

namespace strata::cli {

struct Inspection {
  std::string path;
  std::shared_ptr<const format::Reader> reader;
  sparse::DensityReport density;
  int64_t parameters = 0;  ///< of the dense model, vectors included
  bool nested = false;     ///< every level lies inside the next, place by place and bit by bit
  std::string why_not;     ///< if it does not
};

/// Opens and decodes the whole file. Throws Error.
Inspection inspect_file(const std::string& path);

/// A file opened and its levels accounted for, for verbs that run it.
struct OpenedModel {
  std::shared_ptr<const format::Reader> reader;
  sparse::NestedModel nested;
  sparse::DensityReport density;
};
OpenedModel open_model(const std::string& path);

/// What every document says of the model that it is about: path, name, bytes, levels.
Json model_json(const format::Reader& reader);

/// A level's shares: level, nonzeros, weights_pct, weights_pct_prunable, macs, flops_pct,
/// bytes_to_end.
Json level_json(const sparse::LevelDensity& density, const format::LevelBlock& block);

/// The sentence about a level that does not exist; throws Error unless 0 <= level < count.
void check_level(int level, int count, const std::string& path);

/// The keys of `strata inspect`, without those of Console::document(); `layers` adds the density
/// of every weight tensor.
Json to_json(const Inspection& inspection, bool layers);

}  // namespace strata::cli
