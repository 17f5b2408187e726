// The hot path takes nothing from the heap: once its pools are warm, a request costs no allocation in the worker.
//
// Every allocation of this program is counted: C++'s by the operators replaced here, and those of C libraries by jemalloc
// where the build has it. The peers of these tests keep what they read on the stack.
#include <array>
#include <atomic>
#include <cstdlib>
#include <new>

#include "http/access_log.h"
#include "proxy_fixture.h"

#if __has_include("build_config.h")
#include "build_config.h"
#endif
#if defined(UB_HAVE_JEMALLOC) && UB_HAVE_JEMALLOC
#include <jemalloc/jemalloc.h>
#endif

namespace {

std::atomic<uint64_t> allocations{0};

void* Allocate(size_t bytes) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  void* const memory = std::malloc(bytes == 0 ? 1 : bytes);
  if (memory == nullptr) std::abort();
  return memory;
}

// Bytes that this thread has ever taken from jemalloc, by whatever name.
uint64_t BytesTaken() {
#if defined(UB_HAVE_JEMALLOC) && UB_HAVE_JEMALLOC
  uint64_t bytes = 0;
  size_t length = sizeof bytes;
  EXPECT_EQ(mallctl("thread.allocated", &bytes, &length, nullptr, 0), 0);
  return bytes;
#else
  return 0;
#endif
}

}  // namespace

void* operator new(size_t bytes) { return Allocate(bytes); }
void* operator new[](size_t bytes) { return Allocate(bytes); }
void* operator new(size_t bytes, const std::nothrow_t&) noexcept { return Allocate(bytes); }
void* operator new[](size_t bytes, const std::nothrow_t&) noexcept { return Allocate(bytes); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, size_t) noexcept { std::free(memory); }

namespace ub {
namespace {

class AllocationTest : public ProxyTest {
 protected:
  // Waits until `fd` has sent `bytes` bytes, turning the loop meanwhile.
  void Receive(int fd, size_t bytes) {
    std::array<char, 65536> into;
    for (int turns = 0; bytes > 0; ++turns) {
      RunTurns(1);
      const ssize_t n = recv(fd, into.data(), std::min(bytes, into.size()), MSG_DONTWAIT);
      if (n > 0) bytes -= static_cast<size_t>(n);
      ASSERT_LT(turns, 1'000'000) << bytes << " bytes did not come";
    }
  }
  void Say(int fd, std::string_view bytes) {
    ASSERT_EQ(send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL), static_cast<ssize_t>(bytes.size()));
  }
  // Exchanges that are alike, after the first few have shown how long each message is.
  void ExpectNone(std::string_view request, std::string_view response) {
    Peer& client = Connect(request);
    Peer& backend = Accept();
    AwaitHead(backend);
    RunTurns(20);
    backend.Look();
    backend.Send(response);
    AwaitHead(client);
    RunTurns(20);
    client.Look();
    const size_t request_bytes = backend.got.size(), response_bytes = client.got.size();
    const auto exchange = [&] {
      Say(client.fd.get(), request);
      Receive(backend.fd.get(), request_bytes);
      Say(backend.fd.get(), response);
      Receive(client.fd.get(), response_bytes);
    };
    for (int i = 0; i < 32; ++i) exchange();
    const uint64_t before = allocations.load(), bytes_before = BytesTaken();
    for (int i = 0; i < 500; ++i) exchange();
    EXPECT_EQ(allocations.load() - before, 0u) << "in 500 requests";
    EXPECT_EQ(BytesTaken() - bytes_before, 0u) << "in 500 requests";
    EXPECT_EQ(Responses(2), 533u);
  }

  static constexpr std::string_view kGet =
      "GET /path?query=1 HTTP/1.1\r\nHost: www.example.org\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\n"
      "Accept: text/html\r\nCookie: session=0123456789abcdef\r\nX-Forwarded-For: 198.51.100.7\r\n\r\n";
  static constexpr std::string_view kOk = "HTTP/1.1 200 OK\r\nServer: x\r\nContent-Length: 5\r\n\r\nhello";
};

TEST_F(AllocationTest, TheCountersCount) {
  const uint64_t before = allocations.load(), bytes_before = BytesTaken();
  auto* volatile number = new int(1);
  EXPECT_EQ(allocations.load() - before, 1u);
#if defined(UB_HAVE_JEMALLOC) && UB_HAVE_JEMALLOC
  EXPECT_GT(BytesTaken(), bytes_before);
#else
  EXPECT_EQ(BytesTaken(), bytes_before);
#endif
  delete number;
}

TEST_F(AllocationTest, NoneForAGet) {
  Start();
  ExpectNone(kGet, kOk);
}

TEST_F(AllocationTest, NoneForAPostWithItsBody) {
  Start();
  const std::string body(16384, 'b');
  ExpectNone("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 16384\r\n\r\n" + body, kOk);
}

TEST_F(AllocationTest, NoneForChunksAndTrailers) {
  Start();
  ExpectNone("PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
             "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\nX-Sum: 11\r\n\r\n");
}

TEST_F(AllocationTest, NoneForALargeResponse) {
  Start();
  ExpectNone(kGet, "HTTP/1.1 200 OK\r\nContent-Length: 65536\r\n\r\n" + std::string(65536, 'r'));
}

TEST_F(AllocationTest, NoneWithRateLimitingStickinessAndTheAccessLog) {
  config_.rate_limit.enabled = true;
  config_.rate_limit.requests_per_second = 1000000;
  config_.rate_limit.burst = 1000000;
  config_.algorithm = "ip-hash";
  Start(3);
  context_->stages.Configure(config_, pool_->shm(), 1);
  const UniqueFd null(open("/dev/null", O_WRONLY | O_CLOEXEC));
  config_.logging.access_log = "/dev/null";
  access_log_->Configure(config_.logging, null.get());
  ASSERT_TRUE(access_log_->on());
  ExpectNone(kGet, kOk);
}

}  // namespace
}  // namespace ub
