// A transformer that classifies sentences, written as exporters of each opset write it, and what it
// answers by the book.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "onnx_model.h"

namespace strata::interop::testing {

/// Tokens [batch, 6] (int64, below 17; 0 is padding) -> scores [batch, 5]. One encoder block after
/// Vaswani et al. 2017, normalised first: two heads of 8, 24 hidden units; the first token answers.
class SmallTransformer {
 public:
  static constexpr int64_t kTokens = 17;
  static constexpr int64_t kTime = 6;
  static constexpr int64_t kWidth = 16;
  static constexpr int64_t kHeads = 2;
  static constexpr int64_t kHidden = 24;
  static constexpr int64_t kClasses = 5;

  explicit SmallTransformer(int64_t opset);

  [[nodiscard]] const OnnxModel& model() const { return model_; }
  /// The scores of `tokens` [batch * kTime] in double precision.
  [[nodiscard]] std::vector<double> answer(const std::vector<int64_t>& tokens) const;

 private:
  using Matrix = std::vector<std::vector<double>>;

  std::string add(const std::string& op_type, const std::vector<std::string>& inputs);
  onnx::NodeProto& last() { return *model_.proto.mutable_graph()->mutable_node()->rbegin(); }
  std::string weight(const std::string& name, const std::vector<int64_t>& shape, float scale);
  std::string number(float value);
  std::string integers(const std::vector<int64_t>& values);
  std::string with_axes(const std::string& op_type, const std::string& value, int64_t axis,
                        int64_t opset_of_input);
  std::string transposed(const std::string& value, const std::vector<int64_t>& order);
  std::string linear(const std::string& name, const std::string& value, int64_t in, int64_t out);
  std::string layer_norm(const std::string& name, const std::string& value);
  std::string gelu(const std::string& value);
  std::string heads(const std::string& value, const std::string& batch);
  std::string attention(const std::string& value, const std::string& mask);
  std::string mask();

  [[nodiscard]] double at(const std::string& name, int64_t index) const {
    return static_cast<double>(weights_.at(name)[static_cast<size_t>(index)]);
  }
  [[nodiscard]] Matrix apply_linear(const std::string& name, const Matrix& rows, int64_t in,
                                    int64_t out) const;
  [[nodiscard]] Matrix apply_norm(const std::string& name, const Matrix& rows) const;
  [[nodiscard]] double apply_gelu(double x) const;
  [[nodiscard]] Matrix apply_attention(const Matrix& rows, const int64_t* tokens) const;

  int64_t opset_;
  OnnxModel model_;
  std::map<std::string, std::vector<float>> weights_;
  int count_ = 0;  ///< of names
};

}  // namespace strata::interop::testing
