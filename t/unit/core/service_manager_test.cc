#include "core/service_manager.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstddef>
#include <cstdlib>
#include <cstring>

namespace ub {
namespace {

class ServiceManagerTest : public testing::Test {
 protected:
  ~ServiceManagerTest() override {
    for (const char* name : {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"}) unsetenv(name);
  }
  void Listen() {
    const std::string address = "@ub-unit-" + std::to_string(getpid());
    sockaddr_un at{};
    at.sun_family = AF_UNIX;
    memcpy(at.sun_path, address.data(), address.size());
    at.sun_path[0] = '\0';
    fd_.Reset(socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    ASSERT_EQ(bind(fd_.get(), reinterpret_cast<const sockaddr*>(&at),
                   static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + address.size())),
              0);
    setenv("NOTIFY_SOCKET", address.c_str(), 1);
  }
  std::string Heard() {
    char text[512];
    const ssize_t got = recv(fd_.get(), text, sizeof(text), 0);
    return got < 0 ? "" : std::string(text, static_cast<size_t>(got));
  }
  UniqueFd fd_;
};

TEST_F(ServiceManagerTest, WithoutOneNothingIsSaid) {
  ServiceManager manager = ServiceManager::FromEnvironment();
  EXPECT_FALSE(manager.present());
  manager.Ready("serving");
  for (const char* address : {"", "relative", "vsock:2:1"}) {
    setenv("NOTIFY_SOCKET", address, 1);
    EXPECT_FALSE(ServiceManager::FromEnvironment().present()) << address;
  }
  setenv("NOTIFY_SOCKET", ("/" + std::string(200, 'x')).c_str(), 1);
  EXPECT_FALSE(ServiceManager::FromEnvironment().present());
}

TEST_F(ServiceManagerTest, MessagesAreAsSystemdReadsThem) {
  Listen();
  ServiceManager manager = ServiceManager::FromEnvironment();
  ASSERT_TRUE(manager.present());
  manager.Ready("two\nlines=1");
  EXPECT_EQ(Heard(), "READY=1\nMAINPID=" + std::to_string(getpid()) + "\nSTATUS=two lines=1");
  manager.Reloading();
  EXPECT_TRUE(Heard().starts_with("RELOADING=1\nMONOTONIC_USEC="));
  manager.Stopping("bye");
  EXPECT_EQ(Heard(), "STOPPING=1\nSTATUS=bye");
  manager.Alive();
  EXPECT_EQ(Heard(), "WATCHDOG=1");
  fd_.Reset();
  manager.Alive();  // it is gone: nothing happens
}

TEST_F(ServiceManagerTest, TheWatchdogIsAnsweredTwiceInItsTime) {
  Listen();
  EXPECT_EQ(ServiceManager::FromEnvironment().watchdog_ms(), 0u);
  setenv("WATCHDOG_USEC", "30000000", 1);
  EXPECT_EQ(ServiceManager::FromEnvironment().watchdog_ms(), 15'000u);
  setenv("WATCHDOG_PID", std::to_string(getpid()).c_str(), 1);
  EXPECT_EQ(ServiceManager::FromEnvironment().watchdog_ms(), 15'000u);
  setenv("WATCHDOG_PID", "1", 1);
  EXPECT_EQ(ServiceManager::FromEnvironment().watchdog_ms(), 0u) << "somebody else's";
}

}  // namespace
}  // namespace ub
