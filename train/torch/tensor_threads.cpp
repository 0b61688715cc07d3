#include "train/torch/tensor_threads.h"

#include <ATen/Parallel.h>
#include <dlfcn.h>

namespace strata::train {

bool set_blas_threads(int threads) {
  using SetThreads = void (*)(int);
  const auto set_threads =
      reinterpret_cast<SetThreads>(dlsym(RTLD_DEFAULT, "openblas_set_num_threads"));
  if (set_threads == nullptr) return false;
  set_threads(threads);
  return true;
}

void set_tensor_threads(int threads) {
  at::set_num_threads(threads);
  set_blas_threads(threads);
}

}  // namespace strata::train
