#include "upstream/controller.h"

#include <poll.h>

#include <atomic>
#include <thread>

#include "core/config_serialize.h"
#include "core/sealed_memfd.h"
#include "loop_fixture.h"
#include "upstream_fixture.h"

namespace ub {
namespace {

// Checks that end at once, as the test says.
class InstantFactory final : public HealthProbeFactory {
 public:
  std::unique_ptr<HealthProbe> Make(EventLoop*, const HealthCheckConfig&, BackendProtocol,
                                    ProbeHandler* handler) override {
    return std::make_unique<Probe>(this, handler);
  }
  std::atomic<bool> success{true};
  std::atomic<int> probes{0};

 private:
  class Probe final : public HealthProbe {
   public:
    Probe(InstantFactory* factory, ProbeHandler* handler) : factory_(factory), handler_(handler) {}
    void Start(const ProbeTarget&) override {
      factory_->probes++;
      handler_->OnProbeDone(factory_->success, "scripted failure");
    }

   private:
    InstantFactory* factory_;
    ProbeHandler* handler_;
  };
};

BackendConfig MakeBackend(std::string host, uint16_t port = 80, uint32_t weight = 100) {
  BackendConfig backend;
  backend.host = std::move(host);
  backend.port = port;
  backend.weight = weight;
  return backend;
}

// A controller in a thread, and its master: this test.
class ControllerTest : public testing::Test {
 protected:
  ControllerTest() : pool_(4, 8) {
    config_.listen.push_back({.address = "127.0.0.1", .port = 1, .text = "127.0.0.1:1"});
    config_.backends = {MakeBackend("10.0.0.1"), MakeBackend("10.0.0.2")};
    config_.health_check.interval_ms = 100;
    row_ = shm().TakeRow(ChildKind::kController, 0);
  }
  ~ControllerTest() override { Stop(); }

  ShmSegment& shm() { return pool_.shm(); }
  void Start() {
    auto pair = Channel::MakePair();
    ASSERT_TRUE(pair);
    master_ = std::move(pair->first);
    child_ = std::make_unique<ChildContext>();
    child_->kind = ChildKind::kController;
    child_->row = row_;
    child_->channel = std::move(pair->second);
    child_->shm = &shm();
    child_->config = std::make_shared<const Config>(config_);
    child_->generation = generation_;
    thread_ = std::thread([this] { exit_status_ = ControllerMain(*child_, &probes_); });
    Message message;
    ASSERT_TRUE(Receive(&message));
    EXPECT_EQ(message.type, MessageType::kReady);
    EXPECT_EQ(message.arg, generation_);
  }
  // End of file at the channel is the master's end.
  void Stop() {
    if (!thread_.joinable()) return;
    master_.Close();
    thread_.join();
    EXPECT_EQ(exit_status_, 0);
  }
  bool Receive(Message* message) {
    const uint64_t deadline = MonotonicMs() + 40'000;
    while (MonotonicMs() < deadline) {
      auto received = master_.Receive();
      if (!received) return false;
      if (received->has_value()) {
        if ((*received)->type == MessageType::kWakeWorkers) {
          ++wakes_;  // it waits for idle workers; says so whenever it tries again
          continue;
        }
        *message = std::move(**received);
        return true;
      }
      pollfd wait{master_.fd(), POLLIN, 0};
      poll(&wait, 1, 100);
    }
    return false;
  }
  // Hands out `text` as the next configuration; what the controller answers.
  std::string Hand(const std::string& text) {
    Message message;
    message.type = MessageType::kConfig;
    message.arg = ++generation_;
    auto memfd = MakeSealedMemfd("config", text);
    EXPECT_TRUE(memfd);
    message.fds.push_back(std::move(*memfd));
    auto sent = master_.Send(message);
    EXPECT_TRUE(sent && *sent);
    Message answer;
    if (!Receive(&answer)) return "no answer";
    EXPECT_EQ(answer.type, MessageType::kConfigAck);
    return answer.payload;
  }
  std::string Hand() { return Hand(SerializeConfig(config_)); }
  static bool Await(const std::function<bool()>& done) {
    const uint64_t deadline = MonotonicMs() + 40'000;
    while (!done() && MonotonicMs() < deadline) usleep(1000);
    return done();
  }
  std::vector<std::string> Backends() {
    BackendView view(shm(), 0);
    view.Refresh();
    std::vector<std::string> texts;
    for (const ViewEntry& entry : view.entries()) texts.push_back(view.Slot(entry).address_text);
    return texts;
  }
  HealthState Health(uint32_t slot) {
    return static_cast<HealthState>(shm().slot(slot).health.load());
  }

  Pool pool_;
  Config config_;
  uint32_t row_ = 0;
  uint64_t generation_ = 1;
  int wakes_ = 0;
  InstantFactory probes_;
  std::unique_ptr<ChildContext> child_;
  Channel master_;
  std::thread thread_;
  int exit_status_ = -1;
};

TEST_F(ControllerTest, FillsTheTableAndSaysThatItServes) {
  Start();
  EXPECT_EQ(Backends(), (std::vector<std::string>{"10.0.0.1:80", "10.0.0.2:80"}));
  EXPECT_EQ(shm().row(row_).config_ack, 1u);
  EXPECT_TRUE(
      Await([&] { return Health(0) == HealthState::kUp && Health(1) == HealthState::kUp; }));
}

TEST_F(ControllerTest, TakesAConfigurationAndAcknowledgesIt) {
  Start();
  const uint64_t version = shm().header().table_version;
  config_.backends = {MakeBackend("10.0.0.2", 80, 7), MakeBackend("10.0.0.3")};
  EXPECT_EQ(Hand(), "");
  EXPECT_EQ(Backends(), (std::vector<std::string>{"10.0.0.2:80", "10.0.0.3:80"}));
  EXPECT_EQ(shm().slot(1).weight, 7u);
  EXPECT_GT(shm().header().table_version.load(), version);
  EXPECT_EQ(shm().row(row_).config_ack, 2u);
}

TEST_F(ControllerTest, ABadConfigurationIsRefusedAndTheOldStays) {
  Start();
  EXPECT_NE(Hand("this is no configuration"), "");
  EXPECT_EQ(shm().row(row_).config_ack, 1u);
  EXPECT_EQ(Backends().size(), 2u);
  for (uint32_t n = 0; n < 20; ++n)
    config_.backends.push_back(MakeBackend("10.1.0." + std::to_string(n + 1)));
  EXPECT_NE(Hand().find("max_backends"), std::string::npos);
  EXPECT_EQ(Backends().size(), 2u);
  config_.backends.resize(1);
  EXPECT_EQ(Hand(), "") << "and goes on taking good ones";
  EXPECT_EQ(Backends().size(), 1u);
}

TEST_F(ControllerTest, HealthSurvivesAReloadForUnchangedAddresses) {
  config_.health_check.max_failures = 1;
  probes_.success = false;
  Start();
  EXPECT_TRUE(
      Await([&] { return Health(0) == HealthState::kDown && Health(1) == HealthState::kDown; }));
  config_.health_check.interval_ms =
      3'600'000;  // whatever is seen from here on was kept, not found again
  config_.backends.push_back(MakeBackend("10.0.0.3"));
  std::swap(config_.backends[0], config_.backends[1]);
  EXPECT_EQ(Hand(), "");
  EXPECT_EQ(Health(0), HealthState::kDown);
  EXPECT_EQ(Health(1), HealthState::kDown);
}

TEST_F(ControllerTest, ANewControllerKeepsStatesAndRepairsTheTable) {
  config_.health_check.max_failures = 1;
  probes_.success = false;
  Start();
  EXPECT_TRUE(Await([&] { return Health(0) == HealthState::kDown; }));
  Stop();
  ASSERT_TRUE(pool_.table().Remove(1).ok());  // as if it had been killed in between
  config_.health_check.interval_ms = 3'600'000;
  Start();
  EXPECT_EQ(Health(0), HealthState::kDown);
  EXPECT_EQ(Backends().size(), 2u);
}

TEST_F(ControllerTest, SlotsStillInUseAreWaitedFor) {
  pool_.AddWorker();
  Start();
  pool_.Refresh();
  config_.backends.clear();
  for (uint32_t n = 0; n < 8; ++n)
    config_.backends.push_back(MakeBackend("10.2.0." + std::to_string(n + 1)));
  EXPECT_EQ(Hand(), "") << "what does not fit yet is no error";
  EXPECT_LT(Backends().size(), 8u) << "the worker has not let go of the old ones";
  EXPECT_TRUE(Await([&] {
    pool_.Refresh();
    return Backends().size() == 8;
  }));
}

TEST_F(ControllerTest, LeavesWhenToldToAndAnswersWhileTheWorkersDrain) {
  Start();
  Message message;
  message.type = MessageType::kDrain;
  auto sent = master_.Send(message);
  ASSERT_TRUE(sent && *sent);
  EXPECT_EQ(Hand(), "") << "it still takes configurations";
  message.type = MessageType::kStop;
  sent = master_.Send(message);
  ASSERT_TRUE(sent && *sent);
  thread_.join();
  EXPECT_EQ(exit_status_, 0);
}

TEST_F(ControllerTest, PrepareFillsTheTableBeforeTheFirstFork) {
  ASSERT_TRUE(PrepareBackends(config_, shm()).ok());
  EXPECT_EQ(Backends().size(), 2u);
  Pool other(2, 8);
  config_.backends = {MakeBackend("no-such-name.invalid")};
  EXPECT_FALSE(PrepareBackends(config_, other.shm()).ok());
}

}  // namespace
}  // namespace ub
