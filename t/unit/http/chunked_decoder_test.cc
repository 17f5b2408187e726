#include "http/chunked_decoder.h"

#include <http_parser.h>

#include <set>
#include <string>
#include <string_view>

#include "cut_feed.h"
#include "gtest/gtest.h"

namespace ub {
namespace {

using std::string_view_literals::operator""sv;
using Step = ChunkedDecoder::Step;

// `verdict` is "bad", or "done" or "more" with the body so far, trailers and what was left.
struct Case {
  const char* name;
  std::string_view bytes;
  std::string_view verdict;
  const char* source;
};

constexpr Case kCases[] = {
#include "chunked_cases.inc"
};

// Sends the bytes piece by piece; each byte is handed over once.
std::string Feed(std::string_view bytes, const Cuts& cuts, ChunkedDecoder* decoder) {
  std::string body;
  size_t given = 0;
  for (size_t cut : cuts) {
    const ExactCopy piece(bytes.substr(given, cut - given));
    std::string_view input = piece.view();
    given = cut;
    for (;;) {
      std::string_view data;
      const Step step = decoder->Next(&input, &data);
      if (step == Step::kData) {
        EXPECT_FALSE(data.empty());
        body.append(data);
        continue;
      }
      if (step == Step::kBad) {
        EXPECT_NE(decoder->error(), std::string_view());
        return "bad";
      }
      if (step == Step::kDone) {
        EXPECT_TRUE(decoder->done());
        std::string text = "done " + body;
        if (!decoder->trailers().empty()) {
          text.append(" trailers=").append(decoder->trailers());
        }
        const std::string rest = std::string(input).append(bytes.substr(given));
        return rest.empty() ? text : text + " rest=" + rest;
      }
      EXPECT_TRUE(input.empty());
      EXPECT_FALSE(decoder->done());
      break;
    }
  }
  return "more " + body;
}

// The verdict however the bytes are cut, and with a decoder that has done a message before.
std::string FeedAll(std::string_view bytes) {
  ChunkedDecoder fresh;
  const std::string whole = Feed(bytes, WholeCut(bytes.size()), &fresh);
  ChunkedDecoder decoder;
  for (const Cuts& cuts : AllCuts(bytes.size())) {
    decoder.Reset();
    EXPECT_EQ(Feed(bytes, cuts, &decoder), whole) << "in " << cuts.size() << " pieces";
  }
  return whole;
}

TEST(ChunkedDecoder, TableIsLargeAndNamesItsSources) {
  std::set<std::string> names;
  for (const Case& c : kCases) {
    EXPECT_TRUE(names.insert(c.name).second) << c.name << " twice";
    EXPECT_TRUE(std::string_view(c.source).starts_with("RFC ")) << c.name;
  }
  EXPECT_GE(names.size(), 100u);
}

TEST(ChunkedDecoder, VerdictIsTheTablesHoweverTheBytesAreCut) {
  for (const Case& c : kCases) {
    SCOPED_TRACE(std::string(c.name) + " (" + c.source + ")");
    EXPECT_EQ(FeedAll(c.bytes), c.verdict);
  }
}

// http_parser's reading of a body that was accepted: its bytes, and where the message ends.
TEST(ChunkedDecoder, HttpParserReadsAcceptedBodiesAlike) {
  int accepted = 0;
  for (const Case& c : kCases) {
    ChunkedDecoder decoder;
    std::string body;
    std::string_view input = c.bytes;
    std::string_view data;
    Step step;
    while ((step = decoder.Next(&input, &data)) == Step::kData) {
      body.append(data);
    }
    if (step != Step::kDone) {
      continue;
    }
    SCOPED_TRACE(c.name);
    ++accepted;
    http_parser_settings settings{};
    settings.on_body = [](http_parser* parser, const char* at, size_t size) {
      static_cast<std::string*>(parser->data)->append(at, size);
      return 0;
    };
    settings.on_message_complete = [](http_parser* parser) {
      http_parser_pause(parser, 1);
      return 0;
    };
    http_parser parser;
    http_parser_init(&parser, HTTP_REQUEST);
    std::string read;
    parser.data = &read;
    const std::string head = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
    const std::string message = head + std::string(c.bytes);
    const size_t taken = http_parser_execute(&parser, &settings, message.data(), message.size());
    EXPECT_EQ(HTTP_PARSER_ERRNO(&parser), HPE_PAUSED);
    EXPECT_EQ(read, body);
    // Paused at the last LF, which it counts as taken or not.
    EXPECT_NEAR(static_cast<double>(taken), static_cast<double>(message.size() - input.size()), 1);
  }
  EXPECT_GE(accepted, 30);
}

TEST(ChunkedDecoder, BytesOfASize) {
  for (int byte = 0; byte < 256; ++byte) {
    std::string bytes = "0";
    bytes.push_back(static_cast<char>(byte));
    bytes.append("\r\n");
    const bool hex = byte < 0x80 && isxdigit(byte) != 0;
    EXPECT_EQ(FeedAll(bytes), hex || byte == ';' ? "more " : "bad") << byte;
  }
}

TEST(ChunkedDecoder, BytesOfAnExtensionAndATrailer) {
  for (int byte = 0; byte < 256; ++byte) {
    const bool text = byte == '\t' || (byte >= 0x20 && byte != 0x7f);
    for (std::string before : {"0;0123456", "0\r\nA: 0123456"}) {
      before.push_back(static_cast<char>(byte));
      EXPECT_EQ(FeedAll(before + "789abcdefghi\r\n\r\n").substr(0, 3), text ? "don" : "bad")
          << byte;
    }
  }
}

TEST(ChunkedDecoder, ExtensionsAreBoundedByTheChunk) {
  const size_t most = ChunkedDecoder::kMaxExtensionBytes;
  // The semicolon counts.
  EXPECT_EQ(FeedAll("0;" + std::string(most - 1, 'x') + "\r\n\r\n"), "done ");
  EXPECT_EQ(FeedAll("0;" + std::string(most, 'x') + "\r\n\r\n"), "bad");
  EXPECT_EQ(FeedAll("0;" + std::string(most, 'x')), "bad");
  EXPECT_EQ(FeedAll("0;" + std::string(most - 1, 'x')), "more ");
}

// CVE-2023-39326: many small chunks, each with a large extension.
TEST(ChunkedDecoder, ExtensionsAreBoundedByTheMessage) {
  const size_t most = ChunkedDecoder::kMaxAllExtensionBytes;
  std::string bytes;
  std::string body;
  for (size_t extensions = 0; extensions < most; extensions += 128) {
    bytes.append("1;").append(127, 'x').append("\r\ny\r\n");
    body.push_back('y');
  }
  ChunkedDecoder decoder;
  EXPECT_EQ(Feed(bytes + "0\r\n\r\n", WholeCut(bytes.size() + 5), &decoder), "done " + body);
  decoder.Reset();
  EXPECT_EQ(Feed(bytes + "0;\r\n\r\n", WholeCut(bytes.size() + 6), &decoder), "bad");
}

// RFC 9440 section 2.4: nobody but us may say them.
TEST(ChunkedDecoder, ATrailerSaysNothingOfTheClientsCertificate) {
  for (const std::string name : {"Client-Cert", "client_cert", "Client-Cert-Chain", "X-Client-Verify", "x-client-subject",
                                 "X-Client-Fingerprint"}) {
    EXPECT_EQ(JudgeTrailer(name), TrailerVerdict::kDropped) << name;
    EXPECT_EQ(FeedAll("0\r\n" + name + ": SUCCESS\r\n\r\n"), "done ") << name;
  }
}

TEST(ChunkedDecoder, TrailersAreBounded) {
  const size_t most = ChunkedDecoder::kMaxTrailerBytes;
  const std::string fits = "0\r\nA:" + std::string(most - 2, 'x');
  ChunkedDecoder decoder;
  EXPECT_EQ(Feed(fits + "\r\n\r\n", WholeCut(fits.size() + 4), &decoder).substr(0, 4), "done");
  decoder.Reset();
  EXPECT_EQ(Feed(fits + "x\r\n\r\n", WholeCut(fits.size() + 5), &decoder), "bad");
  // Dropped ones count too.
  std::string many = "0\r\n";
  for (size_t bytes = 0; bytes <= most; bytes += 8) {
    many.append("TE: abcd\r\n");
  }
  decoder.Reset();
  EXPECT_EQ(Feed(many, WholeCut(many.size()), &decoder), "bad");
}

TEST(ChunkedDecoder, StaysDoneAndStaysBad) {
  ChunkedDecoder decoder;
  std::string_view data;
  std::string_view input = "0\r\n\r\n5\r\n";
  EXPECT_EQ(decoder.Next(&input, &data), Step::kDone);
  EXPECT_EQ(decoder.Next(&input, &data), Step::kDone);
  EXPECT_EQ(input, "5\r\n");
  decoder.Reset();
  input = "x";
  EXPECT_EQ(decoder.Next(&input, &data), Step::kBad);
  input = "0\r\n\r\n";
  EXPECT_EQ(decoder.Next(&input, &data), Step::kBad);
}

TEST(ChunkedDecoder, DataIsASliceOfTheInput) {
  ChunkedDecoder decoder;
  const std::string bytes = "5\r\nhello\r\n";
  std::string_view input = bytes;
  std::string_view data;
  ASSERT_EQ(decoder.Next(&input, &data), Step::kData);
  EXPECT_EQ(data.data(), bytes.data() + 3);
  EXPECT_EQ(data, "hello");
}

}  // namespace
}  // namespace ub
