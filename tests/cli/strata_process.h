// Runs the real strata binary in a folder of its own and keeps everything that comes out of it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "temporary_directory.h"

namespace strata::cli_test {

struct Outcome {
  int exit_code = -1;  ///< 128 + signal if one ended it
  std::string out;
  std::string err;
};

struct RunOptions {
  uint64_t file_size_limit = 0;  ///< bytes that a file may have; 0: any
  int interrupt_after_ms = 0;    ///< sends SIGINT this long after its handler stands; 0: never
  std::string interrupt_once_said = {};  ///< and not before this stands on standard error
};

/// Runs `program` with its arguments in `folder`.
Outcome run_program(const std::filesystem::path& folder, const std::string& program,
                    const std::vector<std::string>& arguments, const RunOptions& options = {});

std::string read_text(const std::filesystem::path& path);
void write_text(const std::filesystem::path& path, const std::string& text);

/// Labelled noise as IDX files, in both splits.
void write_idx_data(const std::filesystem::path& folder, int images, int classes, int side);

/// A PNG of noise; `channels` is 1 or 3.
void write_png(const std::filesystem::path& path, int channels, int side);

/// A test with an empty folder to work in.
class StrataTest : public ::testing::Test {
 protected:
  [[nodiscard]] const std::filesystem::path& folder() const { return folder_.path(); }
  [[nodiscard]] std::string read(const std::string& name) const {
    return read_text(folder_ / name);
  }
  [[nodiscard]] Outcome strata(const std::vector<std::string>& arguments,
                               const RunOptions& options = {}) const;
  /// The same with --json added; expects success and silence on stderr but for progress.
  [[nodiscard]] nlohmann::json strata_json(std::vector<std::string> arguments) const;

  /// A model with three levels over 1x8x8 images and 3 classes.
  void make_model(const std::string& name, const std::string& seed = "1") const;

  /// Expects exit code 1 and exactly one sentence on stderr that begins with "strata: " and has
  /// `words` in it, and nothing on stdout.
  static void expect_error(const Outcome& outcome, const std::vector<std::string>& words,
                           int exit_code = 1);

 private:
  TemporaryDirectory folder_;
};

}  // namespace strata::cli_test
