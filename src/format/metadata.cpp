#include "format/metadata.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <utility>

#include <flatbuffers/flatbuffers.h>
#include <model_generated.h>

#include "format/layout.h"

namespace strata::format {
namespace {

using flatbuffers::Offset;
using flatbuffers::String;
using flatbuffers::Vector;

constexpr uint64_t kMaxElements = std::numeric_limits<uint32_t>::max();
constexpr size_t kMinTableSize = sizeof(flatbuffers::soffset_t);
constexpr size_t kMaxStringBytes = size_t{1} << 30;  // half of what FlatBuffers can address

/// Whether there are no scales, or those that every schema version has.
bool has_leading_scales(const graph::Parameter& parameter, const ChannelScales& scales) {
  return scales.values.empty() || scales.channels == graph::leading_channels(parameter);
}

/// Structures to FlatBuffers.
class Packer {
 public:
  std::vector<uint8_t> pack_metadata(const Metadata& metadata) {
    const graph::Model& model = metadata.model;
    const auto name = pack(model.name);
    const auto graphs = pack_all<schema::Graph>(model.graphs);
    std::vector<Offset<schema::Parameter>> packed;
    for (size_t p = 0; p < model.parameters.size(); ++p) {
      packed.push_back(pack_parameter(model.parameters[p], metadata.scales[p]));
    }
    const auto parameters = builder_.CreateVector(packed);
    const auto properties = pack_all<schema::Property>(model.metadata);
    const auto record = pack(metadata.record);
    const auto levels = pack_all<schema::Level>(metadata.sections);
    const auto constants = pack_all<schema::Constant>(model.constants);
    builder_.Finish(schema::CreateMetadata(builder_, name, graphs, parameters, properties, record,
                                           static_cast<uint8_t>(metadata.values), levels,
                                           constants));
    return {builder_.GetBufferPointer(), builder_.GetBufferPointer() + builder_.GetSize()};
  }

 private:
  /// A vector of tables, each packed by pack().
  template <typename Table, typename Container>
  Offset<Vector<Offset<Table>>> pack_all(const Container& items) {
    std::vector<Offset<Table>> packed;
    packed.reserve(items.size());
    for (const auto& item : items) packed.push_back(pack(item));
    return builder_.CreateVector(packed);
  }

  Offset<Vector<Offset<schema::Name>>> pack_names(const std::vector<std::string>& names) {
    std::vector<Offset<schema::Name>> packed;
    packed.reserve(names.size());
    for (const std::string& name : names) {
      packed.push_back(schema::CreateName(builder_, pack(name)));
    }
    return builder_.CreateVector(packed);
  }

  Offset<String> pack(const std::string& text) {
    return builder_.CreateString(text.data(), text.size());
  }

  Offset<schema::Dim> pack(const graph::Dim& dim) {
    const Offset<String> symbol = dim.symbol().empty() ? 0 : pack(dim.symbol());
    return schema::CreateDim(builder_, dim.value(), symbol);
  }

  Offset<schema::ValueInfo> pack(const graph::ValueInfo& value) {
    const auto name = pack(value.name);
    const auto shape = pack_all<schema::Dim>(value.shape);
    return schema::CreateValueInfo(builder_, name, static_cast<uint8_t>(value.type), shape);
  }

  Offset<schema::Attribute> pack(const std::pair<const std::string, graph::Attribute>& attribute) {
    const auto name = pack(attribute.first);
    Offset<Vector<int64_t>> int_value = 0;
    Offset<Vector<float>> float_value = 0;
    Offset<String> string_value = 0;
    Offset<Vector<int64_t>> ints = 0;
    Offset<Vector<float>> floats = 0;
    if (const auto* number = std::get_if<int64_t>(&attribute.second)) {
      int_value = builder_.CreateVector(number, 1);
    } else if (const auto* real = std::get_if<float>(&attribute.second)) {
      float_value = builder_.CreateVector(real, 1);
    } else if (const auto* text = std::get_if<std::string>(&attribute.second)) {
      string_value = pack(*text);
    } else if (const auto* numbers = std::get_if<std::vector<int64_t>>(&attribute.second)) {
      ints = builder_.CreateVector(*numbers);
    } else if (const auto* reals = std::get_if<std::vector<float>>(&attribute.second)) {
      floats = builder_.CreateVector(*reals);
    }
    return schema::CreateAttribute(builder_, name, int_value, float_value, string_value, ints,
                                   floats);
  }

  Offset<schema::Node> pack(const graph::Node& node) {
    const auto name = pack(node.name);
    const auto op_type = pack(node.op_type);
    const auto domain = pack(node.domain);
    const auto inputs = pack_names(node.inputs);
    const auto outputs = pack_names(node.outputs);
    const auto attributes = pack_all<schema::Attribute>(node.attributes);
    return schema::CreateNode(builder_, name, op_type, domain, inputs, outputs, attributes);
  }

  Offset<schema::Graph> pack(const graph::Graph& graph) {
    const auto name = pack(graph.name);
    const auto inputs = pack_all<schema::ValueInfo>(graph.inputs);
    const auto outputs = pack_all<schema::ValueInfo>(graph.outputs);
    const auto nodes = pack_all<schema::Node>(graph.nodes);
    return schema::CreateGraph(builder_, name, inputs, outputs, nodes);
  }

  Offset<schema::Parameter> pack_parameter(const graph::Parameter& parameter,
                                           const ChannelScales& scales) {
    const auto name = pack(parameter.name);
    const auto shape = builder_.CreateVector(parameter.shape);
    const Offset<Vector<float>> values =
        scales.values.empty() ? 0 : builder_.CreateVector(scales.values);
    const int64_t stride = has_leading_scales(parameter, scales) ? 0 : scales.channels.stride;
    return schema::CreateParameter(builder_, name, shape, static_cast<uint8_t>(parameter.role),
                                   parameter.prunable, values, static_cast<uint64_t>(stride));
  }

  Offset<schema::Constant> pack(const graph::Constant& constant) {
    const auto name = pack(constant.name);
    const auto shape = builder_.CreateVector(constant.shape);
    const auto data = builder_.CreateVector(constant.data);
    return schema::CreateConstant(builder_, name, static_cast<uint8_t>(constant.type), shape, data);
  }

  Offset<schema::Property> pack(const std::pair<const std::string, std::string>& property) {
    const auto key = pack(property.first);
    const auto value = pack(property.second);
    return schema::CreateProperty(builder_, key, value);
  }

  Offset<schema::Level> pack(const std::vector<Section>& sections) {
    std::vector<schema::Section> packed;
    packed.reserve(sections.size());
    for (const Section& section : sections) {
      packed.emplace_back(section.nonzeros, section.position_bytes, section.code.golomb,
                          static_cast<uint8_t>(section.code.coding));
    }
    return schema::CreateLevel(builder_, builder_.CreateVectorOfStructs(packed));
  }

  flatbuffers::FlatBufferBuilder builder_;
};

/// FlatBuffers to structures. Copies out of a verified buffer. FlatBuffers lets many references
/// share one object, so a small hostile buffer could unfold into a huge model: every byte may be
/// copied once.
class Unpacker {
 public:
  explicit Unpacker(size_t bytes) : budget_(bytes) {}

  [[nodiscard]] bool ok() const { return error_.empty(); }
  [[nodiscard]] Status status() const { return ok() ? Status() : data_loss(error_); }

  void fail(std::string error) {
    if (ok()) error_ = std::move(error);
  }

  std::string unpack(const String* text) {
    if (!charge(text->size() + sizeof(uint32_t))) return {};
    return {text->c_str(), text->size()};
  }

  template <typename T>
  std::vector<T> unpack_numbers(const Vector<T>* numbers) {
    if (!charge(uint64_t{numbers->size()} * sizeof(T) + sizeof(uint32_t))) return {};
    std::vector<T> unpacked(numbers->size());
    for (uint32_t i = 0; i < numbers->size(); ++i) unpacked[i] = element<T>(numbers, i);
    return unpacked;
  }

  template <typename T>
  T unpack_number(const Vector<T>* numbers) {
    return charge(sizeof(T) + sizeof(uint32_t)) ? element<T>(numbers, 0) : T{};
  }

  /// A vector of tables, each unpacked by unpack().
  template <typename Value, typename T>
  std::vector<Value> unpack_all(const Vector<Offset<T>>* items) {
    std::vector<Value> unpacked;
    if (!charge(uint64_t{items->size()} * sizeof(uint32_t) + sizeof(uint32_t))) return unpacked;
    unpacked.reserve(items->size());
    for (uint32_t i = 0; i < items->size() && ok(); ++i) unpacked.push_back(unpack(items->Get(i)));
    return unpacked;
  }

  std::string unpack(const schema::Name* name) {
    return charge_table() ? unpack(name->text()) : std::string();
  }

  graph::Dim unpack(const schema::Dim* dim) {
    if (!charge_table()) return {};
    if (dim->symbol() != nullptr) return unpack(dim->symbol());
    return dim->value();
  }

  graph::ValueInfo unpack(const schema::ValueInfo* value) {
    if (!charge_table()) return {};
    return {unpack(value->name()), static_cast<graph::DataType>(value->type()),
            unpack_all<graph::Dim>(value->shape())};
  }

  std::pair<std::string, graph::Attribute> unpack(const schema::Attribute* attribute) {
    if (!charge_table()) return {};
    std::string name = unpack(attribute->name());
    if (attribute->int_value() != nullptr && attribute->int_value()->size() == 1) {
      return {std::move(name), unpack_number(attribute->int_value())};
    }
    if (attribute->float_value() != nullptr && attribute->float_value()->size() == 1) {
      return {std::move(name), unpack_number(attribute->float_value())};
    }
    if (attribute->string_value() != nullptr) {
      return {std::move(name), unpack(attribute->string_value())};
    }
    if (attribute->ints() != nullptr) return {std::move(name), unpack_numbers(attribute->ints())};
    if (attribute->floats() != nullptr) {
      return {std::move(name), unpack_numbers(attribute->floats())};
    }
    fail("its attribute '" + name + "' has no value");
    return {};
  }

  graph::Node unpack(const schema::Node* node) {
    if (!charge_table()) return {};
    return {unpack(node->name()),
            unpack(node->op_type()),
            unpack(node->domain()),
            unpack_all<std::string>(node->inputs()),
            unpack_all<std::string>(node->outputs()),
            unpack_map<graph::Attribute>(node->attributes())};
  }

  graph::Graph unpack(const schema::Graph* graph) {
    if (!charge_table()) return {};
    return {unpack(graph->name()), unpack_all<graph::ValueInfo>(graph->inputs()),
            unpack_all<graph::ValueInfo>(graph->outputs()),
            unpack_all<graph::Node>(graph->nodes())};
  }

  std::pair<std::string, std::string> unpack(const schema::Property* property) {
    if (!charge_table()) return {};
    return {unpack(property->key()), unpack(property->value())};
  }

  graph::Parameter unpack(const schema::Parameter* parameter) {
    if (!charge_table()) return {};
    return {unpack(parameter->name()), unpack_numbers(parameter->shape()),
            static_cast<graph::ParameterRole>(parameter->role()), parameter->prunable()};
  }

  graph::Constant unpack(const schema::Constant* constant) {
    if (!charge_table()) return {};
    return {unpack(constant->name()), static_cast<graph::DataType>(constant->type()),
            unpack_numbers(constant->shape()), unpack_numbers(constant->data())};
  }

  std::vector<Section> unpack(const schema::Level* level) {
    const auto* packed = level->sections();
    if (!charge_table() || !charge(uint64_t{packed->size()} * sizeof(schema::Section))) return {};
    std::vector<Section> sections;
    sections.reserve(packed->size());
    for (uint32_t i = 0; i < packed->size(); ++i) {
      const auto section = element<schema::Section>(packed, i);
      sections.push_back({section.nonzeros(),
                          section.position_bytes(),
                          {static_cast<PositionCoding>(section.coding()), section.golomb()}});
    }
    return sections;
  }

  template <typename Value, typename T>
  std::map<std::string, Value, std::less<>> unpack_map(const Vector<Offset<T>>* items) {
    std::map<std::string, Value, std::less<>> map;
    for (auto& [key, value] : unpack_all<std::pair<std::string, Value>>(items)) {
      if (!map.emplace(key, std::move(value)).second) fail("'" + key + "' occurs twice");
    }
    return map;
  }

 private:
  /// The verifier checks that elements are inside, not that they are aligned, so they are copied.
  template <typename T, typename Packed>
  static T element(const Vector<Packed>* items, size_t index) {
    T value;
    std::memcpy(&value, items->Data() + index * sizeof(T), sizeof(T));
    return value;
  }

  bool charge_table() { return charge(kMinTableSize); }
  bool charge(uint64_t bytes) {
    if (bytes > budget_) {
      fail("its metadata uses the same bytes more than once");
      budget_ = 0;
    } else {
      budget_ -= bytes;
    }
    return ok();
  }

  uint64_t budget_;
  std::string error_;
};

Status check_parameter(const graph::Parameter& parameter, const ChannelScales& scales,
                       ValueType values) {
  const std::string name = "its parameter '" + parameter.name + "' ";
  if (static_cast<uint64_t>(parameter.element_count()) > kMaxElements) {
    return data_loss(name + "has more elements than a file can hold");
  }
  const bool scaled = values == ValueType::kInt8 && is_weight(parameter);
  if (scaled == scales.values.empty()) {
    return data_loss(name + "has " + std::to_string(scales.values.size()) + " scales");
  }
  if (!scaled) return {};
  const int64_t elements = parameter.element_count();
  const auto [count, stride] = scales.channels;
  if (stride < 1 || elements % stride != 0 || elements / stride % count != 0) {
    return data_loss(name + "does not divide among its " + std::to_string(count) + " scales");
  }
  return {};
}

/// What the counts of the sections may be; their bytes are checked against the level's region.
Status check_sections(const Metadata& metadata) {
  std::vector<uint64_t> free;
  for (const graph::Parameter& parameter : metadata.model.parameters) {
    if (is_weight(parameter)) {
      free.push_back(static_cast<uint64_t>(parameter.element_count()));
    }
  }
  for (const std::vector<Section>& sections : metadata.sections) {
    if (sections.size() != free.size()) {
      return data_loss("its levels do not describe every weight");
    }
    for (size_t w = 0; w < sections.size(); ++w) {
      if (sections[w].nonzeros > free[w]) {
        return data_loss("a level has more non-zeros than the weight has free places");
      }
      if (sections[w].code.coding > PositionCoding::kLeft || sections[w].code.golomb < 1) {
        return data_loss("a level has an unknown coding of places");
      }
      free[w] -= sections[w].nonzeros;
    }
  }
  return {};
}

}  // namespace

uint32_t schema_version(const Metadata& metadata) {
  const std::vector<graph::Parameter>& parameters = metadata.model.parameters;
  for (size_t p = 0; p < parameters.size(); ++p) {
    if (!has_leading_scales(parameters[p], metadata.scales[p])) return kSchemaWithScaleStrides;
  }
  return kSchemaWithConstants;
}

Result<std::vector<uint8_t>> encode_metadata(const Metadata& metadata) {
  const graph::Model& model = metadata.model;
  size_t text = metadata.record.size();
  for (const auto& [key, value] : model.metadata) text += key.size() + value.size();
  for (const ChannelScales& scales : metadata.scales) text += scales.values.size() * sizeof(float);
  for (const graph::Constant& constant : model.constants) text += constant.data.size();
  if (text > kMaxStringBytes) {
    return invalid_argument(
        "the record, the model's properties, its constants and the scales have " +
        std::to_string(text) + " bytes, a .strata file takes " + std::to_string(kMaxStringBytes) +
        "; shorten the record");
  }

  return Packer().pack_metadata(metadata);
}

Result<Metadata> decode_metadata(std::span<const uint8_t> bytes) {
  flatbuffers::Verifier::Options options;
  options.max_tables = static_cast<flatbuffers::uoffset_t>(bytes.size() / kMinTableSize);
  flatbuffers::Verifier verifier(bytes.data(), bytes.size(), options);
  if (!verifier.VerifyBuffer<schema::Metadata>(nullptr)) {
    return data_loss("its metadata is not well-formed");
  }
  const auto* packed = flatbuffers::GetRoot<schema::Metadata>(bytes.data());

  Unpacker unpacker(bytes.size());
  Metadata metadata;
  metadata.model.name = unpacker.unpack(packed->name());
  metadata.model.graphs = unpacker.unpack_all<graph::Graph>(packed->graphs());
  metadata.model.parameters = unpacker.unpack_all<graph::Parameter>(packed->parameters());
  if (packed->constants() != nullptr) {
    metadata.model.constants = unpacker.unpack_all<graph::Constant>(packed->constants());
  }
  metadata.model.metadata = unpacker.unpack_map<std::string>(packed->properties());
  metadata.record = unpacker.unpack(packed->record());
  metadata.sections = unpacker.unpack_all<std::vector<Section>>(packed->levels());
  for (size_t p = 0; p < metadata.model.parameters.size(); ++p) {
    const auto* parameter = packed->parameters()->Get(static_cast<uint32_t>(p));
    ChannelScales& scales = metadata.scales.emplace_back();
    if (parameter->scales() == nullptr) continue;
    scales.values = unpacker.unpack_numbers(parameter->scales());
    const auto count = static_cast<int64_t>(scales.values.size());
    auto stride = static_cast<int64_t>(parameter->scale_stride());
    if (stride == 0 && count > 0) stride = metadata.model.parameters[p].element_count() / count;
    scales.channels = {count, stride};
  }
  STRATA_RETURN_IF_ERROR(unpacker.status());

  if (packed->value_type() > static_cast<uint8_t>(ValueType::kInt8)) {
    return data_loss("it has an unknown type of values");
  }
  metadata.values = static_cast<ValueType>(packed->value_type());
  return metadata;
}

Status check(const Metadata& metadata, size_t level_count) {
  if (metadata.sections.size() != level_count) {
    return data_loss("its metadata and its level table differ in the count of levels");
  }
  if (const Status valid = graph::validate(metadata.model); !valid.ok()) {
    return data_loss("its model is not valid: " + valid.message());
  }
  for (size_t p = 0; p < metadata.model.parameters.size(); ++p) {
    STRATA_RETURN_IF_ERROR(
        check_parameter(metadata.model.parameters[p], metadata.scales[p], metadata.values));
  }
  return check_sections(metadata);
}

}  // namespace strata::format
