// Requests spread over backends, from and to every kind of address.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "client.h"
#include "fake_backend.h"
#include "load_generator.h"
#include "proxy.h"

namespace ub::itest {
namespace {

FakeBackend::Options Named(std::string name, Endpoint at = Endpoint::V4(0)) {
  FakeBackend::Options options;
  options.name = std::move(name);
  options.at = std::move(at);
  return options;
}

// Names of the backends that answered `count` requests on one connection, in order.
std::vector<std::string> Answerers(const Endpoint& to, int count) {
  std::vector<std::string> names;
  Client client(to);
  for (int i = 0; i < count; ++i) {
    const Response response = client.Get();
    EXPECT_EQ(response.status, 200) << response.Outcome();
    names.push_back(response.Value("X-Backend"));
  }
  return names;
}

TEST(Proxying, RoundRobinSpreadsEvenlyOverThreeBackends) {
  const FakeBackend a(Named("a")), b(Named("b")), c(Named("c"));
  Proxy proxy(ConfigFile().Workers(1).Backend(a).Backend(b).Backend(c));
  ASSERT_TRUE(proxy.Start());
  const auto names = Answerers(proxy.endpoint(), 300);
  for (const char* name : {"a", "b", "c"}) {
    EXPECT_EQ(std::count(names.begin(), names.end(), name), 100) << name;
  }
  for (size_t i = 3; i < names.size(); ++i) EXPECT_EQ(names[i], names[i - 3]);
}

TEST(Proxying, SpreadsOverBackendsFromEveryWorker) {
  const FakeBackend a(Named("a")), b(Named("b")), c(Named("c"));
  Proxy proxy(ConfigFile().Workers(2).Backend(a).Backend(b).Backend(c));
  ASSERT_TRUE(proxy.Start());
  for (int i = 0; i < 60; ++i) Answerers(proxy.endpoint(), 5);
  // Each worker is fair by itself; a turn or two of each may be unfinished.
  for (const auto* backend : {&a, &b, &c}) EXPECT_NEAR(double(backend->requests()), 100, 2);
  int accepting = 0;
  for (uint32_t r = 0; r < proxy.segment().processes(); ++r) {
    accepting += proxy.segment().row(r).requests.load() > 0 ? 1 : 0;
  }
  EXPECT_EQ(accepting, 2) << "60 connections went to one worker";
}

TEST(Proxying, WeightsShareTheRequestsSmoothly) {
  const FakeBackend heavy(Named("heavy")), light(Named("light"));
  Proxy proxy(ConfigFile().Workers(1).Backend(heavy, "weight: 300").Backend(light, "weight: 100"));
  ASSERT_TRUE(proxy.Start());
  const auto names = Answerers(proxy.endpoint(), 200);
  EXPECT_EQ(std::count(names.begin(), names.end(), "heavy"), 150);
  for (size_t i = 0; i + 4 <= names.size(); ++i) {
    EXPECT_EQ(std::count(names.begin() + long(i), names.begin() + long(i) + 4, "light"), 1)
        << "not spread evenly at request " << i;
  }
}

TEST(Proxying, LeastConnectionsAvoidsABusyBackendFromEveryWorker) {
  Gate release;
  const auto handler = [&release](Exchange& exchange) {
    if (exchange.request.target == "/hold") exchange.Wait(release);
    FakeBackend::Serve(exchange);
  };
  FakeBackend::Options first = Named("first"), second = Named("second");
  first.handler = second.handler = handler;
  const FakeBackend a(first), b(second);
  Proxy proxy(ConfigFile().Workers(2).Set("algorithm", "least-connections").Backend(a).Backend(b));
  ASSERT_TRUE(proxy.Start());
  Client busy(proxy.endpoint());
  busy.Send(RequestText("GET", "/hold"));
  ASSERT_TRUE(WaitFor([&] { return a.concurrent() + b.concurrent() == 1; }));
  const std::string other = a.concurrent() == 1 ? "second" : "first";
  for (int i = 0; i < 40; ++i) {
    // A backend counts its request done before the balancer has read the answer: wait for that too.
    ASSERT_TRUE(WaitFor([&] { return proxy.InFlight() == 1; }));
    EXPECT_EQ(FetchOnce(proxy.endpoint()).Value("X-Backend"), other);
  }
  release.Open();
  EXPECT_EQ(busy.Read().status, 200);
  EXPECT_TRUE(proxy.WaitIdle());
}

TEST(Proxying, BackupServesOnlyWhenTheOthersCannot) {
  FakeBackend a(Named("a"));
  const FakeBackend backup(Named("backup"));
  Proxy proxy(ConfigFile().Workers(1).Backend(a).Backend(backup, "backup: true"));
  ASSERT_TRUE(proxy.Start());
  for (const auto& name : Answerers(proxy.endpoint(), 10)) EXPECT_EQ(name, "a");
  a.Stop();
  for (const auto& name : Answerers(proxy.endpoint(), 5)) EXPECT_EQ(name, "backup");
}

TEST(Proxying, Ipv6OnBothSides) {
  const FakeBackend backend(Named("six", Endpoint::V6(0)));
  Proxy proxy(ConfigFile().Listen(Endpoint::V6(FreePort())).Backend(backend));
  ASSERT_TRUE(proxy.Start());
  const Response response = FetchOnce(proxy.endpoint(), "/size/1000/3");
  EXPECT_EQ(response.status, 200) << response.Outcome();
  EXPECT_EQ(response.body, Pattern(3, 1000));
  EXPECT_EQ(backend.last().Value("X-Forwarded-For"), "::1");
}

TEST(Proxying, UnixSocketsOnBothSides) {
  const TempDir dir;
  const FakeBackend backend(Named("unix", Endpoint::Unix(dir.Path("backend.sock"))));
  Proxy proxy(ConfigFile().Listen(Endpoint::Unix(dir.Path("front.sock"))).Backend(backend));
  ASSERT_TRUE(proxy.Start());
  for (int i = 0; i < 10; ++i) {
    const Response response = FetchOnce(proxy.endpoint(), "/size/1000/3");
    EXPECT_EQ(response.status, 200) << response.Outcome();
    EXPECT_EQ(response.body, Pattern(3, 1000));
  }
}

TEST(Proxying, SeveralListenAddressesServeTheSameBackends) {
  const TempDir dir;
  const FakeBackend backend;
  Proxy proxy(ConfigFile()
                  .Listen(Endpoint::V4(FreePort()))
                  .Listen(Endpoint::V6(FreePort()))
                  .Listen(Endpoint::Unix(dir.Path("front.sock")))
                  .Backend(backend));
  ASSERT_TRUE(proxy.Start());
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(FetchOnce(proxy.endpoint(i)).status, 200) << proxy.endpoint(i).Text();
  }
}

TEST(Proxying, CountersTellWhatHappened) {
  const FakeBackend backend;
  Proxy proxy(ConfigFile().Workers(2).Backend(backend));
  ASSERT_TRUE(proxy.Start());
  Answerers(proxy.endpoint(), 7);
  FetchOnce(proxy.endpoint(), "/size/100000/1");
  ASSERT_TRUE(WaitFor([&] { return proxy.Total(&ProcessRow::requests) == 8; }));
  EXPECT_EQ(proxy.Total(&ProcessRow::requests), 8u);
  EXPECT_GE(proxy.Total(&ProcessRow::bytes_sent), 100000u);
  EXPECT_EQ(proxy.Total(&ProcessRow::upstream_connects), backend.accepted());
  EXPECT_EQ(proxy.Total(&ProcessRow::upstream_connects) + proxy.Total(&ProcessRow::upstream_reuses),
            8u);
  EXPECT_TRUE(WaitFor([&] { return proxy.Connections() == 0; }));
}

TEST(Proxying, LoadOverAllBackendsIsAnsweredWithoutAFault) {
  OnceCheck once;
  FakeBackend::Options options;
  options.record = false;
  options.handler = once.Wrap();
  const FakeBackend a(options), b(options), c(options);
  Proxy proxy(ConfigFile().Workers(2).Backend(a).Backend(b).Backend(c));
  ASSERT_TRUE(proxy.Start());
  LoadGenerator load(proxy.endpoint(), {.connections = 32});
  load.Start();
  EXPECT_TRUE(load.WaitAnswers(5000, Millis(30000)));
  const LoadReport report = load.Stop();
  EXPECT_EQ(report.failed + report.closed + report.asked_to_close, 0u) << report.Summary();
  EXPECT_EQ(once.repeated(), 0u);
  EXPECT_EQ(a.malformed() + b.malformed() + c.malformed(), 0u);
  EXPECT_TRUE(proxy.WaitIdle());
  EXPECT_EQ(proxy.Stop(), 0);
}

}  // namespace
}  // namespace ub::itest
