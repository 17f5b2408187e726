// Time-outs and the queue. To HAProxy 0 is no time-out, as if there were no such line.
#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "cli/import_haproxy.h"
#include "core/config_keys.h"

namespace ub {
namespace {

using Line = HaproxyLine;

struct TimeKey {
  std::string_view name, path;
  bool endless;  // without it there is no limit; false: another one holds then
};

constexpr TimeKey kTimes[] = {
    {"check", "health_check.timeout_ms", false},  {"connect", "timeout.connect_ms", true},
    {"http-request", "timeout.header_ms", false}, {"queue", "queue.timeout_ms", false},
    {"server", "timeout.request_ms", true},
};

void SetTime(HaproxyImport* import, const Line& line, std::string_view path, bool endless) {
  uint64_t ms = 0;
  if (!import->TimeMs(line, line.arg(1), &ms)) return;
  if (ms == 0 && !endless) return;
  if (ms == 0) {
    const ConfigKey* key = FindConfigKey(path);
    ms = key->max;
    import->Remark(
        line, fmt::format("is no limit: the longest that there is was taken ({}: {})", path, ms));
  }
  import->draft->SetNumber(path, ms, line.at);
}

// The line `timeout kind`, where it is one: 0 counts as no line.
const Line* TimeoutOf(const HaproxyImport& import, const HaproxyProxy& proxy, std::string_view name,
                      uint64_t* ms) {
  const Line* line = proxy.Find(name);
  if (line == nullptr || line->size() < 2 || !import.TimeMs(*line, line->arg(1), ms)) {
    return nullptr;
  }
  return *ms == 0 ? nullptr : line;
}

// What has become of the lines `timeout client`: of one that several fronts inherit, in each.
struct ClientTimes {
  std::vector<const Line*> taken, replaced;
};

// A client between two requests has `timeout http-keep-alive`, else `timeout http-request`, else
// `timeout client`.
void FinishIdle(HaproxyImport* import, const HaproxyProxy& front, ClientTimes* lines) {
  uint64_t ms = 0, client_ms = 0;
  const Line* client = front.Find("timeout client");
  const bool good = client == nullptr || import->TimeMs(*client, client->arg(1), &client_ms);
  const Line* idle = TimeoutOf(*import, front, "timeout http-keep-alive", &ms);
  if (idle == nullptr) idle = TimeoutOf(*import, front, "timeout http-request", &ms);
  if (!good || (idle == nullptr && client == nullptr)) return;
  if (idle == nullptr) {
    lines->taken.push_back(client);
    return SetTime(import, *client, "timeout.idle_ms", true);
  }
  import->draft->SetNumber("timeout.idle_ms", ms, idle->at);
  if (client != nullptr && client_ms != ms) lines->replaced.push_back(client);
}

void RemarkReplaced(HaproxyImport* import, const ClientTimes& lines) {
  for (const Line* line : lines.replaced) {
    if (std::ranges::find(lines.taken, line) != lines.taken.end()) continue;
    import->Remark(*line,
                   "is not carried over: a client within a request has the time-outs of "
                   "one between two (timeout.idle_ms)");
  }
}

// HAProxy lets requests wait for a full server without being asked to, for `timeout queue` or
// `timeout connect`.
void FinishQueue(HaproxyImport* import) {
  if (!import->limited) return;
  ImportDraft& draft = *import->draft;
  if (!draft.Has("queue.max_requests")) {
    draft.SetNumber("queue.max_requests", 10'000, import->queue_at);
  }
  if (draft.Has("queue.timeout_ms")) return;
  uint64_t ms = 0;
  const Line* connect = TimeoutOf(*import, import->pool.front(), "timeout connect", &ms);
  if (connect != nullptr) return draft.SetNumber("queue.timeout_ms", ms, connect->at);
  draft.SetNumber("queue.timeout_ms", 5'000, import->queue_at);
  draft.Remark(import->queue_at,
               "no time-out says how long a request may wait for a server: 5 seconds were taken "
               "(queue.timeout_ms)");
}

}  // namespace

void ImportHaproxyTime(HaproxyImport& import, const HaproxyLine& line) {
  for (const TimeKey& time : kTimes) {
    if (line.arg(0) == time.name) return SetTime(&import, line, time.path, time.endless);
  }
}

void FinishHaproxyTimes(HaproxyImport* import) {
  ClientTimes lines;
  for (const HaproxyProxy& front : import->fronts) FinishIdle(import, front, &lines);
  if (import->fronts.empty()) FinishIdle(import, import->pool.front(), &lines);
  RemarkReplaced(import, lines);
  FinishQueue(import);
}

}  // namespace ub
