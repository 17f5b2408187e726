#include "upstream/runtime_state.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "core/log.h"

namespace ub {
namespace {

RuntimeState Everything() {
  RuntimeState state;
  state.changes["10.0.0.1:80"].drained = true;
  state.changes["app:80"].removed = true;
  state.changes["unix:/run/app.sock"].weight = 7;
  state.changes["[::1]:80"] = {true, false, false, 9, 100, true, "six \"6\"\n\xff"};
  return state;
}

TEST(RuntimeStateTest, TextAndBack) {
  RuntimeState state = Everything();
  Result<RuntimeState> read = RuntimeState::Parse(state.ToText());
  ASSERT_TRUE(read) << read.error().detail();
  state.changes["[::1]:80"].name = "six \"6\"\n\xef\xbf\xbd";  // what is not UTF-8 is replaced
  EXPECT_EQ(*read, state);
  EXPECT_FALSE(state.Empty());
  EXPECT_TRUE(RuntimeState().Empty());
}

TEST(RuntimeStateTest, WhatWasAddedAndRemovedAgainIsForgotten) {
  RuntimeState state;
  state.changes["10.0.0.1:80"].added = true;
  state.changes["10.0.0.1:80"].removed = true;
  EXPECT_TRUE(state.Empty());
  EXPECT_EQ(*RuntimeState::Parse(state.ToText()), RuntimeState());
}

TEST(RuntimeStateTest, BrokenTextsAreRefused) {
  for (const char* const text :
       {"", "{", "[]", "{}", R"({"version":2,"backends":[]})", R"({"version":1})", R"({"version":1,"backends":{}})",
        R"({"version":1,"backends":[5]})", R"({"version":1,"backends":[{}]})",
        R"({"version":1,"backends":[{"address":"nowhere"}]})",
        R"({"version":1,"backends":[{"address":"a:1","weight":-1}]})",
        R"({"version":1,"backends":[{"address":"a:1","weight":65536}]})",
        R"({"version":1,"backends":[{"address":"a:1","drained":"yes"}]})",
        R"({"version":1,"backends":[{"address":5}]})", "\xff\xfe"}) {
    EXPECT_FALSE(RuntimeState::Parse(text)) << text;
  }
}

TEST(RuntimeStateTest, AddedBackendsJoinTheConfiguration) {
  Config config;
  config.backends.resize(1);
  config.backends[0].host = "10.0.0.1";
  config.backends[0].port = 80;
  RuntimeState state;
  state.changes["10.0.0.2:80"] = {true, false, false, 9, 100, true, "two"};
  state.changes["10.0.0.1:80"].added = true;  // by now the file has it too
  const Config with = state.WithAdded(config);
  ASSERT_EQ(with.backends.size(), 2u);
  EXPECT_EQ(with.backends[1].AddressText(), "10.0.0.2:80");
  EXPECT_EQ(with.backends[1].weight, 9u);
  EXPECT_EQ(with.backends[1].max_connections, 100u);
  EXPECT_TRUE(with.backends[1].backup);
  EXPECT_EQ(with.backends[1].name, "two");
}

TEST(RuntimeStateTest, AnAddressGoesBeforeTheNameThatItComesFrom) {
  RuntimeState state;
  state.changes["app:80"].weight = 5;
  state.changes["10.0.0.1:80"].weight = 6;
  BackendSpec one, two;
  one.text = "10.0.0.1:80";
  two.text = "10.0.0.2:80";
  one.given = two.given = "app:80";
  EXPECT_EQ(state.Find(one).weight, 6u);
  EXPECT_EQ(state.Find(two).weight, 5u);
  two.given = "other:80";
  EXPECT_TRUE(state.Find(two).empty());
}

TEST(RuntimeStateTest, WhatIsSaidOfANameHoldsForItsAddressesToo) {
  RuntimeState state;
  state.changes["app:80"].removed = state.changes["app:80"].drained = true;
  state.changes["app:80"].weight = 5;
  state.changes["10.0.0.1:80"].weight = 6;
  state.changes["10.0.0.2:80"].added = true;
  BackendSpec one, two;
  one.text = "10.0.0.1:80";
  two.text = two.given = "10.0.0.2:80";
  one.given = "app:80";
  EXPECT_TRUE(state.Find(one).removed);
  EXPECT_TRUE(state.Find(one).drained);
  EXPECT_EQ(state.Find(one).weight, 6u);
  state.Overlay(&one);
  EXPECT_EQ(one.weight, 6u);
  EXPECT_EQ(one.admin, AdminState::kDrain);
  two.given = "app:80";
  EXPECT_FALSE(state.Find(two).removed) << "it was added by itself";
  EXPECT_FALSE(state.Find(two).drained);
}

TEST(RuntimeStateTest, OnlyDrainsOutliveAReloadWithoutAFile) {
  const RuntimeState drains = Everything().Drains();
  ASSERT_EQ(drains.changes.size(), 1u);
  EXPECT_TRUE(drains.changes.at("10.0.0.1:80").drained);
}

TEST(RuntimeStateTest, ABrokenFileIsSetAside) {
  const std::string path = testing::TempDir() + "ub-state-" + std::to_string(getpid());
  EXPECT_EQ(*RuntimeState::Load(path), RuntimeState()) << "none is an empty one";
  std::ofstream(path) << "broken";
  SetLogLevel(LogLevel::kOff);
  Result<RuntimeState> state = RuntimeState::Load(path);
  SetLogLevel(LogLevel::kInfo);
  ASSERT_TRUE(state);
  EXPECT_EQ(*state, RuntimeState());
  EXPECT_FALSE(std::filesystem::exists(path));
  EXPECT_TRUE(std::filesystem::remove(path + ".broken"));
  EXPECT_FALSE(RuntimeState::Load(testing::TempDir())) << "a directory";
}

}  // namespace
}  // namespace ub
