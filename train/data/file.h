// Reads whole files, with errors that a user can act on.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace strata::data {

/// Throws Error: missing, not a regular file, unreadable.
std::vector<uint8_t> read_file(const std::filesystem::path& path);

/// 'path', as it stands in error sentences.
std::string quoted(const std::filesystem::path& path);

}  // namespace strata::data
