#include "http/management_access.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

namespace ub {
namespace {

struct Asked {
  explicit Asked(std::string_view host, std::vector<std::pair<std::string_view, std::string_view>> fields = {}) {
    head.authority = host;
    for (const auto& [name, value] : fields) head.headers.push_back({name, value, HeaderIdOf(name)});
    request.head = &head;
    request.path = "/admin/backends";
    request.local_address = true;
  }
  RequestHead head;
  ManagementRequest request;
};

TEST(ManagementAccessTest, KeysAreEqualOrNot) {
  EXPECT_TRUE(EqualsInConstantTime("abc", "abc"));
  EXPECT_TRUE(EqualsInConstantTime("", ""));
  for (const char* const wrong : {"", "a", "ab", "abd", "bbc", "abcd", "abcabc"}) {
    EXPECT_FALSE(EqualsInConstantTime(wrong, "abc")) << wrong;
  }
  EXPECT_FALSE(EqualsInConstantTime(std::string("\0", 1), ""));
}

TEST(ManagementAccessTest, OwnHosts) {
  const std::vector<std::string> names = OwnNames("lb1.example.org", "", "search evil.example\n");
  for (const char* const own : {"127.0.0.1:8081", "10.1.2.3", "[::1]:8081", "[2001:db8::1]", "localhost", "LOCALHOST:1",
                                "lb1:8081", "LB1.example.org", "lb1.example.org:8081"}) {
    EXPECT_TRUE(IsOwnHost(own, names)) << own;
  }
  for (const char* const foreign : {"evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "lb11", "lb", "",
                                    "[::1", "lb1.evil.example", "lb1.example"}) {
    EXPECT_FALSE(IsOwnHost(foreign, names)) << foreign;
  }
  EXPECT_FALSE(IsOwnHost("lb1", OwnNames("", "", "")));
}

TEST(ManagementAccessTest, NamesOfAMachine) {
  const char* const hosts = "127.0.0.1\tlocalhost # lb1 other\n10.0.0.7  LB1.example.org lb1\tbalancer\r\n# 1.2.3.4 lb1 gone\n::1 ip6";
  const std::vector<std::string> names = OwnNames("lb1", hosts, "nameserver 10.0.0.1\nsearch corp.example . lab.example\n");
  EXPECT_EQ(names, (std::vector<std::string>{"lb1", "lb1.example.org", "lb1", "balancer", "lb1.corp.example", "lb1.lab.example"}));
  EXPECT_FALSE(IsOwnHost("lb1.evil.example", names)) << "whoever owns that could have it mean 127.0.0.1";
  EXPECT_TRUE(IsOwnHost("lb1.corp.example:8081", names));
}

TEST(ManagementAccessTest, OtherSitesAreRefused) {
  const std::vector<std::string> names = {"lb1"};
  const auto status = [&](const Asked& asked) { return CheckOrigin(asked.request, names, true).status; };
  EXPECT_EQ(status(Asked("127.0.0.1:8081")), 0);
  EXPECT_EQ(status(Asked("")), 0) << "HTTP/1.0 without Host: no browser";
  EXPECT_EQ(status(Asked("evil.example")), 403);
  EXPECT_EQ(status(Asked("127.0.0.1:8081", {{"Origin", "http://127.0.0.1:8081"}})), 0);
  EXPECT_EQ(status(Asked("127.0.0.1:8081", {{"Origin", "http://127.0.0.1:8080"}})), 403);
  EXPECT_EQ(status(Asked("127.0.0.1:8081", {{"Origin", "null"}})), 403);
  EXPECT_EQ(status(Asked("", {{"Origin", "null"}})), 0) << "no browser leaves Host out";
  EXPECT_EQ(status(Asked("127.0.0.1", {{"Sec-Fetch-Site", "cross-site"}})), 403);
  EXPECT_EQ(status(Asked("127.0.0.1", {{"Sec-Fetch-Site", "same-origin"}})), 0);
  Asked probe("any.name");
  probe.request.path = "/health";
  EXPECT_EQ(status(probe), 0);
  Asked site("www.example.org");
  site.request.main_port = true;
  EXPECT_EQ(status(site), 0) << "the main port is a site's, and a key guards it";
  EXPECT_EQ(CheckOrigin(site.request, names, false).status, 403);
}

TEST(ManagementAccessTest, ChangesNeedAKeyOrALocalAddress) {
  AdminConfig open, keyed;
  keyed.api_key = "sesame";
  Asked asked("127.0.0.1");
  EXPECT_EQ(CheckKey(asked.request, open, true).status, 0);
  EXPECT_EQ(CheckKey(asked.request, keyed, false).status, 401);
  asked.request.local_address = false;
  EXPECT_EQ(CheckKey(asked.request, open, true).status, 403);
  EXPECT_EQ(CheckKey(asked.request, open, false).status, 0);
  const Asked right("127.0.0.1", {{"x-api-key", "sesame"}}), wrong("127.0.0.1", {{"X-API-Key", "Sesame"}});
  EXPECT_EQ(CheckKey(right.request, keyed, true).status, 0);
  EXPECT_EQ(CheckKey(wrong.request, keyed, true).status, 401);
}

}  // namespace
}  // namespace ub
