// The backend's side of a request: what an attempt makes of what a backend does, good or bad.
#include "http/http1_attempt.h"

#include <thread>

#include "proxy_fixture.h"

namespace ub {
namespace {

constexpr std::string_view kGet = "GET /x HTTP/1.1\r\nHost: a\r\n\r\n";
constexpr std::string_view kOk = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

class Http1AttemptTest : public ProxyTest {
 protected:
  // A GET that has arrived at the backend.
  Peer& Ask() {
    client_ = &Connect(kGet);
    Peer& backend = Accept();
    AwaitHead(backend);
    return backend;
  }
  uint32_t idle() { return keepalive_->idle(0); }

  Peer* client_ = nullptr;
};

TEST_F(Http1AttemptTest, ConnectionIsKeptAfterAWholeResponse) {
  Start();
  Ask().Send(kOk);
  Await(*client_, "\r\n\r\nok");
  EXPECT_EQ(idle(), 1u);
}

TEST_F(Http1AttemptTest, ResponseInAnyPieces) {
  Start();
  Peer& backend = Ask();
  const std::string response = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
  for (const char c : response) {
    backend.Send({&c, 1});
    RunTurns(2);
  }
  Await(*client_, "0\r\n\r\n");
  EXPECT_NE(client_->got.find("1\r\nh\r\n1\r\ne\r\n1\r\nl\r\n1\r\nl\r\n1\r\no\r\n"), std::string::npos) << client_->got;
  EXPECT_EQ(idle(), 1u);
}

TEST_F(Http1AttemptTest, ConnectionThatCannotBeTrustedIsNotKept) {
  struct Case {
    const char *response, *wait_for;
  };
  for (const Case& c : {Case{"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", "\r\n\r\nok"},
                        Case{"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", "\r\n\r\nok"},
                        Case{"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n\r\n", "\r\n\r\nok"},
                        Case{"HTTP/1.1 204 No\r\n\r\nbody", "\r\n\r\n"},
                        Case{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nmore", "0\r\n\r\n"}}) {
    SCOPED_TRACE(c.response);
    if (context_ == nullptr) Start();
    Peer& backend = Ask();
    backend.Send(c.response);
    Await(*client_, c.wait_for);
    AwaitOver(backend);
    EXPECT_EQ(idle(), 0u);
    EXPECT_EQ(client_->got.find("more"), std::string::npos);
  }
}

TEST_F(Http1AttemptTest, ResponseUntilCloseIsWholeAtTheEnd) {
  Start();
  Peer& backend = Ask();
  backend.Send("HTTP/1.1 200 OK\r\n\r\nall");
  backend.Close();
  Await(*client_, "3\r\nall\r\n");
  Await(*client_, "0\r\n\r\n");
  Exchange(*client_);
}

TEST_F(Http1AttemptTest, ResponseThatWasCutIsNeverWholeForTheClient) {
  for (const char* cut : {"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf",
                          "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"}) {
    for (const bool reset : {false, true}) {
      SCOPED_TRACE(cut);
      if (context_ == nullptr) Start();
      Peer& backend = Ask();
      backend.Send(cut);
      Await(*client_, "half");
      if (reset) {
        backend.Reset();
      } else {
        backend.Close();
      }
      AwaitOver(*client_);
      EXPECT_FALSE(client_->got.ends_with("0\r\n\r\n"));
    }
  }
}

TEST_F(Http1AttemptTest, ResetThatCameWithAPartIsSeenAtOnceAndNotWaitedOut) {
  // request_ms is 30 s: a test that waits for it fails.
  for (const char* part : {"HTTP/1.1 200 O", "HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n",
                           "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", "HTTP/1.1 200 OK\r\n\r\nuntil"}) {
    SCOPED_TRACE(part);
    if (context_ == nullptr) Start();
    client_ = &Connect("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx");
    Peer& backend = Accept();
    Await(backend, "\r\n\r\nx");
    const auto start = std::chrono::steady_clock::now();
    backend.Send(part);
    backend.Reset();
    ASSERT_TRUE(RunUntil([&] {
      client_->Look();
      return client_->over() || client_->got.find(" 502 ") != std::string::npos;
    }));
    EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(20));
    client_->Close();
    ASSERT_TRUE(AwaitServersGone());
  }
}

TEST_F(Http1AttemptTest, AnswerThatCameBeforeTheRequestIsTaken) {
  Start();
  client_ = &Connect();
  client_->Send(kGet);
  // The backend answers whoever connects, before the proxy's loop has seen that it is connected.
  std::thread quick([this] {
    ASSERT_TRUE(AwaitPoll(listeners_[0].fd.get(), POLLIN));
    UniqueFd fd(accept4(listeners_[0].fd.get(), nullptr, nullptr, 0));
    SendAll(fd.get(), "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nearly");
    shutdown(fd.get(), SHUT_WR);
    char bytes[1000];
    while (recv(fd.get(), bytes, sizeof bytes, 0) > 0) {
    }
  });
  Await(*client_, "\r\n\r\nearly");
  client_->Close();
  quick.join();
}

TEST_F(Http1AttemptTest, GarbageIs502AndTheConnectionGoes) {
  for (const char* bad : {"nonsense\r\n\r\n", "HTTP/2 200 OK\r\n\r\n", "HTTP/1.1 200 OK\nContent-Length: 0\n\n",
                          "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
                          "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
                          "HTTP/1.1 100 Continue\r\n\r\nnonsense\r\n"}) {
    SCOPED_TRACE(bad);
    config_.health_check.circuit_breaker.enabled = false;
    if (context_ == nullptr) Start();
    Peer& backend = Ask();
    backend.Send(bad);
    Await(*client_, " 502 ");
    AwaitOver(backend);
    EXPECT_EQ(idle(), 0u);
  }
}

TEST_F(Http1AttemptTest, EndlessInterimHeadsWaitForASlowClient) {
  Start();
  Peer& backend = Ask();
  std::string many;
  while (many.size() < 256 * 1024) many += "HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n";
  uint64_t sent = 0;
  int idle_turns = 0;
  size_t at = 0;
  ASSERT_TRUE(RunUntil([&] {
    const ssize_t n = send(backend.fd.get(), many.data() + at, many.size() - at, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n > 0) {
      sent += static_cast<uint64_t>(n);
      at = (at + static_cast<size_t>(n)) % many.size();
    }
    idle_turns = n > 0 ? 0 : idle_turns + 1;
    return idle_turns > 20 || sent > 200'000'000;
  }));
  EXPECT_LT(sent, 100'000'000u) << "it takes in without end what nobody reads";
  EXPECT_LT(loop()->buffers().bytes_out(), 1u << 20);
}

TEST_F(Http1AttemptTest, SilentBackendIs504AndOneThatStallsIsCut) {
  config_.timeout.request_ms = Stretched(100);
  Start();
  Peer& silent = Ask();
  Await(*client_, " 504 ");
  AwaitOver(silent);
  Peer& stalls = Ask();
  stalls.Send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
  Await(*client_, "half");
  AwaitOver(*client_);
  AwaitOver(stalls);
}

TEST_F(Http1AttemptTest, BackendThatTakesNothingOfAnUploadIsTimedOut) {
  config_.timeout.request_ms = 200;
  Start();
  client_ = &Connect("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000\r\n\r\n");
  Accept();
  const std::string piece(256 * 1024, 'x');
  ASSERT_TRUE(RunUntil([&] {
    (void)send(client_->fd.get(), piece.data(), piece.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    client_->Look();
    return client_->got.find(" 504 ") != std::string::npos || client_->over();
  }));
  EXPECT_NE(client_->got.find(" 504 "), std::string::npos);
}

TEST_F(Http1AttemptTest, ConnectThatHangsIs504) {
  config_.timeout.connect_ms = 20;
  config_.retry.max_attempts = 1;
  Start();
  // The accept queue is filled: handshakes are not answered any more.
  ASSERT_EQ(listen(listeners_[0].fd.get(), 0), 0);
  std::vector<UniqueFd> fill;
  for (int i = 0; i < 8; ++i) {
    fill.emplace_back(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
    (void)connect(fill.back().get(), listeners_[0].sa(), sizeof(sockaddr_in));
  }
  client_ = &Connect(kGet);
  Await(*client_, " 504 ");
}

TEST_F(Http1AttemptTest, BackendThatClosesAnIdleConnectionCostsNothing) {
  Start();
  Peer& backend = Ask();
  backend.Send(kOk);
  Await(*client_, "\r\n\r\nok");
  backend.Close();
  ASSERT_TRUE(RunUntil([&] { return idle() == 0; }));
  Exchange(*client_);
  EXPECT_EQ(Count(&ProcessRow::retries), 0u);
}

TEST_F(Http1AttemptTest, UnaskedBytesOnAnIdleConnectionCloseIt) {
  Start();
  Peer& backend = Ask();
  backend.Send(kOk);
  Await(*client_, "\r\n\r\nok");
  backend.Send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil");
  ASSERT_TRUE(RunUntil([&] { return idle() == 0; }));
  Exchange(*client_);
}

TEST_F(Http1AttemptTest, LargeResponseLeavesTurnsToTheOthers) {
  Start();
  Peer& backend = Ask();
  const std::string body(8 * 1024 * 1024, 'x');
  std::thread sender([&] {
    backend.Send("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n");
    backend.Send(body);
  });
  const bool whole = RunUntil([&] {
    client_->Look();
    return client_->got.size() >= body.size() && client_->got.ends_with(body.substr(0, 1000));
  });
  sender.join();
  EXPECT_TRUE(whole);
  ASSERT_TRUE(RunUntil([&] {
    client_->Look();
    return idle() == 1;
  }));
}

}  // namespace
}  // namespace ub
