// The exception of train/ and tools/: one clear sentence, caught once at the top of the program.
// Turns a Status of the layers below into it.
#pragma once

#include <stdexcept>
#include <string>
#include <utility>

#include "core/status.h"

namespace strata {

/// what() is a sentence for the user: the thing, the place, the cause and the remedy.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// The value of `result`, or its message as an Error.
template <typename T>
[[nodiscard]] T value_or_throw(Result<T> result) {
  if (!result.ok()) throw Error(result.status().message());
  return std::move(result).value();
}

inline void throw_if_error(const Status& status) {
  if (!status.ok()) throw Error(status.message());
}

}  // namespace strata
