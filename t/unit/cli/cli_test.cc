#include "cli/cli.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <filesystem>
#include <functional>

#include "cli/dashboard_command.h"
#include "cli/management_client.h"

namespace ub {
namespace {

using Kind = CliAction::Kind;

CliAction Parse(const std::vector<std::string>& words) {
  std::vector<const char*> argv{"ultrabalancer"};
  for (const std::string& word : words) argv.push_back(word.c_str());
  return ParseCommandLine(static_cast<int>(argv.size()), argv.data());
}

TEST(CommandLine, SaysWhatIsToBeDone) {
  const struct {
    std::vector<std::string> words;
    Kind kind;
  } kCases[] = {
      {{"-b", "a:1"}, Kind::kRun},
      {{"-c", "x.yaml"}, Kind::kRun},
      {{"start", "random", "a:1"}, Kind::kRun},
      {{"demo"}, Kind::kRun},
      {{"-t", "-c", "x.yaml"}, Kind::kTest},
      {{"-T", "-b", "a:1"}, Kind::kTestPrint},
      {{"-t", "-T", "-b", "a:1"}, Kind::kTestPrint},
      {{"-T", "-t", "-b", "a:1"}, Kind::kTestPrint},
      {{"validate", "-f", "x.yaml"}, Kind::kTest},
      {{"validate", "x.yaml"}, Kind::kTest},
      {{"validate", "-T", "-f", "x.yaml"}, Kind::kTestPrint},
      {{"-s", "reload"}, Kind::kSignal},
      {{"import", "nginx.conf"}, Kind::kImport},
      {{"import", "-", "--from", "haproxy", "--pool", "a"}, Kind::kImport},
      {{"-h"}, Kind::kExit},
      {{"-v"}, Kind::kExit},
      {{"-V", "-b", "a:1"}, Kind::kExit},
      {{"info"}, Kind::kExit},
      {{"example"}, Kind::kExit},
  };
  for (const auto& test : kCases) {
    const CliAction action = Parse(test.words);
    EXPECT_EQ(action.kind, test.kind) << test.words[0] << ": " << action.err;
    EXPECT_EQ(action.status, 0) << test.words[0];
    EXPECT_EQ(action.err, "") << test.words[0];
    EXPECT_EQ(action.kind == Kind::kExit, !action.out.empty()) << test.words[0];
  }
}

TEST(CommandLine, WrongUsageIsStatusTwoAndOneLine) {
  const struct {
    std::vector<std::string> words;
    const char* error;
  } kCases[] = {
      {{}, "no backends are given (-b HOST:PORT, or -c FILE; to look around: ultrabalancer demo)"},
      {{"-t"},
       "no backends are given (-b HOST:PORT, or -c FILE; to look around: ultrabalancer "
       "demo)"},
      {{"--nonsense"}, "unknown flag \"--nonsense\" (see ultrabalancer -h)"},
      {{"-h", "--nonsense"}, "unknown flag \"--nonsense\" (see ultrabalancer -h)"},
      {{"start"}, "start needs ALGORITHM HOST:PORT... (such as: start random a:80 b:80)"},
      {{"start", "random"}, "start needs ALGORITHM HOST:PORT... (such as: start random a:80 b:80)"},
      {{"validate"}, "validate needs a file (validate -f FILE)"},
      {{"validate", "a", "b"}, "validate takes one file (validate -f FILE)"},
      {{"validate", "-f", "a", "b"}, "validate takes one file (validate -f FILE)"},
      {{"example", "x"}, "example takes no arguments (--format yaml|toml|ini)"},
      {{"example", "--format", "yml"}, "--format: unknown value \"yml\" (did you mean \"yaml\"?)"},
      {{"example", "--format", "xml"}, "--format: unknown value \"xml\" (yaml, toml or ini)"},
      {{"example", "-p", "80"}, "example takes no flags (remove --port)"},
      {{"info", "x"}, "info takes no arguments"},
      {{"import"}, "import needs one file (such as: import nginx.conf)"},
      {{"import", "a", "b"}, "import needs one file (such as: import nginx.conf)"},
      {{"import", "a", "--from", "apache"}, "--from: unknown value \"apache\" (nginx or haproxy)"},
      {{"import", "a", "-p", "80"}, "import takes no flags (remove --port)"},
      {{"-b", "a:1", "--from", "nginx"}, "--from belongs to import"},
      {{"-b", "a:1", "--pool", "x"}, "--pool belongs to import"},
      {{"info", "-c", "x.yaml"}, "info takes no flags (remove --config)"},
      {{"demo", "x"}, "demo takes no arguments"},
      {{"demo", "-t"}, "demo goes with neither -t nor -T (remove it)"},
      {{"status", "-t"}, "status goes with neither -t nor -T (remove it)"},
      {{"dashboard", "-T"}, "dashboard goes with neither -t nor -T (remove it)"},
      {{"-T", "demo"}, "demo goes with neither -t nor -T (remove it)"},
      {{"demo", "-d"}, "demo runs in the foreground (remove -d)"},
      {{"demo", "-b", "a:1"}, "demo brings its own backends (remove -b)"},
      {{"-b", "a:1", "--diff"}, "--diff belongs to validate"},
      {{"-b", "a:1", "--format", "ini"}, "--format belongs to example"},
      {{"-g", "x"}, "-g \"x\" is not KEY=VALUE (such as -g timeout.idle_ms=5s)"},
      {{"-g", "=x"}, "-g \"=x\" is not KEY=VALUE (such as -g timeout.idle_ms=5s)"},
      {{"-c", ""}, "--config needs a value (FILE)"},
      {{"-s", "reload", "-t"}, "-s goes with neither -t nor -T (give one of them)"},
      {{"-T", "-s", "reload"}, "-s goes with neither -t nor -T (give one of them)"},
      {{"demo", "-s", "stop"}, "-s goes with no command (remove demo)"},
  };
  for (const auto& test : kCases) {
    const CliAction action = Parse(test.words);
    EXPECT_EQ(action.kind, Kind::kExit) << test.error;
    EXPECT_EQ(action.status, 2) << test.error;
    EXPECT_EQ(action.err, "ultrabalancer: " + std::string(test.error) + "\n");
    EXPECT_EQ(action.out, "");
  }
}

TEST(CommandLine, FlagsBecomeAConfigurationsSource) {
  const CliAction action =
      Parse({"-c", "x.yaml", "-p", "80", "--no-health-check", "-g", "a.b=c=d", "-d", "-w", "5"});
  EXPECT_EQ(action.source.file, "x.yaml");
  EXPECT_TRUE(action.daemon);
  std::string flags;
  for (const ConfigFlag& flag : action.source.flags)
    flags += flag.flag + " " + flag.path + " " + flag.value + "; ";
  EXPECT_EQ(flags,
            "--port listen_port 80; --no-health-check health_check.enabled false; -g a.b a.b c=d; "
            "--weight default_weight 5; ");
}

TEST(CommandLine, StartIsWrittenShort) {
  const CliAction action = Parse({"start", "ip-hash", "a:1", "b:2"});
  ConfigSource source = action.source;
  source.resolve = source.use_environment = false;
  const auto loaded = LoadConfig(source);
  ASSERT_TRUE(loaded);
  EXPECT_EQ(loaded->config->algorithm, "ip-hash");
  EXPECT_EQ(loaded->config->backends.size(), 2u);
}

// ps shows the process title to everybody.
TEST(CommandLine, TheTitleHidesSecrets) {
  for (const std::vector<std::string>& words :
       {std::vector<std::string>{"-b", "a:1", "-g", "admin.api_key=hunter2"},
        {"-b", "a:1", "-gadmin.api_key=hunter2"}}) {
    const CliAction action = Parse(words);
    EXPECT_EQ(action.command_line.find("hunter2"), std::string::npos) << action.command_line;
    EXPECT_NE(action.command_line.find("admin.api_key=(hidden)"), std::string::npos);
    EXPECT_EQ(action.source.flags.back().value, "hunter2");
  }
  EXPECT_EQ(Parse({"-b", "a:1", "-g", "user=x"}).command_line, "-b a:1 -g user=x");
}

TEST(CommandLine, LoadingTellsTheStatus) {
  ConfigSource source;
  source.use_environment = source.resolve = false;
  source.flags = {{"--backend", "backends", "a:1"}};
  int status = 0;
  EXPECT_TRUE(LoadOrExplain(source, &status));
  source.flags.push_back({"--port", "listen_port", "x"});
  testing::internal::CaptureStderr();
  EXPECT_FALSE(LoadOrExplain(source, &status));
  EXPECT_EQ(status, 2) << "only a flag is wrong";
  EXPECT_EQ(testing::internal::GetCapturedStderr(),
            "ultrabalancer: flag --port: listen_port: \"x\" is not a whole number (1 to 65535)\n");
  source.file = "/nonexistent/x.yaml";
  testing::internal::CaptureStderr();
  EXPECT_FALSE(LoadOrExplain(source, &status));
  EXPECT_EQ(status, 1);
  const ReloadResult reload = ReloadConfig(source);
  EXPECT_EQ(reload.config, nullptr);
  EXPECT_EQ(reload.errors.size(), 2u);
  testing::internal::GetCapturedStderr();
  EXPECT_TRUE(DefaultPidFile().ends_with("/ultrabalancer.pid"));
}

TEST(CommandLine, OutputThatCannotBeWrittenIsAFailure) {
  AdminConfig by_unix;
  by_unix.listen_address = "unix:/run/x";
  const std::string directory = testing::TempDir() + "ub-cli-" + std::to_string(getpid());
  const struct {
    const char* name;
    std::function<int()> run;
  } kCases[] = {
      {"example", [] { return RunCommand(Parse({"example"})).value_or(-1); }},
      {"dashboard", [] { return RunDashboard(AdminConfig(), ""); }},
      {"dashboard, unix", [&] { return RunDashboard(by_unix, ""); }},
      {"dashboard --export", [&] { return RunDashboard(AdminConfig(), directory); }},
  };
  for (const auto& test : kCases) {
    const int full = open("/dev/full", O_WRONLY | O_CLOEXEC), saved = dup(STDOUT_FILENO);
    ASSERT_TRUE(full >= 0 && saved >= 0);
    dup2(full, STDOUT_FILENO);
    testing::internal::CaptureStderr();
    const int status = test.run();
    dup2(saved, STDOUT_FILENO);
    close(full);
    close(saved);
    EXPECT_EQ(status, 1) << test.name;
    EXPECT_EQ(testing::internal::GetCapturedStderr(),
              "ultrabalancer: cannot write to standard output: No space left on device\n")
        << test.name;
  }
  std::filesystem::remove_all(directory);
}

// From now on write() to standard output takes no byte and is no error.
void TakeNothing() {
  sock_filter program[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_write, 0, 3),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, args)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, STDOUT_FILENO, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog filter{static_cast<uint16_t>(std::size(program)), program};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
      prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter, 0, 0) != 0) {
    _exit(3);
  }
}

TEST(CommandLineDeathTest, OutputThatTakesNothingIsNoOlderCallsError) {
  EXPECT_EXIT(
      {
        TakeNothing();
        errno = ENOENT;
        _exit(WriteOut("x", 0));
      },
      testing::ExitedWithCode(1),
      "^ultrabalancer: cannot write to standard output: Input/output error\n$");
}

TEST(Management, AWildcardIsReachedAtTheLoopbackAddress) {
  const struct {
    const char* listen;
    const char* place;
  } kCases[] = {
      {"127.0.0.1", "127.0.0.1:8081"}, {"0.0.0.0", "127.0.0.1:8081"},
      {"10.1.1.1", "10.1.1.1:8081"},   {"::", "[::1]:8081"},
      {"0::0", "[::1]:8081"},          {"fd00::1", "[fd00::1]:8081"},
      {"unix:/run/x", "unix:/run/x"},
  };
  for (const auto& test : kCases) {
    AdminConfig config;
    config.listen_address = test.listen;
    EXPECT_EQ(ManagementPlace(config), test.place);
  }
}

}  // namespace
}  // namespace ub
