// Rate limits. HAProxy makes them of three lines: a table that counts, a rule that tells what is
// counted, and one that denies; ours is one for all requests.
#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "cli/import_haproxy.h"
#include "cli/import_units.h"
#include "core/config_text.h"

namespace ub {
namespace {

using Line = HaproxyLine;

// "sc_http_req_rate(0,table)", "sc0_http_req_rate", "src_conn_cur".
struct Fetch {
  std::string_view what;    // http_req_rate
  std::string_view number;  // of the counter; empty: by the client's address
  std::string_view table;   // empty: the one that the counter is in
};

std::optional<Fetch> ReadFetch(std::string_view text) {
  const size_t open = text.find('(');
  std::string_view name = text.substr(0, open), arguments;
  if (open != std::string_view::npos) {
    if (!text.ends_with(')')) return std::nullopt;
    arguments = text.substr(open + 1, text.size() - open - 2);
  }
  Fetch fetch;
  if (name.starts_with("src_")) {
    fetch = {name.substr(4), {}, arguments};
  } else if (name.starts_with("sc_")) {
    const size_t comma = std::min(arguments.find(','), arguments.size());
    fetch = {name.substr(3), arguments.substr(0, comma), {}};
    if (comma < arguments.size()) fetch.table = arguments.substr(comma + 1);
  } else if (name.starts_with("sc") && name.size() > 4 && name[3] == '_') {
    fetch = {name.substr(4), name.substr(2, 1), arguments};
  }
  if (fetch.what != "http_req_rate" && fetch.what != "conn_cur") return std::nullopt;
  return fetch;
}

// A rule that counts, and what it counts by.
struct Track {
  const Line* rule = nullptr;
  const HaproxyProxy* proxy = nullptr;
  std::string_view key{}, table{};
  bool conditional = false;
};

std::optional<Track> ReadTrack(const HaproxyProxy& proxy, const Line& rule,
                               std::string_view number) {
  if (rule.name() != "http-request" && rule.name() != "tcp-request") return std::nullopt;
  const std::string wanted = fmt::format("track-sc{}", number);
  size_t i = 0;
  while (i < 2 && rule.arg(i) != wanted) ++i;
  if (i == 2) return std::nullopt;
  Track track{&rule, &proxy, rule.arg(i + 1)};
  for (i += 2; i < rule.size(); ++i) {
    if (rule.arg(i) == "table") track.table = rule.arg(i + 1);
    track.conditional = track.conditional || rule.arg(i) == "if" || rule.arg(i) == "unless";
  }
  return track;
}

// The rules that fill a counter: of the proxy whose rule denies, else of the frontends before it.
std::vector<Track> TracksOf(const HaproxyImport& import, std::string_view number) {
  std::vector<Track> tracks;
  const auto collect = [&](const HaproxyProxy& proxy) {
    for (const Line* line : proxy.lines) {
      if (const auto track = ReadTrack(proxy, *line, number)) tracks.push_back(*track);
    }
  };
  collect(*import.current);
  if (!tracks.empty() || import.ReadsFront()) return tracks;
  for (const HaproxyProxy& front : import.fronts) collect(front);
  return tracks;
}

// What a counter counts by, as a key of rate_limit; empty: it has no counterpart.
std::string KeyOf(std::string_view expression) {
  if (expression == "src" || expression.starts_with("src,ipmask(32,")) return "client_ip";
  const size_t open = expression.find('(');
  if (open == std::string_view::npos || !expression.ends_with(')')) return {};
  const std::string_view fetch = expression.substr(0, open);
  const std::string name(expression.substr(open + 1, expression.size() - open - 2));
  if (name.find_first_of(",()") != std::string::npos) return {};
  if (fetch == "hdr" || fetch == "req.hdr" || fetch == "req.fhdr") return "header:" + name;
  return fetch == "cook" || fetch == "req.cook" ? "cookie:" + name : "";
}

// The stick-table of that name, or of the proxy.
const Line* TableOf(const HaproxyImport& import, const HaproxyProxy& proxy, std::string_view name) {
  if (name.empty()) return proxy.Find("stick-table");
  for (const HaproxySection& section : import.sections) {
    if (section.name() != name) continue;
    for (const Line& line : section.lines) {
      if (line.name() == "stick-table") return &line;
    }
  }
  return nullptr;
}

// The period of a table's request rate; 0: it has none.
uint64_t PeriodOf(const Line& table) {
  constexpr std::string_view kRate = "http_req_rate(";
  for (const std::string& word : table.words) {
    const size_t rate = word.find(kRate);
    if (rate == std::string::npos) continue;
    const size_t from = rate + kRate.size();
    return HaproxyTimeMs(std::string_view(word).substr(from, word.find(')', from) - from))
        .value_or(0);
  }
  return 0;
}

// The words of a rule's condition, the name of an acl replaced by what it stands for. Empty where
// there is none, or an acl has several lines, any of which may hold.
std::vector<std::string> ConditionOf(const HaproxyImport& import, const Line& rule) {
  std::vector<std::string> words;
  auto at = std::ranges::find(rule.words, "if");
  if (at == rule.words.end()) return words;
  for (++at; at != rule.words.end(); ++at) {
    if (*at == "{" || *at == "}") continue;
    const auto acl = import.current->acls.find(*at);
    if (acl == import.current->acls.end()) {
      words.push_back(*at);
      continue;
    }
    if (acl->second.size() != 1) return {};
    const std::vector<std::string>& stands = acl->second.front()->words;
    words.insert(words.end(), stands.begin() + 2, stands.end());
  }
  return words;
}

void TakeRate(HaproxyImport* import, const Line& rule, uint64_t limit, const std::string& key,
              const Line* table) {
  const uint64_t period = table == nullptr ? 0 : PeriodOf(*table);
  if (period == 0) {
    return import->Remark(rule, "its table has no http_req_rate(...): the period is not known");
  }
  ImportDraft& draft = *import->draft;
  if (import->rate_rule == &rule) return;  // inherited by several
  if (import->rate_rule != nullptr) {
    return import->Remark(rule, "there is one rate limit; another was taken before");
  }
  import->rate_rule = &rule;
  const uint64_t rate = std::max<uint64_t>((limit * 1000 + period - 1) / period, 1);
  draft.SetBool("rate_limit.enabled", true, rule.at);
  draft.SetNumber("rate_limit.requests_per_second", rate, table->at);
  draft.SetNumber("rate_limit.burst", limit, rule.at);
  if (key != "client_ip") draft.Set("rate_limit.key", key, rule.at);
  draft.Remark(rule.at, fmt::format("{} requests in {} ms became {} a second with a burst of {}; "
                                    "what is beyond gets 429",
                                    limit, period, rate, limit));
}

// The rule compares this with `limit`. What it counts has to be plain.
void TakeLimit(HaproxyImport* import, const Line& rule, const Fetch& fetch, uint64_t limit) {
  const bool rate = fetch.what == "http_req_rate";
  Track track{nullptr, import->current, "src"};
  if (!fetch.number.empty()) {
    const std::vector<Track> tracks = TracksOf(*import, fetch.number);
    if (tracks.size() != 1) {
      return import->Remark(rule, tracks.empty()
                                      ? "no rule tracks what it looks at: left out"
                                      : "more than one rule tracks what it looks at: left out");
    }
    track = tracks.front();
  }
  const std::string key = KeyOf(track.key);
  if (key.empty() || (!rate && key != "client_ip")) {
    return import->Remark(rule, fmt::format("limits by {}, which has no counterpart: left out",
                                            ImportText(track.key)));
  }
  if (track.conditional) {
    import->Remark(*track.rule, "is under a condition: here all is counted");
  }
  if (import->ReadsFront()) {
    import->said_of_fronts.Add(rate ? "limit of http_req_rate" : "limit of conn_cur", rule.at);
  }
  if (!rate) return import->draft->SetNumber("limits.connections_per_client", limit, rule.at);
  const std::string_view table = fetch.table.empty() ? track.table : fetch.table;
  TakeRate(import, rule, limit, key, TableOf(*import, *track.proxy, table));
}

}  // namespace

bool ImportHaproxyLimit(HaproxyImport* import, const HaproxyLine& rule) {
  if (import->current == nullptr) return false;
  const std::vector<std::string> words = ConditionOf(*import, rule);
  // One comparison and nothing else: "sc_http_req_rate(0) gt 100".
  if (words.size() != 3 || (words[1] != "gt" && words[1] != "ge")) return false;
  const std::optional<uint64_t> given = ParseUnsigned(words[2]);
  const std::optional<Fetch> fetch = ReadFetch(words[0]);
  if (!given || *given > 10'000'000 || !fetch) return false;
  TakeLimit(import, rule, *fetch,
            std::max<uint64_t>(words[1] == "ge" && *given > 0 ? *given - 1 : *given, 1));
  return true;
}

}  // namespace ub
