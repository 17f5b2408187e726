// Any bytes as a chunked body: the same body, trailers, end and verdict however they are cut;
// trailers stay bounded and clean; what was accepted, framed anew, decodes to the same body.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "http/chunked_decoder.h"
#include "http/headers.h"

namespace {

using Step = ub::ChunkedDecoder::Step;

void Require(bool holds) {
  if (!holds) {
    std::abort();
  }
}

struct Decoded {
  Step step = Step::kMore;
  std::string body;
  std::string trailers;
  size_t used = 0;
};

Decoded Decode(std::string_view bytes, size_t piece) {
  ub::ChunkedDecoder decoder;
  Decoded out;
  for (size_t at = 0; at < bytes.size() && out.step == Step::kMore; at += piece) {
    const std::string moved(bytes.substr(at, piece));
    std::string_view input = moved;
    std::string_view data;
    while ((out.step = decoder.Next(&input, &data)) == Step::kData) {
      Require(!data.empty() && data.data() >= moved.data());
      Require(data.data() + data.size() <= moved.data() + moved.size());
      out.body.append(data);
    }
    out.used = at + moved.size() - input.size();
  }
  Require(decoder.done() == (out.step == Step::kDone));
  out.trailers = decoder.trailers();
  return out;
}

// "Name: value\r\n" and nothing else, and none of the names that frame a message.
void CheckTrailers(std::string_view trailers) {
  Require(trailers.size() <= 4 * ub::ChunkedDecoder::kMaxTrailerBytes);
  while (!trailers.empty()) {
    const size_t end = trailers.find("\r\n");
    const size_t colon = trailers.find(": ");
    Require(end != std::string_view::npos && colon < end);
    const std::string_view name = trailers.substr(0, colon);
    Require(ub::IsToken(name));
    const ub::HeaderId id = ub::HeaderIdOf(name);
    Require(id != ub::HeaderId::kContentLength && id != ub::HeaderId::kTransferEncoding);
    Require(id != ub::HeaderId::kHost && id != ub::HeaderId::kConnection);
    const std::string_view value = trailers.substr(colon + 2, end - colon - 2);
    Require(value.find_first_of(std::string_view("\r\n\0", 3)) == std::string_view::npos);
    trailers.remove_prefix(end + 2);
  }
}

std::string Frame(const Decoded& message) {
  std::string framed;
  if (!message.body.empty()) {
    char size[32];
    std::snprintf(size, sizeof(size), "%zx\r\n", message.body.size());
    framed.append(size).append(message.body).append("\r\n");
  }
  return framed.append("0\r\n").append(message.trailers).append("\r\n");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 1) {
    return 0;
  }
  const size_t piece = 1 + data[0] % 16;
  const std::string_view bytes(reinterpret_cast<const char*>(data + 1), size - 1);
  const Decoded whole = Decode(bytes, bytes.size() + 1);
  const Decoded cut = Decode(bytes, piece);
  Require(cut.step == whole.step && cut.body == whole.body);
  Require(whole.step == Step::kBad || cut.used == whole.used);
  if (whole.step == Step::kDone) {
    Require(cut.trailers == whole.trailers);
    CheckTrailers(whole.trailers);
    // Trailers that came near their limit may exceed it once a blank follows each colon.
    if (whole.trailers.size() <= ub::ChunkedDecoder::kMaxTrailerBytes) {
      const std::string framed = Frame(whole);
      const Decoded again = Decode(framed, piece);
      Require(again.step == Step::kDone && again.used == framed.size());
      Require(again.body == whole.body && again.trailers == whole.trailers);
    }
  }
  return 0;
}
