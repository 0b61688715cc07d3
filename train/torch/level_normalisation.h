// Gives convolutions that have none a normalisation, so that every level can scale and shift their
// channels its own way. Most exporters fold batch normalisation into the weights, which all levels
// share. Needs no libtorch.
#pragma once

#include "sparse/nested_model.h"

namespace strata::train {

/// Puts a BatchNormalization that does nothing yet behind every convolution whose output nothing
/// normalises. The runtime merges it into the convolution's step, so it costs no time. Names of
/// values stay; new ones derive from the convolution's name.
void add_level_normalisation(sparse::NestedModel& nested);

}  // namespace strata::train
