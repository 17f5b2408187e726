// The one error type. Every layer returns it, from the configuration parsers to the log line and
// the error page that a client reads. Errors are values: nothing above the parsers throws.
//
// Used in every process. An OK status holds no heap memory and costs nothing to pass.
#ifndef UB_CORE_STATUS_H_
#define UB_CORE_STATUS_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <utility>

namespace ub {

// What kind of thing went wrong.
enum class StatusCode : uint8_t {
  kOk,
  kInvalid,      // malformed input: a file, a flag, a message
  kNotFound,     // no such file, backend, key
  kExists,       // already there, or already taken
  kExhausted,    // a limit is reached: descriptors, slots, connections
  kTooLarge,     // a size limit is exceeded
  kTimeout,      // a deadline passed
  kRefused,      // the peer refused the connection
  kReset,        // the peer broke the connection
  kClosed,       // the peer ended the connection where more was expected
  kProtocol,     // the peer spoke badly
  kUnavailable,  // nobody can serve this now
  kPermission,   // not allowed
  kSystem,       // a system call failed
  kInternal,     // a bug of ours
};

// Whose fault it is: decides what the client is told and whom the failure is counted against.
enum class StatusSource : uint8_t { kNone, kClient, kBackend, kProxy, kConfig, kSystem };

class [[nodiscard]] Status {
 public:
  Status() = default;
  Status(StatusCode code, StatusSource source, std::string detail, bool retryable = false)
      : code_(code), source_(source), retryable_(retryable), detail_(std::move(detail)) {}

  static Status Ok() { return Status(); }
  // A failed system call: `what` and the text of `error_number`. Source kSystem.
  static Status System(std::string_view what, int error_number);
  static Status Config(std::string detail) {
    return Status(StatusCode::kInvalid, StatusSource::kConfig, std::move(detail));
  }

  bool ok() const { return code_ == StatusCode::kOk; }
  StatusCode code() const { return code_; }
  StatusSource source() const { return source_; }
  // True where the same request may be tried on another backend without harm.
  bool retryable() const { return retryable_; }
  const std::string& detail() const { return detail_; }
  // "backend reset: detail", for a log line.
  std::string ToString() const;

 private:
  StatusCode code_ = StatusCode::kOk;
  StatusSource source_ = StatusSource::kNone;
  bool retryable_ = false;
  std::string detail_;
};

std::string_view StatusCodeName(StatusCode code);
std::string_view StatusSourceName(StatusSource source);

template <class T>
using Result = tl::expected<T, Status>;

// `return Fail(status)` from a function that returns a Result.
inline tl::unexpected<Status> Fail(Status status) {
  return tl::unexpected<Status>(std::move(status));
}

}  // namespace ub

#endif  // UB_CORE_STATUS_H_
