#include "tools/strata/level_alone_peer.h"

#include <vector>

#include "format/reader.h"
#include "train/error.h"

namespace strata::cli {

LevelAlonePeer::LevelAlonePeer(const sparse::NestedModel& nested, int level,
                               format::ValueType values, const runtime::SessionOptions& options)
    : level_(level) {
  const sparse::NestedModel alone = value_or_throw(sparse::level_alone(nested, level));
  const std::vector<uint8_t> file = value_or_throw(format::encode(alone, {values}));
  file_bytes_ = file.size();
  const auto reader = value_or_throw(format::Reader::from_bytes(file, name()));
  session_ = value_or_throw(runtime::Session::create(reader, options));
}

void LevelAlonePeer::run(std::span<const runtime::InputView> inputs,
                         std::span<const runtime::OutputView> outputs) {
  throw_if_error(session_->run(inputs, outputs, 0));
}

}  // namespace strata::cli
