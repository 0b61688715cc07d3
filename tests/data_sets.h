// Where tests find data sets that are not part of the project: in $STRATA_DATA, unpacked, or as
// archives in ../shared/data beside the sources. Tests that need one skip, saying so, where it is
// absent.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <string>
#include <system_error>

#include <unistd.h>

namespace strata::testing {

/// The folder of the data set `name`; empty if it is nowhere. `source_dir` is the project's,
/// `build_dir` is where an archive is unpacked to, once.
inline std::filesystem::path find_data_set(const std::string& name,
                                           const std::filesystem::path& source_dir,
                                           const std::filesystem::path& build_dir) {
  namespace fs = std::filesystem;
  if (const char* root = std::getenv("STRATA_DATA"); root != nullptr) {
    return fs::is_directory(fs::path(root) / name) ? fs::path(root) / name : fs::path();
  }
  fs::path unpacked = build_dir / "data" / name;
  if (fs::is_directory(unpacked)) return unpacked;
  const fs::path archive = source_dir / "../shared/data" / (name + ".tar.xz");
  if (!fs::exists(archive)) return {};
  // Tests run in parallel: each unpacks into a folder of its own, and the first to be done wins.
  const fs::path temporary = build_dir / "data" / (name + ".unpacking-" + std::to_string(getpid()));
  std::error_code ignored;
  fs::create_directories(temporary, ignored);
  const std::string command = "tar -xJf '" + archive.string() + "' -C '" + temporary.string() + "'";
  if (std::system(command.c_str()) != 0) return {};
  fs::rename(temporary / name, unpacked, ignored);
  fs::remove_all(temporary, ignored);
  return fs::is_directory(unpacked) ? unpacked : fs::path();
}

}  // namespace strata::testing
