#include "upstream/backend_security.h"

#include <gtest/gtest.h>

#include <cstring>
#include <memory>

namespace ub {
namespace {

void Set(BackendSlot* slot, const char* name, const char* address) {
  std::strcpy(slot->name, name);
  std::strcpy(slot->address_text, address);
}

TEST(BackendSecurity, ABackendIsItsHostAsItWasWritten) {
  Config config;
  config.backend_tls.enabled = true;
  config.backend_tls.verify = false;
  BackendConfig backend;
  backend.name = "blue";
  backend.host = "app.example.org";
  config.backends.push_back(backend);
  BackendSecurity security;
  bool changed = false;
  ASSERT_TRUE(security.Configure(config, &changed).ok());
  EXPECT_TRUE(changed);
  // Not on the stack, whose frames AddressSanitizer moves to where nothing is aligned to a cache line.
  const auto owned = std::make_unique<BackendSlot>();
  BackendSlot& slot = *owned;
  Set(&slot, "blue", "10.0.0.1:443");
  EXPECT_EQ(security.NameOf(slot), "app.example.org");
  // Added at run time.
  Set(&slot, "app9:443", "10.0.0.9:443");
  EXPECT_EQ(security.NameOf(slot), "app9");
  Set(&slot, "10.0.0.9:443", "10.0.0.9:443");
  EXPECT_EQ(security.NameOf(slot), "10.0.0.9");
  Set(&slot, "[::1]:443", "[::1]:443");
  EXPECT_EQ(security.NameOf(slot), "::1");
  Set(&slot, "green", "10.0.0.9:443");
  EXPECT_EQ(security.NameOf(slot), "10.0.0.9");
  // One name for all.
  config.backend_tls.server_name = "internal";
  ASSERT_TRUE(security.Configure(config, &changed).ok());
  EXPECT_EQ(security.NameOf(slot), "internal");
}

}  // namespace
}  // namespace ub
