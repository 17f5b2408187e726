#include "core/atomic_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>

#include "config_fixture.h"

namespace ub {
namespace {

class AtomicFile : public testing::Test {
 protected:
  ConfigDirectory directory_;
  const std::string path_ = directory_.Path("file");
};

TEST_F(AtomicFile, ReplacesTheWholeAndLeavesNothingBeside) {
  ASSERT_TRUE(ReplaceFile(path_, "a longer text", 0600).ok());
  ASSERT_TRUE(ReplaceFile(path_, "short", 0600, false).ok());
  EXPECT_EQ(ReadSmallFile(path_, 100).value_or("?"), "short");
  struct stat info {};
  ASSERT_EQ(stat(path_.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  EXPECT_FALSE(std::filesystem::exists(path_ + ".new"));
}

TEST_F(AtomicFile, WhatCannotBeReplacedStaysAndLeavesNothingBeside) {
  std::filesystem::create_directories(path_ + "/in it");
  EXPECT_FALSE(ReplaceFile(path_, "text").ok());
  EXPECT_TRUE(std::filesystem::exists(path_ + "/in it"));
  EXPECT_FALSE(std::filesystem::exists(path_ + ".new"));
  EXPECT_FALSE(ReplaceFile(directory_.Path("none/file"), "text").ok());
}

TEST_F(AtomicFile, ReadsNoMoreThanAllowed) {
  directory_.Write("file", std::string(40000, 'x'));
  EXPECT_EQ(ReadSmallFile(path_, 40000).value_or("").size(), 40000u);
  const auto large = ReadSmallFile(path_, 39999);
  ASSERT_FALSE(large);
  EXPECT_EQ(large.error().code(), StatusCode::kTooLarge);
  EXPECT_EQ(large.error().detail(), path_ + " is too large (at most 39999 bytes)");
}

TEST_F(AtomicFile, TellsWhatIsNotThereFromWhatCannotBeRead) {
  const auto none = ReadSmallFile(directory_.Path("none"), 100);
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code(), StatusCode::kNotFound);
  EXPECT_EQ(none.error().detail(), "cannot read " + directory_.Path("none") + ": No such file or directory");
  const auto folder = ReadSmallFile(directory_.Path(""), 100);
  ASSERT_FALSE(folder);
  EXPECT_EQ(folder.error().code(), StatusCode::kSystem);
}

TEST_F(AtomicFile, AFifoWithoutAWriterIsEmpty) {
  ASSERT_EQ(mkfifo(path_.c_str(), 0600), 0);
  EXPECT_EQ(ReadSmallFile(path_, 100).value_or("?"), "");
}

}  // namespace
}  // namespace ub
