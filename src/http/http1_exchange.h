// What a client's HTTP/1 connection needs from the first byte of a request to the last of its response, and not while it
// is idle: taken from the worker's pool and given back, so that idle connections stay small and busy ones share memory
// that is warm in the cache.
#ifndef UB_HTTP_HTTP1_EXCHANGE_H_
#define UB_HTTP_HTTP1_EXCHANGE_H_

#include <cstdint>

#include "core/object_pool.h"
#include "event/buffer.h"
#include "http/body.h"
#include "http/http1_parser.h"
#include "http/rate_watch.h"
#include "http/stream.h"

namespace ub {

struct Http1Exchange {
  explicit Http1Exchange(BufferPool* buffers) : input(buffers) {}

  StreamHandler* handler = nullptr;
  HeadCursor cursor;
  Buffer input;  // an unfinished head, or requests that came along with the one under way
  BodyReader reader;
  BodyWriter writer;
  RateWatch rate;
  uint64_t head_end_ns = 0;  // when the head must be whole
  uint32_t progress = 0;     // sent bytes when the deadline was last looked at
};

using Http1ExchangePool = ObjectPool<Http1Exchange>;

}  // namespace ub

#endif  // UB_HTTP_HTTP1_EXCHANGE_H_
