#include "core/config_cli.h"

#include <gtest/gtest.h>

#include "config_fixture.h"

namespace ub {
namespace {

TEST(ConfigFlags, BecomeNodes) {
  const struct {
    std::vector<ConfigFlag> flags;
    const char *nodes, *problems;
  } kCases[] = {
      {{}, "{}", ""},
      {{{"--port", "listen_port", "80"}}, "{ listen_port: '80 }", ""},
      {{{"--port", "listen_port", "80"}, {"--port", "listen_port", "81"}},
       "{ listen_port: '81 }",
       ""},
      {{{"--backend", "backends", "a:1"}, {"--backend", "backends", "b:2"}},
       "{ backends: [ 'a:1, 'b:2 ] }",
       ""},
      {{{"-g backends", "backends", "a:1,b:2"}}, "{ backends: 'a:1,b:2 }", ""},
      {{{"-g backends", "backends", "a:1"}, {"--backend", "backends", "b:2"}},
       "{ backends: [ 'b:2 ] }",
       ""},
      {{{"-g a.b.c", "a.b.c", "1"}, {"-g a.d", "a.d", "x=y"}},
       "{ a: { b: { c: '1 }, d: 'x=y } }",
       ""},
      {{{"-g listen", "listen", "*:1"}, {"--port", "listen_port", "80"}},
       "{ listen_port: '80 }",
       ""},
      {{{"--port", "listen_port", "80"}, {"-g listen", "listen", "*:1"}}, "{ listen: '*:1 }", ""},
      {{{"-g a", "a", "1"}, {"-g a.b", "a.b", "2"}},
       "{ a: '1 }",
       "flag -g a.b: \"a.b\" is not the path of a key (write a.b=value)"},
      {{{"-g .a", ".a", "1"}, {"-g a.", "a.", "1"}, {"-g a..b", "a..b", "1"}, {"-g ", "", "1"}},
       "{}",
       "flag -g .a: \".a\" is not the path of a key (write a.b=value)\n"
       "flag -g a.: \"a.\" is not the path of a key (write a.b=value)\n"
       "flag -g a..b: \"a..b\" is not the path of a key (write a.b=value)\n"
       "flag -g : \"\" is not the path of a key (write a.b=value)"},
  };
  for (const auto& test : kCases) {
    ConfigProblems problems;
    EXPECT_EQ(Dump(FlagNodes(test.flags, &problems)), test.nodes);
    EXPECT_EQ(Lines(problems), test.problems) << test.nodes;
  }
}

TEST(ConfigFlags, AreNamedAsThePersonKnowsThem) {
  ConfigProblems problems;
  const ConfigNode root = FlagNodes({{"--port", "listen_port", "80"},
                                     {"-g workers", "workers", "2"},
                                     {"ALGORITHM", "algorithm", "random"}},
                                    &problems);
  EXPECT_EQ(root.Find("listen_port")->position.ToString(), "flag --port");
  EXPECT_EQ(root.Find("workers")->position.ToString(), "flag -g workers");
  EXPECT_EQ(root.Find("algorithm")->position.ToString(), "argument ALGORITHM");
}

}  // namespace
}  // namespace ub
