// Arrays of a NumPy archive as samples: which array feeds which input, splits, types, and what is
// refused.
#include <filesystem>

#include <gmock/gmock.h>

#include "npz_bytes.h"
#include "sample_files.h"
#include "train/data/samples.h"
#include "train/error.h"

namespace strata::data {
namespace {

using interop::testing::Blob;
using interop::testing::bytes_of;
using interop::testing::npy;
using interop::testing::zip;
using interop::testing::ZipEntry;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

const graph::ValueInfo features_input{"features", graph::DataType::kFloat32, {"batch", 2}};

class ArraySamplesTest : public ::testing::Test {
 protected:
  [[nodiscard]] std::filesystem::path path() const { return directory_.path() / "arrays.npz"; }
  void write(const std::vector<ZipEntry>& entries) const {
    directory_.write("arrays.npz", zip(entries));
  }
  [[nodiscard]] std::string error_of(std::span<const graph::ValueInfo> inputs) const {
    try {
      static_cast<void>(load_arrays(path(), inputs, Split::kTrain));
    } catch (const Error& error) {
      return error.what();
    }
    return "no error";
  }

 private:
  DataDirectory directory_;
};

/// [count, 2] of 0, 1, 2, …
Blob counting(int64_t count) {
  std::vector<float> values;
  for (int64_t i = 0; i < 2 * count; ++i) values.push_back(static_cast<float>(i));
  return npy("<f4", "(" + std::to_string(count) + ", 2)", bytes_of(values));
}

TEST_F(ArraySamplesTest, EveryTenthSampleIsHeldOut) {
  std::vector<int64_t> labels;
  for (int64_t i = 0; i < 20; ++i) labels.push_back(i);
  write({{"x.npy", counting(20)}, {"y.npy", npy("<i8", "(20,)", bytes_of(labels)), true}});
  const auto train = load_arrays(path(), {&features_input, 1}, Split::kTrain);
  const auto test = load_arrays(path(), {&features_input, 1}, Split::kTest);
  EXPECT_EQ(train->count(), 18);
  EXPECT_THAT(test->labels(), ElementsAre(9, 19));
  EXPECT_EQ(test->inputs()[0].name, "features");
  std::vector<float> values(2);
  const int64_t second = 1;
  test->read({&second, 1}, 0, values.data());
  EXPECT_THAT(values, ElementsAre(38, 39));
  EXPECT_EQ(choose_samples(*train, 5).size(), 5U);
}

TEST_F(ArraySamplesTest, SplitsByName) {
  write({{"features_train.npy", counting(3)}, {"features_test.npy", counting(2)}});
  EXPECT_EQ(load_arrays(path(), {&features_input, 1}, Split::kTrain)->count(), 3);
  const auto test = load_arrays(path(), {&features_input, 1}, Split::kTest);
  EXPECT_EQ(test->count(), 2);
  EXPECT_TRUE(test->labels().empty());
}

TEST_F(ArraySamplesTest, SeveralInputsOfDifferentTypes) {
  const std::vector<graph::ValueInfo> inputs = {
      {"tokens", graph::DataType::kInt64, {"batch", "time"}},
      {"mask", graph::DataType::kFloat32, {"batch", "time"}}};
  write({{"tokens.npy", npy("<i4", "(10, 3)", bytes_of(std::vector<int32_t>(30, 7)))},
         {"mask.npy", npy("<f8", "(10, 3)", bytes_of(std::vector<double>(30, 0.5)))}});
  const auto samples = load_arrays(path(), inputs, Split::kTrain);
  EXPECT_EQ(samples->count(), 9);
  EXPECT_EQ(samples->inputs()[0].type, graph::DataType::kInt64);
  EXPECT_THAT(samples->inputs()[0].shape, ElementsAre(3));
  std::vector<int64_t> tokens(3);
  const int64_t first = 0;
  samples->read({&first, 1}, 0, tokens.data());
  EXPECT_THAT(tokens, ElementsAre(7, 7, 7));
}

TEST_F(ArraySamplesTest, WhatDoesNotFitIsRefused) {
  write({{"z.npy", counting(20)}});
  EXPECT_THAT(error_of({&features_input, 1}), HasSubstr("features"));
  write({{"x.npy", npy("<f4", "(2, 3)", bytes_of(std::vector<float>(6)))}});
  EXPECT_THAT(error_of({&features_input, 1}), HasSubstr("[2,3], but the network's input"));
  write({{"x.npy", counting(2)}});
  EXPECT_THAT(error_of({&features_input, 1}), ::testing::Eq("no error"));
  write(
      {{"x.npy", counting(20)}, {"y.npy", npy("<i8", "(3,)", bytes_of(std::vector<int64_t>(3)))}});
  EXPECT_THAT(error_of({&features_input, 1}), HasSubstr("a label for each of 20 samples"));
  write({{"x.npy", counting(20)},
         {"y.npy", npy("<i8", "(20,)", bytes_of(std::vector<int64_t>(20, -1)))}});
  EXPECT_THAT(error_of({&features_input, 1}), HasSubstr("class numbers from 0 on"));
  write({{"x.npy", npy("<f4", "(1, 2)", bytes_of(std::vector<float>{1, 1e30F * 1e30F}))}});
  EXPECT_THAT(error_of({&features_input, 1}), HasSubstr("not finite"));
  const graph::ValueInfo batches{"x", graph::DataType::kFloat32, {8, 2}};
  write({{"x.npy", counting(20)}});
  EXPECT_THAT(error_of({&batches, 1}), HasSubstr("open batch dimension"));
}

}  // namespace
}  // namespace strata::data
