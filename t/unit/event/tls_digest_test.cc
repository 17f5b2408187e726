#include "event/tls_digest.h"

#include <gtest/gtest.h>

namespace ub {
namespace {

TEST(TlsDigest, WhatTheRfcsHave) {
  EXPECT_EQ(WebSocketAccept("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");  // RFC 6455 section 1.3
  EXPECT_EQ(Base64(""), "");                                                                // RFC 4648 section 10
  EXPECT_EQ(Base64("f"), "Zg==");
  EXPECT_EQ(Base64("fo"), "Zm8=");
  EXPECT_EQ(Base64("foobar"), "Zm9vYmFy");
}

}  // namespace
}  // namespace ub
