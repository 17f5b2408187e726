// What was changed at run time through the admin API, kept apart from the configuration and applied
// over it: at start, at reload, and by a controller that takes over from a dead one.
//
// Owned by the controller, which hands each new state to the master. As text it is JSON: the master
// writes it to admin.state_file, where the controller could not, and keeps it for the next one.
#ifndef UB_UPSTREAM_RUNTIME_STATE_H_
#define UB_UPSTREAM_RUNTIME_STATE_H_

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/config.h"
#include "core/status.h"
#include "upstream/backend_table.h"

namespace ub {

// What was changed about one address.
struct RuntimeChange {
  bool added = false;    // it is not in the configuration; the fields at the end describe it
  bool removed = false;  // it is, and was taken out
  bool drained = false;
  uint32_t weight = 0;  // 0: as configured
  uint32_t max_connections = 0;
  bool backup = false;
  std::string name;
  bool h2 = false;  // protocol

  bool empty() const { return !added && !removed && !drained && weight == 0; }
  bool operator==(const RuntimeChange&) const = default;
};

class RuntimeState {
 public:
  // By address, as BackendConfig::AddressText writes it: a name, or one of the addresses behind it.
  std::map<std::string, RuntimeChange> changes;

  bool operator==(const RuntimeState&) const = default;
  std::string ToText() const;
  // Error kInvalid: not a text of ToText; what is wrong with it.
  static Result<RuntimeState> Parse(std::string_view text);
  // From a file; none gives an empty state. A broken one is reported in the log and set aside (to
  // PATH.broken), which is never fatal. Error: it cannot be read.
  static Result<RuntimeState> Load(const std::string& path);
  // Nothing is changed that would have to be remembered.
  bool Empty() const;

  // `config` with the backends that were added.
  Config WithAdded(const Config& config) const;
  // What is known of a resolved backend, by its own address and by what the configuration calls it: removed or drained by
  // either, unless it was added by itself; the weight of its own goes before its name's.
  RuntimeChange Find(const BackendSpec& spec) const;
  // Takes weight and administrative state into it. False: it was removed.
  bool Overlay(BackendSpec* spec) const;
  // Only the drains: what a reload keeps where there is no state file.
  RuntimeState Drains() const;
};

// MasterHooks::load_state: the state file's content, in the form of ToText. Empty: none is
// configured, or it cannot be read, which the log says.
std::string LoadRuntimeState(const Config& config);

}  // namespace ub

#endif  // UB_UPSTREAM_RUNTIME_STATE_H_
