// Decoder of the chunked transfer coding (RFC 9112 section 7.1), strict: sizes are hex digits and
// nothing else, lines end in CRLF, extensions are dropped and bounded, trailers are checked and
// kept for forwarding.
//
// One object a message, reusable by Reset(). Memory: trailers only. Worker process.
#ifndef UB_HTTP_CHUNKED_DECODER_H_
#define UB_HTTP_CHUNKED_DECODER_H_

#include <cstdint>
#include <string>
#include <string_view>

namespace ub {

// What becomes of a trailer of that name, which is a token: passed on, dropped, or the message is malformed (RFC 9110
// section 6.5.1).
enum class TrailerVerdict : uint8_t { kPassed, kDropped, kRefused };
TrailerVerdict JudgeTrailer(std::string_view name);

class ChunkedDecoder {
 public:
  static constexpr uint32_t kMaxExtensionBytes = 256;           // a chunk
  static constexpr uint32_t kMaxAllExtensionBytes = 16 * 1024;  // a message
  static constexpr uint32_t kMaxTrailerBytes = 8 * 1024;

  enum class Step : uint8_t {
    kData,  // *data holds a piece of the body, a slice of the input; call again
    kMore,  // the input is used up
    kDone,  // the message has ended; what is left of the input belongs to the next
    kBad,   // malformed; error() says why
  };

  void Reset() { *this = ChunkedDecoder(); }
  // Takes bytes from the front of *input.
  Step Next(std::string_view* input, std::string_view* data);
  const char* error() const { return error_; }
  bool done() const { return state_ == State::kEnd; }
  // The trailer section as "Name: value\r\n…", framing and routing fields (RFC 9110 section 6.5.1)
  // already an error or dropped; valid after kDone.
  const std::string& trailers() const { return trailers_; }

 private:
  enum class State : uint8_t {
    kSize,
    kExtension,
    kSizeLf,
    kBody,
    kBodyCr,
    kBodyLf,
    kTrailer,
    kTrailerLf,
    kEnd,
    kError,
  };

  Step Fail(const char* why);
  // One each a group of states; they take what they can from *input. False: malformed.
  bool TakeSize(std::string_view* input);
  bool TakeExtension(std::string_view* input);
  bool TakeTrailer(std::string_view* input);
  bool EndTrailerLine();
  bool Refuse(const char* why) {
    error_ = why;
    return false;
  }

  State state_ = State::kSize;
  uint8_t digits_ = 0;
  uint32_t extension_bytes_ = 0;      // of this chunk
  uint32_t all_extension_bytes_ = 0;  // of the message
  uint32_t trailer_bytes_ = 0;
  uint64_t left_ = 0;
  const char* error_ = "";
  std::string line_;
  std::string trailers_;
};

}  // namespace ub

#endif  // UB_HTTP_CHUNKED_DECODER_H_
