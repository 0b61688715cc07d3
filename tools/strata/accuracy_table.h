// What the levels and the changes between them are worth, from the JSON of `strata eval`, measured
// now, or stated by the user.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "format/reader.h"
#include "route/profile.h"
#include "tools/strata/console.h"

namespace strata::cli {

/// What `strata eval -o` wrote of the file that `reader` has open. Levels are taken from the same
/// images as the switch points where there are any, so that they can be compared. Throws Error.
route::AccuracyTable read_accuracy(const std::string& path, const format::Reader& reader);

/// Measures levels and switch points on `samples` test samples spread over the classes. Throws
/// Error, or Interrupted.
route::AccuracyTable measure_accuracy(const Console& console,
                                      const std::shared_ptr<const format::Reader>& reader,
                                      const std::string& data_dir, int64_t samples, int threads);

/// The user's figures, one per level. Throws Error: another number of levels, not finite.
route::AccuracyTable stated_accuracy(const std::vector<double>& metrics, int level_count);

/// The table of a session that runs a batch in `parts` of `steps` steps each, out of the table of a
/// single input: where a route changes its level, the parts before have had the upper one, those
/// behind will have the lower one.
route::AccuracyTable accuracy_of_parts(const route::AccuracyTable& single, int64_t parts,
                                       int64_t steps);

}  // namespace strata::cli
