// What the three targets for the configuration's parsers share: any bytes give a Config or errors,
// never a crash; errors are lines with a place in the file; and a Config that was taken is the same
// after it was printed and read again.
#ifndef UB_FUZZ_CONFIG_FUZZ_H_
#define UB_FUZZ_CONFIG_FUZZ_H_

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "core/config_bind.h"
#include "core/config_load.h"
#include "core/config_print.h"
#include "core/config_text.h"

namespace ub {

inline void Require(bool holds) {
  if (!holds) std::abort();
}

inline void CheckProblems(const ConfigProblems& problems, std::string_view text) {
  const auto lines = static_cast<size_t>(std::count(text.begin(), text.end(), '\n')) +
                     static_cast<size_t>(std::count(text.begin(), text.end(), '\r')) + 2;
  for (const ConfigProblem& problem : problems) {
    Require(!problem.text.empty() && FindInvalidUtf8(problem.text) == std::string::npos);
    for (const char c : problem.text) Require(static_cast<unsigned char>(c) >= 0x20 && c != 0x7f);
    if (problem.position.line != 0) Require(problem.position.column >= 1);
    Require(problem.position.line <=
            lines + static_cast<size_t>(std::count(text.begin(), text.end(), '\xc2')) +
                static_cast<size_t>(std::count(text.begin(), text.end(), '\xe2')));
  }
}

// What INI has no words for: names that look like comments or are too long, commas in a path.
inline bool FitsIni(const Config& config, const std::string& printed) {
  for (const auto& [name, value] : config.health_check.headers)
    if (name.starts_with('#') || name.size() > 48) return false;
  for (const ListenConfig& listen : config.listen)
    if (listen.text.find_first_of(",\"") != std::string::npos) return false;
  return printed.size() < 16000;
}

inline int FuzzConfig(ConfigFormat format, const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  ConfigProblems problems;
  const ConfigNode root = ParseConfigText(format, text, "f", &problems);
  CheckProblems(problems, text);
  const bool whole = problems.empty();
  const BindResult bound = BindConfig(root, {.complete = whole});
  CheckProblems(bound.problems, text);
  // A secret may come from a file, and be anything.
  if (!whole || !bound.problems.empty() || !bound.config.admin.api_key.empty()) return 0;
  for (const ConfigFormat to : {ConfigFormat::kYaml, ConfigFormat::kToml, ConfigFormat::kIni}) {
    PrintOptions options;
    options.format = to;
    const std::string printed = PrintConfig(bound.config, options);
    if (to == ConfigFormat::kIni && !FitsIni(bound.config, printed)) continue;
    ConfigProblems again;
    const BindResult back = BindConfig(ParseConfigText(to, printed, "p", &again), {});
    Require(again.empty() && back.problems.empty());
    Require(SerializeConfig(back.config) == SerializeConfig(bound.config));
  }
  return 0;
}

}  // namespace ub

#endif  // UB_FUZZ_CONFIG_FUZZ_H_
