// Files that verbs write: never over an input, and completely or not at all.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "tools/strata/console.h"

namespace strata::cli {

/// Refuses, before any work is done, an output that cannot be written in the end: its folder does
/// not exist, it is a folder itself, or it is one of the inputs. Throws Error.
void check_output(const std::string& path, std::span<const std::string> inputs);

/// Writes atomically. Throws Error; the file that was there before then stays as it was.
void write_text(const std::string& path, std::string_view text);

/// The same as indented JSON.
void write_json(const std::string& path, const Json& document);

}  // namespace strata::cli
