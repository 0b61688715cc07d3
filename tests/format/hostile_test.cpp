// Files made to do harm: their checksums are right, what is under them is not. Such a file is
// refused or gives a sound model, and memory stays in proportion to its size.
#include <algorithm>
#include <cstring>
#include <random>

#include <flatbuffers/flatbuffers.h>
#include <gtest/gtest.h>
#include <model_generated.h>

#include "allocation_watch.h"
#include "format/layout.h"
#include "sample.h"

namespace strata::format {
namespace {

/// Opens a hostile file; whether it is accepted.
bool accepted(const std::vector<uint8_t>& file) {
  watch_allocations();
  const auto nested = read(file);
  EXPECT_LE(largest_allocation(), 32 * file.size() + 65536);
  if (!nested.ok()) return false;
  const Status sound = sparse::check(*nested);
  EXPECT_TRUE(sound.ok()) << sound.message();
  return sound.ok();
}

std::string refusal(const std::vector<uint8_t>& file) {
  EXPECT_FALSE(accepted(file));
  return Reader::from_bytes(file, "m.strata").status().message();
}

TEST(Hostile, MutationsWithRightChecksumsAreRefusedOrSound) {
  std::mt19937_64 random(1);
  for (const ValueType type : {ValueType::kFloat32, ValueType::kFloat16, ValueType::kInt8}) {
    const std::vector<uint8_t> original = encode(sample_model(), {type}).value();
    int sound = 0;
    int refused = 0;
    for (int i = 0; i < 20000; ++i) {
      std::vector<uint8_t> file = original;
      for (uint64_t edits = 1 + random() % 3; edits > 0; --edits) {
        const size_t at = random() % file.size();
        switch (random() % 3) {
          case 0:
            file[at] ^= static_cast<uint8_t>(1U << random() % 8);
            break;
          case 1:
            file[at] = static_cast<uint8_t>(random());
            break;
          default: {  // a field of several bytes, at an extreme
            const auto fill = static_cast<uint8_t>(random() % 2 == 0 ? 0xFF : 0);
            const size_t width = size_t{1} << random() % 4;
            for (size_t b = at / width * width; b < file.size() && b < at / width * width + width;
                 ++b) {
              file[b] = fill;
            }
          }
        }
      }
      seal(file);
      (accepted(file) ? sound : refused) += 1;
    }
    EXPECT_GT(sound, 1000);
    EXPECT_GT(refused, 1000);
  }
}

/// References that move by four bytes stay inside, but what they refer to is no longer aligned; a
/// sanitizer sees it when that is read in place.
TEST(Hostile, MisalignedReferencesAreRefusedOrSound) {
  const Layout layout = parse_header(sample_file(), "file").value();
  for (uint64_t at = layout.metadata.begin; at < layout.metadata.end; ++at) {
    for (const int shift : {-4, 4}) {
      std::vector<uint8_t> file = sample_file();
      file[at] = static_cast<uint8_t>(file[at] + shift);
      seal(file);
      accepted(file);
    }
  }
}

TEST(Hostile, ClaimsOfManyNonzerosAreRefused) {
  for (const uint64_t claim : {uint64_t{73}, uint64_t{1} << 32, uint64_t{1} << 40, ~uint64_t{0}}) {
    EXPECT_EQ(refusal(with_metadata(sample_file(),
                                    [&](Metadata& m) { m.sections[0][0].nonzeros = claim; })),
              "'m.strata' is damaged: a level has more non-zeros than the weight has free places; "
              "copy the file again");
  }
  // Within the weight, but not within the level's bytes.
  const auto file = with_metadata(sample_file(), [](Metadata& m) {
    m.model.parameters[0].shape = {4, 2, 30000, 10000};
    m.sections[0][0].nonzeros = 2000000000;
  });
  EXPECT_EQ(refusal(file),
            "'m.strata' is damaged: the sections of level 0 do not fit its size; copy the file "
            "again");
}

TEST(Hostile, ClaimsOfManyBytesAreRefused) {
  for (const uint64_t claim : {uint64_t{1000}, uint64_t{1} << 40, ~uint64_t{0}}) {
    EXPECT_FALSE(accepted(with_metadata(
        sample_file(), [&](Metadata& m) { m.sections[1][0].position_bytes = claim; })));
  }
}

/// Memory follows the non-zeros, so a shape may be as large as positions reach.
TEST(Hostile, AHugeSparseWeightIsNoClaimOfMemory) {
  auto nested = sample_model();
  const std::string name = "classifier.weight";
  auto& parameters = nested.model.parameters;
  const auto parameter = std::find_if(parameters.begin(), parameters.end(),
                                      [&](const auto& p) { return p.name == name; });
  parameter->shape = {65536, 65535};
  sparse::NestedTensor& tensor = nested.weights.at(name);
  tensor.shape = parameter->shape;
  tensor.increments = {{{0}, {1}}, {{65536U * 65535U - 1}, {2}}, {{1, 1U << 31}, {3, 4}}};
  const std::vector<uint8_t> file = encode(nested).value();
  EXPECT_TRUE(accepted(file));
  EXPECT_EQ(read(file).value(), nested);
}

TEST(Hostile, HugeShapesAreRefused) {
  const auto with_shape = [](size_t parameter, std::vector<int64_t> shape) {
    return with_metadata(sample_file(),
                         [&](Metadata& m) { m.model.parameters[parameter].shape = shape; });
  };
  // conv.weight, then scale, shift, mean and variance of the normalisation.
  EXPECT_FALSE(accepted(with_shape(0, {int64_t{1} << 20, int64_t{1} << 20})));
  EXPECT_FALSE(accepted(with_shape(0, {int64_t{1} << 62, 16})));
  EXPECT_FALSE(accepted(with_shape(0, {-4, -18})));
  EXPECT_FALSE(accepted(with_shape(0, {0})));
  EXPECT_FALSE(accepted(with_shape(1, {int64_t{1} << 31})));
  EXPECT_FALSE(accepted(with_shape(3, {int64_t{1} << 31})));
  EXPECT_FALSE(accepted(with_shape(4, {int64_t{1} << 40})));
}

TEST(Hostile, StatisticsOutOfProportionAreRefused) {
  const auto file =
      with_metadata(sample_file(), [](Metadata& m) { m.model.parameters[3].shape = {1 << 20}; });
  EXPECT_EQ(refusal(file),
            "'m.strata' is damaged: its normalisation statistics are out of proportion; copy the "
            "file again");
}

TEST(Hostile, AGraphThatIsNotValidIsRefused) {
  const auto file = with_metadata(sample_file(),
                                  [](Metadata& m) { m.model.graphs[0].nodes[0].op_type = "Konv"; });
  const std::string message = refusal(file);
  EXPECT_NE(message.find("'m.strata' is damaged: its model is not valid: "), std::string::npos);
  EXPECT_NE(message.find("Konv"), std::string::npos);
}

TEST(Hostile, UnknownCodingsAreRefused) {
  EXPECT_FALSE(accepted(with_metadata(sample_file(), [](Metadata& m) {
    m.sections[0][0].code.coding = static_cast<PositionCoding>(3);
  })));
  EXPECT_FALSE(accepted(
      with_metadata(sample_file(), [](Metadata& m) { m.sections[0][0].code.golomb = 0; })));
  EXPECT_FALSE(accepted(
      with_metadata(sample_file(), [](Metadata& m) { m.values = static_cast<ValueType>(3); })));
  EXPECT_FALSE(
      accepted(with_metadata(sample_file(), [](Metadata& m) { m.values = ValueType::kInt8; })));
  EXPECT_FALSE(accepted(with_metadata(sample_file(), [](Metadata& m) { m.sections.pop_back(); })));
}

TEST(Hostile, ScalesThatDoNotDivideTheirWeightAreRefused) {
  const std::vector<uint8_t> file = encode(sample_model(), {ValueType::kInt8}).value();
  const auto with_channels = [&](int64_t count, int64_t stride) {
    return with_metadata(file, [&](Metadata& m) {
      ChannelScales& scales = m.scales[0];  // of 4 x 2 x 3 x 3 elements
      scales.values.resize(static_cast<size_t>(count), 1);
      scales.channels = {count, stride};
    });
  };
  EXPECT_TRUE(accepted(with_channels(2, 9)));
  EXPECT_TRUE(accepted(with_channels(4, 1)));
  EXPECT_TRUE(accepted(with_channels(4, 0)));  // as older files say it
  EXPECT_FALSE(accepted(with_channels(5, 1)));
  EXPECT_FALSE(accepted(with_channels(4, 5)));
  EXPECT_FALSE(accepted(with_channels(2, 72)));
  EXPECT_FALSE(accepted(with_channels(1, int64_t{1} << 62)));
  EXPECT_FALSE(accepted(with_channels(1, -1)));
  EXPECT_FALSE(accepted(with_channels(0, 1)));
}

/// Values that no writer stores: zeros, infinities, NaNs.
TEST(Hostile, ValuesThatAreNotFiniteAreRefused) {
  const Layout layout = parse_header(sample_file(), "file").value();
  for (const uint32_t bits : {0U, 0x80000000U, 0x7F800000U, 0x7FC00000U}) {
    int refused = 0;
    for (uint64_t at = layout.levels[0].begin; at + 4 <= layout.levels[0].end; ++at) {
      std::vector<uint8_t> file = sample_file();
      std::memcpy(file.data() + at, &bits, sizeof bits);
      seal(file);
      if (!accepted(file)) ++refused;
    }
    EXPECT_GT(refused, 10);
  }
}

/// FlatBuffers may refer to one object many times: a file of 100 KB could unfold into gigabytes.
TEST(Hostile, MetadataThatUnfoldsIsRefused) {
  flatbuffers::FlatBufferBuilder builder;
  const auto text = builder.CreateString(std::string(20000, 'x'));
  const auto name = schema::CreateName(builder, text);
  const auto names = builder.CreateVector(std::vector(10000, name));
  const auto attributes =
      builder.CreateVector(std::vector<flatbuffers::Offset<schema::Attribute>>());
  const auto node = schema::CreateNode(builder, text, text, text, names, names, attributes);
  const auto nodes = builder.CreateVector(std::vector(10000, node));
  const auto values = builder.CreateVector(std::vector<flatbuffers::Offset<schema::ValueInfo>>());
  const auto graph = schema::CreateGraph(builder, text, values, values, nodes);
  const auto graphs = builder.CreateVector(std::vector(10000, graph));
  const auto parameters =
      builder.CreateVector(std::vector<flatbuffers::Offset<schema::Parameter>>());
  const auto properties =
      builder.CreateVector(std::vector<flatbuffers::Offset<schema::Property>>());
  const auto levels = builder.CreateVector(std::vector<flatbuffers::Offset<schema::Level>>());
  builder.Finish(
      schema::CreateMetadata(builder, text, graphs, parameters, properties, text, 0, levels));
  EXPECT_FALSE(accepted(
      with_metadata_bytes(sample_file(), {builder.GetBufferPointer(), builder.GetSize()})));
}

TEST(Hostile, TextThatIsSharedIsRefused) {
  flatbuffers::FlatBufferBuilder builder;
  const auto text = builder.CreateString(std::string(20000, 'x'));
  const auto graphs = builder.CreateVector(std::vector<flatbuffers::Offset<schema::Graph>>());
  const auto parameters =
      builder.CreateVector(std::vector<flatbuffers::Offset<schema::Parameter>>());
  const auto properties =
      builder.CreateVector(std::vector<flatbuffers::Offset<schema::Property>>());
  const auto levels = builder.CreateVector(std::vector<flatbuffers::Offset<schema::Level>>());
  builder.Finish(
      schema::CreateMetadata(builder, text, graphs, parameters, properties, text, 0, levels));
  EXPECT_EQ(
      refusal(with_metadata_bytes(sample_file(), {builder.GetBufferPointer(), builder.GetSize()})),
      "'m.strata' is damaged: its metadata uses the same bytes more than once; copy the file "
      "again");
}

TEST(Hostile, MetadataThatIsNoneIsRefused) {
  EXPECT_EQ(refusal(with_metadata_bytes(sample_file(), std::vector<uint8_t>(1000, 0x5A))),
            "'m.strata' is damaged: its metadata is not well-formed; copy the file again");
  EXPECT_FALSE(accepted(with_metadata_bytes(sample_file(), {})));
}

}  // namespace
}  // namespace strata::format
