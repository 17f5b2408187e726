#include "upstream/health_checker.h"

#include <algorithm>
#include <map>
#include <set>

#include "log_capture.h"
#include "loop_fixture.h"
#include "upstream_fixture.h"

namespace ub {
namespace {

// Probes that end as the test says: at once, some time later, or not at all.
class ScriptedFactory final : public HealthProbeFactory {
 public:
  struct Start {
    std::string target;
    uint64_t at_ns;
  };
  struct Script {
    bool success = true;
    bool hang = false;
    uint64_t delay_ns = 0;  // 0: within Start
  };

  std::unique_ptr<HealthProbe> Make(EventLoop* loop, const HealthCheckConfig& config, BackendProtocol,
                                    ProbeHandler* handler) override {
    EXPECT_GT(config.interval_ms, 0u);
    return std::make_unique<Probe>(this, loop, handler);
  }

  std::vector<uint64_t> Gaps(const std::string& target) const {
    std::vector<uint64_t> gaps;
    uint64_t before = 0;
    for (const Start& start : starts) {
      if (start.target != target) continue;
      if (before != 0) gaps.push_back(start.at_ns - before);
      before = start.at_ns;
    }
    return gaps;
  }
  size_t Probes(const std::string& target) const {
    return static_cast<size_t>(std::count_if(
        starts.begin(), starts.end(), [&](const Start& start) { return start.target == target; }));
  }

  std::map<std::string, Script> scripts;
  Script usual;
  std::vector<Start> starts;
  std::map<std::string, int> running;
  int most_on_one = 0, alive = 0;

 private:
  class Probe final : public HealthProbe {
   public:
    Probe(ScriptedFactory* factory, EventLoop* loop, ProbeHandler* handler)
        : factory_(factory),
          loop_(loop),
          handler_(handler),
          timer_(loop, &Probe::OnTimer, this) {
      factory_->alive++;
    }
    ~Probe() override {
      factory_->alive--;
      if (!target_.empty()) factory_->running[target_]--;
    }
    void Start(const ProbeTarget& target) override {
      target_ = target.text;
      factory_->starts.push_back({target_, loop_->now_ns()});
      factory_->most_on_one = std::max(factory_->most_on_one, ++factory_->running[target_]);
      const auto found = factory_->scripts.find(target_);
      script_ = found == factory_->scripts.end() ? factory_->usual : found->second;
      if (script_.hang) return;
      if (script_.delay_ns == 0) {
        Done();
      } else {
        timer_.Set(loop_->now_ns() + script_.delay_ns);
      }
    }

   private:
    static void OnTimer(void* self) { static_cast<Probe*>(self)->Done(); }
    void Done() {
      handler_->OnProbeDone(script_.success, script_.success ? "" : "scripted failure");
    }

    ScriptedFactory* factory_;
    EventLoop* loop_;
    ProbeHandler* handler_;
    Timer timer_;
    std::string target_;
    Script script_;
  };
};

class HealthCheckerTest : public testing::Test {
 protected:
  HealthCheckerTest() : pool_(2, 320), loop_(MakeLoop()) {
    config_.health_check.interval_ms = 100;
    config_.health_check.max_failures = 3;
    config_.health_check.min_successes = 2;
  }
  ~HealthCheckerTest() override {
    checker_.reset();
    RunTurns(*loop_);
    EXPECT_EQ(factory_.alive, 0) << "no probe outlives the checker";
    EXPECT_LE(factory_.most_on_one, 1) << "checks of one backend never overlap";
  }

  void Begin() {
    checker_ =
        std::make_unique<HealthChecker>(loop_.get(), &pool_.shm(), &pool_.table(), &factory_);
    Configure();
  }
  void Configure() { checker_->Configure(std::make_shared<const Config>(config_)); }
  HealthState Health(uint32_t n) { return static_cast<HealthState>(pool_.slot(n).health.load()); }
  bool Await(uint32_t n, HealthState state) {
    return RunUntil(*loop_, [&] { return Health(n) == state; });
  }
  // Every state that backend `n` goes through until it is `last`.
  std::vector<HealthState> Way(uint32_t n, HealthState last) {
    std::vector<HealthState> way{Health(n)};
    EXPECT_TRUE(RunUntil(*loop_, [&] {
      if (Health(n) != way.back()) way.push_back(Health(n));
      return way.back() == last;
    }));
    return way;
  }
  static std::string Text(uint32_t n) { return MakeSpec(n).text; }

  Pool pool_;
  std::unique_ptr<EventLoop> loop_;
  ScriptedFactory factory_;
  Config config_;
  std::unique_ptr<HealthChecker> checker_;
};

using enum HealthState;

TEST_F(HealthCheckerTest, UpDownAndBackWithEachChangeLoggedOnce) {
  pool_.Apply(MakeSpecs(1));
  const LogCapture log;
  Begin();
  EXPECT_EQ(Way(0, kUp), (std::vector<HealthState>{kUnknown, kUp}));
  EXPECT_EQ(log.Count("is up (was unknown): check passed"), 1u) << log.Text();
  factory_.usual = {.success = false};
  EXPECT_EQ(Way(0, kDown), (std::vector<HealthState>{kUp, kDegraded, kDown}));
  EXPECT_EQ(pool_.slot(0).probe_failures, 3u);
  const size_t probes = factory_.starts.size();
  EXPECT_TRUE(RunUntil(*loop_, [&] { return factory_.starts.size() >= probes + 3; }));
  EXPECT_EQ(log.Count("is degraded (was up): scripted failure"), 1u) << log.Text();
  EXPECT_EQ(log.Count("is down (was degraded): scripted failure"), 1u) << log.Text();
  factory_.usual = {.success = true};
  EXPECT_EQ(Way(0, kUp), (std::vector<HealthState>{kDown, kRecovering, kUp}));
  EXPECT_EQ(log.Count("is recovering (was down): check passed"), 1u) << log.Text();
  EXPECT_EQ(log.Count("is up (was recovering): check passed"), 1u) << log.Text();
  EXPECT_EQ(log.Count("backend"), 5u) << "and nothing else: " << log.Text();
}

TEST_F(HealthCheckerTest, WorksWithProbesThatTakeTime) {
  pool_.Apply(MakeSpecs(3));
  factory_.usual = {.success = true, .delay_ns = 5 * kMilli};
  factory_.scripts[Text(1)] = {.success = false, .delay_ns = 5 * kMilli};
  Begin();
  EXPECT_TRUE(Await(0, kUp));
  EXPECT_TRUE(Await(1, kDown));
  EXPECT_TRUE(Await(2, kUp));
}

TEST_F(HealthCheckerTest, AHangingProbeIsNotJoinedByAnother) {
  pool_.Apply(MakeSpecs(2));
  factory_.scripts[Text(0)] = {.hang = true};
  Begin();
  EXPECT_TRUE(RunUntil(*loop_, [&] { return factory_.Probes(Text(1)) >= 6; }));
  EXPECT_EQ(factory_.Probes(Text(0)), 1u);
  EXPECT_EQ(Health(0), kUnknown);
  // Neither do workers' reports bring one.
  pool_.slot(0).passive_failures = 1;
  EXPECT_TRUE(Await(0, kDegraded));
  RunTurns(*loop_, 20);
  EXPECT_EQ(factory_.Probes(Text(0)), 1u);
}

TEST_F(HealthCheckerTest, ChecksAreSpreadAndJittered) {
  pool_.Apply(MakeSpecs(300));
  config_.health_check.interval_ms = 300;
  Begin();
  EXPECT_TRUE(RunUntil(*loop_, [&] {
    for (uint32_t n = 0; n < 300; ++n) {
      if (factory_.Probes(Text(n)) < 4) return false;
    }
    return true;
  }));
  std::map<uint64_t, int> at_once;
  for (size_t i = 0; i < 300; ++i) at_once[factory_.starts[i].at_ns]++;
  int most = 0;
  for (const auto& [at, count] : at_once) most = std::max(most, count);
  EXPECT_LT(most, 100) << "the first checks do not come in one burst";
  std::set<uint64_t> gaps;
  for (uint32_t n = 0; n < 300; ++n) {
    for (const uint64_t gap : factory_.Gaps(Text(n))) {
      EXPECT_GE(gap,
                90 * kMilli);  // a tenth below the settling interval, the shortest that there is
      gaps.insert(gap / kMilli);
    }
  }
  EXPECT_GT(gaps.size(), 10u) << "each draws its own";
  for (uint32_t n = 0; n < 300; ++n) EXPECT_EQ(Health(n), kUp);
}

TEST_F(HealthCheckerTest, FasterWhileAVerdictIsNearAndSlowAgainAfterIt) {
  pool_.Apply(MakeSpecs(1));
  config_.health_check.interval_ms = 1500;
  config_.health_check.max_failures = 4;
  factory_.usual = {.success = false};
  Begin();
  EXPECT_TRUE(Await(0, kDown));
  const auto settling = factory_.Gaps(Text(0));
  ASSERT_EQ(settling.size(), 3u);
  EXPECT_LT(*std::min_element(settling.begin(), settling.end()), 1350 * kMilli);
  EXPECT_GE(*std::min_element(settling.begin(), settling.end()), 270 * kMilli)
      << "a fifth, less the jitter";
  EXPECT_TRUE(RunUntil(*loop_, [&] { return factory_.Probes(Text(0)) == 5; }));
  EXPECT_GE(factory_.Gaps(Text(0)).back(), 1350 * kMilli)
      << "what is settled is asked at the interval";
}

TEST_F(HealthCheckerTest, StatesSurviveANewChecker) {
  pool_.Apply(MakeSpecs(2));
  factory_.scripts[Text(0)] = {.success = false};
  Begin();
  EXPECT_TRUE(Await(0, kDown));
  EXPECT_TRUE(Await(1, kUp));
  const LogCapture log;
  checker_.reset();  // the controller died and is there again
  factory_.scripts[Text(0)] = {.success = true};
  Begin();
  EXPECT_EQ(Health(0), kDown);
  EXPECT_EQ(Health(1), kUp);
  EXPECT_EQ(Way(0, kUp), (std::vector<HealthState>{kDown, kRecovering, kUp}));
  EXPECT_EQ(log.Count("is up (was unknown)"), 0u) << "nothing was forgotten: " << log.Text();
}

TEST_F(HealthCheckerTest, CountsSurviveANewChecker) {
  pool_.Apply(MakeSpecs(1));
  factory_.usual = {.success = false};
  Begin();
  EXPECT_TRUE(RunUntil(*loop_, [&] { return pool_.slot(0).probe_failures == 2; }));
  checker_.reset();
  const size_t probes = factory_.starts.size();
  Begin();
  EXPECT_TRUE(Await(0, kDown));
  EXPECT_EQ(factory_.starts.size(), probes + 1) << "the third failure in a row";
}

TEST_F(HealthCheckerTest, DisabledMeansUpAndNoProbe) {
  pool_.Apply(MakeSpecs(2));
  pool_.SetHealth(0, kDown);
  config_.health_check.enabled = false;
  const LogCapture log;
  Begin();
  EXPECT_EQ(Health(0), kUp);
  EXPECT_EQ(Health(1), kUp);
  EXPECT_EQ(log.Count("is up (was down): health checks are off"), 1u) << log.Text();
  pool_.slot(0).passive_failures = 10;
  RunTurns(*loop_, 20);
  EXPECT_TRUE(factory_.starts.empty());
  EXPECT_EQ(Health(0), kUp);
  ASSERT_TRUE(pool_.table().Add(0, MakeSpec(5)).ok());
  checker_->Rescan();
  EXPECT_EQ(Health(5), kUp) << "new ones too";
}

TEST_F(HealthCheckerTest, TurnedOffAndOnAgainByReloads) {
  pool_.Apply(MakeSpecs(1));
  factory_.usual = {.success = false};
  Begin();
  EXPECT_TRUE(Await(0, kDown));
  config_.health_check.enabled = false;
  Configure();
  EXPECT_EQ(Health(0), kUp);
  const size_t probes = factory_.starts.size();
  RunTurns(*loop_, 200);
  EXPECT_EQ(factory_.starts.size(), probes);
  config_.health_check.enabled = true;
  Configure();
  EXPECT_EQ(Way(0, kDown), (std::vector<HealthState>{kUp, kDegraded, kDown}));
}

TEST_F(HealthCheckerTest, PassiveFailuresDegradeAndBringACheckSoon) {
  pool_.Apply(MakeSpecs(1));
  config_.health_check.interval_ms = 3'600'000;  // by itself none would come
  Begin();
  pool_.SetHealth(0, kUp);
  checker_.reset();
  Begin();
  EXPECT_TRUE(RunUntil(*loop_, [&] { return factory_.starts.size() == 1; }));
  const LogCapture log;
  factory_.usual = {.success = true, .delay_ns = 50 * kMilli};
  pool_.slot(0).passive_failures = 3;
  EXPECT_TRUE(Await(0, kDegraded));
  EXPECT_TRUE(Await(0, kUp));
  EXPECT_EQ(factory_.starts.size(), 2u);
  EXPECT_EQ(pool_.slot(0).passive_failures, 0u) << "the check has answered them";
  EXPECT_EQ(log.Count("is degraded (was up): requests fail"), 1u) << log.Text();
}

TEST_F(HealthCheckerTest, PassiveFailuresNeverTakeABackendDown) {
  pool_.Apply(MakeSpecs(1));
  factory_.usual = {.hang = true};
  Begin();
  pool_.slot(0).passive_failures = 1'000'000;
  EXPECT_TRUE(Await(0, kDegraded));
  RunTurns(*loop_, 50);
  EXPECT_EQ(Health(0), kDegraded);
}

TEST_F(HealthCheckerTest, SlowStartBeginsWithTheRecovery) {
  pool_.Apply(MakeSpecs(1));
  config_.health_check.slow_start_ms = 5000;
  Begin();
  EXPECT_TRUE(Await(0, kUp));
  EXPECT_EQ(pool_.slot(0).slow_start_since, 0u) << "a new backend is not one that comes back";
  factory_.usual = {.success = false};
  EXPECT_TRUE(Await(0, kDegraded));
  factory_.usual = {.success = true};
  EXPECT_TRUE(Await(0, kUp));
  EXPECT_EQ(pool_.slot(0).slow_start_since, 0u) << "nor is one that was not out";
  factory_.usual = {.success = false};
  EXPECT_TRUE(Await(0, kDown));
  factory_.usual = {.success = true};
  const uint64_t before = MonotonicNs();
  EXPECT_TRUE(Await(0, kUp));
  EXPECT_GE(pool_.slot(0).slow_start_since, before);
  EXPECT_LE(pool_.slot(0).slow_start_since, MonotonicNs());
}

TEST_F(HealthCheckerTest, FollowsTheTable) {
  pool_.Apply(MakeSpecs(2));
  factory_.scripts[Text(1)] = {.hang = true};
  Begin();
  EXPECT_TRUE(Await(0, kUp));
  EXPECT_TRUE(RunUntil(*loop_, [&] { return factory_.Probes(Text(1)) == 1; }));
  pool_.Apply({MakeSpec(0), MakeSpec(2)});  // 1 goes, in the middle of its check, and 2 comes
  checker_->Rescan();
  EXPECT_TRUE(Await(2, kUp));
  EXPECT_EQ(factory_.running[Text(1)], 0);
  EXPECT_EQ(factory_.Probes(Text(1)), 1u);
}

TEST_F(HealthCheckerTest, ASlotOfANewGenerationBeginsUnknown) {
  Pool& pool = pool_;
  pool.Apply(MakeSpecs(1));
  factory_.scripts[Text(0)] = {.success = false};
  Begin();
  EXPECT_TRUE(Await(0, kDown));
  const uint32_t b = pool.Find(0);
  ASSERT_TRUE(pool.table().Remove(b).ok());
  pool.Apply({MakeSpec(7)});
  ASSERT_EQ(pool.Find(7), b) << "no worker lives, so the slot is free at once";
  EXPECT_EQ(Health(7), kUnknown);
  checker_->Rescan();
  EXPECT_EQ(Way(7, kUp), (std::vector<HealthState>{kUnknown, kUp}));
}

// Removed and back before the checker looked: what it knew is of the time before.
TEST_F(HealthCheckerTest, ARevivedSlotBeginsUnknownToo) {
  pool_.Apply(MakeSpecs(2));
  factory_.scripts[Text(0)] = {.success = false};
  Begin();
  EXPECT_TRUE(Await(0, kDown));
  pool_.Apply({MakeSpec(1)});
  pool_.Apply(MakeSpecs(2));
  factory_.scripts[Text(0)] = {.success = true};
  checker_->Rescan();
  EXPECT_EQ(Way(0, kUp), (std::vector<HealthState>{kUnknown, kUp}));
}

TEST_F(HealthCheckerTest, AReloadOfTheSameSettingsDisturbsNothing) {
  pool_.Apply(MakeSpecs(1));
  factory_.usual = {.hang = true};
  Begin();
  EXPECT_TRUE(RunUntil(*loop_, [&] { return factory_.starts.size() == 1; }));
  config_.algorithm = "random";
  for (int n = 0; n < 5; ++n) {
    Configure();
    RunTurns(*loop_, 5);
  }
  EXPECT_EQ(factory_.alive, 1) << "the check under way goes on";
  EXPECT_EQ(factory_.starts.size(), 1u);
}

}  // namespace
}  // namespace ub
