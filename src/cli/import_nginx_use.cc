#include "cli/import_nginx_use.h"

#include <algorithm>
#include <cctype>
#include <string_view>

#include "core/config_text.h"

namespace ub {
namespace {

// Whether a variable that holds a whole path begins the text: then the address ends there.
bool BeginsWithPath(std::string_view text) {
  for (const std::string_view name : {"request_uri", "document_uri", "uri"}) {
    for (const bool braces : {false, true}) {
      const std::string variable = (braces ? "${" : "$") + std::string(name) + (braces ? "}" : "");
      if (!text.starts_with(variable)) continue;
      const std::string_view rest = text.substr(variable.size());
      if (braces || rest.empty() ||
          (!std::isalnum(static_cast<unsigned char>(rest[0])) && rest[0] != '_'))
        return true;
    }
  }
  return false;
}

}  // namespace

bool NginxIsWhole(const NginxDirective& location) {
  const std::vector<std::string>& words = location.words;
  return words.back() == "/" && (words.size() == 2 || (words.size() == 3 && words[1] == "^~"));
}

std::string NginxPathOf(const NginxDirective& location) {
  const std::string text = location.Text();
  return ImportText(text.substr(std::min(text.size(), location.name().size() + 1)));
}

bool NginxUse::IsWhole() const { return locations.size() == 1 && NginxIsWhole(*locations[0]); }

bool NginxUse::ChangesPaths() const {
  if (uri.empty() || uri == "$request_uri" || uri == "${request_uri}") return false;
  return uri != "/" || !IsWhole();
}

NginxUse NginxUseOf(const NginxDirective& pass) {
  NginxUse use;
  use.pass = &pass;
  std::string_view rest = pass.size() > 0 ? std::string_view(pass.arg(0)) : std::string_view();
  use.grpc = pass.name() == "grpc_pass";
  const size_t scheme = rest.find("://");
  if (scheme == std::string_view::npos && !use.grpc) return use;
  if (scheme != std::string_view::npos) {
    use.scheme = ToLowerAscii(rest.substr(0, scheme));
    rest.remove_prefix(scheme + 3);
  }
  if (use.grpc) use.scheme = use.scheme == "grpcs" ? "https" : "http";
  if (rest.starts_with("unix:")) {
    const size_t colon = std::min(rest.find(':', 5), rest.size());
    use.target = std::string(rest.substr(0, colon));
    use.uri = std::string(rest.substr(std::min(colon + 1, rest.size())));
  } else {
    const size_t variable = rest.find('$');
    size_t end = std::min(rest.find_first_of("/?"), rest.size());
    if (variable < end && BeginsWithPath(rest.substr(variable))) end = variable;
    use.target = std::string(rest.substr(0, end));
    use.uri = std::string(rest.substr(end));
  }
  if (use.target.find('$') != std::string::npos) use.target.clear();
  return use;
}

}  // namespace ub
