// Reload in place, with real processes.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <set>

#include "core/clock.h"
#include "core/master.h"
#include "core/random.h"
#include "core/signal_master.h"
#include "unit/core/master_fixture.h"

namespace ub {
namespace {

using MasterReloadTest = MasterTest;

size_t Descriptors(pid_t pid) {
  size_t count = 0;
  for ([[maybe_unused]] const auto& entry :
       std::filesystem::directory_iterator("/proc/" + std::to_string(pid) + "/fd")) {
    ++count;
  }
  return count;
}

TEST_F(MasterReloadTest, WorkersAndConnectionsStay) {
  Config config = BaseConfig(2);
  Start(config);
  const std::vector<pid_t> children = Children();
  std::vector<UniqueFd> held;
  for (int i = 0; i < 20; ++i) held.push_back(Connect(port_));
  for (uint64_t generation = 2; generation < 12; ++generation) {
    config.max_connections = static_cast<uint32_t>(generation);
    Reload(config);
    for (UniqueFd& fd : held) {
      const Answer answer = Ask(fd.get());
      ASSERT_NE(answer.worker, -1);
      EXPECT_EQ(answer.generation, generation);
    }
  }
  EXPECT_EQ(Children(), children);
}

TEST_F(MasterReloadTest, ABadConfigurationChangesNothing) {
  Config config = BaseConfig(1);
  Start(config);
  SetBroken("x.yaml:1:1: nonsense");
  const Status status = SignalMaster(config.pid_file, MasterSignal::kReload);
  EXPECT_EQ(status.code(), StatusCode::kInvalid);
  EXPECT_EQ(status.detail(), "x.yaml:1:1: nonsense\nsecond line");
  EXPECT_NE(Log().find("reload refused: x.yaml:1:1: nonsense"), std::string::npos);
  EXPECT_NE(Log().find("reload refused: second line"), std::string::npos);
  EXPECT_EQ(AskFresh(port_).generation, 1u);
  SetConfig(config);
  EXPECT_TRUE(SignalMaster(config.pid_file, MasterSignal::kReload).ok());
  EXPECT_EQ(AskFresh(port_).generation, 2u);  // the outcome comes when the workers follow
}

TEST_F(MasterReloadTest, AWorkersRefusalIsTheOutcome) {
  Config config = BaseConfig(1);
  Start(config);
  config.algorithm = "refuse";
  SetConfig(config);
  const uint64_t begin = MonotonicMs();
  const Status status = SignalMaster(config.pid_file, MasterSignal::kReload);
  EXPECT_EQ(status.detail(), "worker 0: I will not");
  EXPECT_LT(MonotonicMs() - begin, 1500u);
}

TEST_F(MasterReloadTest, WorkersGrowAndShrinkUnderConnections) {
  Config config = BaseConfig(1);
  Start(config);
  UniqueFd first = Connect(port_);
  ASSERT_NE(Ask(first.get()).worker, -1);
  for (const uint32_t workers : {4u, 2u, 3u, 1u, 4u}) {
    config.workers = workers;
    Reload(config);
    std::set<int> seen, all;
    for (uint32_t id = 0; id < workers; ++id) all.insert(static_cast<int>(id));
    EXPECT_TRUE(WaitFor([&] {
      const Answer answer = AskFresh(port_);
      EXPECT_NE(answer.worker, -1);
      seen.insert(answer.worker);
      return seen == all;
    })) << workers;
    EXPECT_TRUE(WaitFor([&] { return Children().size() == workers + 1; }));
    EXPECT_NE(Ask(first.get()).worker, -1);  // held by worker 0, which always stays
  }
  EXPECT_EQ(Log().find("was killed"), std::string::npos);
}

// The surplus worker keeps what it has until that is done.
TEST_F(MasterReloadTest, ADrainingWorkerFinishesItsConnections) {
  Config config = BaseConfig(3);
  Start(config);
  UniqueFd held;
  const auto held_by_last = [&] {
    held = Connect(port_);
    return Ask(held.get()).worker == 2;
  };
  ASSERT_TRUE(WaitFor(held_by_last));
  const pid_t draining = PidOf("worker 2");
  config.workers = 1;
  Reload(config);
  for (int i = 0; i < 50; ++i) EXPECT_EQ(AskFresh(port_).worker, 0);
  EXPECT_TRUE(Alive(draining));
  const Answer last = Ask(held.get());
  EXPECT_EQ(last.pid, draining);
  EXPECT_EQ(last.generation, 1u);  // it does not act on the new world
  EXPECT_TRUE(WaitFor([&] { return !Alive(draining); }));
  EXPECT_EQ(PidOf("worker 2"), draining);  // and nobody took its place
}

TEST_F(MasterReloadTest, AddressesComeAndGo) {
  Config config = BaseConfig(2);
  Start(config);
  const uint16_t other = FreePort();
  config.listen.push_back(Tcp(other));
  Reload(config);
  UniqueFd held = Connect(other);
  ASSERT_NE(Ask(held.get()).worker, -1);
  EXPECT_NE(AskFresh(port_).worker, -1);

  config.listen = {Tcp(port_)};
  Reload(config);
  EXPECT_NE(Ask(held.get()).worker, -1);  // what stands, stands
  EXPECT_TRUE(WaitFor([&] { return !Connect(other).valid(); }));
  EXPECT_NE(Ask(held.get()).worker, -1);

  config.listen = {Tcp(other)};  // and back, the first one goes
  Reload(config);
  EXPECT_NE(AskFresh(other).worker, -1);
  EXPECT_TRUE(WaitFor([&] { return !Connect(port_).valid(); }));
}

// Connections that wait in the accept queues of a removed address are served, not reset.
TEST_F(MasterReloadTest, QueuesOfARemovedAddressAreServed) {
  Config config = BaseConfig(2);
  const uint16_t other = FreePort();
  config.listen.push_back(Tcp(other));
  Start(config);
  for (const char* role : {"worker 0", "worker 1"}) kill(PidOf(role), SIGSTOP);
  std::vector<UniqueFd> queued;
  for (int i = 0; i < 100; ++i) queued.push_back(Connect(other));
  config.listen = {Tcp(port_)};
  SetConfig(config);
  Signal(SIGHUP);
  ASSERT_TRUE(WaitLog("no longer listening on"));
  // Until the grace is over and the workers should have closed them.
  ASSERT_TRUE(WaitLog("let go of"));
  for (const char* role : {"worker 0", "worker 1"}) kill(PidOf(role), SIGCONT);
  for (UniqueFd& fd : queued) EXPECT_NE(Ask(fd.get()).worker, -1);
  EXPECT_TRUE(WaitFor([&] { return !Connect(other).valid(); }));
}

TEST_F(MasterReloadTest, AnAddressMayChangeItsMind) {
  Config config = BaseConfig(2);
  const uint16_t other = FreePort();
  Start(config);
  for (int round = 0; round < 10; ++round) {
    config.listen = {Tcp(port_), Tcp(other)};
    Reload(config);
    EXPECT_NE(AskFresh(other).worker, -1);
    config.listen = {Tcp(port_)};
    Reload(config);
    EXPECT_NE(AskFresh(port_).worker, -1);
  }
}

TEST_F(MasterReloadTest, ATakenAddressRefusesTheReloadAsAWhole) {
  Config config = BaseConfig(1);
  Start(config);
  ListenSockets foreign;
  const ListenConfig taken = Tcp(FreePort());
  ASSERT_TRUE(foreign.Open(taken, 1, 10).ok());
  const uint16_t fresh = FreePort();
  Config next = config;
  next.workers = 3;
  next.listen = {Tcp(port_), Tcp(fresh), taken};
  SetConfig(next);
  const Status status = SignalMaster(config.pid_file, MasterSignal::kReload);
  EXPECT_NE(status.detail().find("already in use"), std::string::npos) << status.ToString();
  EXPECT_FALSE(Connect(fresh).valid());
  EXPECT_EQ(AskFresh(port_).generation, 1u);
  EXPECT_EQ(Children().size(), 2u);
  // No more sockets at the old address than somebody accepts from.
  for (int i = 0; i < 60; ++i) ASSERT_NE(AskFresh(port_).worker, -1) << i;
}

TEST_F(MasterReloadTest, UnixSocketsComeAndGo) {
  Config config = BaseConfig(2);
  Start(config);
  const std::string path = directory_ + "/sock";
  config.listen.push_back({path, 0, true, "unix:" + path});
  Reload(config);
  for (int i = 0; i < 10; ++i) EXPECT_NE(Ask(ConnectUnix(path).get()).worker, -1);
  config.listen.pop_back();
  Reload(config);
  EXPECT_FALSE(std::filesystem::exists(path));
  EXPECT_FALSE(ConnectUnix(path).valid());
}

TEST_F(MasterReloadTest, BeyondCapacityIsRefusedWithAHint) {
  Config config = BaseConfig(1);
  config.shared_memory.max_backends = 2;
  Start(config);
  Config next = config;
  next.backends.resize(3);
  SetConfig(next);
  EXPECT_NE(SignalMaster(config.pid_file, MasterSignal::kReload).detail().find("max_backends"),
            std::string::npos);
  next = config;
  next.workers = 500;
  SetConfig(next);
  EXPECT_NE(SignalMaster(config.pid_file, MasterSignal::kReload).detail().find("workers: 500"),
            std::string::npos);
  EXPECT_EQ(AskFresh(port_).generation, 1u);
}

TEST_F(MasterReloadTest, WhatTakesARestartStaysWithAWarning) {
  Config config = BaseConfig(1);
  Start(config);
  Config next = config;
  next.pid_file = directory_ + "/elsewhere";
  next.shared_memory.max_backends = 4096;
  Reload(next);
  EXPECT_NE(Log().find("pid_file: a change takes a restart"), std::string::npos);
  EXPECT_NE(Log().find("shared_memory.max_backends: a change takes a restart"), std::string::npos);
  EXPECT_FALSE(std::filesystem::exists(next.pid_file));
  EXPECT_EQ(AskFresh(port_).generation, 2u);
}

TEST_F(MasterReloadTest, LogFileAndLevelFollow) {
  Config config = BaseConfig(1);
  Start(config);
  const std::string first = directory_ + "/log", second = directory_ + "/other";
  config.logging.file = second;
  SetConfig(config);
  ASSERT_TRUE(SignalMaster(config.pid_file, MasterSignal::kReload).ok());
  EXPECT_GT(std::filesystem::file_size(second), 0u);
  config.logging.file = directory_ + "/no/such/log";
  SetConfig(config);
  EXPECT_NE(SignalMaster(config.pid_file, MasterSignal::kReload).detail().find("/no/such/log"),
            std::string::npos);
  EXPECT_NE(AskFresh(port_).worker, -1);
}

TEST_F(MasterReloadTest, AStoppedWorkerHoldsNobodyUp) {
  Config config = BaseConfig(2);
  Start(config);
  const pid_t stopped = PidOf("worker 1");
  kill(stopped, SIGSTOP);
  config.listen.push_back(Tcp(FreePort()));
  for (int i = 0; i < 200; ++i) {
    config.max_connections = static_cast<uint32_t>(100 + i);
    SetConfig(config);
    Signal(SIGHUP);
  }
  // The outcome does not wait for it longer than a few seconds, the other worker not at all.
  UniqueFd fd;
  EXPECT_TRUE(WaitFor([&] {
    fd = Connect(port_);
    return Ask(fd.get(), 50).generation > 1;
  }));
  ASSERT_TRUE(WaitLog("not every process has taken it yet"));
  const uint64_t newest = Ask(fd.get()).generation;
  kill(stopped, SIGCONT);
  EXPECT_TRUE(WaitFor([&] {
    const Answer answer = AskFresh(port_);
    return answer.pid == stopped && answer.generation >= newest;
  }));
}

TEST_F(MasterReloadTest, TheControllerHearsHowItsReloadEnded) {
  Config config = BaseConfig(1);
  config.algorithm = "ask-reload";
  SetBroken("bad line");
  master_ = Launch(config);
  EXPECT_TRUE(WaitLog("reload 77 ended: 'bad line"));
}

TEST_F(MasterReloadTest, AnOvertakenReloadDoesNotAnswerForTheNext) {
  Config config = BaseConfig(2);
  Start(config);
  const pid_t stopped = PidOf("worker 1");
  kill(stopped, SIGSTOP);
  config.algorithm = "ask-later";
  SetConfig(config);
  Signal(SIGHUP);
  ASSERT_TRUE(WaitLog("reload: configuration 2"));
  SetBroken("bad line");
  ASSERT_EQ(chmod(directory_.c_str(), 0755), 0) << "where root runs this, the children are nobody's";
  const UniqueFd order(open((config.pid_file + ".ask").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
  ASSERT_TRUE(order.valid());
  EXPECT_TRUE(WaitLog("reload 78 ended: 'bad line"));
  kill(stopped, SIGCONT);
}

// A burst of everything at once: processes and descriptors stay flat and no connection is refused.
TEST_F(MasterReloadTest, ManyReloadsLeaveNothingBehind) {
  Config config = BaseConfig(2);
  Start(config);
  UniqueFd held = Connect(port_);
  const pid_t holder = Ask(held.get()).pid;
  ASSERT_GT(holder, 0);
  const uint16_t other = FreePort();
  Random random(7);
  size_t masters = 0, workers = 0;
  const pid_t worker = PidOf("worker 0");
  const auto settle = [&] {
    config.workers = 2;
    config.listen = {Tcp(port_)};
    Reload(config);
    EXPECT_TRUE(WaitFor([&] { return Children().size() == 3 && !Connect(other).valid(); }));
  };
  for (int i = 0; i < 120; ++i) {
    config.workers = 1 + random.Below(4);
    config.listen = {Tcp(port_)};
    if (random.Below(2) == 0) config.listen.push_back(Tcp(other));
    SetConfig(config);
    Signal(SIGHUP);
    EXPECT_NE(AskFresh(port_).worker, -1);
    if (i == 59 || i == 119) {
      settle();
      // Growing to 4 workers gave the address its 32 sockets for good: compare after the first
      // half.
      if (i == 59) {
        masters = Descriptors(master_);
        workers = Descriptors(worker);
      }
    }
  }
  EXPECT_TRUE(WaitFor([&] {
    return Descriptors(master_) <= masters && Descriptors(worker) <= workers;
  })) << Descriptors(master_)
      << " was " << masters << ", worker " << Descriptors(worker) << " was " << workers;
  if (holder == worker) {
    EXPECT_NE(Ask(held.get()).worker, -1);
  }
  EXPECT_EQ(PidOf("worker 0"), worker);
  EXPECT_EQ(Log().find("[error]"), std::string::npos);
}

}  // namespace
}  // namespace ub
