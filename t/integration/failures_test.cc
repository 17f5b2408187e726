// Backends that are down, reset, hang or speak badly, and clients that go away.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "client.h"
#include "fake_backend.h"
#include "proxy.h"

namespace ub::itest {
namespace {

std::string DeadBackend() { return BackendYaml(Endpoint::V4(FreePort())); }

TEST(Failures, RefusedConnectionGoesToTheNextBackend) {
  const FakeBackend backend;
  Proxy proxy(ConfigFile().Workers(1).Backend(DeadBackend()).Backend(backend));
  ASSERT_TRUE(proxy.Start());
  Client client(proxy.endpoint());
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(client.Get().status, 200);
    const Response post = client.Ask("POST", "/echo", "", "body");
    EXPECT_EQ(post.status, 200) << "nothing was sent, so any method may be tried again";
    EXPECT_EQ(post.body, "body");
  }
  EXPECT_TRUE(proxy.WaitIdle());
}

TEST(Failures, ABodyThatWasWaitingIsSentToTheNextBackend) {
  const FakeBackend backend;
  Proxy proxy(ConfigFile().Workers(1).Backend(DeadBackend()).Backend(backend));
  ASSERT_TRUE(proxy.Start());
  const std::string body = Pattern(3, 200'000);
  Client client(proxy.endpoint());
  for (int i = 0; i < 6; ++i) {
    // In one piece, so that no later bytes wake the proxy: the second try, on a kept-alive connection, must look itself.
    const Response response = client.Ask("POST", "/echo", "", body);
    EXPECT_EQ(response.status, 200) << response.Outcome();
    EXPECT_EQ(response.body, body);
  }
}

TEST(Failures, AllBackendsRefusing502) {
  Proxy proxy(ConfigFile().Backend(DeadBackend()).Backend(DeadBackend()));
  ASSERT_TRUE(proxy.Start());
  Client client(proxy.endpoint());
  for (int i = 0; i < 3; ++i) EXPECT_EQ(client.Get().status, 502) << "the connection is kept";
  EXPECT_TRUE(proxy.WaitIdle());
}

TEST(Failures, BackendThatComesBackIsUsedAgain) {
  FakeBackend backend;
  Proxy proxy(ConfigFile().Backend(backend));
  ASSERT_TRUE(proxy.Start());
  EXPECT_EQ(FetchOnce(proxy.endpoint()).status, 200);
  backend.Stop();
  EXPECT_EQ(FetchOnce(proxy.endpoint()).status, 502);
  backend.Start();
  EXPECT_EQ(FetchOnce(proxy.endpoint()).status, 200);
}

TEST(Failures, NoUsableBackend503WithRetryAfter) {
  const FakeBackend backend;
  Proxy proxy(ConfigFile().Backend(backend));
  ASSERT_TRUE(proxy.Start());
  // As the controller does it: the state, then the version that makes the workers look.
  proxy.segment().slot(0).admin.store(uint32_t(AdminState::kDrain));
  proxy.segment().header().table_version.fetch_add(1);
  Response response;
  EXPECT_TRUE(WaitFor([&] { return (response = FetchOnce(proxy.endpoint())).status == 503; }));
  EXPECT_NE(response.Value("Retry-After"), "");
  const uint64_t seen = backend.requests();
  EXPECT_EQ(FetchOnce(proxy.endpoint()).status, 503);
  EXPECT_EQ(backend.requests(), seen);
}

// What a client sees when a backend breaks off after `bytes`, once the client has read the head.
Response BrokenOff(std::string bytes, bool reset, std::string_view request) {
  Gate head_read;
  const FakeBackend backend([&](Exchange& exchange) {
    exchange.Send(bytes);
    exchange.Wait(head_read);
    if (reset) {
      exchange.Reset();
    } else {
      exchange.Close();
    }
  });
  Proxy proxy(ConfigFile().Backend(backend));
  if (!proxy.Start()) return Response();
  Client client(proxy.endpoint());
  client.Send(request);
  Response response;
  response.result = client.reader().ReadResponseHead("GET", &response);
  head_read.Open();
  if (response.ok()) response.result = client.reader().ReadBody(&response);
  EXPECT_TRUE(client.ServerClosed()) << "the connection cannot be used any more";
  EXPECT_TRUE(proxy.WaitIdle());
  return response;
}

TEST(Failures, BreakInMidResponseIsNoSilentTruncation) {
  const std::string length = "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + Pattern(1, 500);
  const std::string chunks =
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1f4\r\n" + Pattern(1, 500) + "\r\n";
  const std::string half_chunk =
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1f4\r\n" + Pattern(1, 100);
  for (const auto& bytes : {length, chunks, half_chunk}) {
    for (const bool reset : {false, true}) {
      const Response response = BrokenOff(bytes, reset, RequestText("GET", "/"));
      EXPECT_EQ(response.status, 200);
      EXPECT_TRUE(response.result == ReadResult::kTruncated ||
                  response.result == ReadResult::kReset)
          << response.Outcome() << " reset " << reset << " for " << bytes.substr(0, 60);
    }
  }
}

TEST(Failures, ResetEndsAResponseUntilCloseAsBroken) {
  const Response response =
      BrokenOff("HTTP/1.1 200 OK\r\n\r\n" + Pattern(1, 500), true, RequestText("GET", "/"));
  EXPECT_FALSE(response.ok()) << "a reset is no regular end";
}

TEST(Failures, BrokenChunksToAnHttp10ClientEndInAReset) {
  // Until-close framing has no other sign that the body is not whole.
  const Response response =
      BrokenOff("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1f4\r\n" + Pattern(1, 100),
                false, "GET / HTTP/1.0\r\nHost: x\r\n\r\n");
  EXPECT_EQ(response.result, ReadResult::kReset) << response.Outcome();
}

// Resets the connection at its second request, having answered the first.
void ResetWhenReused(Exchange& exchange) {
  if (exchange.number > 0) return exchange.Reset();
  FakeBackend::Serve(exchange);
}

TEST(Failures, GetOnAReusedConnectionThatDiesIsTriedAgain) {
  const FakeBackend backend(ResetWhenReused);
  Proxy proxy(ConfigFile().Workers(1).Backend(backend));
  ASSERT_TRUE(proxy.Start());
  Client client(proxy.endpoint());
  for (int i = 0; i < 5; ++i) EXPECT_EQ(client.Get().status, 200) << "request " << i;
  EXPECT_EQ(backend.accepted(), 5u);
}

TEST(Failures, PostOnAReusedConnectionThatDiesIsNotTriedAgain) {
  const FakeBackend backend(ResetWhenReused);
  Proxy proxy(ConfigFile().Workers(1).Backend(backend));
  ASSERT_TRUE(proxy.Start());
  Client client(proxy.endpoint());
  EXPECT_EQ(client.Ask("POST", "/echo", "", "x").status, 200);
  EXPECT_EQ(client.Ask("POST", "/echo", "", "x").status, 502);
  EXPECT_EQ(backend.requests(), 2u);
  EXPECT_EQ(client.Ask("POST", "/echo", "", "x").status, 200);
}

TEST(Failures, ResetOnAFreshConnectionGoesToTheNextBackendIfIdempotent) {
  const FakeBackend broken([](Exchange& exchange) { exchange.Reset(); });
  const FakeBackend good;
  Proxy proxy(ConfigFile().Workers(1).Backend(broken).Backend(good));
  ASSERT_TRUE(proxy.Start());
  Client client(proxy.endpoint());
  for (int i = 0; i < 6; ++i) EXPECT_EQ(client.Get().status, 200) << "request " << i;
  EXPECT_GE(broken.requests(), 2u);
  int failed = 0;
  for (int i = 0; i < 4; ++i) {
    Client one(proxy.endpoint());
    failed += one.Ask("POST", "/echo", "", "x").status == 502 ? 1 : 0;
  }
  EXPECT_EQ(failed, 2) << "every other POST goes to the broken backend, and stays there";
}

TEST(Failures, HangingBackend504AndItsConnectionIsClosed) {
  std::atomic<int> gone{0};
  const FakeBackend backend([&gone](Exchange& exchange) { gone += exchange.PeerGone() ? 1 : 0; });
  Proxy proxy(ConfigFile().Set("timeout", "{ request_ms: 300 }").Backend(backend));
  ASSERT_TRUE(proxy.Start());
  Client client(proxy.endpoint());
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(client.Get().status, 504);
  const auto took = std::chrono::steady_clock::now() - start;
  EXPECT_GE(took, Millis(250));
  EXPECT_LT(took, Millis(static_cast<int>(3000 * TimeFactor())));
  EXPECT_TRUE(WaitFor([&] { return gone == 1; }));
  EXPECT_EQ(backend.requests(), 1u) << "a timeout is not tried again unless configured";
  EXPECT_TRUE(proxy.WaitIdle());
}

TEST(Failures, BackendThatStallsInTheBodyBreaksTheClientsConnection) {
  std::atomic<int> gone{0};
  const FakeBackend backend([&gone](Exchange& exchange) {
    exchange.Send("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nbegin");
    gone += exchange.PeerGone() ? 1 : 0;
  });
  Proxy proxy(ConfigFile().Set("timeout", "{ request_ms: 1000 }").Backend(backend));
  ASSERT_TRUE(proxy.Start());
  const Response response = FetchOnce(proxy.endpoint());
  EXPECT_EQ(response.status, 200);
  EXPECT_FALSE(response.ok());
  EXPECT_NE(response.result, ReadResult::kTimeout);
  EXPECT_TRUE(WaitFor([&] { return gone == 1; }));
}

TEST(Failures, SlowBodyWithinTheTimeoutIsNotBroken) {
  Gate more;
  const FakeBackend backend([&more](Exchange& exchange) {
    exchange.Send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n");
    for (int i = 0; i < 10; ++i) {
      more.Wait(Millis(100));  // never opened: a pause, shorter than request_ms; the sum is longer
      exchange.Send("x");
    }
  });
  Proxy proxy(ConfigFile()
                  .Set("timeout", fmt::format("{{ request_ms: {} }}", int(600 * TimeFactor())))
                  .Backend(backend));
  ASSERT_TRUE(proxy.Start());
  EXPECT_EQ(FetchOnce(proxy.endpoint()).body, "xxxxxxxxxx");
}

TEST(Failures, SlowUploadWithinTheTimeoutIsNotBroken) {
  Gate more;
  const FakeBackend backend;
  Proxy proxy(ConfigFile()
                  .Set("timeout", fmt::format("{{ request_ms: {} }}", int(600 * TimeFactor())))
                  .Backend(backend));
  ASSERT_TRUE(proxy.Start());
  for (const bool chunked : {false, true}) {
    Client client(proxy.endpoint());
    client.Send(fmt::format("POST /echo HTTP/1.1\r\nHost: x\r\n{}\r\n",
                            chunked ? "Transfer-Encoding: chunked\r\n" : "Content-Length: 10\r\n"));
    for (int i = 0; i < 10; ++i) {
      more.Wait(Millis(100));  // never opened: a pause, shorter than request_ms; the sum is longer
      client.Send(chunked ? "1\r\nx\r\n" : "x");
    }
    if (chunked) client.Send("0\r\n\r\n");
    const Response response = client.Read("POST");
    EXPECT_EQ(response.status, 200) << response.Outcome();
    EXPECT_EQ(response.body, "xxxxxxxxxx");
  }
  EXPECT_TRUE(proxy.WaitIdle());
}

TEST(Failures, UploadThatStalls408) {
  const FakeBackend backend;
  Proxy proxy(ConfigFile().Set("timeout", "{ request_ms: 300 }").Backend(backend));
  ASSERT_TRUE(proxy.Start());
  Client client(proxy.endpoint());
  client.Send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nonly");
  EXPECT_EQ(client.Read("POST").status, 408);
  EXPECT_TRUE(client.ServerClosed());
  EXPECT_TRUE(proxy.WaitIdle());
}

TEST(Failures, BackendThatResetsAtOnceAfterAPartIsNotWaitedFor) {
  const FakeBackend backend([](Exchange& exchange) {
    exchange.Send("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nbegin");
    exchange.Reset();
  });
  Proxy proxy(ConfigFile().Workers(1).Backend(backend));  // request_ms: 30 s
  ASSERT_TRUE(proxy.Start());
  for (int i = 0; i < 20; ++i) {
    Client client(proxy.endpoint());
    client.reader().set_limit(Millis(5000));
    client.Send(RequestText("GET", "/"));
    const Response response = client.Read();
    EXPECT_FALSE(response.ok());
    EXPECT_NE(response.result, ReadResult::kTimeout) << "try " << i;
  }
  EXPECT_TRUE(proxy.WaitIdle());
}

TEST(Failures, ConnectThatHangs504) {
  const FullListener full;
  Proxy proxy(ConfigFile()
                  .Set("timeout", "{ connect_ms: 300 }")
                  .Set("retry", "{ max_attempts: 1 }")
                  .Backend(full.Yaml()));
  ASSERT_TRUE(proxy.Start());
  EXPECT_EQ(FetchOnce(proxy.endpoint()).status, 504);
  EXPECT_TRUE(proxy.WaitIdle());
}

TEST(Failures, ConnectThatHangsGoesToTheNextBackend) {
  const FullListener full;
  const FakeBackend backend;
  Proxy proxy(
      ConfigFile().Set("timeout", "{ connect_ms: 200 }").Backend(full.Yaml()).Backend(backend));
  ASSERT_TRUE(proxy.Start());
  Client client(proxy.endpoint());
  for (int i = 0; i < 2; ++i) EXPECT_EQ(client.Get().status, 200);
}

TEST(Failures, GarbageFromTheBackend502) {
  for (const char* bytes :
       {"nonsense\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx",
        "HTTP/1.1 200 OK\r\nA : b\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 2x0 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 0\r\n\r\n"}) {
    const FakeBackend backend([bytes](Exchange& exchange) { exchange.Send(bytes); });
    Proxy proxy(ConfigFile().Workers(1).Backend(backend));
    ASSERT_TRUE(proxy.Start());
    EXPECT_EQ(FetchOnce(proxy.endpoint()).status, 502) << bytes;
    EXPECT_TRUE(WaitFor([&] { return backend.open() == 0; })) << "such a connection is not reused";
  }
}

TEST(Failures, BytesAfterAResponseAreNotTheNextAnswer) {
  const FakeBackend backend([](Exchange& exchange) {
    exchange.Send(
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
        "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil");
  });
  Proxy proxy(ConfigFile().Workers(1).Backend(backend));
  ASSERT_TRUE(proxy.Start());
  Client client(proxy.endpoint());
  for (int i = 0; i < 5; ++i) EXPECT_EQ(client.Get().body, "ok");
  EXPECT_EQ(backend.accepted(), 5u);
}

TEST(Failures, ClientGoneMidRequestFreesThePlaceAndTheBackend) {
  for (const bool reset : {false, true}) {
    std::atomic<int> gone{0};
    const FakeBackend backend([&gone](Exchange& exchange) { gone += exchange.PeerGone() ? 1 : 0; });
    Proxy proxy(ConfigFile().Backend(backend));
    ASSERT_TRUE(proxy.Start());
    {
      Client waiting(proxy.endpoint());
      waiting.Send(RequestText("GET", "/"));
      Client uploading(proxy.endpoint());
      uploading.Send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nonly this");
      ASSERT_TRUE(WaitFor([&] { return backend.requests() == 2 && proxy.InFlight() == 2; }));
      if (reset) {
        waiting.socket().Reset();
        uploading.socket().Reset();
      }
    }
    EXPECT_TRUE(proxy.WaitIdle()) << "reset " << reset;
    EXPECT_TRUE(WaitFor([&] { return backend.open() == 0; })) << "reset " << reset;
    EXPECT_TRUE(WaitFor([&] { return proxy.Connections() == 0; }));
  }
}

TEST(Failures, ClientGoneMidDownloadStopsTheBackend) {
  std::atomic<bool> stopped{false};
  const FakeBackend backend([&stopped](Exchange& exchange) {
    exchange.Send("HTTP/1.1 200 OK\r\nContent-Length: 10000000000\r\n\r\n");
    const std::string piece(64 * 1024, 'x');
    while (exchange.Send(piece) == Io::kOk) {
    }
    stopped = true;
  });
  Proxy proxy(ConfigFile().Backend(backend));
  ASSERT_TRUE(proxy.Start());
  {
    Client client(proxy.endpoint());
    client.Send(RequestText("GET", "/"));
    std::string some;
    ASSERT_EQ(client.socket().Receive(&some), Io::kOk);
  }
  EXPECT_TRUE(WaitFor([&] { return stopped.load(); }));
  EXPECT_TRUE(proxy.WaitIdle());
}

TEST(Failures, AnswerBeforeTheUploadEndsReachesTheClient) {
  FakeBackend::Options options;
  options.read_bodies = false;
  options.handler = [](Exchange& exchange) {
    exchange.Reply(403, "too soon");
    exchange.PeerGone();
  };
  const FakeBackend backend(options);
  Proxy proxy(ConfigFile().Backend(backend));
  ASSERT_TRUE(proxy.Start());
  Client client(proxy.endpoint());
  client.Send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n" +
              std::string(1000, 'x'));
  const Response response = client.Read("POST");
  EXPECT_EQ(response.status, 403) << response.Outcome();
  EXPECT_EQ(response.body, "too soon");
  client.socket().Close();
  EXPECT_TRUE(proxy.WaitIdle());
}

}  // namespace
}  // namespace ub::itest
