#include "core/client_places.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <string>
#include <vector>

namespace ub {
namespace {

std::string Ipv4(uint32_t n) {
  return {static_cast<char>(10), static_cast<char>(n >> 16), static_cast<char>(n >> 8), static_cast<char>(n)};
}

class ClientPlacesTest : public testing::Test {
 protected:
  ClientPlacesTest() {
    ShmLimits limits;
    limits.processes = 8;
    limits.backends = 4;
    Result<ShmSegment> made = ShmSegment::Create(limits);
    shm_.emplace(std::move(*made));
    for (uint32_t& row : rows_) row = shm_->TakeRow(ChildKind::kWorker, 0);
  }
  std::optional<ShmSegment> shm_;
  uint32_t rows_[4];
};

TEST_F(ClientPlacesTest, TheLimitHoldsOverProcesses) {
  const ClientPlaces a(*shm_, rows_[0]), b(*shm_, rows_[1]);
  const uint64_t key = a.Key(Ipv4(1));
  EXPECT_EQ(key, b.Key(Ipv4(1))) << "every process counts alike";
  EXPECT_TRUE(a.Take(key, 3));
  EXPECT_TRUE(b.Take(key, 3));
  EXPECT_TRUE(b.Take(key, 3));
  EXPECT_FALSE(a.Take(key, 3));
  EXPECT_FALSE(b.Take(key, 3));
  EXPECT_EQ(a.Count(key), 3u);
  EXPECT_TRUE(a.Take(a.Key(Ipv4(2)), 3)) << "another client";
  b.Give(key);
  EXPECT_TRUE(a.Take(key, 3));
}

TEST_F(ClientPlacesTest, Ipv6CountsBySubscriber) {
  const ClientPlaces places(*shm_, rows_[0]);
  const std::string net("\x20\x01\x0d\xb8\0\0\0\1", 8);
  const uint64_t key = places.Key(net + std::string(8, '\0'));
  EXPECT_EQ(key, places.Key(net + std::string(8, '\x7f')));
  EXPECT_NE(key, places.Key(std::string("\x20\x01\x0d\xb8\0\0\0\2", 8) + std::string(8, '\0')));
}

TEST_F(ClientPlacesTest, WhatADeadProcessHeldIsFree) {
  const ClientPlaces places(*shm_, rows_[0]);
  const uint64_t key = places.Key(Ipv4(1));
  const pid_t pid = fork();
  if (pid == 0) {
    const ClientPlaces child(*shm_, rows_[1]);
    while (child.Take(key, 1000)) {
    }
    raise(SIGKILL);
  }
  waitpid(pid, nullptr, 0);
  EXPECT_FALSE(places.Take(key, 1000));
  shm_->ReleaseRow(rows_[1]);
  EXPECT_EQ(places.Count(key), 0u);
  EXPECT_TRUE(places.Take(key, 1));
  const uint32_t again = shm_->TakeRow(ChildKind::kWorker, 0);
  EXPECT_EQ(again, rows_[1]);
  EXPECT_EQ(places.Count(key), 1u) << "the row's next owner begins with nothing";
}

TEST_F(ClientPlacesTest, OthersAtTheirLimitsDoNotGetAClientRefused) {
  const ClientPlaces places(*shm_, rows_[0]);
  constexpr uint32_t kLimit = 10;
  for (uint32_t n = 0; n < 1000; ++n) {
    const uint64_t key = places.Key(Ipv4(n));
    for (uint32_t i = 0; i < kLimit; ++i) static_cast<void>(places.Take(key, kLimit));
    ASSERT_GE(places.Count(key), kLimit);
  }
  uint32_t refused = 0;
  for (uint32_t n = 1000; n < 11'000; ++n) {
    const uint64_t key = places.Key(Ipv4(n));
    if (!places.Take(key, kLimit)) {
      ++refused;
    } else {
      places.Give(key);
    }
  }
  EXPECT_LE(refused, 15u) << "two are to be expected";
}

TEST_F(ClientPlacesTest, CompetingProcessesNeverExceedTheLimitAndNeverLeaveAPlaceUnused) {
  constexpr uint32_t kLimit = 5;
  constexpr int kRounds = 20'000;
  struct Shared {
    std::atomic<int> inside{0}, most{0}, taken{0};
  };
  auto* shared = new (mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0)) Shared;
  std::vector<pid_t> children;
  for (const uint32_t row : rows_) {
    const pid_t pid = fork();
    if (pid == 0) {
      const ClientPlaces places(*shm_, row);
      const uint64_t key = places.Key(Ipv4(7));
      for (int i = 0; i < kRounds; ++i) {
        int held = 0;
        while (held < 3 && places.Take(key, kLimit)) {
          ++held;
          const int inside = shared->inside.fetch_add(1) + 1;
          int most = shared->most.load();
          while (most < inside && !shared->most.compare_exchange_weak(most, inside)) {
          }
        }
        shared->taken += held;
        for (; held > 0; --held) {
          shared->inside.fetch_sub(1);
          places.Give(key);
        }
      }
      _exit(0);
    }
    children.push_back(pid);
  }
  for (const pid_t pid : children) {
    int status = 0;
    waitpid(pid, &status, 0);
    EXPECT_EQ(status, 0);
  }
  EXPECT_LE(shared->most.load(), static_cast<int>(kLimit));
  EXPECT_GT(shared->taken.load(), kRounds);
  const ClientPlaces places(*shm_, rows_[0]);
  EXPECT_EQ(places.Count(places.Key(Ipv4(7))), 0u);
  munmap(shared, sizeof(Shared));
}

}  // namespace
}  // namespace ub
