// Start, supervision and end of the master, with real processes.
#include "core/master.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <set>

#include "core/clock.h"
#include "core/random.h"
#include "core/signal_master.h"
#include "unit/core/master_fixture.h"

namespace ub {
namespace {

TEST_F(MasterTest, ServesWithEveryWorkerAndLeavesAtOnce) {
  Start(BaseConfig(3));
  EXPECT_EQ(Children().size(), 4u);
  std::set<int> workers;
  EXPECT_TRUE(WaitFor([&] {
    workers.insert(AskFresh(port_).worker);
    return workers == std::set<int>{0, 1, 2};
  }));
  const std::vector<pid_t> children = Children();
  const uint64_t begin = MonotonicMs();
  Signal(SIGTERM);
  EXPECT_EQ(WaitExit(), 0);
  EXPECT_LT(MonotonicMs() - begin, 1000u);
  for (const pid_t pid : children) EXPECT_FALSE(Alive(pid));
  EXPECT_FALSE(std::filesystem::exists(directory_ + "/pid"));
  EXPECT_FALSE(std::filesystem::exists(directory_ + "/pid.status"));
  EXPECT_EQ(Output(), "");
}

TEST_F(MasterTest, StoppedChildrenDoNotHoldTheStopUp) {
  Start(BaseConfig(2));
  for (const pid_t pid : Children()) kill(pid, SIGSTOP);
  const uint64_t begin = MonotonicMs();
  Signal(SIGINT);
  EXPECT_EQ(WaitExit(), 0);
  EXPECT_LT(MonotonicMs() - begin, 1000u);
}

TEST_F(MasterTest, ChildrenIgnoreTheSignalsOfTheGroup) {
  Start(BaseConfig(1));
  const std::vector<pid_t> children = Children();
  for (const pid_t pid : children) {
    for (const int number : {SIGINT, SIGTERM, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2, SIGWINCH, SIGPIPE})
      kill(pid, number);
  }
  EXPECT_EQ(AskFresh(port_).worker, 0);
  EXPECT_EQ(Children(), children);
}

TEST_F(MasterTest, AKilledWorkerIsReplacedAndItsSocketsMoveAtOnce) {
  Start(BaseConfig(4));
  for (int round = 0; round < 8; ++round) {
    const std::string role = "worker " + std::to_string(round % 4);
    const pid_t victim = PidOf(role);
    kill(victim, SIGSTOP);  // its queues fill while it cannot accept
    std::vector<UniqueFd> waiting;
    for (int i = 0; i < 60; ++i) waiting.push_back(Connect(port_));
    kill(victim, SIGKILL);
    for (UniqueFd& fd : waiting) {
      ASSERT_TRUE(fd.valid());
      const Answer answer = Ask(fd.get());
      ASSERT_NE(answer.worker, -1) << "a queued connection was lost";
      EXPECT_NE(answer.pid, victim);
    }
    ASSERT_TRUE(WaitFor([&] { return PidOf(role) != victim; }));
    EXPECT_TRUE(WaitLog("(pid " + std::to_string(victim) + ") was killed by signal 9 (SIGKILL)"));
  }
}

// What a dead worker held counts no more, whatever it was doing; what the others hold still does.
TEST_F(MasterTest, GaugesAreExactAfterKills) {
  Start(BaseConfig(4));
  Random random(MonotonicNs());
  std::map<pid_t, std::vector<UniqueFd>> held;
  for (int i = 0; i < 100; ++i) {
    UniqueFd fd = Connect(port_);
    const Answer answer = Ask(fd.get());
    ASSERT_NE(answer.worker, -1);
    held[answer.pid].push_back(std::move(fd));
  }
  for (int round = 0; round < 6; ++round) {
    auto victim = held.begin();
    std::advance(victim, random.Below(static_cast<uint32_t>(held.size())));
    kill(victim->first, SIGKILL);
    ASSERT_TRUE(WaitLog("(pid " + std::to_string(victim->first) + ") was killed"));
    held.erase(victim);
    uint32_t expected = 0;
    for (const auto& [pid, fds] : held) expected += static_cast<uint32_t>(fds.size());
    for (int i = 0; i < 5; ++i) {
      UniqueFd fd = Connect(port_);
      const Answer answer = Ask(fd.get());
      ASSERT_NE(answer.worker, -1);
      ++expected;
      EXPECT_EQ(answer.connections, expected);
      held[answer.pid].push_back(std::move(fd));
    }
  }
  held.clear();
  EXPECT_TRUE(WaitFor([&] { return AskFresh(port_).connections == 1; }));
}

TEST_F(MasterTest, TheControllerIsReplacedToo) {
  Start(BaseConfig(1));
  const pid_t before = PidOf("controller");
  kill(before, SIGKILL);
  EXPECT_TRUE(WaitFor([&] { return PidOf("controller") != before; }));
  EXPECT_EQ(AskFresh(port_).worker, 0);
}

TEST_F(MasterTest, ACrashLoopBacksOff) {
  Config config = BaseConfig(1);
  Start(config);
  for (int i = 0; i < 4; ++i) {
    const pid_t pid = PidOf("worker 0");
    kill(pid, SIGTRAP);  // as a crash; a SIGKILL is somebody's will
    ASSERT_TRUE(WaitFor([&] { return PidOf("worker 0") != pid; }));
  }
  EXPECT_TRUE(WaitLog("worker 0 died 4 times in a row: started again in 400 ms"));
  EXPECT_EQ(Log().find("died 1 times"), std::string::npos);  // the first time: at once
  EXPECT_NE(AskFresh(port_).worker, -1);
}

TEST_F(MasterTest, AChildThatCannotStartFailsTheStart) {
  Config config = BaseConfig(2);
  config.algorithm = "fail-start";
  master_ = Launch(config);
  EXPECT_EQ(WaitExit(), 1);
  EXPECT_NE(Output().find("ultrabalancer: cannot start: worker"), std::string::npos) << Output();
  EXPECT_FALSE(std::filesystem::exists(directory_ + "/pid"));
}

TEST_F(MasterTest, QuitDrainsWhatIsConnected) {
  Start(BaseConfig(2));
  UniqueFd held = Connect(port_);
  ASSERT_NE(Ask(held.get()).worker, -1);
  // Queued behind a stopped worker when the order comes: still to be served.
  for (const char* role : {"worker 0", "worker 1"}) kill(PidOf(role), SIGSTOP);
  UniqueFd queued = Connect(port_);
  ASSERT_TRUE(queued.valid());
  Signal(SIGQUIT);
  ASSERT_TRUE(WaitLog("told to quit"));
  for (const char* role : {"worker 0", "worker 1"}) kill(PidOf(role), SIGCONT);
  EXPECT_NE(Ask(queued.get()).worker, -1);
  queued.Reset();
  ASSERT_TRUE(WaitFor([&] { return !Connect(port_).valid(); }));
  EXPECT_TRUE(Alive(master_));
  EXPECT_NE(Ask(held.get()).worker, -1);  // answered, and closed by the draining worker
  EXPECT_EQ(WaitExit(), 0);
}

TEST_F(MasterTest, QuitEndsAtTheDeadline) {
  Config config = BaseConfig(1);
  config.timeout.drain_ms = 200;
  Start(config);
  UniqueFd held = Connect(port_);
  ASSERT_NE(Ask(held.get()).worker, -1);
  kill(PidOf("worker 0"), SIGSTOP);  // not even the worker's own deadline helps
  const uint64_t begin = MonotonicMs();
  Signal(SIGQUIT);
  EXPECT_EQ(WaitExit(), 0);
  EXPECT_GE(MonotonicMs() - begin, 1000u);
  EXPECT_LT(MonotonicMs() - begin, 4000u);
  EXPECT_NE(Log().find("has not left in time"), std::string::npos);
}

TEST_F(MasterTest, ASecondQuitOrATermEndsTheDrain) {
  for (const int second : {SIGQUIT, SIGTERM}) {
    Start(BaseConfig(1));
    UniqueFd held = Connect(port_);
    ASSERT_NE(Ask(held.get()).worker, -1);
    Signal(SIGQUIT);
    ASSERT_TRUE(WaitLog("told to quit"));
    const uint64_t begin = MonotonicMs();
    Signal(second);
    EXPECT_EQ(WaitExit(), 0);
    EXPECT_LT(MonotonicMs() - begin, 1000u);
    std::filesystem::remove(directory_ + "/log");
  }
}

// A child that no longer has a master serves what it has and leaves; nobody is orphaned with the
// port.
TEST_F(MasterTest, WorkersDrainWhenTheMasterIsKilled) {
  Start(BaseConfig(2));
  const std::vector<pid_t> children = Children();
  UniqueFd held = Connect(port_);
  ASSERT_NE(Ask(held.get()).worker, -1);
  Signal(SIGKILL);
  EXPECT_EQ(WaitExit(), 1000 + SIGKILL);
  EXPECT_TRUE(WaitFor([&] { return !Connect(port_).valid(); }));
  EXPECT_NE(Ask(held.get()).worker, -1);
  held.Reset();
  EXPECT_TRUE(WaitFor([&] {
    return std::none_of(children.begin(), children.end(), [](pid_t pid) { return Alive(pid); });
  }));
}

// The pid file that was left keeps nobody off, nor do workers that are just leaving their ports.
TEST_F(MasterTest, ANewMasterStartsAtOnceWhenTheOldOneWasKilled) {
  Start(BaseConfig(2));
  UniqueFd held = Connect(port_);
  ASSERT_NE(Ask(held.get()).worker, -1);
  const std::vector<pid_t> old = Children();
  for (const pid_t pid : old) kill(pid, SIGSTOP);  // slow to see that their master is gone
  Signal(SIGKILL);
  EXPECT_EQ(WaitExit(), 1000 + SIGKILL);
  std::filesystem::remove(directory_ + "/log");
  SetConfig(BaseConfig(1));
  master_ = Launch(BaseConfig(1));
  EXPECT_FALSE(WaitLog("serving", 100));
  for (const pid_t pid : old) kill(pid, SIGCONT);
  ASSERT_TRUE(WaitLog("serving with"));
  EXPECT_GT(Ask(held.get()).pid, 0);  // the old worker serves what it has
  EXPECT_NE(AskFresh(port_).worker, -1);
  held.Reset();
  EXPECT_TRUE(WaitFor(
      [&] { return std::none_of(old.begin(), old.end(), [](pid_t pid) { return Alive(pid); }); }));
}

TEST_F(MasterTest, ASecondInstanceIsTurnedAway) {
  Config config = BaseConfig(1);
  Start(config);
  Config second = config;
  second.logging.file = directory_ + "/log2";
  second.listen = {Tcp(FreePort())};
  EXPECT_EQ(WaitPid(Launch(second)), 1);
  EXPECT_NE(Output().find("held by a running instance with pid " + std::to_string(master_)),
            std::string::npos)
      << Output();
  second.pid_file = directory_ + "/pid2";
  second.listen = config.listen;
  EXPECT_EQ(WaitPid(Launch(second)), 1);
  EXPECT_NE(Output().find("ultrabalancer: cannot listen on " + config.listen[0].text +
                          ": address already in use"),
            std::string::npos)
      << Output();
  EXPECT_NE(AskFresh(port_).worker, -1);
}

TEST_F(MasterTest, ATakenDefaultPidFileIsAWarning) {
  if (geteuid() != 0) GTEST_SKIP() << "the default is root's";
  Config config = BaseConfig(1);
  Start(config);
  const pid_t first = master_;
  Config second = config;
  second.pid_file = "";
  second.logging.file = directory_ + "/log2";
  second.listen = {Tcp(FreePort())};
  master_ = Launch(second, false, config.pid_file);
  EXPECT_TRUE(WaitFor([&] { return AskFresh(second.listen[0].port).worker == 0; }));
  Signal(SIGTERM);
  EXPECT_EQ(WaitExit(), 0);
  master_ = first;
  EXPECT_EQ(*ReadPidFile(config.pid_file), first);
  std::ifstream log(second.logging.file);
  const std::string text((std::istreambuf_iterator<char>(log)), {});
  EXPECT_NE(text.find("[warn]"), std::string::npos);
  EXPECT_NE(text.find("no pid file: "), std::string::npos) << text;
}

TEST_F(MasterTest, LogsAreReopenedInEveryProcess) {
  Start(BaseConfig(2));
  const std::string log = directory_ + "/log";
  const pid_t controller = PidOf("controller");
  std::filesystem::rename(log, log + ".1");
  Signal(SIGUSR1);
  ASSERT_TRUE(WaitLog("logs reopened"));
  const auto points_at = [](pid_t pid, const std::string& path) {
    for (const auto& entry :
         std::filesystem::directory_iterator("/proc/" + std::to_string(pid) + "/fd")) {
      std::error_code error;
      if (std::filesystem::read_symlink(entry, error) == path) return true;
    }
    return false;
  };
  for (const pid_t pid : Children()) {
    if (pid == controller) continue;  // the test's controller does not follow
    EXPECT_TRUE(WaitFor([&] { return points_at(pid, log) && !points_at(pid, log + ".1"); }));
  }
}

TEST_F(MasterTest, AMissingLogDirectoryLeavesTheOldLog) {
  Config config = BaseConfig(1);
  std::filesystem::create_directory(directory_ + "/logs");
  config.logging.access_log = directory_ + "/logs/access";
  Start(config);
  std::filesystem::remove_all(directory_ + "/logs");
  Signal(SIGUSR1);
  EXPECT_TRUE(WaitLog("logs are not reopened, the old ones stay: cannot open log file " +
                      config.logging.access_log));
  EXPECT_NE(AskFresh(port_).worker, -1);
}

TEST_F(MasterTest, UnixSocketsServeAndAreUnlinked) {
  Config config = BaseConfig(2);
  const std::string path = directory_ + "/sock";
  config.listen.push_back({path, 0, true, "unix:" + path});
  std::filesystem::permissions(directory_, std::filesystem::perms::all);
  Start(config);
  for (int i = 0; i < 20; ++i) EXPECT_NE(Ask(ConnectUnix(path).get()).worker, -1);
  Signal(SIGQUIT);
  EXPECT_EQ(WaitExit(), 0);
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST_F(MasterTest, TheDaemonsCommandReturnsWhenItServes) {
  Config config = BaseConfig(1);
  SetConfig(config);
  const pid_t command = Launch(config, true);
  EXPECT_EQ(WaitPid(command), 0);
  EXPECT_NE(AskFresh(port_).worker, -1);  // it serves already
  Result<pid_t> daemon = ReadPidFile(config.pid_file);
  ASSERT_TRUE(daemon);
  EXPECT_NE(*daemon, command);
  EXPECT_EQ(getsid(*daemon), *daemon);
  for (int fd = 0; fd <= 2; ++fd) {
    const std::string link = "/proc/" + std::to_string(*daemon) + "/fd/" + std::to_string(fd);
    EXPECT_EQ(std::filesystem::read_symlink(link), "/dev/null");
  }
  EXPECT_TRUE(SignalMaster(config.pid_file, MasterSignal::kStop).ok());
  EXPECT_FALSE(Alive(*daemon));
}

TEST_F(MasterTest, TheDaemonsCommandFailsWithIt) {
  Config config = BaseConfig(1);
  Start(config);
  config.pid_file = directory_ + "/pid2";
  EXPECT_EQ(WaitPid(Launch(config, true)), 1);
  EXPECT_NE(Output().find("already in use"), std::string::npos);
}

TEST_F(MasterTest, WinchDrainsTheWorkersAndHupBringsThemBack) {
  if (isatty(0) || isatty(1)) GTEST_SKIP() << "in a terminal WINCH means that the window changed";
  Start(BaseConfig(2));
  UniqueFd held = Connect(port_);
  const Answer before = Ask(held.get());
  ASSERT_NE(before.worker, -1);
  Signal(SIGWINCH);
  ASSERT_TRUE(WaitFor([&] { return Children().size() == 2; })) << "controller and who has a client";
  const UniqueFd waits = Connect(port_);
  EXPECT_TRUE(waits.valid()) << "the queue is open";
  Signal(SIGHUP);
  EXPECT_NE(Ask(waits.get()).worker, -1);
  ASSERT_TRUE(WaitFor([&] { return Children().size() == 3; }));
  EXPECT_EQ(Ask(held.get()).pid, before.pid) << "called back in the middle of its drain";
  Signal(SIGTERM);
  EXPECT_EQ(WaitExit(), 0);
}

TEST_F(MasterTest, AWorkerIsCalledBackThoughNoReloadHasEverSucceeded) {
  if (isatty(0) || isatty(1)) GTEST_SKIP() << "in a terminal WINCH means that the window changed";
  Start(BaseConfig(1));
  UniqueFd held = Connect(port_);
  const Answer before = Ask(held.get());
  ASSERT_NE(before.worker, -1);
  Signal(SIGWINCH);
  ASSERT_TRUE(WaitLog("the workers drain"));
  SetBroken("nonsense");
  Signal(SIGHUP);
  ASSERT_TRUE(WaitLog("reload refused: nonsense"));
  EXPECT_EQ(AskFresh(port_).pid, before.pid);
  EXPECT_EQ(Ask(held.get()).pid, before.pid);
}

TEST_F(MasterTest, AnUpgradeThatIsNotPossibleSaysSo) {
  Start(BaseConfig(1));
  Signal(SIGUSR2);
  EXPECT_TRUE(WaitLog("USR2: no upgrade"));
  EXPECT_NE(AskFresh(port_).worker, -1);
}

}  // namespace
}  // namespace ub
