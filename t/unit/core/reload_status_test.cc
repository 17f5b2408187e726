#include "core/reload_status.h"

#include <gtest/gtest.h>

#include <filesystem>

namespace ub {
namespace {

class ReloadStatusTest : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/ub-status-XXXXXX";
    ASSERT_NE(mkdtemp(name), nullptr);
    directory_ = name;
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }
  std::string directory_;
};

TEST_F(ReloadStatusTest, ComesBackAsWritten) {
  const std::string path = ReloadStatusPath(directory_ + "/pid");
  EXPECT_EQ(path, directory_ + "/pid.status");
  ReloadStatus status;
  status.pid = 4711;
  status.sequence = 12;
  status.generation = 9;
  status.ok = false;
  status.errors = {"a.yaml:1:2: bad", "two\nlines"};
  status.warnings = {"user: a change takes a restart"};
  ASSERT_TRUE(WriteReloadStatus(path, status).ok());
  Result<ReloadStatus> back = ReadReloadStatus(path);
  ASSERT_TRUE(back);
  EXPECT_EQ(back->pid, 4711);
  EXPECT_EQ(back->sequence, 12u);
  EXPECT_EQ(back->generation, 9u);
  EXPECT_TRUE(back->done);
  EXPECT_FALSE(back->ok);
  EXPECT_EQ(back->errors, (std::vector<std::string>{"a.yaml:1:2: bad", "two lines"}));
  EXPECT_EQ(back->warnings, std::vector<std::string>{"user: a change takes a restart"});
  status.done = false;
  status.errors.clear();
  ASSERT_TRUE(WriteReloadStatus(path, status).ok());
  EXPECT_FALSE(ReadReloadStatus(path)->done);
  EXPECT_FALSE(std::filesystem::exists(path + ".new"));
}

TEST_F(ReloadStatusTest, FailuresAreSaid) {
  EXPECT_EQ(ReadReloadStatus(directory_ + "/none").error().code(), StatusCode::kNotFound);
  EXPECT_FALSE(WriteReloadStatus(directory_ + "/no/dir", ReloadStatus{}).ok());
}

}  // namespace
}  // namespace ub
