// The client's side of a request: what Http1Server makes of what a client does, good or bad.
#include "http/http1_server.h"

#include "proxy_fixture.h"

namespace ub {
namespace {

constexpr std::string_view kGet = "GET /x HTTP/1.1\r\nHost: a\r\n\r\n";
constexpr std::string_view kOk = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";


class Http1ServerTest : public ProxyTest {
 protected:
  // Has the backend send until the proxy takes no more, because its client does not (or is given up meanwhile).
  void Congest(Peer& backend) {
    const std::string piece(256 * 1024, 'x');
    int idle_turns = 0;
    ASSERT_TRUE(RunUntil([&] {
      const ssize_t n = send(backend.fd.get(), piece.data(), piece.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
      idle_turns = n > 0 ? 0 : idle_turns + 1;
      return idle_turns > 20;
    }));
    EXPECT_TRUE(open_servers() == 0 || server().congested());
  }
};

TEST_F(Http1ServerTest, RequestsFollowOneAnotherOnOneConnection) {
  Start();
  Peer& client = Connect();
  Peer& backend = Exchange(client);
  for (int i = 0; i < 3; ++i) Exchange(client, &backend);
  EXPECT_TRUE(server().idle());
  EXPECT_EQ(Count(&ProcessRow::requests), 4u);
  EXPECT_EQ(Responses(2), 4u);
  EXPECT_EQ(Count(&ProcessRow::upstream_connects), 1u);
  EXPECT_EQ(Count(&ProcessRow::upstream_reuses), 3u);
  EXPECT_EQ(loop()->buffers().bytes_out(), 0u) << "an idle connection holds no buffer";
}

TEST_F(Http1ServerTest, HeadInPieces) {
  Start();
  Peer& client = Connect();
  for (const char c : kGet) {
    client.Send({&c, 1});
    RunTurns(2);
  }
  Peer& backend = Accept();
  AwaitHead(backend);
  backend.Send(kOk);
  Await(client, "\r\n\r\nok");
}

TEST_F(Http1ServerTest, PipelinedRequestsAreAnsweredInOrder) {
  Start();
  Peer& client = Connect(
      "GET /1 HTTP/1.1\r\nHost: a\r\n\r\nPOST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"
      "GET /3 HTTP/1.1\r\nHost: a\r\n\r\nGET /4 HT");
  Peer& backend = Accept();
  for (const char* answer : {"one", "two", "thr"}) {
    AwaitHead(backend);
    backend.got.clear();
    backend.Send(std::string("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n") + answer);
  }
  Await(client, "\r\n\r\nthr");
  EXPECT_LT(client.got.find("one"), client.got.find("two"));
  EXPECT_EQ(backend.got, "") << "the fourth is not whole";
  client.Send("TP/1.1\r\nHost: a\r\n\r\n");
  Await(backend, "GET /4 ");
  backend.Send(kOk);
  Await(client, "\r\n\r\nok");
}

TEST_F(Http1ServerTest, Http10ClosesUnlessAskedToStay) {
  Start();
  Peer& client = Connect("GET / HTTP/1.0\r\n\r\n");
  Peer& backend = Accept();
  AwaitHead(backend);
  EXPECT_NE(backend.got.find("Host: 127.0.0.1:"), std::string::npos) << "the address that it reached";
  backend.Send(kOk);
  AwaitOver(client);
  EXPECT_TRUE(client.got.ends_with("Connection: close\r\n\r\nok"));
  Peer& stays = Connect("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  backend.got.clear();
  AwaitHead(backend);
  backend.Send(kOk);
  Await(stays, "Connection: keep-alive\r\n\r\nok");
  RunTurns();
  EXPECT_TRUE(server().idle());
}

TEST_F(Http1ServerTest, Http10GetsChunksAsTheyAreAndTheEndOfTheConnection) {
  Start();
  Peer& client = Connect("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  Peer& backend = Accept();
  AwaitHead(backend);
  backend.Send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
  Await(client, "abc");
  backend.Send("3\r\ndef\r\n0\r\nTrailer: x\r\n\r\n");
  AwaitOver(client);
  EXPECT_TRUE(client.got.ends_with("Connection: close\r\n\r\nabcdef")) << client.got;
}

TEST_F(Http1ServerTest, Http10ErrorSaysThatItCloses) {
  Start(0);
  Peer& client = Connect("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  AwaitHead(client);
  EXPECT_NE(client.got.find(" 503 "), std::string::npos);
  EXPECT_NE(client.got.find("Connection: close\r\n"), std::string::npos);
  AwaitOver(client);
}

TEST_F(Http1ServerTest, HeadHasTheLengthAndNoBody) {
  Start();
  Peer& client = Connect("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
  Peer& backend = Accept();
  AwaitHead(backend);
  backend.Send("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n");
  AwaitHead(client);
  EXPECT_NE(client.got.find("Content-Length: 1000"), std::string::npos);
  Exchange(client, &backend);
}

TEST_F(Http1ServerTest, HeadOfAnErrorPageHasNoBodyEither) {
  Start(0);
  Peer& client = Connect("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
  AwaitHead(client);
  RunTurns();
  client.Look();
  EXPECT_TRUE(client.got.ends_with("\r\n\r\n"));
  EXPECT_EQ(client.got.find("<h1>"), std::string::npos);
}

TEST_F(Http1ServerTest, BadHeadIsAnsweredAndTheRestIsDropped) {
  Start();
  Peer& client = Connect("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n");
  Await(client, " 400 ");
  AwaitOver(client);
  EXPECT_NE(client.got.find("Connection: close"), std::string::npos);
  EXPECT_EQ(client.got.find("HTTP/1.1", 1), std::string::npos) << "one answer";
  EXPECT_TRUE(NobodyConnects());
  EXPECT_EQ(Responses(4), 1u);
}

TEST_F(Http1ServerTest, BadChunkIsAnsweredWith400) {
  Start();
  Peer& client = Connect("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
  Peer& backend = Accept();
  Await(backend, "abc");
  client.Send("zz\r\n");
  Await(client, " 400 ");
  AwaitOver(client);
  AwaitOver(backend);
  EXPECT_EQ(backend.got.find("0\r\n\r\n"), std::string::npos) << "what was cut must not look whole";
}

TEST_F(Http1ServerTest, SlowHeadIs408AndIdleIsClosedWithoutAWord) {
  config_.timeout.header_ms = 10;
  config_.timeout.idle_ms = 10;
  Start();
  Peer& slow = Connect("GET / HT");
  Await(slow, " 408 ");
  AwaitOver(slow);
  Peer& idle = Connect();
  AwaitOver(idle);
  EXPECT_EQ(idle.got, "");
}

TEST_F(Http1ServerTest, SlowBodyIs408) {
  config_.timeout.request_ms = Stretched(50);
  Start();
  Peer& client = Connect("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nbegin");
  Peer& backend = Accept();
  Await(backend, "begin");
  Await(client, " 408 ");
  AwaitOver(client);
  AwaitOver(backend);
}

TEST_F(Http1ServerTest, DrainingAndTheLastRequestSayClose) {
  config_.limits.requests_per_connection = 2;
  Start();
  Peer& client = Connect();
  Peer& backend = Exchange(client);
  client.Send(kGet);
  AwaitHead(backend);
  backend.Send(kOk);
  AwaitOver(client);
  EXPECT_NE(client.got.find("Connection: close\r\n"), std::string::npos);

  client.Close();
  ASSERT_TRUE(AwaitServersGone());

  config_.limits.requests_per_connection = 0;
  Configure();
  Peer& other = Connect();
  backend.got.clear();
  Exchange(other, &backend);
  context_->draining = true;
  RunTurns();
  EXPECT_EQ(open_servers(), 1u) << "an idle connection is not closed by draining";
  other.Send(kGet);
  AwaitHead(backend);
  backend.Send(kOk);
  AwaitOver(other);
  EXPECT_NE(other.got.find("Connection: close\r\n"), std::string::npos);
}

TEST_F(Http1ServerTest, ClientThatLeavesWhileItWaitsLetsTheBackendGo) {
  Start();
  Peer& client = Connect(kGet);
  Peer& backend = Accept();
  AwaitHead(backend);
  client.Close();
  AwaitOver(backend);
  EXPECT_TRUE(AwaitServersGone());
  EXPECT_EQ(Responses(0), 1u) << "counted as one that nobody got";
}

TEST_F(Http1ServerTest, ClientThatEndedItsDirectionWithItsRequestIsAnswered) {
  Start();
  Peer& client = Connect(kGet);
  client.HalfClose();
  Peer& backend = Accept();
  AwaitHead(backend);
  backend.Send(kOk);
  AwaitOver(client);
  EXPECT_TRUE(client.got.ends_with("\r\n\r\nok"));
}

TEST_F(Http1ServerTest, HalfClosedClientThatGoesAwayEndsAnEndlessResponse) {
  Start();
  Peer& client = Connect(kGet);
  client.HalfClose();
  Peer& backend = Accept();
  AwaitHead(backend);
  backend.Send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n");
  Await(client, "x\r\n");
  client.Reset();
  // Nothing that can be read tells of it: its end was read with the request. The writes do.
  ASSERT_TRUE(RunUntil([&] {
    (void)send(backend.fd.get(), "1\r\ny\r\n", 6, MSG_NOSIGNAL | MSG_DONTWAIT);
    backend.Look();
    return backend.over();
  }));
}

TEST_F(Http1ServerTest, HalfClosedClientThatGoesAwayWhileTheLastResponseIsFlushedIsForgotten) {
  Start();
  Peer& client = Connect("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  client.HalfClose();
  Peer& backend = Accept();
  AwaitHead(backend);
  backend.Send("HTTP/1.1 200 OK\r\n\r\n");
  Congest(backend);
  // The response ends while some of it waits for the client.
  Await(client, "\r\n\r\n");
  backend.Close();
  RunTurns(20);
  client.Reset();
  EXPECT_TRUE(AwaitServersGone());
}

TEST_F(Http1ServerTest, ClientThatDoesNotReadTimesOut) {
  config_.timeout.request_ms = Stretched(100);
  Start();
  Connect(kGet);
  Peer& backend = Accept();
  AwaitHead(backend);
  backend.Send("HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n");
  Congest(backend);
  EXPECT_TRUE(AwaitServersGone());
  AwaitOver(backend);
}

TEST_F(Http1ServerTest, ClientThatDoesNotReadTimesOutThoughItsUploadEndedMeanwhile) {
  config_.timeout.request_ms = Stretched(500);
  Start();
  Peer& client = Connect("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nab");
  Peer& backend = Accept();
  Await(backend, "\r\n\r\nab");
  backend.Send("HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n");
  Congest(backend);
  client.Send("cd");
  Await(backend, "abcd");
  EXPECT_TRUE(AwaitServersGone());
  AwaitOver(backend);
}

TEST_F(Http1ServerTest, EarlyResponseThatMovesIsNotCutBecauseTheUploadDoesNot) {
  config_.timeout.request_ms = Stretched(200);
  Start();
  Peer& client = Connect("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nab");
  Peer& backend = Accept();
  Await(backend, "\r\n\r\nab");
  backend.Send("HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n");
  for (int i = 0; i < 12; ++i) {
    backend.Send("x");
    Pass(Stretched(40));
  }
  Await(client, "\r\n\r\nxxxxxxxxxxxx");
  EXPECT_NE(client.got.find("Connection: close\r\n"), std::string::npos);
}

TEST_F(Http1ServerTest, ExchangeInWhichNeitherSideMovesEnds) {
  config_.timeout.request_ms = Stretched(300);
  Start();
  Peer& client = Connect("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nab");
  Peer& backend = Accept();
  Await(backend, "\r\n\r\nab");
  backend.Send("HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\nxx");
  Await(client, "\r\n\r\nxx");
  AwaitOver(client);
  AwaitOver(backend);
}

TEST_F(Http1ServerTest, ResetThatCameWithAPartOfTheRequestIsSeenAtOnce) {
  Start();
  Peer& head = Connect("GET / HT");
  head.Reset();
  EXPECT_TRUE(AwaitServersGone());

  Peer& body = Connect("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n");
  Peer& backend = Accept();
  AwaitHead(backend);
  body.Send("abc");
  body.Reset();
  AwaitOver(backend);
  EXPECT_TRUE(AwaitServersGone());
}

TEST_F(Http1ServerTest, EarlyAnswerReachesAClientThatIsStillSending) {
  Start();
  Peer& client = Connect("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nbegin");
  Peer& backend = Accept();
  Await(backend, "begin");
  backend.Send("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno");
  Await(client, "\r\n\r\nno");
  EXPECT_NE(client.got.find("Connection: close\r\n"), std::string::npos);
  AwaitOver(backend);
  client.Send(std::string(100000, 'x'));  // read and dropped: a reset would overtake the answer
  AwaitOver(client);
  EXPECT_TRUE(client.ended) << "no reset";
}

TEST_F(Http1ServerTest, AnswerWithoutTheAwaitedBodyEndsTheConnection) {
  Start();
  Peer& client = Connect("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n");
  Peer& backend = Accept();
  Await(backend, "Expect: 100-continue");
  backend.Send("HTTP/1.1 417 Expectation Failed\r\nContent-Length: 0\r\n\r\n");
  Await(client, " 417 ");
  EXPECT_NE(client.got.find("Connection: close\r\n"), std::string::npos);
  AwaitOver(client);
}

TEST_F(Http1ServerTest, PipelinedRequestsOfAClientThatDoesNotReadAreNotServed) {
  Start();
  std::string many;
  for (int i = 0; i < 100; ++i) many += kGet;
  Connect(many);
  Peer& backend = Accept();
  AwaitHead(backend);
  backend.Send("HTTP/1.1 200 OK\r\nContent-Length: 30000000\r\n\r\n");
  Congest(backend);
  EXPECT_EQ(backend.got.find("GET", 10), std::string::npos) << "one at a time";
  EXPECT_LT(loop()->buffers().bytes_out(), 1u << 20) << "memory is bounded";
}

TEST_F(Http1ServerTest, AbortEndsWhateverIsUnderWay) {
  Start();
  Connect();
  RunTurns();
  server().Abort();
  EXPECT_EQ(open_servers(), 0u);
  Connect("GET / HT");
  RunTurns();
  server().Abort();
  EXPECT_EQ(open_servers(), 0u);
  Peer& client = Connect(kGet);
  Peer& backend = Accept();
  AwaitHead(backend);
  server().Abort();
  EXPECT_EQ(open_servers(), 0u);
  AwaitOver(client);
  AwaitOver(backend);
}

TEST_F(Http1ServerTest, LineEndsBehindABodyAreNoRequestAndNoReset) {
  Start();
  Peer& client =
      Connect("POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 2\r\n\r\nab\r\n");
  Peer& backend = Accept();
  Await(backend, "\r\n\r\nab");
  backend.Send(kOk);
  AwaitOver(client);
  EXPECT_TRUE(client.ended);
  EXPECT_TRUE(client.got.ends_with("\r\n\r\nok"));
}

TEST_F(Http1ServerTest, CutResponseUntilCloseIsAReset) {
  Start();
  Peer& client = Connect("GET / HTTP/1.0\r\n\r\n");
  Peer& backend = Accept();
  AwaitHead(backend);
  backend.Send("HTTP/1.1 200 OK\r\nContent-Type: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab");
  Await(client, "\r\n\r\nab");
  backend.Close();
  AwaitOver(client);
  EXPECT_EQ(client.error, ECONNRESET);
}

}  // namespace
}  // namespace ub
