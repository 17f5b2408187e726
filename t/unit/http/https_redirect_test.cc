#include "http/https_redirect.h"

#include <gtest/gtest.h>

namespace ub {
namespace {

std::string Redirect(uint16_t port, std::string_view authority, std::string_view target, bool secure = false) {
  Config config;
  config.listen = {{"0.0.0.0", 80, false, "0.0.0.0:80", false}, {"0.0.0.0", port, false, "x", true}};
  RequestHead head;
  head.authority = authority;
  head.target = target;
  StageResult result;
  if (HttpsRedirect(config).Admit({head, PeerAddress(), 0, secure}, &result)) return "passes";
  return std::to_string(result.status) + " " + result.fields;
}

TEST(HttpsRedirect, GoesToTheSamePlaceByHttps) {
  EXPECT_EQ(Redirect(443, "a.example", "/x?y=1"), "308 Location: https://a.example/x?y=1\r\n");
  EXPECT_EQ(Redirect(443, "a.example:80", "/"), "308 Location: https://a.example/\r\n");
  EXPECT_EQ(Redirect(8443, "a.example:8080", "/"), "308 Location: https://a.example:8443/\r\n");
  EXPECT_EQ(Redirect(443, "[::1]:80", "/"), "308 Location: https://[::1]/\r\n");
  EXPECT_EQ(Redirect(443, "[::1]", "*"), "308 Location: https://[::1]/\r\n");
  EXPECT_EQ(Redirect(443, "", "/"), "400 ");
  EXPECT_EQ(Redirect(443, "a.example", "/", true), "passes");
  EXPECT_EQ(Redirect(443, "a.example", "/.well-known/acme-challenge/x"), "passes");
}

}  // namespace
}  // namespace ub
