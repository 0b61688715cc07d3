// Whether bytes are UTF-8 as the Unicode standard defines it: nothing that is read as text may be
// anything else.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace strata::text {

/// Offset of the first byte that begins no well-formed character (Unicode 15, table 3-7): nothing
/// if `text` is well-formed.
std::optional<size_t> first_malformed(std::string_view text);

/// "byte 17 (0xE9) is not UTF-8; convert it, such as with iconv -f LATIN1 -t UTF-8" for an offset
/// that first_malformed() gave.
std::string describe_malformed(std::string_view text, size_t offset);

}  // namespace strata::text
