// The server's side of the codec against frames made by hand: what it sends in answer, frame by frame.
#include "http/http2_codec.h"

#include <memory>
#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace ub {
namespace {

constexpr uint8_t kHeaders = 1, kReset = 3, kSettings = 4, kPing = 6, kGoAway = 7;
constexpr uint8_t kEndStream = 1, kEndHeaders = 4;

std::string Frame(uint8_t type, uint8_t flags, uint8_t stream, std::string_view payload) {
  std::string out{0, 0, static_cast<char>(payload.size()), static_cast<char>(type), static_cast<char>(flags), 0, 0, 0,
                  static_cast<char>(stream)};
  return out.append(payload);
}

std::string Preface() { return "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + Frame(kSettings, 0, 0, ""); }
// GET / by https, all from the static table.
std::string Get(uint8_t stream) { return Frame(kHeaders, kEndStream | kEndHeaders, stream, "\x82\x87\x84"); }

class Http2CodecTest : public testing::Test, public Http2Events {
 protected:
  Http2CodecTest() : codec_(Http2Codec::Server(Http2Settings(), this)) {}

  // Types of the frames that there are to send, in order; `all_` has their bytes.
  std::vector<uint8_t> Sent() {
    Buffer out(&pool_);
    codec_->Produce(1 << 20, &out);
    all_ = out.view();
    std::vector<uint8_t> types;
    for (size_t at = 0; at + 9 <= all_.size();) {
      types.push_back(static_cast<uint8_t>(all_[at + 3]));
      at += 9 + (static_cast<uint8_t>(all_[at + 1]) << 8 | static_cast<uint8_t>(all_[at + 2]));
    }
    return types;
  }

  CodecStream* OnStreamBegins(int32_t) override { return &stream_; }
  void OnHeadBegins(CodecStream*) override {}
  bool OnField(CodecStream*, std::string_view, std::string_view) override { return true; }
  void OnHeadEnds(CodecStream*) override {}
  void OnData(CodecStream*, std::string_view) override {}
  void OnStreamEnds(CodecStream*) override {}
  void OnStreamClosed(CodecStream*, uint32_t) override { ++closed_; }
  bool OnCheap(Http2Cheap) override { return ++cheap_ < most_; }
  size_t BodyReady(CodecStream*, size_t, bool*) override { return 0; }
  void TakeBody(CodecStream*, size_t, Buffer*) override {}
  std::span<const Http2Field> Trailers(CodecStream*) override { return {}; }
  Http2Error ErrorAtEnd(CodecStream*) override { return Http2Error::kNone; }

  BufferPool pool_;
  CodecStream stream_;
  int closed_ = 0, cheap_ = 0, most_ = 1'000'000;
  std::string all_;
  std::unique_ptr<Http2Codec> codec_;
};

TEST_F(Http2CodecTest, HowManyPingsAreAnsweredIsSaidByEventsAlone) {
  ASSERT_TRUE(codec_->Receive(Preface()));
  Sent();
  std::string pings;
  for (int i = 0; i < 3000; ++i) pings += Frame(kPing, 0, 0, "12345678");
  EXPECT_TRUE(codec_->Receive(pings));
  EXPECT_EQ(Sent(), std::vector<uint8_t>(3000, kPing));
  cheap_ = 0;
  most_ = 2000;
  EXPECT_FALSE(codec_->Receive(pings));
  EXPECT_EQ(cheap_, 2000);
}

TEST_F(Http2CodecTest, WhatIsNoPrefaceIsAProtocolError) {
  EXPECT_FALSE(codec_->Receive("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
  EXPECT_EQ(Sent(), std::vector<uint8_t>{kGoAway});
  EXPECT_EQ(all_.substr(9), std::string("\0\0\0\0\0\0\0\x01", 8));
  EXPECT_TRUE(codec_->done());
  EXPECT_TRUE(Sent().empty()) << "once";
}

TEST_F(Http2CodecTest, ThePingBehindTheFirstGoAwayIsBehindIt) {
  ASSERT_TRUE(codec_->Receive(Preface() + Get(1)));
  Sent();
  codec_->AnnounceGoAway();
  EXPECT_EQ(Sent(), (std::vector<uint8_t>{kGoAway, kPing}));
  codec_->GoAway();
  EXPECT_EQ(Sent(), std::vector<uint8_t>{kGoAway}) << "no PING behind the last one";
}

TEST_F(Http2CodecTest, AResetIsNotAnsweredByAReset) {
  ASSERT_TRUE(codec_->Receive(Preface() + Get(1)));
  Sent();
  const Http2Field fields[] = {{":status", "200"}};
  codec_->SendHead(1, fields, false);
  EXPECT_TRUE(codec_->Receive(Frame(kReset, 0, 1, std::string("\0\0\0\x08", 4))));
  EXPECT_EQ(closed_, 1);
  EXPECT_TRUE(Sent().empty()) << "the head found no stream, which needs no reset";
}

}  // namespace
}  // namespace ub
