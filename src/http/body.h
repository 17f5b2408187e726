// Bodies on the wire: taking one apart by its framing, and putting one on with framing of our own.
//
// Used on both sides of a request, within one callback at a time; neither allocates. Worker process.
#ifndef UB_HTTP_BODY_H_
#define UB_HTTP_BODY_H_

#include <sys/uio.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "http/chunked_decoder.h"
#include "http/message.h"

namespace ub {

// Finds where a body ends, and what in the bytes is body.
class BodyReader {
 public:
  struct Piece {
    std::string_view data;   // body bytes; slices of the input, brought together where chunk framing lay between
    size_t consumed = 0;     // of the input; what is left belongs to the next message
    bool end = false;        // the body is complete
    const char* error = nullptr;
  };

  void Begin(BodyKind kind, uint64_t content_length);
  // Takes what it can of `bytes`, which it may rearrange.
  Piece Take(char* bytes, size_t count);
  bool done() const { return done_; }
  BodyKind kind() const { return kind_; }
  // Body bytes still to come, where the length is known.
  uint64_t left() const { return left_; }
  // Trailer fields of a chunked body, once done: "Name: value\r\n…".
  std::string_view trailers() const { return decoder_.trailers(); }

 private:
  BodyKind kind_ = BodyKind::kNone;
  bool done_ = true;
  uint64_t left_ = 0;
  ChunkedDecoder decoder_;
};

// Frames a body: as chunks, or as it is where its length was announced or the connection's end delimits it.
class BodyWriter {
 public:
  static constexpr size_t kMaxPieces = 5;

  void Begin(bool chunked) { chunked_ = chunked; }
  bool chunked() const { return chunked_; }
  // Puts one piece, and the end of the body with it where `end`, into `out`; returns how many places it took. The
  // pieces point into `data`, `trailers` and this object: send them before the next call.
  size_t Frame(std::string_view data, bool end, std::string_view trailers, std::span<iovec, kMaxPieces> out);

 private:
  bool chunked_ = false;
  std::array<char, 20> size_line_;
};

}  // namespace ub

#endif  // UB_HTTP_BODY_H_
