// Two readers of the same bytes: what a raw backend gets is parsed apart from the proxy's parser, and must be exactly the
// requests that the client's bytes are, in order, each one message. A request that was smuggled would be one more.
#include <gtest/gtest.h>

#include <mutex>
#include <random>

#include "client.h"
#include "fake_backend.h"
#include "proxy.h"
#include "support/strict_reader.h"

namespace ub::itest {
namespace {

// Records what comes, byte for byte, reads it with the strict reader, and answers each request that is whole.
class RawBackend {
 public:
  RawBackend() : backend_(MakeOptions()) {}
  const FakeBackend& backend() const { return backend_; }
  // Requests since the last call.
  std::vector<ReadRequest> Take() {
    const std::lock_guard lock(mutex_);
    return std::exchange(requests_, {});
  }
  std::vector<std::string> wrong() {
    const std::lock_guard lock(mutex_);
    return wrong_;
  }

 private:
  FakeBackend::Options MakeOptions() {
    FakeBackend::Options options;
    options.connection = [this](Socket& socket) { Serve(socket); };
    return options;
  }
  void Serve(Socket& socket) {
    std::string bytes;
    while (socket.Receive(&bytes, 64 * 1024, Millis(60'000)) == Io::kOk) {
      for (;;) {
        StrictReader reader(bytes, true);
        ReadRequest request;
        const ReadState state = reader.Next(&request);
        if (state == ReadState::kPartial) break;
        if (state == ReadState::kWrong) {
          const std::lock_guard lock(mutex_);
          wrong_.push_back(std::string(reader.why()) + ": " + bytes);
          return;
        }
        bytes.erase(0, bytes.size() - reader.rest().size());
        const std::string body = request.method == "HEAD" ? "" : "ok";
        {
          const std::lock_guard lock(mutex_);
          requests_.push_back(std::move(request));
        }
        if (socket.Send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n" + body) != Io::kOk) return;
      }
    }
  }

  std::mutex mutex_;
  std::vector<ReadRequest> requests_;
  std::vector<std::string> wrong_;
  FakeBackend backend_;
};

// The requests that these bytes are, up to the first that is broken off or wrong.
std::vector<ReadRequest> ReadClient(std::string_view bytes) {
  StrictReader reader(bytes, false);
  std::vector<ReadRequest> requests;
  ReadRequest request;
  while (reader.Next(&request) == ReadState::kWhole) requests.push_back(request);
  return requests;
}

// Sends `bytes` in pieces of `step` and reads until as many responses came as there can be, or the proxy has closed.
void Exchange(Proxy& proxy, std::string_view bytes, size_t step, const std::vector<ReadRequest>& expected) {
  Client client(proxy.endpoint());
  for (size_t at = 0; at < bytes.size(); at += step) {
    if (client.Send(bytes.substr(at, step)) != Io::kOk) break;
  }
  for (const ReadRequest& request : expected) {
    const Response response = client.Read(request.method);
    if (!response.ok() || response.status >= 400) return;
  }
}

// Everything that reached the backend in the meantime must be what `expected` begins with.
void Check(RawBackend& raw, std::string_view bytes, const std::vector<ReadRequest>& expected) {
  const std::vector<ReadRequest> seen = raw.Take();
  EXPECT_LE(seen.size(), expected.size()) << "one request too many: " << seen.back().target << "\nfrom:\n" << bytes;
  for (size_t i = 0; i < seen.size() && i < expected.size(); ++i) {
    EXPECT_EQ(seen[i].method, expected[i].method) << bytes;
    EXPECT_EQ(seen[i].target, expected[i].target) << bytes;
    EXPECT_EQ(seen[i].body, expected[i].body) << bytes;
    if (!expected[i].host.empty()) {
      EXPECT_EQ(seen[i].host, expected[i].host) << bytes;
    }
  }
}

const std::string kInner = "GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n";

std::string Post(std::string_view fields, std::string_view body) {
  return "POST /outer HTTP/1.1\r\nHost: x\r\n" + std::string(fields) + "\r\n" + std::string(body);
}

// Good ones and attacks, each with a second request in its body.
std::vector<std::string> Seeds() {
  const std::string length = std::to_string(kInner.size());
  const std::string chunk = Chunked(kInner, 1000);
  return {
      kInner,
      "GET http://x/absolute?q HTTP/1.1\r\nHost: x\r\n\r\n" + kInner,
      "GET /old HTTP/1.0\r\nHost: x\r\nConnection: keep-alive\r\n\r\n" + kInner,
      "HEAD /head HTTP/1.1\r\nHost: x\r\n\r\n" + kInner,
      "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n" + kInner,
      Post("Content-Length: " + length + "\r\n", kInner) + kInner,
      Post("Transfer-Encoding: chunked\r\n", chunk) + kInner,
      Post("Transfer-Encoding: chunked\r\n", Chunked(kInner, 5, "X-Trailer: 1\r\n")) + kInner,
      Post("Content-Length: 0\r\nTransfer-Encoding: chunked\r\n", chunk),
      Post("Transfer-Encoding: chunked\r\nContent-Length: 4\r\n", "5c\r\n" + kInner + "\r\n0\r\n\r\n"),
      Post("Content-Length: 6\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\nG" + kInner),
      Post("Transfer-Encoding: xchunked\r\nContent-Length: 3\r\n", chunk),
      Post("Transfer-Encoding : chunked\r\nContent-Length: 3\r\n", chunk),
      Post("Transfer-Encoding:\tchunked\r\n", chunk) + kInner,
      Post("Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n", chunk),
      Post("Transfer-Encoding: identity, chunked\r\n", chunk),
      Post("X: y\r\n Transfer-Encoding: chunked\r\n", chunk),
      Post("X: y\nTransfer-Encoding: chunked\r\n", chunk),
      Post("X: y\rTransfer-Encoding: chunked\r\n", chunk),
      Post("Content-Length: 0\r\nContent-Length: " + length + "\r\n", kInner),
      Post("Content-Length: 0, " + length + "\r\n", kInner),
      Post("Content-Length: +" + length + "\r\n", kInner),
      Post("Content-Length: 0x10\r\n", kInner),
      Post("Content-Length : " + length + "\r\n", kInner),
      Post("Content-Length: 18446744073709551616\r\n", kInner),
      Post("Transfer-Encoding: chunked\r\n", "0;" + kInner + "\r\n\r\n"),
      Post("Transfer-Encoding: chunked\r\n", "5;x=\"\n\"\r\nhello\r\n0\r\n\r\n") + kInner,
      Post("Transfer-Encoding: chunked\r\n", "0x0\r\n\r\n") + kInner,
      Post("Transfer-Encoding: chunked\r\n", "2 \r\nhi\r\n0\r\n\r\n") + kInner,
      Post("Transfer-Encoding: chunked\r\n", "2\nhi\r\n0\r\n\r\n") + kInner,
      Post("Transfer-Encoding: chunked\r\n", "2\r\nhiXX0\r\n\r\n") + kInner,
      Post("Transfer-Encoding: chunked\r\n", "0\r\nContent-Length: 5\r\n\r\n") + kInner,
      Post("Connection: Content-Length\r\nContent-Length: " + length + "\r\n", kInner) + kInner,
      Post("Connection: Transfer-Encoding, close\r\nTransfer-Encoding: chunked\r\n", chunk),
      Post("Expect: 100-continue\r\nContent-Length: " + length + "\r\n", kInner) + kInner,
      "GET /outer HTTP/1.1\r\nHost: x\r\nContent-Length: " + length + "\r\n\r\n" + kInner,
      "GET /up HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n" + kInner,
      "GET /h2c HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
      "HTTP2-Settings: AAAA\r\n\r\n" + kInner,
      "GET /two HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n" + kInner,
      "GET /\rsmuggled HTTP/1.1\r\nHost: x\r\n\r\n",
      "GET /a HTTP/1.1\r\nHost: x\r\nX: \0\r\n\r\n" + kInner,
      "GET /nine\r\n\r\n" + kInner,
  };
}

// One change, of the kinds that parsers have disagreed on.
void Mutate(std::string* bytes, std::mt19937& random) {
  static const std::string kPieces[] = {
      "\r", "\n", "\r\n", " ", "\t", std::string(1, '\0'), ":", ",", ";", "0", "1", "\x0b", "\xff", "\r\n\r\n",
      "Transfer-Encoding: chunked\r\n", "Content-Length: 5\r\n", "chunked", "Host: y\r\n", "HTTP/1.0", "0\r\n\r\n"};
  const size_t at = random() % (bytes->size() + 1);
  const std::string& piece = kPieces[random() % std::size(kPieces)];
  switch (random() % 6) {
    case 0:
    case 1:
      bytes->insert(at, piece);
      break;
    case 2:
      bytes->replace(at, std::min(piece.size(), bytes->size() - at), piece);
      break;
    case 3:
      bytes->erase(at, 1 + random() % 3);
      break;
    case 4: {  // a line once more
      const size_t line = bytes->find('\n', at);
      const size_t end = line == std::string::npos ? line : bytes->find('\n', line + 1);
      if (end != std::string::npos) bytes->insert(line + 1, bytes->substr(line + 1, end - line));
      break;
    }
    default:  // a digit or letter a little off
      if (at < bytes->size()) (*bytes)[at] = static_cast<char>((*bytes)[at] ^ (1 << random() % 6));
  }
}

TEST(Differential, SeedsReachTheBackendAsTheyAreOrNotAtAll) {
  RawBackend raw;
  Proxy proxy(ConfigFile().Workers(1).Backend(raw.backend()));
  ASSERT_TRUE(proxy.Start());
  size_t forwarded = 0;
  for (const std::string& seed : Seeds()) {
    for (const size_t step : {seed.size(), size_t{1}}) {
      const std::vector<ReadRequest> expected = ReadClient(seed);
      Exchange(proxy, seed, step, expected);
      EXPECT_TRUE(proxy.WaitIdle());
      forwarded += expected.size();
      Check(raw, seed, expected);
    }
  }
  EXPECT_GT(forwarded, 50u);
  EXPECT_EQ(raw.wrong(), std::vector<std::string>());
}

TEST(Differential, NoMutationOfThemSmugglesARequest) {
  RawBackend raw;
  Proxy proxy(ConfigFile().Workers(1).Backend(raw.backend()));
  ASSERT_TRUE(proxy.Start());
  std::mt19937 random(20261125);  // the same ones in each run
  const std::vector<std::string> seeds = Seeds();
  size_t reached = 0;
  for (int i = 0; i < 3000 && !HasFailure(); ++i) {
    std::string bytes = seeds[random() % seeds.size()];
    for (size_t changes = 1 + random() % 3; changes > 0; --changes) Mutate(&bytes, random);
    const std::vector<ReadRequest> expected = ReadClient(bytes);
    Exchange(proxy, bytes, bytes.size(), expected);
    if (i % 50 == 0) {
      EXPECT_TRUE(proxy.WaitIdle());
    }
    const std::vector<ReadRequest> seen = raw.Take();
    reached += seen.size();
    ASSERT_LE(seen.size(), expected.size()) << i << ": " << seen.back().target << "\nfrom:\n" << bytes;
    for (size_t n = 0; n < seen.size(); ++n) {
      EXPECT_EQ(seen[n].method + " " + seen[n].target + " " + seen[n].body,
                expected[n].method + " " + expected[n].target + " " + expected[n].body)
          << i << ":\n" << bytes;
    }
  }
  EXPECT_TRUE(proxy.WaitIdle());
  EXPECT_TRUE(raw.Take().empty()) << "nothing comes late";
  EXPECT_EQ(raw.wrong(), std::vector<std::string>());
  EXPECT_GT(reached, 500u);
}

}  // namespace
}  // namespace ub::itest
