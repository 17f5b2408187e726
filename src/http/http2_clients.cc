#include "http/http2_clients.h"

#include <algorithm>

#include "http/http2_client.h"

namespace ub {
namespace {

constexpr size_t kMaxConnections = 64;        // a backend, whatever it allows on each
constexpr size_t kExpectedStreams = 100;      // on a connection that has not told yet (RFC 9113 section 6.5.2 recommends it)
constexpr uint64_t kPauseNs = 1'000'000'000;  // after a connect that failed, where there are other connections

}  // namespace

Http2Clients::Http2Clients(EventLoop* loop, KeepalivePool* pool) : loop_(loop), pool_(pool) {}

// What they take out of the gauges is still there.
Http2Clients::~Http2Clients() {
  for (Slot& slot : slots_) std::vector<std::unique_ptr<Http2Client>>().swap(slot.clients);
}

Http2Clients::Slot& Http2Clients::At(uint32_t slot) {
  if (slot >= slots_.size()) slots_.resize(slot + 1);
  return slots_[slot];
}

// The first that has room: the others are left to grow idle.
Http2Client* Http2Clients::WithRoom(const Slot& slot, uint32_t generation) {
  for (const auto& client : slot.clients) {
    if (client->usable(generation) && client->room() > 0) return client.get();
  }
  return nullptr;
}

bool Http2Clients::AnyUsable(const Slot& slot, uint32_t generation) {
  return std::any_of(slot.clients.begin(), slot.clients.end(),
                     [generation](const auto& client) { return client->usable(generation); });
}

bool Http2Clients::WantsMore(const Slot& slot, uint32_t generation) const {
  size_t room = 0, count = 0;
  for (const auto& client : slot.clients) {
    if (!client->usable(generation)) continue;
    ++count;
    // A backend that allows no streams at all allows none on another connection either.
    if (client->standing() && client->room() == 0 && client->streams() == 0) return false;
    room += client->standing() ? client->room() : kExpectedStreams;
  }
  if (count == 0) return true;
  return room < slot.waiting.size() && count < kMaxConnections && loop_->now_ns() >= slot.no_more_until_ns;
}

Status Http2Clients::OpenFor(uint32_t slot, const Http2Attempt& attempt) {
  auto made = std::make_unique<Http2Client>(this, slot, attempt.request_.generation);
  Status status = made->Connect(attempt.request_);
  if (status.ok()) At(slot).clients.push_back(std::move(made));
  return status;
}

std::optional<AttemptError> Http2Clients::Join(Http2Attempt* attempt) {
  const uint32_t number = attempt->request_.slot, generation = attempt->request_.generation;
  Slot& slot = At(number);
  attempt->reused_ = true;
  while (slot.waiting.empty()) {
    Http2Client* client = WithRoom(slot, generation);
    if (client == nullptr) break;
    if (client->Open(attempt)) return std::nullopt;
  }
  slot.waiting.push_back(attempt);
  if (!WantsMore(slot, generation)) return std::nullopt;
  Status status = OpenFor(number, *attempt);
  if (status.ok()) {
    attempt->reused_ = false;
    return std::nullopt;
  }
  Slot& after = At(number);
  if (AnyUsable(after, generation)) {
    after.no_more_until_ns = loop_->now_ns() + kPauseNs;
    return std::nullopt;
  }
  return AttemptError{TryFailure::kConnect, std::move(status)};
}

void Http2Clients::LeaveQueue(Http2Attempt* attempt) {
  auto& waiting = At(attempt->request_.slot).waiting;
  std::erase(waiting, attempt);
  // The connection that was made for it is now for the next.
  if (!attempt->reused_ && !waiting.empty()) waiting.front()->reused_ = false;
}

Status Http2Clients::WhyLate(const Http2Attempt& attempt) const {
  const Slot& slot = slots_[attempt.request_.slot];
  const bool stands = std::any_of(slot.clients.begin(), slot.clients.end(),
                                  [](const auto& client) { return client->standing(); });
  if (stands) {
    return Status(StatusCode::kUnavailable, StatusSource::kBackend, "the backend allows no more streams at once");
  }
  return Status(StatusCode::kTimeout, StatusSource::kBackend, "no connection in time");
}

void Http2Clients::Serve(uint32_t number, const std::string* lost, StatusCode code) {
  while (!At(number).waiting.empty()) {
    Http2Attempt* const first = At(number).waiting.front();
    const uint32_t generation = first->request_.generation;
    if (Http2Client* client = WithRoom(At(number), generation); client != nullptr) {
      if (!client->Open(first)) continue;
      Slot& slot = At(number);
      slot.waiting.erase(slot.waiting.begin());
      first->handler_->OnAttemptWritable();
      continue;
    }
    if (lost != nullptr) {
      At(number).no_more_until_ns = loop_->now_ns() + kPauseNs;
      if (!AnyUsable(At(number), generation)) FailWaiting(number, Status(code, StatusSource::kBackend, *lost));
      return;
    }
    if (!WantsMore(At(number), generation)) return;
    const Status status = OpenFor(number, *first);
    if (status.ok()) continue;
    At(number).no_more_until_ns = loop_->now_ns() + kPauseNs;
    if (!AnyUsable(At(number), generation)) FailWaiting(number, status);
    return;
  }
}

void Http2Clients::FailWaiting(uint32_t number, const Status& status) {
  std::vector<Http2Attempt*> failed;
  failed.swap(At(number).waiting);
  // What one of them does now may end another. One that tries again is in a queue anew, and none of these.
  std::vector<uint32_t> runs;
  runs.reserve(failed.size());
  for (const Http2Attempt* attempt : failed) runs.push_back(attempt->run_);
  for (size_t i = 0; i < failed.size(); ++i) {
    if (failed[i]->run_ == runs[i]) failed[i]->FailWaiting(TryFailure::kConnect, status);
  }
}

void Http2Clients::OnClosed(uint32_t number, Http2Client* client) {
  std::vector<std::unique_ptr<Http2Client>>& clients = At(number).clients;
  const auto at = std::find_if(clients.begin(), clients.end(), [client](const auto& each) { return each.get() == client; });
  if (at == clients.end()) return;
  loop_->Retire(std::move(*at));
  clients.erase(at);
}

void Http2Clients::CloseUnless(const std::function<bool(uint32_t, uint32_t)>& keep) {
  for (uint32_t number = 0; number < slots_.size(); ++number) {
    for (const auto& client : slots_[number].clients) {
      if (!keep(number, client->generation())) client->Leave();
    }
    Serve(number);  // those that waited for one of these
  }
}

void Http2Clients::Renew() {
  CloseUnless([](uint32_t, uint32_t) { return false; });
}

void Http2Clients::CountIdle(uint32_t number, bool idle) {
  Slot& slot = At(number);
  slot.idle += idle ? 1 : -1u;
  pool_->CountOther(number, slot.idle);
}

bool Http2Clients::MayIdle(uint32_t number) const {
  const uint32_t most = config_->connection_pool.max_idle_per_backend;
  return most == ConnectionPoolConfig::kAuto || slots_[number].idle < most;
}

}  // namespace ub
