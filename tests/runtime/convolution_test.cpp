// Convolutions of all the forms that the tiling distinguishes, on every instruction set of this
// CPU: planes of whole blocks, planes in one tile, tiles with a spare block, slices of channels,
// strides, dilations, groups, residual additions, the sparse kernel and the dense one; all against
// the naive executor.
#include <cstdlib>
#include <string>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "convolution_forms.h"
#include "kernels/target.h"
#include "session_fixture.h"

namespace strata::testing {
namespace {

int64_t pick(int64_t least, int64_t most) { return *rc::gen::inRange(least, most + 1); }

/// `dense_from` 0 makes every level dense, 0.2 the upper one of two, 2 none.
void expect_like_naive_on(kernels::Target target, const Form& form, int threads, int64_t batch,
                          double dense_from, uint32_t seed) {
  const auto nested = random_nested(model_of(form), {0.1, 0.3}, seed);
  setenv("STRATA_TARGET", std::string(kernels::target_name(target)).c_str(), 1);
  runtime::SessionOptions options;
  options.threads = threads;
  options.bindings["batch"] = batch;
  options.dense_from = dense_from;
  const auto session = open(nested, options);
  unsetenv("STRATA_TARGET");
  ASSERT_NE(session, nullptr);
  for (const int level : {1, 0}) {
    SessionData data(*session);
    ASSERT_TRUE(session->run(data.input_views, data.output_views, level).ok());
    const std::vector<uint8_t> levels(session->steps().size(), static_cast<uint8_t>(level));
    expect_like_naive(nested, *session, data, levels);
  }
}

class Convolution : public ::testing::TestWithParam<kernels::Target> {};

TEST_P(Convolution, EveryFormEqualsTheNaiveExecutor) {
  const auto conv = [](int64_t in, int64_t out, int64_t kernel, int64_t stride, int64_t padding) {
    return graph::ConvOptions{.in_channels = in,
                              .out_channels = out,
                              .kernel = kernel,
                              .stride = stride,
                              .padding = padding};
  };
  const Form forms[] = {
      {conv(40, 6, 3, 1, 1), 21, 56, true},   // rows of whole blocks, several slices
      {conv(96, 5, 3, 1, 1), 14, 14, true},   // one tile of whole-block rows
      {conv(150, 7, 3, 1, 1), 7, 7, true},    // one tile, rows of half a block
      {conv(9, 6, 3, 1, 1), 12, 33, true},    // a spare block
      {conv(300, 6, 1, 1, 0), 9, 15, true},   // slices without shifts
      {conv(3, 8, 7, 2, 3), 40, 60, false},   // four phases
      {conv(30, 6, 3, 2, 1), 28, 28, false},  // four phases, small
      {conv(20, 6, 1, 2, 0), 13, 30, false},  // one phase
      {conv(64, 9, 3, 1, 1), 2, 2, true},     // less than a block
      {conv(64, 9, 3, 1, 1), 1, 1, true},     // one pixel
      {conv(2, 2, 1, 2, 1), 1, 1, false},     // nothing but padding
  };
  for (const Form& form : forms) {
    for (const int threads : {1, 2}) {
      for (const double dense_from : {2.0, 0.0}) {
        expect_like_naive_on(GetParam(), form, threads, 1, dense_from, 1);
      }
    }
    if (HasFailure()) {
      FAIL() << form.conv.in_channels << " channels at " << form.height << "x" << form.width;
    }
  }
}

TEST_P(Convolution, AnyFormEqualsTheNaiveExecutor) {
  EXPECT_TRUE(rc::check("like the naive executor", [&] {
    const Form form = any_form(pick);
    expect_like_naive_on(GetParam(), form, static_cast<int>(pick(1, 2)), pick(1, 2),
                         *rc::gen::element(2.0, 0.2, 0.0), static_cast<uint32_t>(pick(0, 1000)));
    RC_ASSERT(!HasFailure());
  }));
}

INSTANTIATE_TEST_SUITE_P(Targets, Convolution, ::testing::ValuesIn(kernels::supported_targets()),
                         [](const auto& instance) {
                           return std::string(kernels::target_name(instance.param));
                         });

}  // namespace
}  // namespace strata::testing
