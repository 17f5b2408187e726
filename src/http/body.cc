#include "http/body.h"

#include <charconv>
#include <cstring>

namespace ub {

void BodyReader::Begin(BodyKind kind, uint64_t content_length) {
  kind_ = kind;
  left_ = kind == BodyKind::kLength ? content_length : 0;
  done_ = kind == BodyKind::kNone || (kind == BodyKind::kLength && content_length == 0);
  if (kind == BodyKind::kChunked) decoder_.Reset();
}

BodyReader::Piece BodyReader::Take(char* bytes, size_t count) {
  if (done_) return {{}, 0, true, nullptr};
  if (kind_ == BodyKind::kUntilClose) return {{bytes, count}, count, false, nullptr};
  if (kind_ == BodyKind::kLength) {
    const size_t taken = count < left_ ? count : static_cast<size_t>(left_);
    left_ -= taken;
    done_ = left_ == 0;
    return {{bytes, taken}, taken, done_, nullptr};
  }
  std::string_view input(bytes, count);
  char* gathered = nullptr;  // where the first piece lies; later ones are moved up behind it
  size_t length = 0;
  for (;;) {
    std::string_view data;
    const ChunkedDecoder::Step step = decoder_.Next(&input, &data);
    if (step == ChunkedDecoder::Step::kBad) return {{}, count - input.size(), false, decoder_.error()};
    if (step == ChunkedDecoder::Step::kData) {
      char* at = bytes + (data.data() - bytes);
      if (gathered == nullptr) {
        gathered = at;
      } else {
        std::memmove(gathered + length, at, data.size());
      }
      length += data.size();
      continue;
    }
    done_ = step == ChunkedDecoder::Step::kDone;
    return {{gathered, length}, count - input.size(), done_, nullptr};
  }
}

size_t BodyWriter::Frame(std::string_view data, bool end, std::string_view trailers,
                         std::span<iovec, kMaxPieces> out) {
  size_t n = 0;
  const auto add = [&](std::string_view text) {
    if (!text.empty()) out[n++] = {const_cast<char*>(text.data()), text.size()};
  };
  if (!chunked_) {
    add(data);
    return n;
  }
  if (!data.empty()) {
    char* at = std::to_chars(size_line_.data(), size_line_.data() + 16, data.size(), 16).ptr;
    *at++ = '\r';
    *at++ = '\n';
    add({size_line_.data(), static_cast<size_t>(at - size_line_.data())});
    add(data);
  }
  if (!end) {
    if (!data.empty()) add("\r\n");
  } else if (trailers.empty()) {
    add(data.empty() ? "0\r\n\r\n" : "\r\n0\r\n\r\n");
  } else {
    add(data.empty() ? "0\r\n" : "\r\n0\r\n");
    add(trailers);
    add("\r\n");
  }
  return n;
}

}  // namespace ub
