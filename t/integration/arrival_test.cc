// New connections: who they are from, how many one client may have, how fast it must send; and Via.
#include <gtest/gtest.h>

#include <csignal>
#include <memory>
#include <thread>

#include "client.h"
#include "fake_backend.h"
#include "proxy.h"

namespace ub::itest {
namespace {

using std::string_view_literals::operator""sv;

constexpr std::string_view kLine = "PROXY TCP4 203.0.113.7 198.51.100.2 4711 80\r\n";
constexpr std::string_view kBinary =
    "\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x14\xcb\0\x71\x08\xc6\x33\x64\x02\x12\x67\0\x50\x20\0\x05\x01\0\0\0\0"sv;

ConfigFile Accepting(const FakeBackend& backend, const std::string& trust) {
  return ConfigFile().Workers(1).Backend(backend).Set(
      "proxy_protocol", "{ accept: true, trust: [ \"" + trust + "\" ] }");
}

TEST(ProxyProtocol, NamesTheClientOfATrustedPeer) {
  const FakeBackend backend;
  Proxy proxy(Accepting(backend, "127.0.0.0/8"));
  ASSERT_TRUE(proxy.Start());
  for (const std::string_view head : {kLine, kBinary}) {
    const bool binary = head == kBinary;
    const std::string ip = binary ? "203.0.113.8" : "203.0.113.7";
    for (const size_t step : {size_t{1000}, size_t{1}}) {
      Client client(proxy.endpoint());
      const std::string all = std::string(head) + RequestText("GET", "/a") + RequestText("GET", "/b");
      for (size_t at = 0; at < all.size(); at += step) client.Send(std::string_view(all).substr(at, step));
      EXPECT_EQ(client.Read().status, 200);
      EXPECT_EQ(client.Read().status, 200) << "the head stands before the connection, not each request";
      EXPECT_EQ(backend.last().target, "/b");
      EXPECT_EQ(backend.last().Values("X-Forwarded-For"), std::vector<std::string>{ip});
      EXPECT_EQ(backend.last().Value("X-Real-IP"), ip);
      EXPECT_EQ(backend.last().Value("X-Forwarded-Proto"), binary ? "https" : "http");
    }
  }
}

TEST(ProxyProtocol, ATrustedPeerWithoutAGoodHeadIsClosed) {
  const FakeBackend backend;
  Proxy proxy(Accepting(backend, "127.0.0.1").Set("timeout", "{ header_ms: 500 }"));
  ASSERT_TRUE(proxy.Start());
  for (const std::string& bytes :
       {RequestText("GET", "/"), std::string("PROXY TCP4 203.0.113.7\r\n") + RequestText("GET", "/"),
        std::string("PROXY TCP4 203.0.113.7 198.51.100.2 4711 80\n") + RequestText("GET", "/"),
        std::string("PROXY TCP4 203."), std::string()}) {
    Client client(proxy.endpoint());
    client.Send(bytes);
    const Response response = client.Read();
    EXPECT_EQ(response.status, 0) << bytes;
    EXPECT_TRUE(response.result == ReadResult::kClosed || response.result == ReadResult::kReset) << bytes;
  }
  EXPECT_EQ(backend.requests(), 0u);
  EXPECT_TRUE(WaitFor([&] { return proxy.Connections() == 0; }));
}

TEST(ProxyProtocol, AnybodyElsesHeadIsAMalformedRequest) {
  const FakeBackend backend;
  Proxy proxy(Accepting(backend, "192.0.2.0/24"));
  ASSERT_TRUE(proxy.Start());
  for (const std::string_view head : {kLine, kBinary}) {
    Client client(proxy.endpoint());
    client.Send(std::string(head) + RequestText("GET", "/"));
    const Response response = client.Read();
    EXPECT_EQ(response.status, 400) << response.Outcome();
    EXPECT_TRUE(client.ServerClosed());
  }
  EXPECT_EQ(backend.requests(), 0u);
  EXPECT_EQ(FetchOnce(proxy.endpoint()).status, 200) << "without one it is served, as itself";
  EXPECT_EQ(backend.last().Value("X-Real-IP"), "127.0.0.1");
}

TEST(ProxyProtocol, NotAskedForItIsAMalformedRequest) {
  const FakeBackend backend;
  Proxy proxy(ConfigFile().Backend(backend));
  ASSERT_TRUE(proxy.Start());
  Client client(proxy.endpoint());
  client.Send(std::string(kLine) + RequestText("GET", "/"));
  EXPECT_EQ(client.Read().status, 400);
}

TEST(ProxyProtocol, AcceptingFromNobodyIsAConfigurationError) {
  const CommandResult result =
      RunBinary({"-t", "-b", "127.0.0.1:1", "-g", "proxy_protocol.accept=true"});
  EXPECT_EQ(result.status, 2);
  EXPECT_TRUE(Contains(result.err, "proxy_protocol.trust")) << result.err;
}

TEST(ConnectionsPerClient, HoldOverAllWorkersAndOtherClientsAreServed) {
  const FakeBackend backend;
  Proxy proxy(ConfigFile()
                  .Workers(2)
                  .Backend(backend)
                  .Listen(Endpoint::V4(FreePort()))
                  .Listen(Endpoint::V6(FreePort()))
                  .Set("limits", "{ connections_per_client: 6 }"));
  ASSERT_TRUE(proxy.Start());
  std::vector<std::unique_ptr<Client>> clients;
  for (int i = 0; i < 6; ++i) {
    clients.push_back(std::make_unique<Client>(proxy.endpoint(0)));
    EXPECT_EQ(clients.back()->Get().status, 200);
  }
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(FetchOnce(proxy.endpoint(0)).status, 0) << "one too many";
  }
  EXPECT_EQ(FetchOnce(proxy.endpoint(1)).status, 200) << "another address";
  for (auto& client : clients) EXPECT_EQ(client->Get().status, 200);
  clients.pop_back();
  EXPECT_TRUE(WaitFor([&] { return FetchOnce(proxy.endpoint(0)).status == 200; })) << "a place is free again";
  EXPECT_TRUE(Contains(proxy.Log(), "too many connections"));
  // Nothing of a killed worker's count is left.
  for (const pid_t worker : proxy.Workers()) kill(worker, SIGKILL);
  clients.clear();
  EXPECT_TRUE(WaitFor([&] { return proxy.Connections() == 0; })) << "the master has seen that they are gone";
  EXPECT_TRUE(proxy.WaitWorkers(2));
  for (int i = 0; i < 6; ++i) {
    clients.push_back(std::make_unique<Client>(proxy.endpoint(0)));
    EXPECT_EQ(clients.back()->Get().status, 200);
  }
}

TEST(ConnectionsPerClient, CountWhomAPeerNamesAndSpareWhoSpeaksForMany) {
  const FakeBackend backend;
  Proxy proxy(Accepting(backend, "127.0.0.1").Set("limits", "{ connections_per_client: 1 }"));
  ASSERT_TRUE(proxy.Start());
  const auto status = [&](Client& client, std::string_view head) {
    client.Send(std::string(head) + RequestText("GET", "/"));
    return client.Read().status;
  };
  Client first(proxy.endpoint()), second(proxy.endpoint()), third(proxy.endpoint());
  EXPECT_EQ(status(first, kLine), 200);
  EXPECT_EQ(status(second, kLine), 0);
  EXPECT_EQ(status(third, kBinary), 200) << "another client of the same peer";
  ConfigFile config = proxy.config();
  ASSERT_TRUE(proxy.Reload(config.Set("proxy_protocol", "{ accept: false }")
                               .Set("forwarded", "{ trust: [ 127.0.0.1 ] }")));
  Client fourth(proxy.endpoint()), fifth(proxy.endpoint());
  EXPECT_EQ(status(fourth, ""), 200);
  EXPECT_EQ(status(fifth, ""), 200) << "a trusted proxy stands for many clients";
}

// Sends a byte every 50 ms until the server has something to say, or the deadline passes.
int Trickle(Client& client, std::string_view piece) {
  const bool answered = WaitFor([&] {
    if (client.socket().Readable(Millis(1))) return true;
    std::this_thread::sleep_for(Millis(49));
    client.Send(piece);
    return false;
  });
  return answered ? client.Read().status : 0;
}

TEST(MinRate, ATricklingHeadIs408) {
  const FakeBackend backend;
  Proxy proxy(ConfigFile()
                  .Backend(backend)
                  .Set("limits", "{ min_rate_bytes: 1000 }")
                  .Set("timeout", "{ header_ms: 86400000 }"));
  ASSERT_TRUE(proxy.Start());
  Client client(proxy.endpoint());
  client.Send("GET / HTTP/1.1\r\nHost: a\r\nX: ");
  EXPECT_EQ(Trickle(client, "y"), 408);
  EXPECT_EQ(backend.requests(), 0u);
  EXPECT_EQ(FetchOnce(proxy.endpoint()).status, 200);
}

TEST(MinRate, ATricklingBodyIs408AndAFasterOnePasses) {
  const FakeBackend backend;
  Proxy proxy(ConfigFile()
                  .Workers(1)
                  .Backend(backend)
                  .Set("limits", "{ min_rate_bytes: 1000 }")
                  .Set("timeout", "{ request_ms: 1500 }"));
  ASSERT_TRUE(proxy.Start());
  Client slow(proxy.endpoint());
  slow.Send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n");
  EXPECT_EQ(Trickle(slow, "y"), 408);
  EXPECT_TRUE(proxy.WaitIdle());
  Client fast(proxy.endpoint());
  fast.Send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 60000\r\n\r\n");
  for (int i = 0; i < 40; ++i) {
    std::this_thread::sleep_for(Millis(50));
    fast.Send(std::string(1500, 'z'));
  }
  EXPECT_EQ(fast.Read().status, 200) << "30,000 bytes a second";
}

TEST(Via, IsAddedBothWaysWhereAskedFor) {
  const FakeBackend backend([](Exchange& exchange) {
    exchange.Send("HTTP/1.0 200 OK\r\nVia: 1.1 inner\r\nContent-Length: 0\r\n\r\n");
  });
  Proxy proxy(ConfigFile().Backend(backend).Set("forwarded", "{ via: true }"));
  ASSERT_TRUE(proxy.Start());
  const std::vector<std::string> request = {"1.0 outer", "1.1 ultrabalancer"};
  const std::vector<std::string> response = {"1.1 inner", "1.0 ultrabalancer"};
  EXPECT_EQ(FetchOnce(proxy.endpoint(), "/", "Via: 1.0 outer\r\n").Values("Via"), response);
  EXPECT_EQ(backend.last().Values("Via"), request);
}

}  // namespace
}  // namespace ub::itest
