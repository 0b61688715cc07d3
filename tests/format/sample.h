// Models and edited files that the tests of the format share.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "format/metadata.h"
#include "format/reader.h"
#include "format/writer.h"
#include "sparse/nested_model.h"

namespace strata::format {

/// Convolution, normalisation, ReLU, pooling and a classifier; three levels, folded.
sparse::NestedModel sample_model();

/// The sample as a file of a few KB.
const std::vector<uint8_t>& sample_file();

/// The model's levels 0..level.
sparse::NestedModel lower_levels(const sparse::NestedModel& nested, int level);

/// Opens and decodes everything.
Result<sparse::NestedModel> read(std::span<const uint8_t> bytes);
Result<sparse::NestedModel> read(const std::string& path);

/// Offsets at which the levels end.
std::vector<uint64_t> level_ends(std::span<const uint8_t> file);

/// The file with other metadata and right checksums; the levels' bytes stay.
std::vector<uint8_t> with_metadata(std::span<const uint8_t> file,
                                   const std::function<void(Metadata&)>& edit);
std::vector<uint8_t> with_metadata_bytes(std::span<const uint8_t> file,
                                         std::span<const uint8_t> metadata);

void write_bytes(const std::string& path, std::span<const uint8_t> bytes);

}  // namespace strata::format
