// Which rows of a matrix are walked together. Kernels add the taps of a bundle of rows in lockstep
// (see kernels/sparse_conv/sparse_conv.h), so its rows should have about as many of them in every
// run: what one lacks is made up for by taps of weight 0.
#pragma once

#include <cstdint>
#include <span>

namespace strata::runtime {

/// Orders the rows of `rows` so that every `bundle` that follow each other have like counts, and
/// bundles with more taps come first: the processor then guesses where their loops end.
/// `counts`: taps of the runs of each row, [row][run]; the number of rows is a multiple of
/// `bundle`.
void order_rows(std::span<const uint32_t> counts, int64_t runs, int64_t bundle,
                std::span<uint32_t> rows);

}  // namespace strata::runtime
