// Sentences and their translations, for translators of an encoder and a decoder: the decoder learns
// every sub-word from those before it in the reference, and BLEU of what it says by itself counts.
#pragma once

#include <memory>

#include "train/torch/task.h"

namespace strata::train {

std::unique_ptr<Task> make_translation(const Recipe& recipe, const TaskContext& context);

}  // namespace strata::train
