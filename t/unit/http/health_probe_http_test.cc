#include "http/health_probe_http.h"

#include <memory>
#include <string>

#include "../event/loop_fixture.h"

namespace ub {
namespace {

class HealthProbeHttpTest : public LoopTest, public ProbeHandler {
 protected:
  HealthProbeHttpTest() : listener_(ListenTcp()) {
    config_.type = "http";
    config_.method = "GET";
    config_.path = "/health";
  }
  void OnProbeDone(bool success, std::string_view reason) override {
    ++calls_;
    success_ = success;
    reason_ = reason;
  }

  void Start(std::string_view name = "app:80") {
    calls_ = 0;
    got_.clear();
    probe_ = HttpProbeFactory().Make(loop(), config_, BackendProtocol::kHttp1, this);
    probe_->Start({listener_.sa(), sizeof listener_.address, name});
  }
  // Starts a probe and waits for its connection and request.
  void Probe() {
    Start();
    if (calls_ > 0) return;
    ASSERT_TRUE(RunUntil([&] {
      if (!backend_.valid() || got_.empty()) {
        backend_.Reset(accept4(listener_.fd.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
      }
      return backend_.valid();
    }));
    ASSERT_TRUE(RunUntil([&] { return (got_ += Drink(backend_.get())).find("\r\n\r\n") != std::string::npos; }));
  }
  // The verdict on a backend that sends `answer` and then, where `close`, ends the connection.
  bool Verdict(std::string_view answer, bool close = false) {
    Probe();
    SendAll(backend_.get(), answer);
    if (close) backend_.Reset();
    EXPECT_TRUE(RunUntil([&] { return calls_ > 0; })) << answer;
    RunTurns();
    EXPECT_EQ(calls_, 1) << "told once";
    EXPECT_EQ(success_, reason_.empty()) << reason_;
    probe_.reset();
    backend_.Reset();
    return success_;
  }

  HealthCheckConfig config_;
  TcpListener listener_;
  UniqueFd backend_;
  std::unique_ptr<HealthProbe> probe_;
  std::string got_, reason_;
  int calls_ = 0;
  bool success_ = false;
};

TEST_F(HealthProbeHttpTest, AsksAsConfigured) {
  config_.headers = {{"X-Health-Check", "true"}};
  Probe();
  EXPECT_EQ(got_,
            "GET /health HTTP/1.1\r\nX-Health-Check: true\r\nHost: app:80\r\nUser-Agent: ultrabalancer-health-check\r\n"
            "Connection: close\r\n\r\n");
  config_.headers = {{"host", "named.example"}};
  config_.method = "HEAD";
  config_.path = "";
  backend_.Reset();
  Probe();
  EXPECT_TRUE(got_.starts_with("HEAD / HTTP/1.1\r\nhost: named.example\r\nUser-Agent")) << got_;
}

TEST_F(HealthProbeHttpTest, UnixSocketsGetAHostThatIsOne) {
  Start("unix:/run/app.sock");
  backend_.Reset();
  ASSERT_TRUE(RunUntil([&] {
    if (!backend_.valid()) backend_.Reset(accept4(listener_.fd.get(), nullptr, nullptr, SOCK_NONBLOCK));
    return backend_.valid() && (got_ += Drink(backend_.get())).find("\r\n\r\n") != std::string::npos;
  }));
  EXPECT_NE(got_.find("Host: localhost\r\n"), std::string::npos);
}

TEST_F(HealthProbeHttpTest, StatusDecides) {
  EXPECT_TRUE(Verdict("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"));
  EXPECT_TRUE(Verdict("HTTP/1.0 200 OK\r\n\r\n")) << "no need to wait for the body";
  for (const char* bad : {"199", "201", "204", "301", "404", "500", "503"}) {
    EXPECT_FALSE(Verdict(std::string("HTTP/1.1 ") + bad + " X\r\nContent-Length: 0\r\n\r\n") && bad[0] != '1') << bad;
    if (bad[0] == '1') continue;
    EXPECT_EQ(reason_, std::string("status ") + bad);
  }
  config_.expected_status = {{200, 299}, {301, 301}};
  EXPECT_TRUE(Verdict("HTTP/1.1 204 No Content\r\n\r\n"));
  EXPECT_TRUE(Verdict("HTTP/1.1 301 Moved\r\nContent-Length: 0\r\n\r\n"));
  EXPECT_FALSE(Verdict("HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n"));
}

TEST_F(HealthProbeHttpTest, InterimAnswersArePassedOver) {
  EXPECT_TRUE(Verdict("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"));
  EXPECT_FALSE(Verdict("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 500 X\r\n\r\n"));
  EXPECT_FALSE(Verdict("HTTP/1.1 100 Continue\r\n\r\n", true));
}

TEST_F(HealthProbeHttpTest, ThousandsOfInterimAnswersAreNoDepthOfCalls) {
  std::string many;
  for (int i = 0; i < 20000; ++i) many += "HTTP/1.1 100 C\r\n\r\n";
  EXPECT_TRUE(Verdict(many + "HTTP/1.1 200 OK\r\n\r\n"));
}

TEST_F(HealthProbeHttpTest, BodyMustHoldTheText) {
  config_.expected_body = "all is well";
  EXPECT_TRUE(Verdict("HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n: all is well :"));
  EXPECT_TRUE(Verdict("HTTP/1.1 200 OK\r\n\r\nall is well, and the connection stays open"));
  EXPECT_TRUE(Verdict("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nall is\r\n5\r\n well\r\n0\r\n\r\n"))
      << "the text may be cut by a chunk";
  EXPECT_FALSE(Verdict("HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nall is lost"));
  EXPECT_FALSE(Verdict("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nallis well")) << "what lies behind the body is not body";
  EXPECT_FALSE(Verdict("HTTP/1.1 200 OK\r\n\r\nall is", true));
  EXPECT_FALSE(Verdict("HTTP/1.1 204 No Content\r\n\r\n"));
  EXPECT_FALSE(Verdict("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"));
  EXPECT_FALSE(Verdict("HTTP/1.1 500 X\r\nContent-Length: 11\r\n\r\nall is well"));
}

TEST_F(HealthProbeHttpTest, BodyWithoutEndIsNotReadForEver) {
  config_.expected_body = "never";
  Probe();
  SendAll(backend_.get(), "HTTP/1.1 200 OK\r\n\r\n");
  const std::string piece(64 * 1024, 'x');
  size_t sent = 0;
  ASSERT_TRUE(RunUntil([&] {
    const ssize_t n = send(backend_.get(), piece.data(), piece.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n > 0) sent += static_cast<size_t>(n);
    return calls_ > 0;
  }));
  EXPECT_FALSE(success_);
  EXPECT_LT(sent, 64u * 1024 * 1024);
}

TEST_F(HealthProbeHttpTest, HeadHasNoBodyToLookThrough) {
  config_.method = "HEAD";
  config_.expected_body = "all is well";
  EXPECT_TRUE(Verdict("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"));
}

TEST_F(HealthProbeHttpTest, AnswerInPieces) {
  config_.expected_body = "ok";
  Probe();
  const std::string_view answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
  for (const char c : answer) {
    EXPECT_EQ(calls_, 0);
    SendAll(backend_.get(), {&c, 1});
    RunTurns(2);
  }
  ASSERT_TRUE(RunUntil([&] { return calls_ == 1; }));
  EXPECT_TRUE(success_);
}

TEST_F(HealthProbeHttpTest, GarbageEndAndResetFail) {
  EXPECT_FALSE(Verdict("SSH-2.0-OpenSSH\r\n"));
  EXPECT_FALSE(Verdict("", true));
  EXPECT_NE(reason_, "");
  EXPECT_FALSE(Verdict("HTTP/1.1 2", true));
  Probe();
  CloseWithReset(&backend_);
  ASSERT_TRUE(RunUntil([&] { return calls_ == 1; }));
  EXPECT_FALSE(success_);
}

TEST_F(HealthProbeHttpTest, RefusedFails) {
  listener_.fd.Reset();
  Start();
  ASSERT_TRUE(RunUntil([&] { return calls_ == 1; }));
  EXPECT_FALSE(success_);
  EXPECT_NE(reason_.find("onnect"), std::string::npos) << reason_;
}

TEST_F(HealthProbeHttpTest, SilenceAndSlownessTimeOut) {
  config_.timeout_ms = Stretched(50);
  Probe();
  ASSERT_TRUE(RunUntil([&] { return calls_ == 1; }));
  EXPECT_FALSE(success_);
  EXPECT_EQ(reason_, "no answer in time");
  config_.expected_body = "x";
  backend_.Reset();
  Probe();
  if (calls_ == 0) SendAll(backend_.get(), "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc");
  ASSERT_TRUE(RunUntil([&] { return calls_ == 1; }));
  EXPECT_FALSE(success_);
}

TEST_F(HealthProbeHttpTest, DestroyedProbeTellsNothingAndCloses) {
  Probe();
  probe_.reset();
  RunTurns();
  EXPECT_EQ(calls_, 0);
  char byte;
  EXPECT_EQ(recv(backend_.get(), &byte, 1, 0), 0);
}

TEST_F(HealthProbeHttpTest, WithoutHttpItIsATcpProbe) {
  config_.type = "tcp";
  Start();
  ASSERT_TRUE(RunUntil([&] { return calls_ == 1; }));
  EXPECT_TRUE(success_);
}

}  // namespace
}  // namespace ub
