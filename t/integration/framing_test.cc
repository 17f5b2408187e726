// Where messages begin and end: lengths, chunks, closes, pipelining, interim responses, HTTP/1.0.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <thread>

#include "client.h"
#include "fake_backend.h"
#include "proxy.h"

namespace ub::itest {
namespace {

// A backend that answers every request with these bytes and closes the connection where `close`
// says so.
FakeBackend::Handler Answer(std::string bytes, bool close = false) {
  return [bytes = std::move(bytes), close](Exchange& exchange) {
    exchange.Done();
    exchange.Send(bytes);
    if (close) exchange.Close();
  };
}

TEST(Framing, ThousandPipelinedRequestsAreAnsweredInOrder) {
  FakeBackend::Options options;
  options.handler = [](Exchange& exchange) { exchange.Reply(200, exchange.request.target); };
  const FakeBackend a(options), b(options), c(options);
  Proxy proxy(ConfigFile().Backend(a).Backend(b).Backend(c));
  ASSERT_TRUE(proxy.Start());
  Client client(proxy.endpoint());
  std::thread sender([&] {
    std::string all;
    for (int i = 0; i < 1000; ++i) all += RequestText("GET", "/" + std::to_string(i));
    client.Send(all);
  });
  for (int i = 0; i < 1000; ++i) {
    const Response response = client.Read();
    if (!response.ok() || response.body != "/" + std::to_string(i)) {
      ADD_FAILURE() << "request " << i << ": " << response.Outcome() << " " << response.body;
      break;
    }
  }
  client.socket().ShutdownWrite();
  sender.join();
  EXPECT_EQ(a.requests() + b.requests() + c.requests(), 1000u);
}

TEST(Framing, PipelinedBodiesAreNotMistakenForRequests) {
  const FakeBackend backend;
  Proxy proxy(ConfigFile().Backend(backend));
  ASSERT_TRUE(proxy.Start());
  Client client(proxy.endpoint());
  const std::string inner = "GET /inner HTTP/1.1\r\nHost: x\r\n\r\n";
  client.Send(RequestText("POST", "/one", "", inner) +
              "POST /two HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" +
              Chunked(inner, 7) + RequestText("GET", "/three"));
  EXPECT_EQ(client.Read().body, inner);
  EXPECT_EQ(client.Read().body, inner);
  EXPECT_EQ(client.Read().body, "");
  EXPECT_EQ(backend.requests(), 3u);
}

TEST(Framing, BytesThatTrickleInMakeTheSameRequest) {
  const FakeBackend backend;
  Proxy proxy(ConfigFile().Backend(backend));
  ASSERT_TRUE(proxy.Start());
  Client client(proxy.endpoint());
  const std::string text = "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" +
                           Chunked("hello world", 4, "Sum: 1\r\n");
  for (const char c : text) client.Send(std::string_view(&c, 1));
  const Response response = client.Read();
  EXPECT_EQ(response.status, 200) << response.Outcome();
  EXPECT_EQ(response.body, "hello world");
}

TEST(Framing, Http10ConnectionIsClosedAfterTheAnswer) {
  const FakeBackend backend;
  Proxy proxy(ConfigFile().Backend(backend));
  ASSERT_TRUE(proxy.Start());
  Client client(proxy.endpoint());
  client.Send("GET /size/500/1 HTTP/1.0\r\n\r\n");
  const Response response = client.Read();
  ASSERT_EQ(response.status, 200) << response.Outcome();
  EXPECT_EQ(response.body, Pattern(1, 500));
  EXPECT_TRUE(client.ServerClosed());
  EXPECT_EQ(backend.last().minor, 1);
  EXPECT_EQ(backend.last().Values("Host").size(), 1u) << "HTTP/1.1 needs one";
}

TEST(Framing, Http10KeepAliveIsKeptWhereAskedFor) {
  const FakeBackend backend;
  Proxy proxy(ConfigFile().Backend(backend));
  ASSERT_TRUE(proxy.Start());
  Client client(proxy.endpoint());
  for (int i = 0; i < 3; ++i) {
    client.Send("GET /size/500/1 HTTP/1.0\r\nHost: x\r\nConnection: keep-alive\r\n\r\n");
    const Response response = client.Read();
    ASSERT_EQ(response.status, 200) << response.Outcome();
    EXPECT_EQ(response.body, Pattern(1, 500));
    EXPECT_TRUE(response.HasToken("Connection", "keep-alive"));
  }
}

TEST(Framing, Http10ClientNeverGetsChunks) {
  const FakeBackend backend;
  Proxy proxy(ConfigFile().Backend(backend));
  ASSERT_TRUE(proxy.Start());
  for (const char* connection : {"", "Connection: keep-alive\r\n"}) {
    Client client(proxy.endpoint());
    client.Send(fmt::format("GET /chunked/5000/1 HTTP/1.0\r\nHost: x\r\n{}\r\n", connection));
    const Response response = client.Read();
    ASSERT_EQ(response.status, 200) << response.Outcome();
    EXPECT_FALSE(response.Has("Transfer-Encoding"));
    EXPECT_EQ(response.framing, Framing::kUntilClose);
    EXPECT_EQ(response.body, Pattern(1, 5000));
  }
}

TEST(Framing, ConnectionCloseOfTheClientIsHonoured) {
  const FakeBackend backend;
  Proxy proxy(ConfigFile().Workers(1).Backend(backend));
  ASSERT_TRUE(proxy.Start());
  for (int i = 0; i < 3; ++i) {
    Client client(proxy.endpoint());
    const Response response = client.Get("/", "Connection: close\r\n");
    EXPECT_EQ(response.status, 200) << response.Outcome();
    EXPECT_TRUE(response.HasToken("Connection", "close"));
    EXPECT_TRUE(client.ServerClosed());
  }
  EXPECT_EQ(backend.accepted(), 1u) << "the client's wish says nothing of the backend's connection";
}

TEST(Framing, HeadHasNoBodyAndKeepsItsLength) {
  const FakeBackend backend([](Exchange& exchange) { exchange.Reply(200, "twelve bytes"); });
  Proxy proxy(ConfigFile().Workers(1).Backend(backend));
  ASSERT_TRUE(proxy.Start());
  Client client(proxy.endpoint());
  for (int i = 0; i < 2; ++i) {
    const Response head = client.Ask("HEAD", "/");
    ASSERT_EQ(head.status, 200) << head.Outcome();
    EXPECT_EQ(head.Value("Content-Length"), "12");
    EXPECT_EQ(client.Get().body, "twelve bytes");
  }
  EXPECT_EQ(backend.accepted(), 1u);
}

TEST(Framing, BodylessStatusesLeaveTheConnectionInStep) {
  const FakeBackend backend([](Exchange& exchange) {
    if (exchange.request.target == "/304") {
      exchange.Done();
      exchange.Send("HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\nContent-Length: 77\r\n\r\n");
    } else {
      exchange.Reply(exchange.request.target == "/204" ? 204 : 200, "text", "ETag: \"a\"\r\n");
    }
  });
  Proxy proxy(ConfigFile().Workers(1).Backend(backend));
  ASSERT_TRUE(proxy.Start());
  Client client(proxy.endpoint());
  for (const auto& [target, status] : {std::pair{"/204", 204}, {"/304", 304}, {"/", 200}}) {
    const Response response = client.Get(target);
    EXPECT_EQ(response.status, status) << response.Outcome();
    EXPECT_EQ(response.Value("ETag"), "\"a\"");
    EXPECT_EQ(response.framing, status == 200 ? Framing::kLength : Framing::kNone);
  }
  EXPECT_EQ(backend.accepted(), 1u);
}

TEST(Framing, EarlyHintsReachAnHttp11ClientOnly) {
  const FakeBackend backend(
      Answer("HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n"
             "HTTP/1.1 103 Early Hints\r\nLink: </b.css>\r\n\r\n"
             "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"));
  Proxy proxy(ConfigFile().Backend(backend));
  ASSERT_TRUE(proxy.Start());
  Client client(proxy.endpoint());
  const Response response = client.Get();
  ASSERT_EQ(response.status, 200) << response.Outcome();
  ASSERT_EQ(response.interim.size(), 2u);
  EXPECT_EQ(response.interim[1].status, 103);
  EXPECT_EQ(response.interim[1].Value("Link"), "</b.css>");
  Client old(proxy.endpoint());
  old.Send("GET / HTTP/1.0\r\nHost: x\r\n\r\n");
  const Response plain = old.Read();
  EXPECT_EQ(plain.status, 200) << plain.Outcome();
  EXPECT_EQ(plain.interim.size(), 0u);
}

FakeBackend::Options Unread(FakeBackend::Handler handler) {
  FakeBackend::Options options;
  options.read_bodies = false;
  options.record = false;
  options.handler = std::move(handler);
  return options;
}

constexpr std::string_view kExpecting =
    "POST /upload HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n";

TEST(Framing, ExpectIsAnsweredByTheBackendsContinue) {
  Gate go;
  const FakeBackend backend(Unread([&go](Exchange& exchange) {
    EXPECT_TRUE(SameText(exchange.request.Value("Expect"), "100-continue"));
    exchange.Wait(go);
    exchange.Send("HTTP/1.1 100 Continue\r\n\r\n");
    exchange.ReadBody([&](std::string_view piece) { exchange.request.body += piece; });
    exchange.Reply(200, exchange.request.body);
  }));
  Proxy proxy(ConfigFile().Backend(backend));
  ASSERT_TRUE(proxy.Start());
  Client client(proxy.endpoint());
  client.Send(kExpecting);
  ASSERT_TRUE(WaitFor([&] { return backend.requests() == 1; }));
  EXPECT_TRUE(client.StillOpen()) << "100 Continue before the backend said so";
  go.Open();
  Response interim;
  ASSERT_EQ(client.reader().ReadResponseHead("POST", &interim), ReadResult::kOk);
  EXPECT_EQ(interim.status, 100);
  client.Send("hello");
  const Response response = client.Read("POST");
  EXPECT_EQ(response.status, 200) << response.Outcome();
  EXPECT_EQ(response.body, "hello");
}

TEST(Framing, ExpectIsRefusedByTheBackendsFinalAnswer) {
  const FakeBackend backend(Unread([](Exchange& exchange) {
    exchange.Reply(417, "no");
    exchange.Close();
  }));
  Proxy proxy(ConfigFile().Backend(backend));
  ASSERT_TRUE(proxy.Start());
  Client client(proxy.endpoint());
  client.Send(kExpecting);
  const Response response = client.Read("POST");
  EXPECT_EQ(response.status, 417) << response.Outcome();
  EXPECT_EQ(response.interim.size(), 0u);
  EXPECT_EQ(response.body, "no");
  EXPECT_TRUE(proxy.WaitIdle());
}

TEST(Framing, ChunkedUploadArrivesWithItsTrailers) {
  const FakeBackend backend;
  Proxy proxy(ConfigFile().Backend(backend));
  ASSERT_TRUE(proxy.Start());
  Client client(proxy.endpoint());
  const std::string body = Pattern(5, 20000);
  client.Send(
      "POST /echo HTTP/1.1\r\nHost: x\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n" +
      Chunked(body, 777, "X-Sum: 42\r\n"));
  const Response response = client.Read("POST");
  ASSERT_EQ(response.status, 200) << response.Outcome();
  EXPECT_EQ(response.body, body);
  EXPECT_EQ(backend.last().framing, Framing::kChunked);
  EXPECT_EQ(backend.last().Trailer("X-Sum"), "42");
}

TEST(Framing, ChunkedDownloadArrivesWithItsTrailers) {
  const std::string body = Pattern(6, 20000);
  const FakeBackend backend(
      Answer("HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n" +
             Chunked(body, 999, "X-Sum: 43\r\n")));
  Proxy proxy(ConfigFile().Workers(1).Backend(backend));
  ASSERT_TRUE(proxy.Start());
  Client client(proxy.endpoint());
  for (int i = 0; i < 3; ++i) {
    const Response response = client.Get("/", "TE: trailers\r\nConnection: TE\r\n");
    ASSERT_EQ(response.status, 200) << response.Outcome();
    EXPECT_EQ(response.body, body);
    EXPECT_EQ(response.Trailer("X-Sum"), "43");
  }
  EXPECT_EQ(backend.accepted(), 1u);
}

TEST(Framing, ResponseUntilCloseIsWholeAndKeepsTheClient) {
  const std::string body = Pattern(7, 100000);
  const FakeBackend backend(Answer("HTTP/1.0 200 OK\r\n\r\n" + body, true));
  Proxy proxy(ConfigFile().Backend(backend));
  ASSERT_TRUE(proxy.Start());
  Client client(proxy.endpoint());
  for (int i = 0; i < 3; ++i) {
    const Response response = client.Get();
    ASSERT_EQ(response.status, 200) << response.Outcome();
    EXPECT_EQ(response.framing, Framing::kChunked);
    EXPECT_EQ(response.body, body);
  }
  EXPECT_EQ(backend.accepted(), 3u);
}

TEST(Framing, BackendsConnectionCloseIsNotTheClients) {
  const FakeBackend backend([](Exchange& exchange) {
    exchange.Reply(200, "x", "Connection: close\r\n");
    exchange.Close();
  });
  Proxy proxy(ConfigFile().Backend(backend));
  ASSERT_TRUE(proxy.Start());
  Client client(proxy.endpoint());
  for (int i = 0; i < 5; ++i) {
    const Response response = client.Get();
    ASSERT_EQ(response.status, 200) << response.Outcome();
    EXPECT_FALSE(response.HasToken("Connection", "close"));
  }
  EXPECT_EQ(backend.accepted(), 5u);
}

TEST(Framing, EmptyLinesBeforeARequestAreForgiven) {
  const FakeBackend backend;
  Proxy proxy(ConfigFile().Backend(backend));
  ASSERT_TRUE(proxy.Start());
  Client client(proxy.endpoint());
  client.Send("\r\n" + RequestText("GET", "/"));
  EXPECT_EQ(client.Read().status, 200);
}

}  // namespace
}  // namespace ub::itest
