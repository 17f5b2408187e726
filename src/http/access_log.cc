#include "http/access_log.h"

#include "core/log.h"

namespace ub {
namespace {

constexpr uint64_t kFlushNs = 1'000'000'000;
constexpr uint64_t kTellNs = 10'000'000'000;  // dropped lines are told no more often than this
constexpr size_t kMaxNote = 16 * 1024;        // of one text
constexpr size_t kMaxFirstLine = 512;

std::string_view Cut(std::string_view text, size_t most = kMaxNote) { return text.substr(0, most); }

}  // namespace

void AccessNotes::Take(const RequestHead& head, uint64_t now_ns) {
  taken_ = understood_ = true;
  begun_ns_ = now_ns;
  minor_version_ = head.minor_version;
  text_.assign(Cut(head.method_text, kMaxFirstLine));
  target_ = text_.size();
  text_.append(Cut(head.target));
  referer_ = text_.size();
  std::string_view referer, user_agent;
  for (const HeaderField& field : head.headers) {
    if (field.id != HeaderId::kOther) continue;
    if (field.name.size() == 7 && EqualsIgnoreCase(field.name, "Referer")) referer = field.value;
    if (field.name.size() == 10 && EqualsIgnoreCase(field.name, "User-Agent"))
      user_agent = field.value;
  }
  text_.append(Cut(referer));
  user_agent_ = text_.size();
  text_.append(Cut(user_agent));
}

void AccessNotes::TakeFirstLine(std::string_view seen, uint64_t now_ns) {
  taken_ = true;
  understood_ = false;
  begun_ns_ = now_ns;
  while (seen.starts_with('\r') || seen.starts_with('\n')) seen.remove_prefix(1);
  text_.assign(Cut(seen.substr(0, seen.find_first_of("\r\n")), kMaxFirstLine));
}

void AccessNotes::Fill(AccessEntry* entry) const {
  if (!understood_) {
    entry->first_line = text_;
    return;
  }
  entry->minor_version = minor_version_;
  entry->method = Slice(0, target_);
  entry->target = Slice(target_, referer_);
  entry->referer = Slice(referer_, user_agent_);
  entry->user_agent = Slice(user_agent_, text_.size());
}

AccessLog::AccessLog(EventLoop* loop)
    : loop_(loop), timer_(loop, &AccessLog::OnTimer, this) {}

AccessLog::~AccessLog() {
  told_ns_ = 0;
  Flush();
}

void AccessLog::Configure(const LoggingConfig& logging, int fd) {
  on_ = logging.access_log != "off" && !logging.access_log.empty() && fd >= 0;
  format_ = logging.format == "json" ? AccessFormat::kJson : AccessFormat::kCombined;
  writer_.SetFd(on_ ? fd : -1);
}

void AccessLog::Write(const AccessEntry& entry) {
  char* const line = writer_.Begin();
  if (line != nullptr) writer_.End(FormatAccessLine(entry, format_, line, writer_.max_line()));
  if (!timer_.active()) timer_.Set(loop_->now_ns() + kFlushNs);
}

void AccessLog::OnTimer(void* self) { static_cast<AccessLog*>(self)->Flush(); }

void AccessLog::Flush() {
  writer_.Flush();
  TellDropped();
  // What could not be written, or told, is tried again.
  if ((!writer_.empty() && writer_.fd() >= 0) || dropped_ > 0) {
    timer_.Set(loop_->now_ns() + kFlushNs);
  } else {
    timer_.Cancel();
  }
}

void AccessLog::TellDropped() {
  dropped_ += writer_.TakeDropped();
  const uint64_t now = loop_->now_ns();
  if (dropped_ == 0 || (told_ns_ != 0 && now - told_ns_ < kTellNs)) return;
  Log(LogLevel::kWarn, "access log: {} lines dropped, whoever reads it is too slow", dropped_);
  dropped_ = 0;
  told_ns_ = now;
}

}  // namespace ub
