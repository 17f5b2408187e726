// What operators and machines do to a master at the wrong moment: stopped children, signals in the
// middle of something else, files that cannot be written.
#include <signal.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "core/clock.h"
#include "core/reload_status.h"
#include "core/signal_master.h"
#include "unit/core/master_fixture.h"

namespace ub {
namespace {

class MasterFaultsTest : public MasterTest {};

TEST_F(MasterFaultsTest, SocketsOfAStoppedWorkerAreLentToTheOthers) {
  Start(BaseConfig(2));
  const pid_t stopped = PidOf("worker 0"), other = PidOf("worker 1");
  kill(stopped, SIGSTOP);
  ASSERT_TRUE(WaitLog("was stopped"));
  // A connection in a queue of the stopped one's would wait until it goes on.
  for (int i = 0; i < 40; ++i) EXPECT_EQ(AskFresh(port_).pid, other);
  kill(stopped, SIGCONT);
  ASSERT_TRUE(WaitLog("was continued"));
  EXPECT_TRUE(WaitFor([&] { return AskFresh(port_).pid == stopped; }));
  Signal(SIGTERM);
  EXPECT_EQ(WaitExit(), 0);
}

TEST_F(MasterFaultsTest, AllWorkersStoppedAndContinued) {
  Start(BaseConfig(2));
  const std::vector<pid_t> children = Children();
  for (const pid_t pid : children) kill(pid, SIGSTOP);
  ASSERT_TRUE(WaitLog("controller (pid " + std::to_string(PidOf("controller")) + ") was stopped"));
  const UniqueFd waits = Connect(port_);
  for (const pid_t pid : children) kill(pid, SIGCONT);
  EXPECT_NE(Ask(waits.get()).worker, -1);
  EXPECT_EQ(Children(), children);
}

TEST_F(MasterFaultsTest, WorkersThatDrainAreCalledBackAndDoNotPileUp) {
  Config config = BaseConfig(4);
  Start(config);
  // Idle connections keep every worker from leaving.
  std::vector<UniqueFd> held;
  std::set<int> workers;
  for (int i = 0; i < 400 && workers.size() < 4; ++i) {
    held.push_back(Connect(port_));
    workers.insert(Ask(held.back().get()).worker);
  }
  ASSERT_EQ(workers.size(), 4u);
  const std::vector<pid_t> before = Children();
  for (int i = 0; i < 10; ++i) {
    config.workers = 1;
    Reload(config);
    config.workers = 4;
    Reload(config);
    ASSERT_LE(Children().size(), 5u);
  }
  EXPECT_EQ(Children(), before) << "the same processes";
  std::set<int> answering;
  EXPECT_TRUE(WaitFor([&] {
    answering.insert(AskFresh(port_).worker);
    return answering.size() == 4;
  })) << "all accept again";
  held.clear();
  config.workers = 1;
  Reload(config);
  EXPECT_TRUE(WaitFor([&] { return Children().size() == 2; })) << "without them they leave";
}

// A copy in a process that does not listen to its master must not swallow connections.
TEST_F(MasterFaultsTest, AnAddressComesBackThoughAStoppedWorkerHoldsItsOldSockets) {
  const uint16_t second = FreePort();
  Config both = BaseConfig(2);
  both.listen.push_back(Tcp(second));
  Config one = BaseConfig(2);
  Start(both);
  const pid_t stopped = PidOf("worker 0");
  kill(stopped, SIGSTOP);
  ASSERT_TRUE(WaitLog("was stopped"));
  SetConfig(one);
  Signal(SIGHUP);
  ASSERT_TRUE(WaitLog("no longer listening"));
  ASSERT_TRUE(WaitFor([&] { return !Connect(second).valid(); }));
  SetConfig(both);
  Signal(SIGHUP);
  ASSERT_TRUE(WaitFor([&] { return Connect(second).valid(); }));
  for (int i = 0; i < 40; ++i) EXPECT_NE(AskFresh(second).worker, -1) << i;
  kill(stopped, SIGCONT);
  ASSERT_TRUE(WaitLog("was continued"));
  for (int i = 0; i < 40; ++i) EXPECT_NE(AskFresh(second).worker, -1) << i;
}

TEST_F(MasterFaultsTest, AReloadInAQuitIsRefusedAtOnce) {
  Config config = BaseConfig(1);
  Start(config);
  UniqueFd held = Connect(port_);
  ASSERT_NE(Ask(held.get()).worker, -1);
  Signal(SIGQUIT);
  ASSERT_TRUE(WaitLog("told to quit"));
  const Status status = SignalMaster(config.pid_file, MasterSignal::kReload);
  EXPECT_FALSE(status.ok());
  EXPECT_NE(status.detail().find("quitting"), std::string::npos) << status.detail();
  held.Reset();
  EXPECT_EQ(WaitExit(), 0);
}

TEST_F(MasterFaultsTest, TermBesideAReloadEndsIt) {
  Config config = BaseConfig(2);
  Start(config);
  kill(PidOf("worker 0"), SIGSTOP);  // its acknowledgement will not come
  config.max_connections = 50;
  SetConfig(config);
  Signal(SIGHUP);
  ASSERT_TRUE(WaitLog("reload: configuration 2"));
  const uint64_t before = MonotonicMs();
  Signal(SIGHUP);
  Signal(SIGTERM);
  EXPECT_EQ(WaitExit(), 0);
  EXPECT_LT(MonotonicMs() - before, 1000u * 4);
  EXPECT_FALSE(std::filesystem::exists(config.pid_file));
  EXPECT_FALSE(std::filesystem::exists(ReloadStatusPath(config.pid_file)));
}

TEST_F(MasterFaultsTest, TermAtAnyMomentOfTheStartLeavesNothing) {
  for (int i = 0; i < 20; ++i) {
    const Config config = BaseConfig(4);
    SetConfig(config);
    master_ = Launch(config);
    // Each time a little later, on the way from before the first line to all workers serving.
    if (i % 4 != 0) WaitFor([&] { return std::filesystem::exists(config.pid_file); });
    if (i % 4 == 2) WaitLog("started, pid");
    if (i % 4 == 3) WaitLog("serving with");
    const std::vector<pid_t> children = Children();
    Signal(i % 2 == 0 ? SIGTERM : SIGQUIT);
    const int status = WaitExit();
    // Before its signals are its own the default ends it.
    EXPECT_TRUE(status == 0 || (i % 4 == 0 && status == 1000 + SIGTERM)) << i << ": " << status;
    EXPECT_TRUE(WaitFor([&] {
      return std::none_of(children.begin(), children.end(), [](pid_t pid) { return Alive(pid); });
    }));
    EXPECT_FALSE(Connect(port_).valid());
    if (status == 0) {
      EXPECT_FALSE(std::filesystem::exists(config.pid_file));
    }
    std::filesystem::remove(directory_ + "/log");
    std::filesystem::remove(config.pid_file);
  }
}

TEST_F(MasterFaultsTest, AControllerThatDiesInAReloadIsReplacedByOneWithTheNewConfiguration) {
  Config config = BaseConfig(2);
  Start(config);
  const pid_t controller = PidOf("controller");
  kill(controller, SIGSTOP);
  config.max_connections = 50;
  SetConfig(config);
  Signal(SIGHUP);
  ASSERT_TRUE(WaitLog("reload: configuration 2"));
  kill(controller, SIGKILL);
  EXPECT_TRUE(WaitLog("configuration 2 in force in every process"));
  EXPECT_NE(PidOf("controller"), controller);
}

TEST_F(MasterFaultsTest, AWorkerThatDiesInItsDrainIsNotReplaced) {
  Config config = BaseConfig(2);
  Start(config);
  std::vector<UniqueFd> held;
  const pid_t victim = PidOf("worker 1");
  ASSERT_TRUE(WaitFor([&] {
    held.push_back(Connect(port_));
    return Ask(held.back().get()).pid == victim;
  }));
  config.workers = 1;
  Reload(config);
  ASSERT_TRUE(Alive(victim));
  kill(victim, SIGKILL);
  ASSERT_TRUE(WaitFor([&] { return Children().size() == 2; }));
  const UniqueFd fresh = Connect(port_);
  const Answer answer = Ask(fresh.get());
  EXPECT_EQ(answer.worker, 0);
  // What the victim held counts no more.
  size_t left = 1;
  for (const UniqueFd& fd : held) left += Ask(fd.get()).worker == 0 ? 1 : 0;
  EXPECT_EQ(Ask(fresh.get()).connections, left);
  EXPECT_EQ(PidOf("worker 1"), victim);
}

// An operator, or the kernel that wants memory back: no reason to leave the machine without
// workers.
TEST_F(MasterFaultsTest, AWorkerThatIsKilledAgainAndAgainIsBackSoon) {
  Start(BaseConfig(1));
  for (int i = 0; i < 8; ++i) {
    const pid_t victim = AskFresh(port_).pid;
    ASSERT_GT(victim, 0) << i;
    kill(victim, SIGKILL);
    ASSERT_TRUE(WaitFor([&] { return !Alive(victim); }));
    EXPECT_GT(AskFresh(port_).pid, 0) << "the connection waits in the queue: " << i;
  }
  EXPECT_NE(Log().find("started again in 100 ms"), std::string::npos);
  EXPECT_EQ(Log().find("started again in 200 ms"), std::string::npos);
}

TEST_F(MasterFaultsTest, APidFileThatCannotBeWrittenIsAWarning) {
  Config config = BaseConfig(1);
  config.pid_file = directory_ + "/missing/pid";
  Start(config);
  EXPECT_NE(Log().find("no pid file"), std::string::npos);
  EXPECT_NE(AskFresh(port_).worker, -1);
  config.max_connections = 50;
  Reload(config);
  EXPECT_EQ(AskFresh(port_).generation, 2u);
}

TEST_F(MasterFaultsTest, TheDirectoryOfThePidFileMayVanish) {
  std::filesystem::create_directory(directory_ + "/run");
  Config config = BaseConfig(1);
  config.pid_file = directory_ + "/run/pid";
  Start(config);
  std::filesystem::remove_all(directory_ + "/run");
  config.max_connections = 50;
  Reload(config);
  EXPECT_NE(Log().find("reload status: cannot write"), std::string::npos);
  EXPECT_EQ(AskFresh(port_).generation, 2u);
  Signal(SIGQUIT);
  EXPECT_EQ(WaitExit(), 0);
}

}  // namespace
}  // namespace ub
