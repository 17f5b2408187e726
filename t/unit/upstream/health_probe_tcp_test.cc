#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <string>

#include "core/unique_fd.h"
#include "loop_fixture.h"
#include "upstream/health_probe.h"

namespace ub {
namespace {

class TcpProbeTest : public testing::Test, public ProbeHandler {
 protected:
  void OnProbeDone(bool success, std::string_view reason) override {
    ++calls_;
    success_ = success;
    reason_ = reason;
  }

  UniqueFd Listen(int backlog) {
    UniqueFd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    address_.sin_family = AF_INET;
    address_.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(bind(fd.get(), reinterpret_cast<sockaddr*>(&address_), sizeof address_), 0);
    socklen_t bytes = sizeof address_;
    EXPECT_EQ(getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address_), &bytes), 0);
    EXPECT_TRUE(backlog < 0 || listen(fd.get(), backlog) == 0);
    return fd;
  }
  ProbeTarget Target() const {
    return {reinterpret_cast<const sockaddr*>(&address_), sizeof address_, "127.0.0.1:1"};
  }
  // Runs one probe to its end.
  void Probe(const ProbeTarget& target) {
    auto probe = TcpProbeFactory().Make(loop_.get(), config_, BackendProtocol::kHttp1, this);
    probe->Start(target);
    EXPECT_TRUE(RunUntil(*loop_, [&] { return calls_ > 0; }));
    RunTurns(*loop_);
    EXPECT_EQ(calls_, 1) << "exactly once";
    loop_->Retire(std::move(probe));
    RunTurns(*loop_);
    EXPECT_EQ(calls_, 1);
  }

  std::unique_ptr<EventLoop> loop_ = MakeLoop();
  HealthCheckConfig config_;
  sockaddr_in address_{};
  int calls_ = 0;
  bool success_ = false;
  std::string reason_;
};

TEST_F(TcpProbeTest, AConnectionIsEnoughAndIsClosed) {
  const UniqueFd listener = Listen(8);
  Probe(Target());
  EXPECT_TRUE(success_);
  const UniqueFd accepted(accept(listener.get(), nullptr, nullptr));
  char byte;
  EXPECT_EQ(read(accepted.get(), &byte, 1), 0) << "ended, without a byte";
}

TEST_F(TcpProbeTest, ARefusalFailsWithItsReason) {
  const UniqueFd bound = Listen(-1);  // nobody listens
  Probe(Target());
  EXPECT_FALSE(success_);
  EXPECT_NE(reason_.find("refused"), std::string::npos) << reason_;
}

TEST_F(TcpProbeTest, NoAnswerFailsInTime) {
  const UniqueFd listener = Listen(0);
  // The queue takes one or two; the next is not answered.
  std::vector<UniqueFd> fillers;
  for (int n = 0; n < 4; ++n) {
    fillers.emplace_back(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    (void)connect(fillers.back().get(), reinterpret_cast<sockaddr*>(&address_), sizeof address_);
  }
  config_.timeout_ms = 50;
  Probe(Target());
  EXPECT_FALSE(success_);
  EXPECT_NE(reason_.find("in time"), std::string::npos) << reason_;
}

TEST_F(TcpProbeTest, UnixSockets) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  // An abstract name: nothing is left in the file system.
  snprintf(address.sun_path + 1, sizeof address.sun_path - 1, "ub-probe-test-%d", getpid());
  const UniqueFd listener(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const ProbeTarget target{reinterpret_cast<const sockaddr*>(&address), sizeof address, "unix:"};
  ASSERT_EQ(bind(listener.get(), target.address, target.bytes), 0);
  Probe(target);
  EXPECT_FALSE(success_) << "bound, but nobody listens";
  calls_ = 0;
  ASSERT_EQ(listen(listener.get(), 4), 0);
  Probe(target);
  EXPECT_TRUE(success_);
}

TEST_F(TcpProbeTest, OneThatIsGivenUpSaysNothing) {
  const UniqueFd listener = Listen(8);
  {
    auto probe = TcpProbeFactory().Make(loop_.get(), config_, BackendProtocol::kHttp1, this);
    probe->Start(Target());
  }
  RunTurns(*loop_, 10);
  EXPECT_EQ(calls_, 0);
}

TEST_F(TcpProbeTest, AnAddressThatCannotBeReachedAtAllFails) {
  address_.sin_family = AF_INET;
  address_.sin_addr.s_addr = htonl(INADDR_BROADCAST);
  address_.sin_port = htons(1);
  Probe(Target());
  EXPECT_FALSE(success_);
  EXPECT_FALSE(reason_.empty());
}

}  // namespace
}  // namespace ub
