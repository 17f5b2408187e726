// A snapshot as JSON (GET /metrics, and the admin API's list). Names of fields are what scripts rely
// on: ultrabalancer-api(7). Controller process.
#ifndef UB_HTTP_METRICS_JSON_H_
#define UB_HTTP_METRICS_JSON_H_

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "http/metrics_snapshot.h"

namespace ub {

using Json = nlohmann::ordered_json;

// Whole days from now on, rounded down.
int64_t DaysUntil(int64_t unix_seconds);
Json BackendJson(const BackendMetrics& backend);
Json MetricsJson(const MetricsSnapshot& snapshot, std::string_view algorithm);
// As text, with a newline; what is not UTF-8 is replaced.
std::string JsonText(const Json& json);
// The version of this build.
std::string_view Version();

}  // namespace ub

#endif  // UB_HTTP_METRICS_JSON_H_
