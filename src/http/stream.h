// The seam between a protocol and a request's session: sessions see streams, never connections.
//
// HTTP/1 is the case of one stream a connection (http1_server); another protocol is another maker of streams. Calls go
// down (session to stream) and events go up (stream to handler), all within one worker's loop.
#ifndef UB_HTTP_STREAM_H_
#define UB_HTTP_STREAM_H_

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/status.h"
#include "http/error_page.h"
#include "http/forward_headers.h"
#include "http/message.h"

namespace ub {

// What a session is told of its client's side of the exchange.
class StreamHandler {
 public:
  virtual ~StreamHandler() = default;
  // A piece of the request's body; `end` with the last one (then `trailers` may hold fields to pass on). In a tunnel: what
  // the client says, and that it has ended its direction.
  virtual void OnRequestBody(std::string_view data, bool end, std::string_view trailers) = 0;
  // False while the backend cannot take more: the stream stops reading its client.
  virtual bool WantsBody() const = 0;
  // The client took what was congested.
  virtual void OnStreamWritable() = 0;
  // The client is gone, spoke badly or was too slow. The stream must not be used any more unless `can_answer`, which
  // allows one SendError.
  virtual void OnStreamFailed(const Status& status, bool can_answer) = 0;
};

// What a session can do to its client. One exchange: SendInterim*, then SendHead and SendBody* or SendError, then Finish.
class ServerStream {
 public:
  virtual ~ServerStream() = default;
  virtual const ClientInfo& client() const = 0;
  // "HOST:PORT" that the client reached, for requests that name no host.
  virtual std::string LocalHost() const = 0;
  // A 1xx head.
  virtual void SendInterim(ResponseHead* head) = 0;
  // The head with the first bytes of the body, in one system call. `end`: the response is complete with it.
  virtual void SendHead(ResponseHead* head, std::string_view request_id, std::string_view data, bool end) = 0;
  // In a tunnel: what the backend says, and that it has ended its direction.
  virtual void SendBody(std::string_view data, bool end, std::string_view trailers) = 0;
  // Whether its client would have asked for this 101; false where the stream asked in its client's place and the answer
  // does not fit.
  virtual bool TakesSwitch(const ResponseHead&) const { return true; }
  // In place of SendHead: the backend has switched protocols (RFC 9110 section 7.8). `head` is its 101, `data` what came
  // with it. From here on the stream is a tunnel, each direction with an end of its own, until Finish.
  virtual void SwitchProtocols(ResponseHead* head, std::string_view request_id, std::string_view data) = 0;
  // A whole response of our own; the bytes of its body.
  virtual size_t SendError(ErrorPage page) = 0;
  // Bytes wait for the client: produce no more until OnStreamWritable.
  virtual bool congested() const = 0;
  // Its memory will soon be wanted: see core/prefetch.h.
  virtual void Warm() const {}
  // The session takes request body again (WantsBody became true).
  virtual void ResumeBody() = 0;
  // The exchange is over and the handler is forgotten. Not `complete`: the client must see that the response was cut.
  virtual void Finish(bool complete) = 0;
};

}  // namespace ub

#endif  // UB_HTTP_STREAM_H_
