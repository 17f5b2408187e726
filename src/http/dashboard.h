// The files of the dashboard (src/http/dashboard/), which are part of the program: build/embed
// makes them into a source.
//
// Served by the management address. The page asks for nothing but its own paths and the management
// address's, under a Content-Security-Policy that lets it do nothing else: it works without a
// network. Controller process; constant.
#ifndef UB_HTTP_DASHBOARD_H_
#define UB_HTTP_DASHBOARD_H_

#include <span>
#include <string_view>

namespace ub {

struct DashboardFile {
  std::string_view path;  // "/dashboard", "/dashboard/app.js"
  std::string_view content_type;
  std::string_view content;
};

std::span<const DashboardFile> DashboardFiles();
// The file served at `path`; null where there is none.
const DashboardFile* FindDashboardFile(std::string_view path);

// Header lines that go with each of them: what the page may do, which is little.
extern const std::string_view kDashboardFields;

}  // namespace ub

#endif  // UB_HTTP_DASHBOARD_H_
