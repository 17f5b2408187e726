// `ultrabalancer import`: an nginx or HAProxy configuration in, ours out. One instance balances one
// pool, so one of the file's pools is carried over, with the listeners, limits and time-outs that
// its requests meet; whatever else there is becomes a comment with file and line.
//
// Reads the files that it is told to include, and nothing else.
#ifndef UB_CLI_IMPORT_H_
#define UB_CLI_IMPORT_H_

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace ub {

struct ImportOptions {
  std::string file{};  // its path; "-": standard input
  std::string name{};  // what messages call it; ImportConfig makes it of `file`
  std::string from{};  // "nginx", "haproxy"; empty: by what is in the file, then by its name
  std::string pool{};  // the upstream or backend to carry over; empty: where most requests go
  bool follow_includes = true;  // nginx's `include`; false: each is remarked on instead
  // Whether this machine has such a user or group: one that it does not have is not carried over.
  std::function<bool(const std::string&)> has_user{};
  std::function<bool(const std::string&)> has_group{};
  // The files in a directory, sorted: HAProxy's `crt` may name one. Empty where it is none.
  std::function<std::vector<std::string>(const std::string&)> files_in{};
};

struct ImportResult {
  std::string yaml;                 // passes `validate`, as far as names can be looked up
  std::vector<std::string> faults;  // "FILE:LINE:COLUMN: what is wrong"; then there is no yaml
};

// The text of a configuration that was read from options.file.
ImportResult ImportConfig(const ImportOptions& options, std::string_view text);

}  // namespace ub

#endif  // UB_CLI_IMPORT_H_
