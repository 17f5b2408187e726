// The access log of one worker: a line for each request, gathered and written about once a second.
//
// The descriptor is the master's, who opens and reopens the file (core/log_files.h). A reader that
// is too slow costs lines, which are counted and told in the error log, never time. Off, which it
// is by default, it costs one branch a request. What a killed worker has gathered is lost: at most
// a second of it.
#ifndef UB_HTTP_ACCESS_LOG_H_
#define UB_HTTP_ACCESS_LOG_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "core/config.h"
#include "core/line_writer.h"
#include "event/event_loop.h"
#include "event/timer.h"
#include "http/access_line.h"
#include "http/message.h"

namespace ub {

// What a session keeps of a request's head for the line at its end: the head itself is gone by
// then. Reused; texts that are longer than any line has room for are cut.
class AccessNotes {
 public:
  void Take(const RequestHead& head, uint64_t now_ns);
  // The first line of what could not be understood.
  void TakeFirstLine(std::string_view seen, uint64_t now_ns);
  void Clear() { taken_ = false; }
  bool taken() const { return taken_; }
  uint64_t begun_ns() const { return begun_ns_; }
  // Fills in what was noted; the slices are valid until the next Take.
  void Fill(AccessEntry* entry) const;

 private:
  std::string_view Slice(size_t from, size_t to) const {
    return std::string_view(text_).substr(from, to - from);
  }

  bool taken_ = false;
  bool understood_ = false;
  uint8_t minor_version_ = 1;
  uint64_t begun_ns_ = 0;
  std::string text_;  // method, target, referer, user agent, one after another
  size_t target_ = 0, referer_ = 0, user_agent_ = 0;  // where each begins
};

class AccessLog {
 public:
  explicit AccessLog(EventLoop* loop);
  ~AccessLog();

  // Takes the settings of a configuration, and the descriptor (-1: none), which is not owned.
  void Configure(const LoggingConfig& logging, int fd);
  bool on() const { return on_; }
  void Write(const AccessEntry& entry);
  // Writes what it can: before the descriptor changes and before the process leaves.
  void Flush();

 private:
  static void OnTimer(void* self);
  void TellDropped();

  EventLoop* const loop_;
  Timer timer_;
  bool on_ = false;
  AccessFormat format_ = AccessFormat::kCombined;
  LineWriter writer_;
  uint64_t dropped_ = 0;  // not told yet
  uint64_t told_ns_ = 0;
};

}  // namespace ub

#endif  // UB_HTTP_ACCESS_LOG_H_
