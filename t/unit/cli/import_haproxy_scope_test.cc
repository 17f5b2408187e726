// What HAProxy says of one listener, server or section, and we of all.
#include <gtest/gtest.h>

#include "support/import_cases.h"

namespace ub {
namespace {

const std::string kPool =
    "backend app\n mode http\n server a 1.1.1.1:80 check\n server b 1.1.1.2:80 check\n";
const std::string kTls = " bind :443 ssl crt /c.pem\n";

TEST(ImportHaproxyScope, ProxyHeadsAreForAllListenersOrLeftOut) {
  const std::string front = "frontend web\n mode http\n bind :81 accept-proxy\n";
  ExpectImported(
      "haproxy", "",
      {
          {front + " bind :80\n default_backend app\n" + kPool,
           {"# f:3: \"bind :81 accept-proxy\" other listeners have no accept-proxy", "0.0.0.0:81"},
           {"proxy_protocol:", "every peer is believed"}},
          {front + " default_backend app\n" + kPool,
           {"accept: true", "trust: [\"0.0.0.0/0\", \"::/0\"]",
            "# f:3: \"bind :81 accept-proxy\" every peer is believed"}},
          {"frontend web\n mode http\n bind /run/s accept-proxy\n default_backend app\n" + kPool,
           {"accept: true", "trust: [\"unix:\"]"}},
      });
}

// The strictest holds, whichever comes first.
TEST(ImportHaproxyScope, ClientCertificatesAreAskedForWhereOneListenerDoes) {
  const std::string head = "frontend web\n mode http\n default_backend app\n";
  const std::string strict = " bind :8443 ssl crt /c.pem ca-file /ca.pem verify required\n";
  const std::string mild = " bind :444 ssl crt /c.pem ca-file /other.pem verify optional\n";
  ExpectImported("haproxy", "",
                 {
                     {head + kTls + strict + kPool,
                      {"client_auth: required", "client_ca: \"/ca.pem\"",
                       "# f:4: client certificates are asked for here too, as at line 5"}},
                     {head + strict + " bind :80\n" + kPool,
                      {"client_auth: required"},
                      {"asked for here too"}},
                     {head + mild + strict + kPool,
                      {"client_auth: required",
                       "# f:4: client certificates are asked for here too, as at line 5",
                       "tls.client_ca: /ca.pem differs from /other.pem"}},
                     // Without `verify` an authority says nothing.
                     {head + " bind :443 ssl crt /c.pem ca-file /other.pem\n" + strict + kPool,
                      {"client_ca: \"/ca.pem\""},
                      {"/other.pem"}},
                 });
}

TEST(ImportHaproxyScope, WhatOneListenerWithTlsSaysHoldsForAll) {
  const std::string head = "frontend web\n mode http\n default_backend app\n";
  ExpectImported(
      "haproxy", "",
      {
          {head + kTls + " bind :444 ssl crt /d.pem ssl-min-ver TLSv1.3 alpn http/1.1\n" + kPool,
           {"min_version: 1.3", "alpn: [\"http/1.1\"]",
            "# f:5: \"ssl-min-ver\" is given for some listeners with TLS only, and holds for all "
            "here",
            "# f:5: \"alpn http/1.1\" is given for some listeners with TLS only",
            "# f:5: \"crt /d.pem\" is given for some listeners with TLS only"}},
          {head + kTls + " bind :444 ssl crt /c.pem alpn h2,http/1.1\n" + kPool,
           {},
           {"some listeners", "alpn"}},
      });
}

TEST(ImportHaproxyScope, ARedirectIsForAllListenersWithoutTlsOrLeftOut) {
  const std::string web =
      "frontend web\n mode http\n bind :80\n" + kTls +
      " http-request redirect scheme https unless { ssl_fc }\n default_backend app\n";
  const std::string internal =
      "frontend internal\n mode http\n bind 127.0.0.1:8080\n default_backend app\n";
  ExpectImported(
      "haproxy", "",
      {
          {web + kPool, {"redirect_http: true", "listen: [\"0.0.0.0:80\", \"0.0.0.0:443 tls\"]"}},
          {web + internal + kPool,
           {"listen: [\"127.0.0.1:8080\", \"0.0.0.0:443 tls\"]",
            "# f:3: \"bind :80\" only redirects to https"},
           {"redirect_http: true"}},
          {internal + web + kPool,
           {"# f:7: \"bind :80\" only redirects to https"},
           {"redirect_http: true"}},
          // The pool's own redirect is for whoever comes to it.
          {"frontend web\n mode http\n bind :80\n" + kTls + " default_backend app\n" + internal +
               kPool + " redirect scheme https if !{ ssl_fc }\n",
           {"redirect_http: true", "127.0.0.1:8080"}},
      });
}

TEST(ImportHaproxyScope, AnAclMaySayThatARequestCameByTls) {
  const std::string web =
      "frontend web\n mode http\n bind :80\n" + kTls + " default_backend app\n acl https ssl_fc\n";
  ExpectImported(
      "haproxy", "",
      {
          {web + " redirect scheme https if !https\n" + kPool,
           {"redirect_http: true"},
           {"is left out"}},
          {web + " redirect scheme https code 301 unless https\n" + kPool, {"redirect_http: true"}},
          {web + " redirect scheme https if https\n" + kPool,
           {"is left out: tls.redirect_http is for all that comes without TLS"},
           {"redirect_http: true"}},
          // Either of two, and one on something else.
          {web + " acl https src 10.0.0.1\n redirect scheme https if !https\n" + kPool,
           {"is left out: tls.redirect_http"},
           {"redirect_http: true"}},
          {web + " acl x path_beg /x\n redirect scheme https if !https x\n" + kPool,
           {"is left out: tls.redirect_http"},
           {"redirect_http: true"}},
      });
}

TEST(ImportHaproxyScope, ARedirectWithExceptionsIsTold) {
  ExpectImported(
      "haproxy", "",
      {{"frontend http\n mode http\n bind :80\n acl acme path_beg /.well-known/\n"
        " use_backend certbot if acme\n redirect scheme https if !acme !{ ssl_fc }\n"
        "frontend web\n mode http\n" +
            kTls + " default_backend app\n" + kPool,
        {"frontend http does not lead to the pool", "# f:6: ", "is left out: tls.redirect_http"},
        {"redirect_http: true"}}});
}

TEST(ImportHaproxyScope, WhatAFrontendDoesBesidesRedirectingIsTold) {
  const std::string secure = "frontend web\n mode http\n" + kTls + " default_backend app\n";
  ExpectImported(
      "haproxy", "",
      {
          {"frontend plain\n mode http\n bind :80\n maxconn 7\n acl acme path_beg /.well-known\n"
           " use_backend other if acme\n http-request deny if { src 10.9.9.9 }\n"
           " http-request redirect scheme https\n" +
               secure + kPool + "backend other\n mode http\n server c 1.1.1.3:80\n",
           {"redirect_http: true",
            "# f:4: \"maxconn 7\" is not carried over: all that comes to this frontend is "
            "redirected",
            "# f:6: \"use_backend other if acme\" is not carried over",
            "# f:7: \"http-request deny if { src 10.9.9.9 }\" is not carried over"},
           {"its requests go to", "max_connections: 7"}},
          // Where it has TLS too, requests by that go elsewhere.
          {"frontend plain\n mode http\n bind :80\n bind :444 ssl crt /o.pem\n"
           " redirect scheme https if !{ ssl_fc }\n" +
               secure + kPool,
           {"# f:1: frontend plain does not lead to the pool"},
           {"0.0.0.0:444", "redirect_http: true"}},
      });
}

TEST(ImportHaproxyScope, WhatOneFrontendSaysHoldsForAll) {
  const std::string other = "frontend b\n mode http\n bind :81\n default_backend app\n";
  ExpectImported(
      "haproxy", "",
      {
          {"frontend a\n mode http\n bind :80\n timeout http-request 5s\n option httpclose\n"
           " default_backend app\n" +
               other + kPool,
           {"header_ms: 5000", "# f:4: \"timeout http-request\" is given for some frontends only",
            "# f:5: \"option httpclose\" is given for some frontends only"}},
          {"frontend a\n mode http\n bind :80\n timeout http-request 0\n maxconn 0\n"
           " default_backend app\n" +
               other + kPool,
           {},
           {"some frontends", "header_ms", "max_connections"}},
          {"defaults\n mode http\n timeout http-request 5s\nfrontend a\n bind :80\n"
           " default_backend app\n" +
               other + kPool,
           {"header_ms: 5000"},
           {"some frontends"}},
      });
}

TEST(ImportHaproxyScope, WhatOneServerSaysHoldsForAll) {
  const std::string head = "listen x\n mode http\n bind :80\n";
  ExpectImported(
      "haproxy", "",
      {
          {head + " server a 1.1.1.1:80 check inter 3s\n server b 1.1.1.2:80 check\n",
           {"interval_ms: 3000", "# f:4: \"inter\" is given for some servers only"}},
          {head +
               " default-server inter 3s\n server a 1.1.1.1:80 check\n server b 1.1.1.2:80 check\n",
           {"interval_ms: 3000"},
           {"some servers"}},
          // Where one has to prove who it is, all have to.
          {head + " server a 1.1.1.1:80 check ssl verify none\n"
                  " server b 1.1.1.2:80 check ssl verify required ca-file /ca.pem\n",
           {"verify: true", "# f:4: `verify` is one for all backends"},
           {"verify: false"}},
      });
}

// What a frontend inherits says nothing of the pool, and the other way round.
TEST(ImportHaproxyScope, DefaultsOfOneSideAreNotTheOthers) {
  ExpectImported(
      "haproxy", "",
      {
          {"defaults fe\n mode http\n retries 0\n timeout server 1s\n timeout client 2s\n"
           " balance leastconn\n default-server inter 1s ssl verify none\n"
           "defaults be\n mode http\n timeout server 9s\n timeout client 8s\n maxconn 77\n"
           "frontend web from fe\n bind :80\n default_backend app\n"
           "backend app from be\n server a 1.1.1.1:80 check\n",
           {"request_ms: 9000", "idle_ms: 2000"},
           {"backend_tls", "retry:", "interval_ms", "algorithm", "max_connections", "8000"}},
      });
}

// What is said later, or within, takes the place of what stands before it.
TEST(ImportHaproxyScope, AnInnerLineTakesThePlaceOfAnOuterOne) {
  const std::string head = "defaults\n mode http\n";
  const std::string listen = "listen x\n bind :80\n server a 1.1.1.1:80 check\n";
  ExpectImported(
      "haproxy", "",
      {
          {head + " option http-server-close\n" + listen + " option http-keep-alive\n",
           {},
           {"max_idle_per_backend"}},
          {head + " option httpclose\n" + listen + " no option httpclose\n",
           {},
           {"requests_per_connection", "max_idle_per_backend"}},
          {head + " option httpclose\n" + listen + " no option http-server-close\n",
           {"requests_per_connection: 1"}},
          {head + " option httpclose\nfrontend f\n option http-keep-alive\n bind :80\n"
                  " default_backend b\nbackend b\n server a 1.1.1.1:80 check\n",
           {"requests_per_connection: 1"}},
          {head + " balance leastconn\n" + listen + " balance url_param user\n",
           {"\"balance url_param user\" has no counterpart: requests go round-robin"},
           {"least-connections"}},
          {head + " option httpchk GET /x\n" + listen + " option tcp-check\n", {}, {"/x"}},
          {head + " http-check expect status 204\n" + listen +
               " option httpchk GET /x\n http-check expect status 200\n",
           {"expected_status: 200"},
           {"204"}},
          {head + " timeout server 5s\n timeout server 6s\n" + listen,
           {"request_ms: 6000"},
           {"5000"}},
          {head + " log stdout format raw daemon\n" + listen + " no log\n", {}, {"logging"}},
          // The global section's logs are for whom it asks for.
          {"global\n log stdout format raw daemon\n" + head + listen, {}, {"logging"}},
          {"global\n log stdout format raw daemon\n" + head + " log global\n" + listen,
           {"access_log: \"stdout\""}},
      });
}

TEST(ImportHaproxyScope, APoolOfHttpIsChosenBeforeOneOfTcp) {
  const std::string mysql = "listen mysql\n bind :3306\n server m 1.1.1.9:3306 check\n";
  ExpectImported(
      "haproxy", "",
      {
          {mysql + "frontend web\n mode http\n bind :80\n default_backend app\n" + kPool,
           {"the backend \"app\"", "# f:1: listen mysql is another pool"}},
          {mysql,
           {"# f:1: listen mysql has no `mode`, which is TCP: connections are read as HTTP"}},
          {"defaults\n mode tcp\n" + mysql, {"# f:2: \"mode tcp\" only HTTP is balanced"}},
      });
}

TEST(ImportHaproxyScope, TheGlobalSectionIsNoProxy) {
  ExpectImported(
      "haproxy", "",
      {
          {"global\n maxconn 9\n bind :81\n server x 1.1.1.9:80\n http-request set-header "
           "X-Forwarded-Proto https\n"
           "frontend web\n mode http\n bind :80\n default_backend app\n" +
               kPool,
           {"listen_port: 80", "max_connections: 9", "# f:3: \"bind :81\" has no counterpart"},
           {"host: \"1.1.1.9\""}},
      });
}

TEST(ImportHaproxyScope, WhatIsDisabledDoesNotListen) {
  const std::string off = "frontend off\n mode http\n bind :81\n default_backend app\n";
  const std::string web = "frontend web\n mode http\n bind :80\n default_backend app\n";
  ExpectImported(
      "haproxy", "",
      {
          {off + " disabled\n" + web + kPool,
           {"listen_port: 80", "# f:1: frontend off is disabled, and was left out"}},
          {"defaults\n disabled\n" + off + " enabled\n" + kPool + " enabled\n",
           {"listen_port: 81"}},
          {"listen x\n mode http\n bind :82\n disabled\n server a 1.1.1.1:82\n" + web + kPool,
           {"listen_port: 80", "the backend \"app\""}},
      });
}

}  // namespace
}  // namespace ub
