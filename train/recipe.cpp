// Reads recipes: TOML into the table of keys, overrides on top, then what spans several keys.
#include "train/recipe.h"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <map>
#include <numeric>
#include <optional>

#include <toml++/toml.h>

#include "train/data/image.h"
#include "train/error.h"
#include "train/recipe_keys.h"

namespace strata::train {
namespace {

constexpr size_t kMaxLevels = 16;

// Levenshtein's distance: insertions, deletions and substitutions.
size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 0; i < a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i + 1;
    for (size_t j = 0; j < b.size(); ++j) {
      const size_t substituted = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({substituted, row[j] + 1, diagonal + 1});
    }
  }
  return row.back();
}

std::string_view last_part(std::string_view name) { return name.substr(name.rfind('.') + 1); }

// The nearest of `names`, or nothing if none is near. A right key in the wrong section is near.
std::optional<std::string> nearest(std::string_view unknown,
                                   const std::vector<std::string>& names) {
  std::optional<std::string> best;
  size_t best_distance = std::max<size_t>(2, last_part(unknown).size() / 3) + 1;
  for (const std::string& name : names) {
    const size_t elsewhere = edit_distance(last_part(unknown), last_part(name)) + 1;
    const size_t distance = std::min(edit_distance(unknown, name), elsewhere);
    if (distance < best_distance) {
      best_distance = distance;
      best = name;
    }
  }
  return best;
}

[[noreturn]] void unknown(const std::string& place, const std::string& kind,
                          const std::string& name, const std::vector<std::string>& known) {
  const auto suggestion = nearest(name, known);
  throw Error(place + ": unknown " + kind + " '" + name + "'; " +
              (suggestion ? "did you mean '" + *suggestion + "'?"
                          : "`strata train --help-recipe` lists the keys"));
}

std::vector<std::string> key_names() {
  std::vector<std::string> names;
  for (const Key& key : recipe_keys()) names.push_back(key.name);
  return names;
}

std::vector<std::string> section_names() {
  std::vector<std::string> names;
  for (const Key& key : recipe_keys()) {
    for (size_t dot = key.name.find('.'); dot != std::string::npos;
         dot = key.name.find('.', dot + 1)) {
      names.push_back(key.name.substr(0, dot));
    }
  }
  return names;
}

const Key* find_key(std::string_view name) {
  const auto& keys = recipe_keys();
  const auto found =
      std::find_if(keys.begin(), keys.end(), [&](const Key& key) { return key.name == name; });
  return found == keys.end() ? nullptr : &*found;
}

bool is_section(const std::string& name) {
  const std::vector<std::string> sections = section_names();
  return std::find(sections.begin(), sections.end(), name) != sections.end();
}

std::string type_of(const toml::node& node) {
  switch (node.type()) {
    case toml::node_type::table:
      return "a section";
    case toml::node_type::array:
      return "a list";
    case toml::node_type::string:
      return "text";
    case toml::node_type::integer:
      return "an integer";
    case toml::node_type::floating_point:
      return "a number";
    case toml::node_type::boolean:
      return "a boolean";
    default:
      return "a date or time";
  }
}

std::string expectation(const Key& key) {
  const std::string range = range_text(key);
  if (std::holds_alternative<ChoiceAccess>(key.access)) return "one of " + range;
  if (std::holds_alternative<Access<std::vector<double>>>(key.access)) {
    return "a list of numbers in " + range + ", such as [5.3, 13.3, 30.0]";
  }
  const std::string type = type_text(key);
  const std::string article = type == "text" ? "" : type == "integer" ? "an " : "a ";
  return article + type + (range.empty() ? "" : " in " + range);
}

// Stores one value; knows from where it comes, for errors.
class Assignment {
 public:
  Assignment(Recipe& recipe, const Key& key, const toml::node& node, const std::string& place)
      : recipe_(recipe), key_(key), node_(node), place_(place) {}

  void operator()(Access<int64_t> access) const {
    if (!node_.is_integer()) wrong_type();
    access(recipe_) = *node_.value<int64_t>();
    check_range(static_cast<double>(access(recipe_)), node_);
  }
  void operator()(Access<double> access) const { access(recipe_) = number(node_); }
  void operator()(Access<bool> access) const {
    if (!node_.is_boolean()) wrong_type();
    access(recipe_) = *node_.value<bool>();
  }
  void operator()(Access<std::string> access) const { access(recipe_) = text(); }
  void operator()(Access<std::vector<double>> access) const {
    const toml::array* array = node_.as_array();
    if (array == nullptr) wrong_type();
    std::vector<double> values;
    for (const toml::node& element : *array) values.push_back(number(element));
    access(recipe_) = std::move(values);
  }
  void operator()(const ChoiceAccess& choice) const {
    const std::string name = text();
    const auto found = std::find(choice.names.begin(), choice.names.end(), name);
    if (found == choice.names.end()) {
      const auto suggestion = nearest(name, choice.names);
      fail("is \"" + name + "\"", suggestion ? " (did you mean '" + *suggestion + "'?)" : "");
    }
    choice.set(recipe_, static_cast<int>(found - choice.names.begin()));
  }

 private:
  [[noreturn]] void fail(const std::string& what, const std::string& hint = "") const {
    throw Error(place_ + ": '" + key_.name + "' " + what + "; expected " + expectation(key_) +
                hint);
  }
  [[noreturn]] void wrong_type() const { fail("is " + type_of(node_)); }

  void check_range(double value, const toml::node& node) const {
    if (!(value >= key_.range.low && value <= key_.range.high)) {
      const auto integer = node.value_exact<int64_t>();
      std::string shown = integer ? std::to_string(*integer) : std::to_string(value);
      if (!integer && shown.find('.') != std::string::npos) {
        shown.erase(shown.find_last_not_of('0') + 1);
        if (shown.ends_with('.')) shown.pop_back();
      }
      fail("is " + shown + ", out of range");
    }
  }

  [[nodiscard]] double number(const toml::node& node) const {
    if (!node.is_number()) fail(&node == &node_ ? "is " + type_of(node) : "holds " + type_of(node));
    const double value = *node.value<double>();
    check_range(value, node);
    return value;
  }

  [[nodiscard]] std::string text() const {
    if (!node_.is_string()) wrong_type();
    return *node_.value<std::string>();
  }

  Recipe& recipe_;
  const Key& key_;
  const toml::node& node_;
  const std::string& place_;
};

// From where each key that was set got its value: "FILE:LINE" or "--set KEY=VALUE".
using Places = std::map<std::string, std::string, std::less<>>;

void assign(Recipe& recipe, const std::string& name, const toml::node& node,
            const std::string& place, Places& places) {
  const Key* key = find_key(name);
  if (key == nullptr) {
    if (is_section(name)) {
      throw Error(place + ": '" + name + "' is " + type_of(node) + "; expected a section of keys");
    }
    node.is_table() ? unknown(place, "section", name, section_names())
                    : unknown(place, "key", name, key_names());
  }
  std::visit(Assignment(recipe, *key, node, place), key->access);
  places[name] = place;
}

void read_table(Recipe& recipe, const toml::table& table, const std::string& prefix,
                const std::string& name, Places& places) {
  for (const auto& [key, node] : table) {
    const std::string path = prefix + std::string(key.str());
    const std::string place = name + ":" + std::to_string(key.source().begin.line);
    if (const toml::table* section = node.as_table(); section != nullptr && is_section(path)) {
      read_table(recipe, *section, path + ".", name, places);
    } else {
      assign(recipe, path, node, place, places);
    }
  }
}

// Text needs no quotes on the command line; everything else is TOML, or else text of the wrong
// type.
toml::table parse_override_value(const Key* key, const std::string& value) {
  const bool takes_text =
      key != nullptr && (std::holds_alternative<Access<std::string>>(key->access) ||
                         std::holds_alternative<ChoiceAccess>(key->access));
  const bool is_quoted = value.starts_with('"') || value.starts_with('\'');
  if (!takes_text || is_quoted) {
    try {
      toml::table table = toml::parse("value = " + value);
      if (table.size() == 1) return table;
    } catch (const toml::parse_error&) {
      // Not TOML: a bare word.
    }
  }
  return toml::table{{"value", value}};
}

void apply_override(Recipe& recipe, const std::string& override_text, Places& places) {
  const std::string place = "--set " + override_text;
  const size_t equals = override_text.find('=');
  if (equals == std::string::npos || equals == 0) {
    throw Error(place + ": expected KEY=VALUE, such as optimizer.lr=0.05");
  }
  const std::string name = override_text.substr(0, equals);
  const toml::table table = parse_override_value(find_key(name), override_text.substr(equals + 1));
  assign(recipe, name, *table.get("value"), place, places);
}

bool is_ascending(const std::vector<double>& values) {
  return std::adjacent_find(values.begin(), values.end(), std::greater_equal<>()) == values.end();
}

// What no single key can get wrong.
class WholeCheck {
 public:
  WholeCheck(const Recipe& recipe, const std::string& name, const Places& places)
      : recipe_(recipe), name_(name), places_(places) {}

  void run() const {
    const auto& levels = recipe_.levels;
    require(!levels.weights.empty() && levels.weights.size() <= kMaxLevels, "levels.weights",
            "has " + std::to_string(levels.weights.size()) + " levels; expected 1 to " +
                std::to_string(kMaxLevels));
    require(is_ascending(levels.weights), "levels.weights",
            "is not ascending; expected the sparsest level first, each level larger than the last");
    require(levels.flops.empty() || levels.flops.size() == levels.weights.size(), "levels.flops",
            "has " + std::to_string(levels.flops.size()) + " numbers for the " +
                std::to_string(levels.weights.size()) + " levels of 'levels.weights'");
    require(is_ascending(levels.flops), "levels.flops",
            "is not ascending; expected the sparsest level first, each level larger than the last");
    const auto& joint = recipe_.algorithm.joint;
    require(joint.prune_begin <= joint.prune_end, "algorithm.joint.prune_end",
            "comes before 'algorithm.joint.prune_begin'");
    require(joint.prune_end <= joint.freeze, "algorithm.joint.freeze",
            "comes before 'algorithm.joint.prune_end'");
    require(recipe_.optimizer.warmup_epochs <= recipe_.optimizer.epochs, "optimizer.warmup_epochs",
            "is more than 'optimizer.epochs'");
    check_input_shape();
  }

 private:
  void require(bool holds, const std::string& key, const std::string& problem) const {
    if (holds) return;
    const auto found = places_.find(key);
    throw Error((found == places_.end() ? name_ : found->second) + ": '" + key + "' " + problem);
  }

  void check_input_shape() const {
    if (recipe_.model.input.empty()) return;
    try {
      (void)data::parse_image_shape(recipe_.model.input);
    } catch (const Error& error) {
      require(false, "model.input", std::string("does not fit: ") + error.what());
    }
  }

  const Recipe& recipe_;
  const std::string& name_;
  const Places& places_;
};

}  // namespace

Recipe parse_recipe(std::string_view text, const std::string& name,
                    std::span<const std::string> overrides) {
  Recipe recipe;
  Places places;
  try {
    read_table(recipe, toml::parse(text, name), "", name, places);
  } catch (const toml::parse_error& error) {
    throw Error(name + ":" + std::to_string(error.source().begin.line) +
                ": not valid TOML: " + std::string(error.description()));
  }
  for (const std::string& override_text : overrides) apply_override(recipe, override_text, places);
  WholeCheck(recipe, name, places).run();
  return recipe;
}

Recipe load_recipe(const std::string& path, std::span<const std::string> overrides) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw Error("cannot open the recipe '" + path + "'; is the path right?");
  const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  if (file.bad()) throw Error("cannot read the recipe '" + path + "'");
  return parse_recipe(text, path, overrides);
}

}  // namespace strata::train
