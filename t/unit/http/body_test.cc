#include "http/body.h"

#include <string>

#include "cut_feed.h"
#include "gtest/gtest.h"

namespace ub {
namespace {

struct Whole {
  std::string data, trailers;
  size_t consumed = 0;
  bool end = false;
  const char* error = nullptr;
};

// Hands `bytes` over cut at `cuts`, as far as they are taken.
Whole ReadAll(BodyReader& reader, std::string_view bytes, const Cuts& cuts) {
  Whole whole;
  size_t at = 0;
  for (const size_t cut : cuts) {
    std::string piece(bytes.substr(at, cut - at));
    at = cut;
    const BodyReader::Piece got = reader.Take(piece.data(), piece.size());
    whole.data += got.data;
    whole.consumed += got.consumed;
    whole.end = got.end;
    whole.error = got.error;
    EXPECT_EQ(got.end, reader.done());
    if (got.end) whole.trailers = reader.trailers();
    if (got.end || got.error != nullptr) break;
    EXPECT_EQ(got.consumed, piece.size()) << "before its end a body takes everything";
  }
  return whole;
}

TEST(BodyReader, NoneAndEmptyLengthAreDoneAtOnceAndTakeNothing) {
  BodyReader reader;
  EXPECT_TRUE(reader.done()) << "before the first message";
  for (const BodyKind kind : {BodyKind::kNone, BodyKind::kLength}) {
    reader.Begin(kind, 0);
    EXPECT_TRUE(reader.done());
    char next[] = "GET /";
    const BodyReader::Piece piece = reader.Take(next, 5);
    EXPECT_TRUE(piece.end);
    EXPECT_EQ(piece.consumed, 0u);
    EXPECT_EQ(piece.data, "");
  }
  // A length beside another framing means nothing (HEAD, 304).
  reader.Begin(BodyKind::kNone, 1000);
  EXPECT_TRUE(reader.done());
  EXPECT_EQ(reader.left(), 0u);
}

TEST(BodyReader, LengthTakesExactlyThatHoweverItIsCut) {
  const std::string body = "0123456789", next = "GET / HTTP/1.1";
  for (const Cuts& cuts : AllCuts(body.size() + next.size())) {
    BodyReader reader;
    reader.Begin(BodyKind::kLength, body.size());
    const Whole whole = ReadAll(reader, body + next, cuts);
    EXPECT_EQ(whole.data, body);
    EXPECT_EQ(whole.consumed, body.size());
    EXPECT_TRUE(whole.end);
    EXPECT_EQ(reader.left(), 0u);
  }
  BodyReader reader;
  reader.Begin(BodyKind::kLength, uint64_t{1} << 40);
  char piece[100];
  EXPECT_FALSE(reader.Take(piece, sizeof piece).end);
  EXPECT_EQ(reader.left(), (uint64_t{1} << 40) - 100);
}

TEST(BodyReader, UntilCloseTakesEverythingAndNeverEnds) {
  BodyReader reader;
  reader.Begin(BodyKind::kUntilClose, 0);
  char bytes[] = "anything";
  const BodyReader::Piece piece = reader.Take(bytes, 8);
  EXPECT_EQ(piece.data, "anything");
  EXPECT_EQ(piece.consumed, 8u);
  EXPECT_FALSE(piece.end);
  EXPECT_FALSE(reader.done());
}

TEST(BodyReader, ChunksAreBroughtTogetherHoweverTheyAreCut) {
  const std::string wire =
      "3\r\nabc\r\n1;ext=\"v\"\r\nd\r\n00a\r\n0123456789\r\n0\r\nX-Sum: 7\r\n\r\nHTTP/1.1 200 OK";
  const std::string next = "HTTP/1.1 200 OK";
  for (const Cuts& cuts : AllCuts(wire.size())) {
    BodyReader reader;
    reader.Begin(BodyKind::kChunked, 0);
    const Whole whole = ReadAll(reader, wire, cuts);
    EXPECT_EQ(whole.error, nullptr);
    EXPECT_EQ(whole.data, "abcd0123456789");
    EXPECT_EQ(whole.trailers, "X-Sum: 7\r\n");
    EXPECT_EQ(whole.consumed, wire.size() - next.size());
    EXPECT_TRUE(whole.end);
  }
}

TEST(BodyReader, BadChunksAreAnErrorWithItsReason) {
  for (const char* bad : {"x\r\n", "3\r\nabcd\r\n", "3 3\r\n", "-1\r\n", "3\nabc", "fffffffffffffffff\r\n"}) {
    BodyReader reader;
    reader.Begin(BodyKind::kChunked, 0);
    std::string bytes = bad;
    const BodyReader::Piece piece = reader.Take(bytes.data(), bytes.size());
    ASSERT_NE(piece.error, nullptr) << bad;
    EXPECT_STRNE(piece.error, "");
    EXPECT_FALSE(piece.end);
    EXPECT_FALSE(reader.done());
  }
}

TEST(BodyReader, BeginForgetsTheBodyBefore) {
  BodyReader reader;
  reader.Begin(BodyKind::kChunked, 0);
  std::string bytes = "5\r\nab";
  reader.Take(bytes.data(), bytes.size());
  reader.Begin(BodyKind::kChunked, 0);
  bytes = "0\r\n\r\n";
  EXPECT_TRUE(reader.Take(bytes.data(), bytes.size()).end);
  EXPECT_EQ(reader.trailers(), "");
}

std::string Frame(BodyWriter& writer, std::string_view data, bool end, std::string_view trailers = {}) {
  std::array<iovec, BodyWriter::kMaxPieces> pieces;
  const size_t count = writer.Frame(data, end, trailers, pieces);
  std::string out;
  for (size_t i = 0; i < count; ++i) {
    EXPECT_GT(pieces[i].iov_len, 0u);
    out.append(static_cast<const char*>(pieces[i].iov_base), pieces[i].iov_len);
  }
  return out;
}

TEST(BodyWriter, PlainBodiesPassAsTheyAre) {
  BodyWriter writer;
  writer.Begin(false);
  EXPECT_FALSE(writer.chunked());
  EXPECT_EQ(Frame(writer, "data", false), "data");
  EXPECT_EQ(Frame(writer, "", false), "");
  EXPECT_EQ(Frame(writer, "last", true, "Lost: 1\r\n"), "last") << "there is no place for trailers";
}

TEST(BodyWriter, ChunksWithAndWithoutEnd) {
  BodyWriter writer;
  writer.Begin(true);
  EXPECT_EQ(Frame(writer, "data", false), "4\r\ndata\r\n");
  EXPECT_EQ(Frame(writer, "", false), "") << "an empty chunk would be the end";
  EXPECT_EQ(Frame(writer, "data", true), "4\r\ndata\r\n0\r\n\r\n");
  EXPECT_EQ(Frame(writer, "", true), "0\r\n\r\n");
  EXPECT_EQ(Frame(writer, "", true, "A: b\r\n"), "0\r\nA: b\r\n\r\n");
  EXPECT_EQ(Frame(writer, "x", true, "A: b\r\n"), "1\r\nx\r\n0\r\nA: b\r\n\r\n");
  EXPECT_EQ(Frame(writer, std::string(65536, 'x'), false).substr(0, 7), "10000\r\n");
}

TEST(BodyWriter, WhatItWritesIsWhatTheReaderReads) {
  BodyWriter writer;
  writer.Begin(true);
  std::string data, wire;
  for (size_t size = 1; size < 300; size += 13) {
    const std::string piece(size, static_cast<char>('a' + size % 26));
    data += piece;
    wire += Frame(writer, piece, false);
  }
  wire += Frame(writer, {}, true, "T: 1\r\n");
  BodyReader reader;
  reader.Begin(BodyKind::kChunked, 0);
  const Whole whole = ReadAll(reader, wire, WholeCut(wire.size()));
  EXPECT_EQ(whole.data, data);
  EXPECT_EQ(whole.trailers, "T: 1\r\n");
}

}  // namespace
}  // namespace ub
