#include "core/sealed_memfd.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

namespace ub {
namespace {

TEST(SealedMemfdTest, TextComesBack) {
  for (const std::string& text :
       {std::string(), std::string("workers: 4\n"), std::string(1'000'000, 'z')}) {
    Result<UniqueFd> fd = MakeSealedMemfd("test", text);
    ASSERT_TRUE(fd);
    for (int i = 0; i < 2; ++i) {  // every child reads it from the beginning
      Result<std::string> back = ReadSealedMemfd(fd->get());
      ASSERT_TRUE(back);
      EXPECT_EQ(*back, text);
    }
  }
}

TEST(SealedMemfdTest, NobodyCanChangeIt) {
  Result<UniqueFd> fd = MakeSealedMemfd("test", "abc");
  ASSERT_TRUE(fd);
  EXPECT_LT(pwrite(fd->get(), "x", 1, 0), 0);
  EXPECT_NE(ftruncate(fd->get(), 0), 0);
  EXPECT_EQ(mmap(nullptr, 3, PROT_READ | PROT_WRITE, MAP_SHARED, fd->get(), 0), MAP_FAILED);
}

TEST(SealedMemfdTest, WhatIsTooLargeIsNotRead) {
  Result<UniqueFd> fd = MakeSealedMemfd("test", "12345");
  ASSERT_TRUE(fd);
  EXPECT_EQ(ReadSealedMemfd(fd->get(), 4).error().code(), StatusCode::kTooLarge);
  EXPECT_EQ(ReadSealedMemfd(fd->get(), 5).value(), "12345");
}

TEST(SealedMemfdTest, UnsealedIsRefused) {
  UniqueFd fd(memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  EXPECT_EQ(ReadSealedMemfd(fd.get()).error().code(), StatusCode::kProtocol);
}

}  // namespace
}  // namespace ub
