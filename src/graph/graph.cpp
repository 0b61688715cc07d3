// Access to the parts of a graph: attributes, parameters, and shapes as text.
#include "graph/graph.h"

#include <utility>

namespace strata::graph {
namespace {

template <typename T>
T attribute_or(const Node& node, std::string_view key, T fallback) {
  const auto found = node.attributes.find(key);
  if (found == node.attributes.end()) return fallback;
  const T* value = std::get_if<T>(&found->second);
  return value != nullptr ? *value : std::move(fallback);
}

template <typename T>
const T* find_named(const std::vector<T>& items, std::string_view name) {
  for (const T& item : items) {
    if (item.name == name) return &item;
  }
  return nullptr;
}

}  // namespace

std::string to_string(const Shape& shape) {
  std::string text = "[";
  for (const Dim& dim : shape) {
    if (text.size() > 1) text += ',';
    if (dim.known()) {
      text += std::to_string(dim.value());
    } else {
      text += dim.symbol().empty() ? "?" : dim.symbol();
    }
  }
  return text + "]";
}

int64_t Node::attribute_int(std::string_view key, int64_t fallback) const {
  return attribute_or(*this, key, fallback);
}

float Node::attribute_float(std::string_view key, float fallback) const {
  return attribute_or(*this, key, fallback);
}

std::string Node::attribute_string(std::string_view key, std::string fallback) const {
  return attribute_or(*this, key, std::move(fallback));
}

std::vector<int64_t> Node::attribute_ints(std::string_view key,
                                          std::vector<int64_t> fallback) const {
  return attribute_or(*this, key, std::move(fallback));
}

int64_t Parameter::element_count() const {
  int64_t count = 1;
  for (const int64_t size : shape) {
    if (size < 0 || __builtin_mul_overflow(count, size, &count)) return -1;
  }
  return count;
}

const Parameter* Model::find_parameter(std::string_view parameter) const {
  return find_named(parameters, parameter);
}

const Graph* Model::find_graph(std::string_view graph) const { return find_named(graphs, graph); }

}  // namespace strata::graph
