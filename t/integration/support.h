// Small things that every integration test needs: deadlines, conditions, gates, temporary
// directories and a body pattern that can be generated and checked at any offset without being
// stored.
//
// UB_TIME_FACTOR (a number) stretches every deadline: for sanitizers, valgrind and loaded machines.
#ifndef UB_INTEGRATION_SUPPORT_H_
#define UB_INTEGRATION_SUPPORT_H_

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace ub::itest {

using Millis = std::chrono::milliseconds;
inline constexpr Millis kLimit{10000};  // the usual deadline: only a failing test reaches it

// UB_TIME_FACTOR; without it 1, or 4 where the tests were built with a sanitizer.
double TimeFactor();
// True where the tests were built with a sanitizer or the factor says so: memory bounds are looser
// then.
bool Instrumented();

// A point in time, `limit` (times the factor) from its making.
class Deadline {
 public:
  explicit Deadline(Millis limit);
  int PollMs() const;  // what is left, for poll(2); at least 0
  bool Passed() const { return PollMs() == 0; }

 private:
  std::chrono::steady_clock::time_point end_;
};

// Looks at `condition` every millisecond until it holds; false where the deadline passed first.
bool WaitFor(const std::function<bool()>& condition, Millis limit = kLimit);

// Opens once; whoever waits goes on.
class Gate {
 public:
  void Open();
  bool IsOpen();
  // False where the deadline passed or `give_up` (asked now and then) said so.
  bool Wait(Millis limit = kLimit, const std::function<bool()>& give_up = {});

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool open_ = false;
};

// A directory that any user may enter (the balancer's children run as nobody under root); removed
// with its content.
class TempDir {
 public:
  TempDir();
  ~TempDir();
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  std::string Path(std::string_view name) const { return path_ + "/" + std::string(name); }

 private:
  std::string path_;
};

std::string ReadFile(const std::string& path);
void WriteFile(const std::string& path, std::string_view content);

// Bytes [offset, offset + size) of the endless pattern that `seed` names.
void FillPattern(uint64_t seed, uint64_t offset, char* out, size_t size);
std::string Pattern(uint64_t seed, size_t size);

// Checks a body that arrives in pieces against a pattern.
class PatternCheck {
 public:
  explicit PatternCheck(uint64_t seed) : seed_(seed) {}
  void Feed(std::string_view piece);
  bool intact() const { return intact_; }
  uint64_t bytes() const { return bytes_; }

 private:
  uint64_t seed_;
  uint64_t bytes_ = 0;
  bool intact_ = true;
  std::vector<char> expected_;
};

std::vector<std::string> Split(std::string_view text, char separator);
bool Contains(std::string_view text, std::string_view part);

}  // namespace ub::itest

#endif  // UB_INTEGRATION_SUPPORT_H_
