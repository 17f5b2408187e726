#include "cli/import_haproxy.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include "cli/import_units.h"
#include "core/config_text.h"

namespace ub {
namespace {

using Section = HaproxySection;
using Line = HaproxyLine;

bool IsPool(const Section& s) { return s.kind() == "backend" || s.kind() == "listen"; }
bool IsFront(const Section& s) {
  return (s.kind() == "frontend" || s.kind() == "listen") && !s.IsDisabled();
}

bool IsServer(const Line& line) {
  return line.name() == "server" || line.name() == "server-template";
}

bool HasServers(const Section& section) { return std::ranges::any_of(section.lines, IsServer); }

class Importer {
 public:
  Importer(const ImportOptions& options, const std::vector<Section>& sections, ImportDraft* draft)
      : import_{options, draft, sections}, draft_(*draft), sections_(sections) {
    for (const Section& section : sections_) {
      if (IsPool(section)) pools_.emplace(section.name(), &section);
    }
  }
  std::string Run();

 private:
  const Section* PoolNamed(std::string_view name) const;
  // The pool to carry over; null: there is none, which is a fault.
  const Section* Choose();
  // `http`: only one that balances HTTP.
  const Section* ChooseByUse(bool http) const;
  // True where a frontend sends requests to the pool.
  bool Leads(const Section& front, const Section& pool) const;
  void FindFronts(const Section& pool);
  void ImportLines(const HaproxyProxy& proxy);
  void ImportFronts(const Section& pool);
  void ImportGlobal();
  void RemarkRoutes(const HaproxyProxy& front, const Section& pool);
  // TCP, where no line says so.
  void RemarkMode(const Section& section);
  void RemarkRedirects(const Section& front);
  void RemarkOthers(const Section& pool);
  bool IsTable(const Section& section) const;

  HaproxyImport import_;
  ImportDraft& draft_;
  const std::vector<Section>& sections_;
  std::map<std::string_view, const Section*> pools_;
};

const Section* Importer::PoolNamed(std::string_view name) const {
  const auto found = pools_.find(name);
  return found == pools_.end() ? nullptr : found->second;
}

const Section* Importer::ChooseByUse(bool http) const {
  const auto good = [&](const Section* pool) {
    return pool != nullptr && HasServers(*pool) && !pool->IsDisabled() && (!http || pool->IsHttp());
  };
  for (const Section& section : sections_) {
    if (!IsFront(section)) continue;
    if (section.kind() == "listen" && good(&section)) return &section;
    const Section* pool = PoolNamed(section.DefaultBackend());
    if (good(pool)) return pool;
  }
  for (const Section& section : sections_) {
    for (const Line& line : section.lines) {
      const Section* pool = line.name() == "use_backend" ? PoolNamed(line.arg(0)) : nullptr;
      if (good(pool)) return pool;
    }
  }
  const auto any =
      std::ranges::find_if(sections_, [&](const Section& s) { return IsPool(s) && good(&s); });
  return any == sections_.end() ? nullptr : &*any;
}

const Section* Importer::Choose() {
  const std::string& wanted = import_.options.pool;
  const Section* chosen = wanted.empty() ? ChooseByUse(true) : PoolNamed(wanted);
  if (chosen == nullptr && wanted.empty()) chosen = ChooseByUse(false);
  if (chosen != nullptr) return chosen;
  std::string names;
  for (const Section& section : sections_) {
    if (!IsPool(section)) continue;
    names += (names.empty() ? "" : ", ") + ImportText(section.name());
  }
  draft_.Fault(MakePosition(import_.options.name),
               wanted.empty()
                   ? "there is nothing to carry over: no backend or listen section with a server"
                   : fmt::format("there is no backend \"{}\" (there are: {})", ImportText(wanted),
                                 names.empty() ? "none" : names));
  return nullptr;
}

bool Importer::Leads(const Section& front, const Section& pool) const {
  if (!IsFront(front)) return false;
  if (&front == &pool) return true;
  if (front.DefaultBackend() == pool.name()) return true;
  return std::ranges::any_of(front.lines, [&](const Line& line) {
    return line.name() == "use_backend" && line.arg(0) == pool.name();
  });
}

void Importer::FindFronts(const Section& pool) {
  const bool listens = pool.kind() == "listen";
  std::vector<const Section*> leading;
  for (const Section& section : sections_) {
    if (Leads(section, pool)) leading.push_back(&section);
  }
  // Where there is no front, what is said of one holds as it was inherited.
  const bool both = listens || leading.empty();
  import_.pool.emplace_back(pool, both ? kHaproxyBoth : kHaproxyBack);
  for (const Section* front : leading) {
    import_.fronts.emplace_back(*front, front == &pool ? kHaproxyBoth : kHaproxyFront);
  }
}

void Importer::ImportLines(const HaproxyProxy& proxy) {
  import_.current = &proxy;
  if (import_.ReadsFront()) import_.said_of_fronts.Begin();
  // "listen web :80", as it was once written.
  const Section& section = *proxy.section;
  const std::string_view address = section.head.arg(1);
  if (IsFront(section) && address.find(':') != std::string_view::npos) {
    ImportHaproxyBind(&import_, {section.head.at, {"bind", std::string(address)}});
  }
  RemarkMode(section);
  // A server without a port has that of the first listener.
  for (const bool binds : {true, false}) {
    for (const Line* line : proxy.lines) {
      if ((line->name() == "bind") == binds) ImportHaproxyLine(&import_, *line);
    }
  }
}

void Importer::ImportGlobal() {
  import_.current = nullptr;
  draft_.set_quiet(true);
  for (const Section& section : sections_) {
    if (section.kind() != "global") continue;
    for (const Line& line : section.lines) ImportHaproxyLine(&import_, line);
  }
  draft_.set_quiet(false);
}

void Importer::RemarkMode(const Section& section) {
  if (section.Find("mode") != nullptr) return;
  draft_.Remark(section.head.at, fmt::format("{} has no `mode`, which is TCP: connections are read "
                                             "as HTTP here",
                                             ImportText(section.head.Text())));
}

void Importer::RemarkRoutes(const HaproxyProxy& front, const Section& pool) {
  const bool redirected = front.redirect != nullptr && !front.any_tls;
  const std::string name = ImportText(pool.name());
  for (const Line* line : front.lines) {
    if (line->name() != "use_backend") continue;
    if (redirected) {
      import_.Remark(*line, "all that comes to this frontend is redirected");
    } else if (line->arg(0) == pool.name()) {
      import_.Remark(*line, "paths and hosts are not told apart: all requests go there");
    } else {
      import_.Remark(*line, fmt::format("another pool (an instance has one): its requests go to "
                                        "\"{}\" too",
                                        name));
    }
  }
  const std::string_view fallback = front.section->DefaultBackend();
  if (fallback.empty() || fallback == pool.name() || redirected) return;
  draft_.Remark(
      front.section->head.at,
      fmt::format("default_backend {}: its requests go to \"{}\" too", ImportText(fallback), name));
}

void Importer::ImportFronts(const Section& pool) {
  for (const HaproxyProxy& front : import_.fronts) {
    ImportLines(front);
    RemarkRoutes(front, pool);
  }
}

// Whether it is there for its table alone.
bool Importer::IsTable(const Section& section) const {
  return section.kind() == "backend" && !HasServers(section) &&
         section.Find("stick-table") != nullptr;
}

void Importer::RemarkRedirects(const Section& front) {
  for (const Line& line : front.lines) {
    if (HttpsRedirectOf(line, {}) == HaproxyRedirect::kNone) continue;
    import_.Remark(line, "is left out: tls.redirect_http is for all that comes without TLS");
  }
}

void Importer::RemarkOthers(const Section& pool) {
  const std::set<const Section*> carried = import_.CarriedFronts();
  for (const Section& section : sections_) {
    const std::string name = ImportText(section.name());
    if (section.kind() == "global" || section.kind() == "defaults" || &section == &pool) continue;
    if (carried.contains(&section) || IsTable(section)) continue;
    const std::string said = ImportText(section.head.Text());
    if (IsPool(section) && HasServers(section)) {
      draft_.Remark(section.head.at,
                    fmt::format("{} is another pool: import --pool {}", said, name));
    } else if (section.IsDisabled()) {
      draft_.Remark(section.head.at, fmt::format("{} is disabled, and was left out", said));
    } else if (section.kind() == "frontend") {
      draft_.Remark(section.head.at,
                    fmt::format("{} does not lead to the pool, and was left out", said));
      RemarkRedirects(section);
    } else if (section.kind() == "resolvers") {
      draft_.Remark(section.head.at, fmt::format("{}: names are looked up as the system does "
                                                 "(resolve_interval_ms says how often)",
                                                 said));
    } else {
      draft_.Remark(section.head.at, fmt::format("{} has no counterpart", said));
    }
  }
}

std::string Importer::Run() {
  const Section* pool = Choose();
  if (pool == nullptr) return {};
  for (const Section& section : sections_) {
    for (const Line& line : section.lines) CollectHaproxyTls(&import_, line);
  }
  FindFronts(*pool);
  ImportFronts(*pool);
  if (pool->kind() != "listen") ImportLines(import_.pool.front());
  FinishHaproxyBinds(&import_);
  FinishHaproxyServers(&import_);
  ImportGlobal();
  RemarkOthers(*pool);
  FinishHaproxyTimes(&import_);
  FinishHaproxyChecks(&import_);
  FinishHaproxyTls(&import_);
  import_.said_of_fronts.Remark(&draft_, "frontends");
  if (draft_.backends() == 0 && !draft_.faulty()) {
    draft_.Fault(
        MakePosition(import_.options.name),
        fmt::format("the pool \"{}\" has no server to carry over", ImportText(pool->name())));
  }
  return fmt::format("the {} \"{}\"", pool->kind(), ImportText(pool->name()));
}

}  // namespace

namespace {

// A value of the environment is not known here. True: it is one, which was told.
bool IsFromEnvironment(const HaproxyImport& import, const HaproxyLine& line,
                       std::string_view text) {
  if (text.find('$') == std::string_view::npos) return false;
  import.draft->Remark(line.at, fmt::format("\"{}\": {} comes from the environment: left out",
                                            ImportText(line.Text()), ImportText(text)));
  return true;
}

}  // namespace

bool HaproxyImport::Number(const HaproxyLine& line, std::string_view text, uint64_t* out) const {
  const std::optional<uint64_t> number = ParseUnsigned(text);
  if (number && *number <= UINT32_MAX) return *out = *number, true;
  if (IsFromEnvironment(*this, line, text)) return false;
  draft->Fault(line.at, fmt::format("{}: \"{}\" is not a number", line.name(), ImportText(text)));
  return false;
}

bool HaproxyImport::TimeMs(const HaproxyLine& line, std::string_view text, uint64_t* out) const {
  if (const std::optional<uint64_t> ms = HaproxyTimeMs(text)) return *out = *ms, true;
  if (IsFromEnvironment(*this, line, text)) return false;
  draft->Fault(line.at, fmt::format("{}: \"{}\" is not a time (such as 30s)", line.name(),
                                    ImportText(text)));
  return false;
}

std::set<const HaproxySection*> HaproxyImport::CarriedFronts() const {
  std::set<const HaproxySection*> carried;
  for (const auto* proxies : {&fronts, &redirecting}) {
    for (const HaproxyProxy& proxy : *proxies) carried.insert(proxy.section);
  }
  return carried;
}

void HaproxyImport::Remark(const HaproxyLine& line, std::string_view text) const {
  draft->Remark(line.at, fmt::format("\"{}\" {}", ImportText(line.Text()), text));
}

std::string ImportHaproxy(const ImportOptions& options, std::string_view text, ImportDraft* draft) {
  const std::vector<HaproxySection> sections = ReadHaproxy(text, options.name, draft);
  if (draft->faulty()) return {};
  return Importer(options, sections, draft).Run();
}

}  // namespace ub
