// See value_option.h.
#include "tools/strata/value_option.h"

#include <string>
#include <vector>

namespace strata::cli {

void declare_values(CLI::App& app, format::ValueType& into) {
  using format::ValueType;
  static constexpr ValueType kTypes[] = {ValueType::kFloat32, ValueType::kFloat16,
                                         ValueType::kInt8};
  std::vector<std::string> names;
  for (const ValueType type : kTypes) names.emplace_back(to_string(type));
  app.add_option_function<std::string>(
         "--values",
         [&into](const std::string& name) {
           for (const ValueType type : kTypes) {
             if (name == to_string(type)) into = type;
           }
         },
         "How values of weights are stored: f32, f16, or int8 with a scale per output channel "
         "(default: f32)")
      ->type_name("TYPE")
      ->check(CLI::IsMember(names).description(""));
}

}  // namespace strata::cli
