#include "core/config_bind_lists.h"

#include <gtest/gtest.h>

#include "config_fixture.h"

namespace ub {
namespace {

std::string Described(const std::vector<BackendConfig>& backends) {
  std::string out;
  for (const BackendConfig& backend : backends) {
    out += (out.empty() ? "" : "; ") + backend.AddressText() + " " +
           std::to_string(backend.weight) + " " + std::to_string(backend.max_connections) +
           (backend.backup ? " backup" : "") +
           (backend.name == backend.AddressText() ? "" : " " + backend.name);
  }
  return out;
}

TEST(ConfigBindLists, Backends) {
  const struct {
    const char *yaml, *backends;
  } kCases[] = {
      {"[ \"a:1\" ]", "a:1 100 0"},
      {"[ \"a:1:7\", \"[::1]:2\" ]", "a:1 7 0; [::1]:2 100 0"},
      {"[ a:1 ]", "a:1 100 0"},  // plain text, not a mapping: no blank after the colon
      {"[ \"unix:/a\", \"unix:/b:9\" ]", "unix:/a 100 0; unix:/b 9 0"},
      {"[ { host: a, port: 1 } ]", "a:1 100 0"},
      {"[ { host: \"[0::1]\", port: 1, weight: 2, max_connections: 3, backup: true, name: n }, "
       "\"b:1\" ]",
       "[::1]:1 2 3 backup n; b:1 100 0"},
      {"[ { host: \"unix:/a\", name: \"\" } ]", "unix:/a 100 0"},
      {"[ { host: \"a.example.\", port: 1 } ]", "a.example.:1 100 0"},
  };
  for (const auto& test : kCases) {
    const BindResult result = BindYaml("backends: " + std::string(test.yaml));
    EXPECT_EQ(Lines(result.problems), "") << test.yaml;
    EXPECT_EQ(Described(result.config.backends), test.backends) << test.yaml;
  }
}

TEST(ConfigBindLists, TheDefaultWeightIsTheirsWhereverItStands) {
  const BindResult result =
      BindYaml("backends: [ \"a:1\", { host: b, port: 1 }, \"c:1:5\" ]\ndefault_weight: 7\n");
  EXPECT_EQ(Described(result.config.backends), "a:1 7 0; b:1 7 0; c:1 5 0");
}

TEST(ConfigBindLists, UntypedTextIsAList) {
  ConfigNode root = ConfigNode::Mapping({});
  root.Set("backends", ConfigNode::Untyped("a:1, b:2:3", {}));
  root.Set("listen", ConfigNode::Untyped("*:1, unix:/s", {}));
  const BindResult result = BindConfig(root, {});
  EXPECT_EQ(Lines(result.problems), "");
  EXPECT_EQ(Described(result.config.backends), "a:1 100 0; b:2 3 0");
  EXPECT_EQ(result.config.listen.size(), 2u);
}

std::string Listen(const std::string& yaml) {
  const BindResult result = BindYaml(yaml + "\nbackends: [ \"127.0.0.1:1\" ]\n");
  EXPECT_EQ(Lines(result.problems), "") << yaml;
  std::string out;
  for (const ListenConfig& listen : result.config.listen) {
    EXPECT_EQ(listen.is_unix, listen.text.starts_with("unix:"));
    out += (out.empty() ? "" : ", ") + listen.text;
  }
  return out;
}

TEST(ConfigBindLists, ListenAddresses) {
  const struct {
    const char *yaml, *listen;
  } kCases[] = {
      {"", "0.0.0.0:8080"},
      {"listen_port: 80", "0.0.0.0:80"},
      {"listen_address: 127.0.0.1", "127.0.0.1:8080"},
      {"listen_address: \"*\"", "0.0.0.0:8080"},
      {"listen_address: \"::\"", "[::]:8080"},
      {"listen_address: \"[0::1]\"\nlisten_port: 1", "[::1]:1"},
      {"listen: [ \"*:80\" ]", "0.0.0.0:80"},
      {"listen: \"127.0.0.1:80\"", "127.0.0.1:80"},
      {"listen: [ \"0.0.0.0:80\", \"[::]:80\", \"unix:/run/a\" ]",
       "0.0.0.0:80, [::]:80, unix:/run/a"},
  };
  for (const auto& test : kCases) EXPECT_EQ(Listen(test.yaml), test.listen) << test.yaml;
}

}  // namespace
}  // namespace ub
