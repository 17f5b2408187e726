// The access log: a whole line for each request, whoever refused it, over reopening, reloads and
// workers that leave; and never at the price of a request.
#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdio>
#include <map>
#include <regex>
#include <set>

#include "client.h"
#include "fake_backend.h"
#include "load_generator.h"
#include "proxy.h"

namespace ub::itest {
namespace {

std::vector<std::string> Lines(const std::string& path) {
  std::vector<std::string> lines = Split(ReadFile(path), '\n');
  if (!lines.empty() && lines.back().empty()) lines.pop_back();
  return lines;
}

// The value of a JSON member, quotes included; the lines are flat objects and our texts hold no
// comma or brace.
std::string Member(const std::string& line, const std::string& name) {
  std::smatch match;
  const std::regex pattern("\"" + name + "\":(\"[^\"]*\"|[^,}]*)");
  return std::regex_search(line, match, pattern) ? match[1].str() : "missing";
}

bool IsWholeJson(const std::string& line) {
  return line.starts_with("{\"time\":\"") && line.ends_with("\"}") &&
         line.find("{\"time\"", 1) == std::string::npos;
}

// A proxy whose access log is in `dir`.
class AccessLogTest : public testing::Test {
 protected:
  ConfigFile Config(std::string_view format = "json", int workers = 1) {
    return ConfigFile().Workers(workers).Backend(backend_).Set(
        "logging", fmt::format("{{ access_log: \"{}\", format: {} }}", path_, format));
  }
  // The lines, once there are `count`.
  std::vector<std::string> WaitLines(size_t count) {
    EXPECT_TRUE(WaitFor([&] { return Lines(path_).size() >= count; })) << ReadFile(path_);
    std::vector<std::string> lines = Lines(path_);
    EXPECT_EQ(lines.size(), count);
    lines.resize(count);
    return lines;
  }

  TempDir dir_;
  std::string path_ = dir_.Path("access.log");
  FakeBackend backend_;
};

TEST_F(AccessLogTest, CombinedLine) {
  Proxy proxy(Config("combined"));
  ASSERT_TRUE(proxy.Start());
  Client client(proxy.endpoint());
  EXPECT_EQ(
      client.Get("/size/1234/1?a=%22", "Referer: http://a/\"x\\\r\nUser-Agent: t\xc3\xa9st/1\r\n")
          .status,
      200);
  const std::string line = WaitLines(1)[0];
  const std::regex pattern(
      R"(127\.0\.0\.1 - - \[\d\d/[A-Z][a-z][a-z]/20\d\d:\d\d:\d\d:\d\d [+-]\d{4}\] )"
      R"("GET /size/1234/1\?a=%22 HTTP/1\.1" 200 1234 "http://a/\\x22x\\x5c" "t\\xc3\\xa9st/1")");
  EXPECT_TRUE(std::regex_match(line, pattern)) << line;
}

TEST_F(AccessLogTest, JsonLine) {
  Proxy proxy(Config());
  ASSERT_TRUE(proxy.Start());
  Client client(proxy.endpoint());
  const Response answer = client.Ask("POST", "/echo", "X-Request-ID: id-1\r\n", "hello");
  EXPECT_EQ(answer.status, 200);
  const std::string line = WaitLines(1)[0];
  EXPECT_TRUE(IsWholeJson(line)) << line;
  const std::map<std::string, std::string> expected = {
      {"request_id", "\"id-1\""},
      {"client", "\"127.0.0.1\""},
      {"method", "\"POST\""},
      {"target", "\"/echo\""},
      {"protocol", "\"HTTP/1.1\""},
      {"status", "200"},
      {"bytes_received", "5"},
      {"bytes_sent", std::to_string(answer.body.size())},
      {"backend", "\"" + backend_.endpoint().Text() + "\""},
      {"tries", "1"},
      {"rate_limit", "\"off\""},
      {"complete", "true"}};
  for (const auto& [name, value] : expected) EXPECT_EQ(Member(line, name), value) << line;
  for (const char* const name : {"connect_ms", "first_byte_ms", "total_ms"}) {
    EXPECT_TRUE(std::regex_match(Member(line, name), std::regex(R"(\d+\.\d{3})"))) << line;
  }
  EXPECT_EQ(client.Get().status, 200);
  EXPECT_EQ(Member(WaitLines(2)[1], "connect_ms"), "null") << "a kept connection";
}

TEST_F(AccessLogTest, OffByDefaultWritesNothing) {
  Proxy proxy(ConfigFile().Workers(1).Backend(backend_));
  ASSERT_TRUE(proxy.Start());
  EXPECT_EQ(FetchOnce(proxy.endpoint()).status, 200);
  EXPECT_EQ(proxy.Stop(SIGQUIT), 0);
  EXPECT_FALSE(Contains(proxy.Log(), "GET /"));
}

TEST_F(AccessLogTest, GoesToStandardOutput) {
  Proxy proxy(Config().Set("logging", "{ access_log: stdout }"));
  ASSERT_TRUE(proxy.Start());
  EXPECT_EQ(FetchOnce(proxy.endpoint(), "/out").status, 200);
  EXPECT_TRUE(WaitFor([&] { return Contains(proxy.Log(), "\"GET /out HTTP/1.1\" 200 0 "); }));
}

TEST_F(AccessLogTest, RefusedBeforeASession) {
  Proxy proxy(Config().Set("timeout", "{ header_ms: 200 }").Set("limits", "{ header_bytes: 1k }"));
  ASSERT_TRUE(proxy.Start());
  const auto send = [&](std::string_view bytes) {
    Client client(proxy.endpoint());
    client.Send(bytes);
    return client.Read().status;
  };
  EXPECT_EQ(send("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"), 400);
  EXPECT_EQ(send("\x16\x03\x01 \"hello\r\n\r\n"), 400);
  EXPECT_EQ(send("GET /slow HTTP/1.1\r\nHost:"), 408);
  EXPECT_EQ(send("GET /long HTTP/1.1\r\nHost: a\r\nX: " + std::string(2000, 'x') + "\r\n\r\n"),
            431);
  const std::vector<std::string> lines = WaitLines(4);
  const char* const targets[] = {"GET / HTTP/1.1", R"(\u0016\u0003\u0001 \)", "GET /slow HTTP/1.1",
                                 "GET /long HTTP/1.1"};
  const char* const statuses[] = {"400", "400", "408", "431"};
  for (size_t i = 0; i < lines.size(); ++i) {
    EXPECT_TRUE(IsWholeJson(lines[i])) << lines[i];
    EXPECT_EQ(Member(lines[i], "status"), statuses[i]) << lines[i];
    EXPECT_TRUE(Member(lines[i], "target").starts_with("\"" + std::string(targets[i]))) << lines[i];
    EXPECT_EQ(Member(lines[i], "method"), "\"\"");
    EXPECT_EQ(Member(lines[i], "tries"), "0");
    EXPECT_NE(Member(lines[i], "bytes_sent"), "0");
  }
}

TEST_F(AccessLogTest, FailuresTellWhatBecameOfThem) {
  FakeBackend dead;
  dead.Stop();
  Gate release;
  FakeBackend holding([&](Exchange& exchange) { exchange.Wait(release); });
  Proxy proxy(Config()
                  .ClearBackends()
                  .Backend(dead)
                  .Set("health_check", "{ enabled: false, circuit_breaker: { enabled: false } }")
                  .Set("rate_limit", "{ enabled: true, requests_per_second: 1, burst: 2 }"));
  ASSERT_TRUE(proxy.Start());
  Client client(proxy.endpoint());
  EXPECT_EQ(client.Get("/refused").status, 502);
  std::string line = WaitLines(1)[0];
  EXPECT_EQ(Member(line, "backend"), "\"" + dead.endpoint().Text() + "\"") << line;
  EXPECT_EQ(Member(line, "first_byte_ms"), "null") << line;
  EXPECT_EQ(Member(line, "rate_limit"), "\"passed\"") << line;
  int status = 0;
  while (status != 429) status = client.Get("/limited").status;
  EXPECT_TRUE(WaitFor([&] { return Contains(ReadFile(path_), "\"rate_limit\":\"limited\""); }));
  ConfigFile next = Config().ClearBackends().Backend(holding);
  ASSERT_TRUE(proxy.Reload(next));
  {
    Client leaving(proxy.endpoint());
    leaving.Send(RequestText("GET", "/left"));
    EXPECT_TRUE(WaitFor([&] { return holding.concurrent() == 1; }));
  }
  EXPECT_TRUE(WaitFor([&] { return Contains(ReadFile(path_), "\"target\":\"/left\""); }));
  line = Lines(path_).back();
  EXPECT_EQ(Member(line, "status"), "499") << line;
  EXPECT_EQ(Member(line, "complete"), "false") << line;
  EXPECT_EQ(Member(line, "rate_limit"), "\"off\"") << line;
  release.Open();
}

// Files are moved away under load: each request has one line, whole, in one of them.
// Nobody left: 499 would say so.
TEST_F(AccessLogTest, WhatADrainCutsIsOurs) {
  Gate never;
  const FakeBackend slow([&](Exchange& exchange) { exchange.Wait(never); });
  Proxy proxy(Config().ClearBackends().Backend(slow).Set("timeout", "{ drain_ms: 300 }"));
  ASSERT_TRUE(proxy.Start());
  Client client(proxy.endpoint());
  client.Send(RequestText("GET", "/"));
  ASSERT_TRUE(WaitFor([&] { return slow.concurrent() == 1; }));
  EXPECT_EQ(proxy.Stop(SIGQUIT), 0);
  const auto lines = WaitLines(1);
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_EQ(Member(lines[0], "status"), "503") << lines[0];
  never.Open();
}

TEST_F(AccessLogTest, ReopeningLosesAndTearsNothing) {
  Proxy proxy(Config("json", 2));
  ASSERT_TRUE(proxy.Start());
  LoadGenerator load(proxy.endpoint());
  load.Start();
  std::vector<std::string> files;
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(load.WaitAnswers(200));
    files.push_back(dir_.Path("access.log." + std::to_string(i)));
    ASSERT_EQ(rename(path_.c_str(), files.back().c_str()), 0);
    proxy.Signal(SIGUSR1);
    ASSERT_TRUE(WaitFor([&] { return access(path_.c_str(), F_OK) == 0; }));
  }
  ASSERT_TRUE(load.WaitAnswers(200));
  const LoadReport report = load.Stop();
  EXPECT_EQ(report.failed, 0u) << report.Summary();
  EXPECT_EQ(proxy.Stop(SIGQUIT), 0);
  files.push_back(path_);
  std::set<std::string> ids;
  size_t lines = 0;
  for (const std::string& file : files) {
    for (const std::string& line : Lines(file)) {
      ++lines;
      ASSERT_TRUE(IsWholeJson(line)) << file << ": " << line;
      ids.insert(Member(line, "request_id"));
    }
  }
  EXPECT_EQ(lines, report.sent);
  EXPECT_EQ(ids.size(), report.sent);
}

TEST_F(AccessLogTest, ReloadTurnsItOnAndOff) {
  ConfigFile off = Config().Set("logging", "{ access_log: \"off\" }");
  Proxy proxy(off);
  ASSERT_TRUE(proxy.Start());
  Client client(proxy.endpoint());
  EXPECT_EQ(client.Get("/silent").status, 200);
  ASSERT_TRUE(proxy.Reload(Config()));
  EXPECT_EQ(client.Get("/logged").status, 200);
  EXPECT_EQ(Member(WaitLines(1)[0], "target"), "\"/logged\"");
  ASSERT_TRUE(proxy.Reload(off));
  EXPECT_EQ(client.Get("/silent").status, 200);
  ASSERT_TRUE(proxy.Reload(Config("combined")));
  EXPECT_EQ(client.Get("/again").status, 200);
  EXPECT_TRUE(Contains(WaitLines(2)[1], "\"GET /again HTTP/1.1\""));
}

// Nobody reads the pipe: requests go on, and the error log says what was lost.
TEST_F(AccessLogTest, SlowReaderCostsLinesAndNotTime) {
  ASSERT_EQ(mkfifo(path_.c_str(), 0666), 0);
  const UniqueFd reader(open(path_.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  Proxy proxy(Config());
  ASSERT_TRUE(proxy.Start());
  Client client(proxy.endpoint());
  const std::string agent = "User-Agent: " + std::string(700, 'u') + "\r\n";
  for (int i = 0; i < 400; ++i) ASSERT_EQ(client.Get("/size/1/1", agent).status, 200);
  EXPECT_TRUE(WaitFor([&] { return Contains(proxy.Log(), "lines dropped"); })) << proxy.Log();
  std::string got;
  char piece[65536];
  EXPECT_TRUE(WaitFor([&] {
    for (ssize_t n; (n = read(reader.get(), piece, sizeof piece)) > 0;)
      got.append(piece, static_cast<size_t>(n));
    return got.size() > 100'000 && got.back() == '\n';
  })) << got.size();
  for (const std::string& line : Split(got, '\n')) {
    EXPECT_TRUE(line.empty() || IsWholeJson(line)) << line;
  }
}

// W3C trace context belongs to whoever traces: it goes through both ways as it came.
TEST(TraceContext, PassesUntouched) {
  FakeBackend backend;
  Proxy proxy(ConfigFile().Workers(1).Backend(backend));
  ASSERT_TRUE(proxy.Start());
  constexpr std::string_view kParent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  EXPECT_EQ(FetchOnce(proxy.endpoint(), "/",
                      fmt::format("traceparent: {}\r\ntracestate: a=1,b=2\r\ntracestate: c=3\r\n",
                                  kParent))
                .status,
            200);
  const Request seen = backend.last();
  EXPECT_EQ(seen.Values("traceparent"), std::vector<std::string>{std::string(kParent)});
  EXPECT_EQ(seen.Values("tracestate"), (std::vector<std::string>{"a=1,b=2", "c=3"}));
  EXPECT_TRUE(Contains(seen.raw_head, fmt::format("\r\ntraceparent: {}\r\n", kParent)));
}

}  // namespace
}  // namespace ub::itest
