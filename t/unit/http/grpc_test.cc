#include "http/grpc.h"

#include <gtest/gtest.h>

#include "http/health_probe_http2.h"

namespace ub {
namespace {

HeaderList One(std::string_view name, std::string_view value) { return {{name, value, HeaderIdOf(name), false}}; }

TEST(Grpc, ContentTypesAndCodes) {
  for (const char* type : {"application/grpc", "application/grpc+proto", "application/grpc;x=y", "Application/GRPC"}) {
    EXPECT_TRUE(IsGrpc(type)) << type;
  }
  for (const char* type : {"", "application/grpc-web", "application/json"}) EXPECT_FALSE(IsGrpc(type)) << type;
  EXPECT_EQ(GrpcStatusOf(502), 14u);
  EXPECT_EQ(GrpcStatusOf(503), 14u);
  EXPECT_EQ(GrpcStatusOf(504), 4u);
  EXPECT_EQ(GrpcStatusOf(429), 8u);
  EXPECT_EQ(GrpcStatusOf(418), 2u);
}

TEST(Grpc, Timeouts) {
  EXPECT_EQ(GrpcTimeoutNs(One("grpc-timeout", "100m")), 100'000'000u);
  EXPECT_EQ(GrpcTimeoutNs(One("grpc-timeout", "2S")), 2'000'000'000u);
  EXPECT_EQ(GrpcTimeoutNs(One("grpc-timeout", "99999999H")), UINT64_MAX);
  EXPECT_EQ(GrpcTimeoutNs(One("grpc-timeout", "7n")), 7u);
  for (const char* wrong : {"", "S", "1", "1s", "-1S", "1.5S", "999999999S"}) {
    EXPECT_FALSE(GrpcTimeoutNs(One("grpc-timeout", wrong)).has_value()) << wrong;
  }
}

TEST(Grpc, HealthMessages) {
  EXPECT_EQ(GrpcHealthRequest(""), std::string(5, '\0'));
  EXPECT_EQ(GrpcHealthRequest("a.B"), std::string("\0\0\0\0\5\x0a\3a.B", 10));
  EXPECT_EQ(GrpcHealthRequest(std::string(200, 'x')).substr(0, 8), std::string("\0\0\0\0\xcb\x0a\xc8\1", 8));
  const auto verdict = [](std::string message) {
    return GrpcHealthVerdict(std::string("\0\0\0\0", 4) + static_cast<char>(message.size()) + message);
  };
  EXPECT_EQ(verdict("\x08\1"), "");
  EXPECT_EQ(verdict("\x12\3abc\x08\1"), "") << "a field that is not known";
  EXPECT_EQ(verdict("\x08\2"), "health NOT_SERVING");
  EXPECT_EQ(verdict("\x08\3"), "health SERVICE_UNKNOWN");
  EXPECT_EQ(verdict(""), "health UNKNOWN");
  for (const char* broken : {"\x08", "\x12\5ab", "\x0b", "\xff\xff"}) EXPECT_EQ(verdict(broken), "a broken health message");
  EXPECT_EQ(GrpcHealthVerdict("abc"), "no health message");
  EXPECT_EQ(GrpcHealthVerdict(std::string("\1\0\0\0\2\x08\1", 7)), "a compressed health message, which was not asked for");
  EXPECT_EQ(GrpcHealthVerdict(std::string("\0\0\0\0\3\x08\1", 7)), "a broken health message");
}

}  // namespace
}  // namespace ub
