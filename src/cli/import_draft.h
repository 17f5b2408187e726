// What an import has gathered so far, whatever format it reads: values of our keys with the place
// that each comes from, remarks on what could not be carried over, and faults of the input. The
// readers of nginx's and HAProxy's configurations fill it; Finish() checks it as `validate` would
// and writes YAML.
//
// Used by `ultrabalancer import` alone, in one short-lived process.
#ifndef UB_CLI_IMPORT_DRAFT_H_
#define UB_CLI_IMPORT_DRAFT_H_

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/config_node.h"

namespace ub {

// One backend as an importer found it. `weight` and `max_connections` 0: not given.
struct ImportedBackend {
  std::string host;  // a name, an IP address, or unix:/path
  uint64_t port = 0;
  std::optional<uint64_t> weight;
  uint64_t max_connections = 0;
  bool backup = false;
  bool h2 = false;
  std::string name;
};

class ImportDraft {
 public:
  // `file`: what messages call the input.
  explicit ImportDraft(const std::string& file) : root_(ConfigNode::Mapping(MakePosition(file))) {}

  // Sets a key by its dotted path. The first value stands: another one that differs is remarked on,
  // unless the draft is quiet (see below).
  void Set(std::string_view path, std::string text, const SourcePosition& at);
  // The same for numbers and durations (in the key's unit); what is out of the key's range is taken
  // to its nearest end, with a remark.
  void SetNumber(std::string_view path, uint64_t value, const SourcePosition& at);
  void SetBool(std::string_view path, bool value, const SourcePosition& at) {
    Set(path, value ? "true" : "false", at);
  }
  // A listener with TLS. It is kept where there is a certificate in the end, and else remarked on.
  void AddTlsListener(const std::string& address, const SourcePosition& at);
  // Sockets at [::] and this port take IPv4 too. Ours do not: 0.0.0.0 is listened at as well, in
  // the end, where it is not there by itself.
  void TakeIpv4Too(std::string_view port) { both_families_.emplace(port); }
  // Whether there will be one: a listener was given, and a certificate.
  bool ServesTls() const { return !tls_listeners_.empty() && Has("tls.certificates"); }
  // A certificate with its key; the key empty: in the same file. The first one given is the one for
  // clients that ask for no known name. Paths that no list may hold are remarked on.
  void AddCertificate(const std::string& certificate, const std::string& key,
                      const SourcePosition& at);
  // Takes the value of a Strict-Transport-Security field.
  void SetHsts(std::string_view value, const SourcePosition& at);
  // Adds to a list, where it is not there yet.
  void Add(std::string_view path, std::string item, const SourcePosition& at);
  // Puts `name: value` into a key that holds names and values.
  void SetEntry(std::string_view path, const std::string& name, std::string value,
                const SourcePosition& at);
  // Adds a backend; a second one of the same address gives its weight to the first, with a remark.
  void AddBackend(const ImportedBackend& backend, const SourcePosition& at);

  bool Has(std::string_view path) const { return root_.FindPath(path) != nullptr; }
  size_t backends() const;
  // How many values were taken so far: whether something gave one.
  size_t taken() const { return taken_; }
  // Forgets a key.
  void Remove(std::string_view path);

  // While quiet, values that are there already stand without a remark: for settings that others
  // inherit (nginx's outer blocks, HAProxy's defaults).
  void set_quiet(bool quiet) { quiet_ = quiet; }

  // A thing that was not carried over, or not to the letter.
  void Remark(const SourcePosition& at, std::string text);
  // A fault of the input: nothing is printed but these.
  void Fault(const SourcePosition& at, const std::string& text);

  bool faulty() const { return !faults_.empty(); }
  // "FILE:LINE:COLUMN: text", in the order of the files' lines.
  std::vector<std::string> FaultLines();

  // The YAML with `head` (whole comment lines) before it and the remarks behind. A value that the
  // configuration refuses is dropped, with a remark. Call it once, where nothing is faulty; where
  // what is left is no configuration, there is a fault afterwards.
  std::string Finish(const std::string& head);

 private:
  bool DropRefused(const ConfigProblems& problems);
  // A backup needs somebody to stand in for.
  void LeaveAPrimary();
  // What is left of TLS in the end.
  void FinishTls();
  void AddIpv4Listeners();

  ConfigNode root_;
  ConfigProblems remarks_;
  ConfigProblems faults_;
  std::map<std::string, SourcePosition> addresses_;                  // of the backends
  std::map<std::string, std::set<std::string>, std::less<>> added_;  // the items of each list
  std::vector<std::pair<std::string, SourcePosition>> tls_listeners_;
  std::set<std::string, std::less<>> both_families_;  // ports
  std::set<std::string> said_;                        // the remarks, each once
  size_t taken_ = 0;
  bool quiet_ = false;
};

// Text as it may stand in a comment and in a message: control characters and what is not ASCII as
// \xNN, cut after `max` bytes.
std::string ImportText(std::string_view text, size_t max = 70);

}  // namespace ub

#endif  // UB_CLI_IMPORT_DRAFT_H_
