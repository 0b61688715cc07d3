// The table behind the recipe language: how each key is read, checked, printed and explained.
// Internal to the recipe library.
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "train/recipe.h"

namespace strata::train {

/// Inclusive; infinite ends are open.
struct Range {
  double low = -std::numeric_limits<double>::infinity();
  double high = std::numeric_limits<double>::infinity();
};

/// Access to an enumeration by the names of its values.
struct ChoiceAccess {
  std::vector<std::string> names;  ///< by the enumeration's number
  int (*get)(const Recipe&);
  void (*set)(Recipe&, int);
};

/// Where the value lives in a Recipe, by type.
template <typename T>
using Access = T& (*)(Recipe&);
using KeyAccess = std::variant<Access<int64_t>, Access<double>, Access<bool>, Access<std::string>,
                               Access<std::vector<double>>, ChoiceAccess>;

struct Key {
  std::string name;
  KeyAccess access;
  Range range;
  std::string doc;
};

/// In the order of the documentation.
const std::vector<Key>& recipe_keys();

/// The key's value in `recipe`, as TOML.
std::string value_text(const Key& key, const Recipe& recipe);

/// "0 .. 100", "above … " or the choices; empty: any.
std::string range_text(const Key& key);

/// "integer", "number", …
std::string type_text(const Key& key);

}  // namespace strata::train
