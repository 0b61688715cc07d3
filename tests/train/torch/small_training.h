// A data set that a tiny network learns in seconds, a recipe for it, and training in a child
// process that may be killed.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include <sys/types.h>

#include "train/torch/train.h"

namespace strata::testing {

namespace fs = std::filesystem;

/// IDX files of 8x8 grey images in three classes, each with its bright corner under noise.
void write_small_images(const fs::path& directory, int train_count = 240, int test_count = 60,
                        uint32_t seed = 1);

/// TOML for those images: resnet8 of width 4, levels of 20, 40 and 80 %, two epochs.
std::string small_recipe(const fs::path& data, const std::string& algorithm);

/// Options with the recipe, quiet.
train::TrainOptions small_options(const fs::path& data, const fs::path& output,
                                  const std::string& algorithm,
                                  const std::vector<std::string>& overrides = {});

std::string read_bytes(const fs::path& path);
void write_bytes(const fs::path& path, const std::string& bytes);

/// The log without its last column (seconds), line by line.
std::vector<std::string> log_without_seconds(const fs::path& output);

/// what() of the Error that `action` throws; "no error" if it does not.
std::string error_of(const std::function<void()>& action);

/// Trains and raises SIGTERM once the log has `rows` rows; returns the Error's text.
std::string train_until_interrupted(train::TrainOptions options, size_t rows);

/// Child processes: this executable, started anew by its main() as a training run.
struct ChildOptions {
  fs::path recipe = {};  ///< a file
  fs::path output = {};
  int64_t file_size = 0;      ///< RLIMIT_FSIZE in bytes; 0: none
  size_t interrupt_rows = 0;  ///< SIGTERM to itself after so many rows of the log; 0: never
  fs::path errors = {};       ///< its stderr; empty: as here
};
pid_t start_child(const ChildOptions& options);
/// Exit code, or 128 + signal.
int wait_for_child(pid_t child);
/// Called by main(); returns the exit code if this process is such a child, else -1.
int run_as_child(int argc, char** argv);

}  // namespace strata::testing
