// Runs an event loop until something holds: for tests of what lives on one.
#ifndef UB_T_UNIT_UPSTREAM_LOOP_FIXTURE_H_
#define UB_T_UNIT_UPSTREAM_LOOP_FIXTURE_H_

#include <gtest/gtest.h>

#include <cstdlib>
#include <functional>
#include <memory>

#include "core/clock.h"
#include "event/event_loop.h"

namespace ub {

inline std::unique_ptr<EventLoop> MakeLoop() {
  auto loop = EventLoop::Create();
  EXPECT_TRUE(loop);
  return std::move(*loop);
}

// False where it does not hold within ten seconds (times UB_TIME_FACTOR): only a failing test waits
// so long.
inline bool RunUntil(EventLoop& loop, const std::function<bool()>& done) {
  struct State {
    EventLoop& loop;
    const std::function<bool()>& done;
    uint64_t deadline_ms;
    Timer timer;
    bool held = false;
    static void Look(void* self) {
      auto* state = static_cast<State*>(self);
      state->held = state->done();
      if (state->held || MonotonicMs() >= state->deadline_ms) {
        state->loop.Stop();
      } else {
        state->timer.Set(state->loop.now_ns() + 1'000'000);
      }
    }
  };
  const char* factor = getenv("UB_TIME_FACTOR");
  const uint64_t limit_ms =
      10'000 * static_cast<uint64_t>(factor != nullptr ? std::max(atoi(factor), 1) : 1);
  State state{loop, done, MonotonicMs() + limit_ms, Timer(&loop, &State::Look, &state)};
  State::Look(&state);
  if (!state.held) loop.Run();
  return state.held;
}

// A few turns of the loop.
inline void RunTurns(EventLoop& loop, int turns = 3) {
  int left = turns;
  RunUntil(loop, [&left] { return left-- == 0; });
}

}  // namespace ub

#endif  // UB_T_UNIT_UPSTREAM_LOOP_FIXTURE_H_
