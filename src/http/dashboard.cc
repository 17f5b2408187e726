#include "http/dashboard.h"

#include <algorithm>

namespace ub {

// Made by build/embed from src/http/dashboard/.
extern const std::string_view kDashboardIndexHtml, kDashboardAppJs, kDashboardStyleCss,
    kDashboardIconSvg;

const std::string_view kDashboardFields =
    "Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; img-src "
    "'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'\r\n"
    "Referrer-Policy: no-referrer\r\n";

std::span<const DashboardFile> DashboardFiles() {
  static const DashboardFile kFiles[] = {
      {"/dashboard", "text/html; charset=utf-8", kDashboardIndexHtml},
      {"/dashboard/app.js", "text/javascript; charset=utf-8", kDashboardAppJs},
      {"/dashboard/style.css", "text/css; charset=utf-8", kDashboardStyleCss},
      {"/dashboard/icon.svg", "image/svg+xml", kDashboardIconSvg},
  };
  return kFiles;
}

const DashboardFile* FindDashboardFile(std::string_view path) {
  const std::span<const DashboardFile> files = DashboardFiles();
  const auto at = std::ranges::find(files, path, &DashboardFile::path);
  return at == files.end() ? nullptr : &*at;
}

}  // namespace ub
