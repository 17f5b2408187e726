// How a backend is picked, and when another is tried.
#include <fmt/format.h>

#include "cli/import_haproxy.h"
#include "core/config_text.h"

namespace ub {
namespace {

// "hdr(x)" to "x", where it is a call of one of `names`.
std::string ArgumentOf(std::string_view text, std::initializer_list<std::string_view> names) {
  for (const std::string_view name : names) {
    if (text.size() > name.size() + 2 && ToLowerAscii(text.substr(0, name.size())) == name &&
        text[name.size()] == '(' && text.ends_with(')')) {
      return std::string(text.substr(name.size() + 1, text.size() - name.size() - 2));
    }
  }
  return {};
}

// What `balance hash EXPRESSION` hashes, as a hash_key; empty: it has no counterpart.
std::string HashKey(std::string_view expression) {
  if (expression == "src") return "client_ip";
  const std::string cookie = ArgumentOf(expression, {"req.cook"});
  if (!cookie.empty()) return "cookie:" + cookie;
  const std::string header = ArgumentOf(expression, {"req.hdr"});
  return header.empty() ? "" : "header:" + header;
}

}  // namespace

void ImportHaproxyBalance(HaproxyImport& import, const HaproxyLine& line) {
  const std::string algorithm = ToLowerAscii(line.arg(0));
  const auto set = [&](std::string_view ours, std::string key = {}) {
    if (import.draft->Has("algorithm")) return;
    import.draft->Set("algorithm", std::string(ours), line.at);
    if (!key.empty()) import.draft->Set("hash_key", std::move(key), line.at);
  };
  if (algorithm == "roundrobin" || algorithm == "static-rr") return set("round-robin");
  if (algorithm == "leastconn") return set("least-connections");
  if (algorithm == "random(1)") return set("random");
  if (algorithm == "random" || algorithm.starts_with("random(")) return set("power-of-two");
  if (algorithm == "source") return set("ip-hash", "client_ip");
  if (algorithm == "uri") {
    if (line.size() != 2 || line.arg(1) != "whole") {
      import.Remark(line, "the whole URI is hashed, with its query");
    }
    return set("ip-hash", "uri");
  }
  std::string key;
  if (algorithm == "hash") key = HashKey(line.arg(1));
  if (const std::string header = ArgumentOf(line.arg(0), {"hdr"}); !header.empty()) {
    key = "header:" + header;
  }
  if (!key.empty()) return set("ip-hash", key);
  import.Remark(line, "has no counterpart: requests go round-robin");
}

void ImportHaproxyStick(HaproxyImport& import, const HaproxyLine& line) {
  if (line.arg(0) != "on" || line.arg(1) != "src") {
    return import.Remark(line,
                         "has no counterpart: there are no tables (see ip-hash and hash_key)");
  }
  // It decides before the algorithm does.
  import.draft->Remove("algorithm");
  import.draft->Remove("hash_key");
  import.draft->Set("algorithm", "ip-hash", line.at);
  import.Remark(line, "the same client comes to the same backend by a hash, not by a table");
}

void ImportHaproxyRetries(HaproxyImport& import, const HaproxyLine& line) {
  uint64_t number = 0;
  const HaproxyLine* on = import.current == nullptr ? nullptr : import.current->Find("retry-on");
  if (on != nullptr && on->arg(0) == "none") return;
  if (!import.Number(line, line.arg(0), &number)) return;
  import.draft->SetNumber("retry.max_attempts", number + 1, line.at);
  // Without retry-on, nothing that was sent is sent again.
  if (on == nullptr && number > 0) import.draft->Add("retry.on", "connect", line.at);
}

void ImportHaproxyRetryOn(HaproxyImport& import, const HaproxyLine& line) {
  const auto add = [&](std::string_view what) {
    import.draft->Add("retry.on", std::string(what), line.at);
  };
  for (size_t i = 0; i < line.size(); ++i) {
    const std::string_view word = line.arg(i);
    if (word == "none") {
      import.draft->SetNumber("retry.max_attempts", 1, line.at);
    } else if (word == "conn-failure") {
      add("connect");
    } else if (word == "empty-response") {
      add("reset");
    } else if (word == "response-timeout") {
      add("timeout");
    } else if (word == "502" || word == "503" || word == "504") {
      add(word);
    } else if (word == "all-retryable-errors") {
      for (const std::string_view each : {"connect", "reset", "timeout", "502", "503", "504"})
        add(each);
    } else {
      import.draft->Remark(line.at,
                           fmt::format("\"retry-on {}\" has no counterpart", ImportText(word)));
    }
  }
}

}  // namespace ub
