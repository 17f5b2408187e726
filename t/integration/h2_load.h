// Traffic over HTTP/2 of which every byte is verified.
#ifndef UB_INTEGRATION_H2_LOAD_H_
#define UB_INTEGRATION_H2_LOAD_H_

#include <fmt/format.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "h2_client.h"

namespace ub::itest {

// Requests over HTTP/2, some at once, on connections that are made anew when the server leaves.
class H2Load {
 public:
  H2Load(Endpoint to, int connections) : to_(std::move(to)) {
    for (int i = 0; i < connections; ++i) threads_.emplace_back([this, i] { Run(static_cast<uint64_t>(i)); });
  }
  ~H2Load() { Stop(); }
  void Stop() {
    stop_ = true;
    for (auto& thread : threads_) thread.join();
    threads_.clear();
  }
  uint64_t answered() const { return answered_; }
  uint64_t failed() const { return failed_; }  // answered otherwise, or not at all
  uint64_t broken() const { return broken_; }  // connections that ended without a word
  uint64_t connections() const { return connections_; }

 private:
  void Run(uint64_t index) {
    std::unique_ptr<H2Client> client;
    for (uint64_t round = 0; !stop_; ++round) {
      if (client == nullptr || client->goaway() || client->closed()) {
        client = std::make_unique<H2Client>(to_);
        ++connections_;
      }
      std::vector<std::pair<uint32_t, std::string>> asked;
      for (uint64_t i = 0; i < 8; ++i) {
        const uint64_t seed = index * 1000 + round * 8 + i, size = i == 7 ? 200'000 : 300 * i;
        asked.emplace_back(client->Begin(h2::Request(fmt::format("/size/{}/{}", size, seed))), Pattern(seed, size));
      }
      for (const auto& [stream, body] : asked) {
        const H2Response& got = client->Wait(stream);
        // What the server says that it has not looked at may be asked again elsewhere.
        const bool again = !got.over() && client->goaway() && stream > client->last_stream();
        if (again) continue;
        if (got.Outcome() == "200" && got.body == body) {
          ++answered_;
        } else if (!got.over() && client->closed()) {
          ++broken_;  // also behind a GOAWAY: a worker that leaves can be killed like any other
          break;      // and with it all of its streams
        } else if (failed_++ == 0) {
          fmt::print("HTTP/2: {} and {} bytes of {}, connection {}, GOAWAY {}\n", got.Outcome(), got.body.size(), body.size(),
                     client->closed() ? "closed" : "open", client->goaway() ? "came" : "did not come");
        }
      }
    }
  }

  const Endpoint to_;
  std::atomic<bool> stop_{false};
  std::atomic<uint64_t> answered_{0}, failed_{0}, broken_{0}, connections_{0};
  std::vector<std::thread> threads_;
};

}  // namespace ub::itest

#endif  // UB_INTEGRATION_H2_LOAD_H_
