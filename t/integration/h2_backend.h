// A scripted backend that speaks HTTP/2, frame by frame: a thread a connection runs what the test has it do.
#ifndef UB_INTEGRATION_H2_BACKEND_H_
#define UB_INTEGRATION_H2_BACKEND_H_

#include <functional>
#include <string>

#include "fake_backend.h"
#include "h2_client.h"

namespace ub::itest {

class H2Backend {
 public:
  using Connection = std::function<void(H2Client&)>;
  // Takes each connection to its end. `settings`: what its SETTINGS say.
  explicit H2Backend(Connection connection, std::string settings = "") : backend_([&] {
    FakeBackend::Options options;
    options.connection = [connection = std::move(connection), settings = std::move(settings)](Socket& socket) {
      H2Client peer(std::move(socket), settings);
      connection(peer);
    };
    return options;
  }()) {}
  // Answers each request in turn, when it is whole.
  using Handler = std::function<void(H2Client&, uint32_t stream, const H2Response& request)>;
  static Connection Serving(Handler handler) {
    return [handler = std::move(handler)](H2Client& peer) {
      while (const uint32_t stream = peer.NextRequest()) {
        const H2Response& request = peer.Whole(stream);
        if (request.ended) handler(peer, stream, request);
      }
    };
  }
  static std::string Setting(uint16_t id, uint32_t value) {
    return std::string{static_cast<char>(id >> 8), static_cast<char>(id)} + h2::Number32(value);
  }

  FakeBackend& plain() { return backend_; }
  const Endpoint& endpoint() const { return backend_.endpoint(); }
  std::string Yaml(const std::string& extra = "") const {
    return backend_.Yaml("protocol: h2" + (extra.empty() ? "" : ", " + extra));
  }
  uint64_t accepted() const { return backend_.accepted(); }
  uint64_t open() const { return backend_.open(); }

 private:
  FakeBackend backend_;
};

}  // namespace ub::itest

#endif  // UB_INTEGRATION_H2_BACKEND_H_
