// Bodies that do not fit anywhere: intact, in bounded memory, at the pace of the slower side.
//
// UB_LARGE_BODY: bytes of the largest bodies; default 1 GiB, 64 MiB where the tests are
// instrumented.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <thread>

#include "client.h"
#include "fake_backend.h"
#include "proxy.h"

namespace ub::itest {
namespace {

constexpr uint64_t kMiB = 1024 * 1024;
constexpr size_t kPiece = 256 * 1024;
constexpr uint64_t kSeed = 99;

uint64_t LargeBody() {
  const char* text = getenv("UB_LARGE_BODY");
  if (text != nullptr) return strtoull(text, nullptr, 10);
  return Instrumented() ? 64 * kMiB : 1024 * kMiB;
}

// Watches the anonymous memory of the workers until it goes out of scope.
class MemoryWatch {
 public:
  explicit MemoryWatch(Proxy& proxy) : proxy_(proxy), start_(proxy.LargestWorkerRss()) {
    thread_ = std::thread([this] {
      while (!stop_) {
        peak_ = std::max(peak_.load(), proxy_.LargestWorkerRss());
        std::this_thread::sleep_for(Millis(5));  // the interval of the samples
      }
    });
  }
  ~MemoryWatch() { Growth(); }
  uint64_t Growth() {
    stop_ = true;
    if (thread_.joinable()) thread_.join();
    return peak_ > start_ ? peak_ - start_ : 0;
  }

 private:
  Proxy& proxy_;
  const uint64_t start_;
  std::atomic<uint64_t> peak_{0};
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

// What a worker may grow by while bodies pass through. A sanitizer's allocator keeps freed memory
// for a while.
uint64_t Bound() { return (Instrumented() ? 128 : 8) * kMiB; }

// Sends `bytes` of the pattern with the framing that its head announced; false where the peer broke
// off.
bool SendPatternBody(Socket& socket, uint64_t bytes, bool chunked) {
  std::string piece(kPiece, '\0');
  for (uint64_t at = 0; at < bytes; at += kPiece) {
    const auto size = static_cast<size_t>(std::min<uint64_t>(kPiece, bytes - at));
    FillPattern(kSeed, at, piece.data(), size);
    if (chunked && socket.Send(fmt::format("{:x}\r\n", size)) != Io::kOk) return false;
    if (socket.Send(std::string_view(piece).substr(0, size)) != Io::kOk) return false;
    if (chunked && socket.Send("\r\n") != Io::kOk) return false;
  }
  return !chunked || socket.Send("0\r\n\r\n") == Io::kOk;
}

std::string FramingField(uint64_t bytes, bool chunked) {
  return chunked ? "Transfer-Encoding: chunked\r\n" : fmt::format("Content-Length: {}\r\n", bytes);
}

// Checks an upload against the pattern and answers with what it found.
FakeBackend::Options Checker() {
  FakeBackend::Options options;
  options.read_bodies = false;
  options.record = false;
  options.handler = [](Exchange& exchange) {
    PatternCheck check(kSeed);
    const ReadResult read = exchange.ReadBody([&](std::string_view piece) { check.Feed(piece); });
    exchange.Reply(200, fmt::format("{} {} {}", Name(read), check.intact(), check.bytes()));
  };
  return options;
}

void Upload(uint64_t bytes, bool chunked) {
  const FakeBackend backend(Checker());
  Proxy proxy(ConfigFile().Workers(1).Backend(backend));
  ASSERT_TRUE(proxy.Start());
  MemoryWatch memory(proxy);
  Client client(proxy.endpoint());
  client.Send("POST /upload HTTP/1.1\r\nHost: x\r\n" + FramingField(bytes, chunked) + "\r\n");
  EXPECT_TRUE(SendPatternBody(client.socket(), bytes, chunked));
  const Response response = client.Read("POST");
  EXPECT_EQ(response.status, 200) << response.Outcome();
  EXPECT_EQ(response.body, fmt::format("ok true {}", bytes));
  EXPECT_LE(memory.Growth(), Bound());
  EXPECT_EQ(client.Get("/after").status, 200) << "the connection is in step";
}

void Download(uint64_t bytes, bool chunked) {
  FakeBackend::Options options;
  options.handler = [=](Exchange& exchange) {
    exchange.Send("HTTP/1.1 200 OK\r\n" + FramingField(bytes, chunked) + "\r\n");
    SendPatternBody(exchange.socket(), bytes, chunked);
  };
  const FakeBackend backend(options);
  Proxy proxy(ConfigFile().Workers(1).Backend(backend));
  ASSERT_TRUE(proxy.Start());
  MemoryWatch memory(proxy);
  Client client(proxy.endpoint());
  client.Send(RequestText("GET", "/download"));
  PatternCheck check(kSeed);
  const Response response = client.Read("GET", [&](std::string_view piece) { check.Feed(piece); });
  EXPECT_TRUE(response.ok()) << response.Outcome();
  EXPECT_TRUE(check.intact());
  EXPECT_EQ(check.bytes(), bytes);
  EXPECT_LE(memory.Growth(), Bound());
  EXPECT_TRUE(client.StillOpen());
}

TEST(Bodies, OneMiBUpWithLength) { Upload(kMiB, false); }
TEST(Bodies, OneMiBUpChunked) { Upload(kMiB, true); }
TEST(Bodies, OneMiBDownWithLength) { Download(kMiB, false); }
TEST(Bodies, OneMiBDownChunked) { Download(kMiB, true); }
TEST(Bodies, SizesAroundBuffersAreIntact) {
  for (const uint64_t bytes : {1u, 4095u, 4096u, 16383u, 16384u, 16385u, 65536u, 131073u}) {
    for (const bool chunked : {false, true}) {
      SCOPED_TRACE(fmt::format("{} bytes, chunked {}", bytes, chunked));
      Upload(bytes, chunked);
      Download(bytes, chunked);
    }
  }
}
TEST(Bodies, OneGiBUpWithLength) { Upload(LargeBody(), false); }
TEST(Bodies, OneGiBUpChunked) { Upload(LargeBody(), true); }
TEST(Bodies, OneGiBDownWithLength) { Download(LargeBody(), false); }
TEST(Bodies, OneGiBDownChunked) { Download(LargeBody(), true); }

// Pushes until nothing was taken for a while; the bytes that went out.
uint64_t PushUntilStuck(Socket& socket, uint64_t most) {
  uint64_t sent = 0;
  std::string piece(kPiece, '\0');
  while (sent < most) {
    FillPattern(kSeed, sent, piece.data(), piece.size());
    const auto room = static_cast<size_t>(std::min<uint64_t>(kPiece, most - sent));
    size_t taken = 0;
    if (!WaitFor(
            [&] { return (taken = socket.SendSome(std::string_view(piece).substr(0, room))) > 0; },
            Millis(300))) {
      return sent;
    }
    sent += taken;
  }
  return sent;
}

constexpr uint64_t kTooMuch = 256 * kMiB;  // no sum of socket buffers holds that

TEST(Bodies, SlowClientStopsTheReadingOfTheBackend) {
  std::atomic<uint64_t> pushed{0};
  Gate stuck;
  FakeBackend::Options options;
  options.handler = [&](Exchange& exchange) {
    exchange.Send(fmt::format("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", kTooMuch));
    uint64_t sent = PushUntilStuck(exchange.socket(), kTooMuch);
    pushed = sent;
    stuck.Open();
    std::string piece(kPiece, '\0');
    for (; sent < kTooMuch; sent += piece.size()) {
      piece.resize(static_cast<size_t>(std::min<uint64_t>(kPiece, kTooMuch - sent)));
      FillPattern(kSeed, sent, piece.data(), piece.size());
      if (exchange.Send(piece) != Io::kOk) return;
    }
  };
  const FakeBackend backend(options);
  Proxy proxy(ConfigFile().Workers(1).Backend(backend));
  ASSERT_TRUE(proxy.Start());
  MemoryWatch memory(proxy);
  Client client(proxy.endpoint(), 64 * 1024);
  client.Send(RequestText("GET", "/"));
  ASSERT_TRUE(stuck.Wait(Millis(60000)));
  EXPECT_LT(pushed, kTooMuch) << "somebody took it all while the client read nothing";
  PatternCheck check(kSeed);
  const Response response = client.Read("GET", [&](std::string_view piece) { check.Feed(piece); });
  EXPECT_TRUE(response.ok()) << response.Outcome();
  EXPECT_TRUE(check.intact());
  EXPECT_EQ(check.bytes(), kTooMuch);
  EXPECT_LE(memory.Growth(), Bound());
}

TEST(Bodies, SlowBackendStopsTheReadingOfTheClient) {
  Gate read_on;
  FakeBackend::Options options = Checker();
  options.receive_buffer = 64 * 1024;
  options.handler = [&, check = options.handler](Exchange& exchange) {
    exchange.Wait(read_on);
    check(exchange);
  };
  const FakeBackend backend(options);
  Proxy proxy(ConfigFile().Workers(1).Backend(backend));
  ASSERT_TRUE(proxy.Start());
  MemoryWatch memory(proxy);
  Client client(proxy.endpoint());
  client.Send("POST / HTTP/1.1\r\nHost: x\r\n" + FramingField(kTooMuch, false) + "\r\n");
  uint64_t sent = PushUntilStuck(client.socket(), kTooMuch);
  EXPECT_LT(sent, kTooMuch) << "somebody took it all while the backend read nothing";
  read_on.Open();
  std::string piece(kPiece, '\0');
  for (; sent < kTooMuch; sent += piece.size()) {
    piece.resize(static_cast<size_t>(std::min<uint64_t>(kPiece, kTooMuch - sent)));
    FillPattern(kSeed, sent, piece.data(), piece.size());
    ASSERT_EQ(client.Send(piece), Io::kOk);
  }
  EXPECT_EQ(client.Read("POST").body, fmt::format("ok true {}", kTooMuch));
  EXPECT_LE(memory.Growth(), Bound());
}

TEST(Bodies, SlowClientDoesNotSlowTheOthersOfItsWorker) {
  const FakeBackend backend;
  Proxy proxy(ConfigFile().Workers(1).Backend(backend));
  ASSERT_TRUE(proxy.Start());
  Client slow(proxy.endpoint(), 64 * 1024);
  slow.Send(RequestText("GET", fmt::format("/size/{}/1", 64 * kMiB)));
  ASSERT_TRUE(WaitFor([&] { return backend.concurrent() == 1; }));
  Client quick(proxy.endpoint());
  for (int i = 0; i < 50; ++i) EXPECT_EQ(quick.Get("/size/1000/2").body, Pattern(2, 1000));
}

}  // namespace
}  // namespace ub::itest
