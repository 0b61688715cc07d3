// The dense model under libtorch that bench compares with, set up in its own favour.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "runtime/session.h"
#include "sparse/nested_model.h"

namespace strata::train {
class TorchModel;
struct TorchInput;
}  // namespace strata::train

namespace strata::cli {

class LibtorchPeer {
 public:
  /// Besides the memory layout, which TorchModel chooses, tries one and `threads` threads for
  /// OpenBLAS and keeps what is faster here: libtorch passes its number of threads on to OpenMP,
  /// not to OpenBLAS, which otherwise takes all cores whatever was asked for.
  /// `session` runs the same graph on `inputs`, which must outlive this; `options` made it.
  LibtorchPeer(const sparse::NestedModel& nested, const runtime::SessionOptions& options,
               const runtime::Session& session, std::span<const runtime::InputView> inputs);
  ~LibtorchPeer();
  LibtorchPeer(const LibtorchPeer&) = delete;
  LibtorchPeer& operator=(const LibtorchPeer&) = delete;

  void run();
  [[nodiscard]] const std::string& description() const { return description_; }

 private:
  void use(const sparse::NestedModel& nested, int blas_threads);

  std::unique_ptr<train::TorchModel> model_;
  runtime::SessionOptions options_;
  std::vector<train::TorchInput> inputs_;
  std::vector<float> output_;
  std::string description_;
};

}  // namespace strata::cli
