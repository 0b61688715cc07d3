// Reading of whole files.
#include "train/data/file.h"

#include <cerrno>
#include <cstdio>
#include <memory>
#include <system_error>

#include "train/error.h"

namespace strata::data {

std::string quoted(const std::filesystem::path& path) { return "'" + path.string() + "'"; }

std::vector<uint8_t> read_file(const std::filesystem::path& path) {
  std::error_code error;
  const auto status = std::filesystem::status(path, error);
  if (!std::filesystem::exists(status)) throw Error(quoted(path) + " does not exist");
  if (!std::filesystem::is_regular_file(status)) {
    throw Error(quoted(path) + " is not a regular file");
  }
  const auto size = std::filesystem::file_size(path, error);
  if (error) throw Error("cannot read " + quoted(path) + ": " + error.message());

  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rb"),
                                                             std::fclose);
  if (!file)
    throw Error("cannot read " + quoted(path) + ": " + std::generic_category().message(errno));
  std::vector<uint8_t> bytes(size);
  if (std::fread(bytes.data(), 1, bytes.size(), file.get()) != bytes.size()) {
    throw Error("cannot read " + quoted(path) + ": it ended early or the device failed");
  }
  return bytes;
}

}  // namespace strata::data
