#include "tools/strata/timed_inputs.h"

#include <filesystem>
#include <utility>

#include "tools/strata/sentences.h"
#include "train/data/node_graph_set.h"
#include "train/error.h"

namespace strata::cli {

TimedInputs::TimedInputs(const format::Reader& reader, const std::string& data)
    : reads_sentences_(translates(reader.model())) {
  if (!classifies_nodes(reader.model())) {
    if (data.empty()) return;
    throw Error("'" + reader.path() + "' takes no graph: leave --data away, inputs are random");
  }
  if (data.empty()) {
    throw Error("'" + reader.path() + "' takes a graph: name its .npz file with --data");
  }
  if (std::filesystem::is_directory(data)) {
    data::NodeGraphSet set = data::load_test_graphs(data);
    graph_.emplace(std::move(set.graphs.front()), reader);
  } else {
    graph_.emplace(data, reader);
  }
}

graph::Bindings TimedInputs::bindings() const {
  return graph_ ? graph_->bindings() : graph::Bindings();
}

TimedInputs::Tensors TimedInputs::tensors(const runtime::Session& session) const {
  Tensors tensors(session);
  if (graph_) {
    const auto views = graph_->views();
    tensors.given_.assign(views.begin(), views.end());
  } else if (reads_sentences_ && session.inputs().size() == 2) {
    // The encoder of a translator reads whole sentences.
    tensors.lengths_ = {static_cast<int32_t>(tensors.random_.inputs()[0].elements)};
    tensors.given_ = {tensors.random_.inputs()[0], tensors.lengths_};
  }
  return tensors;
}

}  // namespace strata::cli
