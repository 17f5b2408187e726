// Health checks: what `option httpchk` and `http-check` lines of the pool come to.
#include <fmt/format.h>

#include <algorithm>

#include "cli/import_haproxy.h"
#include "core/config_text.h"

namespace ub {
namespace {

using Line = HaproxyLine;

constexpr std::string_view kOneStep = "a check here is one request and what its answer must be";

// An HTTP check as it is put together from several lines. Each value has its own place: what the
// configuration refuses goes alone.
class CheckImport {
 public:
  CheckImport(HaproxyImport* import, const SourcePosition& at)
      : import_(*import), draft_(*import->draft), method_{"OPTIONS", at}, path_{"/", at} {}
  // "option httpchk [[METHOD] URI [VERSION]]"
  void Httpchk(const Line& line);
  // "http-check send|expect|connect ..."
  void Step(const Line& line);
  void Finish();

 private:
  void AddHeader(std::string_view name, std::string_view value, const SourcePosition& at);
  // "HTTP/1.1\r\nHost: example.com": how headers were written before http-check send.
  void Version(std::string_view text, const SourcePosition& at);
  void Send(const Line& line);
  void Expect(const Line& line);
  void FinishStatus();

  HaproxyImport& import_;
  ImportDraft& draft_;
  HaproxyWord method_, path_, status_{}, body_{};
  std::vector<std::pair<std::string, HaproxyWord>> headers_;
  bool sent_ = false, again_ = false;
};

void CheckImport::AddHeader(std::string_view name, std::string_view value,
                            const SourcePosition& at) {
  // Host is how a virtual server is asked for; Connection is ours to say.
  if (ToLowerAscii(name) == "connection" || name.empty()) return;
  headers_.emplace_back(std::string(TrimSpaces(name)),
                        HaproxyWord{std::string(TrimSpaces(value)), at});
}

void CheckImport::Version(std::string_view text, const SourcePosition& at) {
  for (const std::string_view line : SplitTrimmed(text, '\n')) {
    const size_t colon = line.find(':');
    if (colon == std::string_view::npos) continue;
    SourcePosition place = at;
    place.column += static_cast<uint32_t>(line.data() - text.data());
    AddHeader(line.substr(0, colon), line.substr(colon + 1), place);
  }
}

void CheckImport::Httpchk(const Line& line) {
  if (line.size() == 2) path_ = {std::string(line.arg(1)), line.ArgAt(1)};
  if (line.size() < 3) return;
  method_ = {std::string(line.arg(1)), line.ArgAt(1)};
  path_ = {std::string(line.arg(2)), line.ArgAt(2)};
  for (size_t i = 3; i < line.size(); ++i) Version(line.arg(i), line.ArgAt(i));
}

void CheckImport::Send(const Line& line) {
  for (size_t i = 1; i < line.size(); i += 2) {
    const std::string_view word = line.arg(i), value = line.arg(i + 1);
    const SourcePosition at = line.ArgAt(i + 1);
    if (word == "meth") method_ = {std::string(value), at};
    if (word == "uri") path_ = {std::string(value), at};
    if (word == "hdr") AddHeader(value, line.arg(++i + 1), at);
    if (word == "body" || word == "uri-lf" || word == "body-lf") {
      import_.Remark(line, "checks send no body, and no text that is put together");
    }
  }
}

// "status 200-399", "status 200,204", "string OK", "rstatus ^2".
void CheckImport::Expect(const Line& line) {
  size_t i = 1;
  while (i < line.size() && (line.arg(i) == "min-recv" || line.arg(i) == "comment" ||
                             line.arg(i).ends_with("-status") || line.arg(i) == "on-error" ||
                             line.arg(i) == "on-success" || line.arg(i) == "status-code")) {
    i += 2;
  }
  const std::string_view kind = line.arg(i), value = line.arg(i + 1);
  std::string status;
  if (kind == "status") status = value;
  if (kind == "rstatus" && value == "^2") status = "200-299";
  if (kind == "rstatus" && (value == "^[23]" || value == "(2|3)[0-9][0-9]")) status = "200-399";
  if (status.empty() && kind != "string") {
    return import_.Remark(line, "answers are checked by status and by a text in the body only");
  }
  HaproxyWord& word = kind == "string" ? body_ : status_;
  if (!word.value.empty()) return import_.Remark(line, kOneStep);
  word = {kind == "string" ? std::string(value) : status, line.ArgAt(i + 1)};
}

void CheckImport::Step(const Line& line) {
  const std::string_view kind = line.arg(0);
  if (kind == "connect") {
    if (line.size() > 1) {
      import_.Remark(line, "checks connect as requests do, to the same address and port");
    }
    again_ = again_ || sent_;
  } else if (kind == "comment") {
    return;
  } else if (kind != "send" && kind != "expect") {
    import_.Remark(line, "has no counterpart");
  } else if (again_ || (kind == "send" && sent_)) {
    again_ = true;
    import_.Remark(line, kOneStep);
  } else if (kind == "send") {
    sent_ = true;
    Send(line);
  } else {
    Expect(line);
  }
}

void CheckImport::FinishStatus() {
  if (status_.value.empty()) status_ = {"200-399", method_.at};
  if (status_.value.find(',') == std::string::npos) {
    return draft_.Set("health_check.expected_status", status_.value, status_.at);
  }
  for (const std::string_view status : SplitTrimmed(status_.value, ',')) {
    SourcePosition at = status_.at;
    at.column += static_cast<uint32_t>(status.data() - status_.value.data());
    draft_.Add("health_check.expected_status", std::string(status), at);
  }
}

void CheckImport::Finish() {
  if (!body_.value.empty() && method_.value != "GET") {
    draft_.Remark(method_.at, fmt::format("a text in the answer needs method GET, not {}",
                                          ImportText(method_.value)));
    method_.value = "GET";
  }
  if (method_.value != "HEAD" && method_.value != "GET" && method_.value != "OPTIONS") {
    draft_.Remark(method_.at, fmt::format("checks ask by HEAD, GET or OPTIONS; {} became GET",
                                          ImportText(method_.value)));
    method_.value = "GET";
  }
  // Without a path it would be a check by TCP.
  if (!path_.value.starts_with('/') || path_.value.find_first_of(" \t#") != std::string::npos) {
    draft_.Remark(path_.at, fmt::format("checks ask for a path: \"{}\" became \"/\"",
                                        ImportText(path_.value)));
    path_.value = "/";
  }
  draft_.Set("health_check.method", method_.value, method_.at);
  draft_.Set("health_check.path", path_.value, path_.at);
  FinishStatus();
  if (!body_.value.empty()) draft_.Set("health_check.expected_body", body_.value, body_.at);
  for (const auto& [name, word] : headers_) {
    draft_.SetEntry("health_check.headers", name, word.value, word.at);
  }
}

void RemarkUnchecked(const HaproxyImport& import) {
  const SourcePosition file = MakePosition(import.options.name);
  if (!import.checked) {
    import.draft->Remark(file,
                         "no server has `check`: HAProxy takes every one for up; here each is "
                         "checked (health_check.enabled: false ends that)");
  } else if (import.unchecked) {
    import.draft->Remark(file, "servers without `check` are checked here too");
  }
}

}  // namespace

void FinishHaproxyChecks(HaproxyImport* import) {
  RemarkUnchecked(*import);
  const HaproxyProxy& pool = import->pool.front();
  const Line* option = pool.Find("option httpchk");
  if (option == nullptr) return;
  CheckImport check(import, option->at);
  check.Httpchk(*option);
  for (const Line* line : pool.lines) {
    if (line->name() == "http-check") check.Step(*line);
  }
  check.Finish();
}

}  // namespace ub
