// Hugging Face's safetensors: named tensors behind a header of JSON, as most trained weights are
// published. Trusts nothing in the file.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/file.h"
#include "core/status.h"
#include "interop/constant.h"
#include "interop/elements.h"

namespace strata::interop {

/// The directory of a file. Tensors are decoded when they are asked for.
class SafetensorsFile {
 public:
  /// Errors name the path: missing, no such file, damaged: a header that is no JSON or too long,
  /// element types that are not known, sizes that disagree, data outside the file.
  static Result<SafetensorsFile> open(const std::string& path);
  /// The same from memory that outlives the result; `name` stands for the file in errors.
  static Result<SafetensorsFile> parse(std::span<const uint8_t> bytes, std::string name);

  [[nodiscard]] const std::string& name() const { return name_; }
  /// Sorted.
  [[nodiscard]] std::vector<std::string> tensors() const;
  [[nodiscard]] bool contains(std::string_view tensor) const { return entries_.contains(tensor); }
  /// Precondition: contains(tensor).
  [[nodiscard]] const std::vector<int64_t>& shape(std::string_view tensor) const {
    return entries_.find(tensor)->second.shape;
  }

  /// Errors: no such tensor.
  [[nodiscard]] Result<Constant> read(std::string_view tensor) const;

 private:
  struct Entry {
    StoredType type = StoredType::kFloat32;
    std::vector<int64_t> shape;
    std::span<const uint8_t> bytes;
  };

  SafetensorsFile(std::span<const uint8_t> bytes, std::string name)
      : bytes_(bytes), name_(std::move(name)) {}
  Status read_header();

  std::vector<MappedFile> file_;  ///< one, or none if the bytes are somebody else's
  std::span<const uint8_t> bytes_;
  std::string name_;
  std::map<std::string, Entry, std::less<>> entries_;
};

}  // namespace strata::interop
