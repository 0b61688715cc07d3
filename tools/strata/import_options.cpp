// See import_options.h.
#include "tools/strata/import_options.h"

#include <charconv>

#include "tools/strata/console.h"

namespace strata::cli {

void declare_bind(CLI::App& app, std::vector<std::string>& into) {
  app.add_option("--bind", into,
                 "Sizes for dimensions that the model leaves open; those without a name are called "
                 "batch (the first of an input) or INPUT_AXIS")
      ->option_text("NAME=SIZE,...")
      ->delimiter(',')
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
}

void declare_weights(CLI::App& app, std::string& into) {
  app.add_option(
         "--weights", into,
         "A .safetensors file whose tensors stand in for the model's weights of their names "
         "(for a model that was exported without them, or trained further)")
      ->type_name("FILE");
}

graph::Bindings parse_bindings(const std::vector<std::string>& texts) {
  graph::Bindings bindings;
  for (const std::string& text : texts) {
    const size_t equals = text.find('=');
    int64_t size = 0;
    const char* begin = text.data() + (equals == std::string::npos ? text.size() : equals + 1);
    const char* end = text.data() + text.size();
    const auto [next, failure] = std::from_chars(begin, end, size);
    if (equals == std::string::npos || equals == 0 || failure != std::errc() || next != end ||
        size < 1) {
      throw UsageError("--bind '" + text + "' is not NAME=SIZE with a size of at least 1");
    }
    bindings[text.substr(0, equals)] = size;
  }
  return bindings;
}

}  // namespace strata::cli
