// NumPy's arrays and archives: what is read, and what is said of everything else.
#include "interop/npz.h"

#include <cmath>
#include <fstream>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "npz_bytes.h"
#include "temporary_directory.h"

namespace strata::interop {
namespace {

using testing::Blob;
using testing::bytes_of;
using testing::npy;
using testing::npy_with_header;
using testing::zip;

std::string error_of(const Blob& file) { return parse_npy(file, "a").status().message(); }

TEST(Npy, ReadsEveryTypeOfNumber) {
  const auto integers = [](const std::string& descr, const Blob& data) {
    return to_integers(parse_npy(npy(descr, "(2,)", data), "a").value(), "a").value();
  };
  using Integers = std::vector<int64_t>;
  EXPECT_EQ(integers("|b1", {0, 1}), (Integers{0, 1}));
  EXPECT_EQ(integers("|i1", {0xff, 5}), (Integers{-1, 5}));
  EXPECT_EQ(integers("|u1", {0xff, 5}), (Integers{255, 5}));
  EXPECT_EQ(integers("<i2", bytes_of<int16_t>({-300, 7})), (Integers{-300, 7}));
  EXPECT_EQ(integers("<u2", bytes_of<uint16_t>({65535, 7})), (Integers{65535, 7}));
  EXPECT_EQ(integers("<i4", bytes_of<int32_t>({-70000, 7})), (Integers{-70000, 7}));
  EXPECT_EQ(integers("<u4", bytes_of<uint32_t>({4000000000U, 7})), (Integers{4000000000, 7}));
  EXPECT_EQ(integers("<i8", bytes_of<int64_t>({INT64_MIN, 7})), (Integers{INT64_MIN, 7}));
  EXPECT_EQ(integers("<u8", bytes_of<uint64_t>({9, 7})), (Integers{9, 7}));
  EXPECT_EQ(integers(">i4", {0, 0, 1, 2, 0xff, 0xff, 0xff, 0xfe}), (Integers{258, -2}));

  const auto floats = [](const std::string& descr, const Blob& data) {
    return to_floats(parse_npy(npy(descr, "(2,)", data), "a").value());
  };
  EXPECT_EQ(floats("<f4", bytes_of<float>({1.5F, -2})), (std::vector<float>{1.5F, -2}));
  EXPECT_EQ(floats("<f8", bytes_of<double>({1.5, 1e300})), (std::vector<float>{1.5F, INFINITY}));
  EXPECT_EQ(floats("<f2", bytes_of<uint16_t>({0x3e00, 0xfc00})),
            (std::vector<float>{1.5F, -INFINITY}));
  EXPECT_EQ(floats("<f2", bytes_of<uint16_t>({0x0001, 0x8400})),
            (std::vector<float>{0x1p-24F, -0x1p-14F}));
  EXPECT_EQ(floats("<i4", bytes_of<int32_t>({-3, 4})), (std::vector<float>{-3, 4}));
}

TEST(Npy, ReadsEveryVersionAndShape) {
  const Blob data = bytes_of<int32_t>({1, 2, 3, 4, 5, 6});
  for (const uint8_t version : {1, 2, 3}) {
    const Blob file = npy_with_header(
        "{\"shape\": (2L, 3), 'fortran_order': False, 'descr': '<i4'}", data, version);
    EXPECT_EQ(parse_npy(file, "a").value().shape, (std::vector<int64_t>{2, 3}));
  }
  EXPECT_EQ(parse_npy(npy("<i4", "()", bytes_of<int32_t>({7})), "a").value().element_count(), 1);
  EXPECT_EQ(parse_npy(npy("<i4", "(0, 5)", {}), "a").value().element_count(), 0);
  const Blob vector =
      npy_with_header("{'descr': '<i4', 'fortran_order': True, 'shape': (6,), }", data);
  EXPECT_EQ(parse_npy(vector, "a").value().shape, (std::vector<int64_t>{6}));
}

TEST(Npy, SaysWhatItCannotRead) {
  const Blob four = bytes_of<int32_t>({1});
  EXPECT_EQ(error_of(npy("<i4", "(2,)", four)),
            "'a' is no readable NumPy array: its shape needs 8 bytes, it holds 4");
  EXPECT_EQ(error_of(npy("<U3", "(1,)", four)),
            "'a' has elements of type '<U3'; booleans, integers and floating-point numbers are "
            "read");
  EXPECT_EQ(error_of(npy("<c8", "(1,)", four)).substr(0, 31), "'a' has elements of type '<c8';");
  EXPECT_EQ(
      error_of(npy_with_header("{'descr': '<i4', 'fortran_order': True, 'shape': (1, 1), }", four)),
      "'a' is in Fortran order; save numpy.ascontiguousarray() of it instead");
  EXPECT_EQ(error_of(npy_with_header("{'descr': '<i4', 'fortran_order': False, 'shape': (1,), }",
                                     four, 4)),
            "'a' has version 4 of NumPy's array format; versions 1 to 3 are read");
  EXPECT_EQ(error_of({}), "'a' is no readable NumPy array: it does not begin with \\x93NUMPY");
  for (const char* header :
       {"", "{", "{}", "{'descr': '<i4'}", "{'descr': [('x', '<i4')], 'shape': (1,)}",
        "{'descr': '<i4', 'fortran_order': False, 'shape': (-1,), }",
        "{'descr': '<i4', 'fortran_order': False, 'shape': (1,), 'more': 1}",
        "{'descr': '<i4', 'fortran_order': False, 'shape': (99999999999999999999,), }",
        "{'descr': '<i4', 'fortran_order': False, 'shape': (1,), } x"}) {
    EXPECT_EQ(error_of(npy_with_header(header, four)),
              "'a' is no readable NumPy array: its header is not that of a plain array")
        << header;
  }
  EXPECT_NE(error_of(npy("<i4", "(4294967296, 4294967296, 4294967296)", four)), "");
  const auto wide = parse_npy(npy("<u8", "(1,)", bytes_of<uint64_t>({UINT64_MAX})), "a").value();
  EXPECT_EQ(to_integers(wide, "a").status().message(), "'a' holds a number above 2^63 - 1");
  const auto real = parse_npy(npy("<f4", "(1,)", four), "a").value();
  EXPECT_EQ(to_integers(real, "a").status().message(), "'a' holds float32, expected integers");
}

TEST(Npz, ReadsWhatWasStoredAndDeflated) {
  const Blob labels = npy("<i4", "(3,)", bytes_of<int32_t>({4, 5, 6}));
  const Blob zeros = npy("<f4", "(1000,)", Blob(4000, 0));
  for (const bool wide : {false, true}) {
    const Blob file = zip({{"labels.npy", labels, false, wide},
                           {"zeros.npy", zeros, true, wide},
                           {"readme.txt", testing::blob("hello"), false, wide}},
                          wide ? "a comment" : "");
    const NpzArchive archive = NpzArchive::parse(file, "f.npz").value();
    EXPECT_EQ(archive.names(), (std::vector<std::string>{"labels", "zeros"}));
    EXPECT_TRUE(archive.contains("labels"));
    EXPECT_EQ(to_integers(archive.read("labels").value(), "labels").value(),
              (std::vector<int64_t>{4, 5, 6}));
    EXPECT_EQ(to_floats(archive.read("zeros").value()), std::vector<float>(1000, 0));
    EXPECT_EQ(archive.read("edges").status().message(),
              "'f.npz' has no array 'edges'; it has labels, zeros");
  }
}

RC_GTEST_PROP(Npz, GivesBackWhatWasPutIn, (const std::vector<int32_t>& values, bool deflated)) {
  const Blob array = npy("<i4", "(" + std::to_string(values.size()) + ",)", bytes_of(values));
  const Blob file = zip({{"a.npy", array, deflated}});
  const auto read = NpzArchive::parse(file, "f").value().read("a");
  RC_ASSERT(read.ok());
  RC_ASSERT(read.value().bytes == bytes_of(values));
}

TEST(Npz, SaysWhatItCannotRead) {
  const auto open_error = [](const Blob& file) {
    return NpzArchive::parse(file, "f.npz").status().message();
  };
  const Blob array = npy("<i4", "(1,)", bytes_of<int32_t>({1}));
  EXPECT_EQ(open_error({}),
            "'f.npz' is no readable .npz archive: it has no zip directory at its end; is it "
            "truncated?");
  EXPECT_EQ(open_error(zip({{"a.npy", array}, {"a.npy", array}})),
            "'f.npz' is no readable .npz archive: it holds the array 'a' twice");
  EXPECT_EQ(open_error(zip({{.name = "a.npy", .data = array, .method = 14}})),
            "'f.npz' holds 'a.npy' packed by method 14; stored and deflated arrays are read");
  EXPECT_EQ(open_error(zip({{.name = "a.npy", .data = array, .flags = 1}})),
            "'f.npz' is encrypted, which is not read");
  Blob flipped = zip({{"a.npy", array}});
  flipped[30 + 5 + 20 + array.size() - 1] ^= 1;  // the array's last byte
  EXPECT_EQ(NpzArchive::parse(flipped, "f.npz").value().read("a").status().message(),
            "'f.npz: a' is damaged: its checksum is wrong");
  EXPECT_EQ(NpzArchive::open("/nonexistent/f.npz").status().code(), StatusCode::kNotFound);
}

// Whatever is cut off or flipped: an error, or the same array; never anything else.
TEST(Npz, SurvivesEveryCutAndEveryFlippedByte) {
  const Blob data = bytes_of<int32_t>({1, 2, 3, 4, 5, 6, 7, 8});
  const Blob array = npy("<i4", "(8,)", data);
  for (const bool deflated : {false, true}) {
    const Blob file = zip({{"a.npy", array, deflated, true}});
    const auto check = [&](const Blob& bytes) {
      const auto archive = NpzArchive::parse(bytes, "f");
      if (!archive.ok()) return;
      const auto read = archive.value().read("a");
      if (read.ok()) {
        EXPECT_EQ(read.value().bytes, data);
      }
    };
    for (size_t size = 0; size < file.size(); ++size) {
      const Blob cut(file.begin(), file.begin() + static_cast<std::ptrdiff_t>(size));
      EXPECT_FALSE(NpzArchive::parse(cut, "f").ok()) << size;
    }
    for (size_t place = 0; place < file.size(); ++place) {
      for (const uint8_t mask : {0x01, 0x80, 0xff}) {
        Blob bad = file;
        bad[place] ^= mask;
        check(bad);
      }
    }
  }
}

TEST(Npz, OpensAFile) {
  const TemporaryDirectory directory;
  const std::string path = directory / "a.npz";
  const Blob file = zip({{"a.npy", npy("<i4", "(1,)", bytes_of<int32_t>({3})), true}});
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(file.data()), static_cast<std::streamsize>(file.size()));
  const auto archive = NpzArchive::open(path);
  ASSERT_TRUE(archive.ok()) << archive.status().message();
  EXPECT_EQ(to_integers(archive.value().read("a").value(), "a").value(), std::vector<int64_t>{3});
  EXPECT_EQ(archive.value().label("a"), path + ": a");
}

}  // namespace
}  // namespace strata::interop
