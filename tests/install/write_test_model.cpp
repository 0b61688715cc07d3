// Writes a small random nested model for tests of other programs, and what it answers:
//   write_test_model FILE [ANSWERS]
// Element i of the input is (7919 i mod 1000) / 1000 - 0.5; ANSWERS gets the outputs of all levels,
// one behind the other, as raw float32.
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <span>
#include <string>
#include <vector>

#include "format/writer.h"
#include "models/resnet.h"
#include "runtime/session.h"
#include "sparse/random.h"

namespace {

using strata::Status;

strata::Result<strata::sparse::NestedModel> make_model() {
  auto config = strata::models::resnet_config("resnet8");
  if (!config.ok()) return config.status();
  auto model = strata::models::resnet(config.value());
  if (!model.ok()) return model.status();
  const strata::sparse::LevelBudget levels[] = {{.weights = 0.1, .flops = {}},
                                                {.weights = 0.3, .flops = {}}};
  auto nested = strata::sparse::random_nested_model(model.value(), levels,
                                                    strata::sparse::AllocationMethod::kUniform, 1);
  if (!nested.ok()) return nested.status();
  STRATA_RETURN_IF_ERROR(strata::sparse::fold_normalisation(nested.value()));
  return nested;
}

Status write_answers(const strata::sparse::NestedModel& nested, const std::string& path) {
  auto session =
      strata::runtime::Session::create(nested, {.threads = 1, .bindings = {{"batch", 1}}});
  if (!session.ok()) return session.status();
  std::vector<float> input(3 * 32 * 32);
  for (size_t i = 0; i < input.size(); ++i) {
    input[i] = static_cast<float>(static_cast<double>(7919 * i % 1000) / 1000 - 0.5);
  }
  std::ofstream file(path, std::ios::binary);
  for (int level = 0; level < session.value()->level_count(); ++level) {
    std::vector<float> output(10);
    const strata::runtime::InputView inputs[] = {input};
    const strata::runtime::OutputView outputs[] = {output};
    STRATA_RETURN_IF_ERROR(session.value()->run(inputs, outputs, level));
    file.write(reinterpret_cast<const char*>(output.data()),
               static_cast<std::streamsize>(output.size() * sizeof(float)));
  }
  return file ? Status() : strata::io_error("cannot write '" + path + "'");
}

Status write_all(std::span<char*> arguments) {
  const auto nested = make_model();
  if (!nested.ok()) return nested.status();
  STRATA_RETURN_IF_ERROR(strata::format::write(arguments[1], nested.value()));
  return arguments.size() > 2 ? write_answers(nested.value(), arguments[2]) : Status();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2 && argc != 3) return 2;
  const Status status = write_all({argv, static_cast<size_t>(argc)});
  if (!status.ok()) std::fprintf(stderr, "%s\n", status.message().c_str());
  return status.ok() ? 0 : 1;
}
