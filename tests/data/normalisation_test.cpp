// Normalisation: measured, printed, parsed, applied.
#include "train/data/normalisation.h"

#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sample_files.h"

namespace strata::data {
namespace {

using testing::HasSubstr;

Dataset two_pixels() {
  Dataset dataset;
  dataset.name = "two";
  dataset.count = 2;
  dataset.channels = 3;
  dataset.height = 1;
  dataset.width = 2;
  dataset.pixels = {0, 255, 10, 20, 7, 7, 0, 255, 30, 40, 7, 7};
  dataset.labels = {0, 0};
  dataset.classes = {"a"};
  return dataset;
}

TEST(Normalisation, MeasuresMeanAndDeviationPerChannel) {
  const Normalisation measured = measure(two_pixels());
  EXPECT_FLOAT_EQ(measured.mean[0], 0.5F);
  EXPECT_FLOAT_EQ(measured.deviation[0], 0.5F);
  EXPECT_FLOAT_EQ(measured.mean[1], 25.0F / 255);
  EXPECT_FLOAT_EQ(measured.deviation[1], std::sqrt(125.0F) / 255);
}

TEST(Normalisation, ConstantChannelIsNotDividedByZero) {
  const Normalisation measured = measure(two_pixels());
  EXPECT_FLOAT_EQ(measured.mean[2], 7.0F / 255);
  EXPECT_EQ(measured.deviation[2], 1.0F);
}

TEST(Normalisation, ToFloatAppliesItToTheChosenImages) {
  const Normalisation normalisation{{0.5F, 0, 0.25F}, {0.5F, 1, 0.125F}};
  std::vector<float> out(12);
  const std::vector<int64_t> indices = {1, 0};
  to_float(two_pixels(), indices, normalisation, out.data());
  const std::vector<float> expected = {-1, 1, 30 / 255.0F, 40 / 255.0F};
  for (size_t i = 0; i < expected.size(); ++i) EXPECT_FLOAT_EQ(out[i], expected[i]);
  EXPECT_FLOAT_EQ(out[4], (7 / 255.0F - 0.25F) / 0.125F);
  EXPECT_FLOAT_EQ(out[8], 10 / 255.0F);
}

TEST(Normalisation, OtherCountOfChannelsIsRefused) {
  std::vector<float> out(12);
  const std::vector<int64_t> indices = {0};
  EXPECT_EQ(error_of([&] {
              to_float(two_pixels(), indices, {{0}, {1}}, out.data());
            }),
            "the data set 'two' has 3 channels, the normalisation 1");
}

TEST(Normalisation, MetadataReadsBackToTheSameFloats) {
  const Normalisation normalisation{{0.1F, 1.0F / 3, 1e-9F}, {0.30816F, 1, 1e9F}};
  std::map<std::string, std::string, std::less<>> metadata;
  write_normalisation(normalisation, metadata);
  EXPECT_EQ(read_normalisation(metadata, 3), normalisation);
  EXPECT_EQ(print_channels(std::vector<float>{0.5F, 0.25F}), "0.5,0.25");
}

TEST(Normalisation, NoMetadataMeansPixelsFromZeroToOne) {
  EXPECT_EQ(read_normalisation({}, 2), (Normalisation{{0, 0}, {1, 1}}));
}

TEST(Normalisation, WrongMetadataIsRefused) {
  using Metadata = std::map<std::string, std::string, std::less<>>;
  const auto error = [](const Metadata& metadata) {
    return error_of([&] { (void)read_normalisation(metadata, 2); });
  };
  EXPECT_THAT(error({{"input.mean", "0,0"}}), HasSubstr("but not the other"));
  EXPECT_THAT(error({{"input.mean", "0,0"}, {"input.std", "1"}}),
              HasSubstr("have 2 and 1 numbers"));
  EXPECT_THAT(error({{"input.mean", "0,0"}, {"input.std", "1,0"}}), HasSubstr("not above 0"));
  for (const char* wrong : {"", "a", "0,", ",0", "0;0", "nan,0", "inf,0", "1e99,0"}) {
    EXPECT_THAT(error({{"input.mean", wrong}, {"input.std", "1,1"}}),
                HasSubstr("'input.mean' is '" + std::string(wrong) + "'; expected one number"));
  }
}

}  // namespace
}  // namespace strata::data
