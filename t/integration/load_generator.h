// Load on kept-alive connections, a thread each, in which every answer is verified: the right
// status, the right body byte for byte, the id of its own request, and nothing after it.
#ifndef UB_INTEGRATION_LOAD_GENERATOR_H_
#define UB_INTEGRATION_LOAD_GENERATOR_H_

#include <atomic>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "client.h"
#include "fake_backend.h"

namespace ub::itest {

struct LoadOptions {
  int connections = 16;
  uint32_t first_index = 0;   // of its connections: loads beside each other want ids of their own
  bool posts = true;          // a third of the requests, with Content-Length or chunked
  size_t most_bytes = 32768;  // bodies are of 0 to this many bytes
  bool reconnect = false;  // go on with a new connection after a failure; otherwise the thread ends
  std::vector<int> accepted_status = {200};  // bodies are verified with 200 only
};

struct LoadReport {
  uint64_t sent = 0;
  uint64_t answered = 0;  // whole and right, with an accepted status
  uint64_t failed = 0;    // anything else
  uint64_t wrong = 0;  // of those: not a connection that ended, but no connection or another answer
  uint64_t closed =
      0;  // connections that the server ended: idle, or at a request before a byte of its answer
  uint64_t asked_to_close = 0;  // answers with Connection: close
  std::map<int, uint64_t> statuses;
  std::string first_failure;
  std::string Summary() const;
};

class LoadGenerator {
 public:
  explicit LoadGenerator(Endpoint to, LoadOptions options = {});
  ~LoadGenerator() { Stop(); }
  void Start();
  // Lets the requests under way end, looks whether the idle connections still stand, closes them.
  LoadReport Stop();
  uint64_t answered() const { return answered_; }
  // Until `more` further answers came.
  bool WaitAnswers(uint64_t more, Millis limit = kLimit);

 private:
  void Run(uint32_t index);
  // False where this connection is of no further use.
  bool OneRequest(Client& client, uint64_t id, LoadReport* report);
  std::string Verify(const Response& response, uint64_t id, std::string_view body) const;

  const Endpoint to_;
  const LoadOptions options_;
  std::atomic<bool> stop_{false};
  std::atomic<uint64_t> answered_{0};
  std::vector<std::thread> threads_;
  std::mutex mutex_;
  LoadReport report_;
};

// Wraps a backend's handler and notes how often each POST of a load arrived: more than once is a
// wrong retry.
class OnceCheck {
 public:
  FakeBackend::Handler Wrap(FakeBackend::Handler handler = FakeBackend::Serve);
  uint64_t repeated();

 private:
  std::mutex mutex_;
  std::unordered_map<std::string, uint32_t> seen_;
};

}  // namespace ub::itest

#endif  // UB_INTEGRATION_LOAD_GENERATOR_H_
