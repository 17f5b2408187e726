#include "cli/import_haproxy_proxy.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace ub {
namespace {

struct Entry {
  const HaproxyLine* line;
  const HaproxySection* from;
  HaproxyKeyword keyword;
  bool gone = false;
};

// Takes the lines of section after section, the outermost first.
class Resolver {
 public:
  explicit Resolver(uint8_t sides) : sides_(sides) {}
  void Take(const HaproxySection& from);
  const std::vector<Entry>& entries() const { return entries_; }

 private:
  // "no option x", "no log".
  void TakeBack(const HaproxyLine& line);
  // Forgets what is in a slot, where `gone` says so.
  template <typename Predicate>
  void Forget(const std::string& slot, Predicate gone);

  uint8_t sides_;
  std::vector<Entry> entries_;
  std::map<std::string, std::vector<size_t>> slots_;
};

template <typename Predicate>
void Resolver::Forget(const std::string& slot, Predicate gone) {
  std::erase_if(slots_[slot], [&](size_t i) {
    if (!gone(entries_[i])) return false;
    return entries_[i].gone = true;
  });
}

void Resolver::TakeBack(const HaproxyLine& line) {
  if (line.size() == 0) return;
  const HaproxyLine without{line.at, {line.words.begin() + 1, line.words.end()}};
  const HaproxyKeyword keyword = FindHaproxyKeyword(without);
  Forget(keyword.slot, [&](const Entry& entry) { return entry.keyword.name == keyword.name; });
}

void Resolver::Take(const HaproxySection& from) {
  for (const HaproxyLine& line : from.lines) {
    if (line.name() == "no" || line.name() == "default") {
      TakeBack(line);
      continue;
    }
    HaproxyKeyword keyword = FindHaproxyKeyword(line);
    if ((keyword.sides & sides_) == 0) continue;
    if (keyword.repeat != HaproxyRepeat::kAdds) {
      const bool all = keyword.repeat == HaproxyRepeat::kReplaces;
      Forget(keyword.slot, [&](const Entry& entry) { return all || entry.from != &from; });
    }
    slots_[keyword.slot].push_back(entries_.size());
    entries_.push_back({&line, &from, std::move(keyword)});
  }
}

}  // namespace

HaproxyRedirect HttpsRedirectOf(const HaproxyLine& line, const HaproxyAcls& acls) {
  const size_t from = line.name() == "http-request" ? 1 : 0;
  if (line.name() != "redirect" && (from == 0 || line.arg(0) != "redirect")) {
    return HaproxyRedirect::kNone;
  }
  if (line.arg(from) != "scheme" || line.arg(from + 1) != "https") return HaproxyRedirect::kNone;
  std::string condition;
  for (size_t i = from + 2; i < line.size(); ++i) {
    if (line.arg(i) == "code") {
      ++i;  // 308 is the one that is sent
    } else {
      condition += line.arg(i);
    }
  }
  bool always = condition.empty();
  for (const std::string_view without : {"unless", "if!"}) {
    if (!condition.starts_with(without)) continue;
    const std::string_view tls = std::string_view(condition).substr(without.size());
    const auto acl = acls.find(tls);
    const bool named = acl != acls.end() && acl->second.size() == 1 &&
                       acl->second[0]->size() == 2 && acl->second[0]->arg(1) == "ssl_fc";
    always = named || tls == "{ssl_fc}";
  }
  return always ? HaproxyRedirect::kAlways : HaproxyRedirect::kUnderConditions;
}

HaproxyProxy::HaproxyProxy(const HaproxySection& given, uint8_t given_sides)
    : section(&given), sides(given_sides) {
  std::vector<const HaproxySection*> chain;
  for (const HaproxySection* at = &given; at != nullptr; at = at->defaults) chain.push_back(at);
  Resolver resolver(sides);
  for (auto at = chain.rbegin(); at != chain.rend(); ++at) resolver.Take(**at);
  for (const Entry& entry : resolver.entries()) {
    if (entry.gone) continue;
    const HaproxyLine& line = *entry.line;
    lines.push_back(&line);
    if (!entry.keyword.name.empty()) by_name[entry.keyword.name] = &line;
    if (line.name() == "acl" && line.size() > 1) acls[line.arg(0)].push_back(&line);
    if (redirect == nullptr && HttpsRedirectOf(line, acls) == HaproxyRedirect::kAlways) {
      redirect = &line;
    }
    if (line.name() != "bind") continue;
    const bool tls = std::ranges::find(line.words, "ssl") != line.words.end();
    any_tls = any_tls || tls;
    all_tls = all_tls && tls;
  }
  all_tls = all_tls && any_tls;
}

const HaproxyLine* HaproxyProxy::Find(std::string_view name) const {
  const auto found = by_name.find(name);
  return found == by_name.end() ? nullptr : found->second;
}

void HaproxyTally::Add(const std::string& what, const SourcePosition& at) {
  if (!said_now_.insert(what).second) return;
  Said& said = said_[what];
  if (said.times++ == 0) said.at = at;
}

void HaproxyTally::Remark(ImportDraft* draft, std::string_view whose) const {
  for (const auto& [what, said] : said_) {
    if (said.times == all_) continue;
    draft->Remark(said.at, fmt::format("\"{}\" is given for some {} only, and holds for all here",
                                       ImportText(what), whose));
  }
}

}  // namespace ub
