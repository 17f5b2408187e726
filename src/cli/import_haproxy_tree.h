// An HAProxy configuration as sections of lines of words. Knows the syntax alone. Used by
// import_haproxy.
#ifndef UB_CLI_IMPORT_HAPROXY_TREE_H_
#define UB_CLI_IMPORT_HAPROXY_TREE_H_

#include <string>
#include <string_view>
#include <vector>

#include "cli/import_draft.h"
#include "core/config_node.h"

namespace ub {

struct HaproxyLine {
  SourcePosition at;
  std::vector<std::string> words;   // without quotes; never empty
  std::vector<uint32_t> columns{};  // of each word; empty where the line was made here

  const std::string& name() const { return words[0]; }
  // The arguments' number, and each from 0; empty where there is none.
  size_t size() const { return words.size() - 1; }
  std::string_view arg(size_t i) const {
    return i + 1 < words.size() ? std::string_view(words[i + 1]) : std::string_view();
  }
  // Where argument i stands: what is refused is taken out by its place.
  SourcePosition ArgAt(size_t i) const;
  // "balance roundrobin", for messages.
  std::string Text() const;
};

struct HaproxySection {
  HaproxyLine head;  // "backend app from common"
  std::vector<HaproxyLine> lines;
  const HaproxySection* defaults = nullptr;  // of a proxy: the section that it inherits from

  const std::string& kind() const { return head.name(); }
  std::string_view name() const { return head.arg(0); }
  // The line of this keyword that holds: the section's last one, else one that it inherits. Null:
  // there is none.
  const HaproxyLine* Find(std::string_view keyword) const;
  // Whether `disabled` holds in it: it neither listens nor serves.
  bool IsDisabled() const;
  // Whether it is a proxy of HTTP; TCP is HAProxy's default.
  bool IsHttp() const;
  // Where a front sends what no rule sends elsewhere; empty: nowhere.
  std::string_view DefaultBackend() const;
};

// Faults go to `draft`. The sections point to one another.
std::vector<HaproxySection> ReadHaproxy(std::string_view text, const std::string& file,
                                        ImportDraft* draft);

}  // namespace ub

#endif  // UB_CLI_IMPORT_HAPROXY_TREE_H_
