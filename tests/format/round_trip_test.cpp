// What is written is what is read: every level bit for bit, from a whole file and from one that is
// cut where a level ends.
#include <cmath>
#include <limits>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "core/bit_cast.h"
#include "format/layout.h"
#include "graph/builder.h"
#include "graph/output_channels.h"
#include "sample.h"
#include "sparse/random.h"
#include "temporary_directory.h"

namespace strata::format {
namespace {

/// Any finite non-zero float, extremes included.
float any_value() {
  const auto value = bit_cast<float>(*rc::gen::arbitrary<uint32_t>());
  return std::isfinite(value) && value != 0 ? value : std::numeric_limits<float>::denorm_min();
}

/// Finite, of either sign of zero too.
std::vector<float> any_vector(const graph::Parameter& parameter) {
  std::vector<float> values(static_cast<size_t>(parameter.element_count()));
  for (float& value : values) {
    value = parameter.role == graph::ParameterRole::kMean       ? 0.0F
            : parameter.role == graph::ParameterRole::kVariance ? 1.0F
            : *rc::gen::arbitrary<bool>()                       ? any_value()
                                                                : -0.0F;
  }
  return values;
}

/// Elements join at random levels; density from almost none to all.
sparse::NestedTensor any_tensor(const std::vector<int64_t>& shape, int level_count) {
  sparse::NestedTensor tensor;
  tensor.shape = shape;
  tensor.increments.resize(static_cast<size_t>(level_count));
  const auto elements = static_cast<uint32_t>(tensor.element_count());
  const int absent = *rc::gen::element(0, 1, 4, 60);
  for (uint32_t position = 0; position < elements; ++position) {
    const int level = *rc::gen::inRange(0, level_count + absent);
    if (level >= level_count) continue;
    tensor.increments[static_cast<size_t>(level)].positions.push_back(position);
    tensor.increments[static_cast<size_t>(level)].values.push_back(any_value());
  }
  return tensor;
}

graph::Dim any_dim() {
  switch (*rc::gen::inRange(0, 3)) {
    case 0:
      return *rc::gen::inRange<int64_t>(0, 1000);
    case 1:
      return *rc::gen::element<std::string>("batch", "time", "a name\nwith \xFF bytes");
    default:
      return {};
  }
}

sparse::NestedModel any_model() {
  sparse::NestedModel nested;
  nested.level_count = *rc::gen::inRange(1, 6);
  nested.vectors.resize(static_cast<size_t>(nested.level_count));
  nested.record = *rc::gen::arbitrary<std::string>();
  nested.model.name = *rc::gen::arbitrary<std::string>();
  nested.model.metadata["classes"] = *rc::gen::arbitrary<std::string>();
  const int parameters = *rc::gen::inRange(0, 6);
  for (int p = 0; p < parameters; ++p) {
    graph::Parameter parameter;
    parameter.name = "parameter " + std::to_string(p);
    parameter.role = static_cast<graph::ParameterRole>(*rc::gen::inRange(0, 6));
    parameter.prunable = *rc::gen::arbitrary<bool>();
    const int rank = *rc::gen::inRange(0, 4);
    for (int d = 0; d < rank; ++d) parameter.shape.push_back(*rc::gen::inRange<int64_t>(1, 7));
    if (parameter.role == graph::ParameterRole::kWeight) {
      nested.weights[parameter.name] = any_tensor(parameter.shape, nested.level_count);
    } else {
      for (auto& vectors : nested.vectors) vectors[parameter.name] = any_vector(parameter);
    }
    nested.model.parameters.push_back(std::move(parameter));
  }
  const int graphs = *rc::gen::inRange(1, 4);
  for (int g = 0; g < graphs; ++g) {
    graph::Graph graph;
    graph.name = "graph " + std::to_string(g);
    graph.inputs = {{"x", graph::DataType::kFloat16, {any_dim(), any_dim(), any_dim()}}};
    graph.outputs = {{"y", graph::DataType::kInt64, {any_dim()}}};
    graph.nodes = {
        {"pad",
         "Pad",
         "",
         {"x"},
         {"padded"},
         {{"mode", *rc::gen::arbitrary<std::string>()},
          {"pads", *rc::gen::arbitrary<std::vector<int64_t>>()},
          {"value", -0.0F}}},
        {"flatten", "Flatten", "", {"padded"}, {"y"}, {{"axis", *rc::gen::arbitrary<int64_t>()}}}};
    nested.model.graphs.push_back(std::move(graph));
  }
  return nested;
}

RC_GTEST_PROP(RoundTrip, AnyModelComesBackBitForBit, ()) {
  const sparse::NestedModel nested = any_model();
  const auto file = encode(nested);
  RC_ASSERT(file.ok());
  const auto back = read(*file);
  RC_ASSERT(back.ok());
  RC_ASSERT(*back == nested);
  RC_ASSERT(encode(*back).value() == *file);  // == on floats does not see the sign of a zero
}

RC_GTEST_PROP(RoundTrip, ACutAtAnyLevelsEndIsTheFileOfThoseLevels, ()) {
  const sparse::NestedModel nested = any_model();
  const std::vector<uint8_t> file = encode(nested).value();
  const std::vector<uint64_t> ends = level_ends(file);
  for (int level = 0; level < nested.level_count; ++level) {
    const auto cut = std::span(file).first(ends[static_cast<size_t>(level)]);
    const auto reader = Reader::from_bytes(cut);
    RC_ASSERT(reader.ok());
    RC_ASSERT((*reader)->level_count() == level + 1);
    RC_ASSERT((*reader)->declared_level_count() == nested.level_count);
    RC_ASSERT((*reader)->read_all().value() == lower_levels(nested, level));
  }
}

/// Also after a cut: the scales of int8 come from the values that are there.
RC_GTEST_PROP(RoundTrip, NarrowValuesAreRoundedOnlyOnce, ()) {
  sparse::NestedModel nested = any_model();
  const auto type = *rc::gen::element(ValueType::kFloat16, ValueType::kInt8);
  for (auto& [name, tensor] : nested.weights) {
    for (auto& increment : tensor.increments) {
      for (float& value : increment.values) {
        if (type == ValueType::kFloat16 && std::fabs(value) > 65504) value = 1 / value;
      }
    }
  }
  const std::vector<uint8_t> file = encode(nested, {type}).value();
  const sparse::NestedModel rounded = read(file).value();
  RC_ASSERT(encode(rounded, {type}).value() == file);
  for (int level = 0; level < nested.level_count; ++level) {
    const sparse::NestedModel cut = lower_levels(rounded, level);
    const std::vector<uint8_t> cut_file = encode(cut, {type}).value();
    RC_ASSERT(read(cut_file).value() == cut);
    RC_ASSERT(encode(read(cut_file).value(), {type}).value() == cut_file);
  }
}

/// A recurrent layer and a matrix stored [inputs, outputs].
sparse::NestedModel model_of_rows_and_columns() {
  graph::Model model;
  graph::GraphBuilder builder(model, "main");
  std::string value = builder.input("x", {"time", "batch", 5});
  value = builder.lstm("lstm", value, {.in_features = 5, .hidden = 3}).y;
  const std::string weight = builder.parameter("out.weight", {3, 7}, graph::ParameterRole::kWeight);
  value = builder.node("out", "MatMul", {value, weight});
  builder.output(value, "y", {"time", 1, "batch", 7});
  builder.finish();
  const std::vector<sparse::LevelBudget> levels = {{.weights = 0.5, .flops = {}},
                                                   {.weights = 0.9, .flops = {}}};
  return sparse::random_nested_model(model, levels, sparse::AllocationMethod::kUniform, 5).value();
}

TEST(RoundTrip, Int8HasAScalePerOutput) {
  const sparse::NestedModel nested = model_of_rows_and_columns();
  const std::vector<uint8_t> file = encode(nested, {ValueType::kInt8}).value();
  const Layout layout = parse_header(file, "file").value();
  const Metadata metadata =
      decode_metadata(std::span(file).subspan(layout.metadata.begin, layout.metadata_size)).value();
  for (size_t p = 0; p < metadata.model.parameters.size(); ++p) {
    const graph::Parameter& parameter = metadata.model.parameters[p];
    const graph::OutputChannels& channels = metadata.scales[p].channels;
    if (parameter.role != graph::ParameterRole::kWeight) continue;
    EXPECT_EQ(channels, graph::output_channels(nested.model, parameter)) << parameter.name;
    EXPECT_EQ(channels.count, parameter.name == "out.weight" ? 7 : 12) << parameter.name;
  }
  const sparse::NestedModel back = read(file).value();
  EXPECT_EQ(encode(back, {ValueType::kInt8}).value(), file);
}

/// Builds that know no strides read the files that need none.
TEST(RoundTrip, AFileAsksForTheSchemaThatItNeeds) {
  const auto schema = [](const sparse::NestedModel& nested, ValueType type) {
    return parse_header(encode(nested, {type}).value(), "file").value().schema;
  };
  EXPECT_EQ(schema(sample_model(), ValueType::kInt8), 2U);
  EXPECT_EQ(schema(model_of_rows_and_columns(), ValueType::kFloat32), 2U);
  EXPECT_EQ(schema(model_of_rows_and_columns(), ValueType::kInt8), 3U);
}

TEST(RoundTrip, AFileOnDiskIsTheEncodedModel) {
  const TemporaryDirectory directory;
  const std::string path = directory / "model.strata";
  ASSERT_TRUE(write(path, sample_model()).ok());
  EXPECT_EQ(read(path).value(), sample_model());
  EXPECT_EQ(Reader::open(path).value()->file_bytes(), sample_file().size());
}

TEST(RoundTrip, LevelsCanBeReadOneByOne) {
  const auto nested = sample_model();
  const auto reader = Reader::from_bytes(sample_file()).value();
  std::vector<LevelData> levels;
  for (int level = 0; level < 3; ++level) {
    levels.push_back(reader->read_level(level, levels).value());
    const LevelData& data = levels.back();
    for (const auto& [name, tensor] : nested.weights) {
      EXPECT_EQ(data.weights.at(name), tensor.increments[static_cast<size_t>(level)]) << name;
    }
    EXPECT_EQ(data.vectors, nested.vectors[static_cast<size_t>(level)]);
  }
}

TEST(RoundTrip, ReadingALevelNeedsTheRightLevelsBelow) {
  const auto reader = Reader::from_bytes(sample_file(), "model.strata").value();
  EXPECT_EQ(reader->read_level(1, {}).status().message(),
            "reading level 1 of 'model.strata' needs the levels below it, got 0");
  EXPECT_EQ(reader->read_level(3, {}).status().message(),
            "'model.strata' has no level 3, its levels are 0 to 2");
  EXPECT_EQ(reader->read_level(-1, {}).status().code(), StatusCode::kOutOfRange);
  const std::vector<LevelData> foreign(1);
  EXPECT_EQ(reader->read_level(1, foreign).status().code(), StatusCode::kInvalidArgument);
}

TEST(RoundTrip, BlocksSayWhereLevelsLieAndWhatTheyCost) {
  const auto nested = sample_model();
  const auto reader = Reader::from_bytes(sample_file()).value();
  ASSERT_EQ(reader->blocks().size(), 3U);
  uint64_t offset = 0;
  for (int level = 0; level < 3; ++level) {
    const LevelBlock& block = reader->blocks()[static_cast<size_t>(level)];
    uint64_t nonzeros = 0;
    double entropy = 0;
    for (const auto& [name, tensor] : nested.weights) {
      const auto taken = tensor.increments[static_cast<size_t>(level)].positions.size();
      nonzeros += taken;
      const auto below = level == 0 ? 0 : tensor.nonzeros(level - 1);
      // log2 C(free, taken), by its product.
      double free = static_cast<double>(tensor.element_count() - below);
      for (size_t i = 0; i < taken; ++i) {
        entropy += std::log2((free - static_cast<double>(i)) / static_cast<double>(i + 1));
      }
    }
    EXPECT_EQ(block.nonzeros, nonzeros);
    EXPECT_EQ(block.value_bits, nonzeros * 32);
    EXPECT_NEAR(block.entropy_bits, entropy, 1e-6);
    EXPECT_EQ(block.offset % kAlignment, 0U);
    EXPECT_GT(block.offset, offset);
    EXPECT_EQ(block.bytes_to_end, level_ends(sample_file())[static_cast<size_t>(level)]);
    offset = block.offset;
  }
  EXPECT_EQ(reader->value_type(), ValueType::kFloat32);
  EXPECT_EQ(reader->record(), R"({"seed": 7})");
}

TEST(RoundTrip, ValuesThatRoundToZeroLeaveEveryLevel) {
  auto nested = sample_model();
  auto& increment = nested.weights.at("classifier.weight").increments[0];
  increment.values[0] = 1e-30F;
  const auto reader = Reader::from_bytes(encode(nested, {ValueType::kFloat16}).value()).value();
  EXPECT_EQ(reader->blocks()[0].nonzeros + 1,
            Reader::from_bytes(sample_file()).value()->blocks()[0].nonzeros);
  const auto back = reader->read_all().value();
  for (const auto& kept : back.weights.at("classifier.weight").increments) {
    EXPECT_EQ(std::count(kept.positions.begin(), kept.positions.end(), increment.positions[0]), 0);
  }
}

TEST(Writer, RefusesAModelThatIsNotFolded) {
  auto nested = sample_model();
  nested.vectors[1].at("norm.running_var")[2] = 1.5F;
  const Status status = encode(nested).status();
  EXPECT_EQ(status.code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(status.message(),
            "the normalisation statistic 'norm.running_var' is not folded; fold the model before "
            "writing it");
}

TEST(Writer, RefusesAModelThatDoesNotNest) {
  auto nested = sample_model();
  auto& increments = nested.weights.at("conv.weight").increments;
  increments[1].positions[0] = increments[0].positions[0];
  EXPECT_FALSE(encode(nested).ok());
}

TEST(Writer, RefusesWhatNarrowValuesCannotHold) {
  auto nested = sample_model();
  nested.weights.at("conv.weight").increments[0].values[0] = 70000;
  const Status status = encode(nested, {ValueType::kFloat16}).status();
  EXPECT_EQ(status.message(),
            "weight 'conv.weight' has the value 70000.000000, beyond the largest f16, 65504; store "
            "the values as f32");
}

TEST(Writer, LeavesTheOldFileOnError) {
  const TemporaryDirectory directory;
  const std::string path = directory / "model.strata";
  ASSERT_TRUE(write(path, sample_model()).ok());
  auto broken = sample_model();
  broken.level_count = 7;
  EXPECT_FALSE(write(path, broken).ok());
  EXPECT_EQ(read(path).value(), sample_model());
  EXPECT_EQ(write(directory / "no/such/model.strata", sample_model()).code(),
            StatusCode::kNotFound);
}

}  // namespace
}  // namespace strata::format
