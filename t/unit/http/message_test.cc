#include "http/message.h"

#include "gtest/gtest.h"

namespace ub {
namespace {

TEST(RequestHead, KnowsIdempotentMethods) {
  RequestHead head;
  for (Method method : {Method::kGet, Method::kHead, Method::kPut, Method::kDelete,
                        Method::kOptions, Method::kTrace}) {
    head.method = method;
    EXPECT_TRUE(head.idempotent());
  }
  for (Method method : {Method::kPost, Method::kPatch, Method::kConnect, Method::kOther}) {
    head.method = method;
    EXPECT_FALSE(head.idempotent());
  }
}

}  // namespace
}  // namespace ub
