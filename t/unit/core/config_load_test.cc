// From files, environment and flags to a Config or to every error there is. The tables of what is
// refused hold the exact lines that a person reads.
#include "core/config_load.h"

#include <gtest/gtest.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>

#include "config_fixture.h"

namespace ub {
namespace {

using std::string_literals::operator""s;

struct BadConfig {
  const char* name;
  const char* file;
  std::string text;
  std::vector<std::string> lines;
  EnvironmentMap environment = {};
  std::vector<ConfigFlag> flags = {};
};

#define B "backends: [\"127.0.0.1:80\"]\n"
#define T "backends = [\"127.0.0.1:80\"]\n"
#define I "backends = 127.0.0.1:80\n"
const std::vector<BadConfig>& BadConfigs() {
  static const auto* configs = new std::vector<BadConfig>{
#include "config_bad_ini_cases.inc"
#include "config_bad_source_cases.inc"
#include "config_bad_toml_cases.inc"
#include "config_bad_yaml_cases.inc"
  };
  return *configs;
}
#undef B
#undef T
#undef I

TEST(ConfigLoad, EveryBadConfigurationIsToldExactly) {
  EXPECT_GE(BadConfigs().size(), 150u);
  for (const BadConfig& bad : BadConfigs()) {
    const ConfigDirectory directory;
    directory.Write(bad.file, bad.text);
    ConfigSource source = directory.Source(bad.file);
    source.environment = bad.environment;
    source.flags = bad.flags;
    const auto loaded = LoadConfig(source);
    ASSERT_FALSE(loaded) << bad.file << ": " << bad.name;
    EXPECT_EQ(Lines(loaded.error().lines), Lines(bad.lines)) << bad.file << ": " << bad.name;
    bool all_flags = true;
    for (const std::string& line : bad.lines) {
      all_flags = all_flags && line.starts_with("flag ");
      EXPECT_EQ(line.find('\n'), std::string::npos) << bad.name;
      EXPECT_EQ(line.find("hunter2"), std::string::npos) << bad.name;
    }
    EXPECT_EQ(loaded.error().wrong_usage, all_flags) << bad.name;
  }
}

std::string ErrorsOf(const ConfigSource& source) {
  const auto loaded = LoadConfig(source);
  return loaded ? "none" : Lines(loaded.error().lines);
}

TEST(ConfigLoad, FilesThatAreNoFiles) {
  const ConfigDirectory directory;
  EXPECT_EQ(ErrorsOf(directory.Source("none.yaml")),
            "none.yaml: cannot open: No such file or directory (check the path and its "
            "permissions)");
  ASSERT_EQ(mkdir(directory.Path("dir.yaml").c_str(), 0755), 0);
  EXPECT_EQ(ErrorsOf(directory.Source("dir.yaml")),
            "dir.yaml: is a directory (give the file in it)");
  // A FIFO that nobody writes to is empty; it must not hang.
  ASSERT_EQ(mkfifo(directory.Path("fifo.yaml").c_str(), 0644), 0);
  EXPECT_EQ(ErrorsOf(directory.Source("fifo.yaml")),
            "fifo.yaml: is a pipe, a socket or a device (give a plain file)");
  ASSERT_EQ(symlink("/dev/zero", directory.Path("zero.yaml").c_str()), 0);
  EXPECT_EQ(ErrorsOf(directory.Source("zero.yaml")),
            "zero.yaml: is a pipe, a socket or a device (give a plain file)");
  ASSERT_EQ(symlink("loop.yaml", directory.Path("loop.yaml").c_str()), 0);
  EXPECT_EQ(ErrorsOf(directory.Source("loop.yaml")),
            "loop.yaml: cannot open: Too many levels of symbolic links (check the path and its "
            "permissions)");
}

// Root may read everything, so its thread looks at files as somebody else for the while.
class AsNobody {
 public:
  AsNobody() { setfsuid(65534); }
  ~AsNobody() { setfsuid(geteuid()); }
};

TEST(ConfigLoad, AFileThatMayNotBeRead) {
  const ConfigDirectory directory;
  directory.Write("a.yaml", "workers: 1\n");
  ASSERT_EQ(chmod(directory.Path("a.yaml").c_str(), 0), 0);
  ASSERT_EQ(chmod(directory.Path("").c_str(), 0755), 0);
  const AsNobody nobody;
  EXPECT_EQ(ErrorsOf(directory.Source("a.yaml")),
            "a.yaml: cannot open: Permission denied (check the path and its permissions)");
}

TEST(ConfigLoad, AFileThatIsTooLargeIsNotParsed) {
  const ConfigDirectory directory;
  directory.Write("a.yaml", Repeat("# ten MiB\n", 1 << 20));
  EXPECT_EQ(ErrorsOf(directory.Source("a.yaml")),
            "a.yaml: is larger than 4m (is it a configuration?)");
  ConfigProblems problems;
  ParseConfigText(ConfigFormat::kYaml, std::string(kMaxConfigFile + 1, '#'), "t", &problems);
  EXPECT_EQ(Lines(problems), "t: is larger than 4m (is it a configuration?)");
  problems.clear();
  ParseConfigText(ConfigFormat::kYaml, std::string(kMaxConfigFile, '#'), "t", &problems);
  EXPECT_EQ(Lines(problems), "");
}

TEST(ConfigLoad, LaterSourcesGoBeforeEarlierOnes) {
  const ConfigDirectory directory;
  directory.Write("a.yaml",
                  "listen_port: 1\nmax_connections: 1\nworkers: 1\ntimeout: { idle_ms: 1, "
                  "header_ms: 1 }\nbackends: [ \"127.0.0.1:1\" ]\n");
  ConfigSource source = directory.Source("a.yaml");
  source.environment = {{"ULTRA_MAX_CONNECTIONS", "2"},
                        {"ULTRA_WORKERS", "2"},
                        {"ULTRA_TIMEOUT_IDLE_MS", "2"},
                        {"ULTRA_BACKENDS", "127.0.0.1:2, 127.0.0.1:3"}};
  source.flags = {{"--workers", "workers", "3"}, {"-g queue.timeout_ms", "queue.timeout_ms", "3"}};
  auto loaded = LoadConfig(source);
  ASSERT_TRUE(loaded) << Lines(loaded.error().lines);
  const Config& config = *loaded->config;
  EXPECT_EQ(config.listen[0].port, 1);
  EXPECT_EQ(config.max_connections, 2u);
  EXPECT_EQ(config.workers, 3u);
  EXPECT_EQ(config.timeout.idle_ms, 2u);
  EXPECT_EQ(config.timeout.header_ms, 1u);
  EXPECT_EQ(config.timeout.connect_ms, 5000u);
  EXPECT_EQ(config.queue.timeout_ms, 3u);
  ASSERT_EQ(config.backends.size(), 2u);
  EXPECT_EQ(config.backends[0].port, 2);
  source.use_environment = false;
  loaded = LoadConfig(source);
  ASSERT_TRUE(loaded);
  EXPECT_EQ(loaded->config->max_connections, 1u);
}

TEST(ConfigLoad, TheSameContentIsTheSameConfigInEveryFormat) {
  const ConfigDirectory directory;
  directory.Write("a.yaml",
                  "listen: [ \"127.0.0.1:80\", \"unix:/run/a\" ]\nworkers: 2\n"
                  "timeout: { idle_ms: 5s }\nretry: { on: [ connect, \"503\" ] }\n"
                  "limits: { body_bytes: 8m }\n"
                  "health_check: { path: /up, headers: { X-A: \"b c\" }, expected_status: [ 200, "
                  "301-302 ] }\n"
                  "backends:\n  - { host: 127.0.0.1, port: 1, weight: 5, name: one }\n"
                  "  - { host: \"::1\", port: 2, backup: true, name: two }\n");
  directory.Write("a.toml",
                  "listen = [\"127.0.0.1:80\", \"unix:/run/a\"]\nworkers = 2\n"
                  "timeout.idle_ms = \"5s\"\n[retry]\non = [\"connect\", \"503\"]\n"
                  "[limits]\nbody_bytes = \"8m\"\n[health_check]\npath = \"/up\"\n"
                  "expected_status = [200, \"301-302\"]\nheaders = { X-A = \"b c\" }\n"
                  "[[backends]]\nhost = \"127.0.0.1\"\nport = 1\nweight = 5\nname = \"one\"\n"
                  "[[backends]]\nhost = \"::1\"\nport = 2\nbackup = true\nname = \"two\"\n");
  directory.Write("a.ini",
                  "listen = 127.0.0.1:80, unix:/run/a\nworkers = 2\n[timeout]\nidle_ms = 5s\n"
                  "[retry]\non = connect, 503\n[limits]\nbody_bytes = 8m\n[health_check]\n"
                  "path = /up\nexpected_status = 200, 301-302\n[health_check.headers]\nX-A = b c\n"
                  "[backend one]\nhost = 127.0.0.1\nport = 1\nweight = 5\n"
                  "[backend two]\nhost = ::1\nport = 2\nbackup = true\n");
  const auto yaml = LoadConfig(directory.Source("a.yaml"));
  ASSERT_TRUE(yaml) << Lines(yaml.error().lines);
  for (const char* file : {"a.toml", "a.ini"}) {
    const auto other = LoadConfig(directory.Source(file));
    ASSERT_TRUE(other) << Lines(other.error().lines);
    EXPECT_EQ(SerializeConfig(*other->config), SerializeConfig(*yaml->config)) << file;
  }
}

TEST(ConfigLoad, FormatsByTheirExtensions) {
  EXPECT_EQ(FormatOfFile("a.yaml").value(), ConfigFormat::kYaml);
  EXPECT_EQ(FormatOfFile("/x/A.YML").value(), ConfigFormat::kYaml);
  EXPECT_EQ(FormatOfFile("a.b.toml").value(), ConfigFormat::kToml);
  EXPECT_EQ(FormatOfFile("a.ini").value(), ConfigFormat::kIni);
  for (const char* bad : {"", "yaml", "a", "a.conf", "a.yaml.bak"}) EXPECT_FALSE(FormatOfFile(bad));
}

TEST(ConfigLoad, WarningsComeWithAGoodConfiguration) {
  const ConfigDirectory directory;
  directory.Write("a.yaml", "backends: [ \"127.0.0.1:1\" ]\n");
  ConfigSource source = directory.Source("a.yaml");
  source.environment = {{"ULTRA_SERVICE_HOST", "1"}};
  const auto loaded = LoadConfig(source);
  ASSERT_TRUE(loaded);
  EXPECT_EQ(Lines(loaded->warnings),
            "environment ULTRA_SERVICE_HOST: no key has this name; it is ignored");
}

TEST(ConfigLoad, NamesAreLookedUpUnlessTheSourceSaysNot) {
  setenv("RES_OPTIONS", "timeout:1 attempts:1", 0);  // where no name server answers
  const ConfigDirectory directory;
  directory.Write("a.yaml",
                  "backends:\n  - \"127.0.0.1:1\"\n  - { port: 2, host: no-such-name.invalid }\n");
  ConfigSource source = directory.Source("a.yaml");
  EXPECT_TRUE(ErrorsOf(source).starts_with(
      "a.yaml:3:22: backends: cannot resolve \"no-such-name.invalid\": "))
      << ErrorsOf(source);
  source.resolve = false;
  EXPECT_EQ(ErrorsOf(source), "none");
}

TEST(ConfigLoad, ThePidFileIsFoundInABadConfiguration) {
  const ConfigDirectory directory;
  directory.Write("a.yaml", "pid_file: /run/x.pid\nalgoritm: random\nworkers: many\n");
  ConfigSource source = directory.Source("a.yaml");
  EXPECT_EQ(LoadPidFile(source).value(), "/run/x.pid");
  source.flags = {{"--pid-file", "pid_file", "y.pid"}};
  EXPECT_EQ(LoadPidFile(source).value(), directory.Path("y.pid"));
  EXPECT_EQ(LoadPidFile(ConfigSource()).value(), "");
  const auto none = LoadPidFile(directory.Source("none.yaml"));
  ASSERT_FALSE(none);
  EXPECT_TRUE(none.error().lines.at(0).starts_with("none.yaml: cannot open"));
}

TEST(ConfigLoad, WithoutItsFileNobodyElsesInstanceIsMeant) {
  const ConfigDirectory directory;
  ConfigSource source = directory.Source("none.yaml");
  source.environment["ULTRA_LISTEN_PORT"] = "9000";
  source.flags = {{"--workers", "workers", "3"}};
  EXPECT_FALSE(LoadPidFile(source)) << "the default is another one's";
  EXPECT_FALSE(LoadAdminConfig(source));
  source.flags.push_back({"--pid-file", "pid_file", "y.pid"});
  ASSERT_TRUE(LoadPidFile(source)) << "told otherwise";
  EXPECT_EQ(LoadPidFile(source).value(), directory.Path("y.pid"));
  EXPECT_FALSE(LoadAdminConfig(source));
  source.environment["ULTRA_ADMIN_LISTEN_PORT"] = "9001";
  ASSERT_TRUE(LoadAdminConfig(source));
  EXPECT_EQ(LoadAdminConfig(source)->listen_port, 9001);
}

TEST(ConfigLoad, TheProcessIsTheSource) {
  setenv("UB_TEST_VARIABLE", "x", 1);
  const ConfigSource source = ConfigSource::FromProcess();
  EXPECT_EQ(source.environment.at("UB_TEST_VARIABLE"), "x");
  EXPECT_TRUE(source.directory.starts_with('/'));
  unsetenv("UB_TEST_VARIABLE");
}

}  // namespace
}  // namespace ub
