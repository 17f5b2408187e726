#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "cli/import_haproxy.h"
#include "cli/import_units.h"
#include "core/config_text.h"

namespace ub {
namespace {

using Line = HaproxyLine;

void AddHeader(HaproxyCheck* check, std::string_view name, std::string_view value) {
  // Host is how a virtual server is asked for; Connection is ours to say.
  if (ToLowerAscii(name) == "connection" || name.empty()) return;
  check->headers.emplace_back(std::string(TrimSpaces(name)), std::string(TrimSpaces(value)));
}

// "HTTP/1.1\r\nHost: example.com": how headers were written before http-check send.
void TakeVersion(HaproxyCheck* check, std::string_view text) {
  for (const std::string_view line : SplitTrimmed(text, '\n')) {
    const size_t colon = line.find(':');
    if (colon == std::string_view::npos) continue;
    AddHeader(check, line.substr(0, colon), line.substr(colon + 1));
  }
}

// "option httpchk [[METHOD] URI [VERSION]]"
void TakeHttpchk(HaproxyImport* import, const Line& line) {
  HaproxyCheck& check = import->check;
  check.http = true;
  check.at = line.at;
  if (line.size() == 2) check.path = std::string(line.arg(1));
  if (line.size() < 3) return;
  check.method = std::string(line.arg(1));
  check.path = std::string(line.arg(2));
  for (size_t i = 3; i < line.size(); ++i) TakeVersion(&check, line.arg(i));
}

void TakeSend(HaproxyImport* import, const Line& line) {
  HaproxyCheck& check = import->check;
  for (size_t i = 1; i < line.size(); ++i) {
    const std::string_view word = line.arg(i), value = line.arg(i + 1);
    if (word == "meth") check.method = std::string(value);
    if (word == "uri") check.path = std::string(value);
    if (word == "hdr") {
      AddHeader(&check, value, line.arg(i + 2));
      ++i;
    }
    if (word == "body" || word == "uri-lf" || word == "body-lf") {
      import->Remark(line, "checks send no body, and no text that is put together");
    }
    ++i;
  }
}

// "status 200-399", "status 200,204", "string OK", "rstatus ^2".
void TakeExpect(HaproxyImport* import, const Line& line) {
  HaproxyCheck& check = import->check;
  size_t i = 1;
  while (i < line.size() && (line.arg(i) == "min-recv" || line.arg(i) == "comment" ||
                             line.arg(i).ends_with("-status") || line.arg(i) == "on-error" ||
                             line.arg(i) == "on-success" || line.arg(i) == "status-code")) {
    i += 2;
  }
  const std::string_view kind = line.arg(i);
  if (kind == "status") {
    check.status = std::string(line.arg(i + 1));
  } else if (kind == "string") {
    check.body = std::string(line.arg(i + 1));
    check.status = "200-399";
  } else if (kind == "rstatus" && (line.arg(i + 1) == "^2" || line.arg(i + 1) == "^[23]" ||
                                   line.arg(i + 1) == "(2|3)[0-9][0-9]")) {
    check.status = line.arg(i + 1) == "^2" ? "200-299" : "200-399";
  } else {
    import->Remark(line, "answers are checked by status and by a text in the body only");
  }
}

// The words of a rule's condition, names of acls replaced by what they stand for.
std::vector<std::string> ConditionOf(const HaproxyImport& import, const Line& rule) {
  std::vector<std::string> words;
  auto at = std::ranges::find(rule.words, "if");
  if (at == rule.words.end()) return words;
  for (++at; at != rule.words.end(); ++at) {
    if (*at == "{" || *at == "}") continue;
    const auto acl = import.acls.find(*at);
    if (acl == import.acls.end()) {
      words.push_back(*at);
    } else {
      words.insert(words.end(), acl->second.begin(), acl->second.end());
    }
  }
  return words;
}

bool IsRate(std::string_view fetch) {
  return fetch.find("http_req_rate") != std::string_view::npos;
}

void TakeRate(HaproxyImport* import, const Line& rule, uint64_t limit) {
  if (import->rate_period_ms == 0) {
    return import->Remark(rule, "its table has no http_req_rate(…): the period is not known");
  }
  if (import->draft->Has("rate_limit.enabled")) {
    return import->Remark(rule, "there is one rate limit; another was taken before");
  }
  const uint64_t period = import->rate_period_ms;
  const uint64_t rate = std::max<uint64_t>((limit * 1000 + period - 1) / period, 1);
  import->draft->SetBool("rate_limit.enabled", true, rule.at);
  import->draft->SetNumber("rate_limit.requests_per_second", rate, import->rate_at);
  import->draft->SetNumber("rate_limit.burst", limit, rule.at);
  import->draft->Remark(rule.at, fmt::format("{} requests in {} ms became {} a second with a burst "
                                             "of {}; what is beyond gets 429",
                                             limit, period, rate, limit));
}

}  // namespace

void CollectHaproxyRate(HaproxyImport* import, const HaproxyLine& line) {
  if (line.name() == "acl" && line.size() > 1) {
    import->acls[line.words[1]] = {line.words.begin() + 2, line.words.end()};
  }
  if (line.name() != "stick-table") return;
  for (const std::string& word : line.words) {
    const size_t rate = word.find("http_req_rate(");
    if (rate == std::string::npos) continue;
    const std::string period = word.substr(rate + 14, word.find(')', rate) - rate - 14);
    import->rate_period_ms = HaproxyTimeMs(period).value_or(0);
    import->rate_at = line.at;
  }
}

bool ImportHaproxyLimit(HaproxyImport* import, const HaproxyLine& rule) {
  const std::vector<std::string> words = ConditionOf(*import, rule);
  // One comparison and nothing else: "sc_http_req_rate(0) gt 100".
  if (words.size() != 3 || (words[1] != "gt" && words[1] != "ge")) return false;
  const std::optional<uint64_t> given = ParseUnsigned(words[2]);
  if (!given || *given > 10'000'000) return false;
  const uint64_t limit =
      std::max<uint64_t>(words[1] == "ge" && *given > 0 ? *given - 1 : *given, 1);
  if (IsRate(words[0])) {
    TakeRate(import, rule, limit);
    return true;
  }
  if (words[0].find("conn_cur") == std::string::npos) return false;
  import->draft->SetNumber("limits.connections_per_client", limit, rule.at);
  return true;
}

void ImportHaproxyCheck(HaproxyImport* import, const HaproxyLine& line) {
  const std::string_view kind = line.arg(0);
  if (line.name() == "option") {
    // The inner section's stands.
    if (import->once.insert("httpchk").second) TakeHttpchk(import, line);
  } else if (kind == "send") {
    if (import->once.insert("http-check send").second) TakeSend(import, line);
  } else if (kind == "expect") {
    if (import->once.insert("http-check expect").second) TakeExpect(import, line);
  } else if (kind != "connect") {
    import->Remark(line, "has no counterpart");
  }
}

void FinishHaproxyChecks(HaproxyImport* import) {
  ImportDraft& draft = *import->draft;
  const SourcePosition file = MakePosition(import->options.name);
  if (!import->checked) {
    draft.Remark(file,
                 "no server has `check`: HAProxy takes every one for up; here each is checked "
                 "(health_check.enabled: false ends that)");
  } else if (import->unchecked) {
    draft.Remark(file, "servers without `check` are checked here too");
  }
  HaproxyCheck& check = import->check;
  if (!check.http) return;
  if (!check.body.empty() && check.method != "GET") {
    draft.Remark(check.at, fmt::format("a text in the answer needs method GET, not {}",
                                       ImportText(check.method)));
    check.method = "GET";
  }
  if (check.method != "HEAD" && check.method != "GET" && check.method != "OPTIONS") {
    draft.Remark(check.at, fmt::format("checks ask by HEAD, GET or OPTIONS; {} became GET",
                                       ImportText(check.method)));
    check.method = "GET";
  }
  draft.Set("health_check.method", check.method, check.at);
  draft.Set("health_check.path", check.path, check.at);
  if (check.status.find(',') == std::string::npos) {
    draft.Set("health_check.expected_status", check.status, check.at);
  } else {
    for (const std::string_view status : SplitTrimmed(check.status, ',')) {
      draft.Add("health_check.expected_status", std::string(status), check.at);
    }
  }
  if (!check.body.empty()) draft.Set("health_check.expected_body", check.body, check.at);
  for (const auto& [name, value] : check.headers) {
    draft.SetEntry("health_check.headers", name, value, check.at);
  }
}

}  // namespace ub
