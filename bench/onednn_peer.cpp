#include "bench/onednn_peer.h"

#ifdef STRATA_BENCH_ONEDNN
#include <unordered_map>
#include <vector>

#include <dnnl.hpp>
#include <omp.h>

#include "core/clock.h"
#endif

namespace strata::bench {

#ifdef STRATA_BENCH_ONEDNN

struct OneDnnConvolution::Implementation {
  int threads = 1;
  dnnl::engine engine{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream{engine};
  dnnl::convolution_forward convolution;
  std::unordered_map<int, dnnl::memory> arguments;
};

bool OneDnnConvolution::available() { return true; }

std::string OneDnnConvolution::version() {
  const dnnl_version_t* version = dnnl_version();
  return "oneDNN " + std::to_string(version->major) + "." + std::to_string(version->minor) + "." +
         std::to_string(version->patch);
}

OneDnnConvolution::OneDnnConvolution(const ConvolutionShape& shape, int threads)
    : implementation_(std::make_unique<Implementation>()) {
  using dnnl::memory;
  Implementation& peer = *implementation_;
  peer.threads = threads;
  omp_set_num_threads(threads);
  const auto any = [](const memory::dims& dims) {
    return memory::desc(dims, memory::data_type::f32, memory::format_tag::any);
  };
  const int64_t input = shape.size * shape.stride;
  const int64_t padding = shape.kernel / 2;
  const dnnl::convolution_forward::desc wanted(
      dnnl::prop_kind::forward_inference, dnnl::algorithm::convolution_auto,
      any({1, shape.inputs, input, input}),
      any({shape.outputs, shape.inputs, shape.kernel, shape.kernel}),
      any({1, shape.outputs, shape.size, shape.size}), {shape.stride, shape.stride},
      {padding, padding}, {padding - (shape.stride - 1), padding - (shape.stride - 1)});
  const dnnl::convolution_forward::primitive_desc chosen(wanted, peer.engine);
  peer.convolution = dnnl::convolution_forward(chosen);
  const auto filled = [&](const memory::desc& description) {
    memory tensor(description, peer.engine);
    auto* values = static_cast<float*>(tensor.get_data_handle());
    std::fill_n(values, description.get_size() / sizeof(float), 0.5F);
    return tensor;
  };
  peer.arguments = {{DNNL_ARG_SRC, filled(chosen.src_desc())},
                    {DNNL_ARG_WEIGHTS, filled(chosen.weights_desc())},
                    {DNNL_ARG_DST, filled(chosen.dst_desc())}};
}

double OneDnnConvolution::run() {
  Implementation& peer = *implementation_;
  omp_set_num_threads(peer.threads);
  const int64_t begin = monotonic_ns();
  peer.convolution.execute(peer.stream, peer.arguments);
  peer.stream.wait();
  return static_cast<double>(monotonic_ns() - begin) * 1e-3;
}

#else

struct OneDnnConvolution::Implementation {};

bool OneDnnConvolution::available() { return false; }
std::string OneDnnConvolution::version() { return "none"; }
OneDnnConvolution::OneDnnConvolution(const ConvolutionShape& /*shape*/, int /*threads*/) {}
double OneDnnConvolution::run() { return 0; }

#endif

OneDnnConvolution::~OneDnnConvolution() = default;
OneDnnConvolution::OneDnnConvolution(OneDnnConvolution&&) noexcept = default;
OneDnnConvolution& OneDnnConvolution::operator=(OneDnnConvolution&&) noexcept = default;

}  // namespace strata::bench
