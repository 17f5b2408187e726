// The harness against itself, without a balancer: what it could not notice here it would not notice
// there.
#include <gtest/gtest.h>

#include "client.h"
#include "fake_backend.h"
#include "load_generator.h"

namespace ub::itest {
namespace {

Response ReadRaw(std::string_view bytes, std::string_view method = "GET") {
  FakeBackend::Options options;
  options.connection = [&](Socket& socket) { socket.Send(bytes); };
  const FakeBackend backend(std::move(options));
  Client client(backend.endpoint());
  return client.Read(method);
}

TEST(Harness, PatternIsTheSameFromAnyOffset) {
  const std::string whole = Pattern(7, 1000);
  for (const size_t offset : {0, 1, 7, 8, 9, 500}) {
    std::string part(100, '\0');
    FillPattern(7, offset, part.data(), part.size());
    EXPECT_EQ(part, whole.substr(offset, 100));
  }
  EXPECT_NE(Pattern(7, 100), Pattern(8, 100));
  PatternCheck check(7);
  check.Feed(whole.substr(0, 333));
  check.Feed(whole.substr(333));
  EXPECT_TRUE(check.intact());
  check.Feed("x");
  EXPECT_FALSE(check.intact());
}

TEST(Harness, ReaderTellsHowAResponseEnded) {
  EXPECT_EQ(ReadRaw("").result, ReadResult::kClosed);
  EXPECT_EQ(ReadRaw("HTTP/1.1 200").result, ReadResult::kTruncated);
  EXPECT_EQ(ReadRaw("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc").result,
            ReadResult::kTruncated);
  EXPECT_EQ(ReadRaw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n").result,
            ReadResult::kTruncated);
  EXPECT_EQ(ReadRaw("HTTP/1.1 200 OK\r\n\r\nabc").body, "abc");
  EXPECT_EQ(ReadRaw("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "HEAD").result,
            ReadResult::kOk);
}

TEST(Harness, ReaderIsStrict) {
  for (const char* bytes :
       {"HTTP/2.0 200 OK\r\n\r\n", "HTTP/1.1 20 OK\r\n\r\n", "HTTP/1.1 200 OK\r\nA : b\r\n\r\n",
        "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 204 OK\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nz\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n"}) {
    EXPECT_EQ(ReadRaw(bytes).result, ReadResult::kMalformed) << bytes;
  }
}

TEST(Harness, ReaderCollectsInterimResponsesAndTrailers) {
  const Response response = ReadRaw(
      "HTTP/1.1 103 Early\r\nLink: a\r\n\r\n"
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\nSum: 9\r\n\r\n");
  ASSERT_TRUE(response.ok()) << response.Outcome();
  ASSERT_EQ(response.interim.size(), 1u);
  EXPECT_EQ(response.interim[0].Value("link"), "a");
  EXPECT_EQ(response.body, "abc");
  EXPECT_EQ(response.Trailer("sum"), "9");
}

TEST(Harness, BackendComesBackAtTheSameAddress) {
  FakeBackend backend;
  const uint16_t port = backend.endpoint().port;
  EXPECT_EQ(FetchOnce(backend.endpoint()).status, 200);
  backend.Stop();
  EXPECT_FALSE(Client(backend.endpoint()).connected());
  backend.Start();
  EXPECT_EQ(backend.endpoint().port, port);
  EXPECT_EQ(FetchOnce(backend.endpoint()).status, 200);
  EXPECT_EQ(backend.accepted(), 2u);
}

TEST(Harness, FullListenerNeitherTakesNorRefuses) {
  const FullListener full;
  EXPECT_FALSE(Socket::Connect(Endpoint::V4(full.port()), Millis(200)).valid());
}

TEST(Harness, LoadIsAnsweredByAGoodServer) {
  OnceCheck once;
  FakeBackend backend(once.Wrap());
  LoadGenerator load(backend.endpoint(), {.connections = 8});
  load.Start();
  EXPECT_TRUE(load.WaitAnswers(500));
  const LoadReport report = load.Stop();
  EXPECT_EQ(report.failed, 0u) << report.Summary();
  EXPECT_EQ(report.closed, 0u) << report.Summary();
  EXPECT_EQ(report.sent, report.answered);
  EXPECT_TRUE(WaitFor([&] { return backend.accepted() == 8; }));
  EXPECT_EQ(once.repeated(), 0u);
}

TEST(Harness, LoadNoticesWrongBodiesAndClosedConnections) {
  FakeBackend wrong([](Exchange& exchange) { exchange.Reply(200, "not that"); });
  LoadGenerator first(wrong.endpoint(), {.connections = 2});
  first.Start();
  EXPECT_TRUE(WaitFor([&] { return wrong.requests() >= 2; }));
  EXPECT_GE(first.Stop().failed, 2u);

  FakeBackend closing([](Exchange& exchange) {
    FakeBackend::Serve(exchange);
    if (exchange.number == 3) exchange.Close();
  });
  LoadGenerator second(closing.endpoint(), {.connections = 2, .posts = false});
  second.Start();
  EXPECT_TRUE(WaitFor([&] { return closing.requests() >= 8 && closing.open() == 0; }));
  EXPECT_EQ(second.Stop().closed, 2u);
}

}  // namespace
}  // namespace ub::itest
