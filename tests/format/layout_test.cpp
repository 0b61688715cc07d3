// The header: versions, level ends, what is and what is not a .strata file.
#include "format/layout.h"

#include <cstring>

#include <gtest/gtest.h>

#include "sample.h"
#include "temporary_directory.h"

namespace strata::format {
namespace {

constexpr uint64_t kGiB = uint64_t{1} << 30;

std::string refusal(std::span<const uint8_t> file) {
  const auto reader = Reader::from_bytes(file, "m.strata");
  EXPECT_FALSE(reader.ok());
  return reader.status().message();
}

std::vector<uint8_t> with_field(size_t at, std::vector<uint8_t> bytes) {
  std::vector<uint8_t> file = sample_file();
  std::copy(bytes.begin(), bytes.end(), file.begin() + static_cast<std::ptrdiff_t>(at));
  seal(file);
  return file;
}

TEST(Version, ANewerMajorIsRefused) {
  const auto file = with_field(8, {2, 0, 3, 0});
  EXPECT_EQ(refusal(file),
            "'m.strata' has the file format version 2.3, this build reads up to version 1; update "
            "strata to open it");
  EXPECT_EQ(Reader::from_bytes(file).status().code(), StatusCode::kUnsupported);
}

/// A newer major version may lay out and check its header in a way of its own.
TEST(Version, ANewerMajorIsSeenBeforeTheChecksum) {
  std::vector<uint8_t> file = sample_file();
  file[8] = 9;
  for (size_t at = 12; at < 100; ++at) file[at] = 0xEE;
  EXPECT_NE(refusal(file).find("update strata"), std::string::npos);
}

TEST(Version, ANewerMinorIsAccepted) {
  const auto nested = read(with_field(10, {7, 1}));
  ASSERT_TRUE(nested.ok());
  EXPECT_EQ(*nested, sample_model());
}

/// What a newer minor version adds: fields after the level table.
TEST(Version, ALongerHeaderIsAccepted) {
  const std::vector<uint8_t>& file = sample_file();
  Layout layout = parse_header(file, "file").value();
  const std::vector<uint8_t> rest(file.begin() + static_cast<std::ptrdiff_t>(layout.metadata.begin),
                                  file.end());
  layout.metadata.begin += kAlignment;
  layout.metadata.end += kAlignment;
  for (Region& level : layout.levels) level.end += kAlignment;
  std::vector<uint8_t> longer(layout.metadata.begin, 0xAB);
  write_header(layout, longer);
  longer.insert(longer.end(), rest.begin(), rest.end());
  seal(longer);
  EXPECT_EQ(read(longer).value(), sample_model());
}

TEST(Version, ANewerSchemaIsRefused) {
  EXPECT_EQ(refusal(with_field(12, {9, 0, 0, 0})),
            "'m.strata' has the model schema version 9, this build reads up to version 3; update "
            "strata to open it");
}

TEST(Header, ForeignFilesAreRefused) {
  const std::vector<uint8_t> elf = {0x7F, 'E', 'L', 'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0};
  EXPECT_EQ(refusal(elf),
            "'m.strata' is not a .strata file: it starts with the bytes 7f 45 4c 46 02 01 01 00");
  const std::vector<uint8_t> jpeg = {0xFF, 0xD8, 0xFF, 0xE0, 0, 16, 'J', 'F', 'I', 'F'};
  EXPECT_EQ(refusal(jpeg),
            "'m.strata' is not a .strata file: it starts with the bytes ff d8 ff e0 00 10 4a 46");
  EXPECT_EQ(refusal(std::vector<uint8_t>{'x'}),
            "'m.strata' is not a .strata file: it starts with the bytes 78");
}

TEST(Header, WhatIsNoReadableFileIsRefused) {
  const TemporaryDirectory directory;
  const auto open = [](const std::string& path) { return Reader::open(path).status(); };
  EXPECT_EQ(open(directory / "none").code(), StatusCode::kNotFound);
  EXPECT_EQ(open(directory.path()).message(),
            "'" + directory.path().string() + "' is a directory, not a file");
  const std::string empty = directory / "empty";
  write_bytes(empty, {});
  EXPECT_EQ(open(empty).message(), "'" + empty + "' is not a .strata file: it is empty");
}

TEST(Header, ImpossibleFieldsAreRefused) {
  EXPECT_FALSE(Reader::from_bytes(with_field(8, {0, 0})).ok());  // version 0
  for (const size_t at : {16U, 24U, 32U, 48U, 64U}) {            // count, offset, size, ends
    for (const std::vector<uint8_t>& value :
         {std::vector<uint8_t>(8, 0), std::vector<uint8_t>(8, 0xFF),
          std::vector<uint8_t>{0, 0, 0, 0, 1, 0, 0, 0}}) {
      EXPECT_FALSE(Reader::from_bytes(with_field(at, value)).ok()) << at;
    }
  }
}

TEST(Header, OffsetsAre64Bit) {
  Layout layout;
  layout.metadata = {header_size(2), 3 * kGiB, 0};
  layout.metadata_size = 2 * kGiB - 1;
  layout.metadata.end = align(layout.metadata.begin + layout.metadata_size);
  layout.levels = {{layout.metadata.end, 5 * kGiB, 0}, {5 * kGiB, 7000 * kGiB, 0}};
  std::vector<uint8_t> header(header_size(2), 0);
  write_header(layout, header);
  seal(header);
  const Layout back = parse_header(header, "file").value();
  EXPECT_EQ(back.metadata.end, layout.metadata.end);
  EXPECT_EQ(back.levels[0].end, 5 * kGiB);
  EXPECT_EQ(back.levels[1].size(), 6995 * kGiB);
  EXPECT_EQ(count_levels(back, 5 * kGiB, "file").value(), 1);
  EXPECT_EQ(count_levels(back, 7000 * kGiB, "file").value(), 2);
  EXPECT_FALSE(count_levels(back, 5 * kGiB - (uint64_t{1} << 32), "file").ok());
  EXPECT_FALSE(count_levels(back, 1 * kGiB, "file").ok());
}

}  // namespace
}  // namespace strata::format
