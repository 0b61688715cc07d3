// Reads a split of an image data set with a progress bar that Ctrl-C stops.
#pragma once

#include <filesystem>

#include "tools/strata/console.h"
#include "train/data/dataset.h"

namespace strata::cli {

/// `options.progress` is set here. Throws Error as data::load(), or Interrupted once the user has
/// asked to stop.
data::Dataset load_images(const Console& console, const std::filesystem::path& directory,
                          data::Split split, data::LoadOptions options);

}  // namespace strata::cli
