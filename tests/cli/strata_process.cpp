#include "strata_process.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <fstream>
#include <random>
#include <sstream>
#include <thread>

#include <png.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

namespace strata::cli_test {
namespace {

[[noreturn]] void become(const std::filesystem::path& folder, const std::string& program,
                         const std::vector<std::string>& arguments, const RunOptions& options) {
  std::vector<std::string> words = {program};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  argv.reserve(words.size() + 1);
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  if (chdir(folder.c_str()) != 0) _exit(126);
  if (options.file_size_limit > 0) {
    const rlimit limit{options.file_size_limit, options.file_size_limit};
    if (setrlimit(RLIMIT_FSIZE, &limit) != 0) _exit(126);
  }
  execvp(argv[0], argv.data());
  _exit(127);
}

/// Sets `said` as soon as `awaited` was read.
std::string drain(int descriptor, const std::string& awaited, std::atomic<bool>& said) {
  std::string text;
  std::array<char, 65536> buffer{};
  while (true) {
    const ssize_t got = read(descriptor, buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    text.append(buffer.data(), static_cast<size_t>(got));
    if (text.find(awaited) != std::string::npos) said = true;
  }
  close(descriptor);
  return text;
}

std::string big_endian(uint32_t value) {
  std::string bytes;
  for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(value >> shift & 0xFFU);
  return bytes;
}

std::string noise(size_t size, uint32_t seed) {
  std::mt19937 generator(seed);
  std::string bytes(size, '\0');
  for (char& byte : bytes) byte = static_cast<char>(generator() & 0xFFU);
  return bytes;
}

/// Loading the program may take seconds on a busy machine; before its handler stands, SIGINT kills
/// it.
bool catches_interrupt(pid_t process) {
  std::ifstream status("/proc/" + std::to_string(process) + "/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("SigCgt:")) {
      return (std::stoull(line.substr(7), nullptr, 16) >> (SIGINT - 1) & 1U) != 0;
    }
  }
  return false;
}

}  // namespace

Outcome run_program(const std::filesystem::path& folder, const std::string& program,
                    const std::vector<std::string>& arguments, const RunOptions& options) {
  std::array<int, 2> out{};
  std::array<int, 2> err{};
  if (pipe(out.data()) != 0 || pipe(err.data()) != 0) throw std::runtime_error("no pipe");
  const pid_t child = fork();
  if (child == 0) {
    dup2(out[1], STDOUT_FILENO);
    dup2(err[1], STDERR_FILENO);
    for (const int descriptor : {out[0], out[1], err[0], err[1]}) close(descriptor);
    become(folder, program, arguments, options);
  }
  close(out[1]);
  close(err[1]);
  Outcome outcome;
  std::atomic<bool> said{options.interrupt_once_said.empty()};
  std::atomic<bool> nothing_awaited{true};
  std::thread reader([&] { outcome.err = drain(err[0], options.interrupt_once_said, said); });
  std::thread interrupter([&] {
    if (options.interrupt_after_ms == 0) return;
    for (int tries = 0; tries < 6000 && !(said && catches_interrupt(child)); ++tries) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(options.interrupt_after_ms));
    kill(child, SIGINT);
  });
  outcome.out = drain(out[0], {}, nothing_awaited);
  reader.join();
  interrupter.join();
  int status = 0;
  waitpid(child, &status, 0);
  outcome.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return outcome;
}

std::string read_text(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file) << path;
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

void write_text(const std::filesystem::path& path, const std::string& text) {
  std::ofstream file(path, std::ios::binary);
  file << text;
  ASSERT_TRUE(file.flush()) << path;
}

void write_idx_data(const std::filesystem::path& folder, int images, int classes, int side) {
  std::filesystem::create_directories(folder);
  const auto count = static_cast<uint32_t>(images);
  const auto size = static_cast<uint32_t>(side);
  std::string labels;
  for (int i = 0; i < images; ++i) labels += static_cast<char>(i % classes);
  for (const std::string split : {"train", "t10k"}) {
    write_text(folder / (split + "-images-idx3-ubyte"),
               big_endian(0x803) + big_endian(count) + big_endian(size) + big_endian(size) +
                   noise(static_cast<size_t>(images) * size * size, 7));
    write_text(folder / (split + "-labels-idx1-ubyte"),
               big_endian(0x801) + big_endian(count) + labels);
  }
}

void write_png(const std::filesystem::path& path, int channels, int side) {
  std::filesystem::create_directories(path.parent_path());
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  image.width = static_cast<png_uint_32>(side);
  image.height = static_cast<png_uint_32>(side);
  image.format = channels == 1 ? PNG_FORMAT_GRAY : PNG_FORMAT_RGB;
  const std::string pixels = noise(static_cast<size_t>(channels) * image.width * image.height, 3);
  ASSERT_NE(png_image_write_to_file(&image, path.c_str(), 0, pixels.data(), 0, nullptr), 0);
}

Outcome StrataTest::strata(const std::vector<std::string>& arguments,
                           const RunOptions& options) const {
  return run_program(folder(), STRATA_BINARY, arguments, options);
}

nlohmann::json StrataTest::strata_json(std::vector<std::string> arguments) const {
  arguments.emplace_back("--json");
  const Outcome outcome = strata(arguments);
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  auto json = nlohmann::json::parse(outcome.out, nullptr, false);
  EXPECT_FALSE(json.is_discarded()) << outcome.out;
  return json;
}

void StrataTest::make_model(const std::string& name, const std::string& seed) const {
  const Outcome outcome =
      strata({"init", "resnet8", "--input", "1x1x8x8", "--width", "4", "--classes", "3",
              "--level-weights", "5,20,60", "--seed", seed, "--quiet", "-o", name});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
}

void StrataTest::expect_error(const Outcome& outcome, const std::vector<std::string>& words,
                              int exit_code) {
  EXPECT_EQ(outcome.exit_code, exit_code) << outcome.out << outcome.err;
  EXPECT_TRUE(outcome.err.starts_with("strata: ")) << outcome.err;
  EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.err;
  EXPECT_EQ(outcome.out, "");
  for (const std::string& word : words) {
    EXPECT_NE(outcome.err.find(word), std::string::npos) << word << " is not in: " << outcome.err;
  }
}

}  // namespace strata::cli_test
