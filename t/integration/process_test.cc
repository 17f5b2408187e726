// The processes: titles, signals, what a death of any of them costs, leaving.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "client.h"
#include "fake_backend.h"
#include "load_generator.h"
#include "proxy.h"

namespace ub::itest {
namespace {

FakeBackend::Handler HoldUntil(Gate& release) {
  return [&release](Exchange& exchange) {
    if (exchange.request.target == "/hold") exchange.Wait(release);
    FakeBackend::Serve(exchange);
  };
}

std::set<pid_t> AsSet(const std::vector<pid_t>& pids) { return {pids.begin(), pids.end()}; }

TEST(Processes, TitlesTellWhoIsWho) {
  const FakeBackend backend;
  Proxy proxy(ConfigFile().Workers(3).Backend(backend));
  ASSERT_TRUE(proxy.Start());
  EXPECT_TRUE(TitleOf(proxy.master()).starts_with("ultrabalancer: master process "))
      << TitleOf(proxy.master());
  std::set<std::string> titles;
  for (const pid_t pid : ChildrenOf(proxy.master())) titles.insert(TitleOf(pid));
  EXPECT_EQ(titles, (std::set<std::string>{"ultrabalancer: controller", "ultrabalancer: worker 0",
                                           "ultrabalancer: worker 1", "ultrabalancer: worker 2"}));
}

TEST(Processes, WorkersAreBoundToACpuEachWhereAsked) {
  const FakeBackend backend;
  Proxy proxy(ConfigFile().Workers(2).Backend(backend).Set("cpu_affinity", "true"));
  ASSERT_TRUE(proxy.Start());
  cpu_set_t own;
  ASSERT_EQ(sched_getaffinity(0, sizeof own, &own), 0);
  std::set<size_t> used;
  for (const pid_t worker : proxy.Workers()) {
    cpu_set_t set;
    ASSERT_EQ(sched_getaffinity(worker, sizeof set, &set), 0);
    EXPECT_EQ(CPU_COUNT(&set), 1);
    for (size_t cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
      if (CPU_ISSET(cpu, &set)) used.insert(cpu);
    }
  }
  EXPECT_EQ(used.size(), std::min(2, CPU_COUNT(&own)));
  cpu_set_t master;
  ASSERT_EQ(sched_getaffinity(proxy.master(), sizeof master, &master), 0);
  EXPECT_TRUE(CPU_EQUAL(&master, &own)) << "the master stays free";
  EXPECT_EQ(FetchOnce(proxy.endpoint()).status, 200);
}

TEST(Processes, ChildrenOfRootRunAsNobody) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root";
  const FakeBackend backend;
  Proxy proxy(ConfigFile().Backend(backend));
  ASSERT_TRUE(proxy.Start());
  for (const pid_t pid : ChildrenOf(proxy.master())) {
    const std::string status = ReadFile(fmt::format("/proc/{}/status", pid));
    EXPECT_TRUE(Contains(status, "\nUid:\t65534\t65534\t65534\t65534")) << TitleOf(pid);
    EXPECT_TRUE(Contains(status, "\nNoNewPrivs:\t1")) << TitleOf(pid);
  }
}

TEST(Processes, KilledWorkerUnderLoadIsReplacedAndLeavesNoCountBehind) {
  const FakeBackend a, b;
  Proxy proxy(ConfigFile().Workers(2).Backend(a).Backend(b));
  ASSERT_TRUE(proxy.Start());
  LoadGenerator load(proxy.endpoint(), {.connections = 24, .reconnect = true});
  load.Start();
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(load.WaitAnswers(200));
    const auto before = AsSet(proxy.Workers());
    ASSERT_EQ(before.size(), 2u);
    const pid_t victim = *before.begin();
    kill(victim, SIGKILL);
    ASSERT_TRUE(WaitFor([&] {
      const auto now = AsSet(proxy.Workers());
      return now.size() == 2 && !now.contains(victim);
    })) << proxy.Log();
    ASSERT_TRUE(proxy.WaitWorkers(2));
  }
  ASSERT_TRUE(load.WaitAnswers(500));
  const LoadReport report = load.Stop();
  // Each death may cost what the worker held: at most one request a connection.
  EXPECT_LE(report.failed, 3u * 24) << report.Summary();
  EXPECT_GT(report.answered, 1000u);
  EXPECT_TRUE(proxy.WaitIdle()) << proxy.InFlight() << " in flight when the load has ended";
  EXPECT_TRUE(WaitFor([&] { return proxy.Connections() == 0; }));
}

TEST(Processes, InFlightOfAKilledWorkerIsTakenBackAtOnce) {
  Gate release;
  const FakeBackend backend(HoldUntil(release));
  Proxy proxy(ConfigFile().Workers(2).Backend(backend));
  ASSERT_TRUE(proxy.Start());
  std::vector<std::unique_ptr<Client>> clients;
  for (int i = 0; i < 20; ++i) {
    clients.push_back(std::make_unique<Client>(proxy.endpoint()));
    clients.back()->Send(RequestText("GET", "/hold"));
  }
  ASSERT_TRUE(WaitFor([&] { return backend.concurrent() == 20 && proxy.InFlight() == 20; }));
  const pid_t victim = proxy.Workers().front();
  kill(victim, SIGKILL);
  uint64_t answered = 0;
  ASSERT_TRUE(WaitFor([&] { return proxy.InFlight() < 20; }));
  ASSERT_TRUE(proxy.WaitWorkers(2));
  const uint64_t left = proxy.InFlight();
  release.Open();
  for (auto& client : clients) answered += client->Read().status == 200 ? 1 : 0;
  EXPECT_EQ(answered, left) << "what was counted after the death is what was still under way";
  EXPECT_TRUE(proxy.WaitIdle());
}

TEST(Processes, KilledControllerIsReplacedAndNobodyNotices) {
  const FakeBackend backend;
  Proxy proxy(ConfigFile().Backend(backend));
  ASSERT_TRUE(proxy.Start());
  LoadGenerator load(proxy.endpoint(), {.connections = 8});
  load.Start();
  const pid_t before = proxy.Controller();
  ASSERT_GT(before, 0);
  kill(before, SIGKILL);
  EXPECT_TRUE(WaitFor([&] { return proxy.Controller() > 0 && proxy.Controller() != before; }));
  EXPECT_TRUE(load.WaitAnswers(100));
  const LoadReport report = load.Stop();
  EXPECT_EQ(report.failed + report.closed, 0u) << report.Summary();
}

TEST(Processes, ChildrenLeaveWhenTheMasterIsKilled) {
  const FakeBackend backend;
  Proxy proxy(ConfigFile().Workers(3).Backend(backend));
  ASSERT_TRUE(proxy.Start());
  EXPECT_EQ(FetchOnce(proxy.endpoint()).status, 200);
  proxy.Remember();
  EXPECT_EQ(proxy.Survivors().size(), 4u);
  EXPECT_EQ(proxy.Stop(SIGKILL), 128 + SIGKILL);
  EXPECT_TRUE(WaitFor([&] { return proxy.Survivors().empty(); }));
  EXPECT_FALSE(Client(proxy.endpoint()).connected()) << "nobody holds the port";
}

TEST(Processes, QuitLetsADownloadFinishAndTakesNoNewConnection) {
  constexpr uint64_t kBytes = 32 * 1024 * 1024;
  const FakeBackend backend;
  Proxy proxy(ConfigFile().Backend(backend));
  ASSERT_TRUE(proxy.Start());
  Client slow(proxy.endpoint(), 64 * 1024);
  slow.Send(RequestText("GET", fmt::format("/size/{}/5", kBytes)));
  Response response;
  ASSERT_EQ(slow.reader().ReadResponseHead("GET", &response), ReadResult::kOk);
  proxy.Remember();
  proxy.Signal(SIGQUIT);
  EXPECT_TRUE(WaitFor([&] { return !Socket::Connect(proxy.endpoint(), Millis(300)).valid(); }));
  EXPECT_TRUE(Alive(proxy.master())) << "the download is still under way";
  PatternCheck check(5);
  EXPECT_EQ(slow.reader().ReadBody(&response, [&](std::string_view piece) { check.Feed(piece); }),
            ReadResult::kOk);
  EXPECT_TRUE(check.intact());
  EXPECT_EQ(check.bytes(), kBytes);
  slow.socket().Close();
  EXPECT_EQ(proxy.WaitExit(), 0);
  EXPECT_TRUE(proxy.Survivors().empty());
}

TEST(Processes, QuitAnswersAKeptAliveConnectionOnceMore) {
  const FakeBackend backend;
  Proxy proxy(ConfigFile().Backend(backend));
  ASSERT_TRUE(proxy.Start());
  Client idle(proxy.endpoint());
  EXPECT_EQ(idle.Get().status, 200);
  proxy.Signal(SIGQUIT);
  EXPECT_TRUE(WaitFor([&] { return !Socket::Connect(proxy.endpoint(), Millis(300)).valid(); }));
  ASSERT_TRUE(idle.StillOpen()) << "closing it would race with its next request";
  // The port is shut before the workers are told.
  Response response;
  EXPECT_TRUE(WaitFor([&] {
    response = idle.Get();
    return response.status != 200 || response.HasToken("Connection", "close");
  }));
  EXPECT_EQ(response.status, 200) << response.Outcome();
  EXPECT_TRUE(idle.ServerClosed());
  EXPECT_EQ(proxy.WaitExit(), 0);
}

TEST(Processes, QuitEndsAtTheDrainDeadline) {
  Gate never;
  const FakeBackend backend(HoldUntil(never));
  Proxy proxy(ConfigFile().Set("timeout", "{ drain_ms: 500 }").Backend(backend));
  ASSERT_TRUE(proxy.Start());
  Client client(proxy.endpoint());
  client.Send(RequestText("GET", "/hold"));
  ASSERT_TRUE(WaitFor([&] { return backend.concurrent() == 1; }));
  EXPECT_EQ(proxy.Stop(SIGQUIT, Millis(4000)), 0);
  EXPECT_TRUE(proxy.Survivors().empty());
  never.Open();
}

TEST(Processes, TermAndIntLeaveAtOnceWhateverIsUnderWay) {
  for (const int signal : {SIGTERM, SIGINT}) {
    Gate never;
    const FakeBackend backend(HoldUntil(never));
    Proxy proxy(ConfigFile().Backend(backend));
    ASSERT_TRUE(proxy.Start());
    Client client(proxy.endpoint());
    client.Send(RequestText("GET", "/hold"));
    ASSERT_TRUE(WaitFor([&] { return backend.concurrent() == 1; }));
    EXPECT_EQ(proxy.Stop(signal, Millis(3000)), 0) << signal;  // nothing is waited for; the machine may be busy
    EXPECT_TRUE(proxy.Survivors().empty());
    EXPECT_FALSE(std::filesystem::exists(proxy.Path("ub.pid"))) << "the pid file is removed";
    never.Open();
  }
}

TEST(Processes, TermLeavesSoonThoughAChildIsStopped) {
  const FakeBackend backend;
  Proxy proxy(ConfigFile().Backend(backend));
  ASSERT_TRUE(proxy.Start());
  kill(proxy.Workers().front(), SIGSTOP);
  EXPECT_EQ(proxy.Stop(SIGTERM, Millis(3000)), 0);
  EXPECT_TRUE(proxy.Survivors().empty());
}

// All that this process started or adopted has left; tests before may have left some that nobody waited for.
bool HasNoChild() {
  while (waitpid(-1, nullptr, WNOHANG) > 0) {
  }
  return ChildrenOf(getpid()).empty();
}
bool NobodyIsLeft() { return WaitFor(HasNoChild); }

TEST(Processes, TermDuringStartAndReloadLeavesNobody) {
  const FakeBackend backend;
  AdoptOrphans();
  ASSERT_TRUE(NobodyIsLeft());
  const auto leaves = [](Proxy& proxy, const char* when) {
    proxy.Signal(SIGTERM);
    const int status = proxy.WaitExit();
    // 143: it came before there was anybody to handle it.
    EXPECT_TRUE(status == 0 || status == 1 || status == 128 + SIGTERM) << when << ": " << status;
    EXPECT_TRUE(NobodyIsLeft()) << when;
  };
  for (int round = 0; round < 3; ++round) {
    for (const char* const seen : {"", "controller started", "worker 0 started", "listening on", "serving with"}) {
      Proxy proxy(ConfigFile().Workers(4).Backend(backend));
      ASSERT_TRUE(proxy.Launch());
      ASSERT_TRUE(WaitFor([&] { return Contains(proxy.Log(), seen); })) << seen;
      leaves(proxy, seen);
    }
    Proxy reloading(ConfigFile().Backend(backend));
    ASSERT_TRUE(reloading.Start());
    ConfigFile more = reloading.config();
    reloading.WriteConfig(more.Workers(4).Listen(Endpoint::V4(FreePort())));
    reloading.Signal(SIGHUP);
    leaves(reloading, "reload");
  }
}

TEST(Processes, TermDuringAnUpgradeLeavesTheNewMasterOrNobody) {
  const FakeBackend backend;
  AdoptOrphans();
  ASSERT_TRUE(NobodyIsLeft());
  for (const char* const seen : {"is started as the new master", "the shared segment is taken over", "; WINCH"}) {
    Proxy proxy(ConfigFile().Backend(backend));
    ASSERT_TRUE(proxy.Start());
    const std::string pid_file = proxy.config().values().at("pid_file");
    proxy.Signal(SIGUSR2);
    ASSERT_TRUE(WaitFor([&] { return Contains(proxy.Log(), seen); })) << seen << proxy.Log();
    const pid_t old = proxy.master();
    EXPECT_EQ(proxy.Stop(SIGTERM), 0) << seen;
    // The new one serves alone, or has left with the old.
    pid_t successor = 0;
    ASSERT_TRUE(WaitFor([&] {
      if (HasNoChild()) return true;
      successor = static_cast<pid_t>(atoi(ReadFile(pid_file).c_str()));
      return successor > 0 && successor != old && FetchOnce(proxy.endpoint()).status == 200;
    })) << seen << proxy.Log();
    if (ChildrenOf(getpid()).empty()) continue;
    proxy.Follow(successor);
    EXPECT_EQ(proxy.Stop(SIGTERM), 0) << seen;
    EXPECT_TRUE(NobodyIsLeft()) << seen << proxy.Log();
  }
}

TEST(Processes, Usr1ReopensTheLog) {
  const FakeBackend backend;
  const TempDir dir;
  const std::string log = dir.Path("error.log");
  Proxy proxy(ConfigFile().Set("logging", "{ file: \"" + log + "\" }").Backend(backend));
  ASSERT_TRUE(proxy.Start());
  ASSERT_TRUE(WaitFor([&] { return !ReadFile(log).empty(); }));
  std::filesystem::rename(log, log + ".1");
  proxy.Signal(SIGUSR1);
  ASSERT_TRUE(WaitFor([&] { return std::filesystem::exists(log); }));
  // The rotated file gets no more lines: what master and children say next is in the new one.
  ASSERT_TRUE(WaitFor([&] { return !ReadFile(log).empty(); }));
  const std::string rotated = ReadFile(log + ".1");
  ASSERT_TRUE(proxy.Reload(ConfigFile(proxy.config()).Set("max_connections", "5000")));
  EXPECT_TRUE(WaitFor([&] { return Contains(ReadFile(log), "reload"); }));
  EXPECT_EQ(ReadFile(log + ".1"), rotated);
}

TEST(Processes, ALogThatCannotBeReopenedStays) {
  const FakeBackend backend;
  const TempDir dir;
  std::filesystem::create_directory(dir.Path("logs"));
  Proxy proxy(
      ConfigFile().Set("logging", "{ file: \"" + dir.Path("logs/error.log") + "\" }").Backend(backend));
  ASSERT_TRUE(proxy.Start());
  std::filesystem::rename(dir.Path("logs"), dir.Path("away"));
  proxy.Signal(SIGUSR1);
  const auto said = [&](const char* text) {
    return WaitFor([&] { return Contains(ReadFile(dir.Path("away/error.log")), text); });
  };
  EXPECT_TRUE(said("logs are not reopened, the old ones stay"));
  EXPECT_EQ(FetchOnce(proxy.endpoint()).status, 200);
  std::filesystem::rename(dir.Path("away"), dir.Path("logs"));
  proxy.Signal(SIGUSR1);
  EXPECT_TRUE(WaitFor([&] { return Contains(ReadFile(dir.Path("logs/error.log")), "logs reopened"); }));
}

TEST(Processes, SecondInstanceWithTheSamePidFileIsRefused) {
  const FakeBackend backend;
  Proxy proxy(ConfigFile().Backend(backend));
  ASSERT_TRUE(proxy.Start());
  const std::string pid_file = proxy.Path("ub.pid");
  EXPECT_EQ(atoi(ReadFile(pid_file).c_str()), proxy.master());
  const CommandResult second =
      RunBinary({"-b", backend.endpoint().Text(), "-p", std::to_string(FreePort()), "--host",
                 "127.0.0.1", "--pid-file", pid_file});
  EXPECT_EQ(second.status, 1);
  EXPECT_TRUE(Contains(second.err, pid_file)) << second.err;
  EXPECT_EQ(atoi(ReadFile(pid_file).c_str()), proxy.master());
  EXPECT_EQ(FetchOnce(proxy.endpoint()).status, 200);
}

TEST(Processes, PidFileOfADeadMasterIsTakenOver) {
  const FakeBackend backend;
  const TempDir dir;
  WriteFile(dir.Path("ub.pid"), "1\n");
  Proxy proxy(ConfigFile().Set("pid_file", dir.Path("ub.pid")).Backend(backend));
  ASSERT_TRUE(proxy.Start());
  EXPECT_EQ(atoi(ReadFile(dir.Path("ub.pid")).c_str()), proxy.master());
}

}  // namespace
}  // namespace ub::itest
