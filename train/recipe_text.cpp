// The recipe language as text: values as TOML, the terminal's help, and docs/recipes.md.
#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>

#include "train/recipe_keys.h"

namespace strata::train {
namespace {

template <typename... Ts>
struct Overloaded : Ts... {
  using Ts::operator()...;
};
template <typename... Ts>
Overloaded(Ts...) -> Overloaded<Ts...>;

std::string number_text(double value) {
  std::array<char, 32> digits{};
  const auto result = std::to_chars(digits.data(), digits.data() + digits.size(), value);
  std::string text(digits.data(), result.ptr);
  // 1e+09 is 1e9 to people.
  if (const size_t exponent = text.find('e'); exponent != std::string::npos) {
    size_t at = exponent + 1;
    if (text[at] == '+') text.erase(at, 1);
    if (text[at] == '-') ++at;
    while (text[at] == '0' && at + 1 < text.size()) text.erase(at, 1);
  }
  return text;
}

std::string quoted_text(const std::string& value) {
  std::string text = "\"";
  for (const char letter : value) {
    if (letter == '"' || letter == '\\') {
      text += '\\';
      text += letter;
    } else if (static_cast<unsigned char>(letter) < ' ' || letter == 0x7f) {
      std::array<char, 8> escape{};
      std::snprintf(escape.data(), escape.size(), "\\u%04X", static_cast<unsigned>(letter));
      text += escape.data();
    } else {
      text += letter;
    }
  }
  return text + '"';
}

// "data.augment" of "data.augment.flip"; empty for a key outside every section.
std::string section_of(const std::string& name) {
  const size_t dot = name.rfind('.');
  return dot == std::string::npos ? "" : name.substr(0, dot);
}

std::string last_part(const std::string& name) {
  const size_t dot = name.rfind('.');
  return dot == std::string::npos ? name : name.substr(dot + 1);
}

// Breaks `text` into lines of at most `width` columns, each after `indent`.
std::string wrapped(const std::string& text, const std::string& indent, size_t width) {
  std::string lines;
  size_t column = 0;
  size_t at = 0;
  while (at < text.size()) {
    const size_t end = std::min(text.find(' ', at), text.size());
    const size_t length = end - at;
    if (column == 0 || column + 1 + length > width) {
      lines += (lines.empty() ? "" : "\n") + indent;
      column = indent.size();
    } else {
      lines += ' ';
      ++column;
    }
    lines.append(text, at, length);
    column += length;
    at = end + 1;
  }
  return lines + '\n';
}

}  // namespace

std::string value_text(const Key& key, const Recipe& recipe) {
  Recipe copy = recipe;  // the accessors want a recipe that may change
  return std::visit(
      Overloaded{
          [&](Access<int64_t> access) { return std::to_string(access(copy)); },
          [&](Access<double> access) { return number_text(access(copy)); },
          [&](Access<bool> access) { return std::string(access(copy) ? "true" : "false"); },
          [&](Access<std::string> access) { return quoted_text(access(copy)); },
          [&](Access<std::vector<double>> access) {
            std::string text = "[";
            for (const double value : access(copy)) {
              text += (text.size() > 1 ? ", " : "") + number_text(value);
            }
            return text + "]";
          },
          [&](const ChoiceAccess& choice) {
            return quoted_text(choice.names[static_cast<size_t>(choice.get(copy))]);
          },
      },
      key.access);
}

std::string type_text(const Key& key) {
  return std::visit(Overloaded{
                        [](Access<int64_t>) { return "integer"; },
                        [](Access<double>) { return "number"; },
                        [](Access<bool>) { return "boolean"; },
                        [](Access<std::string>) { return "text"; },
                        [](Access<std::vector<double>>) { return "list of numbers"; },
                        [](const ChoiceAccess&) { return "choice"; },
                    },
                    key.access);
}

std::string range_text(const Key& key) {
  if (const auto* choice = std::get_if<ChoiceAccess>(&key.access)) {
    std::string text;
    for (const std::string& name : choice->names) text += (text.empty() ? "" : ", ") + name;
    return text;
  }
  if (!std::isfinite(key.range.low)) return "";
  return number_text(key.range.low) + " .. " + number_text(key.range.high);
}

std::vector<KeyDescription> describe_recipe_keys() {
  std::vector<KeyDescription> descriptions;
  for (const Key& key : recipe_keys()) {
    descriptions.push_back(
        {key.name, type_text(key), value_text(key, Recipe()), range_text(key), key.doc});
  }
  return descriptions;
}

std::string recipe_help() {
  constexpr size_t kColumns = 90;
  std::string text =
      "A recipe is a TOML file. Every key has a default; `--set KEY=VALUE` overrides the file.\n";
  std::string section;
  for (const KeyDescription& key : describe_recipe_keys()) {
    if (const std::string next = section_of(key.name); next != section) {
      section = next;
      text += "\n[" + section + "]\n";
    } else if (text.ends_with("file.\n")) {
      text += "\n";
    }
    text += "  " + last_part(key.name) + " = " + key.default_value + "   (" + key.type +
            (key.range.empty() ? "" : ": " + key.range) + ")\n" +
            wrapped(key.doc, "      ", kColumns);
  }
  return text;
}

std::string recipe_reference() {
  std::string text =
      "# Recipes\n"
      "\n"
      "A recipe is a TOML file that says everything a training run depends on besides the data:\n"
      "\n"
      "    strata train recipes/fashion-demo.toml --set optimizer.epochs=4 -o model.strata\n"
      "\n"
      "Every key has a default, so a recipe names only what differs. `--set KEY=VALUE` overrides\n"
      "the file; the value is TOML, and quotes around text may be left out. A key that does not\n"
      "exist, a value of the wrong type or out of range is an error that names the file, the line\n"
      "and what was expected. `strata train --help-recipe` prints this list.\n"
      "\n"
      "This page is generated from the table in `train/recipe_keys.cpp`; a test compares them.\n";
  std::string section = "none yet";
  for (const KeyDescription& key : describe_recipe_keys()) {
    if (const std::string next = section_of(key.name); next != section) {
      section = next;
      text += "\n## " + (section.empty() ? "Outside every section" : "[" + section + "]") +
              "\n\n| key | type | default | range | meaning |\n|---|---|---|---|---|\n";
    }
    text += "| `" + last_part(key.name) + "` | " + key.type + " | `" + key.default_value + "` | " +
            key.range + " | " + key.doc + " |\n";
  }
  return text;
}

std::string to_toml(const Recipe& recipe) {
  std::string text;
  std::string section;
  for (const Key& key : recipe_keys()) {
    if (const std::string next = section_of(key.name); next != section) {
      section = next;
      text += "\n[" + section + "]\n";
    }
    text += last_part(key.name) + " = " + value_text(key, recipe) + "\n";
  }
  return text;
}

}  // namespace strata::train
