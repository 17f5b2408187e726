// Everything that an operator or a machine does to the balancer, in a seeded order, against live
// traffic of which every byte is verified.
//
// Allowed to fail is only what a killed worker held: it is stopped first, its client connections
// are counted, and each of them may cost one request, as a connection that ends. A wrong answer, a
// status that is not 200 and a refused connection are never allowed.
//
// UB_CHAOS_STEPS (default 45) and UB_CHAOS_SEED; `make chaos` runs many steps.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>

#include "client.h"
#include "core/random.h"
#include "fake_backend.h"
#include "h2_load.h"
#include "load_generator.h"
#include "proxy.h"
#include "tls_client.h"
#include "tls_fixture.h"
#include "tunnel.h"

namespace ub::itest {
namespace {

uint64_t Setting(const char* name, uint64_t otherwise) {
  const char* value = getenv(name);
  return value == nullptr ? otherwise : strtoull(value, nullptr, 10);
}

// Connections to an address that comes and goes. It may refuse; but a connection that stands is
// answered.
class PassingBy {
 public:
  explicit PassingBy(Endpoint to) : to_(std::move(to)), thread_([this] { Run(); }) {}
  ~PassingBy() { Stop(); }
  void Stop() {
    stop_ = true;
    if (thread_.joinable()) thread_.join();
  }
  uint64_t answered() const { return answered_; }
  uint64_t failed() const { return failed_; }

 private:
  void Run() {
    while (!stop_) {
      Socket socket = Socket::Connect(to_, Millis(200));
      if (!socket.valid()) {
        WaitFor([this] { return stop_.load(); }, Millis(5));
        continue;
      }
      MessageReader reader(&socket);
      socket.Send(RequestText("GET", "/size/100/1"));
      const Response response = reader.ReadResponse();
      const bool right = response.status == 200 && response.body == Pattern(1, 100);
      (right ? answered_ : failed_).fetch_add(1);
    }
  }

  const Endpoint to_;
  std::atomic<bool> stop_{false};
  std::atomic<uint64_t> answered_{0}, failed_{0};
  std::thread thread_;
};

// Upgraded connections, one after another: each carries some bytes to the backend and back, now and
// then large ones, and is then ended by this side.
class Tunnels {
 public:
  Tunnels(Endpoint to, int count) : to_(std::move(to)) {
    for (int i = 0; i < count; ++i)
      threads_.emplace_back([this, i] { Run(static_cast<uint64_t>(i)); });
  }
  ~Tunnels() { Stop(); }
  void Stop() {
    stop_ = true;
    for (auto& thread : threads_) thread.join();
    threads_.clear();
  }
  uint64_t echoes() const { return echoes_; }
  uint64_t ended() const { return ended_; }
  uint64_t failed() const { return failed_; }

 private:
  void Run(uint64_t index) {
    for (uint64_t round = 0; !stop_; ++round) {
      TunnelClient tunnel(to_);
      bool intact = tunnel.open();
      for (uint64_t i = 0; intact && i < 200 && !stop_; ++i) {
        const std::string bytes = Pattern(index * 1000 + i, i % 50 == 0 ? 200'000 : 500);
        tunnel.end().Send(bytes);
        intact = tunnel.end().Read(bytes.size()) == bytes;
        if (intact) ++echoes_;
        WaitFor([this] { return stop_.load(); }, Millis(1));
      }
      (intact ? ended_ : failed_).fetch_add(1);
    }
  }

  const Endpoint to_;
  std::atomic<bool> stop_{false};
  std::atomic<uint64_t> echoes_{0}, ended_{0}, failed_{0};
  std::vector<std::thread> threads_;
};

void ServeOrSwitch(Exchange& exchange) {
  if (!exchange.request.Has("Upgrade")) return FakeBackend::Serve(exchange);
  exchange.Send(
      "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n");
  for (std::string bytes; exchange.socket().Receive(&bytes) == Io::kOk; bytes.clear()) {
    if (exchange.socket().Send(bytes) != Io::kOk) break;
  }
  exchange.Close();
}

class Chaos : public testing::Test {
 protected:
  Chaos() {
    CertificateOrder rsa;
    rsa.names = {"chaos.example"};
    rsa.rsa = true;
    certificates_.Put("rsa", MakeCertificate(rsa));
    certificates_.Put("ecdsa", MakeCertificate({"chaos.example"}));
  }

  static FakeBackend::Options Options(std::string name, OnceCheck& once) {
    FakeBackend::Options options;
    options.name = std::move(name);
    options.record = false;
    options.handler = once.Wrap(ServeOrSwitch);
    return options;
  }

  void Note(const std::string& what) { ++done_[what]; }

  ConfigFile Draw() {
    ConfigFile config;
    constexpr std::array<int, 4> kWorkers = {1, 2, 4, 2};
    constexpr std::array<const char*, 5> kAlgorithms = {"round-robin", "least-connections",
                                                        "random", "power-of-two", "ip-hash"};
    config.Workers(kWorkers[random_.Below(4)]).ListenH2c(main_).ListenTls(tls_);
    config.Set("tls", fmt::format("{{ certificates: [ {} ] }}", certificates_.Yaml(random_.Below(2) == 0 ? "rsa" : "ecdsa")));
    if (random_.Below(2) == 0) config.Listen(passing_);
    config.Set("algorithm", kAlgorithms[random_.Below(5)]);
    config.Set("logging", fmt::format("{{ file: \"{}\" }}", log_));
    const uint64_t set = 1 + random_.Below(7);
    for (size_t i = 0; i < 3; ++i) {
      if ((set >> i) & 1) config.Backend(*backends_[i]);
    }
    return config;
  }

  bool Reload() { return proxy_->Reload(Draw()); }

  // Faster than anybody types: the newest configuration wins.
  bool Burst(int count) {
    for (int i = 0; i < count; ++i) {
      ConfigFile next = Draw();
      next.Set("pid_file", proxy_->config().values().at("pid_file"));
      proxy_->WriteConfig(next);
      proxy_->Signal(SIGHUP);
      Note("reload at 10 a second");
      WaitFor([] { return false; }, Millis(static_cast<int>(100 / TimeFactor())));
    }
    Note("slow reload");
    return Reload();
  }

  bool KillWorker() {
    const auto workers = proxy_->Workers();
    if (workers.empty()) return true;
    const pid_t victim = workers[random_.Below(static_cast<uint32_t>(workers.size()))];
    kill(victim, SIGSTOP);
    // Until it is still, it may accept more.
    WaitFor([&] { return Contains(ReadFile(fmt::format("/proc/{}/stat", victim)), ") T "); });
    for (uint32_t r = 0; r < proxy_->segment().processes(); ++r) {
      const ProcessRow& row = proxy_->segment().row(r);
      if (row.pid.load() == static_cast<uint32_t>(victim)) budget_ += row.connections.load();
    }
    kill(victim, SIGKILL);
    Note("kill -9 of a worker");
    return WaitFor([&] { return !Alive(victim); });
  }

  bool KillController() {
    const pid_t victim = proxy_->Controller();
    if (victim > 0) kill(victim, SIGKILL);
    Note("kill -9 of the controller");
    return WaitFor([&] { return proxy_->Controller() > 0 && proxy_->Controller() != victim; });
  }

  bool StopAndContinue(pid_t pid, const char* what) {
    if (pid <= 0) return true;
    kill(pid, SIGSTOP);
    const bool others = proxy_->Workers().size() > 1 || pid == proxy_->Controller();
    // The rest of the service goes on meanwhile.
    if (others) load_->WaitAnswers(20, Millis(500));
    kill(pid, SIGCONT);
    Note(what);
    return true;
  }

  bool Reopen() {
    std::filesystem::rename(log_, log_ + ".1");
    proxy_->Signal(SIGUSR1);
    Note("USR1");
    return WaitFor([&] { return std::filesystem::exists(log_); });
  }

  // Forward, or there and back.
  bool Upgrade(bool back) {
    const pid_t old = proxy_->master();
    const std::string pid_file = proxy_->config().values().at("pid_file");
    const auto master_of_file = [&] { return atoi(ReadFile(pid_file).c_str()); };
    proxy_->Signal(SIGUSR2);
    if (!WaitFor([&] {
          const pid_t now = master_of_file();
          return now > 0 && now != old &&
                 Contains(ReadFile(log_), fmt::format("(pid {}) serves; WINCH", now));
        }))
      return false;
    const pid_t successor = master_of_file();
    proxy_->Remember();
    if (random_.Below(2) == 0) {
      proxy_->Signal(SIGWINCH);
      load_->WaitAnswers(20);
    }
    if (back) {
      Note("upgrade and the way back");
      proxy_->Signal(SIGHUP);
      kill(successor, SIGQUIT);
      return WaitFor([&] { return master_of_file() == old && proxy_->Controller() > 0; },
                     Millis(40'000));
    }
    Note("upgrade");
    proxy_->Signal(SIGQUIT);
    proxy_->WaitExit(Millis(40'000));  // its tunnels end by themselves
    proxy_->Follow(successor);
    proxy_->Remember();
    return proxy_->master() == successor && !Alive(old);
  }

  bool Step() {
    const auto workers = proxy_->Workers();
    switch (random_.Below(14)) {
      case 0:
        return Burst(20);
      case 1:
      case 2:
        return KillWorker();
      case 3:
        return KillController();
      case 4:
      case 5:
        return workers.empty() ||
               StopAndContinue(workers[random_.Below(static_cast<uint32_t>(workers.size()))],
                               "STOP and CONT of a worker");
      case 6:
        return StopAndContinue(proxy_->Controller(), "STOP and CONT of the controller");
      case 7:
        return Reopen();
      case 8:
        return Upgrade(false);
      case 9:
        return Upgrade(true);
      default:
        Note("slow reload");
        return Reload();
    }
  }

  const uint64_t seed_ = Setting("UB_CHAOS_SEED", 6);
  Random random_{seed_};
  OnceCheck once_;
  FakeBackend a_{Options("a", once_)}, b_{Options("b", once_)}, c_{Options("c", once_)};
  std::array<FakeBackend*, 3> backends_{&a_, &b_, &c_};
  const Endpoint main_ = Endpoint::V4(FreePort()), passing_ = Endpoint::V4(FreePort()),
                 tls_ = Endpoint::V4(FreePort());
  CertificateFiles certificates_;
  TempDir dir_;
  const std::string log_ = dir_.Path("error.log");
  std::unique_ptr<Proxy> proxy_;
  std::unique_ptr<LoadGenerator> load_, large_;
  std::map<std::string, uint64_t> done_;
  uint64_t budget_ = 0;
};

TEST_F(Chaos, NothingFailsButWhatAKilledWorkerHeld) {
  proxy_ = std::make_unique<Proxy>(Draw());
  ASSERT_TRUE(proxy_->Start());
  load_ = std::make_unique<LoadGenerator>(main_, LoadOptions{.connections = 12, .reconnect = true});
  large_ = std::make_unique<LoadGenerator>(
      main_,
      LoadOptions{.connections = 3, .first_index = 1000, .most_bytes = 4 << 20, .reconnect = true});
  PassingBy passing(passing_);
  Tunnels tunnels(main_, 3);
  H2Load http2(main_, 2);
  const TlsRelay relay(tls_), relay_h2(tls_, {.alpn = "h2"});
  LoadGenerator secure(relay.endpoint(), {.connections = 3, .first_index = 2000, .reconnect = true});
  H2Load secure_http2(relay_h2.endpoint(), 2);
  secure.Start();
  load_->Start();
  large_->Start();
  const uint64_t steps = Setting("UB_CHAOS_STEPS", 45);
  for (uint64_t step = 0; step < steps && !HasFailure(); ++step) {
    EXPECT_TRUE(Step()) << "step " << step;
    EXPECT_TRUE(load_->WaitAnswers(20)) << "after step " << step;
  }
  // The end of all bursts: one configuration, its workers, and nobody else.
  EXPECT_TRUE(Reload());
  const LoadReport small = load_->Stop(), large = large_->Stop(), tls = secure.Stop();
  passing.Stop();
  tunnels.Stop();
  http2.Stop();
  secure_http2.Stop();
  std::string what;
  for (const auto& [name, count] : done_) what += fmt::format("{} {}, ", count, name);
  const uint64_t failed = small.failed + large.failed + tls.failed + passing.failed() + tunnels.failed() + http2.broken() +
                          secure_http2.broken();
  fmt::print("chaos: seed {}, {} steps: {}\n", seed_, steps, what);
  fmt::print(
      "chaos: sent {}, answered {}, failed {}; tunnels: {} echoes, {} ended well, {} failed; ",
      small.sent + large.sent, small.answered + large.answered, small.failed + large.failed,
      tunnels.echoes(), tunnels.ended(), tunnels.failed());
  fmt::print("on an address that comes and goes: answered {}, failed {}\n", passing.answered(),
             passing.failed());
  fmt::print("chaos: over HTTP/2 answered {}, connections {}, of which {} broken\n", http2.answered(), http2.connections(),
             http2.broken());
  fmt::print("chaos: over TLS sent {}, answered {}, failed {}; with HTTP/2 answered {}, connections {}, of which {} broken\n",
             tls.sent, tls.answered, tls.failed, secure_http2.answered(), secure_http2.connections(), secure_http2.broken());
  fmt::print("chaos: {} failed, killed workers held {} connections\n", failed, budget_);
  const std::string reports = small.Summary() + "\n" + large.Summary() + "\n" + tls.Summary();
  EXPECT_EQ(small.wrong + large.wrong + tls.wrong, 0u) << reports;
  EXPECT_LE(failed, budget_) << reports;
  EXPECT_EQ(http2.failed() + secure_http2.failed(), 0u);
  EXPECT_GT(tls.answered, steps);
  EXPECT_GT(secure_http2.answered(), steps);
  EXPECT_EQ(once_.repeated(), 0u);
  EXPECT_TRUE(proxy_->WaitIdle());
  const auto workers = static_cast<size_t>(atoi(proxy_->config().values().at("workers").c_str()));
  EXPECT_TRUE(WaitFor([&] { return ChildrenOf(proxy_->master()).size() == workers + 1; }));
  EXPECT_TRUE(WaitFor([&] { return proxy_->Connections() == 0; })) << proxy_->Connections();
  if (HasFailure()) fmt::print("{}{}", ReadFile(log_ + ".1"), ReadFile(log_));
}

}  // namespace
}  // namespace ub::itest
