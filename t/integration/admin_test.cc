// The admin API with the real binary: what it changes, who may, and what survives.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <map>
#include <set>
#include <thread>

#include "core/clock.h"
#include "load_generator.h"
#include "management.h"

namespace ub::itest {
namespace {

std::map<std::string, int> Answers(Proxy& proxy, int count) {
  std::map<std::string, int> answers;
  for (int i = 0; i < count; ++i) {
    const Response response = FetchOnce(proxy.endpoint());
    answers[response.status == 200 ? response.Value("X-Backend") : "-"]++;
  }
  return answers;
}

FakeBackend::Options Named(std::string name) {
  FakeBackend::Options options;
  options.name = std::move(name);
  return options;
}

class AdminTest : public testing::Test {
 protected:
  AdminTest() : a_(Named("a")), b_(Named("b")), c_(Named("c")) { config_.Workers(2).Backend(a_).Backend(b_); }

  void Start(std::string_view extra = "") {
    management_ = std::make_unique<Management>(&config_, extra);
    proxy_ = std::make_unique<Proxy>(config_);
    ASSERT_TRUE(proxy_->Start());
  }
  // Members of the envelope, checked.
  static Json Data(const Response& response) {
    const Json json = Json::parse(response.body, nullptr, false);
    EXPECT_TRUE(json.is_object() && json.contains("success") && json.contains("message") && json.contains("data"))
        << response.Outcome() << response.body;
    if (!json.is_object()) return nullptr;
    EXPECT_EQ(json["success"].get<bool>(), response.status < 400);
    return json["data"];
  }
  std::set<std::string> Listed() {
    std::set<std::string> out;
    for (const Json& backend : Data(management_->Get("/admin/backends"))) out.insert(backend["address"]);
    return out;
  }
  static std::string At(const FakeBackend& backend) { return backend.endpoint().Text(); }
  std::string State(const FakeBackend& backend) {
    const Json seen = management_->Backend(At(backend));
    return seen.is_object() ? seen["state"].get<std::string>() : "gone";
  }

  FakeBackend a_, b_, c_;
  ConfigFile config_;
  std::unique_ptr<Management> management_;
  std::unique_ptr<Proxy> proxy_;
};

TEST_F(AdminTest, AddedBackendsAreUsedByTheNextRequestOfEveryWorker) {
  Start();
  for (int round = 0; round < 10; ++round) {
    const uint64_t before = c_.requests();
    const Response added = management_->Change("POST", "/admin/backends", At(c_), ",\"weight\":100");
    ASSERT_EQ(added.status, 200) << added.body;
    EXPECT_EQ(Data(added)["address"], At(c_));
    // Whichever workers take them: three backends in turn, each worker with its own turn.
    for (int i = 0; i < 12; ++i) ASSERT_EQ(FetchOnce(proxy_->endpoint()).status, 200);
    EXPECT_GE(c_.requests(), before + 2) << round;
    const Response removed = management_->Change("DELETE", "/admin/backends", At(c_));
    ASSERT_EQ(removed.status, 200) << removed.body;
    const uint64_t after = c_.requests();
    for (int i = 0; i < 12; ++i) ASSERT_EQ(FetchOnce(proxy_->endpoint()).status, 200);
    EXPECT_EQ(c_.requests(), after) << round;
  }
  // It goes when the worker of its last answer has counted that.
  EXPECT_TRUE(WaitFor([&] { return Listed() == std::set<std::string>{At(a_), At(b_)}; }));
  EXPECT_TRUE(Contains(proxy_->Log(), fmt::format("admin: backend {} added", At(c_)))) << proxy_->Log();
  EXPECT_TRUE(Contains(proxy_->Log(), "(by 127.0.0.1)"));
}

TEST_F(AdminTest, AnAddedBackendTakesItsSettings) {
  Start();
  const Response added = management_->Change("POST", "/admin/backends", At(c_),
                                             R"(,"name":"spare","backup":true,"max_connections":7)");
  ASSERT_EQ(added.status, 200) << added.body;
  const Json seen = management_->Backend(At(c_));
  EXPECT_EQ(seen["name"], "spare");
  EXPECT_EQ(seen["backup"], true);
  EXPECT_EQ(seen["max_connections"], 7);
  EXPECT_EQ(Answers(*proxy_, 10)["c"], 0) << "a backup";
  for (const char* wrong : {R"(,"backup":1)", R"(,"max_connections":-1)", R"(,"name":5)"}) {
    const Response refused = management_->Change("POST", "/admin/backends", "127.0.0.1:1", wrong);
    EXPECT_EQ(refused.status, 400) << wrong;
    EXPECT_TRUE(Contains(refused.body, "expected")) << refused.body;
  }
  EXPECT_EQ(management_->Change("POST", "/admin/backends", "127.0.0.1:1",
                                fmt::format(",\"name\":\"{}\"", std::string(5000, 'n')))
                .status,
            400);
}

TEST_F(AdminTest, WeightsAndDrainsSteerRequests) {
  Start();
  ASSERT_EQ(management_->Change("PUT", "/admin/backends/weight", At(a_), ",\"weight\":300").status, 200);
  auto answers = Answers(*proxy_, 80);
  EXPECT_NEAR(answers["a"], 60, 8);
  ASSERT_EQ(management_->Change("POST", "/admin/backends/drain", At(a_)).status, 200);
  EXPECT_EQ(State(a_), "drain");
  EXPECT_EQ(Answers(*proxy_, 10)["a"], 0);
  ASSERT_EQ(management_->Change("POST", "/admin/backends/undrain", At(a_)).status, 200);
  EXPECT_EQ(State(a_), "up");
  EXPECT_GT(Answers(*proxy_, 10)["a"], 0);
}

TEST_F(AdminTest, DeleteDrainsFirst) {
  Gate gate;
  const FakeBackend slow([&](Exchange& exchange) {
    exchange.Wait(gate);
    exchange.Reply(200, "late");
  });
  config_.ClearBackends().Backend(slow);
  Start();
  Client client(proxy_->endpoint());
  client.Send(RequestText("GET", "/"));
  ASSERT_TRUE(WaitFor([&] { return slow.concurrent() == 1; }));
  ASSERT_EQ(management_->Change("POST", "/admin/backends", At(c_)).status, 200);
  const Response removed = management_->Change("DELETE", "/admin/backends", At(slow));
  ASSERT_EQ(removed.status, 200);
  EXPECT_EQ(Data(removed)["in_flight"], 1);
  EXPECT_EQ(State(slow), "drain");
  EXPECT_EQ(Answers(*proxy_, 8)["c"], 8);
  EXPECT_EQ(management_->Change("DELETE", "/admin/backends", At(slow)).status, 404);
  gate.Open();
  EXPECT_EQ(client.Read().body, "late");
  EXPECT_TRUE(WaitFor([&] { return State(slow) == "gone"; }));
}

// The controller waited for its last request every 20 ms, for ever, and made all workers look at the table anew.
TEST_F(AdminTest, ARemovedBackendWhoseConfigurationIsGoneIsForgotten) {
  Gate gate;
  const FakeBackend slow([&](Exchange& exchange) {
    exchange.Wait(gate);
    exchange.Reply(200, "late");
  });
  config_.ClearBackends().Backend(slow).Backend(a_);
  Start();
  std::unique_ptr<Client> client;
  while (slow.concurrent() == 0) {
    client = std::make_unique<Client>(proxy_->endpoint());
    client->Send(RequestText("GET", "/"));
    ASSERT_TRUE(WaitFor([&] { return slow.concurrent() == 1 || client->socket().Readable(); }));
  }
  ASSERT_EQ(management_->Change("DELETE", "/admin/backends", At(slow)).status, 200);
  ASSERT_TRUE(proxy_->Reload(config_.ClearBackends().Backend(a_)));
  const auto version = [&] { return proxy_->segment().header().table_version.load(); };
  // Still in the turn of the loop in which the controller may find that it is gone.
  uint64_t seen = 0;
  EXPECT_TRUE(WaitFor([&] {
    seen = version();
    for (const uint64_t until = MonotonicMs() + 200; MonotonicMs() < until;) management_->Get("/health");
    return version() == seen;
  }));
  EXPECT_EQ(State(slow), "gone");
  gate.Open();
  EXPECT_EQ(client->Read().body, "late");
}

TEST_F(AdminTest, AConfiguredBackendComesBackAsItIsConfigured) {
  Start();
  ASSERT_EQ(management_->Change("DELETE", "/admin/backends", At(b_)).status, 200);
  ASSERT_TRUE(WaitFor([&] { return State(b_) == "gone"; }));
  for (const char* other : {",\"max_connections\":3", ",\"backup\":true", ",\"protocol\":\"h2\"", ",\"name\":\"x\""}) {
    const Response refused = management_->Change("POST", "/admin/backends", At(b_), other);
    EXPECT_EQ(refused.status, 400) << refused.body;
    EXPECT_TRUE(Contains(refused.body, "comes back as it is configured")) << refused.body;
  }
  EXPECT_EQ(management_->Change("POST", "/admin/backends", At(b_), ",\"weight\":9").status, 200);
  EXPECT_EQ(management_->Backend(At(b_))["weight"], 9);
}

TEST_F(AdminTest, WrongRequestsGetProperErrors) {
  config_.Set("shared_memory", "{ max_backends: 3 }");
  Start();
  const auto status = [&](std::string_view method, std::string_view target, std::string_view body) {
    const Response response = management_->Ask(method, target, body);
    if (response.status >= 400) Data(response);
    return response.status;
  };
  EXPECT_EQ(status("POST", "/admin/backends", ""), 400);
  EXPECT_EQ(status("POST", "/admin/backends", "{"), 400);
  EXPECT_EQ(status("POST", "/admin/backends", "[1]"), 400);
  EXPECT_EQ(status("POST", "/admin/backends", "{}"), 400);
  EXPECT_EQ(status("POST", "/admin/backends", R"({"address":5})"), 400);
  EXPECT_EQ(status("POST", "/admin/backends", R"({"address":"10.0.0.1"})"), 400);
  EXPECT_EQ(status("POST", "/admin/backends", R"({"address":"10.0.0.1:99999"})"), 400);
  EXPECT_EQ(status("POST", "/admin/backends", R"({"address":"no such name:80"})"), 400);
  EXPECT_EQ(status("POST", "/admin/backends", R"({"address":"10.0.0.1:80","weight":0})"), 400);
  EXPECT_EQ(status("POST", "/admin/backends", R"({"address":"10.0.0.1:80","weight":-1})"), 400);
  EXPECT_EQ(status("POST", "/admin/backends", R"({"address":"10.0.0.1:80","weight":65536})"), 400);
  EXPECT_EQ(status("POST", "/admin/backends", R"({"address":"10.0.0.1:80","weight":"5"})"), 400);
  EXPECT_EQ(status("POST", "/admin/backends", R"({"address":"10.0.0.1:80","wieght":5})"), 400);
  EXPECT_EQ(status("PUT", "/admin/backends/weight", fmt::format(R"({{"address":"{}"}})", At(a_))), 400);
  EXPECT_EQ(status("PUT", "/admin/backends/weight", R"({"address":"10.0.0.1:80","weight":5})"), 404);
  EXPECT_EQ(status("POST", "/admin/backends/drain", R"({"address":"10.0.0.1:80"})"), 404);
  EXPECT_EQ(status("DELETE", "/admin/backends", R"({"address":"10.0.0.1:80"})"), 404);
  EXPECT_EQ(status("POST", "/admin/backends", fmt::format(R"({{"address":"{}"}})", At(a_))), 409);
  EXPECT_EQ(status("POST", "/admin/backends", fmt::format(R"({{"address":"{}"}})", At(c_))), 200);
  EXPECT_EQ(status("POST", "/admin/backends", R"({"address":"127.0.0.1:1"})"), 409) << "the table is full";
  EXPECT_EQ(status("GET", "/admin/nothing", ""), 404);
  EXPECT_EQ(status("GET", "/nothing", ""), 404);
  const Response wrong = management_->Ask("PATCH", "/admin/backends");
  EXPECT_EQ(wrong.status, 405);
  EXPECT_EQ(wrong.Value("Allow"), "GET, HEAD, POST, DELETE");
  EXPECT_EQ(status("POST", "/metrics", "{}"), 405);
  EXPECT_EQ(status("POST", "/admin/backends", std::string(65 * 1024, 'x')), 413);
  EXPECT_EQ(Listed().size(), 3u);
}

TEST_F(AdminTest, ABodyThatSaysItIsAGibibyteIsRefusedAtOnce) {
  Start();
  Client client(management_->endpoint());
  client.Send("POST /admin/backends HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1073741824\r\n\r\n{\"add");
  EXPECT_EQ(client.Read("POST").status, 413);
}

TEST_F(AdminTest, WhatIsNoProperRequestIsRefused) {
  Start();
  const std::string head = "POST /admin/backends HTTP/1.1\r\nHost: localhost\r\n";
  const std::string chunked = head + "Transfer-Encoding: chunked\r\n\r\n";
  const struct {
    std::string request;
    int status;
  } kCases[] = {
      {"GET /health HTTP/1.1\r\nHost : localhost\r\n\r\n", 400},
      {"GET http://localhost/health HTTP/1.1\r\nHost: a, b\r\n\r\n", 400},
      {"CONNECT localhost:80 HTTP/1.1\r\nHost: localhost:80\r\n\r\n", 405},
      {"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n", 400},
      {chunked + "xyz\r\n", 400},
      {chunked + "10001\r\n" + std::string(0x10001, ' ') + "\r\n0\r\n\r\n", 413},
      {chunked + "2\r\n{}\r\n0\r\n\r\n", 400},  // read to its end: no address
  };
  for (const auto& test : kCases) {
    Client client(management_->endpoint());
    client.Send(test.request);
    EXPECT_EQ(client.Read("POST").status, test.status) << test.request.substr(0, 200);
  }
  // Who asks first whether the body is wanted is told so.
  Client asks(management_->endpoint());
  asks.Send(head + "Content-Length: 2\r\nExpect: 100-continue\r\n\r\n");
  Response interim;
  asks.reader().ReadResponseHead("POST", &interim);
  EXPECT_EQ(interim.status, 100);
  asks.Send("{}");
  EXPECT_EQ(asks.Read("POST").status, 400);
  EXPECT_EQ(management_->Get("/health").status, 200);
}

TEST_F(AdminTest, ManyHalfSentRequestsShutNobodyOut) {
  Start();
  std::vector<std::unique_ptr<Client>> slow;
  for (int i = 0; i < 200; ++i) {
    slow.push_back(std::make_unique<Client>(management_->endpoint()));
    slow.back()->Send("POST /admin/backends HTTP/1.1\r\nHost: localhost\r\nContent-Le");
  }
  EXPECT_EQ(management_->Get("/health").status, 200);
}

TEST_F(AdminTest, AHalfSentRequestIsToldThatItIsLate) {
  Start();
  Client head(management_->endpoint()), body(management_->endpoint());
  head.Send("POST /admin/backends HTTP/1.1\r\nHost: localhost\r\nContent-Le");
  body.Send("POST /admin/backends HTTP/1.1\r\nHost: localhost\r\nContent-Length: 40\r\n\r\n{\"address\":");
  // What was asked before says nothing of it.
  Client second(management_->endpoint());
  second.Send("HEAD /health HTTP/1.1\r\nHost: localhost\r\n\r\n");
  EXPECT_EQ(second.Read("HEAD").status, 200);
  second.Send("GET /hea");
  for (Client* const client : {&head, &body, &second}) {
    const Response late = client->Read("POST");
    EXPECT_EQ(late.status, 408);
    EXPECT_TRUE(Contains(late.body, "did not come in time")) << late.body;
    EXPECT_TRUE(client->ServerClosed());
  }
  // One that could not be told that its connection is kept.
  Client old(management_->endpoint());
  old.Send("GET /health HTTP/1.0\r\nHost: localhost\r\nConnection: keep-alive\r\n\r\n");
  EXPECT_EQ(old.Read().status, 200);
  EXPECT_TRUE(old.ServerClosed());
  EXPECT_EQ(Listed(), (std::set<std::string>{At(a_), At(b_)}));
}

TEST_F(AdminTest, KeysAreAskedFor) {
  Start("api_key: sesame");
  EXPECT_EQ(management_->Get("/metrics").status, 200) << "only /admin/* asks for it";
  const Response keyless = management_->Get("/admin/backends");
  EXPECT_EQ(keyless.status, 401);
  EXPECT_TRUE(keyless.Has("WWW-Authenticate"));
  EXPECT_EQ(management_->Ask("GET", "/admin/backends", "", "X-API-Key: sesam\r\n").status, 401);
  EXPECT_EQ(management_->Ask("GET", "/admin/backends", "", "X-API-Key: sesame!\r\n").status, 401);
  const Response right = management_->Ask("GET", "/admin/config", "", "X-API-Key: sesame\r\n");
  EXPECT_EQ(right.status, 200);
  EXPECT_FALSE(Contains(right.body, "sesame")) << "secrets are hidden";
  EXPECT_EQ(Data(right)["admin"]["api_key"], "(hidden)");
}

TEST_F(AdminTest, OtherSitesCannotDriveIt) {
  Start();
  const auto status = [&](std::string_view host, std::string_view fields) {
    Client client(management_->endpoint());
    client.Send(fmt::format("POST /admin/backends/drain HTTP/1.1\r\nHost: {}\r\n{}Content-Length: 2\r\n\r\n{{}}", host,
                            fields));
    return client.Read("POST").status;
  };
  const std::string own = management_->endpoint().Text();
  EXPECT_EQ(status(own, ""), 400) << "past the guard";
  EXPECT_EQ(status(own, fmt::format("Origin: http://{}\r\n", own)), 400);
  EXPECT_EQ(status("evil.example", ""), 403);
  EXPECT_EQ(status("evil.example", "Origin: http://evil.example\r\n"), 403);
  EXPECT_EQ(status(own, "Origin: http://evil.example\r\n"), 403);
  EXPECT_EQ(status(own, "Origin: null\r\n"), 403);
  EXPECT_EQ(status(own, "Sec-Fetch-Site: cross-site\r\n"), 403);
}

TEST_F(AdminTest, ConcurrentChangesAreLinear) {
  Start();
  std::vector<std::thread> threads;
  std::atomic<int> added{0}, refused{0};
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 10; ++i) {
        // Each address is added by two threads: one of them comes second.
        const std::string address = fmt::format("127.1.{}.{}:9", t / 2, i + 1);
        const int status = management_->Change("POST", "/admin/backends", address).status;
        (status == 200 ? added : refused)++;
        EXPECT_TRUE(status == 200 || status == 409) << status;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(added, 40);
  EXPECT_EQ(refused, 40);
  EXPECT_EQ(Listed().size(), 42u);
}

TEST_F(AdminTest, ReloadSaysHowItWent) {
  Start();
  const Response good = management_->Ask("POST", "/admin/reload");
  EXPECT_EQ(good.status, 200) << good.body;
  EXPECT_EQ(Data(good)["config_generation"], 2);
  WriteFile(proxy_->config_path(), "listen_prot: 80\n");
  const Response bad = management_->Ask("POST", "/admin/reload");
  EXPECT_EQ(bad.status, 400);
  EXPECT_TRUE(Contains(bad.body, "listen_prot")) << bad.body;
  EXPECT_EQ(management_->Get("/admin/health").status, 200);
}

TEST_F(AdminTest, AReloadThatAProcessHasNotTakenSaysSo) {
  Start();
  const pid_t worker = proxy_->Workers().front();
  kill(worker, SIGSTOP);
  const Response late = management_->Ask("POST", "/admin/reload");
  kill(worker, SIGCONT);
  EXPECT_EQ(late.status, 202) << late.body;
  EXPECT_TRUE(Contains(late.body, "not every process has taken it yet")) << late.body;
  EXPECT_EQ(management_->Ask("POST", "/admin/reload").status, 200);
}

TEST_F(AdminTest, WithoutAStateFileAReloadGoesBackToTheConfigurationButKeepsDrains) {
  Start();
  ASSERT_EQ(management_->Change("POST", "/admin/backends", At(c_)).status, 200);
  ASSERT_EQ(management_->Change("POST", "/admin/backends/drain", At(a_)).status, 200);
  ASSERT_EQ(management_->Change("DELETE", "/admin/backends", At(b_)).status, 200);
  ASSERT_TRUE(proxy_->Reload(config_));
  EXPECT_EQ(Listed(), (std::set<std::string>{At(a_), At(b_)}));
  EXPECT_EQ(State(a_), "drain");
}

TEST_F(AdminTest, TheStateFileSurvivesReloadAndRestart) {
  TempDir dir;
  const std::string path = dir.Path("state");
  Start(fmt::format("state_file: {}", path));
  ASSERT_EQ(management_->Change("POST", "/admin/backends", At(c_), ",\"weight\":7").status, 200);
  ASSERT_EQ(management_->Change("POST", "/admin/backends/drain", At(a_)).status, 200);
  ASSERT_EQ(management_->Change("DELETE", "/admin/backends", At(b_)).status, 200);
  const auto expect_kept = [&](const char* when) {
    EXPECT_EQ(Listed(), (std::set<std::string>{At(a_), At(c_)})) << when;
    EXPECT_EQ(State(a_), "drain") << when;
    EXPECT_EQ(management_->Backend(At(c_))["weight"], 7) << when;
    EXPECT_EQ(Answers(*proxy_, 6)["c"], 6) << when;
  };
  expect_kept("changed");
  ASSERT_TRUE(proxy_->Reload(config_));
  expect_kept("reloaded");
  EXPECT_EQ(proxy_->Stop(), 0);
  proxy_ = std::make_unique<Proxy>(config_);
  ASSERT_TRUE(proxy_->Start());
  expect_kept("restarted");
  EXPECT_EQ(management_->Ask("POST", "/admin/reload?reset=true").status, 200);
  EXPECT_EQ(Listed(), (std::set<std::string>{At(a_), At(b_)}));
  EXPECT_EQ(State(a_), "up");
  EXPECT_TRUE(ReadFile(path).empty()) << "nothing is left to be remembered";
}

TEST_F(AdminTest, ABrokenStateFileIsReportedAndSetAside) {
  TempDir dir;
  const std::string path = dir.Path("state");
  WriteFile(path, "{\"version\":1,\"backends\":[{\"address\":\"nonsense\"");
  Start(fmt::format("state_file: {}", path));
  EXPECT_TRUE(Contains(proxy_->Log(), "is broken")) << proxy_->Log();
  EXPECT_TRUE(Contains(ReadFile(path + ".broken"), "nonsense"));
  EXPECT_EQ(Listed().size(), 2u);
  EXPECT_EQ(management_->Change("POST", "/admin/backends", At(c_)).status, 200);
  EXPECT_TRUE(Contains(ReadFile(path), At(c_)));
}

TEST_F(AdminTest, AChangeThatCannotBeWrittenIsNotMade) {
  Start("state_file: /proc/no/such/state");
  const Response response = management_->Change("POST", "/admin/backends", At(c_));
  EXPECT_EQ(response.status, 500) << response.body;
  EXPECT_EQ(Listed().size(), 2u);
}

TEST_F(AdminTest, AKilledControllerLosesNoChangeAndAnswersAgain) {
  Start();
  ASSERT_EQ(management_->Change("POST", "/admin/backends", At(c_), ",\"weight\":50").status, 200);
  ASSERT_EQ(management_->Change("POST", "/admin/backends/drain", At(a_)).status, 200);
  const pid_t before = proxy_->Controller();
  ASSERT_GT(before, 0);
  kill(before, SIGKILL);
  // No request is refused: the socket is the master's, the next controller finds them in its queue.
  EXPECT_EQ(management_->Get("/health").status, 200);
  EXPECT_TRUE(WaitFor([&] { return proxy_->Controller() > 0 && proxy_->Controller() != before; }));
  EXPECT_EQ(Listed(), (std::set<std::string>{At(a_), At(b_), At(c_)}));
  EXPECT_EQ(State(a_), "drain");
  EXPECT_EQ(management_->Backend(At(c_))["weight"], 50);
}

TEST_F(AdminTest, AReloadMovesTheAddress) {
  Start();
  ConfigFile moved = config_;
  const Management next(&moved);
  ASSERT_TRUE(proxy_->Reload(moved));
  EXPECT_EQ(next.Get("/health").status, 200);
  EXPECT_TRUE(WaitFor([&] { return !Client(management_->endpoint()).connected(); }));
  ConfigFile taken = proxy_->config();
  taken.Set("admin", fmt::format("{{ listen_port: {} }}", a_.endpoint().port));
  proxy_->WriteConfig(taken);
  const Response refused = next.Ask("POST", "/admin/reload");
  EXPECT_EQ(refused.status, 400);
  EXPECT_TRUE(Contains(refused.body, "already in use")) << refused.body;
  EXPECT_EQ(next.Get("/health").status, 200);
}

TEST_F(AdminTest, AnAddressThatWasAskedForAndIsTakenIsAnError) {
  config_.Set("admin", fmt::format("{{ listen_port: {} }}", a_.endpoint().port)).Listen(Endpoint::V4(FreePort()));
  TempDir dir;
  WriteFile(dir.Path("ub.yaml"), config_.Text());
  const CommandResult result = RunBinary({"-c", dir.Path("ub.yaml")});
  EXPECT_EQ(result.status, 1);
  EXPECT_TRUE(Contains(result.err, "already in use")) << result.err;
}

TEST_F(AdminTest, AUnixSocketServesToo) {
  TempDir dir;
  const Endpoint at = Endpoint::Unix(dir.Path("admin.sock"));
  config_.Set("admin", fmt::format("{{ listen_address: \"{}\" }}", at.Text()));
  proxy_ = std::make_unique<Proxy>(config_);
  ASSERT_TRUE(proxy_->Start());
  EXPECT_EQ(FetchOnce(at, "/health").status, 200);
  struct stat info {};
  ASSERT_EQ(stat(at.host.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0660u) << "who connects can change backends";
  const CommandResult status = RunBinary({"status", "-c", proxy_->config_path()});
  EXPECT_EQ(status.status, 0) << status.err;
  EXPECT_TRUE(Contains(status.out, At(a_))) << status.out;
  EXPECT_EQ(proxy_->Stop(), 0);
  EXPECT_NE(stat(at.host.c_str(), &info), 0) << "the path is removed";
}

TEST_F(AdminTest, TheMainPortServesTheManagementPathsWhereToldTo) {
  Start("on_main_port: true");
  const Endpoint& main = proxy_->endpoint();
  EXPECT_TRUE(Contains(AskAt(main, "GET", "/metrics").body, "total_requests"));
  EXPECT_EQ(AskAt(main, "GET", "/health").HasToken("Connection", "close"), true);
  EXPECT_EQ(FetchOnce(main, "/metricsx").Value("X-Backend").empty(), false) << "not one of them";
  // A body that comes later, on a connection that was used before.
  Client client(main);
  EXPECT_EQ(client.Get("/size/10/1").status, 200);
  const std::string body = fmt::format("{{\"address\":\"{}\"}}", At(c_));
  client.Send(fmt::format("POST /admin/backends HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n", body.size()));
  client.Send(body);
  EXPECT_EQ(client.Read("POST").status, 200);
  EXPECT_TRUE(client.ServerClosed());
  EXPECT_EQ(Listed().size(), 3u);
  EXPECT_TRUE(Contains(proxy_->Log(), "on the main port"));
  EXPECT_TRUE(proxy_->WaitIdle());
  EXPECT_TRUE(WaitFor([&] { return proxy_->Connections() == 0; }));
  const uint64_t asked = a_.requests() + b_.requests();
  for (int i = 0; i < 20; ++i) EXPECT_EQ(AskAt(main, "GET", "/ready").status, 200);
  EXPECT_EQ(a_.requests() + b_.requests(), asked) << "no backend is asked";
}

TEST_F(AdminTest, WhereManagementIsOffTheMainPortServesNothingOfIt) {
  Proxy proxy(config_.Set("admin", "{ enabled: false, on_main_port: true }"));
  ASSERT_TRUE(proxy.Start());
  EXPECT_EQ(AskAt(proxy.endpoint(), "GET", "/metrics").status, 200);
  EXPECT_EQ(a_.requests() + b_.requests(), 1u) << "a path like any other";
}

TEST_F(AdminTest, AMainPortThatCanBeReachedFromOutsideNeedsAKey) {
  config_.Set("admin", "{ on_main_port: true }");
  TempDir dir;
  ConfigFile open = config_;
  open.Listen({AF_INET, "0.0.0.0", FreePort()});
  WriteFile(dir.Path("ub.yaml"), open.Text());
  const CommandResult result = RunBinary({"-t", "-c", dir.Path("ub.yaml")});
  EXPECT_EQ(result.status, 1);
  EXPECT_TRUE(Contains(result.err, "admin.on_main_port: ")) << result.err;
  open.Set("admin", "{ on_main_port: true, api_key: k }");
  WriteFile(dir.Path("ub.yaml"), open.Text());
  EXPECT_EQ(RunBinary({"-t", "-c", dir.Path("ub.yaml")}).status, 0);
}

TEST_F(AdminTest, StatusPrintsATable) {
  Start();
  for (int i = 0; i < 4; ++i) ASSERT_EQ(FetchOnce(proxy_->endpoint()).status, 200);
  ASSERT_TRUE(WaitFor([&] { return proxy_->Total(&ProcessRow::requests) == 4; }));
  ASSERT_EQ(management_->Change("POST", "/admin/backends/drain", At(b_)).status, 200);
  const CommandResult result = RunBinary({"status", "-c", proxy_->config_path()});
  EXPECT_EQ(result.status, 0) << result.err;
  EXPECT_TRUE(Contains(result.out, At(a_))) << result.out;
  EXPECT_TRUE(Contains(result.out, "drain")) << result.out;
  EXPECT_TRUE(Contains(result.out, "4 requests, 0 failed")) << result.out;
  EXPECT_FALSE(Contains(result.out, "\033")) << "plain in a pipe";
  proxy_->Stop();
  const CommandResult gone = RunBinary({"status", "-c", proxy_->config_path()});
  EXPECT_EQ(gone.status, 1);
  EXPECT_TRUE(Contains(gone.err, "no instance answers at ")) << gone.err;
}

TEST_F(AdminTest, AStatusThatCannotBeWrittenIsAFailure) {
  Start();
  const TempDir dir;
  for (const std::string command : {"status", "status --watch"}) {
    const int status =
        std::system(fmt::format("exec '{}' {} -c '{}' >/dev/full 2>'{}'", BinaryPath(), command,
                                proxy_->config_path(), dir.Path("err"))
                        .c_str());
    EXPECT_EQ(WEXITSTATUS(status), 1) << command;
    EXPECT_EQ(ReadFile(dir.Path("err")),
              "ultrabalancer: cannot write to standard output: No space left on device\n")
        << command;
  }
}

TEST_F(AdminTest, StatusAsksAtAnIpv6AddressWithTheKey) {
  const uint16_t port = FreePort();
  config_.Set("admin", fmt::format("{{ listen_address: \"::1\", listen_port: {}, api_key: k }}", port));
  proxy_ = std::make_unique<Proxy>(config_);
  ASSERT_TRUE(proxy_->Start());
  const CommandResult result = RunBinary({"status", "-c", proxy_->config_path()});
  EXPECT_EQ(result.status, 0) << result.err;
  EXPECT_TRUE(Contains(result.out, At(b_))) << result.out;
  // What it works by is told to who has the key only.
  const std::vector<std::string> diff = {"validate", "-f", proxy_->config_path(), "--diff"};
  EXPECT_EQ(RunBinary(diff).status, 0);
  std::vector<std::string> other = diff;
  other.insert(other.end(), {"-g", "admin.api_key=other"});
  const CommandResult wrong = RunBinary(other);
  EXPECT_EQ(wrong.status, 1);
  EXPECT_TRUE(Contains(wrong.err, fmt::format("[::1]:{}", port))) << wrong.err;
}

TEST_F(AdminTest, ValidateTellsWhatAReloadWouldChange) {
  Start("api_key: sesame");
  const std::string file = proxy_->Path("next.yaml");
  ConfigFile next = proxy_->config();
  WriteFile(file, next.Text());
  const CommandResult same = RunBinary({"validate", "-f", file, "--diff"});
  EXPECT_EQ(same.status, 0) << same.err;
  EXPECT_TRUE(Contains(same.out, "would change nothing")) << same.out;
  next.Backend(c_).Set("algorithm", "random");
  WriteFile(file, next.Text());
  const CommandResult changed = RunBinary({"validate", "-f", file, "--diff"});
  EXPECT_EQ(changed.status, 0) << changed.err;
  EXPECT_TRUE(Contains(changed.out, "algorithm: round-robin → random")) << changed.out;
  EXPECT_TRUE(Contains(changed.out, "backends: +" + At(c_))) << changed.out;
}

TEST_F(AdminTest, DashboardExportsItsFiles) {
  TempDir dir;
  const CommandResult result = RunBinary({"dashboard", "--export", dir.Path("out"), "-g", "admin.listen_port=9999"});
  EXPECT_EQ(result.status, 0) << result.err;
  EXPECT_TRUE(Contains(ReadFile(dir.Path("out/prometheus.yml")), "127.0.0.1:9999"));
  EXPECT_TRUE(Contains(ReadFile(dir.Path("out/ultrabalancer.rules.yml")), "alert: "));
  EXPECT_TRUE(Json::parse(ReadFile(dir.Path("out/grafana-dashboard.json")), nullptr, false).is_object());
  EXPECT_EQ(RunBinary({"dashboard"}).out, "http://127.0.0.1:8081/dashboard\n");
  EXPECT_EQ(RunBinary({"dashboard", "--export", "/proc/no/such"}).status, 1);
}

}  // namespace
}  // namespace ub::itest
