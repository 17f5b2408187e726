#include "http/dashboard.h"

#include <gtest/gtest.h>

#include <regex>
#include <string>

namespace ub {
namespace {

TEST(DashboardTest, FilesAreServedByTheirPaths) {
  ASSERT_NE(FindDashboardFile("/dashboard"), nullptr);
  EXPECT_TRUE(FindDashboardFile("/dashboard")->content.starts_with("<!DOCTYPE html>"));
  EXPECT_TRUE(FindDashboardFile("/dashboard")->content.ends_with("</html>\n"));
  EXPECT_EQ(FindDashboardFile("/dashboard/"), nullptr);
  EXPECT_EQ(FindDashboardFile("/dashboard/../x"), nullptr);
  for (const DashboardFile& file : DashboardFiles()) {
    EXPECT_EQ(FindDashboardFile(file.path), &file);
    EXPECT_GT(file.content.size(), 100u) << file.path;
  }
}

// The page works without a network: what it loads is served beside it, and the policy allows
// nothing else.
TEST(DashboardTest, PageLoadsOnlyItsOwnFiles) {
  const std::string page(FindDashboardFile("/dashboard")->content);
  size_t loads = 0;
  for (const std::string attribute : {"href=\"", "src=\""}) {
    for (size_t at = page.find(attribute); at != std::string::npos;
         at = page.find(attribute, at + 1)) {
      const size_t begin = at + attribute.size();
      const std::string path = page.substr(begin, page.find('"', begin) - begin);
      EXPECT_NE(FindDashboardFile(path), nullptr) << path;
      ++loads;
    }
  }
  EXPECT_EQ(loads, 3u);
  EXPECT_EQ(page.find(" style="), std::string::npos) << "the policy forbids inline styles";
  EXPECT_FALSE(std::regex_search(page, std::regex(" on[a-z]+="))) << "and handlers in attributes";
  for (const DashboardFile& file : DashboardFiles()) {
    const std::string content(file.content);
    size_t at = content.find("://");
    // An XML namespace names no place.
    while (at != std::string::npos && content.substr(at, 13) == "://www.w3.org")
      at = content.find("://", at + 1);
    EXPECT_EQ(at, std::string::npos)
        << file.path << ": " << content.substr(at == std::string::npos ? 0 : at, 30);
  }
  EXPECT_NE(kDashboardFields.find("default-src 'none'"), std::string_view::npos);
  EXPECT_EQ(kDashboardFields.find("unsafe"), std::string_view::npos);
}

}  // namespace
}  // namespace ub
