#include "cli/import_haproxy.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "cli/import_units.h"
#include "core/config_text.h"

namespace ub {
namespace {

using Section = HaproxySection;
using Line = HaproxyLine;

bool IsPool(const Section& s) { return s.kind() == "backend" || s.kind() == "listen"; }
bool IsFront(const Section& s) { return s.kind() == "frontend" || s.kind() == "listen"; }

bool IsServer(const Line& line) {
  return line.name() == "server" || line.name() == "server-template";
}

bool HasServers(const Section& section) { return std::ranges::any_of(section.lines, IsServer); }

// Where a frontend sends what no rule sends elsewhere; empty: nowhere.
std::string_view DefaultBackend(const Section& section) {
  for (const Section* from = &section; from != nullptr; from = from->defaults) {
    for (const Line& line : from->lines) {
      if (line.name() == "default_backend") return line.arg(0);
    }
  }
  return {};
}

class Importer {
 public:
  Importer(const ImportOptions& options, const std::vector<Section>& sections, ImportDraft* draft)
      : import_{options, draft}, draft_(*draft), sections_(sections) {}
  std::string Run();

 private:
  const Section* PoolNamed(std::string_view name) const;
  // The pool to carry over; null: there is none, which is a fault.
  const Section* Choose();
  const Section* ChooseByUse() const;
  // True where a frontend sends requests to the pool.
  bool Leads(const Section& front, const Section& pool) const;
  void ImportLines(const Section& section);
  // What the section inherits, where it does not say it itself.
  void ImportDefaults(const Section* defaults);
  void ImportServers(const Section& pool);
  void ImportFronts(const Section& pool);
  void ImportRedirects();
  void RemarkRoutes(const Section& front, const Section& pool);
  void RemarkOthers(const Section& pool);
  // What needs more than one line to be known.
  void FinishTimes(const Section& pool);
  void FinishQueue();

  HaproxyImport import_;
  ImportDraft& draft_;
  const std::vector<Section>& sections_;
  std::vector<const Section*> fronts_;  // that lead to the pool
};

const Section* Importer::PoolNamed(std::string_view name) const {
  const auto found = std::ranges::find_if(
      sections_, [&](const Section& s) { return IsPool(s) && s.name() == name; });
  return found == sections_.end() ? nullptr : &*found;
}

const Section* Importer::ChooseByUse() const {
  for (const Section& section : sections_) {
    if (!IsFront(section)) continue;
    if (section.kind() == "listen" && HasServers(section)) return &section;
    const Section* pool = PoolNamed(DefaultBackend(section));
    if (pool != nullptr && HasServers(*pool)) return pool;
  }
  for (const Section& section : sections_) {
    for (const Line& line : section.lines) {
      const Section* pool = line.name() == "use_backend" ? PoolNamed(line.arg(0)) : nullptr;
      if (pool != nullptr && HasServers(*pool)) return pool;
    }
  }
  const auto any =
      std::ranges::find_if(sections_, [](const Section& s) { return IsPool(s) && HasServers(s); });
  return any == sections_.end() ? nullptr : &*any;
}

const Section* Importer::Choose() {
  const std::string& wanted = import_.options.pool;
  const Section* chosen = wanted.empty() ? ChooseByUse() : PoolNamed(wanted);
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
  if (&front == &pool) return pool.kind() == "listen";
  if (!IsFront(front)) return false;
  if (DefaultBackend(front) == pool.name()) return true;
  return std::ranges::any_of(front.lines, [&](const Line& line) {
    return line.name() == "use_backend" && line.arg(0) == pool.name();
  });
}

void Importer::ImportLines(const Section& section) {
  for (const Line& line : section.lines) {
    if (IsServer(line)) continue;
    if (line.name() == "bind") {
      if (line.size() > 0) ImportHaproxyBind(&import_, line);
    } else {
      ImportHaproxyLine(&import_, line);
    }
  }
}

void Importer::ImportDefaults(const Section* defaults) {
  draft_.set_quiet(true);
  for (; defaults != nullptr; defaults = defaults->defaults) ImportLines(*defaults);
  draft_.set_quiet(false);
}

void Importer::ImportServers(const Section& pool) {
  for (const Line& line : pool.lines) {
    if (IsServer(line)) ImportHaproxyServer(&import_, line);
    if (line.name() == "dispatch" && line.size() > 0) {
      ImportHaproxyServer(&import_, {line.at, {"server", "dispatch", line.words[1]}});
    }
  }
  if (import_.weighted) draft_.SetNumber("default_weight", 1, MakePosition("HAProxy's default"));
}

void Importer::RemarkRoutes(const Section& front, const Section& pool) {
  for (const Line& line : front.lines) {
    if (line.name() != "use_backend") continue;
    const bool to_pool = line.arg(0) == pool.name();
    import_.Remark(line, to_pool
                             ? "paths and hosts are not told apart: all requests go there"
                             : fmt::format("another pool (an instance has one): its requests go "
                                           "to \"{}\" too",
                                           ImportText(pool.name())));
  }
  const std::string_view fallback = DefaultBackend(front);
  if (!fallback.empty() && fallback != pool.name()) {
    draft_.Remark(front.head.at, fmt::format("default_backend {}: its requests go to \"{}\" too",
                                             ImportText(fallback), ImportText(pool.name())));
  }
}

void Importer::ImportFronts(const Section& pool) {
  for (const Section& section : sections_) {
    if (Leads(section, pool)) fronts_.push_back(&section);
  }
  for (const Section* front : fronts_) {
    // "listen web :80", as it was once written.
    const std::string_view address = front->head.arg(1);
    if (address.find(':') != std::string_view::npos) {
      ImportHaproxyBind(&import_, {front->head.at, {"bind", std::string(address)}});
    }
    if (front != &pool) ImportLines(*front);
    RemarkRoutes(*front, pool);
  }
}

// A frontend that only redirects to https is tls.redirect_http, unless there are requests without
// TLS that are to be balanced.
void Importer::ImportRedirects() {
  if (!draft_.ServesTls() || draft_.Has("listen")) return;
  for (const Section& section : sections_) {
    const bool leads = std::ranges::find(fronts_, &section) != fronts_.end();
    if (section.kind() != "frontend" || leads || !DefaultBackend(section).empty()) continue;
    const auto redirect = std::ranges::find_if(section.lines, [&](const Line& line) {
      return ImportHaproxyRedirect(&import_, line);
    });
    if (redirect == section.lines.end()) continue;
    for (const Line& line : section.lines) {
      if (line.name() == "bind" && line.size() > 0) ImportHaproxyBind(&import_, line);
    }
    fronts_.push_back(&section);
  }
}

void Importer::RemarkOthers(const Section& pool) {
  for (const Section& section : sections_) {
    const std::string name = ImportText(section.name());
    if (section.kind() == "global" || section.kind() == "defaults" || &section == &pool) continue;
    if (std::ranges::find(fronts_, &section) != fronts_.end()) continue;
    const std::string said = ImportText(section.head.Text());
    if (IsPool(section) && HasServers(section)) {
      draft_.Remark(section.head.at,
                    fmt::format("{} is another pool: import --pool {}", said, name));
    } else if (section.kind() == "frontend") {
      draft_.Remark(section.head.at,
                    fmt::format("{} does not lead to the pool, and was left out", said));
    } else if (section.kind() == "resolvers") {
      draft_.Remark(section.head.at, fmt::format("{}: names are looked up as the system does "
                                                 "(resolve_interval_ms says how often)",
                                                 said));
    } else {
      draft_.Remark(section.head.at, fmt::format("{} has no counterpart", said));
    }
  }
}

// A client between two requests has `timeout http-keep-alive`, else `timeout http-request`, else
// `timeout client`.
void Importer::FinishTimes(const Section& pool) {
  std::vector<const Section*> from = fronts_;
  if (from.empty()) from.push_back(&pool);
  for (const std::string_view kind : {"http-request", "client"}) {
    for (const Section* section = from[0]; section != nullptr; section = section->defaults) {
      for (const Line& line : section->lines) {
        uint64_t ms = 0;
        if (line.name() != "timeout" || line.arg(0) != kind || draft_.Has("timeout.idle_ms"))
          continue;
        if (import_.TimeMs(line, line.arg(1), &ms))
          draft_.SetNumber("timeout.idle_ms", ms, line.at);
      }
    }
  }
}

// HAProxy lets requests wait for a full server without being asked to, for `timeout queue` or
// `timeout connect`.
void Importer::FinishQueue() {
  if (!import_.limited) return;
  draft_.set_quiet(true);
  draft_.SetNumber("queue.max_requests", 10'000, import_.queue_at);
  draft_.SetNumber("queue.timeout_ms", 5'000, import_.queue_at);
  draft_.set_quiet(false);
}

std::string Importer::Run() {
  const Section* pool = Choose();
  if (pool == nullptr) return {};
  for (const Section& section : sections_) {
    for (const Line& line : section.lines) {
      CollectHaproxyRate(&import_, line);
      CollectHaproxyTls(&import_, line);
    }
  }
  ImportLines(*pool);
  ImportFronts(*pool);
  ImportDefaults(pool->defaults);
  for (const Section* front : fronts_) {
    if (front->defaults != pool->defaults) ImportDefaults(front->defaults);
  }
  ImportRedirects();
  ImportServers(*pool);
  draft_.set_quiet(true);
  for (const Section& section : sections_) {
    if (section.kind() == "global") ImportLines(section);
  }
  draft_.set_quiet(false);
  RemarkOthers(*pool);
  FinishTimes(*pool);
  FinishQueue();
  FinishHaproxyChecks(&import_);
  FinishHaproxyTls(&import_);
  if (draft_.backends() == 0 && !draft_.faulty()) {
    draft_.Fault(
        MakePosition(import_.options.name),
        fmt::format("the pool \"{}\" has no server to carry over", ImportText(pool->name())));
  }
  return fmt::format("the {} \"{}\"", pool->kind(), ImportText(pool->name()));
}

}  // namespace

bool HaproxyImport::Number(const HaproxyLine& line, std::string_view text, uint64_t* out) const {
  const std::optional<uint64_t> number = ParseUnsigned(text);
  if (number && *number <= UINT32_MAX) return *out = *number, true;
  draft->Fault(line.at, fmt::format("{}: \"{}\" is not a number", line.name(), ImportText(text)));
  return false;
}

bool HaproxyImport::TimeMs(const HaproxyLine& line, std::string_view text, uint64_t* out) const {
  if (const std::optional<uint64_t> ms = HaproxyTimeMs(text)) return *out = *ms, true;
  draft->Fault(line.at, fmt::format("{}: \"{}\" is not a time (such as 30s)", line.name(),
                                    ImportText(text)));
  return false;
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
