#include "tools/strata/image_loading.h"

#include <memory>
#include <sstream>

#include "train/error.h"
#include "train/progress.h"

namespace strata::cli {

ImageInput image_input(const runtime::Session& session, const format::Reader& reader) {
  const auto& inputs = session.inputs();
  const auto& outputs = session.outputs();
  if (inputs.size() != 1 || outputs.size() != 1 || inputs[0].shape.size() != 4 ||
      outputs[0].shape.size() != 2) {
    throw Error("'" + reader.path() +
                "' is no image classifier: those have one input [batch,C,H,W] and one output "
                "[batch,classes]");
  }
  const graph::Shape& shape = inputs[0].shape;
  ImageInput input;
  input.shape = {shape[1].value(), shape[2].value(), shape[3].value()};
  input.classes = outputs[0].shape[1].value();
  input.normalisation = data::read_normalisation(reader.model().metadata, input.shape.channels);
  return input;
}

std::vector<std::string> class_names(const graph::Model& model) {
  std::vector<std::string> names;
  const auto found = model.metadata.find("classes");
  if (found == model.metadata.end()) return names;
  std::istringstream lines(found->second);
  std::string line;
  while (std::getline(lines, line)) names.push_back(line);
  return names;
}

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
