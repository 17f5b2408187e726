// A whole session over HTTP/2 (session_world.h): the client's bytes are frames, or what their bytes happen to be. Whatever client
// and backend say, nothing may break, what the backend gets must be whole, well-formed requests of HTTP/1.1 and at most the
// beginning of more, and when both have left nothing may be held.
//
// What a client sends begins with a byte: 0xff, and the rest goes out as it is; else its lower four bits are a frame's type and
// the next two bytes flags and stream, and the rest is the payload.
#include "session_world.h"

namespace {

class Http2World final : public ub_fuzz::World {
 public:
  Http2World() : World(true) {}
  void Greet() { greeted_ = false; }

 protected:
  void SendAsClient(std::string_view bytes) override {
    if (bytes.empty()) return;  // the input ends here
    std::string out;
    if (!greeted_) out = std::string("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n") + std::string(9, '\0').replace(3, 1, 1, '\4');
    greeted_ = true;
    const auto first = static_cast<uint8_t>(bytes[0]);
    if (first == 0xff || bytes.size() < 3) {
      out += bytes.substr(1);
    } else {
      const std::string_view payload = bytes.substr(3);
      const char head[9] = {0, 0, static_cast<char>(payload.size()), static_cast<char>(first & 15), bytes[1], 0, 0, 0, bytes[2]};
      out.append(head, sizeof head);
      out += payload;
    }
    client_.Send(out);
  }

 private:
  bool greeted_ = false;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  // One world for all inputs, as a worker is one for all clients; never destroyed.
  static Http2World* world = new Http2World;
  if (size < 1 || size > 4096) return 0;
  world->Greet();
  world->Run(data, size);
  return 0;
}
