// Images as an image classifier takes them: one by one, or a data set with a progress bar that
// Ctrl-C stops.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "format/reader.h"
#include "runtime/session.h"
#include "tools/strata/console.h"
#include "train/data/dataset.h"
#include "train/data/normalisation.h"

namespace strata::cli {

/// What a model takes and answers with.
struct ImageInput {
  data::ImageShape shape;
  int64_t classes = 0;
  data::Normalisation normalisation;
};

/// Throws Error: no image classifier, that is, not one input [batch,C,H,W] and one output
/// [batch,classes].
ImageInput image_input(const runtime::Session& session, const format::Reader& reader);

/// Class names as the model knows them, by label; empty if it does not.
std::vector<std::string> class_names(const graph::Model& model);

/// `options.progress` is set here. Throws Error as data::load(), or Interrupted once the user has
/// asked to stop.
data::Dataset load_images(const Console& console, const std::filesystem::path& directory,
                          data::Split split, data::LoadOptions options);

}  // namespace strata::cli
