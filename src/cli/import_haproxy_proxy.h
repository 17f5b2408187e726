// A proxy of HAProxy's as it is once its defaults are in: which lines hold, and who says a thing
// that is one for all here. Used by import_haproxy.
#ifndef UB_CLI_IMPORT_HAPROXY_PROXY_H_
#define UB_CLI_IMPORT_HAPROXY_PROXY_H_

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "cli/import_draft.h"
#include "cli/import_haproxy_tree.h"

namespace ub {

// The sides of a proxy that a keyword speaks of, as bits.
constexpr uint8_t kHaproxyFront = 1, kHaproxyBack = 2, kHaproxyBoth = 3;

enum class HaproxyRepeat : uint8_t {
  kAdds,               // each line counts: acl, server
  kReplaces,           // the last one counts: timeout, balance
  kReplacesInherited,  // those of a section count, and none that it inherits
};

struct HaproxyKeyword {
  std::string_view name{};  // one word or two; empty: not known
  uint8_t sides = kHaproxyBoth;
  HaproxyRepeat repeat = HaproxyRepeat::kAdds;
  bool carried = false;  // becomes something here
  bool lost = false;     // there is a remark on it
  std::string slot{};    // lines of one slot replace each other
};

// What is known of a line's keyword.
HaproxyKeyword FindHaproxyKeyword(const HaproxyLine& line);

using HaproxyAcls = std::map<std::string_view, std::vector<const HaproxyLine*>>;

// "redirect scheme https ...", with or without "http-request" before it; `always`: under no
// condition but that the request came without TLS, which one of the acls may say.
enum class HaproxyRedirect : uint8_t { kNone, kUnderConditions, kAlways };
HaproxyRedirect HttpsRedirectOf(const HaproxyLine& line, const HaproxyAcls& acls);

// The lines that hold in a proxy, the outermost defaults' first: without those that a later one
// replaces or takes back, and without those that speak of a side that the proxy has not.
struct HaproxyProxy {
  HaproxyProxy(const HaproxySection& given, uint8_t given_sides);

  const HaproxySection* section;
  uint8_t sides;
  std::vector<const HaproxyLine*> lines{};
  std::map<std::string_view, const HaproxyLine*> by_name{};  // of each keyword, the last line
  HaproxyAcls acls{};
  bool all_tls = true, any_tls = false;   // of a front's binds
  const HaproxyLine* redirect = nullptr;  // sends what comes without TLS to https

  const HaproxyLine* Find(std::string_view name) const;
};

// Who says a thing that is one for all here: servers, listeners with TLS, frontends.
class HaproxyTally {
 public:
  // One more of those that could say it.
  void Begin() {
    ++all_;
    said_now_.clear();
  }
  // It says this; counted once.
  void Add(const std::string& what, const SourcePosition& at);
  // Remarks on what not all have said. `whose`: "servers".
  void Remark(ImportDraft* draft, std::string_view whose) const;

 private:
  struct Said {
    SourcePosition at;
    size_t times = 0;
  };
  size_t all_ = 0;
  std::map<std::string, Said> said_;
  std::set<std::string> said_now_;
};

}  // namespace ub

#endif  // UB_CLI_IMPORT_HAPROXY_PROXY_H_
