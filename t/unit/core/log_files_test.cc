#include "core/log_files.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "core/log.h"

namespace ub {
namespace {

class LogFilesTest : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/ub-logs-XXXXXX";
    ASSERT_NE(mkdtemp(name), nullptr);
    directory_ = name;
    logging_.file = directory_ + "/error.log";
    logging_.access_log = directory_ + "/access.log";
  }
  void TearDown() override {
    SetLogFd(2);
    std::filesystem::remove_all(directory_);
  }
  static std::string Text(const std::string& path) {
    std::ifstream in(path);
    return std::string((std::istreambuf_iterator<char>(in)), {});
  }
  std::string directory_;
  LoggingConfig logging_;
};

TEST_F(LogFilesTest, APipeWithoutAReaderIsAnError) {
  const std::string pipe = directory_ + "/pipe";
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  logging_.file = pipe;
  EXPECT_FALSE(LogFiles::Open(logging_));
  const UniqueFd reader(open(pipe.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  Result<LogFiles> files = LogFiles::Open(logging_);
  ASSERT_TRUE(files);
  EXPECT_EQ(fcntl(files->error_fd(), F_GETFL) & O_NONBLOCK, 0) << "no line is lost to a slow reader";
}

TEST_F(LogFilesTest, OpensWhatIsConfigured) {
  Result<LogFiles> files = LogFiles::Open(logging_);
  ASSERT_TRUE(files);
  EXPECT_GE(files->error_fd(), 0);
  EXPECT_GE(files->access_fd(), 0);
  logging_.access_log = "off";
  logging_.file = "stderr";
  files = LogFiles::Open(logging_);
  ASSERT_TRUE(files);
  EXPECT_GT(files->error_fd(), 2);  // a copy: reopening never touches the real one
  EXPECT_EQ(files->access_fd(), -1);
}

// Lines tell who asked for what: not everybody's to read.
TEST_F(LogFilesTest, BothAreClosedToOthers) {
  const mode_t before = umask(0);
  Result<LogFiles> files = LogFiles::Open(logging_);
  umask(before);
  ASSERT_TRUE(files);
  for (const std::string& path : {logging_.file, logging_.access_log}) {
    struct stat info {};
    ASSERT_EQ(stat(path.c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777, 0640U) << path;
  }
}

TEST_F(LogFilesTest, MissingDirectoryNamesTheFile) {
  logging_.access_log = directory_ + "/no/access.log";
  Result<LogFiles> files = LogFiles::Open(logging_);
  ASSERT_FALSE(files);
  EXPECT_NE(files.error().detail().find("/no/access.log"), std::string::npos);
}

// Rotation as logrotate does it: rename, then reopen. The descriptor's number stays.
TEST_F(LogFilesTest, ReplacingKeepsTheDescriptor) {
  LogFiles logs;
  logs.Replace(std::move(*LogFiles::Open(logging_)));
  const int fd = logs.error_fd();
  EXPECT_EQ(LogFd(), fd);
  Log(LogLevel::kError, "before");
  std::filesystem::rename(logging_.file, logging_.file + ".1");
  Log(LogLevel::kError, "between");
  logs.Replace(std::move(*LogFiles::Open(logging_)));
  Log(LogLevel::kError, "after");
  EXPECT_EQ(logs.error_fd(), fd);
  const std::string old = Text(logging_.file + ".1");
  EXPECT_NE(old.find("before"), std::string::npos);
  EXPECT_NE(old.find("between"), std::string::npos);
  EXPECT_EQ(old.find("after"), std::string::npos);
  EXPECT_NE(Text(logging_.file).find("after"), std::string::npos);
}

TEST_F(LogFilesTest, AChildTakesBothOverItsOwn) {
  LogFiles masters;
  masters.Replace(std::move(*LogFiles::Open(logging_)));
  Result<Message> message = masters.ReopenMessage();
  ASSERT_TRUE(message);
  ASSERT_EQ(message->fds.size(), 2u);
  const std::string other = directory_ + "/child.log";
  UniqueFd childs(creat(other.c_str(), 0644));
  SetLogFd(childs.get());
  int access = -1;
  TakeReopenedLogs(std::move(*message), &access);
  EXPECT_GE(access, 0);
  Log(LogLevel::kError, "from the child");
  EXPECT_EQ(Text(other), "");
  EXPECT_NE(Text(logging_.file).find("from the child"), std::string::npos);
  EXPECT_EQ(write(access, "line\n", 5), 5);
  EXPECT_EQ(Text(logging_.access_log), "line\n");
  close(access);
}

TEST_F(LogFilesTest, AChildClosesAnAccessLogThatWasTurnedOff) {
  logging_.access_log = "off";
  LogFiles masters;
  masters.Replace(std::move(*LogFiles::Open(logging_)));
  EXPECT_EQ(masters.access_fd(), -1);
  Result<Message> message = masters.ReopenMessage();
  ASSERT_TRUE(message);
  int access = open("/dev/null", O_WRONLY | O_CLOEXEC);
  const int before = access;
  TakeReopenedLogs(std::move(*message), &access);
  EXPECT_EQ(access, -1);
  EXPECT_EQ(fcntl(before, F_GETFD), -1);
}

// Whoever writes it serves others meanwhile: nothing about it may block.
TEST_F(LogFilesTest, AccessLogToAPipeDoesNotBlock) {
  logging_.access_log = directory_ + "/pipe";
  ASSERT_EQ(mkfifo(logging_.access_log.c_str(), 0600), 0);
  Result<LogFiles> nobody_reads = LogFiles::Open(logging_);
  ASSERT_FALSE(nobody_reads);
  EXPECT_NE(nobody_reads.error().detail().find("/pipe"), std::string::npos);
  const UniqueFd reader(open(logging_.access_log.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  Result<LogFiles> files = LogFiles::Open(logging_);
  ASSERT_TRUE(files);
  EXPECT_NE(fcntl(files->access_fd(), F_GETFL) & O_NONBLOCK, 0);
}

// The flag must not reach whoever else holds our standard output.
TEST_F(LogFilesTest, StandardOutputIsOpenedAnewWhereItIsAPipe) {
  int fds[2];
  ASSERT_EQ(pipe2(fds, O_CLOEXEC), 0);
  const UniqueFd reader(fds[0]), saved(dup(1));
  dup2(fds[1], 1);
  close(fds[1]);
  logging_.access_log = "stdout";
  Result<LogFiles> files = LogFiles::Open(logging_);
  const int shared = fcntl(1, F_GETFL);
  dup2(saved.get(), 1);
  ASSERT_TRUE(files);
  EXPECT_EQ(shared & O_NONBLOCK, 0);
  EXPECT_NE(fcntl(files->access_fd(), F_GETFL) & O_NONBLOCK, 0);
}

}  // namespace
}  // namespace ub
