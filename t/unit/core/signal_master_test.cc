#include "core/signal_master.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/master.h"
#include "unit/core/master_fixture.h"

namespace ub {
namespace {

using ControlTest = MasterTest;

TEST_F(ControlTest, NamesOfSignals) {
  EXPECT_EQ(*ParseMasterSignal("reload"), MasterSignal::kReload);
  EXPECT_EQ(*ParseMasterSignal("quit"), MasterSignal::kQuit);
  EXPECT_EQ(*ParseMasterSignal("stop"), MasterSignal::kStop);
  EXPECT_EQ(*ParseMasterSignal("reopen"), MasterSignal::kReopen);
  EXPECT_EQ(ParseMasterSignal("restart").error().code(), StatusCode::kInvalid);
}

TEST_F(ControlTest, NobodyRuns) {
  EXPECT_EQ(SignalMaster(directory_ + "/pid", MasterSignal::kReload).code(), StatusCode::kNotFound);
}

// The master is this test's child here, so somebody must bury it while the signal waits.
TEST_F(ControlTest, QuitReturnsWhenTheServerIsGone) {
  Config config = BaseConfig(1);
  Start(config);
  UniqueFd held = Connect(port_);
  ASSERT_NE(Ask(held.get()).worker, -1);
  const pid_t client = fork();
  if (client == 0) {
    poll(nullptr, 0, 300);  // the drain lasts as long as this client stays
    _exit(Ask(held.get()).worker == -1 ? 1 : 0);
  }
  held.Reset();
  const uint64_t begin = MonotonicMs();
  EXPECT_TRUE(SignalMaster(config.pid_file, MasterSignal::kQuit).ok());
  EXPECT_GE(MonotonicMs() - begin, 250u);
  EXPECT_FALSE(Alive(master_));
  EXPECT_EQ(WaitPid(client), 0);
  EXPECT_EQ(WaitExit(), 0);
}

TEST_F(ControlTest, StopReturnsWithinASecond) {
  Config config = BaseConfig(2);
  Start(config);
  const uint64_t begin = MonotonicMs();
  EXPECT_TRUE(SignalMaster(config.pid_file, MasterSignal::kStop).ok());
  EXPECT_LT(MonotonicMs() - begin, 1000u);
  EXPECT_EQ(WaitExit(), 0);
}

TEST_F(ControlTest, ReopenReachesTheMaster) {
  Config config = BaseConfig(1);
  Start(config);
  EXPECT_TRUE(SignalMaster(config.pid_file, MasterSignal::kReopen).ok());
  EXPECT_TRUE(WaitLog("logs reopened"));
}

TEST_F(ControlTest, AMasterThatDiesWhileReloadingIsSaid) {
  Config config = BaseConfig(1);
  Start(config);
  Signal(SIGSTOP);
  const pid_t killer = fork();
  if (killer == 0) {
    poll(nullptr, 0, 100);
    kill(master_, SIGKILL);
    _exit(0);
  }
  EXPECT_EQ(SignalMaster(config.pid_file, MasterSignal::kReload).code(), StatusCode::kClosed);
  EXPECT_EQ(WaitPid(killer), 0);
}

TEST_F(ControlTest, AReloadWithoutOutcomeTimesOut) {
  Config config = BaseConfig(1);
  Start(config);
  Signal(SIGSTOP);
  EXPECT_EQ(SignalMaster(config.pid_file, MasterSignal::kReload, 100).code(), StatusCode::kTimeout);
  Signal(SIGCONT);
}

}  // namespace
}  // namespace ub
