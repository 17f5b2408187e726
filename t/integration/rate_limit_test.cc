// Rate limiting: counted answers over one and more workers, what a refused client is told, and who
// counts as one client.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <vector>

#include "client.h"
#include "fake_backend.h"
#include "proxy.h"

namespace ub::itest {
namespace {

using Clock = std::chrono::steady_clock;

double SecondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

std::string Limit(int rate, int burst, std::string_view more = "") {
  return fmt::format("{{ enabled: true, requests_per_second: {}, burst: {}{}{} }}", rate, burst,
                     more.empty() ? "" : ", ", more);
}

// Kept-alive connections, spread over all the workers.
class Crowd {
 public:
  explicit Crowd(Proxy& proxy, size_t connections) {
    for (size_t i = 0; i < connections; ++i) {
      clients_.push_back(std::make_unique<Client>(proxy.endpoint()));
    }
  }
  int Ask(std::string_view fields = "") {
    next_ = (next_ + 1) % clients_.size();
    return clients_[next_]->Get("/size/1/1", fields).status;
  }

 private:
  std::vector<std::unique_ptr<Client>> clients_;
  size_t next_ = 0;
};

// A bucket of which it takes a minute to fill half again, and less to spend: no stall of the
// machine matters.
constexpr int kBurst = 120;

// Asks until it is refused; the number of requests that were served.
int Spend(Proxy& proxy, std::string_view fields = "", Response* refusal = nullptr) {
  Client client(proxy.endpoint());
  int served = 0;
  Response answer = client.Get("/", fields);
  for (; answer.status == 200 && served < 10 * kBurst; answer = client.Get("/", fields)) ++served;
  EXPECT_EQ(answer.status, 429) << answer.Outcome();
  if (refusal != nullptr) *refusal = std::move(answer);
  return served;
}

// Requests that are served between two moments at which the bucket was seen empty: what came back
// meanwhile, and that is the rate times the time, whatever the machine did. The bucket holds two
// seconds' worth, so that no stall makes it full.
void ExpectExactRate(int workers, double seconds) {
  constexpr int kRate = 600;
  FakeBackend backend;
  Proxy proxy(
      ConfigFile().Workers(workers).Backend(backend).Set("rate_limit", Limit(kRate, 2 * kRate)));
  ASSERT_TRUE(proxy.Start());
  Crowd crowd(proxy, static_cast<size_t>(workers) * 8);
  // The bucket looked at its clock somewhere between the two.
  Clock::time_point asked, told;
  const auto ask = [&] {
    asked = Clock::now();
    const int status = crowd.Ask();
    told = Clock::now();
    return status;
  };
  const auto seconds_between = [](Clock::time_point from, Clock::time_point to) {
    return std::chrono::duration<double>(to - from).count();
  };
  int burst = 0;
  const auto begun = Clock::now();
  while (ask() == 200) ++burst;
  EXPECT_GE(burst, 2 * kRate);
  EXPECT_LE(burst, 2 * kRate + kRate * SecondsSince(begun) + 1);

  const auto first_asked = asked, first_told = told;
  uint64_t served = 0, refused = 0;
  for (int status = 0; seconds_between(first_told, told) < seconds || status != 429;) {
    status = ask();
    ASSERT_TRUE(status == 200 || status == 429) << status;
    (status == 200 ? served : refused)++;
  }
  EXPECT_GE(static_cast<double>(served), kRate * seconds_between(first_told, asked) * 0.98 - 2) << workers << " workers";
  EXPECT_LE(static_cast<double>(served), kRate * seconds_between(first_asked, told) * 1.02 + 2) << workers << " workers";
  EXPECT_EQ(proxy.Total(&ProcessRow::rate_limited), refused + 1);
  EXPECT_EQ(backend.requests(), static_cast<uint64_t>(burst) + served) << "no refused one went on";
  size_t busy = 0;
  for (uint32_t r = 0; r < proxy.segment().processes(); ++r)
    busy += proxy.segment().row(r).requests > 0;
  EXPECT_GE(busy, std::min<size_t>(static_cast<size_t>(workers), 2))
      << "one limit over several processes";
}

TEST(RateLimit, IsExactWithOneWorker) { ExpectExactRate(1, 2); }
TEST(RateLimit, IsExactWithTwoWorkers) { ExpectExactRate(2, 2); }
TEST(RateLimit, IsExactWithFourWorkers) { ExpectExactRate(4, 2); }

TEST(RateLimit, RefusedClientIsToldWhenToComeBack) {
  const FakeBackend backend;
  Proxy proxy(ConfigFile().Workers(1).Backend(backend).Set("rate_limit", Limit(1, 3)));
  ASSERT_TRUE(proxy.Start());
  Client client(proxy.endpoint());
  Response answer = client.Get();
  for (; answer.status == 200; answer = client.Get("/", "Accept: application/json\r\n")) {
    EXPECT_FALSE(answer.Has("RateLimit-Limit"));
  }
  EXPECT_EQ(answer.status, 429);
  EXPECT_EQ(answer.reason, "Too Many Requests");
  EXPECT_EQ(answer.Value("Retry-After"), "1");
  EXPECT_EQ(answer.Value("RateLimit-Limit"), "3");
  EXPECT_EQ(answer.Value("RateLimit-Remaining"), "0");
  EXPECT_EQ(answer.Value("RateLimit-Reset"), "3");
  EXPECT_TRUE(Contains(answer.body, "\"status\":429")) << answer.body;
  EXPECT_TRUE(Contains(answer.body, answer.Value("X-Request-ID")));
  EXPECT_TRUE(client.StillOpen());
  EXPECT_TRUE(WaitFor([&] { return client.Get().status == 200; }))
      << "a second later there is another";
}

TEST(RateLimit, RefusedBodyDoesNotReachTheBackend) {
  FakeBackend backend;
  Proxy proxy(ConfigFile().Workers(1).Backend(backend).Set("rate_limit", Limit(1, 1)));
  ASSERT_TRUE(proxy.Start());
  EXPECT_EQ(FetchOnce(proxy.endpoint()).status, 200);
  Client client(proxy.endpoint());
  EXPECT_EQ(client.Ask("POST", "/", "", std::string(100'000, 'x')).status, 429);
  EXPECT_EQ(backend.requests(), 1u);
  EXPECT_TRUE(proxy.WaitIdle());
}

TEST(RateLimit, OffByDefault) {
  const FakeBackend backend;
  Proxy proxy(ConfigFile().Workers(1).Backend(backend));
  ASSERT_TRUE(proxy.Start());
  Client client(proxy.endpoint());
  for (int i = 0; i < 500; ++i) ASSERT_EQ(client.Get().status, 200);
}

TEST(RateLimit, ExemptNetworksAreNotCounted) {
  const FakeBackend backend;
  Proxy proxy(ConfigFile().Workers(1).Backend(backend).Set(
      "rate_limit", Limit(1, 1, "exempt: [ \"10.0.0.0/8\", \"127.0.0.0/8\" ]")));
  ASSERT_TRUE(proxy.Start());
  Client client(proxy.endpoint());
  for (int i = 0; i < 20; ++i) EXPECT_EQ(client.Get().status, 200);
  EXPECT_EQ(proxy.Total(&ProcessRow::rate_limited), 0u);
}

// Behind a trusted proxy the client is whom X-Forwarded-For names; IPv6 clients count by their /64.
TEST(RateLimit, ClientIsTheOneBehindTheTrustedProxy) {
  const FakeBackend backend;
  Proxy proxy(ConfigFile()
                  .Workers(1)
                  .Backend(backend)
                  .Set("forwarded", "{ trust: [ 127.0.0.1 ] }")
                  .Set("rate_limit", Limit(1, kBurst)));
  ASSERT_TRUE(proxy.Start());
  const auto spend = [&](std::string_view from) {
    return Spend(proxy, fmt::format("X-Forwarded-For: {}\r\n", from));
  };
  for (const char* const from : {"192.0.2.1", "192.0.2.2", "2001:db8:0:1::1", "2001:db8:0:2::1"}) {
    EXPECT_GE(spend(from), kBurst) << from;
    EXPECT_LT(spend(from), kBurst / 2) << from;
  }
  EXPECT_LT(spend("2001:db8:0:1:ffff::2"), kBurst / 2) << "the same /64";
  EXPECT_GE(spend("2001:db8:0:3::1"), kBurst) << "another";
}

TEST(RateLimit, ForwardedForOfAStrangerChangesNothing) {
  const FakeBackend backend;
  Proxy proxy(ConfigFile().Workers(1).Backend(backend).Set("rate_limit", Limit(1, kBurst)));
  ASSERT_TRUE(proxy.Start());
  EXPECT_GE(Spend(proxy, "X-Forwarded-For: 192.0.2.1\r\n"), kBurst);
  EXPECT_LT(Spend(proxy, "X-Forwarded-For: 192.0.2.2\r\n"), kBurst / 2);
}

TEST(RateLimit, KeyMayBeAHeaderOrACookie) {
  for (const auto& [key, field] : {std::pair("header:X-Api-Key", "X-API-KEY: {}\r\n"),
                                   std::pair("cookie:sid", "Cookie: a=b; sid={}; c=d\r\n")}) {
    const FakeBackend backend;
    Proxy proxy(ConfigFile().Workers(1).Backend(backend).Set(
        "rate_limit", Limit(1, kBurst, fmt::format("key: \"{}\"", key))));
    ASSERT_TRUE(proxy.Start());
    const auto spend = [&](std::string_view who) {
      return Spend(proxy, fmt::format(fmt::runtime(field), who));
    };
    EXPECT_GE(spend("alice"), kBurst);
    EXPECT_LT(spend("alice"), kBurst / 2);
    EXPECT_GE(spend("bob"), kBurst);
    EXPECT_GE(Spend(proxy), kBurst) << "without it the address counts";
    EXPECT_LT(Spend(proxy), kBurst / 2);
  }
}

TEST(RateLimit, ReloadChangesTheSettingsAndKeepsTheBuckets) {
  const FakeBackend backend;
  ConfigFile config;
  config.Workers(2).Backend(backend).Set("rate_limit", Limit(1, kBurst));
  Proxy proxy(config);
  ASSERT_TRUE(proxy.Start());
  config.Listen(proxy.endpoint());
  EXPECT_GE(Spend(proxy), kBurst);
  config.Set("rate_limit", Limit(1, kBurst + 1));
  ASSERT_TRUE(proxy.Reload(config));
  Response last;
  EXPECT_LT(Spend(proxy, "", &last), kBurst / 2);
  EXPECT_EQ(last.Value("RateLimit-Limit"), std::to_string(kBurst + 1));
  config.Set("rate_limit", "{ enabled: false }");
  ASSERT_TRUE(proxy.Reload(config));
  Client client(proxy.endpoint());
  for (int i = 0; i < 2 * kBurst; ++i) EXPECT_EQ(client.Get().status, 200);
}

TEST(RateLimit, OutlivesAKilledWorker) {
  const FakeBackend backend;
  Proxy proxy(ConfigFile().Workers(1).Backend(backend).Set("rate_limit", Limit(1, kBurst)));
  ASSERT_TRUE(proxy.Start());
  EXPECT_GE(Spend(proxy), kBurst);
  const pid_t old = proxy.Workers().at(0);
  kill(old, SIGKILL);
  ASSERT_TRUE(WaitFor([&] { return !Alive(old) && proxy.WaitWorkers(1); }));
  EXPECT_LT(Spend(proxy), kBurst / 2) << "the new worker goes on with the buckets of the old one";
}

}  // namespace
}  // namespace ub::itest
