// Access to the parts of a graph: attributes, parameters, and shapes as text.
#include "graph/graph.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <utility>

#include "graph/operators.h"

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

int64_t product(const std::vector<int64_t>& sizes) {
  int64_t count = 1;
  for (const int64_t size : sizes) {
    if (size < 0 || __builtin_mul_overflow(count, size, &count)) return -1;
  }
  return count;
}

template <typename T>
Constant constant_of(std::string name, DataType type, std::vector<int64_t> shape,
                     std::span<const T> values) {
  Constant constant{std::move(name), type, std::move(shape), {}};
  constant.data.resize(values.size_bytes());
  if (!values.empty()) std::memcpy(constant.data.data(), values.data(), values.size_bytes());
  return constant;
}

template <typename T>
std::vector<int64_t> widened(const std::vector<uint8_t>& data) {
  std::vector<int64_t> values(data.size() / sizeof(T));
  for (size_t i = 0; i < values.size(); ++i) {
    T value;
    std::memcpy(&value, data.data() + i * sizeof(T), sizeof(T));
    values[i] = value;
  }
  return values;
}

}  // namespace

size_t element_size(DataType type) {
  switch (type) {
    case DataType::kUint8:
    case DataType::kInt8:
    case DataType::kBool:
      return 1;
    case DataType::kFloat16:
      return 2;
    case DataType::kFloat32:
    case DataType::kInt32:
      return 4;
    case DataType::kInt64:
      return 8;
  }
  return 0;
}

std::string_view to_string(DataType type) {
  switch (type) {
    case DataType::kUint8:
      return "uint8";
    case DataType::kInt8:
      return "int8";
    case DataType::kBool:
      return "bool";
    case DataType::kFloat16:
      return "float16";
    case DataType::kFloat32:
      return "float32";
    case DataType::kInt32:
      return "int32";
    case DataType::kInt64:
      return "int64";
  }
  return "?";
}

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

int64_t Parameter::element_count() const { return product(shape); }

int64_t Constant::element_count() const { return product(shape); }

std::optional<std::vector<int64_t>> Constant::integers() const {
  if (type == DataType::kInt64) return widened<int64_t>(data);
  if (type == DataType::kInt32) return widened<int32_t>(data);
  return std::nullopt;
}

Constant make_constant(std::string name, std::vector<int64_t> shape,
                       std::span<const int64_t> values) {
  return constant_of(std::move(name), DataType::kInt64, std::move(shape), values);
}

Constant make_constant(std::string name, std::vector<int64_t> shape,
                       std::span<const float> values) {
  return constant_of(std::move(name), DataType::kFloat32, std::move(shape), values);
}

const Parameter* Model::find_parameter(std::string_view parameter) const {
  return find_named(parameters, parameter);
}

const Constant* Model::find_constant(std::string_view constant) const {
  return find_named(constants, constant);
}

const Graph* Model::find_graph(std::string_view graph) const { return find_named(graphs, graph); }

Bindings batch_sizes(const Graph& graph, int64_t batch) {
  Bindings sizes;
  for (const ValueInfo& input : graph.inputs) {
    if (!input.shape.empty() && !input.shape.front().symbol().empty()) {
      sizes[input.shape.front().symbol()] = batch;
    }
  }
  return sizes;
}

Result<Bindings> usual_sizes(const Model& model) {
  Bindings sizes;
  const auto found = model.metadata.find("sizes");
  if (found == model.metadata.end()) return sizes;
  std::string_view rest = found->second;
  while (!rest.empty()) {
    const std::string_view entry = rest.substr(0, rest.find(' '));
    rest.remove_prefix(std::min(rest.size(), entry.size() + 1));
    const size_t equals = entry.find('=');
    int64_t size = -1;
    bool whole = false;
    if (equals != std::string_view::npos && equals > 0) {
      const char* const end = entry.data() + entry.size();
      const auto [stop, error] = std::from_chars(entry.data() + equals + 1, end, size);
      whole = error == std::errc() && stop == end;
    }
    if (!whole || size < 0 || size > kMaxDimension) {
      return invalid_argument("the model's metadata 'sizes' hold '" + std::string(entry) +
                              "', expected SYMBOL=SIZE");
    }
    sizes.insert_or_assign(std::string(entry.substr(0, equals)), size);
  }
  return sizes;
}

}  // namespace strata::graph
