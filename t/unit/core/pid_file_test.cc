#include "core/pid_file.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace ub {
namespace {

class PidFileTest : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/ub-pid-XXXXXX";
    ASSERT_NE(mkdtemp(name), nullptr);
    directory_ = name;
    path_ = directory_ + "/pid";
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }
  // A process that holds the file; it says so through the pipe and waits.
  pid_t ForkHolder(UniqueFd* go) {
    int said[2], stay[2];
    EXPECT_EQ(pipe(said) | pipe(stay), 0);
    const pid_t pid = fork();
    if (pid == 0) {
      close(stay[1]);
      auto file = PidFile::Create(path_);
      char byte = file ? 'y' : 'n';
      if (write(said[1], &byte, 1) != 1) _exit(2);
      // A child of the holder: the lock must not live on in it.
      if (fork() == 0) {
        close(said[1]);
        if (read(stay[0], &byte, 1) < 0) _exit(3);
        _exit(0);
      }
      if (read(stay[0], &byte, 1) < 0) _exit(3);
      _exit(0);
    }
    close(said[1]);
    close(stay[0]);
    char byte = 0;
    EXPECT_EQ(read(said[0], &byte, 1), 1);
    EXPECT_EQ(byte, 'y');
    close(said[0]);
    go->Reset(stay[1]);
    return pid;
  }
  std::string directory_, path_;
};

TEST_F(PidFileTest, HoldsThePidAndGoesAway) {
  Result<PidFile> file = PidFile::Create(path_);
  ASSERT_TRUE(file);
  long pid = 0;
  std::ifstream(path_) >> pid;
  EXPECT_EQ(pid, getpid());
  file->Remove();
  EXPECT_FALSE(std::filesystem::exists(path_));
}

TEST_F(PidFileTest, ASecondHolderIsToldOfTheFirst) {
  UniqueFd go;
  const pid_t holder = ForkHolder(&go);
  Result<PidFile> second = PidFile::Create(path_);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code(), StatusCode::kExists);
  EXPECT_NE(second.error().detail().find("pid " + std::to_string(holder)), std::string::npos)
      << second.error().detail();
  EXPECT_EQ(*ReadPidFile(path_), holder);
  go.Reset();
  waitpid(holder, nullptr, 0);
}

TEST_F(PidFileTest, AKilledHolderLeavesNoLockThoughItsChildLives) {
  UniqueFd go;
  const pid_t holder = ForkHolder(&go);
  kill(holder, SIGKILL);
  waitpid(holder, nullptr, 0);
  Result<pid_t> read = ReadPidFile(path_);
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code(), StatusCode::kNotFound);
  EXPECT_TRUE(PidFile::Create(path_));
  go.Reset();  // lets the grandchild go
}

TEST_F(PidFileTest, LongerOldTextIsReplaced) {
  std::ofstream(path_) << "123456789012345\njunk\n";
  Result<PidFile> file = PidFile::Create(path_);
  ASSERT_TRUE(file);
  std::ifstream in(path_);
  std::string text((std::istreambuf_iterator<char>(in)), {});
  EXPECT_EQ(text, std::to_string(getpid()) + "\n");
}

TEST_F(PidFileTest, MissingFileOrDirectoryIsSaid) {
  EXPECT_EQ(ReadPidFile(path_).error().code(), StatusCode::kNotFound);
  Result<PidFile> file = PidFile::Create(directory_ + "/no/such/pid");
  ASSERT_FALSE(file);
  EXPECT_EQ(file.error().code(), StatusCode::kSystem);
  EXPECT_NE(file.error().detail().find("/no/such/pid"), std::string::npos);
}

}  // namespace
}  // namespace ub
