// Everything that metadata can hold, kinds of attributes without an operator included.
#include "format/metadata.h"

#include <limits>

#include <gtest/gtest.h>

#include "core/bit_cast.h"

namespace strata::format {
namespace {

Metadata sample_metadata() {
  Metadata metadata;
  metadata.model.name = std::string("nul \0 inside", 12);
  metadata.model.metadata = {{"", ""}, {"classes", "a\nb"}};
  metadata.model.parameters = {
      {"w", {2, 3}, graph::ParameterRole::kWeight, false},
      {"scalar", {}, graph::ParameterRole::kShift, true},
  };
  metadata.model.graphs = {
      {"encoder",
       {{"x", graph::DataType::kInt32, {"batch", 5, {}}}},
       {{"y", graph::DataType::kBool, {}}},
       {{"node",
         "Op",
         "ai.strata",
         {"x", "", "w"},
         {"y"},
         {{"int", int64_t{-5}},
          {"float", 0.1F},
          {"string", std::string()},
          {"ints", std::vector<int64_t>{std::numeric_limits<int64_t>::min(), 0, 1}},
          {"no ints", std::vector<int64_t>{}},
          {"one int", std::vector<int64_t>{1}},
          {"floats", std::vector<float>{1, std::numeric_limits<float>::infinity()}},
          {"one float", std::vector<float>{0}},
          {"no floats", std::vector<float>{}}}}}},
      {"decoder", {}, {}, {}},
  };
  metadata.record = R"({"recipe": "grow"})";
  metadata.values = ValueType::kInt8;
  metadata.scales = {{{0.5F, 0.25F, 1}, {3, 1}}, {}};
  metadata.sections = {{{3, 7, {PositionCoding::kLeft, 9}}}, {{1, 0, {PositionCoding::kEvery, 1}}}};
  return metadata;
}

TEST(Metadata, ComesBackAsItWas) {
  const Metadata metadata = sample_metadata();
  const Metadata back = decode_metadata(encode_metadata(metadata).value()).value();
  EXPECT_EQ(back.model, metadata.model);
  EXPECT_EQ(back.record, metadata.record);
  EXPECT_EQ(back.values, metadata.values);
  EXPECT_EQ(back.scales, metadata.scales);
  ASSERT_EQ(back.sections.size(), 2U);
  EXPECT_EQ(back.sections[0][0].nonzeros, 3U);
  EXPECT_EQ(back.sections[0][0].position_bytes, 7U);
  EXPECT_EQ(back.sections[0][0].code.coding, PositionCoding::kLeft);
  EXPECT_EQ(back.sections[0][0].code.golomb, 9U);
  EXPECT_EQ(back.sections[1][0].code.coding, PositionCoding::kEvery);
}

TEST(Metadata, FloatsKeepTheirBits) {
  Metadata metadata = sample_metadata();
  for (const uint32_t bits : {0x80000000U, 0x7FC12345U, 0x00000001U}) {
    metadata.model.graphs[0].nodes[0].attributes["float"] = bit_cast<float>(bits);
    const Metadata back = decode_metadata(encode_metadata(metadata).value()).value();
    const auto& attribute = back.model.graphs[0].nodes[0].attributes.at("float");
    EXPECT_EQ(bit_cast<uint32_t>(std::get<float>(attribute)), bits);
  }
}

TEST(Metadata, ThatIsTooLargeIsRefused) {
  Metadata metadata = sample_metadata();
  metadata.record.assign((size_t{1} << 30) + 1, ' ');
  EXPECT_EQ(encode_metadata(metadata).status().code(), StatusCode::kInvalidArgument);
}

TEST(Metadata, EveryTruncationIsRefused) {
  const std::vector<uint8_t> bytes = encode_metadata(sample_metadata()).value();
  for (size_t size = 0; size + 8 < bytes.size(); ++size) {
    // Of its own, so that a sanitizer sees every byte that is read behind the end.
    const std::vector<uint8_t> cut(bytes.begin(),
                                   bytes.begin() + static_cast<std::ptrdiff_t>(size));
    EXPECT_FALSE(decode_metadata(cut).ok()) << size;
  }
}

}  // namespace
}  // namespace strata::format
