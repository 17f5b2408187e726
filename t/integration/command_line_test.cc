// The command line: what it starts, what it says, with which status it ends.
#include <fmt/format.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/wait.h>

#include <filesystem>
#include <fstream>
#include <set>

#include "client.h"
#include "fake_backend.h"
#include "flags_only.h"
#include "proxy.h"
#include "support/test_certificates.h"

namespace ub::itest {
namespace {

// A configuration file with one backend that nobody has to serve.
class Written {
 public:
  explicit Written(ConfigFile config = ConfigFile()) {
    if (config.listen().empty()) config.Listen(Endpoint::V4(FreePort()));
    config.Backend(BackendYaml(Endpoint::V4(9)));
    config.Set("pid_file", dir_.Path("ub.pid"));
    WriteFile(path(), config.Text());
  }
  std::string path() const { return dir_.Path("ub.yaml"); }

 private:
  TempDir dir_;
};

// Every line on stderr has the form that the contract promises.
void ExpectErrorLines(const CommandResult& result) {
  EXPECT_FALSE(result.err.empty());
  for (const auto& line : Split(result.err, '\n')) {
    EXPECT_TRUE(line.empty() || line.starts_with("ultrabalancer: ")) << line;
  }
}

TEST(CommandLine, GoodConfigurationPassesTheTest) {
  const Written file;
  for (const auto& arguments : {std::vector<std::string>{"-t", "-c", file.path()},
                                {"-t", "-f", file.path()},
                                {"validate", "-f", file.path()}}) {
    const CommandResult result = RunBinary(arguments);
    EXPECT_EQ(result.status, 0) << result.err;
  }
}

TEST(CommandLine, BadConfigurationFailsTheTestWithEveryErrorAndItsPlace) {
  const Written file(ConfigFile().Set("algoritm", "random").Set("max_connections", "-5"));
  const CommandResult result = RunBinary({"-t", "-c", file.path()});
  EXPECT_EQ(result.status, 1);
  ExpectErrorLines(result);
  int places = 0;
  for (const auto& line : Split(result.err, '\n')) {
    places += line.starts_with("ultrabalancer: " + file.path() + ":") ? 1 : 0;
  }
  EXPECT_EQ(places, 2) << result.err;
  EXPECT_TRUE(Contains(result.err, "did you mean \"algorithm\"")) << result.err;
  EXPECT_TRUE(Contains(result.err, "max_connections")) << result.err;
}

TEST(CommandLine, CapitalTPrintsTheMergedConfiguration) {
  const Written file(ConfigFile().Set("max_connections", "1234"));
  const CommandResult result = RunBinary({"-T", "-c", file.path(), "--workers", "7"});
  EXPECT_EQ(result.status, 0) << result.err;
  EXPECT_TRUE(Contains(result.out, "1234")) << result.out;
  EXPECT_TRUE(Contains(result.out, "workers: 7")) << result.out;
}

TEST(CommandLine, MissingFileFails) {
  const CommandResult result = RunBinary({"-t", "-c", "/nonexistent/ub.yaml"});
  EXPECT_EQ(result.status, 1);
  ExpectErrorLines(result);
  EXPECT_TRUE(Contains(result.err, "/nonexistent/ub.yaml"));
}

TEST(CommandLine, WrongUsageEndsWithTwo) {
  for (const auto& arguments :
       {std::vector<std::string>{"--no-such-flag"}, {"-b"}, {"-s", "jump"}, {"nonsense"}, {"-s"}}) {
    const CommandResult result = RunBinary(arguments);
    EXPECT_EQ(result.status, 2) << arguments[0] << ": " << result.err;
    ExpectErrorLines(result);
  }
  EXPECT_TRUE(Contains(RunBinary({"--algoritm", "random"}).err, "did you mean \"--algorithm\""));
}

TEST(CommandLine, EveryPathEndsWithItsStatus) {
  const Written good, bad(ConfigFile().Set("algoritm", "random"));
  const TempDir dir;
  const std::string none = dir.Path("none.pid"), nginx = dir.Path("nginx.conf");
  std::ofstream(nginx) << "upstream a { server 127.0.0.1:1; }\n";
  const struct {
    std::vector<std::string> arguments;
    int status;
  } kCases[] = {
      {{}, 2},
      {{"-h"}, 0},
      {{"--help"}, 0},
      {{"-v"}, 0},
      {{"-V"}, 0},
      {{"info"}, 0},
      {{"info", "x"}, 2},
      {{"example"}, 0},
      {{"example", "--format", "toml"}, 0},
      {{"example", "--format", "xml"}, 2},
      {{"-t", "-c", good.path()}, 0},
      {{"-T", "-c", good.path()}, 0},
      {{"-t", "-c", bad.path()}, 1},
      {{"-T", "-c", bad.path()}, 1},
      {{"-c", bad.path()}, 1},
      {{"-d", "-c", bad.path()}, 1},
      {{"validate", good.path()}, 0},
      {{"validate", "-f", bad.path()}, 1},
      {{"validate"}, 2},
      {{"-t", "-c", dir.Path("none.yaml")}, 1},
      {{"-t", "-c", good.path(), "-p", "0"}, 2},
      {{"-t", "-c", bad.path(), "-p", "0"}, 1},  // the file is wrong as well
      {{"-t", "-b", "127.0.0.1"}, 2},
      {{"-t", "start", "randem", "127.0.0.1:1"}, 2},
      {{"start", "random"}, 2},
      {{"-t", "-b", "127.0.0.1:1", "-g", "workers"}, 2},
      {{"-t", "-b", "127.0.0.1:1", "-g", "workerz=1"}, 2},
      {{"-t", "-b", "127.0.0.1:1", "-g", "workers=1"}, 0},
      {{"-t", "-b", "127.0.0.1:1", "--user", "no-such-user"}, 1},
      {{"demo", "-d"}, 2},
      {{"demo", "-t"}, 2},
      {{"demo", "-T"}, 2},
      {{"import"}, 2},
      {{"import", nginx}, 0},
      {{"import", nginx, "--from", "haproxy"}, 1},
      {{"import", nginx, "--pool", "none"}, 1},
      {{"import", dir.Path("none.conf")}, 1},
      {{"import", good.path()}, 1},
      {{"import", "-"}, 1},  // nothing is there
      {{"-s", "reload", "--pid-file", none}, 1},
      {{"-s", "jump", "--pid-file", none}, 2},
      {{"-s", "reload", "-t"}, 2},
  };
  for (const auto& test : kCases) {
    const CommandResult result = RunBinary(test.arguments);
    std::string shown;
    for (const std::string& argument : test.arguments) shown += " " + argument;
    EXPECT_EQ(result.status, test.status) << shown << "\n" << result.err;
    const bool silent = test.status != 0 || result.err.ends_with("is good\n");
    EXPECT_EQ(result.out.empty(), silent && !(test.status == 0 && Contains(shown, "-T"))) << shown;
    if (test.status != 0) ExpectErrorLines(result);
  }
}

// The whole way of a person who moves over: import, validate.
TEST(CommandLine, WhatImportPrintsPassesValidate) {
  const char* root = std::getenv("UB_SRCDIR");
  const std::string inputs = std::string(root == nullptr ? "." : root) + "/t/import/";
  const TempDir dir;
  for (const std::string input : {"nginx/weighted.conf", "nginx/limits.conf", "haproxy/simple.cfg",
                                  "haproxy/leastconn_backup.cfg", "haproxy/http_check.cfg"}) {
    const CommandResult imported = RunBinary({"import", inputs + input});
    EXPECT_EQ(imported.status, 0) << imported.err;
    EXPECT_TRUE(imported.err.empty()) << imported.err;
    const std::string yaml = dir.Path("imported.yaml");
    std::ofstream(yaml) << imported.out;
    const CommandResult result = RunBinary({"validate", "-f", yaml});
    EXPECT_EQ(result.status, 0) << input << ": " << result.err;
  }
}

// With TLS, and real certificates: HAProxy's in a directory, certificate and key in one file each.
TEST(CommandLine, AnImportWithCertificatesPassesValidate) {
  const TempDir dir;
  std::filesystem::create_directory(dir.Path("certs"));
  const TestCertificate one = MakeCertificate({"a.example"}), two = MakeCertificate({"b.example"});
  WriteFile(dir.Path("certs/a.pem"), one.certificate + one.key);
  WriteFile(dir.Path("certs/b.pem"), two.certificate + two.key);
  WriteFile(dir.Path("certs/b.pem.key"), two.key);
  WriteFile(dir.Path("haproxy.cfg"),
            "listen app\n mode http\n bind :8443 ssl crt " + dir.Path("certs") +
                "\n server s 127.0.0.1:8080 ssl verify required ca-file " +
                dir.Path("certs/a.pem") + "\n");
  // Paths of nginx's begin at its file.
  WriteFile(dir.Path("nginx.conf"),
            "server { listen 8443 ssl; ssl_certificate certs/a.pem; ssl_certificate_key certs/a.pem;"
            " location / { proxy_pass http://127.0.0.1:8080; } }\n");
  for (const std::string input : {"haproxy.cfg", "nginx.conf"}) {
    const CommandResult imported = RunBinary({"import", dir.Path(input)});
    EXPECT_EQ(imported.status, 0) << imported.err;
    EXPECT_EQ(Contains(imported.out, "certs/b.pem\""), input == "haproxy.cfg") << imported.out;
    EXPECT_TRUE(Contains(imported.out, "0.0.0.0:8443 tls")) << imported.out;
    WriteFile(dir.Path("imported.yaml"), imported.out);
    const CommandResult result = RunBinary({"validate", "-f", dir.Path("imported.yaml")});
    EXPECT_EQ(result.status, 0) << input << ": " << result.err;
  }
}

TEST(CommandLine, ImportOfTenMebibytesIsRefused) {
  const TempDir dir;
  const std::string large = dir.Path("nginx.conf");
  std::ofstream(large) << std::string(10u << 20, ';');
  const CommandResult result = RunBinary({"import", large});
  EXPECT_EQ(result.status, 1);
  EXPECT_TRUE(Contains(result.err, "nginx.conf: is larger than 4m")) << result.err;
  ExpectErrorLines(result);
}

TEST(CommandLine, ASecretIsShownNowhere) {
  const TempDir dir;
  const std::string secret = "hunter2-and-more";
  WriteFile(dir.Path("key"), secret + "\n");
  const Written file(
      ConfigFile().Set("admin", "{ enabled: false, api_key: \"file:" + dir.Path("key") + "\" }"));
  const Written plain(ConfigFile().Set("admin", "{ enabled: false, api_key: " + secret + " }"));
  for (const auto& arguments : {std::vector<std::string>{"-T", "-c", file.path()},
                                {"-T", "-c", plain.path()},
                                {"-T", "-b", "127.0.0.1:1", "-g", "admin.api_key=" + secret},
                                {"-t", "-c", plain.path(), "-g", "workers=x"},
                                {"-t", "-b", "127.0.0.1:1", "-g", "admin.api_keyy=" + secret}}) {
    const CommandResult result = RunBinary(arguments);
    EXPECT_FALSE(Contains(result.out + result.err, secret)) << result.out << result.err;
    EXPECT_EQ(Contains(result.out, "# api_key: (hidden)"), arguments[0] == "-T") << result.out;
  }
  const FakeBackend backend;
  FlagsOnly instance({"-b", backend.endpoint().Text(), "-g", "admin.api_key=" + secret, "-g",
                      "logging.level=debug"});
  ASSERT_TRUE(instance.WaitServing());
  std::vector<pid_t> pids = ChildrenOf(instance.pid());
  pids.push_back(instance.pid());
  EXPECT_GE(pids.size(), 3u);
  for (const pid_t pid : pids) EXPECT_FALSE(Contains(TitleOf(pid), secret)) << TitleOf(pid);
  EXPECT_TRUE(Contains(TitleOf(instance.pid()), "admin.api_key=(hidden)"));
  EXPECT_FALSE(Contains(instance.Log(), secret)) << instance.Log();
}

TEST(CommandLine, ExamplesOfEveryFormatPassTheTest) {
  const TempDir dir;
  for (const std::string format : {"yaml", "toml", "ini"}) {
    const CommandResult printed = RunBinary({"example", "--format", format});
    EXPECT_EQ(printed.status, 0);
    WriteFile(dir.Path("e." + format), printed.out);
    const CommandResult tested = RunBinary({"-t", "-c", dir.Path("e." + format)});
    EXPECT_EQ(tested.status, 0) << tested.err;
    EXPECT_FALSE(Contains(tested.err, "warning")) << "an example warns of nothing: " << tested.err;
  }
}

TEST(CommandLine, WhatTPrintsIsAConfiguration) {
  const Written file(ConfigFile().Set("max_connections", "1234"));
  const CommandResult first = RunBinary({"-T", "-c", file.path(), "--workers", "7"});
  EXPECT_TRUE(Contains(first.out, "workers: 7  # flag --workers\n")) << first.out;
  EXPECT_TRUE(Contains(first.out, "max_connections: 1234  # " + file.path() + ":")) << first.out;
  EXPECT_TRUE(Contains(first.out, "default_weight: 100  # default\n")) << first.out;
  const TempDir dir;
  WriteFile(dir.Path("again.yaml"), first.out);
  const CommandResult second = RunBinary({"-T", "-c", dir.Path("again.yaml")});
  const auto values = [](const std::string& text) {
    std::string out;
    for (const auto& line : Split(text, '\n')) out += line.substr(0, line.find("  # ")) + "\n";
    return out;
  };
  EXPECT_EQ(values(second.out), values(first.out));
}

TEST(CommandLine, DemoServesFromThreeBackends) {
  std::set<std::string> names;
  {
    FlagsOnly demo({"demo", "--workers", "1"});
    ASSERT_TRUE(demo.WaitServing()) << demo.Log();
    for (int i = 0; i < 9; ++i) names.insert(FetchOnce(demo.endpoint(), "/whoami").body);
    EXPECT_TRUE(Contains(FetchOnce(demo.endpoint()).body, "Answered by"));
  }
  EXPECT_EQ(names, (std::set<std::string>{"backend 1\n", "backend 2\n", "backend 3\n"}));
  EXPECT_TRUE(WaitFor([] {
    for (const pid_t pid : ChildrenOf(getpid())) {
      if (TitleOf(pid).starts_with("ultrabalancer: demo")) return false;
    }
    return true;
  })) << "its backends leave with it";
}

// Its address is that of the configuration, which need not be one of flags.
TEST(CommandLine, DemoSaysWhereItListens) {
  const UniqueFd taken = ListenAt(Endpoint::V4(0), 1);  // so it ends by itself
  const std::string at = fmt::format("127.0.0.1:{}", LocalPort(taken.get()));
  const TempDir dir;
  WriteFile(dir.Path("ub.yaml"), fmt::format("listen: [ \"{}\" ]\n", at));
  for (const auto& where :
       {std::vector<std::string>{"-c", dir.Path("ub.yaml")}, {"-g", "listen=" + at}}) {
    std::vector<std::string> arguments{"demo", "-g", "admin.enabled=false", "--pid-file",
                                       dir.Path("ub.pid")};
    arguments.insert(arguments.end(), where.begin(), where.end());
    const CommandResult result = RunBinary(arguments);
    EXPECT_EQ(result.status, 1) << result.err;
    EXPECT_TRUE(Contains(result.out, "Open http://" + at + "/ in a browser")) << result.out;
    EXPECT_TRUE(Contains(result.err, "in use")) << result.err;
  }
}

TEST(CommandLine, VersionAndHelp) {
  const CommandResult version = RunBinary({"-v"}), build = RunBinary({"-V"}),
                      help = RunBinary({"-h"});
  EXPECT_EQ(version.status, 0);
  EXPECT_TRUE(Contains(version.out + version.err, "ultrabalancer"));
  EXPECT_EQ(build.status, 0);
  EXPECT_GT((build.out + build.err).size(), (version.out + version.err).size());
  EXPECT_EQ(help.status, 0);
  for (const char* flag : {"--backend", "--algorithm", "--workers", "-s", "-t"}) {
    EXPECT_TRUE(Contains(help.out, flag)) << flag;
  }
}

TEST(CommandLine, TakenPortFailsAndIsNamed) {
  const UniqueFd taken = ListenAt(Endpoint::V4(0), 1);
  const std::string port = std::to_string(LocalPort(taken.get()));
  const TempDir dir;
  const CommandResult result =
      RunBinary({"-b", "127.0.0.1:9", "--host", "127.0.0.1", "-p", port, "--pid-file",
                 dir.Path("ub.pid"), "-g", "admin.enabled=false"});
  EXPECT_EQ(result.status, 1);
  EXPECT_TRUE(Contains(result.err, "ultrabalancer: ")) << result.err;
  EXPECT_TRUE(Contains(result.err, "127.0.0.1:" + port)) << result.err;
  EXPECT_TRUE(Contains(result.err, "in use")) << result.err;
}

FakeBackend::Options Named(std::string name) {
  FakeBackend::Options options;
  options.name = std::move(name);
  return options;
}

TEST(CommandLine, FlagsAloneStartABalancer) {
  const FakeBackend a(Named("a")), b(Named("b"));
  FlagsOnly instance(
      {"-b", a.endpoint().Text(), "-b", b.endpoint().Text() + ":300", "--workers", "1"});
  ASSERT_TRUE(instance.WaitServing());
  const uint64_t before_a = a.requests(), before_b = b.requests();
  Client client(instance.endpoint());
  for (int i = 0; i < 80; ++i) EXPECT_EQ(client.Get().status, 200);
  EXPECT_EQ(a.requests() - before_a, 20u);
  EXPECT_EQ(b.requests() - before_b, 60u);
}

TEST(CommandLine, StartIsTheShortForm) {
  const FakeBackend a(Named("a")), b(Named("b"));
  FlagsOnly instance({"start", "least-connections", a.endpoint().Text(), b.endpoint().Text()});
  ASSERT_TRUE(instance.WaitServing());
  std::set<std::string> names;
  for (int i = 0; i < 20; ++i) names.insert(FetchOnce(instance.endpoint()).Value("X-Backend"));
  EXPECT_EQ(names, (std::set<std::string>{"a", "b"}));
}

TEST(CommandLine, SignalsFindTheMasterByItsPidFile) {
  const FakeBackend backend;
  Proxy proxy(ConfigFile().Backend(backend));
  ASSERT_TRUE(proxy.Start());
  const auto send = [&](const char* signal) {
    return RunBinary({"-s", signal, "-c", proxy.config_path()});
  };
  const uint64_t before = proxy.generation();
  CommandResult result = send("reload");
  EXPECT_EQ(result.status, 0) << result.err;
  EXPECT_EQ(proxy.generation(), before + 1);
  result = send("reopen");
  EXPECT_EQ(result.status, 0) << result.err;

  ConfigFile bad = proxy.config();
  proxy.WriteConfig(bad.Set("queue", "{ max_requests: lots }"));
  result = RunBinary({"-s", "reload", "--pid-file", proxy.Path("ub.pid")});
  EXPECT_EQ(result.status, 1) << "a bad configuration is the outcome";
  EXPECT_TRUE(Contains(result.err, "lots")) << result.err;
  EXPECT_EQ(proxy.generation(), before + 1);

  proxy.WriteConfig(proxy.config());
  result = send("quit");
  EXPECT_EQ(result.status, 0) << result.err;
  EXPECT_EQ(proxy.WaitExit(), 0);
  result = send("reload");
  EXPECT_EQ(result.status, 1) << "nobody runs";
  ExpectErrorLines(result);
}

TEST(CommandLine, StopStops) {
  const FakeBackend backend;
  Proxy proxy(ConfigFile().Backend(backend));
  ASSERT_TRUE(proxy.Start());
  const CommandResult result = RunBinary({"-s", "stop", "-c", proxy.config_path()});
  EXPECT_EQ(result.status, 0) << result.err;
  EXPECT_EQ(proxy.WaitExit(Millis(2000)), 0);
}

// A configuration for -d, whose master is nobody's child but ours once its command has returned.
class DaemonFiles {
 public:
  explicit DaemonFiles(std::string_view logging = "") {
    ConfigFile config = ConfigFile().Listen(at_).Backend(backend_);
    config.Set("pid_file", dir_.Path("ub.pid")).Set("logging", fmt::format("{{ file: \"{}\"{} }}", dir_.Path("log"), logging));
    WriteFile(config_path(), config.Text());
  }
  ~DaemonFiles() {
    const pid_t left = master();
    if (left <= 1) return;
    if (Alive(left)) kill(left, SIGKILL);
    waitpid(left, nullptr, 0);
  }
  std::string config_path() const { return dir_.Path("ub.yaml"); }
  std::string Log() const { return ReadFile(dir_.Path("log")); }
  const Endpoint& at() const { return at_; }
  pid_t master() {
    if (master_ <= 1) master_ = static_cast<pid_t>(atoi(ReadFile(dir_.Path("ub.pid")).c_str()));
    return master_;
  }
  void Stop() {
    ASSERT_GT(master(), 1);
    const CommandResult stopped = RunBinary({"-s", "stop", "-c", config_path()});
    EXPECT_EQ(stopped.status, 0) << stopped.err;
    EXPECT_TRUE(WaitFor([&] { return !Alive(master()); }));
  }

 private:
  const FakeBackend backend_;
  const TempDir dir_;
  const Endpoint at_ = Endpoint::V4(FreePort());
  pid_t master_ = 0;
};

TEST(CommandLine, DaemonServesWhenItsParentReturns) {
  DaemonFiles daemon;
  const CommandResult started = RunBinary({"-d", "-c", daemon.config_path()});
  ASSERT_EQ(started.status, 0) << started.err;
  ASSERT_GT(daemon.master(), 1);
  EXPECT_EQ(FetchOnce(daemon.at()).status, 200) << "at once";
  EXPECT_EQ(getsid(daemon.master()), daemon.master()) << "in a session of its own";
  daemon.Stop();
}

// Whoever reads the command's output would wait for its end otherwise, as `out=$(ultrabalancer -d)` does.
TEST(CommandLine, DaemonLetsGoOfStandardOutputThoughItsAccessLogWasThere) {
  DaemonFiles daemon(", access_log: stdout");
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
  const UniqueFd reader(ends[0]);
  const pid_t command = fork();
  if (command == 0) {
    dup2(ends[1], 1);
    execl(BinaryPath().c_str(), "ultrabalancer", "-d", "-c", daemon.config_path().c_str(), nullptr);
    _exit(127);
  }
  close(ends[1]);
  int status = -1;
  ASSERT_EQ(waitpid(command, &status, 0), command);
  EXPECT_EQ(status, 0);
  pollfd ended{reader.get(), POLLIN, 0};
  char byte;
  ASSERT_EQ(poll(&ended, 1, static_cast<int>(kLimit.count())), 1) << "somebody holds it";
  EXPECT_EQ(read(reader.get(), &byte, 1), 0);
  EXPECT_EQ(FetchOnce(daemon.at()).status, 200);
  EXPECT_TRUE(Contains(daemon.Log(), "logging.access_log is stdout, which a daemon closes"));
  daemon.Stop();
}

TEST(CommandLine, DaemonThatCannotStartSaysSoWithItsStatus) {
  const UniqueFd taken = ListenAt(Endpoint::V4(0), 1);
  const Written file(ConfigFile().Listen(Endpoint::V4(LocalPort(taken.get()))));
  const CommandResult result = RunBinary({"-d", "-c", file.path()});
  EXPECT_EQ(result.status, 1);
  EXPECT_TRUE(Contains(result.err, "in use")) << result.err;
}

}  // namespace
}  // namespace ub::itest
