// nginx's listeners, redirects and pools, and what is left of values that are refused.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include "support/import_cases.h"

namespace ub {
namespace {

const std::string kPool = "upstream app { server 10.0.0.1:80; server 10.0.0.2:80; }\n";

std::string Import(const std::string& text, const std::string& from = "nginx",
                   const std::string& file = "f") {
  return Imported(from, text, file);
}

// One `listen` says it for all at its address.
TEST(ImportNginxListen, AnAddressIsOneSocket) {
  ExpectImported(
      "nginx", kPool + "ssl_certificate a.pem;\n",
      {
          {"server { listen 443; location / { proxy_pass http://app; } }\n"
           "server { listen *:443 ssl; location / { proxy_pass http://app; } }\n",
           {"listen: [\"0.0.0.0:443 tls\"]"},
           {"twice"}},
          {"server { listen 443 ssl; location / { proxy_pass http://app; } }\n"
           "server { listen 443; location / { proxy_pass http://app; } }\n",
           {"listen: [\"0.0.0.0:443 tls\"]"},
           {"twice"}},
          // Also one that belongs to another pool.
          {"server { listen 80; location / { proxy_pass http://app; } }\n"
           "server { listen 80 http2 proxy_protocol; return 404; }\n",
           {"listen: [\"0.0.0.0:80 h2c\"]", "accept: true"}},
          {"server { listen 80; http2 on; location / { proxy_pass http://app; } }\n",
           {"listen: [\"0.0.0.0:80 h2c\"]"},
           {"has no counterpart"}},
          {"server { listen 443 ssl; http2 on; location / { proxy_pass http://app; } }\n",
           {"listen: [\"0.0.0.0:443 tls\"]"},
           {"has no counterpart"}},
      });
}

TEST(ImportNginxListen, PortsMayBeARange) {
  ExpectImported(
      "nginx", kPool,
      {
          {"server { listen 8000-8002; location / { proxy_pass http://app; } }\n",
           {"[\"0.0.0.0:8000\", \"0.0.0.0:8001\", \"0.0.0.0:8002\"]"}},
          {"server { listen [::1]:80-81; location / { proxy_pass http://app; } }\n",
           {"[\"[::1]:80\", \"[::1]:81\"]"}},
          {"server { listen 81-80; location / { proxy_pass http://app; } }\n", {"fault: "}},
          {"server { listen no.such.example:81;\nlocation / { proxy_pass http://app; } }\n",
           {"# f: requests are taken at port 8080, the default"}},
      });
}

TEST(ImportNginxListen, TooManyAddressesAreAFault) {
  std::string text = kPool;
  for (int i = 0; i < 5; ++i) text += "server { listen 1-65535; }\n";
  EXPECT_EQ(Import(text), "fault: f:5:10: there are more than 200000 addresses to listen at");
}

// nginx takes PROXY heads by listener, ours by peer: nobody is to send one that does not now.
TEST(ImportNginxListen, ProxyProtocolOfSomeListenersIsNotThatOfAll) {
  ExpectImported(
      "nginx", kPool,
      {
          {"server { listen 80; listen 81 proxy_protocol;\nlocation / { proxy_pass "
           "http://app; } }\n",
           {"# f:2: proxy_protocol at some listeners only: left out"},
           {"proxy_protocol:\n"}},
          {"server { listen 80; listen 81 proxy_protocol; set_real_ip_from 10.1.0.0/16;\n"
           "real_ip_header proxy_protocol; location / { proxy_pass http://app; } }\n",
           {"accept: true", "trust: [\"10.1.0.0/16\"]",
            "# f:2: proxy_protocol: trusted peers must send it at every listener"}},
      });
}

constexpr const char* kTls =
    "server { listen 443 ssl; ssl_certificate a.pem; location / { proxy_pass http://app; } }\n";

TEST(ImportNginxRedirect, WhatElseSuchAServerDidIsTold) {
  const std::string yaml =
      Import(kPool +
             "upstream acme { server 10.0.0.9; }\nserver { listen 80;\ndeny 10.9.9.9;\n"
             "location /.well-known/acme-challenge/ { root /srv; }\n"
             "location /api/ { proxy_pass http://acme; }\n"
             "location / { access_log off; location /in { return 403; }\n return 301 "
             "https://$host$request_uri; } }\n" +
             kTls);
  EXPECT_NE(yaml.find("redirect_http: true"), std::string::npos) << yaml;
  for (const char* remark :
       {"# f:4: \"deny 10.9.9.9\" has no counterpart",
        "# f:5: location /.well-known/acme-challenge/: paths are not told apart, its requests are "
        "redirected too",
        "# f:6: location /api/: paths are not told apart, its requests are redirected too",
        "# f:7: location /in: paths are not told apart, its requests are redirected too",
        "# f:7: \"access_log off\" is for its location / alone: left out"}) {
    EXPECT_NE(yaml.find(remark), std::string::npos) << remark << "\n" << yaml;
  }
  EXPECT_EQ(yaml.find("its requests go to"), std::string::npos) << yaml;
  EXPECT_EQ(yaml.find("\"return"), std::string::npos) << yaml;
}

TEST(ImportNginxRedirect, ItIsOneToTheSameHostAndPath) {
  for (const char* redirect :
       {"return 301 https://$host$request_uri;", "return https://$server_name$request_uri;",
        "rewrite ^ https://$host$request_uri? permanent;", "rewrite ^(.*)$ https://$host$1;",
        "rewrite ^/(.*)$ https://$http_host/$1 permanent;",
        "if ($host = a.b) { return 301 https://$host$request_uri; } return 404;",
        "location / { return 308 https://$host$uri; }"}) {
    const std::string yaml = Import(kPool + "server { listen 80;\n" + redirect + " }\n" + kTls);
    EXPECT_NE(yaml.find("redirect_http: true"), std::string::npos) << redirect << "\n" << yaml;
    EXPECT_EQ(yaml.find("sent to the name"), std::string::npos) << redirect << "\n" << yaml;
  }
  for (const char* other :
       {"return 301 https://new.example.org/;", "return 301 https://$host;",
        "return 301 https://$host/app$request_uri;", "return 301 http://$host$request_uri;",
        "rewrite ^/old$ https://$host$request_uri;",
        "location = / { return 301 https://$host$uri; }",
        "if ($request_method = GET) { return 301 https://$host$request_uri; }"}) {
    const std::string yaml = Import(kPool + "server { listen 80;\n" + other + " }\n" + kTls);
    EXPECT_EQ(yaml.find("redirect_http"), std::string::npos) << other << "\n" << yaml;
    EXPECT_NE(yaml.find("# f:2: this server does not proxy to the pool, and was left out"),
              std::string::npos)
        << other << "\n"
        << yaml;
  }
  EXPECT_NE(
      Import(kPool + "server { listen 80;\nreturn 301 https://www.x$request_uri; }\n" + kTls)
          .find("# f:3: \"return 301 https://www.x$request_uri\" clients are sent to the name "
                "that they asked for"),
      std::string::npos);
}

// OpenSSL of other systems knows what "PROFILE=SYSTEM" is.
TEST(ImportTls, ProfilesOfTheSystemAreNotCiphers) {
  ExpectImported("nginx", kPool + kTls,
                 {{"ssl_ciphers PROFILE=SYSTEM;\nserver { listen 444 ssl; location / { proxy_pass "
                   "http://app; } }",
                   {"profiles of the system are not known"},
                   {"ciphers: "}}});
  ExpectImported("haproxy", "global\n ssl-default-bind-ciphers PROFILE=SYSTEM\n",
                 {{"listen x\n mode http\n bind :443 ssl crt c.pem\n server a 10.0.0.1:80\n",
                   {"profiles of the system are not known"},
                   {"ciphers: "}}});
}

// It cannot be left out where others serve its address.
TEST(ImportNginxRedirect, AServerAtTheAddressOfOthersIsSaidToPassOn) {
  ExpectImported(
      "nginx", kPool + kTls,
      {{"server { listen 80; server_name x; return 301 https://$host$request_uri; }\n"
        "server { listen 80 default_server; location / { proxy_pass http://app; } }\n",
        {"this server was left out: its address is that of others too, and what it did not pass "
         "on goes to the backends, not to https"},
        {"redirect_http: true"}},
       {"server { listen 80; deny all; location / { root /srv; } }\n"
        "server { listen 80; location / { proxy_pass http://app; } }\n",
        {"what it did not pass on goes to the backends\n"},
        {"redirect_http: true"}},
       {"server { listen 80; location / { proxy_pass http://app; }\n"
        "if ($scheme = http) { return 301 https://$host$request_uri; } }\n",
        {"is left out: tls.redirect_http is for all that comes without TLS"}}});
}

// A name that is sent to another one by TLS is no redirect to TLS.
TEST(ImportNginxRedirect, OnlyRequestsWithoutTlsAreRedirected) {
  const std::string by_tls =
      Import(kPool + "server { listen 443 ssl;\nreturn 301 https://www.x$request_uri; }\n" + kTls);
  EXPECT_EQ(by_tls.find("redirect_http"), std::string::npos) << by_tls;
  EXPECT_NE(by_tls.find("# f:2: this server was left out: "), std::string::npos) << by_tls;
  const std::string both = Import(kPool +
                                  "server { listen 80; listen 443 ssl; listen 444 ssl;\n"
                                  "return 301 https://$host$request_uri; }\n" +
                                  kTls);
  EXPECT_NE(both.find("listen: [\"0.0.0.0:80\", \"0.0.0.0:443 tls\"]"), std::string::npos) << both;
  EXPECT_NE(both.find("what comes by TLS is not redirected"), std::string::npos) << both;
}

TEST(ImportNginxPool, WhatDiffersIsTold) {
  const std::string use = "server { listen 80; location / { proxy_pass http://u; } }\n";
  ExpectImported("nginx", use,
                 {
                     {"upstream u { hash $uri; server 10.0.0.1; }", {"the query counts too"}},
                     {"upstream u { hash $host$request_uri; server 10.0.0.1; }",
                      {"the name of the host does not count here"}},
                     {"upstream u { hash $request_uri; server 10.0.0.1; }", {}, {"\"hash"}},
                     {"upstream u { server 10.0.0.1 max_fails=0; server 10.0.0.2; }",
                      {"max_fails=0 is for some servers only"},
                      {"circuit_breaker:"}},
                     {"upstream u { server 10.0.0.1 max_fails=0; server 10.0.0.2 max_fails=0; }",
                      {"enabled: false"},
                      {"for some servers"}},
                     {"upstream u { server 10.0.0.1 max_fails=0; server 10.0.0.3 max_fails=0;\n"
                      "server 10.0.0.2 down max_fails=0; }",
                      {"enabled: false"}},
                     {"upstream u { server 10.0.0.1 down;\nserver 10.0.0.2:81 backup; }",
                      {"host: \"10.0.0.2\", port: 81 }", "# f:3: the server is no backup here"},
                      {"backup: true"}},
                     {"upstream u { server 10.0.0.1; server 10.0.0.2 backup; }", {"backup: true"}},
                     {"upstream u { server 10.0.0.1; }\naccess_log /a.log combined if=$loggable;",
                      {"every request is logged, without a condition"}},
                 });
}

// A backup whose primaries are refused stands in for nobody; HAProxy's are the same.
TEST(ImportNginxPool, ABackupAloneServes) {
  const std::string haproxy = Import(
      "listen x\n mode http\n bind :80\n server a 10.0.0.1:80 disabled\n server b 10.0.0.2:80 "
      "backup\n",
      "haproxy");
  EXPECT_NE(haproxy.find("host: \"10.0.0.2\""), std::string::npos) << haproxy;
  EXPECT_EQ(haproxy.find("backup: true"), std::string::npos) << haproxy;
  const std::string refused = Import("upstream u { server bad!name; server 10.0.0.2 backup; }\n");
  EXPECT_NE(refused.find("host: \"10.0.0.2\", port: 80 }"), std::string::npos) << refused;
}

// What is refused goes alone, whatever else its line gave.
TEST(ImportRefused, OnlyTheRefusedValueIsDropped) {
  const std::string peers =
      Import(kPool +
             "set_real_ip_from 10.0.0.0/8;\nset_real_ip_from lb.example.com;\n"
             "set_real_ip_from 172.16.0.0/12;\nreal_ip_header X-Forwarded-For;\n"
             "server { listen 80; location / { proxy_pass http://app; } }\n");
  EXPECT_NE(peers.find("trust: [\"10.0.0.0/8\", \"172.16.0.0/12\"]"), std::string::npos) << peers;
  EXPECT_NE(peers.find("# f:3: forwarded.trust: \"lb.example.com\" is not"), std::string::npos);
  const std::string check = Import(
      "upstream u { server 10.0.0.1; }\nserver { listen 80; location / { proxy_pass http://u;\n"
      "health_check uri=nopath interval=7s fails=4; } }\n");
  EXPECT_NE(check.find("interval_ms: 7000"), std::string::npos) << check;
  EXPECT_NE(check.find("max_failures: 4"), std::string::npos) << check;
  EXPECT_EQ(check.find("  path:"), std::string::npos) << check;
  const std::string server =
      Import("upstream u { server 10.0.0.1; server bad!name max_fails=3; }\n");
  EXPECT_NE(server.find("failure_threshold: 3"), std::string::npos) << server;
  const std::string http = Import(
      "listen x\n mode http\n bind :80\n option httpchk\n"
      " http-check send meth GET uri /health hdr good yes hdr bad: no\n"
      " server s 10.0.0.1:80 check\n",
      "haproxy");
  EXPECT_NE(http.find("path: \"/health\""), std::string::npos) << http;
  EXPECT_NE(http.find("good"), std::string::npos) << http;
}

// Only the files that come with nginx are passed over, not what ends in their names.
TEST(ImportNginxTree, AnIncludeIsKnownByItsWholeName) {
  namespace fs = std::filesystem;
  const fs::path directory = fs::temp_directory_path() / fmt::format("ub-include-{}", getpid());
  fs::create_directories(directory);
  std::ofstream(directory / "my-fastcgi.conf")
      << "server { listen 82; location / { proxy_pass http://app; } }\n";
  std::ofstream(directory / "fastcgi.conf") << "fastcgi_param A b;\n";
  const std::string yaml = Import(kPool + "include my-fastcgi.conf;\ninclude fastcgi.conf;\n",
                                  "nginx", (directory / "nginx.conf").string());
  fs::remove_all(directory);
  EXPECT_NE(yaml.find("listen_port: 82"), std::string::npos) << yaml;
  EXPECT_EQ(yaml.find("fastcgi_param"), std::string::npos) << yaml;
}

}  // namespace
}  // namespace ub
