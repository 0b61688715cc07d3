#include "tools/strata/image_loading.h"

#include <memory>

#include "train/progress.h"

namespace strata::cli {

data::Dataset load_images(const Console& console, const std::filesystem::path& directory,
                          data::Split split, data::LoadOptions options) {
  ProgressOptions progress_options;
  progress_options.mode = progress_mode(console.quiet);
  progress_options.unit = "images";
  std::unique_ptr<Progress> progress;
  options.progress = [&](int64_t done, int64_t total) {
    stop_if_interrupted();
    if (!progress) progress = std::make_unique<Progress>("load", total, progress_options);
    progress->update(done);
  };
  return data::load(directory, split, options);
}

}  // namespace strata::cli
