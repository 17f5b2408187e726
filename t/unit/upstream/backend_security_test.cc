#include "upstream/backend_security.h"

#include <gtest/gtest.h>

#include <cstring>
#include <memory>

namespace ub {
namespace {

TEST(BackendSecurity, ABackendIsItsHostAsItWasWritten) {
  Config config;
  config.backend_tls.enabled = true;
  config.backend_tls.verify = false;
  BackendSecurity security;
  bool changed = false;
  ASSERT_TRUE(security.Configure(config, &changed).ok());
  EXPECT_TRUE(changed);
  // Not on the stack, whose frames AddressSanitizer moves to where nothing is aligned to a cache line.
  const auto owned = std::make_unique<BackendSlot>();
  BackendSlot& slot = *owned;
  std::strcpy(slot.name, "blue");
  std::strcpy(slot.address_text, "10.0.0.1:443");
  std::strcpy(slot.host, "app.example.org");
  EXPECT_EQ(security.NameOf(slot), "app.example.org");
  ASSERT_TRUE(security.Configure(config, &changed).ok());
  EXPECT_FALSE(changed);
  // One name for all.
  config.backend_tls.server_name = "internal";
  ASSERT_TRUE(security.Configure(config, &changed).ok());
  EXPECT_TRUE(changed);
  EXPECT_EQ(security.NameOf(slot), "internal");
}

}  // namespace
}  // namespace ub
