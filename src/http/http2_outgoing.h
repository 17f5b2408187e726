// What of a message's body waits to be sent on an HTTP/2 stream, and what follows it. The same for requests and responses.
//
// A part of each stream: its owner appends, the codec takes as much as windows allow (Http2Events::BodyReady, TakeBody).
#ifndef UB_HTTP_HTTP2_OUTGOING_H_
#define UB_HTTP_HTTP2_OUTGOING_H_

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>

#include "event/buffer.h"

namespace ub {

struct Http2Outgoing {
  explicit Http2Outgoing(BufferPool* pool) : bytes(pool) {}

  // Http2Events::BodyReady.
  size_t Ready(size_t most, bool* last) {
    const size_t count = std::min(most, bytes.size());
    *last = end && count == bytes.size();
    promised = count;
    deferred = count == 0 && !*last;
    return count;
  }
  // Http2Events::TakeBody.
  void Take(size_t count, Buffer* out) {
    promised = 0;
    out->Append(bytes.view().substr(0, count));
    if (count == 0) return;
    bytes.Consume(count);
    sent += count;
  }
  void Reset() {
    trailers.clear();
    end = deferred = false;
    promised = 0;
    sent = 0;
  }

  Buffer bytes;
  std::string trailers;  // "name: value\r\n…"
  bool end = false;       // nothing follows but trailers
  bool deferred = false;  // the codec waits for ResumeBody
  size_t promised = 0;    // bytes that the codec has announced in a frame's head
  uint64_t sent = 0;      // bytes that the connection has taken
};

}  // namespace ub

#endif  // UB_HTTP_HTTP2_OUTGOING_H_
