// A whole session over HTTP/1 (session_world.h). Whatever client and backend say, nothing may break, what the backend gets must
// be whole, well-formed requests and at most the beginning of one more, and when both have left nothing may be held.
#include "session_world.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  // One world for all inputs, as a worker is one for all clients; never destroyed.
  static ub_fuzz::World* world = new ub_fuzz::World(false);
  if (size < 1 || size > 4096) return 0;
  world->Run(data, size);
  return 0;
}
