#include "core/config_node.h"

#include <gtest/gtest.h>

#include "config_fixture.h"

namespace ub {
namespace {

ConfigNode Value(std::string text) { return ConfigNode::Scalar(std::move(text), {}); }

TEST(ConfigNode, PositionNamesSourceLineAndColumn) {
  EXPECT_EQ(MakePosition("a.yaml", 3, 7).ToString(), "a.yaml:3:7");
  EXPECT_EQ(MakePosition("flag --port").ToString(), "flag --port");
  EXPECT_EQ(SourcePosition().ToString(), "configuration");
  EXPECT_EQ((ConfigProblem{MakePosition("a", 1, 2), "is bad"}).ToString(), "a:1:2: is bad");
}

TEST(ConfigNode, PathsMakeMappingsOnTheirWay) {
  ConfigNode root = ConfigNode::Mapping({});
  EXPECT_TRUE(root.SetPath("a.b.c", Value("1")));
  EXPECT_TRUE(root.SetPath("a.d", Value("2")));
  EXPECT_TRUE(root.SetPath("a.b.c", Value("3"))) << "the later one stands";
  EXPECT_EQ(Dump(root), "{ a: { b: { c: 3 }, d: 2 } }");
  EXPECT_EQ(root.FindPath("a.b.c")->text, "3");
  EXPECT_EQ(root.FindPath("a.x.c"), nullptr);
  EXPECT_EQ(root.FindPath("a.d.e"), nullptr);
  EXPECT_EQ(root.FindPath(""), nullptr);
}

TEST(ConfigNode, PathStopsAtAValue) {
  ConfigNode root = ConfigNode::Mapping({});
  ASSERT_TRUE(root.SetPath("a", Value("1")));
  EXPECT_FALSE(root.SetPath("a.b", Value("2")));
  root.Set("s", ConfigNode::Sequence({}));
  EXPECT_FALSE(root.SetPath("s.b", Value("2")));
  root.Set("n", ConfigNode());
  EXPECT_TRUE(root.SetPath("n.b", Value("2"))) << "an empty section is none yet";
  EXPECT_EQ(Dump(root), "{ a: 1, s: [], n: { b: 2 } }");
}

TEST(ConfigNode, SetReplacesWhereItStoodAndRemoveTakesOut) {
  ConfigNode root = ConfigNode::Mapping({});
  root.Set("a", Value("1"));
  root.Set("b", Value("2"));
  root.Set("a", ConfigNode::Scalar("3", MakePosition("x", 4, 5)));
  EXPECT_EQ(Dump(root), "{ a: 3, b: 2 }");
  EXPECT_EQ(root.entries[0].position.ToString(), "x:4:5");
  root.Remove("a");
  root.Remove("none");
  EXPECT_EQ(Dump(root), "{ b: 2 }");
}

TEST(ConfigNode, KindsHaveNamesForMessages) {
  EXPECT_EQ(ConfigNode().KindName(), "nothing");
  EXPECT_EQ(Value("x").KindName(), "a value");
  EXPECT_EQ(ConfigNode::Scalar("x", {}, true).KindName(), "text");
  EXPECT_EQ(ConfigNode::Sequence({}).KindName(), "a list");
  EXPECT_EQ(ConfigNode::Mapping({}).KindName(), "a mapping");
}

TEST(ConfigNode, ProblemsAreSortedWithinTheirSources) {
  ConfigProblems problems = {{MakePosition("b", 2, 1), "p"}, {MakePosition("flag -p"), "q"},
                             {MakePosition("a", 1, 1), "r"}, {MakePosition("b", 1, 9), "s"},
                             {MakePosition("b", 1, 2), "t"}, {MakePosition("a", 1, 1), "u"}};
  SortProblems(&problems);
  EXPECT_EQ(Lines(problems), "b:1:2: t\nb:1:9: s\nb:2:1: p\nflag -p: q\na:1:1: r\na:1:1: u");
}

}  // namespace
}  // namespace ub
