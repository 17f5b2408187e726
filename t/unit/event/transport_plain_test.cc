#include <cerrno>

#include "event/transport.h"
#include "loop_fixture.h"

namespace ub {
namespace {

iovec Piece(std::string_view text) { return {const_cast<char*>(text.data()), text.size()}; }

TEST(PlainTransport, ReadsWhatIsThereAndSaysWhenNothingIs) {
  auto [left, right] = SocketPair();
  char bytes[8];
  EXPECT_EQ(PlainTransport()->Read(left.get(), bytes, sizeof bytes).state, IoState::kWouldBlock);
  SendAll(right.get(), "0123456789");
  IoResult result = PlainTransport()->Read(left.get(), bytes, sizeof bytes);
  EXPECT_EQ(result.state, IoState::kOk);
  EXPECT_EQ(std::string_view(bytes, result.bytes), "01234567");
  result = PlainTransport()->Read(left.get(), bytes, sizeof bytes);
  EXPECT_EQ(std::string_view(bytes, result.bytes), "89");
  right.Reset();
  EXPECT_EQ(PlainTransport()->Read(left.get(), bytes, sizeof bytes).state, IoState::kEof);
}

TEST(PlainTransport, WritesThePiecesInOrder) {
  auto [left, right] = SocketPair();
  const iovec pieces[] = {Piece("one "), Piece(""), Piece("two "), Piece("three")};
  const IoResult result = PlainTransport()->Write(left.get(), pieces, 4);
  EXPECT_EQ(result.state, IoState::kOk);
  EXPECT_EQ(result.bytes, 13u);
  EXPECT_EQ(Drink(right.get()), "one two three");
}

TEST(PlainTransport, FullSocketTakesAPartAndThenNothing) {
  auto [left, right] = SocketPair();
  const std::string much(4 * 1024 * 1024, 'x');
  const iovec piece = Piece(much);
  IoResult result = PlainTransport()->Write(left.get(), &piece, 1);
  EXPECT_EQ(result.state, IoState::kOk);
  EXPECT_GT(result.bytes, 0u);
  EXPECT_LT(result.bytes, much.size());
  while (result.state == IoState::kOk) result = PlainTransport()->Write(left.get(), &piece, 1);
  EXPECT_EQ(result.state, IoState::kWouldBlock);
}

TEST(PlainTransport, BrokenConnectionIsAnErrorAndNoSignal) {
  auto [left, right] = SocketPair();
  right.Reset();
  const iovec piece = Piece("x");
  const IoResult result = PlainTransport()->Write(left.get(), &piece, 1);
  EXPECT_EQ(result.state, IoState::kError);
  EXPECT_EQ(result.error, EPIPE);
}

TEST(PlainTransport, ResetIsAnErrorOfTheRead) {
  auto [left, right] = TcpPair();
  CloseWithReset(&right);
  ASSERT_TRUE(AwaitPoll(left.get(), POLLIN));
  char byte;
  const IoResult result = PlainTransport()->Read(left.get(), &byte, 1);
  EXPECT_EQ(result.state, IoState::kError);
  EXPECT_EQ(result.error, ECONNRESET);
}

TEST(PlainTransport, ShutdownEndsOneDirection) {
  auto [left, right] = SocketPair();
  PlainTransport()->ShutdownWrite(left.get());
  char byte;
  EXPECT_EQ(PlainTransport()->Read(right.get(), &byte, 1).state, IoState::kEof);
  SendAll(right.get(), "y");
  EXPECT_EQ(PlainTransport()->Read(left.get(), &byte, 1).state, IoState::kOk);
}

}  // namespace
}  // namespace ub
