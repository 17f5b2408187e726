#include "http/config_json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace ub {
namespace {

Config SomeConfig() {
  Config config;
  config.listen = {{"0.0.0.0", 80, false, "0.0.0.0:80"}};
  config.backends = {{"10.0.0.1", 8080, false, 100, 0, false, "a"}, {"10.0.0.2", 8080, false, 50, 10, true, "b"}};
  config.admin.api_key = "sesame";
  return config;
}

TEST(ConfigJsonTest, SectionsAndBackendsAreObjectsAndSecretsAreHidden) {
  const Json json = ConfigJson(SomeConfig());
  EXPECT_EQ(json["algorithm"], "round-robin");
  EXPECT_EQ(json["listen"], Json::array({"0.0.0.0:80"}));
  EXPECT_EQ(json["backends"][1]["address"], "10.0.0.2:8080");
  EXPECT_EQ(json["backends"][1]["backup"], true);
  EXPECT_EQ(json["health_check"]["circuit_breaker"]["failure_threshold"], 5);
  EXPECT_EQ(json["admin"]["api_key"], "(hidden)");
  EXPECT_EQ(JsonText(json).find("sesame"), std::string::npos);
}

TEST(ConfigJsonTest, DifferencesAreToldKeyByKey) {
  const Config before = SomeConfig();
  EXPECT_THAT(DiffConfigJson(ConfigJson(before), ConfigJson(before)), testing::IsEmpty());
  Config after = before;
  after.algorithm = "random";
  after.health_check.circuit_breaker.enabled = false;
  after.backends[0].weight = 7;
  after.backends[1].host = "10.0.0.3";
  EXPECT_THAT(DiffConfigJson(ConfigJson(before), ConfigJson(after)),
              testing::UnorderedElementsAre("algorithm: round-robin → random",
                                            "health_check.circuit_breaker.enabled: true → false",
                                            "backends: ~10.0.0.1:8080 +10.0.0.3:8080 -10.0.0.2:8080"));
}

}  // namespace
}  // namespace ub
