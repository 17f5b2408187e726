#include "event/connection.h"

#include <sys/un.h>

#include <cerrno>
#include <cstring>
#include <vector>

#include "loop_fixture.h"

namespace ub {
namespace {

// Notes what it is told; does what a test wants of it.
struct Notes final : ConnectionHandler {
  void OnConnected(int error) override {
    ++connected;
    connect_error = error;
    if (on_connected) on_connected();
  }
  void OnReadable() override {
    ++readable;
    if (on_readable) on_readable();
  }
  void OnWritable() override {
    ++writable;
    if (on_writable) on_writable();
  }
  void OnDeadline() override {
    ++deadlines;
    if (on_deadline) on_deadline();
  }
  int connected = 0, connect_error = 0, readable = 0, writable = 0, deadlines = 0;
  std::function<void()> on_connected, on_readable, on_writable, on_deadline;
};

class ConnectionTest : public LoopTest {
 protected:
  // A connection at one end, the bare socket at the other.
  void Make(std::pair<UniqueFd, UniqueFd> ends) {
    peer_ = std::move(ends.second);
    connection_ = std::make_unique<Connection>(loop(), std::move(ends.first), PlainTransport(), &notes_);
    ASSERT_TRUE(connection_->Start().ok());
    RunTurns();
  }
  void MakeUnix() { Make(SocketPair()); }
  void MakeTcp() { Make(TcpPair()); }
  void Retire() { Connection::Retire(std::move(connection_)); }
  // Reads until there is nothing more; how that ended.
  IoState ReadAll(std::string* out, size_t piece = 4096) {
    std::string bytes(piece, '\0');
    for (;;) {
      const IoResult result = connection_->Read(bytes.data(), piece);
      if (result.state != IoState::kOk) return result.state;
      out->append(bytes, 0, result.bytes);
    }
  }
  // Writes until the socket is full; the bytes that were written.
  std::string Congest() {
    std::string all;
    for (char c = 'a'; !connection_->congested(); ++c) {
      const std::string piece(256 * 1024, c);
      EXPECT_TRUE(connection_->Write(piece));
      all += piece;
    }
    return all;
  }

  Notes notes_;
  UniqueFd peer_;
  std::unique_ptr<Connection> connection_;
};

TEST_F(ConnectionTest, TellsOfBytesByAnEdgeAndRemembersThatTheyWait) {
  MakeUnix();
  EXPECT_FALSE(connection_->readable());
  SendAll(peer_.get(), "one");
  ASSERT_TRUE(RunUntil([&] { return notes_.readable == 1; }));
  RunTurns();
  EXPECT_EQ(notes_.readable, 1) << "an edge is told once";
  EXPECT_TRUE(connection_->readable());
  std::string got;
  EXPECT_EQ(ReadAll(&got), IoState::kWouldBlock);
  EXPECT_EQ(got, "one");
  EXPECT_FALSE(connection_->readable());
}

TEST_F(ConnectionTest, ShortReadMeansEmptyAndCostsNoSecondCall) {
  MakeUnix();
  SendAll(peer_.get(), "0123456789");
  ASSERT_TRUE(RunUntil([&] { return notes_.readable == 1; }));
  char bytes[8];
  EXPECT_EQ(connection_->Read(bytes, 8).bytes, 8u);
  EXPECT_TRUE(connection_->readable()) << "it filled the space: there may be more";
  EXPECT_EQ(connection_->Read(bytes, 8).bytes, 2u);
  EXPECT_FALSE(connection_->readable());
  SendAll(peer_.get(), "new");
  EXPECT_EQ(connection_->Read(bytes, 8).state, IoState::kWouldBlock) << "not read before the loop told of it";
  ASSERT_TRUE(RunUntil([&] { return notes_.readable == 2; }));
  EXPECT_EQ(connection_->Read(bytes, 8).bytes, 3u);
}

TEST_F(ConnectionTest, EndThatCameWithTheBytesIsSeenThoughTheReadWasShort) {
  MakeUnix();
  SendAll(peer_.get(), "last");
  shutdown(peer_.get(), SHUT_WR);
  ASSERT_TRUE(RunUntil([&] { return notes_.readable == 1; }));
  EXPECT_TRUE(connection_->peer_ended());
  std::string got;
  EXPECT_EQ(ReadAll(&got), IoState::kEof);
  EXPECT_EQ(got, "last");
}

TEST_F(ConnectionTest, ResetThatCameWithTheBytesIsFoundByLookingAgain) {
  MakeTcp();
  SendAll(peer_.get(), "last");
  CloseWithReset(&peer_);
  ASSERT_TRUE(RunUntil([&] { return notes_.readable >= 1; }));
  char bytes[100];
  EXPECT_EQ(connection_->Read(bytes, sizeof bytes).bytes, 4u);
  connection_->LookAgain();
  EXPECT_TRUE(connection_->readable());
  EXPECT_EQ(connection_->Read(bytes, sizeof bytes).state, IoState::kError);
}

TEST_F(ConnectionTest, ReadSoonCallsOnceInTheNextTurn) {
  MakeUnix();
  connection_->ReadSoon();
  connection_->ReadSoon();
  RunTurns();
  EXPECT_EQ(notes_.readable, 1);
  // A new owner is not called for what the old one wanted.
  Notes other;
  connection_->ReadSoon();
  connection_->set_handler(&other);
  RunTurns();
  EXPECT_EQ(other.readable, 0);
}

TEST_F(ConnectionTest, WriteGoesOutAtOnceInOrder) {
  MakeUnix();
  const iovec pieces[] = {{const_cast<char*>("head "), 5}, {const_cast<char*>("body"), 4}};
  EXPECT_TRUE(connection_->Write(pieces));
  EXPECT_FALSE(connection_->congested());
  EXPECT_EQ(connection_->sent_bytes(), 9u);
  EXPECT_EQ(Drink(peer_.get()), "head body");
  RunTurns();
  EXPECT_EQ(notes_.writable, 0) << "only what was congested is told of";
}

TEST_F(ConnectionTest, CongestedBytesFollowInOrderAndThenTheOwnerIsTold) {
  MakeUnix();
  std::string sent = Congest();
  EXPECT_GT(connection_->unsent_bytes(), 0u);
  const iovec pieces[] = {{const_cast<char*>("one"), 3}, {const_cast<char*>("two"), 3}};
  EXPECT_TRUE(connection_->Write(pieces));
  sent += "onetwo";
  RunTurns();
  EXPECT_EQ(notes_.writable, 0);
  std::string got;
  ASSERT_TRUE(RunUntil([&] {
    got += Drink(peer_.get());
    return got.size() == sent.size();
  }));
  EXPECT_EQ(got, sent);
  EXPECT_EQ(notes_.writable, 1);
  EXPECT_FALSE(connection_->congested());
  EXPECT_EQ(connection_->sent_bytes(), sent.size());
  EXPECT_EQ(loop()->buffers().bytes_out(), 0u) << "the buffer is given back";
}

TEST_F(ConnectionTest, OwnerMayWriteFromOnWritable) {
  MakeUnix();
  std::string sent = Congest(), got;
  notes_.on_writable = [&] {
    if (notes_.writable == 1) sent += Congest();
  };
  ASSERT_TRUE(RunUntil([&] {
    got += Drink(peer_.get());
    return notes_.writable == 2 && got.size() == sent.size();
  }));
  EXPECT_EQ(got, sent);
}

TEST_F(ConnectionTest, BrokenConnectionFailsTheWriteAndCallsTheReader) {
  MakeTcp();
  notes_.on_readable = [&] {
    // As an owner that finds its read short and waits for the next edge, which has passed.
    char bytes[100];
    (void)connection_->Read(bytes, sizeof bytes);
  };
  SendAll(peer_.get(), "bytes");
  CloseWithReset(&peer_);
  ASSERT_TRUE(RunUntil([&] { return notes_.readable == 1; }));
  RunTurns();
  EXPECT_FALSE(connection_->Write("x"));
  EXPECT_NE(connection_->write_error(), 0);
  EXPECT_FALSE(connection_->Write("y"));
  EXPECT_FALSE(connection_->congested());
  RunTurns();
  EXPECT_EQ(notes_.readable, 2);
}

TEST_F(ConnectionTest, BreakWhileCongestedDropsTheRestAndCallsTheReader) {
  MakeTcp();
  Congest();
  CloseWithReset(&peer_);
  ASSERT_TRUE(RunUntil([&] { return notes_.readable >= 1; }));
  EXPECT_NE(connection_->write_error(), 0);
  EXPECT_FALSE(connection_->congested());
  EXPECT_EQ(notes_.writable, 0);
  EXPECT_TRUE(connection_->readable());
}

TEST_F(ConnectionTest, DeadlineFiresOnceAndCanBeMovedAndCancelled) {
  MakeUnix();
  EXPECT_FALSE(connection_->has_deadline());
  connection_->SetDeadline(loop()->now_ns() + 3'600'000'000'000);
  EXPECT_TRUE(connection_->has_deadline());
  connection_->SetDeadline(loop()->now_ns() + 1'000'000);
  ASSERT_TRUE(RunUntil([&] { return notes_.deadlines == 1; }));
  EXPECT_FALSE(connection_->has_deadline());
  connection_->SetDeadline(loop()->now_ns() + 1'000'000);
  connection_->CancelDeadline();
  const uint64_t then = loop()->now_ns() + 3'000'000;
  ASSERT_TRUE(RunUntil([&] { return loop()->now_ns() > then; }));
  EXPECT_EQ(notes_.deadlines, 1);
}

TEST_F(ConnectionTest, ShutdownWriteEndsTheDirectionAtOnce) {
  MakeUnix();
  EXPECT_TRUE(connection_->Write("bye"));
  connection_->ShutdownWrite();
  char bytes[8];
  EXPECT_EQ(recv(peer_.get(), bytes, sizeof bytes, 0), 3);
  EXPECT_EQ(recv(peer_.get(), bytes, sizeof bytes, 0), 0);
  SendAll(peer_.get(), "still heard");
  ASSERT_TRUE(RunUntil([&] { return notes_.readable == 1; }));
}

TEST_F(ConnectionTest, ShutdownWriteWaitsForWhatIsUnsent) {
  MakeUnix();
  const std::string sent = Congest();
  connection_->ShutdownWrite();
  std::string got;
  bool ended = false;
  ASSERT_TRUE(RunUntil([&] {
    char bytes[65536];
    ssize_t n;
    while ((n = recv(peer_.get(), bytes, sizeof bytes, MSG_DONTWAIT)) > 0) got.append(bytes, static_cast<size_t>(n));
    ended = n == 0;
    return ended;
  }));
  EXPECT_EQ(got, sent);
}

TEST_F(ConnectionTest, ResetOnCloseIsSeenAsAReset) {
  for (const bool reset : {false, true}) {
    MakeTcp();
    if (reset) connection_->ResetOnClose();
    Retire();
    ASSERT_TRUE(AwaitPoll(peer_.get(), POLLIN));
    char byte;
    const ssize_t n = recv(peer_.get(), &byte, 1, 0);
    EXPECT_EQ(n, reset ? -1 : 0);
    EXPECT_EQ(reset ? errno : 0, reset ? ECONNRESET : 0);
  }
}

TEST_F(ConnectionTest, RetiredConnectionClosesAtOnceAndCallsNobody) {
  MakeUnix();
  connection_->SetDeadline(loop()->now_ns() + 1);
  connection_->ReadSoon();
  SendAll(peer_.get(), "x");
  Retire();
  char byte;
  EXPECT_LE(recv(peer_.get(), &byte, 1, 0), 0) << "the end, or a reset for the byte that was not read";
  RunTurns();
  EXPECT_EQ(notes_.readable + notes_.writable + notes_.deadlines, 0);
}

TEST_F(ConnectionTest, MayBeRetiredInsideEachOfItsCallbacks) {
  // One event that is readable and writable at once: the handler must not be called for the second after the first
  // retired it.
  MakeUnix();
  Congest();
  notes_.on_writable = [&] { Retire(); };
  SendAll(peer_.get(), "x");
  Drink(peer_.get());
  ASSERT_TRUE(RunUntil([&] {
    Drink(peer_.get());
    return connection_ == nullptr;
  }));
  EXPECT_LE(notes_.readable, 1);
  RunTurns();

  MakeUnix();
  notes_.on_readable = [&] { Retire(); };
  SendAll(peer_.get(), "x");
  ASSERT_TRUE(RunUntil([&] { return connection_ == nullptr; }));
  RunTurns();

  MakeUnix();
  connection_->ReadSoon();
  ASSERT_TRUE(RunUntil([&] { return connection_ == nullptr; }));

  MakeUnix();
  notes_.on_deadline = [&] { Retire(); };
  connection_->SetDeadline(loop()->now_ns());
  ASSERT_TRUE(RunUntil([&] { return connection_ == nullptr; }));
}

class ConnectTest : public ConnectionTest {
 protected:
  Result<std::unique_ptr<Connection>> Connect(const void* address, size_t bytes) {
    return Connection::Connect(loop(), static_cast<const sockaddr*>(address), static_cast<socklen_t>(bytes), &notes_,
                               &there_);
  }
  bool there_ = false;
};

TEST_F(ConnectTest, TcpTellsWhenItStandsAndWritesMayComeBefore) {
  const TcpListener listener = ListenTcp();
  auto made = Connect(&listener.address, sizeof listener.address);
  ASSERT_TRUE(made.has_value());
  connection_ = std::move(*made);
  if (!there_) {
    EXPECT_TRUE(connection_->Write("early")) << "kept until the connection stands";
    ASSERT_TRUE(RunUntil([&] { return notes_.connected == 1; }));
    EXPECT_EQ(notes_.connect_error, 0);
  } else {
    EXPECT_TRUE(connection_->Write("early"));
  }
  UniqueFd accepted(accept4(listener.fd.get(), nullptr, nullptr, SOCK_NONBLOCK));
  std::string got;
  ASSERT_TRUE(RunUntil([&] { return (got += Drink(accepted.get())) == "early"; }));
}

TEST_F(ConnectTest, RefusedIsToldAtOnceOrLater) {
  TcpListener listener = ListenTcp();
  listener.fd.Reset();
  auto made = Connect(&listener.address, sizeof listener.address);
  if (!made) {
    EXPECT_EQ(made.error().code(), StatusCode::kRefused);
    EXPECT_TRUE(made.error().retryable());
    EXPECT_EQ(made.error().source(), StatusSource::kBackend);
    return;
  }
  connection_ = std::move(*made);
  ASSERT_TRUE(RunUntil([&] { return notes_.connected == 1; }));
  EXPECT_EQ(notes_.connect_error, ECONNREFUSED);
}

TEST_F(ConnectTest, MayBeRetiredWhenItFailsToConnect) {
  TcpListener listener = ListenTcp();
  listener.fd.Reset();
  notes_.on_connected = [&] { Retire(); };
  auto made = Connect(&listener.address, sizeof listener.address);
  if (!made) GTEST_SKIP() << "refused at once";
  connection_ = std::move(*made);
  ASSERT_TRUE(RunUntil([&] { return connection_ == nullptr; }));
  RunTurns();
  EXPECT_EQ(notes_.readable, 0);
}

TEST_F(ConnectTest, InProgressForEverIsEndedByTheDeadline) {
  // A full accept queue: the handshake is not answered.
  const TcpListener listener = ListenTcp(0);
  std::vector<UniqueFd> fill;
  for (int i = 0; i < 8; ++i) {
    fill.emplace_back(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
    (void)connect(fill.back().get(), listener.sa(), sizeof listener.address);
  }
  auto made = Connect(&listener.address, sizeof listener.address);
  ASSERT_TRUE(made.has_value());
  connection_ = std::move(*made);
  EXPECT_FALSE(there_);
  connection_->SetDeadline(loop()->now_ns() + 2'000'000);
  ASSERT_TRUE(RunUntil([&] { return notes_.deadlines == 1; }));
  EXPECT_EQ(notes_.connected, 0);
}

TEST_F(ConnectTest, BytesThatCameWithTheConnectionAreTold) {
  const TcpListener listener = ListenTcp();
  auto made = Connect(&listener.address, sizeof listener.address);
  ASSERT_TRUE(made.has_value());
  connection_ = std::move(*made);
  if (there_) GTEST_SKIP() << "connected at once";
  // The server speaks and half-closes before the loop looks for the first time: one edge for all of it.
  UniqueFd accepted(accept4(listener.fd.get(), nullptr, nullptr, 0));
  SendAll(accepted.get(), "greeting");
  shutdown(accepted.get(), SHUT_WR);
  ASSERT_TRUE(RunUntil([&] { return notes_.readable == 1; }));
  EXPECT_EQ(notes_.connected, 1);
  std::string got;
  EXPECT_EQ(ReadAll(&got), IoState::kEof);
  EXPECT_EQ(got, "greeting");
}

TEST_F(ConnectTest, UnixSocketIsThereAtOnceOrRefused) {
  char dir[] = "/tmp/ub-connection-XXXXXX";
  ASSERT_NE(mkdtemp(dir), nullptr);
  sockaddr_un un{};
  un.sun_family = AF_UNIX;
  const std::string path = std::string(dir) + "/s";
  std::strcpy(un.sun_path, path.c_str());
  auto refused = Connect(&un, sizeof un);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code(), StatusCode::kRefused);
  EXPECT_TRUE(refused.error().retryable());

  const UniqueFd listener(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0));
  ASSERT_EQ(bind(listener.get(), reinterpret_cast<sockaddr*>(&un), sizeof un), 0);
  ASSERT_EQ(listen(listener.get(), 0), 0);
  auto made = Connect(&un, sizeof un);
  ASSERT_TRUE(made.has_value());
  EXPECT_TRUE(there_);
  connection_ = std::move(*made);
  // Its queue is full now: no edge would ever tell of room, so that is a refusal.
  std::vector<std::unique_ptr<Connection>> more;
  StatusCode last = StatusCode::kOk;
  for (int i = 0; i < 8 && last == StatusCode::kOk; ++i) {
    auto next = Connect(&un, sizeof un);
    if (next) {
      more.push_back(std::move(*next));
    } else {
      last = next.error().code();
    }
  }
  EXPECT_EQ(last, StatusCode::kRefused);
  unlink(path.c_str());
  rmdir(dir);
}

}  // namespace
}  // namespace ub
