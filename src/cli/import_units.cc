#include "cli/import_units.h"

#include "core/config_text.h"

namespace ub {
namespace {

constexpr uint64_t kMaxMs = 1'000'000'000'000;  // 31 years: what is longer is a slip, and sums fit

// Takes digits and their unit from the front. nullopt: there are none, or they are too many.
std::optional<uint64_t> TakeTime(std::string_view* text, std::string_view* unit) {
  const size_t digits = text->find_first_not_of("0123456789");
  const std::optional<uint64_t> number = ParseUnsigned(text->substr(0, digits));
  text->remove_prefix(digits == std::string_view::npos ? text->size() : digits);
  const size_t letters = text->find_first_not_of("abcdefghijklmnopqrstuvwxyzM");
  *unit = text->substr(0, letters);
  text->remove_prefix(unit->size());
  if (!number || *number > kMaxMs) return std::nullopt;
  return number;
}

// Milliseconds of one `unit`; 0: no such unit.
uint64_t UnitMs(std::string_view unit) {
  if (unit == "ms") return 1;
  if (unit == "s") return 1000;
  if (unit == "m") return 60'000;
  if (unit == "h") return 3'600'000;
  if (unit == "d") return 86'400'000;
  if (unit == "w") return 604'800'000;
  if (unit == "M") return 2'592'000'000;
  if (unit == "y") return 31'536'000'000;
  return 0;
}

}  // namespace

std::optional<uint64_t> NginxTimeMs(std::string_view text) {
  uint64_t sum = 0;
  if (text.empty()) return std::nullopt;
  while (!text.empty()) {
    std::string_view unit;
    const std::optional<uint64_t> number = TakeTime(&text, &unit);
    const uint64_t each = unit.empty() ? 1000 : UnitMs(unit);
    if (!number || each == 0 || *number > kMaxMs / each) return std::nullopt;
    sum += *number * each;
    while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
    if (sum > kMaxMs) return std::nullopt;
  }
  return sum;
}

std::optional<uint64_t> HaproxyTimeMs(std::string_view text) {
  std::string_view unit;
  const std::optional<uint64_t> number = TakeTime(&text, &unit);
  if (!number || !text.empty()) return std::nullopt;
  if (unit == "us") return (*number + 999) / 1000;
  const uint64_t each = unit.empty() ? 1 : UnitMs(unit);
  if (each == 0 || *number > kMaxMs / each) return std::nullopt;
  return *number * each;
}

std::optional<uint64_t> ImportSize(std::string_view text) {
  return text.find_first_of("bB") == std::string_view::npos ? ParseSize(text) : std::nullopt;
}

}  // namespace ub
