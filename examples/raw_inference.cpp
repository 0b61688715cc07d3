// One inference at one level, numbers in and numbers out, so that any other program can feed the
// runtime and compare what it says: raw_inference FILE LEVEL <input.f32 >output.f32
// Both are raw float32 of this machine, row-major, of exactly the size of the graph's input and
// output.
#include <cstdio>
#include <exception>
#include <stdexcept>
#include <string>
#include <vector>

#include <strata/strata.hpp>

int main(int argc, char** argv) try {
  if (argc != 3) {
    std::fprintf(stderr, "usage: raw_inference FILE LEVEL <input.f32 >output.f32\n");
    return 2;
  }
  const strata::api::Model model(argv[1]);
  strata::api::Session session(model);
  std::vector<float> input(session.input_size());
  std::vector<float> output(session.output_size());
  const size_t got = std::fread(input.data(), sizeof(float), input.size(), stdin);
  if (got != input.size() || std::fgetc(stdin) != EOF) {
    throw std::runtime_error("standard input must hold exactly " + std::to_string(input.size()) +
                             " numbers of 4 bytes");
  }
  session.run(input, output, std::stoi(argv[2]));
  if (std::fwrite(output.data(), sizeof(float), output.size(), stdout) != output.size() ||
      std::fflush(stdout) != 0) {
    throw std::runtime_error("cannot write to standard output");
  }
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "raw_inference: %s\n", error.what());
  return 1;
}
