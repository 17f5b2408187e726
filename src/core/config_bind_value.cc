// The values of the configuration by their types.
#include "core/config_bind_value.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "core/atomic_file.h"
#include "core/config_text.h"

namespace ub {
namespace {

std::string Range(const ConfigKey& key) {
  if (key.type == KeyType::kSize)
    return fmt::format("{} to {}", FormatSize(key.min), FormatSize(key.max));
  return fmt::format("{} to {}{}{}", key.min, key.max, key.unit.empty() ? "" : " ", key.unit);
}

// " (did you mean "x"?)", or " (one of …)".
std::string ChoiceHint(std::string_view word, const std::vector<std::string_view>& choices) {
  // One number is not a misspelling of another.
  const std::string_view nearest = ParseUnsigned(word) ? "" : NearestWord(word, choices);
  if (!nearest.empty()) return fmt::format("(did you mean \"{}\"?)", nearest);
  return fmt::format("(one of {})", fmt::join(choices, ", "));
}

// True where a sign or the number's size alone keeps `text` from being read: with a small number in
// its place `parse` takes it.
template <class Parse>
bool OnlyNumberIsWrong(std::string_view text, Parse parse) {
  if (text.starts_with('-')) text.remove_prefix(1);
  const size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
  return digits > 0 && parse("1" + std::string(text.substr(digits))).has_value();
}

class ValueBinder {
 public:
  ValueBinder(const ConfigKey& key, const ConfigNode& node, const BindOptions& options,
              Config* config, ConfigProblems* problems)
      : key_(key),
        node_(node),
        options_(options),
        field_(key.field(*config)),
        problems_(problems) {}

  void Bind();

 private:
  void Problem(std::string text) { ProblemAt(node_.position, std::move(text)); }
  void ProblemAt(const SourcePosition& position, std::string text) {
    problems_->push_back({position, fmt::format("{}: {}", key_.path, text)});
  }
  void StoreNumber(uint64_t number);
  std::string* Text() { return std::get<std::string*>(field_); }

  void BindInt();
  void BindSize();
  void BindDuration();
  void BindEnum();
  void BindPath();
  void BindSecret();
  bool ReadSecretFile(std::string path);
  void BindHashKey();
  void BindAdminAddress();
  void BindRetryOn();
  void BindNetworks();
  void BindWords();
  void BindStatuses();
  void BindHeaders();
  void AddHeader(const std::string& name, const std::string& value, const SourcePosition& position);

  const ConfigKey& key_;
  const ConfigNode& node_;
  const BindOptions& options_;
  FieldRef field_;
  ConfigProblems* problems_;
};

void ValueBinder::StoreNumber(uint64_t number) {
  if (auto** field16 = std::get_if<uint16_t*>(&field_)) **field16 = static_cast<uint16_t>(number);
  if (auto** field32 = std::get_if<uint32_t*>(&field_)) **field32 = static_cast<uint32_t>(number);
  if (auto** field64 = std::get_if<uint64_t*>(&field_)) **field64 = number;
}

void ValueBinder::BindInt() {
  uint64_t number = 0;
  if (key_.auto_value && node_.IsScalar() && node_.text == "auto") {
    StoreNumber(*key_.auto_value);
  } else if (BindNumber(key_.path, node_, key_.min, key_.max, key_.auto_value.has_value(), &number,
                        problems_)) {
    StoreNumber(number);
  }
}

void ValueBinder::BindSize() {
  if (!ExpectScalar(key_.path, node_, "a size", problems_)) return;
  const std::optional<uint64_t> size = ParseSize(node_.text);
  if (!size && !OnlyNumberIsWrong(node_.text, ParseSize)) {
    Problem(fmt::format("\"{}\" is not a size (bytes, or a number with k, m or g)",
                        Printable(node_.text)));
  } else if (!size || *size < key_.min || *size > key_.max) {
    Problem(fmt::format("{} is out of range ({})", Printable(node_.text), Range(key_)));
  } else {
    StoreNumber(*size);
  }
}

void ValueBinder::BindDuration() {
  if (!ExpectScalar(key_.path, node_, "a duration", problems_)) return;
  const uint64_t unit_ms = key_.unit == "s" ? 1000 : 1;
  const std::optional<uint64_t> ms = ParseDurationMs(node_.text, unit_ms);
  const auto parse = [unit_ms](std::string_view text) { return ParseDurationMs(text, unit_ms); };
  if (!ms && OnlyNumberIsWrong(node_.text, parse)) {
    Problem(fmt::format("{} is out of range ({})", Printable(node_.text), Range(key_)));
  } else if (!ms) {
    Problem(fmt::format("\"{}\" is not a duration ({}, or a number with ms, s, m or h)",
                        Printable(node_.text), unit_ms == 1 ? "milliseconds" : "seconds"));
  } else if (*ms % unit_ms != 0) {
    Problem(fmt::format("{} is not a whole number of seconds", Printable(node_.text)));
  } else if (*ms / unit_ms < key_.min || *ms / unit_ms > key_.max) {
    Problem(fmt::format("{} is out of range ({})", Printable(node_.text), Range(key_)));
  } else {
    StoreNumber(*ms / unit_ms);
  }
}

void ValueBinder::BindEnum() {
  if (!ExpectScalar(key_.path, node_, "a word", problems_)) return;
  const std::vector<std::string_view> choices = Choices(key_);
  const auto found = std::ranges::find(choices, std::string_view(node_.text));
  if (found == choices.end()) {
    Problem(fmt::format("unknown value \"{}\" {}", Printable(node_.text),
                        ChoiceHint(node_.text, choices)));
    return;
  }
  const auto index = found - choices.begin();
  if (auto** flag = std::get_if<bool*>(&field_)) **flag = index == 1;
  if (auto** level = std::get_if<LogLevel*>(&field_)) **level = static_cast<LogLevel>(index);
  if (auto** text = std::get_if<std::string*>(&field_)) **text = node_.text;
}

void ValueBinder::BindPath() {
  std::string path;
  if (!BindText(key_.path, node_, &path, problems_)) return;
  const std::vector<std::string_view> choices = Choices(key_);
  const bool word = std::ranges::find(choices, std::string_view(path)) != choices.end();
  if (path.empty() && !choices.empty()) {
    Problem(fmt::format("is empty (a path, or one of {})", fmt::join(choices, ", ")));
    return;
  }
  // A relative path means the directory that the person stood in, also for `-s` and `status` in another.
  if (!path.empty() && !word && path[0] != '/' && !options_.directory.empty()) {
    path = options_.directory + "/" + path;
  }
  *Text() = std::move(path);
}

bool ValueBinder::ReadSecretFile(std::string path) {
  if (!path.starts_with('/') && !options_.directory.empty()) path = options_.directory + "/" + path;
  const Result<std::string> text = ReadSmallFile(path, 4096);
  if (!text) {
    Problem(text.error().detail());
    return false;
  }
  *Text() = std::string(TrimSpaces(*text));
  return true;
}

void ValueBinder::BindSecret() {
  std::string text;
  if (!BindText(key_.path, node_, &text, problems_)) return;
  if (text.starts_with("file:")) {
    if (!ReadSecretFile(text.substr(5))) return;
  } else if (text.starts_with("env:")) {
    const std::string name = text.substr(4);
    const auto found = options_.environment == nullptr ? EnvironmentMap::const_iterator()
                                                       : options_.environment->find(name);
    if (options_.environment == nullptr || found == options_.environment->end()) {
      Problem(
          fmt::format("the environment has no {} (set it, or remove the key)", Printable(name)));
      return;
    }
    *Text() = found->second;
  } else {
    *Text() = std::move(text);
    return;
  }
  if (Text()->empty()) Problem("the secret is empty (remove the key for none)");
}

void ValueBinder::BindHashKey() {
  std::string text;
  if (!BindText(key_.path, node_, &text, problems_)) return;
  const bool may_be_uri = key_.path == "hash_key";
  const std::string_view name =
      std::string_view(text).substr(std::min(text.find(':') + 1, text.size()));
  const bool named = text.starts_with("header:") || text.starts_with("cookie:");
  if (text == "client_ip" || (may_be_uri && text == "uri") || (named && IsHttpToken(name))) {
    *Text() = std::move(text);
  } else if (named) {
    Problem(fmt::format("\"{}\" has no valid name after the colon", Printable(text)));
  } else {
    std::vector<std::string_view> choices = {"client_ip", "header:NAME", "cookie:NAME"};
    if (may_be_uri) choices.push_back("uri");
    Problem(fmt::format("unknown value \"{}\" {}", Printable(text), ChoiceHint(text, choices)));
  }
}

void ValueBinder::BindAdminAddress() {
  std::string text;
  if (!BindText(key_.path, node_, &text, problems_)) return;
  if (text.starts_with("unix:")) {
    const std::string wrong = CheckUnixPath(std::string_view(text).substr(5));
    if (!wrong.empty()) return Problem(fmt::format("\"{}\" {}", Printable(text), wrong));
    *Text() = std::move(text);
    return;
  }
  if (text.size() > 2 && text.front() == '[' && text.back() == ']')
    text = text.substr(1, text.size() - 2);
  if (!IsIpAddress(text)) {
    Problem(
        fmt::format("\"{}\" is not an IP address (127.0.0.1, ::1 or unix:/path)", Printable(text)));
    return;
  }
  *Text() = CanonicalIp(text);
}

void ValueBinder::BindRetryOn() {
  RetryConfig* retry = std::get<RetryConfig*>(field_);
  const std::vector<std::string_view> choices = Choices(key_);
  bool* const flags[] = {&retry->on_connect, &retry->on_reset, &retry->on_timeout,
                         &retry->on_502,     &retry->on_503,   &retry->on_504};
  for (bool* flag : flags) *flag = false;
  for (const ListItem& item : ListItems(key_.path, node_, "a list of words", problems_)) {
    const auto found = std::ranges::find(choices, std::string_view(item.text));
    if (found == choices.end()) {
      ProblemAt(item.position, fmt::format("unknown value \"{}\" {}", Printable(item.text),
                                           ChoiceHint(item.text, choices)));
    } else {
      *flags[found - choices.begin()] = true;
    }
  }
}

void ValueBinder::BindNetworks() {
  auto* list = std::get<std::vector<std::string>*>(field_);
  list->clear();
  for (ListItem& item : ListItems(key_.path, node_, "a list of networks", problems_)) {
    if (IsNetwork(item.text)) {
      list->push_back(std::move(item.text));
    } else {
      ProblemAt(item.position, fmt::format("\"{}\" is not an address or network (10.0.0.0/8, ::1)",
                                           Printable(item.text)));
    }
  }
}

void ValueBinder::BindWords() {
  auto* list = std::get<std::vector<std::string>*>(field_);
  list->clear();
  const std::vector<std::string_view> choices = Choices(key_);
  for (ListItem& item : ListItems(key_.path, node_, "a list of words", problems_)) {
    if (std::ranges::find(choices, std::string_view(item.text)) == choices.end()) {
      ProblemAt(item.position, fmt::format("unknown value \"{}\" {}", Printable(item.text),
                                           ChoiceHint(item.text, choices)));
    } else if (std::ranges::find(*list, item.text) == list->end()) {
      list->push_back(std::move(item.text));
    }
  }
  if (list->empty() && node_.IsSequence() && node_.items.empty()) Problem("the list is empty");
}

void ValueBinder::BindStatuses() {
  auto* ranges = std::get<StatusRanges*>(field_);
  ranges->clear();
  for (const ListItem& item :
       ListItems(key_.path, node_, "a status or a list of them", problems_)) {
    const size_t dash = item.text.find('-');
    const std::string_view text = item.text;
    const std::optional<uint64_t> low = ParseUnsigned(TrimSpaces(text.substr(0, dash)));
    const std::optional<uint64_t> high =
        dash == std::string_view::npos ? low : ParseUnsigned(TrimSpaces(text.substr(dash + 1)));
    if (!low || !high) {
      ProblemAt(item.position, fmt::format("\"{}\" is not a status (200, or a range as 200-399)",
                                           Printable(text)));
    } else if (*low > *high) {
      ProblemAt(item.position, fmt::format("{} ends before it begins (write {}-{})",
                                           Printable(text), *high, *low));
    } else if (*low < 100 || *high > 599) {
      ProblemAt(item.position, fmt::format("{} is out of range (100 to 599)", Printable(text)));
    } else {
      ranges->emplace_back(static_cast<uint16_t>(*low), static_cast<uint16_t>(*high));
    }
  }
  if (ranges->empty() && node_.IsSequence() && node_.items.empty()) Problem("the list is empty");
}

void ValueBinder::AddHeader(const std::string& name, const std::string& value,
                            const SourcePosition& position) {
  auto* headers = std::get<std::map<std::string, std::string>*>(field_);
  if (!IsHttpToken(name)) {
    return ProblemAt(position, fmt::format("\"{}\" is not a header name", Printable(name)));
  }
  const bool clean = std::ranges::none_of(value, [](char c) {
    return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f;
  });
  if (!clean) {
    return ProblemAt(position,
                     fmt::format("the value of \"{}\" has a control character", Printable(name)));
  }
  (*headers)[name] = value;
}

void ValueBinder::BindHeaders() {
  std::get<std::map<std::string, std::string>*>(field_)->clear();
  if (node_.IsNull()) return;
  if (node_.IsScalar() && node_.untyped) {
    for (const std::string_view part : SplitTrimmed(node_.text, ',')) {
      const size_t end = part.find_first_of(":=");
      if (end == std::string_view::npos) {
        Problem(fmt::format("\"{}\" has no value (NAME=VALUE)", Printable(part)));
        continue;
      }
      AddHeader(std::string(TrimSpaces(part.substr(0, end))),
                std::string(TrimSpaces(part.substr(end + 1))), node_.position);
    }
    return;
  }
  if (!node_.IsMapping()) {
    return Problem(fmt::format("expected \"Name: value\" pairs, found {}", node_.KindName()));
  }
  for (const ConfigEntry& entry : node_.entries) {
    const std::string path = fmt::format("{}.{}", key_.path, Printable(entry.key));
    if (ExpectScalar(path, entry.value, "text", problems_))
      AddHeader(entry.key, entry.value.text, entry.position);
  }
}

void ValueBinder::Bind() {
  switch (key_.type) {
    case KeyType::kBool:
      BindBool(key_.path, node_, std::get<bool*>(field_), problems_);
      return;
    case KeyType::kInt:
      return BindInt();
    case KeyType::kSize:
      return BindSize();
    case KeyType::kDuration:
      return BindDuration();
    case KeyType::kEnum:
      return BindEnum();
    case KeyType::kString:
      BindText(key_.path, node_, Text(), problems_);
      return;
    case KeyType::kPath:
      return BindPath();
    case KeyType::kSecret:
      return BindSecret();
    case KeyType::kHashKey:
      return BindHashKey();
    case KeyType::kAdminAddress:
      return BindAdminAddress();
    case KeyType::kEnumList:
      return BindRetryOn();
    case KeyType::kCidrList:
      return BindNetworks();
    case KeyType::kStatusList:
      return BindStatuses();
    case KeyType::kHeaderMap:
      return BindHeaders();
    case KeyType::kListenList:
    case KeyType::kListenAddress:
    case KeyType::kListenPort:
    case KeyType::kBackendList:
    case KeyType::kCertificateList:
      return;
    case KeyType::kWordList:
      return BindWords();
  }
}

}  // namespace

bool IsHttpToken(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
  });
}

void BindValue(const ConfigKey& key, const ConfigNode& node, const BindOptions& options,
               Config* config, ConfigProblems* problems) {
  ValueBinder(key, node, options, config, problems).Bind();
}

}  // namespace ub
