// A request's way over one or more tries: what is tried again, what the client is told, what is counted.
#include "http/proxy_session.h"

#include "proxy_fixture.h"

namespace ub {
namespace {

constexpr std::string_view kGet = "GET /x HTTP/1.1\r\nHost: a\r\n\r\n";
constexpr std::string_view kPost = "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody";
constexpr std::string_view kOk = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

class ProxySessionTest : public ProxyTest {
 protected:
  BackendCounters& backend_counters(uint32_t b) { return pool_->shm().counters(0, b); }
  std::string Field(const std::string& head, const std::string& name) {
    const size_t at = head.find("\r\n" + name + ": ");
    if (at == std::string::npos) return "-";
    const size_t from = at + name.size() + 4;
    return head.substr(from, head.find("\r\n", from) - from);
  }
};

TEST_F(ProxySessionTest, RefusedConnectGoesToTheNextBackendForAnyMethod) {
  Start(2);
  Down(0);
  Peer* kept = nullptr;
  for (int i = 0; i < 4; ++i) {
    Peer& client = Connect(kPost);
    if (kept == nullptr) kept = &Accept(1);
    Await(*kept, "\r\n\r\nbody");
    kept->got.clear();
    kept->Send(kOk);
    Await(client, "\r\n\r\nok");
  }
  EXPECT_EQ(Count(&ProcessRow::retries), 4u);
  EXPECT_EQ(backend_counters(0).failures.load(), 4u);
  EXPECT_EQ(Responses(2), 4u);
}

TEST_F(ProxySessionTest, EveryBackendRefusing502) {
  Start(3);
  for (size_t b = 0; b < 3; ++b) Down(b);
  Peer& client = Connect(kGet);
  Await(client, " 502 ");
  EXPECT_EQ(Count(&ProcessRow::retries), 1u) << "max_attempts is 2";
  client.got.clear();
  client.Send(kGet);
  Await(client, " 502 ");
  EXPECT_EQ(Responses(5), 2u);
}

TEST_F(ProxySessionTest, NoBackend503SaysWhenToComeAgain) {
  Start(0);
  Peer& client = Connect(kGet);
  AwaitHead(client);
  EXPECT_TRUE(client.got.starts_with("HTTP/1.1 503 "));
  EXPECT_EQ(Field(client.got, "Retry-After"), "1");
  EXPECT_EQ(Field(client.got, "Connection"), "-") << "the connection is kept";
}

TEST_F(ProxySessionTest, ReusedConnectionThatDiesIsReplacedForAGet) {
  Start();
  Peer& client = Connect();
  Peer& old = Exchange(client);
  client.Send(kGet);
  AwaitHead(old);
  old.Reset();
  Peer& fresh = Accept();
  AwaitHead(fresh);
  fresh.Send(kOk);
  Await(client, "\r\n\r\nok");
  EXPECT_EQ(backend_counters(0).failures.load(), 0u) << "nobody's fault";
  EXPECT_EQ(Count(&ProcessRow::retries), 1u);
}

TEST_F(ProxySessionTest, ReusedConnectionThatDiesIs502ForAPost) {
  Start();
  Peer& client = Connect();
  Peer& old = Exchange(client);
  client.Send(kPost);
  Await(old, "body");
  old.Close();
  Await(client, " 502 ");
  EXPECT_TRUE(NobodyConnects());
}

TEST_F(ProxySessionTest, ReusedConnectionThatSpokeIsNotReplaced) {
  Start();
  Peer& client = Connect();
  Peer& old = Exchange(client);
  client.Send(kGet);
  AwaitHead(old);
  old.Send("HTTP/1.1 2");
  RunTurns();
  old.Close();
  Await(client, " 502 ");
}

TEST_F(ProxySessionTest, ResetOfAFreshConnectionGoesOnForAGetOnly) {
  Start(2);
  Peer& client = Connect(kGet);
  Peer& first = Accept(0);
  AwaitHead(first);
  first.Close();
  Peer& second = Accept(1);
  AwaitHead(second);
  second.Send(kOk);
  Await(client, "\r\n\r\nok");
  Peer& other = Connect(kPost);
  Peer& third = Accept(0);
  Await(third, "body");
  third.Close();
  Await(other, " 502 ");
}

TEST_F(ProxySessionTest, PutWhoseBodyIsThereIsSentAgainWhole) {
  Start(2);
  Peer& client =
      Connect("PUT /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\nT: 1\r\n\r\n");
  Peer& first = Accept(0);
  Await(first, "T: 1\r\n\r\n");
  first.Close();
  Peer& second = Accept(1);
  Await(second, "\r\n\r\n4\r\nbody\r\n0\r\nT: 1\r\n\r\n");
  second.Send(kOk);
  Await(client, "\r\n\r\nok");
}

TEST_F(ProxySessionTest, PutWhoseBodyIsPartlyGoneIsNotSentAgain) {
  Start(2);
  Peer& client = Connect("PUT /x HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n\r\nbody");
  Peer& first = Accept(0);
  Await(first, "body");
  client.Send("more");
  Await(first, "more");
  first.Close();
  Await(client, " 502 ");
  EXPECT_TRUE(NobodyConnects(1));
}

TEST_F(ProxySessionTest, BodyThatCameBeforeTheConnectionStoodIsNotLost) {
  // The first try is refused after a while, when body is waiting already.
  Start(2);
  Down(0);
  Peer& client = Connect("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n\r\nbody");
  Peer& backend = Accept(1);
  client.Send("more");
  Await(backend, "\r\n\r\nbodymore");
  backend.Send(kOk);
  Await(client, "\r\n\r\nok");
}

TEST_F(ProxySessionTest, StatusIsRetriedOnlyWhereConfigured) {
  Start(2);
  Peer& client = Connect(kGet);
  Peer& first = Accept(0);
  AwaitHead(first);
  first.Send("HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy");
  Await(client, "\r\n\r\nbusy");
  EXPECT_TRUE(client.got.starts_with("HTTP/1.1 503 Busy\r\n")) << "the backend's own answer";

  config_.retry.on_503 = true;
  Configure();
  Peer& other = Connect(kGet);
  first.got.clear();
  AwaitHead(first);
  first.Send("HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy");
  Peer& second = Accept(1);
  AwaitHead(second);
  second.Send(kOk);
  Await(other, "\r\n\r\nok");
  EXPECT_EQ(other.got.find("busy"), std::string::npos);
}

TEST_F(ProxySessionTest, RetriedStatusIsToldWhereNobodyElseIsThere) {
  config_.retry.on_502 = config_.retry.on_503 = true;
  Start(1);
  Peer& client = Connect(kGet);
  Peer& backend = Accept();
  AwaitHead(backend);
  backend.Send("HTTP/1.1 502 Bad\r\nContent-Length: 0\r\n\r\n");
  AwaitHead(client);
  EXPECT_TRUE(client.got.starts_with("HTTP/1.1 502 ")) << client.got;
}

TEST_F(ProxySessionTest, TimeoutIsRetriedOnlyWhereConfigured) {
  config_.timeout.request_ms = 20;
  config_.retry.on_timeout = true;
  Start(2);
  Peer& client = Connect(kGet);
  Peer& first = Accept(0);
  AwaitHead(first);
  Peer& second = Accept(1);
  AwaitHead(second);
  AwaitOver(first);
  second.Send(kOk);
  Await(client, "\r\n\r\n");

  config_.retry.on_timeout = false;
  Configure();
  Peer& other = Connect(kGet);
  Await(other, " 504 ");
}

TEST_F(ProxySessionTest, RetriesAreCountedWhileTheyLastAndHeldToTheBudget) {
  config_.retry.budget_percent = 0;  // at least 3 at once
  config_.health_check.circuit_breaker.enabled = false;
  Start(2);
  Down(0);
  for (int i = 0; i < 8; ++i) Connect(kGet);
  ASSERT_TRUE(RunUntil([&] { return Responses(5) == 5; }));
  EXPECT_EQ(context_->retrying, 3u);
  EXPECT_EQ(context_->active, 3u);
  for (int i = 0; i < 3; ++i) {
    Peer& backend = Accept(1);
    AwaitHead(backend);
    backend.Send(kOk);
  }
  ASSERT_TRUE(RunUntil([&] { return Responses(2) == 3; }));
  EXPECT_EQ(context_->retrying, 0u);
}

TEST_F(ProxySessionTest, BodyLimitByLengthByChunksAndWhileStreaming) {
  config_.limits.body_bytes = 10;
  Start();
  Peer& length = Connect("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\nExpect: 100-continue\r\n\r\n");
  Await(length, " 413 ");
  AwaitOver(length);
  Peer& chunks = Connect("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nb\r\n01234567890\r\n0\r\n\r\n");
  Await(chunks, " 413 ");
  EXPECT_TRUE(NobodyConnects());
  Peer& streamed = Connect("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n6\r\n012345\r\n");
  Peer& backend = Accept();
  Await(backend, "012345");
  streamed.Send("5\r\n67890\r\n0\r\n\r\n");
  Await(streamed, " 413 ");
  AwaitOver(backend);
  EXPECT_FALSE(backend.got.ends_with("0\r\n\r\n")) << "what was cut must not look whole";
  Peer& exact = Connect("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n0123456789");
  Peer& other = Accept();
  Await(other, "0123456789");
  other.Send(kOk);
  Await(exact, "\r\n\r\nok");
}

TEST_F(ProxySessionTest, BodyLimitWithTheResponseBegunCutsIt) {
  config_.limits.body_bytes = 10;
  Start();
  Peer& client = Connect("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n6\r\n012345\r\n");
  Peer& backend = Accept();
  Await(backend, "012345");
  backend.Send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nbegin");
  Await(client, "begin");
  client.Send("6\r\n678901\r\n0\r\n\r\n");
  AwaitOver(client);
  AwaitOver(backend);
  EXPECT_EQ(client.got.find(" 413 "), std::string::npos) << "no second head";
}

TEST_F(ProxySessionTest, InterimHeadsAndTrailersPass) {
  Start();
  Peer& client = Connect(
      "POST / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n");
  Peer& backend = Accept();
  AwaitHead(backend);
  backend.Send("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n");
  Await(client, "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n");
  client.Send("3\r\nabc\r\n0\r\nUp: 1\r\n\r\n");
  Await(backend, "3\r\nabc\r\n0\r\nUp: 1\r\n\r\n");
  backend.Send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nxyz\r\n0\r\nDown: 2\r\n\r\n");
  Await(client, "3\r\nxyz\r\n0\r\nDown: 2\r\n\r\n");
  Exchange(client, &backend);
}

TEST_F(ProxySessionTest, RequestIdOfTheClientIsKeptWhereItIsHarmless) {
  Start(0);
  for (const char* good : {"abc", "A-1_b.c:d+e/f=", "0"}) {
    Peer& client = Connect(std::string("GET / HTTP/1.1\r\nHost: a\r\nX-Request-ID: ") + good + "\r\n\r\n");
    AwaitHead(client);
    EXPECT_EQ(Field(client.got, "X-Request-ID"), good);
  }
  for (const std::string& bad : {std::string("<script>"), std::string("a b"), std::string(129, 'a'), std::string("\"x\"")}) {
    Peer& client = Connect("GET / HTTP/1.1\r\nHost: a\r\nX-Request-ID: " + bad + "\r\n\r\n");
    AwaitHead(client);
    const std::string id = Field(client.got, "X-Request-ID");
    EXPECT_EQ(id.size(), 32u) << id;
    EXPECT_EQ(id.find_first_not_of("0123456789abcdef"), std::string::npos);
  }
}

TEST_F(ProxySessionTest, ErrorsAreJsonForWhoPrefersIt) {
  Start(0);
  Peer& client = Connect("GET / HTTP/1.1\r\nHost: a\r\nAccept: application/json\r\n\r\n");
  Await(client, "\"status\":503");
  EXPECT_EQ(Field(client.got, "Content-Type"), "application/json");
}

TEST_F(ProxySessionTest, RequestUnderWayKeepsTheConfigurationItBeganWith) {
  config_.timeout.request_ms = 60000;
  Start();
  Peer& client = Connect(kGet);
  Peer& backend = Accept();
  AwaitHead(backend);
  config_.timeout.request_ms = 1;
  config_.forwarded.x_request_id = false;
  Configure();
  Pass(20);
  backend.Send(kOk);
  Await(client, "\r\n\r\nok");
  EXPECT_NE(Field(client.got, "X-Request-ID"), "-");
}

TEST_F(ProxySessionTest, SessionsAreReusedAndNotInTheSameTurn) {
  Start(0);
  std::string many;
  for (int i = 0; i < 50; ++i) many += kGet;
  Peer& client = Connect(many);
  ASSERT_TRUE(RunUntil([&] { return Responses(5) == 50; }));
  const size_t after_burst = context_->sessions.allocated();
  EXPECT_LE(after_burst, 51u);
  for (int i = 0; i < 50; ++i) {
    client.Send(kGet);
    RunTurns(3);
  }
  ASSERT_TRUE(RunUntil([&] { return Responses(5) == 100; }));
  EXPECT_EQ(context_->sessions.allocated(), after_burst);
}

}  // namespace
}  // namespace ub
