// Rate limits, which HAProxy makes of tables, of rules that count, and of rules that deny.
#include <gtest/gtest.h>

#include "support/import_cases.h"

namespace ub {
namespace {

const std::string kHead = "frontend web\n mode http\n bind :80\n default_backend app\n";
const std::string kPool = "backend app\n mode http\n server a 1.1.1.1:80 check\n";
const std::string kTable = " stick-table type ip size 1m expire 60s store http_req_rate(60s)\n";
const std::string kDeny = " http-request deny if { sc_http_req_rate(0) gt 600 }\n";

TEST(ImportHaproxyLimits, TheTableAndTheKeyAreThoseOfTheRule) {
  const std::string other =
      "frontend other\n mode http\n bind :81\n"
      " stick-table type ip size 1m expire 60s store http_req_rate(1s)\n"
      " http-request track-sc0 src\n default_backend o\n"
      "backend o\n mode http\n server o 1.1.1.9:80\n";
  ExpectImported(
      "haproxy", "",
      {
          {kHead + kTable + " http-request track-sc0 src\n" + kDeny + kPool + other,
           {"requests_per_second: 10", "burst: 600", "600 requests in 60000 ms became 10 a second"},
           {"key:"}},
          {kHead + kTable + " http-request track-sc0 hdr(x-api-key) if { path_beg /api }\n" +
               kDeny + kPool + other,
           {"requests_per_second: 10", "key: \"header:x-api-key\"",
            "# f:6: \"http-request track-sc0 hdr(x-api-key) if { path_beg /api }\" is under a "
            "condition: here all is counted"}},
          {kHead +
               " http-request track-sc1 req.cook(sid) table t\n"
               " http-request deny if { sc1_http_req_rate gt 20 }\n" +
               kPool + "backend t\n stick-table type string size 1m store http_req_rate(10s)\n",
           {"requests_per_second: 2", "key: \"cookie:sid\""},
           {"has no counterpart"}},
          {kHead + " http-request deny if { src_http_req_rate(t) gt 20 }\n" + kPool +
               "backend t\n stick-table type ip size 1m store http_req_rate(10s)\n",
           {"requests_per_second: 2"}},
          // Counted by the frontend, denied by the pool.
          {kHead + kTable + " http-request track-sc0 src\n" + kPool + kDeny,
           {"requests_per_second: 10"}},
      });
}

TEST(ImportHaproxyLimits, WhatIsCountedOtherwiseIsLeftOut) {
  ExpectImported("haproxy", "",
                 {
                     {kHead + kTable + kDeny + kPool,
                      {"# f:6: ", "no rule tracks what it looks at: left out"},
                      {"rate_limit:"}},
                     {kHead + kTable + " http-request track-sc0 base32+src\n" + kDeny + kPool,
                      {"limits by base32+src, which has no counterpart: left out"},
                      {"rate_limit:"}},
                     {kHead + kTable +
                          " http-request track-sc0 src if { path /a }\n"
                          " http-request track-sc0 hdr(x) if { path /b }\n" +
                          kDeny + kPool,
                      {"more than one rule tracks what it looks at: left out"},
                      {"rate_limit:"}},
                     {kHead + " http-request track-sc0 src\n" + kDeny + kPool,
                      {"its table has no http_req_rate(...): the period is not known"},
                      {"rate_limit:"}},
                     {kHead + " tcp-request connection accept if { src_conn_cur gt 50 }\n" + kPool,
                      {"no rules deny"},
                      {"connections_per_client"}},
                 });
}

TEST(ImportHaproxyLimits, AnAclIsThatOfItsSection) {
  const std::string other =
      "frontend other\n mode http\n bind :81\n" + kTable +
      " acl slow sc_http_req_rate(0) gt 5\n http-request track-sc0 src\n default_backend o\n"
      "backend o\n mode http\n server o 1.1.1.9:80\n";
  ExpectImported("haproxy", "",
                 {
                     {kHead + " acl slow path_beg /x\n http-request deny if slow\n" + kPool + other,
                      {"# f:6: \"http-request deny if slow\" has no counterpart: no rules deny"},
                      {"rate_limit:"}},
                     // Two lines of one name: any of them may hold.
                     {kHead + kTable +
                          " http-request track-sc0 src\n acl bad src 10.9.9.9\n"
                          " acl bad sc_http_req_rate(0) gt 100\n http-request deny if bad\n" +
                          kPool,
                      {"\"http-request deny if bad\" has no counterpart: no rules deny"},
                      {"rate_limit:"}},
                     {kHead + kTable +
                          " http-request track-sc0 src\n acl bad sc_http_req_rate(0) gt 600\n"
                          " http-request deny if bad\n" +
                          kPool,
                      {"requests_per_second: 10"}},
                 });
}

TEST(ImportHaproxyLimits, ALimitOfOneFrontendIsTold) {
  ExpectImported(
      "haproxy", "",
      {
          // Inherited by both sides: it is one limit.
          {"defaults d\n mode http\n" + kTable + " http-request track-sc0 src\n" + kDeny +
               "frontend a from d\n bind :80\n default_backend app\nfrontend b from d\n bind :81\n"
               " default_backend app\nbackend app from d\n server a 1.1.1.1:80 check\n",
           {"requests_per_second: 10"},
           {"another was taken", "some frontends"}},
          {kHead + kTable + " http-request track-sc0 src\n" + kDeny +
               "frontend b\n mode http\n bind :81\n default_backend app\n" + kPool,
           {"# f:7: \"limit of http_req_rate\" is given for some frontends only"}},
      });
}

}  // namespace
}  // namespace ub
