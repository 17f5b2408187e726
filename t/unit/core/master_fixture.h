// A real master in a process of its own, with small workers that speak its protocol: what the tests
// of the master, its reload and its control share.
//
// A worker answers every byte of a client with one line: "ID PID GENERATION CONNECTIONS\n", the
// last being the sum over all workers. The configuration's algorithm doubles as an order to
// misbehave ("fail-start", "refuse", "crash"), its reload is read from the file that SetConfig
// writes.
#ifndef UB_UNIT_CORE_MASTER_FIXTURE_H_
#define UB_UNIT_CORE_MASTER_FIXTURE_H_

#include <gtest/gtest.h>
#include <sys/types.h>

#include <functional>
#include <string>
#include <vector>

#include "core/config.h"
#include "core/unique_fd.h"

namespace ub {

struct Answer {
  int worker = -1;
  pid_t pid = 0;
  uint64_t generation = 0;
  uint32_t connections = 0;
};

class MasterTest : public testing::Test {
 protected:
  static constexpr int kWaitMs = 15'000;

  void SetUp() override;
  void TearDown() override;  // kills what a failed test left

  // Config with one TCP address, `workers` workers, pid file and log in the test's directory.
  Config BaseConfig(uint32_t workers);
  void SetConfig(const Config& config);    // what the next reload reads
  void SetBroken(const std::string& why);  // the next reload fails with this line
  // Forks the master and waits until it serves. `daemon`: as its command would, in the background.
  void Start(const Config& config);
  // Forks the master and does not wait; standard error goes to Output().
  pid_t Launch(const Config& config, bool daemon = false, const std::string& default_pid_file = "");
  void Signal(int number);
  void Reload(const Config& config);  // SetConfig, HUP, wait until every process works by it

  // Exit status of the master (waits); 1000 + signal when it was killed; -1 when it does not leave.
  int WaitExit(int ms = kWaitMs);
  int WaitPid(pid_t pid, int ms = kWaitMs);
  std::string Log() const;
  std::string Output() const;  // what the master's process wrote to standard error
  bool WaitLog(const std::string& text, int ms = kWaitMs) const;
  static bool WaitFor(const std::function<bool()>& condition, int ms = kWaitMs);
  pid_t PidOf(const std::string& role) const;  // "worker 0": as the log told last
  std::vector<pid_t> Children() const;         // of the master
  static bool Alive(pid_t pid);
  static uint16_t FreePort();
  static ListenConfig Tcp(uint16_t port);

  // A connection; -1 inside when refused.
  UniqueFd Connect(uint16_t port) const;
  UniqueFd ConnectUnix(const std::string& path) const;
  // One question on a connection; worker -1: no answer (closed, reset, timeout).
  static Answer Ask(int fd, int ms = 5000);
  // A fresh connection and one question.
  Answer AskFresh(uint16_t port) const { return Ask(Connect(port).get()); }

  std::string directory_;
  uint16_t port_ = 0;
  pid_t master_ = 0;
};

}  // namespace ub

#endif  // UB_UNIT_CORE_MASTER_FIXTURE_H_
