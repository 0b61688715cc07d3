#include "tools/strata/image_loading.h"

#include <sstream>

#include "tools/strata/late_progress.h"
#include "train/error.h"

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
  LateProgress progress("load", "images", console);
  options.progress = [&](int64_t done, int64_t total) {
    stop_if_interrupted();
    progress.update(done, total);
  };
  return data::load(directory, split, options);
}

}  // namespace strata::cli
