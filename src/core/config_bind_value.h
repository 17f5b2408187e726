// Binds one value to the field of its key: the part of the validator that knows the types. Used by
// config_bind only.
#ifndef UB_CORE_CONFIG_BIND_VALUE_H_
#define UB_CORE_CONFIG_BIND_VALUE_H_

#include <string>
#include <string_view>
#include <vector>

#include "core/config_bind.h"
#include "core/config_keys.h"

namespace ub {

// Checks `node` against `key` and writes the field. Every key but the kListen… ones,
// kBackendList and kCertificateList, which config_bind_lists and config_bind_tls know.
void BindValue(const ConfigKey& key, const ConfigNode& node, const BindOptions& options,
               Config* config, ConfigProblems* problems);

// The items of a list: of a sequence, or the comma-separated parts of an untyped text, or the one
// value itself. Items that are no scalars are reported and left out.
struct ListItem {
  std::string text;
  SourcePosition position;
};
std::vector<ListItem> ListItems(std::string_view path, const ConfigNode& node,
                                std::string_view expected, ConfigProblems* problems);

// True where `node` is a scalar; else reports "path: expected …, found …".
bool ExpectScalar(std::string_view path, const ConfigNode& node, std::string_view expected,
                  ConfigProblems* problems);
// A whole number in a range, with every message about it. False: reported.
bool BindNumber(std::string_view path, const ConfigNode& node, uint64_t min, uint64_t max,
                bool or_auto, uint64_t* out, ConfigProblems* problems);
bool BindBool(std::string_view path, const ConfigNode& node, bool* out, ConfigProblems* problems);
bool BindText(std::string_view path, const ConfigNode& node, std::string* out,
              ConfigProblems* problems);

// True for the characters of an HTTP token, at least one.
bool IsHttpToken(std::string_view text);

}  // namespace ub

#endif  // UB_CORE_CONFIG_BIND_VALUE_H_
