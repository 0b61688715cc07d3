// Data, recipe and child processes of the training tests.
#include "small_training.h"

#include <array>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <random>
#include <sstream>

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "train/error.h"

namespace strata::testing {
namespace {

constexpr const char* kNoError = "no error";

constexpr int kSide = 8;
constexpr int kClasses = 3;

std::string big_endian(uint32_t value) {
  return {static_cast<char>(value >> 24), static_cast<char>(value >> 16),
          static_cast<char>(value >> 8), static_cast<char>(value)};
}

void write_split(const fs::path& directory, const std::string& prefix, int count, uint32_t seed) {
  std::mt19937 random(seed);
  std::string images = big_endian(0x803) + big_endian(static_cast<uint32_t>(count)) +
                       big_endian(kSide) + big_endian(kSide);
  std::string labels = big_endian(0x801) + big_endian(static_cast<uint32_t>(count));
  for (int i = 0; i < count; ++i) {
    const int label = i % kClasses;
    labels += static_cast<char>(label);
    for (int y = 0; y < kSide; ++y) {
      for (int x = 0; x < kSide; ++x) {
        const bool bright = (label & 1) == (2 * y / kSide) && (label >> 1) == (2 * x / kSide);
        images += static_cast<char>(random() % 128 + (bright ? 100 : 0));
      }
    }
  }
  write_bytes(directory / (prefix + "-images-idx3-ubyte"), images);
  write_bytes(directory / (prefix + "-labels-idx1-ubyte"), labels);
}

size_t count_rows(const fs::path& log) {
  std::ifstream file(log);
  const auto lines = std::count(std::istreambuf_iterator<char>(file), {}, '\n');
  return lines > 0 ? static_cast<size_t>(lines - 1) : 0;
}

}  // namespace

void write_small_images(const fs::path& directory, int train_count, int test_count, uint32_t seed) {
  fs::create_directories(directory);
  write_split(directory, "train", train_count, seed);
  write_split(directory, "t10k", test_count, seed + 1);
}

std::string small_recipe(const fs::path& data, const std::string& algorithm) {
  return "seed = 3\n"
         "threads = 1\n"
         "[model]\n"
         "arch = 'resnet8'\n"
         "width = 4\n"
         "[data]\n"
         "dir = '" +
         data.string() +
         "'\n"
         "augment.crop_padding = 1\n"
         "[levels]\n"
         "weights = [20, 40, 80]\n"
         "[optimizer]\n"
         "lr = 0.05\n"
         "batch_size = 16\n"
         "epochs = 2\n"
         "[algorithm]\n"
         "kind = '" +
         algorithm +
         "'\n"
         "joint.update_every = 3\n"
         "grow.dual_update_every = 2\n"
         "grow.rho = 0.01\n"
         "[eval]\n"
         "every_epochs = 0.25\n";
}

train::TrainOptions small_options(const fs::path& data, const fs::path& output,
                                  const std::string& algorithm,
                                  const std::vector<std::string>& overrides) {
  train::TrainOptions options;
  options.recipe = train::parse_recipe(small_recipe(data, algorithm), "small recipe", overrides);
  options.output = output;
  options.quiet = true;
  return options;
}

std::string read_bytes(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void write_bytes(const fs::path& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

std::vector<std::string> log_without_seconds(const fs::path& output) {
  std::istringstream log(read_bytes(output.string() + ".csv"));
  std::vector<std::string> lines;
  for (std::string line; std::getline(log, line);) lines.push_back(line.substr(0, line.rfind(',')));
  return lines;
}

std::string error_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  return kNoError;
}

std::string train_until_interrupted(train::TrainOptions options, size_t rows) {
  options.after_step = [log = options.output.string() + ".csv", rows](int64_t /*steps_done*/) {
    if (count_rows(log) >= rows) ::raise(SIGTERM);
  };
  return error_of([&] { (void)train::train(options); });
}

pid_t start_child(const ChildOptions& options) {
  const std::array<std::string, 6> words = {"/proc/self/exe",
                                            "--train",
                                            options.recipe.string(),
                                            options.output.string(),
                                            std::to_string(options.file_size),
                                            std::to_string(options.interrupt_rows)};
  std::vector<char*> arguments;
  arguments.reserve(words.size() + 1);
  for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  if (!options.errors.empty()) {
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, options.errors.c_str(),
                                     O_WRONLY | O_CREAT | O_TRUNC, S_IRUSR | S_IWUSR);
  }
  pid_t child = 0;
  const int error =
      ::posix_spawn(&child, words[0].c_str(), &actions, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) throw std::runtime_error("posix_spawn failed");
  return child;
}

int wait_for_child(pid_t child) {
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int run_as_child(int argc, char** argv) {
  if (argc != 6 || std::string(argv[1]) != "--train") return -1;
  try {
    train::TrainOptions options;
    options.recipe = train::load_recipe(argv[2]);
    options.output = argv[3];
    options.resume = true;
    options.quiet = true;
    if (const long long bytes = std::atoll(argv[4]); bytes > 0) {
      const rlimit limit{static_cast<rlim_t>(bytes), static_cast<rlim_t>(bytes)};
      ::setrlimit(RLIMIT_FSIZE, &limit);
    }
    if (const auto rows = static_cast<size_t>(std::atoll(argv[5])); rows > 0) {
      const std::string message = train_until_interrupted(options, rows);
      std::fprintf(stderr, "error: %s\n", message.c_str());
      return 1;
    }
    (void)train::train(options);
    return 0;
  } catch (const Error& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return 1;
  }
}

}  // namespace strata::testing
