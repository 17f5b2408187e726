// What stands in conf/ is what the program's own tables say: after a change of a flag, print it anew.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>

#include "cli/help.h"

namespace ub {
namespace {

std::string ShippedFile(const std::string& path) {
  const char* root = std::getenv("UB_SRCDIR");
  std::ifstream file((root != nullptr ? std::string(root) : ".") + "/" + path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

TEST(ShippedFiles, BashCompletionFollowsTheTableOfFlags) {
  EXPECT_EQ(ShippedFile("conf/ultrabalancer.bash-completion"), BashCompletionText());
}

}  // namespace
}  // namespace ub
