#include "core/config_resolve.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/un.h>

namespace ub {
namespace {

BackendConfig Backend(std::string host, uint16_t port, bool is_unix = false) {
  BackendConfig backend;
  backend.host = std::move(host);
  backend.port = port;
  backend.is_unix = is_unix;
  return backend;
}

TEST(ConfigResolve, LiteralsBecomeAddressesInOrder) {
  Config config;
  config.backends = {Backend("127.0.0.1", 80), Backend("::1", 81), Backend("/run/a.sock", 0, true)};
  const ResolveResult result = ResolveAllBackends(config);
  ASSERT_TRUE(result.failures.empty());
  const std::vector<ResolvedBackend>& resolved = result.backends;
  ASSERT_EQ(resolved.size(), 3u);
  const auto& v4 = reinterpret_cast<const sockaddr_in&>(resolved[0].address);
  EXPECT_EQ(v4.sin_family, AF_INET);
  EXPECT_EQ(ntohl(v4.sin_addr.s_addr), INADDR_LOOPBACK);
  EXPECT_EQ(ntohs(v4.sin_port), 80);
  EXPECT_EQ(resolved[0].length, sizeof(sockaddr_in));
  const auto& v6 = reinterpret_cast<const sockaddr_in6&>(resolved[1].address);
  EXPECT_EQ(v6.sin6_family, AF_INET6);
  EXPECT_EQ(ntohs(v6.sin6_port), 81);
  EXPECT_EQ(resolved[1].length, sizeof(sockaddr_in6));
  const auto& path = reinterpret_cast<const sockaddr_un&>(resolved[2].address);
  EXPECT_EQ(path.sun_family, AF_UNIX);
  EXPECT_STREQ(path.sun_path, "/run/a.sock");
  EXPECT_EQ(resolved[0].text, "127.0.0.1:80");
  EXPECT_EQ(resolved[1].text, "[::1]:81");
  EXPECT_EQ(resolved[2].text, "unix:/run/a.sock");
  EXPECT_EQ(resolved[2].index, 2u);
}

// localhost is in /etc/hosts, as 127.0.0.1 and perhaps ::1.
TEST(ConfigResolve, ANameGivesItsAddressesAndNoneTwice) {
  Config config;
  config.backends = {Backend("127.0.0.1", 80), Backend("localhost", 80), Backend("localhost", 81)};
  const ResolveResult result = ResolveAllBackends(config);
  ASSERT_TRUE(result.failures.empty());
  size_t same = 0, other_port = 0;
  for (const ResolvedBackend& backend : result.backends) {
    if (backend.text == "127.0.0.1:80") ++same;
    if (backend.text == "127.0.0.1:81") ++other_port;
  }
  EXPECT_EQ(same, 1u);
  EXPECT_EQ(other_port, 1u);
  EXPECT_EQ(result.backends.front().index, 0u) << "the first that has it keeps it";
}

// Empty labels fail without a name server.
TEST(ConfigResolve, UnknownNamesAreAllReported) {
  Config config;
  config.backends = {Backend("no..such", 80), Backend("127.0.0.1", 80), Backend("nor..such", 80)};
  const ResolveResult result = ResolveAllBackends(config);
  ASSERT_EQ(result.failures.size(), 2u);
  EXPECT_EQ(result.failures[0].index, 0u);
  EXPECT_EQ(result.failures[1].index, 2u);
  EXPECT_TRUE(result.failures[0].text.starts_with("cannot resolve \"no..such\": "));
  EXPECT_EQ(result.backends.size(), 1u);
}

}  // namespace
}  // namespace ub
