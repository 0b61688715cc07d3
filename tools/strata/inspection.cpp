#include "tools/strata/inspection.h"

#include <utility>
#include <vector>

#include "sparse/nested.h"
#include "train/error.h"

namespace strata::cli {
namespace {

/// Rebuilds every level of every tensor as a dense array and nests the arrays again, which compares
/// them bit by bit; what comes out must be what the file says.
Status verify_nesting(const sparse::NestedModel& nested) {
  STRATA_RETURN_IF_ERROR(sparse::check(nested));
  for (const auto& [name, tensor] : nested.weights) {
    std::vector<std::vector<float>> levels;
    levels.reserve(static_cast<size_t>(nested.level_count));
    for (int level = 0; level < nested.level_count; ++level) {
      levels.push_back(sparse::densify(tensor, level));
    }
    STRATA_ASSIGN_OR_RETURN(const sparse::NestedTensor again,
                            sparse::nest_levels(tensor.shape, levels));
    if (!(again == tensor)) return data_loss("tensor '" + name + "' differs from its levels");
  }
  return {};
}

double per_nonzero(double bits, uint64_t nonzeros) {
  return nonzeros == 0 ? 0.0 : bits / static_cast<double>(nonzeros);
}

Json values_json(const std::vector<graph::ValueInfo>& values) {
  Json list = Json::array();
  for (const graph::ValueInfo& value : values) {
    list.push_back({{"name", value.name}, {"shape", graph::to_string(value.shape)}});
  }
  return list;
}

}  // namespace

Inspection inspect_file(const std::string& path) {
  OpenedModel opened = open_model(path);
  Inspection inspection;
  inspection.path = path;
  inspection.reader = std::move(opened.reader);
  inspection.density = std::move(opened.density);
  for (const graph::Parameter& parameter : opened.nested.model.parameters) {
    // Running statistics are measured, not trained; published parameter counts leave them out.
    if (parameter.role == graph::ParameterRole::kMean ||
        parameter.role == graph::ParameterRole::kVariance) {
      continue;
    }
    inspection.parameters += parameter.element_count();
  }
  const Status nesting = verify_nesting(opened.nested);
  inspection.nested = nesting.ok();
  inspection.why_not = nesting.message();
  return inspection;
}

OpenedModel open_model(const std::string& path) {
  OpenedModel opened;
  opened.reader = value_or_throw(format::Reader::open(path));
  opened.nested = value_or_throw(opened.reader->read_all());
  opened.density = value_or_throw(sparse::account(opened.nested));
  return opened;
}

Json model_json(const format::Reader& reader) {
  return {{"path", reader.path()},
          {"name", reader.model().name},
          {"bytes", reader.file_bytes()},
          {"levels", reader.level_count()}};
}

Json level_json(const sparse::LevelDensity& density, const format::LevelBlock& block) {
  return {{"level", density.level},
          {"nonzeros", density.nonzeros},
          {"weights_pct", density.weights_pct},
          {"weights_pct_prunable", density.weights_pct_prunable},
          {"macs", density.macs},
          {"flops_pct", density.flops_pct},
          {"bytes_to_end", block.bytes_to_end}};
}

void check_level(int level, int count, const std::string& path) {
  if (level >= 0 && level < count) return;
  const std::string there =
      count == 1 ? "level 0 alone" : "levels 0 to " + std::to_string(count - 1);
  throw Error("level " + std::to_string(level) + " does not exist: '" + path + "' has " + there +
              " (0 is the sparsest)");
}

Json to_json(const Inspection& inspection, bool layers) {
  const format::Reader& reader = *inspection.reader;
  const sparse::DensityReport& density = inspection.density;
  Json json;
  json["file"] = inspection.path;
  json["architecture"] = reader.model().name;
  json["graphs"] = Json::array();
  for (const graph::Graph& graph : reader.model().graphs) {
    json["graphs"].push_back({{"name", graph.name},
                              {"nodes", graph.nodes.size()},
                              {"inputs", values_json(graph.inputs)},
                              {"outputs", values_json(graph.outputs)}});
  }
  json["parameters"] = inspection.parameters;
  json["weights"] = density.weights;
  json["weights_prunable"] = density.weights_prunable;
  json["dense_macs"] = density.dense_macs;
  json["values"] = to_string(reader.value_type());
  json["file_bytes"] = reader.file_bytes();
  json["metadata_bytes"] = reader.metadata_bytes();
  json["levels_declared"] = reader.declared_level_count();
  json["levels"] = Json::array();
  for (size_t k = 0; k < density.levels.size(); ++k) {
    const format::LevelBlock& block = reader.blocks()[k];
    Json level = level_json(density.levels[k], block);
    level["increment_offset"] = block.offset;
    level["increment_bytes"] = block.bytes_to_end - block.offset;
    level["increment_nonzeros"] = block.nonzeros;
    level["position_bits_per_nonzero"] =
        per_nonzero(static_cast<double>(block.position_bits), block.nonzeros);
    level["entropy_bits_per_nonzero"] = per_nonzero(block.entropy_bits, block.nonzeros);
    level["value_bits_per_nonzero"] =
        per_nonzero(static_cast<double>(block.value_bits), block.nonzeros);
    json["levels"].push_back(std::move(level));
  }
  json["nested"] = inspection.nested;
  if (!inspection.nested) json["nested_problem"] = inspection.why_not;
  json["metadata"] = Json::object();
  for (const auto& [key, value] : reader.model().metadata) json["metadata"][key] = value;
  if (!reader.record().empty()) {
    // A record that is no JSON is shown as the text that it is.
    Json record = Json::parse(reader.record(), nullptr, false);
    json["record"] = record.is_discarded() ? Json(reader.record()) : std::move(record);
  }
  if (layers) {
    json["layers"] = Json::array();
    for (const sparse::TensorDensity& tensor : density.tensors) {
      Json densities = Json::array();
      for (const int64_t nonzeros : tensor.nonzeros) {
        densities.push_back(tensor.elements == 0 ? 0.0
                                                 : 100.0 * static_cast<double>(nonzeros) /
                                                       static_cast<double>(tensor.elements));
      }
      json["layers"].push_back({{"name", tensor.name},
                                {"elements", tensor.elements},
                                {"prunable", tensor.prunable},
                                {"dense_macs", tensor.dense_macs},
                                {"nonzeros", tensor.nonzeros},
                                {"density_pct", std::move(densities)}});
    }
  }
  return json;
}

}  // namespace strata::cli
