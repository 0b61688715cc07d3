// Errors as values for code that must build without exceptions: Status and Result<T>.
// A message is one clear sentence that names the thing, the place, the cause and, where there is
// one, the remedy. train/ and tools/ turn a Status into an exception at their border.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <string>
#include <utility>
#include <variant>

namespace strata {

/// Kind of a failure; stable, exposed through the C ABI.
enum class StatusCode : uint8_t {
  kOk = 0,
  kInvalidArgument = 1,     ///< the caller passed something that can never work
  kNotFound = 2,            ///< a file, node, tensor or level that does not exist
  kOutOfRange = 3,          ///< a level, index or size outside what there is
  kDataLoss = 4,            ///< bytes are damaged: checksum, truncation
  kUnsupported = 5,         ///< well-formed, but this build cannot do it
  kIoError = 6,             ///< the operating system refused
  kResourceExhausted = 7,   ///< memory or disk is full
  kFailedPrecondition = 8,  ///< valid call at the wrong time
  kInternal = 9,            ///< a bug in strata
  kDeadlineExceeded = 10,   ///< no answer in time, and a late one was not wanted
  kCancelled = 11,          ///< somebody asked to stop
};

class [[nodiscard]] Status {
 public:
  Status() = default;
  Status(StatusCode code, std::string message) : code_(code), message_(std::move(message)) {}

  [[nodiscard]] bool ok() const { return code_ == StatusCode::kOk; }
  [[nodiscard]] StatusCode code() const { return code_; }
  [[nodiscard]] const std::string& message() const { return message_; }

 private:
  StatusCode code_ = StatusCode::kOk;
  std::string message_;
};

/// A T, or the reason why there is none.
template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::move(value)) {}        // NOLINT(google-explicit-constructor)
  Result(Status status) : state_(std::move(status)) {  // NOLINT(google-explicit-constructor)
    if (std::get<Status>(state_).ok()) std::abort();   // an OK status carries no value
  }

  [[nodiscard]] bool ok() const { return std::holds_alternative<T>(state_); }
  [[nodiscard]] Status status() const { return ok() ? Status() : std::get<Status>(state_); }

  /// Precondition: ok(). Aborts otherwise.
  [[nodiscard]] T& value() & { return checked(); }
  [[nodiscard]] const T& value() const& { return const_cast<Result*>(this)->checked(); }
  [[nodiscard]] T&& value() && { return std::move(checked()); }
  T* operator->() { return &checked(); }
  const T* operator->() const { return &value(); }
  T& operator*() & { return checked(); }
  const T& operator*() const& { return value(); }

 private:
  T& checked() {
    if (!ok()) std::abort();
    return std::get<T>(state_);
  }
  std::variant<T, Status> state_;
};

inline Status invalid_argument(std::string message) {
  return {StatusCode::kInvalidArgument, std::move(message)};
}
inline Status not_found(std::string message) { return {StatusCode::kNotFound, std::move(message)}; }
inline Status out_of_range(std::string message) {
  return {StatusCode::kOutOfRange, std::move(message)};
}
inline Status data_loss(std::string message) { return {StatusCode::kDataLoss, std::move(message)}; }
inline Status unsupported(std::string message) {
  return {StatusCode::kUnsupported, std::move(message)};
}
inline Status io_error(std::string message) { return {StatusCode::kIoError, std::move(message)}; }
inline Status resource_exhausted(std::string message) {
  return {StatusCode::kResourceExhausted, std::move(message)};
}
inline Status failed_precondition(std::string message) {
  return {StatusCode::kFailedPrecondition, std::move(message)};
}
inline Status deadline_exceeded(std::string message) {
  return {StatusCode::kDeadlineExceeded, std::move(message)};
}
inline Status cancelled(std::string message) {
  return {StatusCode::kCancelled, std::move(message)};
}
inline Status internal_error(std::string message) {
  return {StatusCode::kInternal, std::move(message)};
}

}  // namespace strata

#define STRATA_CONCAT_INNER(a, b) a##b
#define STRATA_CONCAT(a, b) STRATA_CONCAT_INNER(a, b)

/// Returns early with the Status of EXPR unless it is OK.
#define STRATA_RETURN_IF_ERROR(EXPR)                                                           \
  do {                                                                                         \
    if (::strata::Status strata_status_ = (EXPR); !strata_status_.ok()) return strata_status_; \
  } while (false)

/// Declares TARGET from the Result EXPR, or returns early with its Status.
#define STRATA_ASSIGN_OR_RETURN(TARGET, EXPR) \
  STRATA_ASSIGN_OR_RETURN_IMPL(STRATA_CONCAT(strata_result_, __LINE__), TARGET, EXPR)
// NOLINTBEGIN(bugprone-macro-parentheses): TARGET and RESULT are declared, not computed
#define STRATA_ASSIGN_OR_RETURN_IMPL(RESULT, TARGET, EXPR) \
  auto RESULT = (EXPR);                                    \
  if (!RESULT.ok()) return RESULT.status();                \
  TARGET = std::move(RESULT).value()
// NOLINTEND(bugprone-macro-parentheses)
