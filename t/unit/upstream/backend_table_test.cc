#include "upstream/backend_table.h"

#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>
#include <set>

#include "upstream/circuit_breaker.h"
#include "upstream_fixture.h"

namespace ub {
namespace {

uint64_t Version(Pool& pool) { return pool.shm().header().table_version.load(); }

TEST(BackendTable, ApplyFillsEveryField) {
  Pool pool;
  auto specs = MakeSpecs(2);
  specs[1].weight = 7;
  specs[1].max_connections = 9;
  specs[1].backup = true;
  specs[1].name = "spare";
  pool.Apply(specs);
  EXPECT_EQ(Version(pool), 1u);
  const BackendSlot& slot = pool.slot(1);
  EXPECT_EQ(slot.weight, 7u);
  EXPECT_EQ(slot.max_connections, 9u);
  EXPECT_EQ(slot.backup, 1u);
  EXPECT_EQ(slot.order, 1u);
  EXPECT_EQ(slot.generation, 1u);
  EXPECT_EQ(slot.health, static_cast<uint32_t>(HealthState::kUnknown));
  EXPECT_STREQ(slot.name, "spare");
  EXPECT_STREQ(slot.address_text, specs[1].text.c_str());
  EXPECT_STREQ(pool.slot(0).name, specs[0].text.c_str()) << "without a name the address is one";
  EXPECT_EQ(slot.address_bytes, specs[1].bytes);
  EXPECT_EQ(std::memcmp(slot.address, &specs[1].address, specs[1].bytes), 0);
}

TEST(BackendTable, AnAddressThatStaysKeepsWhatIsKnownOfIt) {
  Pool pool;
  pool.Apply(MakeSpecs(3));
  const uint32_t b = pool.Find(1);
  BackendSlot& slot = pool.slot(1);
  pool.SetHealth(1, HealthState::kDown);
  slot.probe_failures = 5;
  slot.breaker = BreakerWord{CircuitState::kOpen, 3, 99}.Pack();
  slot.ewma = 4711;
  slot.slow_start_since = 12;
  auto specs = MakeSpecs(3);
  specs[1].weight = 5;
  specs[1].admin = AdminState::kDrain;
  std::swap(specs[0], specs[2]);
  pool.Apply(specs);
  EXPECT_EQ(pool.Find(1), b);
  EXPECT_EQ(slot.weight, 5u);
  EXPECT_EQ(slot.health, static_cast<uint32_t>(HealthState::kDown));
  EXPECT_EQ(slot.probe_failures, 5u);
  EXPECT_EQ(slot.breaker, (BreakerWord{CircuitState::kOpen, 3, 99}.Pack()));
  EXPECT_EQ(slot.ewma, 4711u);
  EXPECT_EQ(slot.slow_start_since, 12u);
  EXPECT_EQ(slot.admin, static_cast<uint32_t>(AdminState::kDrain));
  EXPECT_EQ(slot.generation, 1u);
}

TEST(BackendTable, AnAddressWithAnotherNameIsAnotherBackend) {
  Pool pool;
  auto specs = MakeSpecs(2);
  specs[1].name = "old";
  pool.Apply(specs);
  const uint32_t before = pool.Find(1);
  specs[1].name = "new";
  pool.Apply(specs);
  const uint32_t after = pool.Find(1);
  EXPECT_NE(after, before);
  EXPECT_STREQ(pool.slot(1).name, "new");
  EXPECT_EQ(pool.slot(0).generation, 1u) << "the other stays";
  specs[1].host = "app.example.org";
  pool.Apply(specs);
  EXPECT_NE(pool.Find(1), after) << "so is one with another host: with TLS it must be somebody else";
  EXPECT_STREQ(pool.slot(1).host, "app.example.org");
  // A name that is too long for a slot is the same when it is cut.
  specs[1].name = std::string(200, 'n');
  pool.Apply(specs);
  const uint32_t longest = pool.Find(1);
  pool.Apply(specs);
  EXPECT_EQ(pool.Find(1), longest);
}

TEST(BackendTable, OfAnAddressGivenTwiceTheFirstCounts) {
  Pool pool;
  auto specs = MakeSpecs(2);
  specs.push_back(MakeSpec(0, 55));
  pool.Apply(specs);
  EXPECT_EQ(pool.slot(0).weight, 100u);
  EXPECT_EQ(pool.shm().header().backend_high_water, 2u);
}

TEST(BackendTable, EveryChangeBumpsTheVersionOnce) {
  Pool pool;
  pool.Apply(MakeSpecs(2));
  EXPECT_EQ(Version(pool), 1u);
  pool.Apply(MakeSpecs(2));
  EXPECT_EQ(Version(pool), 2u) << "also where nothing changed: see Apply";
  ASSERT_TRUE(pool.table().Add(0, MakeSpec(7)).ok());
  EXPECT_EQ(Version(pool), 3u);
  ASSERT_TRUE(pool.table().Remove(pool.Find(7)).ok());
  EXPECT_EQ(Version(pool), 4u);
  ASSERT_TRUE(pool.table().SetSlowStart(pool.Find(0), 5).ok());
  EXPECT_EQ(Version(pool), 4u);
  pool.SetWeight(0, 0);
  EXPECT_EQ(pool.slot(0).weight, 1u) << "a weight is at least 1";
  EXPECT_EQ(Version(pool), 5u);
}

TEST(BackendTable, ErrorsSayWhatIsWrongAndChangeNothing) {
  Pool pool(4, 4);
  pool.Apply(MakeSpecs(2));
  EXPECT_EQ(pool.table().Add(0, MakeSpec(1)).code(), StatusCode::kExists);
  for (const uint32_t slot : {2u, 3u, 4u, kNoSlot}) {
    EXPECT_EQ(pool.table().Remove(slot).code(), StatusCode::kNotFound) << slot;
    EXPECT_EQ(pool.table().SetSlowStart(slot, 1).code(), StatusCode::kNotFound) << slot;
  }
  BackendSpec bad = MakeSpec(3);
  for (const socklen_t bytes : {0u, static_cast<unsigned>(kSlotAddressBytes) + 1}) {
    bad.bytes = bytes;
    EXPECT_EQ(pool.table().Add(0, bad).code(), StatusCode::kInvalid);
    EXPECT_EQ(pool.table().Apply(0, std::vector<BackendSpec>{bad}).code(), StatusCode::kInvalid);
  }
  EXPECT_EQ(Version(pool), 1u);
  EXPECT_NE(pool.Find(0), kNoSlot);
  EXPECT_NE(pool.Find(1), kNoSlot);
}

TEST(BackendTable, MoreThanFitsIsRefusedAsAWhole) {
  Pool pool(4, 4);
  pool.Apply(MakeSpecs(3));
  const Status status = pool.table().Apply(0, MakeSpecs(5));
  EXPECT_EQ(status.code(), StatusCode::kExhausted);
  EXPECT_FALSE(status.retryable());
  EXPECT_NE(status.detail().find("shared_memory.max_backends"), std::string::npos)
      << status.detail();
  EXPECT_EQ(Version(pool), 1u);
  EXPECT_EQ(pool.Find(3), kNoSlot);
  pool.Apply(MakeSpecs(4));
  EXPECT_EQ(pool.table().Add(0, MakeSpec(9)).code(), StatusCode::kExhausted);
  EXPECT_EQ(pool.table().Apply(1, MakeSpecs(1)).code(), StatusCode::kExhausted)
      << "pools share the table";
}

TEST(BackendTable, LongTextsAreCutAndEnded) {
  Pool pool;
  BackendSpec spec = MakeSpec(1);
  spec.name = std::string(500, 'n');
  spec.text = std::string(127, 't');
  ASSERT_TRUE(pool.table().Add(0, spec).ok());
  const uint32_t b = pool.table().Find(0, spec.text);
  ASSERT_NE(b, kNoSlot);
  EXPECT_EQ(std::string(pool.shm().slot(b).name), std::string(127, 'n'));
}

TEST(BackendTable, PoolsDoNotTouchEachOther) {
  Pool pool;
  pool.Apply(MakeSpecs(2));
  ASSERT_TRUE(pool.table().Apply(1, MakeSpecs(2)).ok());
  ASSERT_TRUE(pool.table().Apply(1, {}).ok());
  EXPECT_NE(pool.Find(0), kNoSlot);
  EXPECT_EQ(pool.table().Find(1, MakeSpec(0).text), kNoSlot);
}

// --- reuse of slots ---

TEST(BackendTable, AnAddressThatComesBackTakesItsOldSlotWithFreshHealth) {
  Pool pool;
  pool.Apply(MakeSpecs(2));
  const uint32_t b = pool.Find(1);
  BackendSlot& slot = pool.slot(1);
  pool.SetHealth(1, HealthState::kDown);
  slot.probe_failures = 3;
  slot.passive_failures = 3;
  slot.slow_start_since = 5;
  slot.breaker = BreakerWord{CircuitState::kOpen, 3, 99}.Pack();
  slot.admin = static_cast<uint32_t>(AdminState::kDrain);
  pool.shm().in_flight(0, b) = 2;  // whatever is under way belongs to it
  pool.Apply(MakeSpecs(1));
  EXPECT_EQ(slot.state, static_cast<uint32_t>(SlotState::kRemoved));
  pool.Apply(MakeSpecs(2));
  EXPECT_EQ(pool.Find(1), b);
  EXPECT_EQ(slot.generation, 1u);
  EXPECT_EQ(slot.health, static_cast<uint32_t>(HealthState::kUnknown));
  EXPECT_EQ(slot.probe_failures, 0u);
  EXPECT_EQ(slot.passive_failures, 0u);
  EXPECT_EQ(slot.slow_start_since, 0u);
  EXPECT_EQ(slot.admin, static_cast<uint32_t>(AdminState::kReady));
  const BreakerWord breaker = BreakerWord::Unpack(slot.breaker);
  EXPECT_EQ(breaker.state, CircuitState::kClosed);
  EXPECT_EQ(breaker.epoch, 4) << "reports from before say nothing";
  EXPECT_EQ(pool.shm().in_flight(0, b), 2u);
}

TEST(BackendTable, ASlotIsReusedOnlyUnderTheRule) {
  Pool pool(4, 2);
  pool.Apply(MakeSpecs(2));
  pool.AddWorker();
  pool.AddWorker();
  const uint32_t b = pool.Find(1);
  ASSERT_TRUE(pool.table().Remove(b).ok());
  const auto refused = [&](const char* why) {
    EXPECT_FALSE(pool.table().Reusable(b)) << why;
    const Status status = pool.table().Add(0, MakeSpec(9));
    EXPECT_EQ(status.code(), StatusCode::kExhausted) << why;
    EXPECT_TRUE(status.retryable()) << why;
  };
  refused("no worker has seen it");
  pool.group(0).Refresh();
  refused("one has not");
  pool.group(1).Refresh();
  pool.shm().in_flight(1, b) = 1;
  refused("a request is under way");
  pool.shm().in_flight(1, b) = 0;
  pool.shm().tickets(0, b) = 1;
  refused("a ticket is held");
  pool.shm().tickets(0, b) = 0;
  EXPECT_TRUE(pool.table().Reusable(b));
  ASSERT_TRUE(pool.table().Add(0, MakeSpec(9)).ok());
  EXPECT_EQ(pool.Find(9), b);
  EXPECT_EQ(pool.slot(9).generation, 2u);
  EXPECT_EQ(pool.table().Find(0, MakeSpec(1).text), kNoSlot);
}

TEST(BackendTable, TheDeadAndTheControllerNeedNotAcknowledge) {
  Pool pool(4, 2);
  pool.Apply(MakeSpecs(2));
  pool.AddWorker();
  EXPECT_NE(pool.shm().TakeRow(ChildKind::kController, 0), kNoRow);
  const uint32_t b = pool.Find(1);
  pool.shm().in_flight(0, b) = 3;
  ASSERT_TRUE(pool.table().Remove(b).ok());
  EXPECT_FALSE(pool.table().Reusable(b));
  pool.shm().ReleaseRow(0);
  EXPECT_TRUE(pool.table().Reusable(b));
}

TEST(BackendTable, ApplyPutsInForceWhatFitsAndTheRestLater) {
  Pool pool(4, 2);
  pool.Apply(MakeSpecs(2));
  pool.AddWorker();
  const std::vector<BackendSpec> next{MakeSpec(0), MakeSpec(5)};
  const Status status = pool.table().Apply(0, next);
  EXPECT_EQ(status.code(), StatusCode::kExhausted);
  EXPECT_TRUE(status.retryable());
  EXPECT_NE(pool.Find(0), kNoSlot);
  EXPECT_EQ(pool.Find(1), kNoSlot) << "the old one serves no more";
  EXPECT_EQ(pool.Find(5), kNoSlot);
  pool.Refresh();
  pool.Apply(next);
  EXPECT_NE(pool.Find(5), kNoSlot);
}

TEST(BackendTable, CountersOfASlotGoOnWhenItIsReused) {
  Pool pool(4, 1);
  pool.Apply(MakeSpecs(1));
  pool.AddWorker();
  pool.shm().counters(0, 0).requests = 77;
  pool.Apply({});
  pool.Refresh();
  ASSERT_TRUE(pool.table().Add(0, MakeSpec(1)).ok());
  EXPECT_EQ(pool.shm().counters(0, 0).requests, 77u) << "totals never go down";
}

// --- a writer that is killed ---

std::set<std::string> ActiveTexts(const ShmSegment& shm) {
  BackendView view(shm, 0);
  view.Refresh();
  std::set<std::string> texts;
  for (const ViewEntry& entry : view.entries()) {
    const BackendSlot& slot = view.Slot(entry);
    EXPECT_TRUE(texts.insert(slot.address_text).second) << slot.address_text << " is there twice";
    // Text and address must be of one backend: a worker that sees the slot may connect there.
    sockaddr_in address{};
    EXPECT_EQ(slot.address_bytes, sizeof(address));
    std::memcpy(&address, slot.address, sizeof(address));
    char ip[INET_ADDRSTRLEN];
    inet_ntop(AF_INET, &address.sin_addr, ip, sizeof ip);
    EXPECT_EQ(fmt::format("{}:{}", ip, ntohs(address.sin_port)), slot.address_text);
    EXPECT_GE(slot.weight.load(), 1u);
  }
  return texts;
}

std::set<std::string> Texts(const std::vector<BackendSpec>& specs) {
  std::set<std::string> texts;
  for (const BackendSpec& spec : specs) texts.insert(spec.text);
  return texts;
}

std::string Bytes(const ShmSegment& shm) {
  return {reinterpret_cast<const char*>(&shm.header()), shm.bytes()};
}

// Runs `change` in a process, one instruction at a time, and hands out the segment as it is after
// each instruction that altered it: every state that a kill can leave behind. False where this
// machine forbids tracing.
bool StepThrough(ShmSegment& shm, const std::function<void()>& change,
                 const std::function<void(const std::string& bytes)>& look) {
  const pid_t pid = fork();
  if (pid == 0) {
    if (ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) != 0) _exit(1);
    raise(SIGSTOP);
    change();
    _exit(0);
  }
  int status = 0;
  waitpid(pid, &status, 0);
  if (!WIFSTOPPED(status)) return false;
  std::string before = Bytes(shm);
  for (;;) {
    if (ptrace(PTRACE_SINGLESTEP, pid, nullptr, nullptr) != 0) break;
    waitpid(pid, &status, 0);
    if (WIFEXITED(status) || WIFSIGNALED(status)) return true;
    if (std::memcmp(&shm.header(), before.data(), before.size()) == 0) continue;
    before = Bytes(shm);
    look(before);
  }
  kill(pid, SIGKILL);
  waitpid(pid, nullptr, 0);
  return true;
}

class KilledWriter : public testing::Test {
 protected:
  static constexpr ShmLimits kLimits{.processes = 2, .backends = 4, .sockets = 1};

  KilledWriter() : pool_(kLimits.processes, kLimits.backends) {
    pool_.Apply(MakeSpecs(3));
    pool_.SetHealth(0, HealthState::kDown);
  }

  // A worker that looks at the wreck sees whole backends of before or after only, and whoever
  // writes next makes it right.
  void Check(const std::function<void(BackendTable&)>& change,
             const std::vector<BackendSpec>& after) {
    std::set<std::string> known = Texts(MakeSpecs(3));
    known.merge(Texts(after));
    int states = 0;
    const auto look = [&](const std::string& bytes) {
      ++states;
      auto wreck = ShmSegment::Create(kLimits);
      ASSERT_TRUE(wreck);
      std::memcpy(static_cast<void*>(&wreck->header()), bytes.data(), bytes.size());
      for (const std::string& text : ActiveTexts(*wreck)) EXPECT_TRUE(known.contains(text)) << text;
      const uint64_t version = wreck->header().table_version;
      BackendTable next(*wreck);
      const Status status = next.Apply(0, after);
      EXPECT_TRUE(status.ok()) << status.ToString() << " in state " << states;
      EXPECT_GT(wreck->header().table_version.load(), version);
      EXPECT_EQ(ActiveTexts(*wreck), Texts(after)) << "in state " << states;
      const uint32_t first = next.Find(0, MakeSpec(0).text);
      if (first != kNoSlot) {
        EXPECT_EQ(wreck->slot(first).health, static_cast<uint32_t>(HealthState::kDown))
            << "what is known is kept";
      }
    };
    BackendTable writer(pool_.shm());
    if (!StepThrough(
            pool_.shm(), [&] { change(writer); }, look))
      GTEST_SKIP() << "tracing is forbidden here";
    EXPECT_GE(states, 3);
    EXPECT_EQ(ActiveTexts(pool_.shm()), Texts(after));
  }

  Pool pool_;
};

TEST_F(KilledWriter, AddAtAnyStep) {
  Check([](BackendTable& table) { (void)table.Add(0, MakeSpec(9)); },
        {MakeSpec(0), MakeSpec(1), MakeSpec(2), MakeSpec(9)});
}

TEST_F(KilledWriter, RemoveAtAnyStep) {
  Check([this](BackendTable& table) { (void)table.Remove(pool_.Find(1)); },
        {MakeSpec(0), MakeSpec(2)});
}

TEST_F(KilledWriter, ReviveAtAnyStep) {
  ASSERT_TRUE(pool_.table().Remove(pool_.Find(1)).ok());
  Check([](BackendTable& table) { (void)table.Add(0, MakeSpec(1)); }, MakeSpecs(3));
}

TEST_F(KilledWriter, ApplyThatRemovesEditsAddsAndReusesAtAnyStep) {
  ASSERT_TRUE(pool_.table().Remove(pool_.Find(2)).ok());
  const std::vector<BackendSpec> after{MakeSpec(0, 5), MakeSpec(7), MakeSpec(8)};
  Check([&](BackendTable& table) { (void)table.Apply(0, after); }, after);
}

}  // namespace
}  // namespace ub
