#include "core/config_bind_tls.h"

#include <gtest/gtest.h>

#include "config_fixture.h"

namespace ub {
namespace {

std::string Certificates(const BindResult& result) {
  std::string out;
  for (const CertificateConfig& each : result.config.tls.certificates) {
    out += (out.empty() ? "" : ", ") + each.certificate + " " + each.key;
  }
  return out;
}

BindResult Bind(const std::string& list) {
  return BindYaml("tls: { certificates: " + list + " }\nbackends: [ \"a:1\" ]\n", {.directory = "/d"});
}

TEST(ConfigBindTls, EveryWayToWriteACertificate) {
  for (const auto& [list, expected] : std::vector<std::pair<std::string, std::string>>{
           {"[ { certificate: /a.pem, key: /a.key } ]", "/a.pem /a.key"},
           {"[ { certificate: a.pem, key: \"file:a.key\" } ]", "/d/a.pem /d/a.key"},
           {"[ { certificate: /a.pem, key: \"env:KEY\" } ]", "/a.pem env:KEY"},
           {"[ { certificate: /a.pem } ]", "/a.pem /a.pem"},
           {"[ \"/a.pem\", \"/b.pem /b.key\" ]", "/a.pem /a.pem, /b.pem /b.key"}}) {
    const BindResult result = Bind(list);
    EXPECT_EQ(Lines(result.problems), "") << list;
    EXPECT_EQ(Certificates(result), expected) << list;
  }
}

TEST(ConfigBindTls, WhatIsWrongIsToldWithItsPlace) {
  for (const auto& [list, expected] : std::vector<std::pair<std::string, std::string>>{
           {"[ { key: /a.key } ]", "t:1:24: tls.certificates: certificate is missing (the path of a PEM file)"},
           {"[ { certificate: /a, kee: /b } ]",
            "t:1:43: tls.certificates: unknown key \"kee\" (certificate, key and ocsp_staple_file are possible)"},
           {"[ [ /a ] ]", "t:1:24: tls.certificates: expected { certificate, key }, found a list"},
           {"{ certificate: /a }", "t:1:22: tls.certificates: expected a list of { certificate, key }, found a mapping"},
           {"[ \"/a /b\", \"/a /b\" ]", "t:1:33: tls.certificates: /a is given twice"},
           {"[ { certificate: \"/a b\" } ]",
            "t:1:24: tls.certificates: \"/a b\" has a blank or a comma in it (rename the file)"}}) {
    EXPECT_EQ(Lines(Bind(list).problems), expected) << list;
  }
}

TEST(ConfigBindTls, TlsTakesACertificate) {
  const BindResult result = BindYaml("listen: [ \"1.2.3.4:443 tls\" ]\nbackends: [ \"a:1\" ]\n");
  EXPECT_EQ(Lines(result.problems), "t:1:9: listen: 1.2.3.4:443 tls: there is no certificate (set tls.certificates)");
  EXPECT_TRUE(result.config.listen.at(0).tls);
  EXPECT_EQ(result.config.listen.at(0).text, "1.2.3.4:443");
}

TEST(ConfigBindTls, Http2IsOnBothWaysOrOff) {
  const BindResult h2c = BindYaml("listen: [ \"1.2.3.4:80 h2c\", \"unix:/a b h2c\", \"[::1]:1\" ]\nbackends: [ \"a:1\" ]\n");
  EXPECT_EQ(Lines(h2c.problems), "");
  ASSERT_EQ(h2c.config.listen.size(), 3u);
  EXPECT_TRUE(h2c.config.listen[0].h2c && h2c.config.listen[1].h2c && !h2c.config.listen[2].h2c);
  EXPECT_EQ(h2c.config.listen[0].text, "1.2.3.4:80");
  EXPECT_EQ(h2c.config.listen[1].text, "unix:/a b");
  EXPECT_EQ(Lines(BindYaml("listen: [ \"1.2.3.4:80 h2c\" ]\nhttp2: { enabled: false }\nbackends: [ \"a:1\" ]\n").problems),
            "t:1:9: listen: 1.2.3.4:80 h2c: http2.enabled is false");
  EXPECT_EQ(Lines(BindYaml("tls: { alpn: [ h2 ] }\nhttp2: { enabled: false }\nbackends: [ \"a:1\" ]\n").problems),
            "t:1:14: tls.alpn: nothing but h2, and http2.enabled is false");
}

TEST(ConfigBindTls, OnlyTlsAndH2cMayStandBehindAnAddress) {
  const BindResult result = BindYaml("listen: [ \"1.2.3.4:443 tsl\", \"unix:/a tls\", \"[::1]:1  tls\" ]\n"
                                     "tls: { certificates: [ /c ] }\nbackends: [ \"a:1\" ]\n");
  EXPECT_EQ(Lines(result.problems), "t:1:11: listen: unknown word \"tsl\" behind the address (tls and h2c are possible)");
  ASSERT_EQ(result.config.listen.size(), 2u);
  for (const ListenConfig& listen : result.config.listen) EXPECT_TRUE(listen.tls) << listen.text;
  EXPECT_EQ(result.config.listen[0].text, "unix:/a");
}

TEST(ConfigBindTls, TheFilesAreReadWhenTheConfigurationIsLoaded) {
  ConfigDirectory directory;
  directory.Write("a.pem", "the certificate");
  directory.Write("empty", "");
  const std::string head = "listen: [ \"127.0.0.1:1 tls\" ]\nbackends: [ \"127.0.0.1:2\" ]\ntls:\n  certificates:\n";
  directory.Write("u.yaml", head + "    - { certificate: a.pem, key: \"env:KEY\" }\n");
  ConfigSource source = directory.Source("u.yaml");
  source.environment = {{"KEY", "the key"}};
  auto loaded = LoadConfig(source);
  ASSERT_TRUE(loaded) << Lines(loaded.error().lines);
  EXPECT_EQ(loaded->config->tls.certificates.at(0).certificate_pem, "the certificate");
  EXPECT_EQ(loaded->config->tls.certificates.at(0).key_pem, "the key");

  directory.Write("u.yaml", head + "    - { certificate: a.pem, key: \"env:NONE\" }\n    - { certificate: no.pem }\n"
                            "    - { certificate: empty }\n");
  loaded = LoadConfig(directory.Source("u.yaml"));
  ASSERT_FALSE(loaded);
  const std::string dir = directory.path();
  EXPECT_EQ(Lines(loaded.error().lines),
            "u.yaml:5:34: tls.certificates: the environment has no NONE\n"
            "u.yaml:6:22: tls.certificates: cannot read " + dir + "/no.pem: No such file or directory\n"
            "u.yaml:7:22: tls.certificates: " + dir + "/empty is empty");
}

TEST(ConfigBindTls, OtherFilesThatCannotBeReadAreToldByTheirKeys) {
  ConfigDirectory directory;
  directory.Write("a.pem", "x");
  directory.Write("u.yaml",
                  "listen: [ \"127.0.0.1:1 tls\" ]\nbackends: [ \"127.0.0.1:2\" ]\n"
                  "tls:\n  certificates:\n    - { certificate: a.pem }\n"
                  "    - { certificate: a.pem, key: a.pem, ocsp_staple_file: none.ocsp }\n"
                  "  ocsp_staple_file: no.ocsp\n  client_ca: no.ca\n"
                  "backend_tls: { enabled: true, ca_file: no.pem, certificate: a.pem }\n");
  const auto loaded = LoadConfig(directory.Source("u.yaml"));
  ASSERT_FALSE(loaded);
  const std::string& dir = directory.path();
  EXPECT_EQ(Lines(loaded.error().lines),
            "u.yaml:6:59: tls.certificates: cannot read " + dir + "/none.ocsp: No such file or directory\n"
            "u.yaml:7:21: tls.ocsp_staple_file: cannot read " + dir + "/no.ocsp: No such file or directory\n"
            "u.yaml:8:14: tls.client_ca: cannot read " + dir + "/no.ca: No such file or directory\n"
            "u.yaml:9:40: backend_tls.ca_file: cannot read " + dir + "/no.pem: No such file or directory");
}

TEST(ConfigBindTls, ARedirectNeedsAListenerToGoTo) {
  const BindResult result = BindYaml("tls: { redirect_http: true }\nbackends: [ \"a:1\" ]\n");
  EXPECT_EQ(Lines(result.problems),
            "t:1:23: tls.redirect_http: there is nowhere to redirect to (let a listener be \"ADDRESS:443 tls\")");
}

TEST(ConfigBindTls, WhatTheLayerAboveFindsGetsItsPlace) {
  ConfigDirectory directory;
  directory.Write("a.pem", "x");
  directory.Write("u.yaml", "listen: [ \"127.0.0.1:1 tls\" ]\nbackends: [ \"127.0.0.1:2\" ]\n"
                            "tls: { ciphers: \"X\", certificates: [ { certificate: a.pem, key: a.pem } ] }\n");
  ConfigSource source = directory.Source("u.yaml");
  source.check_tls = [](const Config&) {
    return std::vector<TlsFault>{{"key", 0, "is bad"}, {"tls.ciphers", 0, "are bad"}};
  };
  auto loaded = LoadConfig(source);
  ASSERT_FALSE(loaded);
  EXPECT_EQ(Lines(loaded.error().lines), "u.yaml:3:17: tls.ciphers: are bad\nu.yaml:3:65: tls.certificates: is bad");
  source.check_tls = [](const Config&) {
    return std::vector<TlsFault>{{"certificate", 0, "grows old", true}};
  };
  loaded = LoadConfig(source);
  ASSERT_TRUE(loaded);
  EXPECT_EQ(Lines(loaded->warnings), "u.yaml:3:53: tls.certificates: grows old");
}

}  // namespace
}  // namespace ub
