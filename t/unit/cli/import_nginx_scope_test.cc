// nginx's settings are those of a block, ours of the whole instance: what holds for all must be
// what held for the whole there, and the rest is told.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "support/import_cases.h"

namespace ub {
namespace {

const std::string kPool = "upstream app { server 10.0.0.1:80; server 10.0.0.2:80; }\n";

std::string Import(const std::string& text, const std::string& pool = "") {
  return Imported("nginx", kPool + text, "f", pool);
}

TEST(ImportNginxScope, TheWholeDecidesAndOthersAreTold) {
  const std::string others =
      "limit_req_zone $binary_remote_addr zone=z:1m rate=1r/s;\naccess_log /var/log/a.log;\n"
      "server { listen 80; proxy_set_header Host $host;\n"
      "location /login { limit_req zone=z burst=5; proxy_pass http://app; }\n"
      "location = /health { access_log off; proxy_pass http://app; }\n"
      "location /up { client_max_body_size 500m; proxy_read_timeout 900s; proxy_pass http://app; "
      "}\n"
      "location / { proxy_pass http://app; } }\n";
  const std::string yaml = Import(others);
  EXPECT_EQ(yaml.find("rate_limit:"), std::string::npos) << yaml;
  EXPECT_NE(yaml.find("access_log: \"/var/log/a.log\""), std::string::npos) << yaml;
  EXPECT_NE(yaml.find("request_ms: 60000  # nginx's default"), std::string::npos) << yaml;
  EXPECT_NE(yaml.find("body_bytes: 1m  # nginx's default"), std::string::npos) << yaml;
  for (const char* remark :
       {"# f:5: \"limit_req zone=z burst=5\" is for its location /login alone: left out",
        "# f:6: \"access_log off\" is for its location = /health alone: left out",
        "# f:7: \"client_max_body_size 500m\" is for its location /up alone: left out",
        "# f:7: \"proxy_read_timeout 900s\" is for its location /up alone: left out"}) {
    EXPECT_NE(yaml.find(remark), std::string::npos) << remark << "\n" << yaml;
  }
}

TEST(ImportNginxScope, ServersAndOuterBlocksCountToo) {
  ExpectImported(
      "nginx", kPool,
      {
          {"server { listen 80; location / { proxy_pass http://app; } }\n"
           "server { listen 81; client_max_body_size 5g; location / { proxy_pass http://app; } }\n",
           {"body_bytes: 1m",
            "# f:3: \"client_max_body_size 5g\" is for its server alone: left out"}},
          // The other requests meet less, or the value of an outer block.
          {"server { listen 80; location / { client_max_body_size 2m; proxy_pass http://app; }\n"
           "location /x { proxy_pass http://app; } }\n",
           {"body_bytes: 2m",
            "# f:2: \"client_max_body_size 2m\" is for its location / alone in nginx"}},
          {"client_max_body_size 2m;\n"
           "server { listen 80; location / { client_max_body_size 3m; proxy_pass http://app; }\n"
           "location /x { proxy_pass http://app; } }\n",
           {"body_bytes: 3m",
            "# f:3: \"client_max_body_size 3m\" is for its location / alone in nginx"}},
          {"server { listen 80; client_max_body_size 2m;\n"
           "location / { client_max_body_size 3m; proxy_pass http://app; }\n"
           "location /x { proxy_pass http://app; } location /y { proxy_pass http://app; } }\n",
           {"body_bytes: 3m",
            "# f:3: \"client_max_body_size 3m\" is for its location / alone in nginx"}},
          // A check is of the upstream.
          {"server { listen 80; location / { proxy_pass http://app; }\n"
           "location /check { proxy_pass http://app; health_check uri=/ok; }\n"
           "location /two { proxy_pass http://app; health_check uri=/two; } }\n",
           {"path: \"/ok\"", "# f:4: \"health_check uri=/two\" there is one health check"},
           {"alone"}},
          // The same in all.
          {"server { listen 80; location / { client_max_body_size 2m; proxy_pass http://app; }\n"
           "location /x { client_max_body_size 2m; proxy_pass http://app; } }\n",
           {"body_bytes: 2m"},
           {"alone"}},
          // The server that is the default one at the same address is the whole.
          {"server { listen 80; proxy_read_timeout 5s; location / { proxy_pass http://app; } }\n"
           "server { listen 80 default_server; location / { proxy_pass http://app; } }\n",
           {"request_ms: 60000",
            "# f:2: \"proxy_read_timeout 5s\" is for its server alone: left out"}},
          // Settings of TLS are looked for in a server that speaks it.
          {"server { listen 80; location / { proxy_pass http://app; } }\n"
           "server { listen 443 ssl; ssl_certificate a.pem; ssl_protocols TLSv1.3;\n"
           "add_header Strict-Transport-Security max-age=60; location / { proxy_pass http://app; } "
           "}\n",
           {"min_version: 1.3", "hsts_seconds: 60"},
           {"alone"}},
          {"server { listen 80; add_header Strict-Transport-Security max-age=60;\n"
           "location / { proxy_pass http://app; } }\n",
           {"# f:2: \"add_header Strict-Transport-Security max-age=60\" is sent by TLS only"}},
      });
}

// An inner value takes the place of an outer one, also where it becomes another key.
TEST(ImportNginxScope, InnerValuesReplaceOuterOnes) {
  ExpectImported(
      "nginx", kPool,
      {
          {"keepalive_timeout 0; proxy_next_upstream off; add_header Strict-Transport-Security "
           "max-age=9;\nserver { listen 443 ssl; ssl_certificate a.pem; keepalive_timeout 65;\n"
           "proxy_next_upstream error timeout; add_header X-A b; location / { proxy_pass "
           "http://app; } "
           "}",
           {"idle_ms: 65000", "on: [connect, reset, timeout]"},
           {"requests_per_connection", "max_attempts", "hsts_seconds"}},
          {"proxy_read_timeout 5s;\n"
           "server { listen 80; location / { grpc_pass grpc://app; grpc_set_header Host $host; } "
           "}\n",
           {"request_ms: 60000  # nginx's default"}},
          {"error_log /a.log; http { error_log /b.log;\n"
           "server { listen 80; location / { proxy_pass http://app; } } }\n",
           {"file: \"/b.log\""},
           {"differs"}},
      });
}

// Zero means something else there.
TEST(ImportNginxScope, ZerosKeepTheirMeaning) {
  ExpectImported("nginx", kPool,
                 {
                     {"keepalive_requests 0; client_max_body_size 0; worker_shutdown_timeout 0;\n"
                      "upstream u { server 1.1.1.1; keepalive_requests 0; }\n"
                      "server { listen 80; location / { proxy_pass http://u; } }\n",
                      {"requests_per_connection: 1 ", "max_requests: 1 ", "body_bytes: 0 ",
                       "drain_ms: 86400000", "a leaving worker waits for a day at most"}},
                 });
}

// What gave no value is not said to hold for all.
TEST(ImportNginxScope, OnlyWhatWasTakenHoldsForAll) {
  ExpectImported(
      "nginx", kPool,
      {
          {"limit_conn_zone $server_name zone=n:1m;\n"
           "server { listen 80; proxy_set_header Host $host; location / { access_log /a.log;\n"
           "access_log /b.log; limit_conn n 5;\nproxy_pass http://app; }\n"
           "location /x { proxy_pass http://app; } }\n",
           {"# f:3: \"access_log /a.log\" is for its location / alone in nginx: here it holds for "
            "all"},
           {"# f:4: \"access_log /b.log\" is for", "\"limit_conn n 5\" is for"}},
      });
}

TEST(ImportNginxScope, HeadersAreInheritedAllOrNone) {
  constexpr const char* kRemark = "without proxy_set_header Host";
  ExpectImported(
      "nginx", kPool,
      {
          {"server { listen 80; proxy_set_header Host $host;\n"
           "location / { proxy_set_header X-Real-IP $remote_addr; proxy_pass http://app; } }\n",
           {"# f: without proxy_set_header Host"}},
          {"server { listen 80; proxy_set_header Host $host; location / { proxy_pass http://app; "
           "}\n"
           "location /a { proxy_set_header X-Real-IP $remote_addr;\nproxy_pass http://app; } }\n",
           {"# f:4: without proxy_set_header Host"}},
          {"server { listen 80; proxy_set_header Host $host; location / { proxy_pass http://app; } "
           "}\n",
           {},
           {kRemark}},
      });
}

TEST(ImportNginxScope, OnlyUsualHeadersNeedNoRemark) {
  const auto with = [](const std::string& header) {
    return Import(
        "server { listen 80; location / { proxy_pass http://app;\n"
        "proxy_set_header Host $host; proxy_set_header " +
        header + "; } }\n");
  };
  for (const char* usual :
       {"X-Real-IP $remote_addr", "X-Forwarded-For $proxy_add_x_forwarded_for",
        "X-Forwarded-Proto $scheme", "X-Forwarded-Host $host", "X-Request-ID $request_id",
        "Connection \"\"", "Upgrade $http_upgrade"}) {
    EXPECT_EQ(with(usual).find("# f:3"), std::string::npos) << usual << with(usual);
  }
  for (const char* other : {"X-Forwarded-Proto https", "X-Forwarded-Proto $http_x_forwarded_proto",
                            "X-Forwarded-For $http_cf_connecting_ip", "X-Forwarded-For \"\""}) {
    EXPECT_NE(with(other).find("# f:3: \"proxy_set_header X-Forwarded-"), std::string::npos)
        << other << with(other);
  }
}

// Settings of TLS with backends are looked for where a proxy_pass asks for it.
TEST(ImportNginxScope, BackendsAreProvenWhereAUseOfTlsAsksForIt) {
  ExpectImported(
      "nginx", kPool,
      {
          {"server { listen 80; location / { proxy_pass http://app; proxy_ssl_name x; }\n"
           "location /s { proxy_ssl_verify on; proxy_ssl_trusted_certificate ca.pem;\n"
           "proxy_pass https://app; } }\n",
           {"verify: true", "ca_file: \"ca.pem\"", "TLS is for all requests to backends"},
           {"alone", "prove nothing"}},
          {"server { listen 80; location / { proxy_pass https://app;\nproxy_ssl_name $host; } }\n",
           {"# f:3: \"proxy_ssl_name $host\" the name is fixed (backend_tls.server_name)"}},
      });
}

// The strictest server decides for the clients of all, whichever comes first.
TEST(ImportNginxScope, ClientCertificatesAreAskedForAsTheStrictestServerDoes) {
  const std::string plain = "server { listen 443 ssl;\n location / { proxy_pass http://app; } }\n";
  const std::string off =
      "server { listen 443 ssl;\n ssl_verify_client off;\n"
      " location / { proxy_pass http://app; } }\n";
  const std::string on =
      "server { listen 8443 ssl; ssl_client_certificate ca.pem; ssl_verify_client on;\n"
      " location / { proxy_pass http://app; } }\n";
  const std::string outer = "ssl_certificate a.pem;\n";
  const struct {
    std::string text;
    const char* remark;
  } kCases[] = {
      {plain + on, "# f:3: \"ssl_verify_client on\" of f:5 holds for the clients of every server"},
      {off + on, "# f:4: \"ssl_verify_client on\" of f:6 holds for the clients of every server"},
      {on + off, "# f:6: \"ssl_verify_client on\" of f:3 holds for the clients of every server"},
  };
  for (const auto& test : kCases) {
    const std::string yaml = Import(outer + test.text);
    EXPECT_NE(yaml.find("client_auth: required"), std::string::npos) << yaml;
    EXPECT_NE(yaml.find("client_ca: \"ca.pem\""), std::string::npos) << yaml;
    EXPECT_NE(yaml.find(test.remark), std::string::npos) << test.remark << "\n" << yaml;
  }
  EXPECT_EQ(Import(outer + on).find("every server"), std::string::npos);
}

TEST(ImportNginxScope, BackendsAreProvenWhereOneUseHasThemProven) {
  const std::string plain = "server { listen 80;\nlocation / { proxy_pass https://app; } }\n";
  const std::string proves =
      "server { listen 81; location / { proxy_pass https://app;\n"
      "proxy_ssl_verify on; proxy_ssl_trusted_certificate c.pem; } }\n";
  for (const std::string& text : {plain + proves, proves + plain}) {
    const std::string yaml = Import(text);
    EXPECT_NE(yaml.find("verify: true"), std::string::npos) << yaml;
    EXPECT_NE(yaml.find("ca_file: \"c.pem\""), std::string::npos) << yaml;
    EXPECT_NE(yaml.find("here it holds for all"), std::string::npos) << yaml;
  }
}

TEST(ImportNginxScope, OnlyALocationOfEveryPathIsTheWhole) {
  const std::string yaml = Import(
      "upstream landing { server 10.9.9.9; }\n"
      "server { listen 80; location = / { proxy_pass http://landing; }\n"
      "location ^~ / { proxy_pass http://app; } }\n");
  EXPECT_NE(yaml.find("the upstream \"app\""), std::string::npos) << yaml;
  ExpectImported(
      "nginx", kPool,
      {
          {"server { listen 80; location = / { proxy_pass http://app; } }\n",
           {"# f:2: requests outside of its locations are proxied here too"}},
          {"server { listen 80; location ^~ / { proxy_pass http://app; } }\n", {}, {"outside"}},
      });
}

TEST(ImportNginxScope, LocationsInOthersAreTold) {
  ExpectImported(
      "nginx", kPool,
      {
          {"server { listen 80; location / { proxy_pass http://app;\nlocation /admin { deny all; "
           "}\n"
           "location /x { location /x/y { root /srv; } } } }\n",
           {"# f:3: location /admin: paths are not told apart, its requests go to the backends too",
            "# f:4: location /x: paths are not told apart"}},
          {"server { listen 80; location / {\nlocation /in { proxy_pass http://app; }\n"
           "location /out { return 403; } } }\n",
           {"# f:4: location /out: paths are not told apart"},
           {"location /in:", "location /:"}},
      });
}

TEST(ImportNginxScope, AnAddressEndsWhereAPathBegins) {
  ExpectImported(
      "nginx", kPool,
      {
          {"server { listen 81; location / { proxy_pass http://app$request_uri; } }\n",
           {"listen_port: 81", "host: \"10.0.0.1\""},
           {"no fixed address", "paths are not changed"}},
          {"server { listen 81; location / { proxy_pass http://10.5.5.5:90${request_uri}; } }\n",
           {"listen_port: 81", "host: \"10.5.5.5\", port: 90"}},
          {"server { listen 81; location / { proxy_pass http://app$uri$is_args$args; } }\n",
           {"listen_port: 81", "paths are not changed"}},
          {"server { listen 81; location / { proxy_pass http://app$uri_part; } }\n",
           {"is not followed: it has no fixed address", "requests are taken at port 8080"}},
          {"server { listen 81; location / { proxy_pass https://[::1]; } }\n",
           {"host: \"::1\", port: 443"}},
          {"server { listen 81; location / { proxy_pass http://api.x:80; }\n"
           "location /s { proxy_pass https://api.x; } location /t { proxy_pass http://api.x; } }\n",
           {"host: \"api.x\", port: 80", "location /s: another pool, \"api.x:443\""},
           {"location /t: another", "backend_tls"}},
      });
  EXPECT_NE(Import("server { listen 81; location / { proxy_pass https://api.x; } }\n", "api.x")
                .find("host: \"api.x\", port: 443"),
            std::string::npos);
}

}  // namespace
}  // namespace ub
