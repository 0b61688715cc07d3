// What nesting costs: the size and the reading time of ResNet-50 at the densities of the published
// model. Prints the figures of docs/format.md.
#include <chrono>
#include <cstdio>

#include <gtest/gtest.h>

#include "format/reader.h"
#include "format/value_coding.h"
#include "format/writer.h"
#include "models/resnet.h"
#include "sparse/random.h"

namespace strata::format {
namespace {

constexpr double kSparse = 0.0538;
constexpr double kDense = 0.1338;

sparse::NestedModel resnet50(sparse::AllocationMethod method) {
  const graph::Model model = models::resnet(models::resnet_config("resnet50").value()).value();
  const std::vector<sparse::LevelBudget> levels = {{.weights = kSparse, .flops = {}},
                                                   {.weights = kDense, .flops = {}}};
  auto nested = sparse::random_nested_model(model, levels, method, 1).value();
  EXPECT_TRUE(sparse::fold_normalisation(nested).ok());
  return nested;
}

void print(const char* name, const Reader& reader) {
  std::printf("%s: %.2f MB, metadata %.1f KB\n", name,
              static_cast<double>(reader.file_bytes()) / 1e6,
              static_cast<double>(reader.metadata_bytes()) / 1e3);
  for (const LevelBlock& block : reader.blocks()) {
    const auto nonzeros = static_cast<double>(block.nonzeros);
    std::printf("  increment: %8.0f non-zeros, places %.3f bits each, bound %.3f, values %.0f\n",
                nonzeros, static_cast<double>(block.position_bits) / nonzeros,
                block.entropy_bits / nonzeros, static_cast<double>(block.value_bits) / nonzeros);
  }
}

class ResNet50Size : public testing::TestWithParam<sparse::AllocationMethod> {};

TEST_P(ResNet50Size, ANestedFileIsHardlyLargerThanItsLastLevelAlone) {
  const sparse::NestedModel nested = resnet50(GetParam());
  const std::vector<uint8_t> file = encode(nested).value();
  const std::vector<uint8_t> alone =
      encode(sparse::level_alone(nested, nested.level_count - 1).value()).value();
  const auto reader = Reader::from_bytes(file).value();
  print("nested", *reader);
  print("last level alone", *Reader::from_bytes(alone).value());
  const double ratio = static_cast<double>(file.size()) / static_cast<double>(alone.size());
  std::printf("ratio %.4f\n", ratio);
  EXPECT_LE(ratio, 1.05);
  for (const LevelBlock& block : reader->blocks()) {
    EXPECT_LE(static_cast<double>(block.position_bits) - block.entropy_bits,
              0.1 * static_cast<double>(block.nonzeros));
  }

  const auto start = std::chrono::steady_clock::now();
  const auto back = reader->read_all();
  const std::chrono::duration<double, std::milli> elapsed =
      std::chrono::steady_clock::now() - start;
  std::printf("read in %.0f ms\n", elapsed.count());
  EXPECT_EQ(back.value(), nested);
}

TEST(NarrowValues, MakeTheFileSmaller) {
  const sparse::NestedModel nested = resnet50(sparse::AllocationMethod::kUniform);
  std::vector<size_t> sizes;
  for (const ValueType type : {ValueType::kFloat32, ValueType::kFloat16, ValueType::kInt8}) {
    const std::vector<uint8_t> file = encode(nested, {type}).value();
    sizes.push_back(file.size());
    print(to_string(type), *Reader::from_bytes(file).value());
  }
  EXPECT_LT(static_cast<double>(sizes[1]), 0.6 * static_cast<double>(sizes[0]));
  EXPECT_LT(static_cast<double>(sizes[2]), 0.4 * static_cast<double>(sizes[0]));
}

INSTANTIATE_TEST_SUITE_P(Allocations, ResNet50Size,
                         testing::Values(sparse::AllocationMethod::kUniform,
                                         sparse::AllocationMethod::kErdosRenyiKernel));

}  // namespace
}  // namespace strata::format
