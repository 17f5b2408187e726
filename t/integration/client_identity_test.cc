// Who a request is from: peers that are believed, and what ip-hash goes by.
#include <gtest/gtest.h>

#include <set>

#include "client.h"
#include "fake_backend.h"
#include "proxy.h"

namespace ub::itest {
namespace {

TEST(ClientIdentity, ClaimsOfATrustedPeerAreExtended) {
  const FakeBackend backend;
  Proxy proxy(ConfigFile().Backend(backend).Set("forwarded", "{ trust: [ 127.0.0.0/8 ] }"));
  ASSERT_TRUE(proxy.Start());
  const Response response =
      FetchOnce(proxy.endpoint(), "/",
                "X-Forwarded-For: 6.6.6.6, 198.51.100.7\r\nX-Forwarded-For: 127.0.0.9\r\n"
                "X-Forwarded-Proto: https\r\nX-Forwarded-Host: shop.example\r\nX-Real-IP: 6.6.6.6\r\n");
  EXPECT_EQ(response.status, 200);
  const Request seen = backend.last();
  EXPECT_EQ(seen.Values("X-Forwarded-For"),
            std::vector<std::string>{"6.6.6.6, 198.51.100.7, 127.0.0.9, 127.0.0.1"});
  EXPECT_EQ(seen.Values("X-Real-IP"), std::vector<std::string>{"198.51.100.7"});
  EXPECT_EQ(seen.Values("X-Forwarded-Proto"), std::vector<std::string>{"https"});
  EXPECT_EQ(seen.Values("X-Forwarded-Host"), std::vector<std::string>{"shop.example"});
}

TEST(ClientIdentity, NonsenseOfATrustedPeerIsReplaced) {
  const FakeBackend backend;
  Proxy proxy(ConfigFile().Backend(backend).Set("forwarded", "{ trust: [ 127.0.0.1 ] }"));
  ASSERT_TRUE(proxy.Start());
  EXPECT_EQ(FetchOnce(proxy.endpoint(), "/", "X-Forwarded-Proto: gopher\r\nX-Forwarded-Host: a b\r\n").status, 200);
  EXPECT_EQ(backend.last().Values("X-Forwarded-Proto"), std::vector<std::string>{"http"});
  EXPECT_EQ(backend.last().Values("X-Forwarded-Host"), std::vector<std::string>{"test.example"});
}

TEST(ClientIdentity, AReloadBringsTrustIntoForce) {
  const FakeBackend backend;
  ConfigFile config;
  config.Backend(backend);
  Proxy proxy(config);
  ASSERT_TRUE(proxy.Start());
  Client client(proxy.endpoint());
  EXPECT_EQ(client.Get("/", "X-Forwarded-For: 198.51.100.7\r\n").status, 200);
  EXPECT_EQ(backend.last().Value("X-Real-IP"), "127.0.0.1");
  ASSERT_TRUE(proxy.Reload(config.Set("forwarded", "{ trust: [ 127.0.0.1 ] }")));
  EXPECT_EQ(client.Get("/", "X-Forwarded-For: 198.51.100.7\r\n").status, 200);
  EXPECT_EQ(backend.last().Value("X-Real-IP"), "198.51.100.7");
}

FakeBackend::Options Named(std::string name) {
  FakeBackend::Options options;
  options.name = std::move(name);
  return options;
}

// Four backends and the names of those that answered, for requests that differ as `fields` says.
class HashKey : public ::testing::Test {
 protected:
  FakeBackend one_{Named("one")}, two_{Named("two")}, three_{Named("three")}, four_{Named("four")};
  ConfigFile Config(const std::string& key) const {
    return ConfigFile()
        .Workers(2)
        .Backend(one_)
        .Backend(two_)
        .Backend(three_)
        .Backend(four_)
        .Set("algorithm", "ip-hash")
        .Set("forwarded", "{ trust: [ 127.0.0.1 ] }")
        .Set("hash_key", "\"" + key + "\"");
  }
  // Asks several times on connections of their own, so that both workers are met; who answered.
  static std::set<std::string> Answering(const Proxy& proxy, const std::string& target, const std::string& fields) {
    std::set<std::string> names;
    for (int i = 0; i < 6; ++i) names.insert(FetchOnce(proxy.endpoint(), target, fields).Value("X-Backend"));
    return names;
  }
  // That each of 40 clients keeps its backend, and that together they use all four.
  static void ExpectSticky(const std::function<std::set<std::string>(int)>& ask) {
    std::set<std::string> all;
    for (int client = 0; client < 40; ++client) {
      const std::set<std::string> names = ask(client);
      EXPECT_EQ(names.size(), 1u) << "client " << client;
      all.insert(names.begin(), names.end());
    }
    EXPECT_EQ(all, (std::set<std::string>{"one", "two", "three", "four"}));
  }
};

TEST_F(HashKey, ClientsBehindATrustedProxyAreToldApart) {
  Proxy proxy(Config("client_ip"));
  ASSERT_TRUE(proxy.Start());
  ExpectSticky([&](int n) {
    return Answering(proxy, "/", "X-Forwarded-For: 2001:db8::" + std::to_string(n + 1) + "\r\n");
  });
}

TEST_F(HashKey, Header) {
  Proxy proxy(Config("header:X-Tenant"));
  ASSERT_TRUE(proxy.Start());
  ExpectSticky([&](int n) { return Answering(proxy, "/", "x-tenant: t" + std::to_string(n) + "\r\n"); });
}

TEST_F(HashKey, Cookie) {
  Proxy proxy(Config("cookie:session"));
  ASSERT_TRUE(proxy.Start());
  ExpectSticky([&](int n) {
    return Answering(proxy, "/", "Cookie: a=b; session=" + std::to_string(n) + "\r\n");
  });
}

TEST_F(HashKey, Uri) {
  Proxy proxy(Config("uri"));
  ASSERT_TRUE(proxy.Start());
  ExpectSticky([&](int n) { return Answering(proxy, "/size/10/" + std::to_string(n), ""); });
}

}  // namespace
}  // namespace ub::itest
