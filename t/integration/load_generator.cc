#include "load_generator.h"

#include <fmt/format.h>

#include <algorithm>

namespace ub::itest {

LoadGenerator::LoadGenerator(Endpoint to, LoadOptions options)
    : to_(std::move(to)), options_(std::move(options)) {}

std::string LoadReport::Summary() const {
  std::string text = fmt::format("sent {} answered {} failed {} closed {} asked_to_close {}", sent,
                                 answered, failed, closed, asked_to_close);
  for (const auto& [status, count] : statuses) text += fmt::format(" [{}]={}", status, count);
  return text + (first_failure.empty() ? "" : "; first failure: " + first_failure);
}

void LoadGenerator::Start() {
  for (int i = 0; i < options_.connections; ++i) {
    threads_.emplace_back([this, i] { Run(options_.first_index + static_cast<uint32_t>(i)); });
  }
}

LoadReport LoadGenerator::Stop() {
  stop_ = true;
  for (auto& thread : threads_) thread.join();
  threads_.clear();
  return report_;
}

bool LoadGenerator::WaitAnswers(uint64_t more, Millis limit) {
  const uint64_t goal = answered_ + more;
  return WaitFor([&] { return answered_ >= goal; }, limit);
}

void LoadGenerator::Run(uint32_t index) {
  LoadReport report;
  uint64_t number = 0;
  do {
    Client client(to_);
    if (!client.connected()) {
      ++report.failed;
      ++report.wrong;
      if (report.first_failure.empty()) report.first_failure = "cannot connect";
      continue;
    }
    bool usable = true;
    while (usable && !stop_) {
      usable = OneRequest(client, (uint64_t{index} << 32) | number++, &report);
    }
    if (usable && !client.StillOpen()) ++report.closed;
  } while (options_.reconnect && !stop_);
  const std::lock_guard lock(mutex_);
  report_.sent += report.sent;
  report_.answered += report.answered;
  report_.failed += report.failed;
  report_.wrong += report.wrong;
  report_.closed += report.closed;
  report_.asked_to_close += report.asked_to_close;
  for (const auto& [status, count] : report.statuses) report_.statuses[status] += count;
  if (report_.first_failure.empty()) report_.first_failure = report.first_failure;
}

bool LoadGenerator::OneRequest(Client& client, uint64_t id, LoadReport* report) {
  if (!client.StillOpen()) {
    ++report->closed;
    return false;
  }
  // Kind and size follow from the id, so that a failure can be repeated.
  uint64_t draw = 0;
  FillPattern(id, 0, reinterpret_cast<char*>(&draw), sizeof(draw));
  const size_t size = (draw >> 8) % (options_.most_bytes + 1);
  const unsigned kind = static_cast<unsigned char>(draw) % 6;
  const std::string fields = fmt::format("X-Load-Id: {}\r\n", id);
  const std::string body = Pattern(id, size);
  const bool post = options_.posts && kind < 2;
  std::string text;
  if (!post) {
    text = RequestText("GET", fmt::format("/{}/{}/{}", kind % 2 ? "size" : "chunked", size, id),
                       fields);
  } else if (kind == 0) {
    text = RequestText("POST", "/echo", fields, body);
  } else {
    text = "POST /echo HTTP/1.1\r\nHost: test.example\r\nTransfer-Encoding: chunked\r\n" + fields +
           "\r\n" + Chunked(body, 5000);
  }
  ++report->sent;
  client.Send(text);
  const Response response = client.Read(post ? "POST" : "GET");
  const std::string wrong = Verify(response, id, body);
  if (response.status != 0) ++report->statuses[response.status];
  if (!wrong.empty() || !client.reader().buffered().empty()) {
    ++report->failed;
    const bool ended = response.result == ReadResult::kClosed ||
                       response.result == ReadResult::kTruncated ||
                       response.result == ReadResult::kReset;
    if (!ended) ++report->wrong;
    const bool before_answer = response.result == ReadResult::kClosed ||
                               (response.result == ReadResult::kReset && response.status == 0);
    if (before_answer) ++report->closed;
    if (report->first_failure.empty()) {
      report->first_failure =
          fmt::format("request {} ({}): {}", id, text.substr(0, text.find('\r')),
                      wrong.empty() ? "bytes after the answer" : wrong);
    }
    return false;
  }
  ++report->answered;
  answered_.fetch_add(1);
  if (response.HasToken("Connection", "close")) {
    ++report->asked_to_close;
    return false;
  }
  return true;
}

std::string LoadGenerator::Verify(const Response& response, uint64_t id,
                                  std::string_view body) const {
  if (!response.ok()) return response.Outcome();
  const auto& accepted = options_.accepted_status;
  if (std::find(accepted.begin(), accepted.end(), response.status) == accepted.end()) {
    return "status " + std::to_string(response.status);
  }
  if (response.status != 200) return "";
  if (response.Value("X-Load-Id") != std::to_string(id)) {
    return "the answer of request " + response.Value("X-Load-Id");
  }
  return response.body == body ? "" : "a body that differs";
}

FakeBackend::Handler OnceCheck::Wrap(FakeBackend::Handler handler) {
  return [this, handler = std::move(handler)](Exchange& exchange) {
    if (exchange.request.method == "POST") {
      const std::lock_guard lock(mutex_);
      ++seen_[exchange.request.Value("X-Load-Id")];
    }
    handler(exchange);
  };
}

uint64_t OnceCheck::repeated() {
  const std::lock_guard lock(mutex_);
  return static_cast<uint64_t>(
      std::count_if(seen_.begin(), seen_.end(), [](const auto& one) { return one.second > 1; }));
}

}  // namespace ub::itest
