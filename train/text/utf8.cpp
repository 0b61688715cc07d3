#include "train/text/utf8.h"

#include <array>
#include <cstdint>
#include <cstdio>

namespace strata::text {
namespace {

/// Lead bytes from `first` to `last` are followed by `continuations` bytes, of which the first one
/// is in low..high and the others in 0x80..0xBF.
struct Form {
  uint8_t first, last, continuations, low, high;
};

constexpr std::array<Form, 9> kForms = {{{0x00, 0x7F, 0, 0x00, 0x00},
                                         {0xC2, 0xDF, 1, 0x80, 0xBF},
                                         {0xE0, 0xE0, 2, 0xA0, 0xBF},
                                         {0xE1, 0xEC, 2, 0x80, 0xBF},
                                         {0xED, 0xED, 2, 0x80, 0x9F},
                                         {0xEE, 0xEF, 2, 0x80, 0xBF},
                                         {0xF0, 0xF0, 3, 0x90, 0xBF},
                                         {0xF1, 0xF3, 3, 0x80, 0xBF},
                                         {0xF4, 0xF4, 3, 0x80, 0x8F}}};

uint8_t byte_at(std::string_view text, size_t offset) { return static_cast<uint8_t>(text[offset]); }

/// Bytes of the character at `offset`; 0 if it is malformed.
size_t character_length(std::string_view text, size_t offset) {
  const uint8_t lead = byte_at(text, offset);
  for (const Form& form : kForms) {
    if (lead < form.first || lead > form.last) continue;
    if (text.size() - offset <= form.continuations) return 0;
    for (size_t i = 1; i <= form.continuations; ++i) {
      const uint8_t next = byte_at(text, offset + i);
      const bool bounded = i == 1;
      if (next < (bounded ? form.low : 0x80) || next > (bounded ? form.high : 0xBF)) return 0;
    }
    return size_t{1} + form.continuations;
  }
  return 0;
}

}  // namespace

std::optional<size_t> first_malformed(std::string_view text) {
  size_t offset = 0;
  while (offset < text.size()) {
    const size_t length = character_length(text, offset);
    if (length == 0) return offset;
    offset += length;
  }
  return std::nullopt;
}

std::string describe_malformed(std::string_view text, size_t offset) {
  std::array<char, 8> hex{};
  std::snprintf(hex.data(), hex.size(), "0x%02X", byte_at(text, offset));
  return "byte " + std::to_string(offset + 1) + " (" + hex.data() +
         ") is not UTF-8; convert the text, such as with iconv -f LATIN1 -t UTF-8";
}

}  // namespace strata::text
