#include "sample.h"

#include <fstream>

#include <gtest/gtest.h>

#include "format/layout.h"
#include "graph/builder.h"
#include "sparse/random.h"

namespace strata::format {

sparse::NestedModel sample_model() {
  graph::Model model;
  model.name = "sample";
  model.metadata = {{"classes", "cat\ndog\nfox"}, {"input.mean", "0.5,0.5"}};
  graph::GraphBuilder builder(model, "main");
  std::string value = builder.input("image", {"batch", 2, 6, 6});
  value = builder.conv(
      "conv", value, {.in_channels = 2, .out_channels = 4, .kernel = 3, .stride = 1, .padding = 1});
  value = builder.batch_norm("norm", value, 4);
  value = builder.relu("relu", value);
  value = builder.global_average_pool("pool", value);
  value = builder.reshape("flatten", value, {0, -1});
  value = builder.gemm("classifier", value, 4, 3);
  builder.output(value, "logits", {"batch", 3});
  builder.finish();

  const std::vector<sparse::LevelBudget> levels = {
      {.weights = 0.2, .flops = {}}, {.weights = 0.45, .flops = {}}, {.weights = 0.9, .flops = {}}};
  auto nested =
      sparse::random_nested_model(model, levels, sparse::AllocationMethod::kUniform, 7).value();
  EXPECT_TRUE(sparse::fold_normalisation(nested).ok());
  nested.record = R"({"seed": 7})";
  return nested;
}

const std::vector<uint8_t>& sample_file() {
  static const std::vector<uint8_t> file = encode(sample_model()).value();
  return file;
}

sparse::NestedModel lower_levels(const sparse::NestedModel& nested, int level) {
  sparse::NestedModel lower = nested;
  const auto count = static_cast<size_t>(level) + 1;
  lower.level_count = level + 1;
  lower.vectors.resize(count);
  for (auto& [name, tensor] : lower.weights) tensor.increments.resize(count);
  return lower;
}

Result<sparse::NestedModel> read(std::span<const uint8_t> bytes) {
  STRATA_ASSIGN_OR_RETURN(const std::shared_ptr<const Reader> reader, Reader::from_bytes(bytes));
  return reader->read_all();
}

Result<sparse::NestedModel> read(const std::string& path) {
  STRATA_ASSIGN_OR_RETURN(const std::shared_ptr<const Reader> reader, Reader::open(path));
  return reader->read_all();
}

std::vector<uint64_t> level_ends(std::span<const uint8_t> file) {
  std::vector<uint64_t> ends;
  const Layout layout = parse_header(file, "file").value();
  for (const Region& level : layout.levels) ends.push_back(level.end);
  return ends;
}

std::vector<uint8_t> with_metadata(std::span<const uint8_t> file,
                                   const std::function<void(Metadata&)>& edit) {
  const Layout layout = parse_header(file, "file").value();
  Metadata metadata =
      decode_metadata(file.subspan(layout.metadata.begin, layout.metadata_size)).value();
  edit(metadata);
  return with_metadata_bytes(file, encode_metadata(metadata).value());
}

std::vector<uint8_t> with_metadata_bytes(std::span<const uint8_t> file,
                                         std::span<const uint8_t> metadata) {
  const Layout before = parse_header(file, "file").value();
  Layout layout = before;
  layout.metadata_size = metadata.size();
  layout.metadata.end = align(layout.metadata.begin + metadata.size());
  for (Region& level : layout.levels) {
    level.begin = level.begin - before.metadata.end + layout.metadata.end;
    level.end = level.end - before.metadata.end + layout.metadata.end;
  }
  std::vector<uint8_t> edited(layout.metadata.begin, 0);
  write_header(layout, edited);
  edited.insert(edited.end(), metadata.begin(), metadata.end());
  edited.resize(layout.metadata.end, 0);
  const std::span<const uint8_t> levels = file.subspan(before.metadata.end);
  edited.insert(edited.end(), levels.begin(), levels.end());
  seal(edited);
  return edited;
}

void write_bytes(const std::string& path, std::span<const uint8_t> bytes) {
  std::ofstream file(path, std::ios::binary);
  for (const uint8_t byte : bytes) file.put(static_cast<char>(byte));
  ASSERT_TRUE(file.flush().good());
}

}  // namespace strata::format
