// What single values of an HAProxy configuration become.
#include <gtest/gtest.h>

#include "support/import_cases.h"

namespace ub {
namespace {

const std::string kListen = "listen x\n mode http\n bind :80\n";
const std::string kServer = " server a 1.1.1.1:80 check\n";

// To HAProxy 0 is no limit.
TEST(ImportHaproxyValues, ZeroIsNoLimit) {
  ExpectImported(
      "haproxy", "",
      {
          {kListen + kServer + " timeout client 0\n timeout server 0\n timeout check 0\n",
           {"request_ms: 86400000", "idle_ms: 86400000",
            "\"timeout server 0\" is no limit: the longest that there is was taken"},
           {"  timeout_ms:", "out of its range"}},
          {kListen + kServer + " timeout client 9s\n timeout http-keep-alive 0\n timeout queue 0\n",
           {"idle_ms: 9000"},
           {"queue"}},
          {kListen + " server a 1.1.1.1:80 check maxconn 5 maxqueue 0\n timeout connect 7s\n",
           {"max_requests: 10000", "timeout_ms: 7000"}},
          {kListen +
               " server a 1.1.1.1:80 check maxconn 5\n timeout connect 7s\n timeout queue 3s\n",
           {"timeout_ms: 3000"}},
      });
}

TEST(ImportHaproxyValues, ATimeOfAClientThatIsNotTakenIsTold) {
  ExpectImported("haproxy", "",
                 {
                     {kListen + kServer + " timeout client 1h\n timeout http-keep-alive 5s\n",
                      {"idle_ms: 5000", "# f:5: \"timeout client 1h\" is not carried over"}},
                     {kListen + kServer + " timeout client 5s\n timeout http-keep-alive 5s\n",
                      {"idle_ms: 5000"},
                      {"not carried over"}},
                     // It is that of another frontend.
                     {"defaults\n mode http\n timeout client 30s\n"
                      "frontend f\n bind :80\n default_backend b\n"
                      "frontend g\n bind :81\n timeout http-request 5s\n default_backend b\n"
                      "backend b\n server a 1.1.1.1:80\n",
                      {"idle_ms: 30000"},
                      {"not carried over"}},
                 });
}

TEST(ImportHaproxyValues, TheLaterWordOfAServerStands) {
  const std::string both = " default-server inter 10s maxconn 50\n default-server inter 2s\n";
  ExpectImported(
      "haproxy", "",
      {
          {kListen + both + kServer, {"interval_ms: 2000", "max_connections: 50"}},
          {kListen + both + " server a 1.1.1.1:80 check inter 4s\n", {"interval_ms: 4000"}},
          // It is for the servers behind it.
          {kListen + kServer + " default-server maxconn 9\n", {}, {"max_connections"}},
          {kListen + " default-server disabled ssl verify none\n"
                     " server a 1.1.1.1:80 check enabled no-ssl\n",
           {"host: \"1.1.1.1\""},
           {"left out", "backend_tls"}},
          {kListen + " default-server backup check\n server a 1.1.1.1:80 no-backup\n"
                     " server b 1.1.1.2:80 no-check\n",
           {"port: 80, backup: true, name: \"b\"", "servers without `check` are checked here too"},
           {"80, backup: true, name: \"a\""}},
      });
}

// The value of a word is not a word.
TEST(ImportHaproxyValues, WordsOfAServerHaveTheirValues) {
  ExpectImported(
      "haproxy", "",
      {
          {kListen + " server a 1.1.1.1:80 check agent-send backup minconn 5 log-proto ssl\n",
           {"\"minconn\" is not asked for"},
           {"backup: true", "\"5\"", "backend_tls"}},
          {kListen + " default-server crl-file /r.pem zork\n" + kServer,
           {"# f:4: default-server: \"crl-file\" there are no revocation lists",
            "# f:4: default-server: \"zork\" has no counterpart"}},
          {kListen + kServer + " server b 1.1.1.2:80 check frobnicate\n",
           {"# f:5: server b: \"frobnicate\" has no counterpart"}},
      });
}

TEST(ImportHaproxyValues, ABackupServesWhereThereIsNothingElse) {
  const std::string head = kListen + " server a 1.1.1.1:80 check disabled\n";
  const std::string backups =
      " server b 1.1.1.2:80 check backup\n server c 1.1.1.3:80 check backup\n";
  const std::string shared = "all backups share the requests";
  ExpectImported(
      "haproxy", "",
      {
          {head + " server b 1.1.1.2:80 check backup\n",
           {"host: \"1.1.1.2\"", "# f:5: is a backup of no other server"},
           {"backup: true"}},
          {head + backups, {"port: 80, backup: true, name: \"c\""}, {"backup: true, name: \"b\""}},
          {head + " option allbackups\n" + backups, {}, {"backup: true", shared}},
          {kListen + kServer + backups, {shared}},
          {kListen + kServer + " option allbackups\n" + backups, {}, {shared}},
      });
}

TEST(ImportHaproxyValues, AHashOfTheUriTakesTheQueryToo) {
  const std::string two = kServer + " server b 1.1.1.2:80 check\n";
  ExpectImported(
      "haproxy", "",
      {
          {kListen + two + " balance uri\n", {"hash_key: \"uri\"", "the whole URI is hashed"}},
          {kListen + two + " balance uri whole\n", {"hash_key: \"uri\""}, {"hashed"}},
          {kListen + two + " balance uri\n stick on src\n", {"algorithm: ip-hash"}, {"hash_key"}},
      });
}

TEST(ImportHaproxyValues, ARetryIsAfterWhatHaproxyRetriesAfter) {
  ExpectImported(
      "haproxy", "",
      {
          {kListen + kServer + " retries 3\n", {"max_attempts: 4", "on: [connect]"}},
          {kListen + kServer + " retries 3\n retry-on 502\n", {"max_attempts: 4", "on: [502]"}},
          {kListen + kServer + " retries 3\n retry-on none\n", {"max_attempts: 1"}, {"differs"}},
          {kListen + kServer + " http-reuse never\n", {"max_idle_per_backend: 0"}},
      });
}

TEST(ImportHaproxyValues, HeadersThatAreSentAnywayAreTheUsualOnes) {
  const std::string set = " http-request set-header ";
  ExpectImported(
      "haproxy", "",
      {
          {kListen + kServer + set + "X-Forwarded-Proto https\n",
           {"X-Forwarded-Proto is sent with what is known of the client"}},
          {kListen + kServer + set + "X-Forwarded-For %[req.hdr(CF-Connecting-IP)]\n",
           {"X-Forwarded-For is sent with what is known of the client"}},
          {kListen + kServer + set + "X-Forwarded-Proto https if { ssl_fc }\n" + set +
               "X-Forwarded-Proto http unless { ssl_fc }\n" + set + "X-Real-IP %[src]\n" + set +
               "X-Forwarded-Host %[req.hdr(Host)]\n" + set + "X-Request-ID %[uuid()]\n",
           {},
           {"is sent with"}},
          {"listen x\n mode http\n bind :443 ssl crt /c.pem\n" + kServer + set +
               "X-Forwarded-Proto https\n",
           {},
           {"is sent with"}},
      });
}

TEST(ImportHaproxyValues, ListenersKeepWhatTheyAre) {
  const std::string head = "listen x\n mode http\n" + kServer;
  ExpectImported(
      "haproxy", "",
      {
          {head + " bind :80 proto h2\n", {"\"0.0.0.0:80 h2c\""}},
          {head + " bind :80 interface eth0 maxconn 5\n",
           {"\"interface eth0\" has no counterpart", "\"maxconn 5\" limits are one for all"}},
          {head + " bind localhost:8081\n", {"127.0.0.1", "8081"}, {"left out"}},
          {head + " bind somewhere.example:$PORT\n",
           {"is not an address with a port: left out",
            "requests are taken at port 8080, the default"}},
      });
}

// A container is often given its values by the environment.
TEST(ImportHaproxyValues, ValuesOfTheEnvironmentAreLeftOut) {
  ExpectImported(
      "haproxy", "",
      {
          {kListen + kServer + " timeout connect \"$T\"\n",
           {"# f:5: \"timeout connect $T\": $T comes from the environment: left out"},
           {"connect_ms"}},
          {"global\n maxconn \"${MAX}\"\n" + kListen + " server a 1.1.1.1:80 weight \"$W\" check\n",
           {"${MAX} comes from the environment", "$W comes from the environment"},
           {"weight:"}},
      });
}

TEST(ImportHaproxyChecks, EscapesAreThoseOfHaproxy) {
  ExpectImported(
      "haproxy", "",
      {
          {kListen + kServer + " option httpchk GET /x \"HTTP/1.1\\r\\nHost: w.example\"\n",
           {"method: GET", "path: \"/x\"", "headers: { \"Host\": \"w.example\" }"}},
          {kListen + kServer + " option httpchk GET /x HTTP/1.1\\r\\nHost:\\ w.example\n",
           {"headers: { \"Host\": \"w.example\" }"}},
          {kListen + kServer +
               " option httpchk GET /x\n http-check send hdr X \"a\\qb\\x41\\\"\\#\"\n",
           {R"("X": "a\\qbA\"#")"}},
          {kListen + kServer + " option httpchk GET /x\n http-check send hdr X 'a\\n'\n",
           {R"("X": "a\\n")"}},
      });
}

TEST(ImportHaproxyChecks, WhatIsRefusedGoesAlone) {
  ExpectImported(
      "haproxy", "",
      {
          {kListen + kServer +
               " option httpchk GET /x \"HTTP/1.1\\r\\nBad Name: x\\r\\nHost: y\"\n",
           {"path: \"/x\"", "headers: { \"Host\": \"y\" }", "\"Bad Name\" is not a header name"}},
          {kListen + kServer + " option httpchk OPTIONS *\n http-check expect status 200,abc\n",
           {"path: \"/\"", "method: OPTIONS", "expected_status: 200",
            "checks ask for a path: \"*\" became \"/\"", "\"abc\" is not a status"}},
          {"listen x\n mode http\n" + kServer + " bind :443,:444 ssl crt /c.pem alpn http/1.1,h3\n",
           {"0.0.0.0:443 tls", "0.0.0.0:444 tls", "/c.pem", "alpn: [\"http/1.1\"]"}},
      });
}

TEST(ImportHaproxyChecks, OneRequestIsSentAndTheRestIsTold) {
  ExpectImported(
      "haproxy", "",
      {
          {kListen + kServer +
               " http-check connect port 9000\n http-check send meth GET uri /a\n"
               " http-check expect status 201\n http-check connect\n http-check send uri /b\n"
               " http-check expect string OK\n option httpchk\n",
           {"path: \"/a\"", "expected_status: 201",
            "# f:5: \"http-check connect port 9000\" checks connect as requests do",
            "# f:9: \"http-check send uri /b\" a check here is one request",
            "# f:10: \"http-check expect string OK\" a check here is one request"},
           {"expected_body"}},
          {kListen + kServer +
               " option httpchk GET /a\n http-check expect status 200\n"
               " http-check expect string OK\n http-check expect status 204\n",
           {"expected_status: 200", "expected_body: \"OK\"",
            "# f:8: \"http-check expect status 204\""},
           {}},
      });
}

TEST(Import, TheFormatIsNotFoundInComments) {
  const std::string rest =
      "frontend web\n mode http\n bind :80\n default_backend b\n"
      "backend b\n mode http\n server a 1.1.1.1:80 check\n";
  for (const std::string head : {"global # main; see wiki\n daemon\n", "# a { b }\n",
                                 "\xef\xbb\xbf", "\xef\xbb\xbf# x;\nglobal # {\n"}) {
    const ImportResult result = ImportConfig({.file = "x"}, head + rest);
    ASSERT_TRUE(result.faults.empty()) << head << result.faults[0];
    EXPECT_NE(result.yaml.find("(HAProxy)"), std::string::npos) << head;
  }
}

}  // namespace
}  // namespace ub
