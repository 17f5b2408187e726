#include "http/message.h"

namespace ub {

// Field by field: assigning a fresh object would give the lists' memory back, which is kept for the
// next message.
void RequestHead::Clear() {
  method = Method::kOther;
  method_text = {};
  target = {};
  authority = {};
  minor_version = 1;
  keep_alive = true;
  expect_continue = false;
  upgrade = false;
  te_trailers = false;
  body = BodyKind::kNone;
  content_length = 0;
  headers.clear();
  bytes = 0;
  own_target.clear();
}

bool RequestHead::idempotent() const {
  switch (method) {
    case Method::kGet:
    case Method::kHead:
    case Method::kPut:
    case Method::kDelete:
    case Method::kOptions:
    case Method::kTrace:
      return true;
    default:
      return false;
  }
}

void ResponseHead::Clear() {
  status = 0;
  reason = {};
  minor_version = 1;
  keep_alive = true;
  body = BodyKind::kNone;
  content_length = 0;
  has_content_length = false;
  headers.clear();
  bytes = 0;
}

}  // namespace ub
