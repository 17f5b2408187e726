#include "core/status.h"

#include <gtest/gtest.h>

#include <cerrno>

namespace ub {
namespace {

TEST(StatusTest, OkIsTheDefault) {
  const Status status;
  EXPECT_TRUE(status.ok());
  EXPECT_EQ(status.ToString(), "ok");
  EXPECT_FALSE(status.retryable());
}

TEST(StatusTest, SystemNamesTheCallAndTheReason) {
  const Status status = Status::System("open /x", ENOENT);
  EXPECT_FALSE(status.ok());
  EXPECT_EQ(status.code(), StatusCode::kSystem);
  EXPECT_EQ(status.source(), StatusSource::kSystem);
  EXPECT_EQ(status.detail(), "open /x: No such file or directory");
}

TEST(StatusTest, TextNamesSourceKindAndDetail) {
  const Status status(StatusCode::kReset, StatusSource::kBackend, "10.0.0.1:80", true);
  EXPECT_EQ(status.ToString(), "backend reset: 10.0.0.1:80");
  EXPECT_TRUE(status.retryable());
}

TEST(StatusTest, EveryCodeAndSourceHasItsOwnName) {
  std::vector<std::string_view> seen;
  for (int code = 0; code <= static_cast<int>(StatusCode::kInternal); ++code) {
    const std::string_view name = StatusCodeName(static_cast<StatusCode>(code));
    EXPECT_NE(name, "unknown") << code;
    for (const std::string_view other : seen) EXPECT_NE(name, other);
    seen.push_back(name);
  }
  for (int source = 0; source <= static_cast<int>(StatusSource::kSystem); ++source) {
    EXPECT_NE(StatusSourceName(static_cast<StatusSource>(source)), "unknown") << source;
  }
}

TEST(StatusTest, ResultCarriesValueOrStatus) {
  const auto half = [](int n) -> Result<int> {
    if (n % 2 != 0) return Fail(Status::Config("odd"));
    return n / 2;
  };
  EXPECT_EQ(*half(4), 2);
  EXPECT_EQ(half(3).error().detail(), "odd");
}

}  // namespace
}  // namespace ub
