#include "core/log.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <regex>
#include <sstream>
#include <string>

#include "core/unique_fd.h"

namespace ub {
namespace {

class LogTest : public testing::Test {
 protected:
  LogTest() : fd_(memfd_create("log", MFD_CLOEXEC)) {
    fcntl(fd_.get(), F_SETFL, O_APPEND);
    SetLogFd(fd_.get());
    SetLogRole("test");
  }
  ~LogTest() override {
    SetLogFd(2);
    SetLogLevel(LogLevel::kInfo);
    SetLogRole("main");
  }
  std::string Text() const {
    std::string text(static_cast<size_t>(lseek(fd_.get(), 0, SEEK_END)), '\0');
    EXPECT_EQ(pread(fd_.get(), text.data(), text.size(), 0), static_cast<ssize_t>(text.size()));
    return text;
  }
  UniqueFd fd_;
};

TEST_F(LogTest, LineHasTimeLevelPidRoleAndText) {
  Log(LogLevel::kWarn, "backend {} is {}", "a:80", "down");
  const std::regex form(R"(\d{4}/\d\d/\d\d \d\d:\d\d:\d\d\.\d{3} \[warn\] )" +
                        std::to_string(getpid()) + "#test: backend a:80 is down\n");
  EXPECT_TRUE(std::regex_match(Text(), form)) << Text();
}

TEST_F(LogTest, LinesBelowTheLevelAreDropped) {
  SetLogLevel(LogLevel::kError);
  Log(LogLevel::kWarn, "no");
  EXPECT_EQ(Text(), "");
  Log(LogLevel::kError, "yes");
  EXPECT_NE(Text().find("yes"), std::string::npos);
}

TEST_F(LogTest, ControlCharactersCannotForgeALine) {
  Log(LogLevel::kError, "{}", "a\nb\x1b[31mc");
  const std::string text = Text();
  EXPECT_NE(text.find("a\\x0ab\\x1b[31mc"), std::string::npos) << text;
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1);
}

TEST_F(LogTest, ALongLineIsCutAndStillEnds) {
  Log(LogLevel::kError, "{}", std::string(100'000, 'x'));
  const std::string text = Text();
  EXPECT_LE(text.size(), 4096u);
  EXPECT_TRUE(text.ends_with("...\n"));
}

TEST_F(LogTest, LinesOfSeveralProcessesDoNotTear) {
  pid_t pids[4];
  for (int p = 0; p < 4; ++p) {
    pids[p] = fork();
    if (pids[p] == 0) {
      for (int i = 0; i < 500; ++i)
        Log(LogLevel::kInfo, "<{}>", std::string(200, static_cast<char>('a' + p)));
      _exit(0);
    }
  }
  for (const pid_t pid : pids) waitpid(pid, nullptr, 0);
  std::istringstream lines(Text());
  const std::regex whole(R"([^<]*<(a{200}|b{200}|c{200}|d{200})>)");
  std::string line;
  int count = 0;
  for (; std::getline(lines, line); ++count) ASSERT_TRUE(std::regex_match(line, whole)) << line;
  EXPECT_EQ(count, 2000);
}

TEST_F(LogTest, AFullDiskCostsLinesAndSaysHowMany) {
  const UniqueFd full(open("/dev/full", O_WRONLY | O_CLOEXEC));
  ASSERT_TRUE(full.valid());
  const UniqueFd said(memfd_create("stderr", MFD_CLOEXEC));
  const UniqueFd stderr_copy(dup(2));
  dup2(said.get(), 2);
  SetLogFd(full.get());
  Log(LogLevel::kError, "one");
  Log(LogLevel::kError, "two");
  dup2(stderr_copy.get(), 2);
  SetLogFd(fd_.get());
  Log(LogLevel::kError, "three");
  Log(LogLevel::kError, "four");
  const std::string text = Text();
  const size_t lost = text.find("2 lines of the log were lost here\n");
  ASSERT_NE(lost, std::string::npos) << text;
  EXPECT_GT(text.find("three\n"), lost);
  EXPECT_NE(text.find("four\n"), std::string::npos);
  EXPECT_EQ(text.find("lost", lost + 34), std::string::npos) << "said once";
  std::string line(4096, '\0');
  line.resize(static_cast<size_t>(pread(said.get(), line.data(), line.size(), 0)));
  EXPECT_NE(line.find("cannot write its log: No space left on device"), std::string::npos) << line;
  EXPECT_EQ(std::count(line.begin(), line.end(), '\n'), 1) << "said once";
}

}  // namespace
}  // namespace ub
