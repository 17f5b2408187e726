// What comes by HTTP/2 and is not a request must not become one, or two, in the HTTP/1.1 of a backend: every case of the unit
// tests' table, and every byte at every place, through the real binary to a backend that reads strictly.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "fake_backend.h"
#include "h2_client.h"
#include "proxy.h"
#include "unit/http/http2_request_cases.h"

namespace ub::itest {
namespace {

using std::string_view_literals::operator""sv;
using Field = Http2CaseField;

class Http2Smuggling : public testing::Test {
 protected:
  void SetUp() override {
    ConfigFile config = ConfigFile().ListenH2c(Endpoint::V4(FreePort())).Workers(1).Backend(backend_);
    proxy_ = std::make_unique<Proxy>(config.Set("http2", "{ max_resets: 1000000, max_window_updates: 1000000 }"));
    ASSERT_TRUE(proxy_->Start());
  }

  // One request on a connection of its own where the last one has ended; what came of it.
  std::string Ask(const std::vector<Field>& fields, bool end, std::string_view body) {
    if (client_ == nullptr || client_->closed() || client_->goaway()) client_ = std::make_unique<H2Client>(proxy_->endpoint());
    Fields list(fields.begin(), fields.end());
    const uint32_t stream = client_->Begin(list, end);
    if (!end) client_->SendFrame(h2::kData, h2::kEndStream, stream, body);
    return client_->Wait(stream).Outcome();
  }

  FakeBackend backend_;
  std::unique_ptr<Proxy> proxy_;
  std::unique_ptr<H2Client> client_;
};

TEST_F(Http2Smuggling, EveryCaseIsOneRequestOrNone) {
  for (const Http2Case& each : Http2Cases()) {
    const uint64_t before = backend_.requests();
    const bool length = Contains(std::string(each.verdict), "length=5");
    const bool chunked = Contains(std::string(each.verdict), "chunked");
    const std::string outcome = Ask(each.fields, each.end, length ? "12345" : chunked || each.verdict[0] == '4' ? "abc" : "");
    const bool refused = each.verdict[0] == '4' || each.verdict[0] == '5';
    if (refused) {
      EXPECT_TRUE(outcome.starts_with(each.verdict)) << each.name << ": " << outcome;
      EXPECT_EQ(backend_.requests(), before) << each.name;
      continue;
    }
    EXPECT_TRUE(outcome.starts_with("200")) << each.name << ": " << outcome;
    EXPECT_EQ(backend_.requests(), before + 1) << each.name;
    const Request got = backend_.last();
    EXPECT_TRUE(each.verdict.starts_with(got.method + " " + got.target)) << each.name << ": " << got.method << " " << got.target;
    EXPECT_EQ(got.body, length ? "12345" : chunked ? "abc" : "") << each.name;
  }
  EXPECT_EQ(backend_.malformed(), 0u);
  EXPECT_TRUE(proxy_->WaitIdle());
}

TEST_F(Http2Smuggling, NoByteAnywhereMakesAnotherRequest) {
  uint64_t accepted = 0;
  for (int byte = 0; byte < 256; ++byte) {
    const std::string odd = {'a', static_cast<char>(byte), 'b'};
    const std::string path = "/" + odd, whole = "a" + std::string(1, static_cast<char>(byte)) +
                                                "\r\nContent-Length: 35\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n";
    for (const char* where : {"path", "authority", "scheme", "name", "value", "cookie", "te", "content-length", "whole"}) {
      const std::string_view at = where;
      std::vector<Field> fields = {kGet, {":scheme", at == "scheme" ? std::string_view(odd) : "http"sv},
                                   {":authority", at == "authority" ? std::string_view(odd) : "a.example"sv},
                                   {":path", at == "path" ? std::string_view(path) : "/"sv}};
      if (at == "name") fields.emplace_back(odd, "x");
      if (at == "value") fields.emplace_back("x", odd);
      if (at == "whole") fields.emplace_back("x", whole);
      if (at == "cookie" || at == "te" || at == "content-length") fields.emplace_back(at, odd);
      const uint64_t before = backend_.requests();
      const std::string outcome = Ask(fields, true, "");
      const bool good = outcome == "200";
      accepted += good;
      EXPECT_TRUE(good || outcome.starts_with("400")) << where << " " << byte << ": " << outcome;
      EXPECT_EQ(backend_.requests(), before + good) << where << " " << byte;
    }
  }
  EXPECT_GT(accepted, 500u);
  EXPECT_EQ(backend_.malformed(), 0u);
  for (const Request& got : backend_.recorded()) EXPECT_NE(got.target, "/smuggled");
  EXPECT_TRUE(proxy_->WaitIdle());
}

}  // namespace
}  // namespace ub::itest
