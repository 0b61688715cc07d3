// A dense convolution of oneDNN, the peer of bench/layers_bench.cpp: fp32, batch 1, in whatever
// memory layout oneDNN likes best, everything laid out beforehand.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

namespace strata::bench {

struct ConvolutionShape {
  int64_t inputs = 0, outputs = 0;  ///< channels
  int64_t kernel = 1, stride = 1;
  int64_t size = 1;  ///< of the output; padding is kernel / 2
};

/// Needs a build with oneDNN (libdnnl-dev); see available().
class OneDnnConvolution {
 public:
  static bool available();
  static std::string version();  ///< "oneDNN 2.6.3"; "none" without it

  OneDnnConvolution(const ConvolutionShape& shape, int threads);
  ~OneDnnConvolution();
  OneDnnConvolution(OneDnnConvolution&&) noexcept;
  OneDnnConvolution& operator=(OneDnnConvolution&&) noexcept;

  /// Microseconds of one run; 0 without oneDNN.
  double run();

 private:
  struct Implementation;
  std::unique_ptr<Implementation> implementation_;
};

}  // namespace strata::bench
