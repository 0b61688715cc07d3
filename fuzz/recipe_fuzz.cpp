// Any text as a recipe: refused, or a recipe whose own text reads back to itself.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "train/error.h"
#include "train/recipe.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  std::string first;
  try {
    first = strata::train::to_toml(strata::train::parse_recipe(text, "fuzz"));
  } catch (const strata::Error&) {  // refused
    return 0;
  }
  // What was accepted must be accepted again, so an Error here is a bug and ends the program.
  if (strata::train::to_toml(strata::train::parse_recipe(first, "again")) != first) std::abort();
  return 0;
}
