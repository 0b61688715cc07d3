#include "train/text/bleu_tokenizer.h"

#include <array>
#include <cstddef>
#include <utility>

namespace strata::text {
namespace {

void replace_all(std::string& text, std::string_view from, std::string_view to) {
  for (size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size()) {
    text.replace(at, from.size(), to);
  }
}

bool is_digit(char letter) { return letter >= '0' && letter <= '9'; }
bool is_point_or_comma(char letter) { return letter == '.' || letter == ','; }

/// ASCII punctuation but ' - . , which the later rules treat.
bool stands_alone(char letter) {
  return (letter >= ' ' && letter <= '&') || (letter >= '(' && letter <= '+') || letter == '/' ||
         (letter >= ':' && letter <= '@') || (letter >= '[' && letter <= '`') ||
         (letter >= '{' && letter <= '~');
}

std::string separate_punctuation(std::string_view text) {
  std::string out;
  for (const char letter : text) {
    if (stands_alone(letter)) {
      out.append({' ', letter, ' '});
    } else {
      out += letter;
    }
  }
  return out;
}

/// Applies a rule to all pairs of neighbouring letters from left to right; a pair that it takes
/// (`matches`) is rewritten as first, `between`, second, `after`, and neither letter is looked at
/// again.
template <typename Matches>
std::string rewrite_pairs(std::string_view text, std::string_view before, std::string_view between,
                          std::string_view after, Matches matches) {
  std::string out;
  size_t i = 0;
  while (i < text.size()) {
    if (i + 1 < text.size() && matches(text[i], text[i + 1])) {
      out.append(before).append(1, text[i]).append(between).append(1, text[i + 1]).append(after);
      i += 2;
    } else {
      out += text[i++];
    }
  }
  return out;
}

/// Bytes of the white space at `offset` as Python's str.split() sees it; 0: none.
size_t space_length(std::string_view text, size_t offset) {
  const auto byte = [&](size_t i) {
    return offset + i < text.size() ? static_cast<unsigned char>(text[offset + i]) : 0U;
  };
  const unsigned first = byte(0);
  if (first == ' ' || (first >= 0x09 && first <= 0x0D) || (first >= 0x1C && first <= 0x1F)) {
    return 1;
  }
  if (first == 0xC2) return byte(1) == 0x85 || byte(1) == 0xA0 ? 2 : 0;
  const unsigned rest = (byte(1) << 8U) | byte(2);
  if (first == 0xE1) return rest == 0x9A80 ? 3 : 0;  // U+1680
  if (first == 0xE3) return rest == 0x8080 ? 3 : 0;  // U+3000
  if (first != 0xE2) return 0;
  const bool space = (rest >= 0x8080 && rest <= 0x808A) || rest == 0x80A8 || rest == 0x80A9 ||
                     rest == 0x80AF || rest == 0x819F;  // U+2000-200A, 2028, 2029, 202F, 205F
  return space ? 3 : 0;
}

std::vector<std::string> split(std::string_view text) {
  std::vector<std::string> tokens;
  std::string token;
  const auto end_token = [&] {
    if (!token.empty()) tokens.push_back(std::exchange(token, {}));
  };
  size_t i = 0;
  while (i < text.size()) {
    const size_t space = space_length(text, i);
    if (space > 0) {
      end_token();
      i += space;
    } else {
      token += text[i++];
    }
  }
  end_token();
  return tokens;
}

}  // namespace

std::vector<std::string> tokenize_13a(std::string_view sentence) {
  std::string text(sentence);
  constexpr std::array<std::pair<std::string_view, std::string_view>, 7> kReplacements = {
      {{"<skipped>", ""},
       {"-\n", ""},
       {"\n", " "},
       {"&quot;", "\""},
       {"&amp;", "&"},
       {"&lt;", "<"},
       {"&gt;", ">"}}};
  for (const auto& [from, to] : kReplacements) replace_all(text, from, to);
  text = separate_punctuation(" " + text + " ");
  // Points and commas are words of their own unless they stand between digits, a dash after a digit
  // is one. The rules see bytes; that gives what characters would, as all that they name is ASCII.
  text = rewrite_pairs(text, "", " ", " ", [](char first, char second) {
    return !is_digit(first) && is_point_or_comma(second);
  });
  text = rewrite_pairs(text, " ", " ", "", [](char first, char second) {
    return is_point_or_comma(first) && !is_digit(second);
  });
  text = rewrite_pairs(text, "", " ", " ",
                       [](char first, char second) { return is_digit(first) && second == '-'; });
  return split(text);
}

}  // namespace strata::text
