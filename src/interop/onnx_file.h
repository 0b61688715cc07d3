// The bytes of an ONNX model under limits: parsing that cannot use unbounded memory, and tensors,
// inside the file or beside it, as constants. Knows nothing of operators.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>

#include <google/protobuf/arena.h>
#include <onnx/onnx_pb.h>

#include "core/file.h"
#include "core/status.h"
#include "interop/constant.h"

namespace strata::interop {

/// A parsed model and access to its tensors. Movable, not copyable.
class OnnxFile {
 public:
  /// Maps and parses. External data is looked for in the file's own directory. Errors name the
  /// path: missing, no protobuf of this kind, larger than protobuf can read, or bytes that would
  /// swell to more than a few times their size.
  static Result<OnnxFile> open(const std::string& path);
  /// The same from memory; `name` stands for the path. External data is refused.
  static Result<OnnxFile> parse(std::span<const uint8_t> bytes, const std::string& name);

  [[nodiscard]] const onnx::ModelProto& model() const { return *model_; }

  /// The elements of a tensor. Errors name the tensor: an element type that strata has not, a
  /// shape that does not match its data, numbers that are not finite, external data that is
  /// missing, too short or outside the model's directory.
  Result<Constant> read(const onnx::TensorProto& tensor);

 private:
  OnnxFile() = default;

  Result<std::span<const uint8_t>> external_bytes(const onnx::TensorProto& tensor);

  std::unique_ptr<google::protobuf::Arena> arena_;
  const onnx::ModelProto* model_ = nullptr;
  std::filesystem::path directory_;  ///< empty: external data is refused
  std::map<std::string, MappedFile, std::less<>> external_;
};

/// The element type that strata has for onnx.TensorProto.DataType. Errors: one that it has not.
Result<graph::DataType> data_type(int32_t onnx_type);

}  // namespace strata::interop
