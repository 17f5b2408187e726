#include "core/ticket_keys.h"

#include <gtest/gtest.h>

#include <memory>
#include <vector>

namespace ub {
namespace {

TEST(TicketKeys, TheLastFourAreKnownByName) {
  auto header = std::make_unique<ShmHeader>();
  TicketKey key;
  EXPECT_FALSE(NewestTicketKey(*header, &key));
  std::vector<TicketKey> made;
  for (uint64_t i = 1; i <= 7; ++i) {
    ASSERT_TRUE(RotateTicketKeys(header.get(), i * 10).ok());
    EXPECT_EQ(header->ticket_rotated_ms.load(), i * 10);
    ASSERT_TRUE(NewestTicketKey(*header, &key));
    made.push_back(key);
    for (size_t back = 0; back < made.size(); ++back) {
      const TicketKey& wanted = made[made.size() - 1 - back];
      bool newest = false;
      const bool found = FindTicketKey(*header, wanted.name.data(), &key, &newest);
      EXPECT_EQ(found, back < 4) << back;
      if (!found) continue;
      EXPECT_EQ(newest, back == 0);
      EXPECT_EQ(key.cipher, wanted.cipher);
      EXPECT_EQ(key.mac, wanted.mac);
    }
  }
  EXPECT_NE(made[0].cipher, made[1].cipher);
  EXPECT_NE(made[0].cipher, made[0].mac);
}

}  // namespace
}  // namespace ub
