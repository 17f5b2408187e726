#include "cli/import.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "core/config_bind.h"
#include "core/config_load.h"

namespace ub {
namespace {

namespace fs = std::filesystem;

fs::path ImportDirectory() {
  const char* root = std::getenv("UB_SRCDIR");
  return fs::path(root != nullptr ? root : ".") / "t/import";
}

std::string ReadText(const fs::path& path) {
  std::stringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

// As on a machine that has the one user www-data.
ImportResult Import(const std::string& file, std::string_view text, const std::string& from = "",
                    const std::string& pool = "") {
  const auto known = [](const std::string& name) { return name == "www-data"; };
  return ImportConfig(
      {.file = file, .from = from, .pool = pool, .has_user = known, .has_group = known}, text);
}

std::vector<fs::path> Inputs(const std::string& format, const std::string& extension) {
  std::vector<fs::path> files;
  for (const fs::directory_entry& entry : fs::directory_iterator(ImportDirectory() / format)) {
    if (entry.path().extension() == extension) files.push_back(entry.path());
  }
  std::ranges::sort(files);
  return files;
}

// What `validate` would say of it, names left aside.
std::string Problems(const std::string& yaml) {
  ConfigProblems problems;
  const ConfigNode root = ParseConfigText(ConfigFormat::kYaml, yaml, "imported.yaml", &problems);
  BindResult bound = BindConfig(root, {});
  std::ranges::move(bound.problems, std::back_inserter(problems));
  std::string out;
  for (const ConfigProblem& problem : problems) out += problem.ToString() + "\n";
  return out;
}

// Holds what becomes of each file to the YAML beside it. After a change that is meant:
//   UB_REGENERATE=1 objs/unit_tests --gtest_filter='ImportFiles.*'     and read the difference.
void ExpectImports(const std::string& format, const std::string& extension) {
  const std::vector<fs::path> files = Inputs(format, extension);
  EXPECT_GE(files.size(), 20u);
  for (const fs::path& file : files) {
    const ImportResult result = Import(file.string(), ReadText(file));
    EXPECT_TRUE(result.faults.empty())
        << file << fmt::format(": {}", fmt::join(result.faults, "\n"));
    EXPECT_EQ(Problems(result.yaml), "") << file;
    std::string yaml = result.yaml;
    const std::string directory = file.parent_path().string() + "/";
    for (size_t at; (at = yaml.find(directory)) != std::string::npos;)
      yaml.erase(at, directory.size());
    fs::path expected = file;
    expected.replace_extension(".yaml");
    if (std::getenv("UB_REGENERATE") != nullptr) std::ofstream(expected) << yaml;
    EXPECT_EQ(yaml, ReadText(expected)) << file;
  }
}

TEST(ImportFiles, OfNginxBecomeTheYamlBesideThem) { ExpectImports("nginx", ".conf"); }

TEST(ImportFiles, OfHaproxyBecomeTheYamlBesideThem) { ExpectImports("haproxy", ".cfg"); }

// A file cut anywhere, or with bytes changed, gives faults with a place or a configuration that is
// good; never anything else.
void ExpectSound(const std::string& name, const std::string& text) {
  const ImportResult result = Import(name, text);
  EXPECT_NE(result.faults.empty(), result.yaml.empty());
  for (const std::string& fault : result.faults) {
    EXPECT_TRUE(fault.starts_with(name)) << fault;
    for (const char c : fault) EXPECT_TRUE(c >= 0x20 && c < 0x7f) << fault;
  }
  if (!result.yaml.empty()) {
    EXPECT_EQ(Problems(result.yaml), "") << text << "\n=>\n" << result.yaml;
  }
}

TEST(Import, DamagedFilesGiveFaultsOrAGoodConfiguration) {
  std::mt19937 random(20261125);  // NOLINT: the same each time
  const std::string alphabet = std::string("{};\"'\\#$ \n\x80:/=-1a") + '\0';
  for (const auto& [format, extension] :
       {std::pair("nginx", ".conf"), std::pair("haproxy", ".cfg")}) {
    for (const fs::path& file : Inputs(format, extension)) {
      const std::string text = ReadText(file), name = file.filename().string();
      for (size_t size = 0; size < text.size(); size += 7) ExpectSound(name, text.substr(0, size));
      for (int i = 0; i < 60; ++i) {
        std::string changed = text;
        for (int k = 0; k < 3; ++k)
          changed[random() % text.size()] = alphabet[random() % alphabet.size()];
        ExpectSound(name, changed);
      }
    }
  }
}

TEST(Import, BadInputIsToldWithItsPlace) {
  const std::string deep = fmt::format("{0:a>{1}}", "", 0) + [] {
    std::string text;
    for (int i = 0; i < 100'000; ++i) text += "a { ";
    return text;
  }();
  const struct {
    const char* from;
    std::string text;
    const char* fault;
  } kCases[] = {
      {"nginx", "http {\n  upstream a {\n    server 1.2.3.4;\n",
       "f:2:3: the block has no end (a \"}\" is missing)"},
      {"nginx", "http { }\n}\n", "f:2:1: unexpected \"}\" (no block is open)"},
      {"nginx", "http {\n;\n}", "f:2:1: unexpected \";\" (there is no directive before it)"},
      {"nginx", "{ }", "f:1:1: unexpected \"{\" (a block has a name)"},
      {"nginx", "listen 80", "f:1:1: \"listen 80\" does not end (a \";\" or \"{\" is missing)"},
      {"nginx", "a \"b\n;", "f:1:3: the quote \" has no end"},
      {"nginx", std::string("a\0b;", 4), "f:1:1: the file has a NUL byte (is it a configuration?)"},
      {"nginx", deep, "f:1:257: blocks nest deeper than 64"},
      {"nginx", "",
       "f: there is nothing to carry over: no upstream and no proxy_pass to an address"},
      {"nginx", "upstream a { server 1.2.3.4 weight=x; }", "f:1:14: server: \"x\" is not a number"},
      {"nginx", "upstream a { server 1.2.3.4:0; }",
       "f:1:14: \"1.2.3.4:0\" has no good port (1 to 65535)"},
      {"nginx", "upstream a { server; }", "f:1:14: server needs an address"},
      {"nginx", "upstream a { server 1.2.3.4 down; }",
       "f: the pool \"a\" has no server to carry over"},
      {"nginx", "upstream a { server 1.2.3.4 fail_timeout=5x max_fails=1; }",
       "f:1:14: server: \"5x\" is not a time (such as 30s)"},
      {"nginx",
       "server { listen 99999; location / { proxy_pass http://a; client_max_body_size 1q; } }",
       "f:1:10: listen: \"0.0.0.0:99999\": port 99999 is out of range (1 to 65535)"},
      {"haproxy", "mode http\n",
       "f:1:1: \"mode\" stands in no section (global, defaults, frontend, backend, listen)"},
      {"haproxy", "global\n",
       "f: there is nothing to carry over: no backend or listen section with a server"},
      {"haproxy", "backend a\n  server x 1.2.3.4:80 weight many\n",
       "f:2:3: server: \"many\" is not a number"},
      {"haproxy", "backend a\n  server x\n", "f:2:3: server needs a name and an address"},
      {"haproxy", "backend a\n  balance \"\n", "f:2:3: the quote \" has no end"},
      {"haproxy", "backend a\n  timeout server\n  server x 1.2.3.4:80\n",
       "f:2:3: \"timeout server\" needs a value"},
      {"haproxy", "backend a from b\n  server x 1.2.3.4:80\n",
       "f:1:1: there is no \"defaults b\" before it"},
      {"haproxy", std::string("global\n\0\n", 9),
       "f:2:1: the file has a NUL byte (is it a configuration?)"},
      {"", "hello\n", "f: is it nginx's or HAProxy's? (say it: --from nginx, --from haproxy)"},
  };
  for (const auto& test : kCases) {
    const ImportResult result = Import("f", test.text, test.from);
    ASSERT_FALSE(result.faults.empty()) << test.fault;
    EXPECT_EQ(result.faults[0], test.fault);
    EXPECT_EQ(result.yaml, "");
  }
}

TEST(Import, AllFaultsAreTold) {
  const ImportResult result = Import(
      "f", "upstream a {\nserver 1.1.1.1 weight=x;\nkeepalive y;\nserver 1.1.1.2:x;\n}\n", "nginx");
  EXPECT_EQ(result.faults.size(), 3u);
}

TEST(Import, ManyBackendsGetTheirRoom) {
  std::string text = "upstream a {\n";
  for (int i = 0; i < 3000; ++i) text += fmt::format("server 10.{}.{}.1:80;\n", i / 250, i % 250);
  const ImportResult result = Import("nginx.conf", text + "}\n");
  ASSERT_TRUE(result.faults.empty()) << result.faults[0];
  EXPECT_NE(result.yaml.find("max_backends: 3000"), std::string::npos);
  EXPECT_EQ(Problems(result.yaml), "");
}

// What the configuration cannot hold is dropped and told, and the rest is taken.
TEST(Import, WhatTheConfigurationRefusesIsDropped) {
  const ImportResult result =
      Import("f",
             "upstream a {\nserver under_score.example:80;\nserver bad!name:80;\n"
             "server 1.1.1.1:80 weight=70000;\nkeepalive 99999999;\n}\n",
             "nginx");
  ASSERT_TRUE(result.faults.empty()) << result.faults[0];
  EXPECT_EQ(Problems(result.yaml), "");
  EXPECT_NE(result.yaml.find("# f:3: backends: \"bad!name\" is no address and no name"),
            std::string::npos)
      << result.yaml;
  EXPECT_NE(result.yaml.find("99999999 is out of its range, 1000000 was taken"), std::string::npos);
  EXPECT_NE(result.yaml.find("weight: 65535"), std::string::npos);
}

TEST(Import, TheFormatIsFoundByContentThenByName) {
  const struct {
    const char* file;
    const char* text;
    const char* from;
    const char* head;
  } kCases[] = {
      {"x", "\n# c\nupstream a { server 1.1.1.1; }", "", "(nginx)"},
      {"x.cfg", "upstream a { server 1.1.1.1; }", "", "(nginx)"},
      {"x.conf", "backend b\n server s 1.1.1.1:1\n", "", "(HAProxy)"},
      {"x", "backend b\n server s 1.1.1.1:1\n", "haproxy", "(HAProxy)"},
      {"nginx.conf", "upstream\na\n{ server 1.1.1.1; }", "", "(nginx)"},
  };
  for (const auto& test : kCases) {
    const ImportResult result = Import(test.file, test.text, test.from);
    EXPECT_NE(result.yaml.find(test.head), std::string::npos) << test.text;
  }
}

TEST(Import, AnotherPoolIsTakenByItsName) {
  const std::string nginx = ReadText(ImportDirectory() / "nginx/pools.conf");
  const std::string haproxy = ReadText(ImportDirectory() / "haproxy/routes.cfg");
  EXPECT_NE(Import("n.conf", nginx, "", "api").yaml.find("\"10.5.1.1\", port: 8000"),
            std::string::npos);
  EXPECT_NE(Import("h.cfg", haproxy, "", "api").yaml.find("\"10.9.1.2\", port: 80"),
            std::string::npos);
  EXPECT_EQ(Import("n.conf", nginx, "", "x").faults[0],
            "n.conf: there is no upstream \"x\" (there are: admin, api, web)");
  EXPECT_EQ(Import("h.cfg", haproxy, "", "x").faults[0],
            "h.cfg: there is no backend \"x\" (there are: web, api, static)");
}

// HAProxy's `crt` may name a directory; what lies beside the certificates is not taken for one.
TEST(Import, ADirectoryOfCertificatesIsItsFiles) {
  const auto files = [](const std::string& path) -> std::vector<std::string> {
    if (path != "/etc/certs" && path != "/etc/certs/") return {};
    return {"a.pem", "b.pem", "b.pem.key", "b.pem.ocsp"};
  };
  for (const std::string directory : {"/etc/certs", "/etc/certs/"}) {
    const ImportResult result =
        ImportConfig({.file = "f", .from = "haproxy", .files_in = files},
                     "listen x\n bind :443 ssl crt " + directory + "\n server s 1.1.1.1:80\n");
    ASSERT_TRUE(result.faults.empty()) << result.faults[0];
    EXPECT_NE(result.yaml.find("certificates: [\"/etc/certs/a.pem\", \"/etc/certs/b.pem\"]"),
              std::string::npos)
        << result.yaml;
  }
}

// Where TLS could not be carried over, a port that only redirected to it must not begin to answer
// in the clear.
TEST(Import, WithoutTlsARedirectIsNoListener) {
  const ImportResult nginx = Import(
      "f",
      "upstream a { server 1.1.1.1; }\n"
      "server { listen 443 ssl; ssl_certificate $name.pem; location / { proxy_pass http://a; } }\n"
      "server { listen 80; return 301 https://$host$request_uri; }\n",
      "nginx");
  const ImportResult haproxy =
      Import("f",
             "frontend plain\n mode http\n bind :80\n redirect scheme https\n"
             "frontend tls\n mode http\n bind :443 ssl crt-list l\n default_backend a\n"
             "backend a\n mode http\n server s 1.1.1.1:80 check\n",
             "haproxy");
  for (const ImportResult* result : {&nginx, &haproxy}) {
    ASSERT_TRUE(result->faults.empty()) << result->faults[0];
    EXPECT_EQ(result->yaml.find("listen"), std::string::npos) << result->yaml;
    EXPECT_EQ(result->yaml.find("tls:"), std::string::npos) << result->yaml;
    EXPECT_NE(result->yaml.find("0.0.0.0:443: TLS without a certificate: left out"),
              std::string::npos);
  }
}

// Our [::] takes IPv6 alone, and theirs may take both.
TEST(Import, ASocketOfBothFamiliesIsTwoListeners) {
  const struct {
    const char* from;
    const char* binds;
    const char* listen;
  } kCases[] = {
      {"haproxy", "bind [::]:80 v4v6", "[::]:80, 0.0.0.0:80"},
      {"haproxy", "bind :::80 v4v6", "[::]:80, 0.0.0.0:80"},
      {"haproxy", "bind [::]:80", "[::]:80, 0.0.0.0:80"},
      {"haproxy", "bind [0:0::0]:80-81", "[::]:80, [::]:81, 0.0.0.0:80, 0.0.0.0:81"},
      {"haproxy", "bind [::]:80 v4v6 v6only", "[::]:80"},
      {"haproxy", "bind [::]:80 v4v6\n bind :80", "[::]:80, 0.0.0.0:80"},
      {"haproxy", "bind [::1]:80 v4v6", "[::1]:80"},
      {"haproxy", "bind [::]:80 v4v6 ssl crt /c.pem", "[::]:80 tls, 0.0.0.0:80 tls"},
      {"haproxy", "bind ipv6@:80 v6only", "[::]:80"},
      {"haproxy", "bind ipv6@*:80", "[::]:80, 0.0.0.0:80"},
      {"haproxy", "bind ipv4@:80", "0.0.0.0:80"},
      {"nginx", "listen [::]:80 ipv6only=off;", "[::]:80, 0.0.0.0:80"},
      {"nginx", "listen [0::0] ipv6only=off;", "[::]:80, 0.0.0.0:80"},
      {"nginx", "listen [::]:80 http2 ipv6only=off;", "[::]:80 h2c, 0.0.0.0:80 h2c"},
      {"nginx", "listen [::]:80 ipv6only=off; listen 80 http2;", "[::]:80, 0.0.0.0:80 h2c"},
      {"nginx", "listen [::]:80; listen [::1]:81 ipv6only=off;", "[::]:80, [::1]:81"},
      // One server says it for all that listen there.
      {"nginx", "listen [::]:80; } server { listen [::]:80 default_server ipv6only=off;",
       "[::]:80, 0.0.0.0:80"},
  };
  for (const auto& test : kCases) {
    const std::string binds = test.binds;
    const ImportResult result =
        Import("f",
               test.from == std::string("nginx")
                   ? "server { location / { proxy_pass http://1.1.1.1; } " + binds + " }\n"
                   : "listen x\n mode http\n " + binds + "\n server s 1.1.1.1:80 check\n",
               test.from);
    ASSERT_TRUE(result.faults.empty()) << binds << ": " << result.faults[0];
    ConfigProblems problems;
    const ConfigNode root =
        ParseConfigText(ConfigFormat::kYaml, result.yaml, "imported.yaml", &problems);
    const BindResult bound = BindConfig(root, {});
    EXPECT_TRUE(bound.problems.empty()) << result.yaml;
    std::string listen;
    for (const ListenConfig& at : bound.config.listen) {
      listen += fmt::format("{}{}{}", listen.empty() ? "" : ", ", at.text, at.option());
    }
    EXPECT_EQ(listen, test.listen) << binds << "\n" << result.yaml;
  }
}

// What is shown of a file's name is not what it is called.
TEST(Import, PathsBeginAtTheFilesOwnDirectory) {
  const fs::path directory =
      fs::temp_directory_path() / fmt::format("ub-j\xc3\xbcrgen-{}", getpid());
  fs::create_directories(directory / "conf.d");
  std::ofstream(directory / "conf.d/a.conf") << "upstream a { server 10.1.2.3:80; }\n";
  const std::string tls =
      "server { listen 443 ssl; ssl_certificate a.pem; ssl_certificate_key a.key;"
      " location / { proxy_pass http://a; } }\n";
  const ImportResult plain =
      Import((directory / "nginx.conf").string(), "include conf.d/a.conf;\n" + tls);
  const ImportResult wild =
      Import((directory / "nginx.conf").string(), "include conf.d/*.conf;\n" + tls);
  fs::remove_all(directory);
  for (const ImportResult* result : {&plain, &wild}) {
    ASSERT_TRUE(result->faults.empty()) << result->faults[0];
    EXPECT_NE(result->yaml.find("host: \"10.1.2.3\""), std::string::npos) << result->yaml;
    EXPECT_NE(result->yaml.find(directory.string() + "/a.pem"), std::string::npos) << result->yaml;
    EXPECT_EQ(result->yaml.find("there is no such file"), std::string::npos) << result->yaml;
    EXPECT_TRUE(result->yaml.starts_with("# From ")) << result->yaml;
    EXPECT_NE(result->yaml.find("ub-j\\xc3\\xbcrgen"), std::string::npos) << "in the comments";
  }
  // Nor is it cut.
  const std::string deep = "/" + std::string(150, 'x') + "/" + std::string(150, 'y') + "/";
  EXPECT_NE(
      Import(deep + "n.conf", "upstream a { server 1.1.1.1; }\n" + tls).yaml.find(deep + "a.pem"),
      std::string::npos);
}

TEST(Import, AnIncludeThatGoesInACircleIsAFault) {
  const fs::path file = fs::temp_directory_path() / fmt::format("ub-import-{}.conf", getpid());
  std::ofstream(file) << "include " << file.string() << ";\n";
  const ImportResult result = Import(file.string(), ReadText(file));
  fs::remove(file);
  ASSERT_FALSE(result.faults.empty());
  EXPECT_NE(result.faults[0].find("includes nest deeper than 16"), std::string::npos)
      << result.faults[0];
}

}  // namespace
}  // namespace ub
