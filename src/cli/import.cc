#include "cli/import.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "cli/import_draft.h"
#include "cli/import_haproxy.h"
#include "cli/import_nginx.h"
#include "core/config_text.h"

namespace ub {
namespace {

constexpr std::string_view kSections[] = {
    "global",      "defaults", "frontend", "backend", "listen",      "peers",
    "resolvers",   "userlist", "cache",    "program", "http-errors", "ring",
    "log-forward", "mailers",  "fcgi-app", "traces",  "acme",        "crt-store"};

// The first line that says something tells the format: a section of HAProxy's, or what ends in
// nginx's punctuation. Comments say nothing.
std::string FormatOfText(std::string_view text) {
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    line = TrimSpaces(line.substr(0, line.find('#')));
    if (line.empty()) continue;
    const std::string_view word = line.substr(0, line.find_first_of(" \t"));
    const bool punctuated = line.find_first_of(";{") != std::string_view::npos;
    for (const std::string_view section : kSections) {
      if (word == section && !punctuated) return "haproxy";
    }
    if (punctuated) return "nginx";
    if (word.starts_with('.')) return "haproxy";  // .if, .notice
  }
  return {};
}

std::string FormatOfName(const std::string& file) {
  const std::string name = file.substr(file.rfind('/') + 1);
  if (name.find("haproxy") != std::string::npos || name.ends_with(".cfg")) return "haproxy";
  return name.find("nginx") != std::string::npos || name.ends_with(".conf") ? "nginx" : "";
}

std::string Head(const ImportOptions& options, std::string_view format, std::string_view chosen) {
  return fmt::format(
      "# From {} ({}): {}, by `ultrabalancer import`.\n"
      "# A key that is not here has UltraBalancer's default, which `ultrabalancer example` tells.\n"
      "# Check this file with: ultrabalancer validate -f FILE\n",
      options.name, format, chosen);
}

}  // namespace

ImportResult ImportConfig(const ImportOptions& given, std::string_view text) {
  ImportOptions options = given;
  options.name = ImportText(given.file == "-" ? "standard input" : given.file, 200);
  ImportDraft draft(options.name);
  std::string format = options.from.empty() ? FormatOfText(text) : options.from;
  if (format.empty()) format = FormatOfName(options.file);
  std::string chosen, yaml;
  if (format.empty()) {
    draft.Fault(MakePosition(options.name),
                "is it nginx's or HAProxy's? (say it: --from nginx, --from haproxy)");
  } else if (format == "nginx") {
    chosen = ImportNginx(options, text, &draft);
  } else {
    chosen = ImportHaproxy(options, text, &draft);
  }
  if (!draft.faulty()) {
    yaml = draft.Finish(Head(options, format == "nginx" ? "nginx" : "HAProxy", chosen));
  }
  if (draft.faulty()) return {{}, draft.FaultLines()};
  return {std::move(yaml), {}};
}

}  // namespace ub
