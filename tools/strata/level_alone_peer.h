// One level of a model stored apart, as a file that knows no other level: what bench compares a
// nested level with, to show what nesting costs in time.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "format/writer.h"
#include "runtime/session.h"
#include "sparse/nested_model.h"

namespace strata::cli {

class LevelAlonePeer {
 public:
  /// Writes the level into a file in memory and loads that file. Throws Error.
  LevelAlonePeer(const sparse::NestedModel& nested, int level, format::ValueType values,
                 const runtime::SessionOptions& options);

  [[nodiscard]] std::string name() const { return "level " + std::to_string(level_) + " alone"; }
  [[nodiscard]] int level() const { return level_; }
  [[nodiscard]] uint64_t file_bytes() const { return file_bytes_; }

  /// One inference. Throws Error.
  void run(std::span<const runtime::InputView> inputs,
           std::span<const runtime::OutputView> outputs);

 private:
  int level_;
  uint64_t file_bytes_ = 0;
  std::unique_ptr<runtime::Session> session_;
};

}  // namespace strata::cli
