#include "support.h"

#include <stdlib.h>
#include <sys/stat.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <thread>

namespace ub::itest {

namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kSanitized = true;
#else
constexpr bool kSanitized = false;
#endif

// splitmix64's finisher: a word that depends on every bit of its input.
uint64_t Mix(uint64_t x) {
  x += 0x9e3779b97f4a7c15u;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

}  // namespace

double TimeFactor() {
  static const double factor = [] {
    const char* text = getenv("UB_TIME_FACTOR");
    const double value = text != nullptr ? atof(text) : 0;
    return value > 0 ? value : (kSanitized ? 4.0 : 1.0);
  }();
  return factor;
}

bool Instrumented() { return kSanitized || TimeFactor() > 1; }

Deadline::Deadline(Millis limit)
    : end_(std::chrono::steady_clock::now() +
           std::chrono::microseconds(
               static_cast<int64_t>(static_cast<double>(limit.count()) * 1000 * TimeFactor()))) {}

int Deadline::PollMs() const {
  const auto left = end_ - std::chrono::steady_clock::now();
  const auto ms = std::chrono::duration_cast<Millis>(left + Millis(1)).count();
  return ms > 0 ? static_cast<int>(ms) : 0;
}

bool WaitFor(const std::function<bool()>& condition, Millis limit) {
  const Deadline deadline(limit);
  while (!condition()) {
    if (deadline.Passed()) return condition();
    std::this_thread::sleep_for(Millis(1));
  }
  return true;
}

void Gate::Open() {
  const std::lock_guard lock(mutex_);
  open_ = true;
  changed_.notify_all();
}

bool Gate::IsOpen() {
  const std::lock_guard lock(mutex_);
  return open_;
}

bool Gate::Wait(Millis limit, const std::function<bool()>& give_up) {
  const Deadline deadline(limit);
  std::unique_lock lock(mutex_);
  while (!open_ && !deadline.Passed()) {
    if (give_up && give_up()) return false;
    changed_.wait_for(lock, Millis(5));
  }
  return open_;
}

TempDir::TempDir() {
  const char* parent = getenv("TMPDIR");
  std::string pattern = std::string(parent != nullptr ? parent : "/tmp") + "/ub-itest-XXXXXX";
  if (mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("mkdtemp failed: " + pattern);
  path_ = pattern;
  chmod(path_.c_str(), 0755);
}

TempDir::~TempDir() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::string ReadFile(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream content;
  content << in.rdbuf();
  return content.str();
}

void WriteFile(const std::string& path, std::string_view content) {
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  out << content;
}

void FillPattern(uint64_t seed, uint64_t offset, char* out, size_t size) {
  const uint64_t base = Mix(seed);
  while (size > 0) {
    const uint64_t word = Mix(base + offset / 8);
    const size_t skip = offset % 8;
    const size_t take = std::min<size_t>(8 - skip, size);
    memcpy(out, reinterpret_cast<const char*>(&word) + skip, take);
    out += take;
    offset += take;
    size -= take;
  }
}

std::string Pattern(uint64_t seed, size_t size) {
  std::string body(size, '\0');
  FillPattern(seed, 0, body.data(), size);
  return body;
}

void PatternCheck::Feed(std::string_view piece) {
  if (expected_.size() < piece.size()) expected_.resize(piece.size());
  FillPattern(seed_, bytes_, expected_.data(), piece.size());
  if (memcmp(expected_.data(), piece.data(), piece.size()) != 0) intact_ = false;
  bytes_ += piece.size();
}

std::vector<std::string> Split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  while (true) {
    const size_t end = text.find(separator);
    parts.emplace_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

bool Contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

}  // namespace ub::itest
