// What the children may still do, and what nobody is told.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client.h"
#include "core/syscall_filter.h"
#include "proxy.h"

namespace ub::itest {
namespace {

// A line of /proc/PID/status, without its name.
std::string StatusLine(pid_t pid, std::string_view name) {
  for (const std::string& line : Split(ReadFile("/proc/" + std::to_string(pid) + "/status"), '\n')) {
    if (line.starts_with(std::string(name) + ":\t")) return line.substr(name.size() + 2);
  }
  return "?";
}

TEST(Security, ChildrenHaveNoRightsLeft) {
  const FakeBackend backend;
  Proxy proxy(ConfigFile().Workers(2).Backend(backend));
  ASSERT_TRUE(proxy.Start());
  std::vector<pid_t> children = proxy.Workers();
  children.push_back(proxy.Controller());
  ASSERT_EQ(children.size(), 3u);
  const char* why = "";
  const int filters = SyscallFilterUsable(&why) ? 1 : 0;
  const int before = std::stoi(StatusLine(proxy.master(), "Seccomp_filters"));
  for (const pid_t child : children) {
    SCOPED_TRACE(TitleOf(child));
    EXPECT_EQ(StatusLine(child, "NoNewPrivs"), "1");
    EXPECT_EQ(StatusLine(child, "Seccomp_filters"), std::to_string(before + filters));
    for (const char* set : {"CapInh", "CapPrm", "CapEff", "CapAmb"}) {
      EXPECT_EQ(StatusLine(child, set), "0000000000000000") << set;
    }
    if (geteuid() != 0) continue;
    EXPECT_EQ(StatusLine(child, "Groups").find_first_not_of(' '), std::string::npos);
    EXPECT_NE(StatusLine(child, "Uid").substr(0, 2), "0\t");
  }
}

TEST(Security, LogsArePrivateAndNoFileIsWritableByOthers) {
  const FakeBackend backend;
  const TempDir dir;
  const mode_t before = umask(0);
  Proxy proxy(ConfigFile()
                  .Set("logging", "{ file: " + dir.Path("error.log") + " }")
                  .Set("pid_file", dir.Path("ub.pid"))
                  .Backend(backend));
  const bool started = proxy.Start();
  umask(before);
  ASSERT_TRUE(started);
  const auto mode = [&](const char* name) {
    struct stat info {};
    return stat(dir.Path(name).c_str(), &info) == 0 ? info.st_mode & 0777 : 0;
  };
  EXPECT_EQ(mode("error.log"), 0640u);
  EXPECT_EQ(mode("ub.pid"), 0644u);
}

// Responses of every kind that the proxy gives itself.
TEST(Security, NeitherNameNorVersionIsTold) {
  const FakeBackend backend([](Exchange& exchange) {
    if (exchange.request.target == "/bad") return (void)exchange.Send("nonsense\r\n\r\n");
    exchange.Reply(200, "x");
  });
  Proxy proxy(ConfigFile().Backend(backend).Set("limits", "{ uri_bytes: 1k, headers: 10, body_bytes: 10 }"));
  ASSERT_TRUE(proxy.Start());
  const std::string host = "Host: a\r\n";
  const struct {
    int status;
    std::string request;
  } cases[] = {
      {200, "GET / HTTP/1.1\r\n" + host + "\r\n"},
      {400, "GET / HTTP/1.1\r\n\r\n"},
      {405, "TRACE / HTTP/1.1\r\n" + host + "\r\n"},
      {413, "POST / HTTP/1.1\r\n" + host + "Content-Length: 100\r\n\r\n"},
      {414, "GET /" + std::string(2000, 'x') + " HTTP/1.1\r\n" + host + "\r\n"},
      {417, "GET / HTTP/1.1\r\n" + host + "Expect: x\r\n\r\n"},
      {431, "GET / HTTP/1.1\r\n" + host + std::string("X: y\r\nX: y\r\nX: y\r\nX: y\r\nX: y\r\n") +
                "X: y\r\nX: y\r\nX: y\r\nX: y\r\nX: y\r\nX: y\r\n\r\n"},
      {501, "FROB / HTTP/1.1\r\n" + host + "\r\n"},
      {502, "GET /bad HTTP/1.1\r\n" + host + "\r\n"},
      {505, "GET / HTTP/2.0\r\n" + host + "\r\n"},
  };
  for (const auto& each : cases) {
    Client client(proxy.endpoint());
    client.Send(each.request);
    const Response response = client.Read();
    EXPECT_EQ(response.status, each.status) << response.Outcome();
    EXPECT_FALSE(response.Has("Server"));
    EXPECT_FALSE(response.Has("Via"));
    EXPECT_FALSE(response.Has("X-Powered-By"));
    for (const std::string& text : {response.raw_head, response.body}) {
      EXPECT_EQ(text.find("ltra"), std::string::npos) << text;
      EXPECT_EQ(text.find("0.1"), std::string::npos) << text;
    }
  }
}

// Whatever a client sends comes back escaped or not at all.
TEST(Security, ErrorPagesEchoNothingThatCouldHarm) {
  Proxy proxy(ConfigFile().Backend(BackendYaml(Endpoint::V4(FreePort()))));
  ASSERT_TRUE(proxy.Start());
  for (const char* accept : {"text/html", "application/json"}) {
    for (const std::string id :
         {"<script>alert(1)</script>", "\"},\"x\":{\"", "a\tb", "a b", "'", "&lt;", "\xc3\xa9"}) {
      Client client(proxy.endpoint());
      const Response response =
          client.Get("/<script>alert(1)</script>?\"'", "X-Request-ID: " + id + "\r\nAccept: " +
                                                         std::string(accept) + "\r\nX: <b>\r\n");
      EXPECT_EQ(response.status, 502) << response.Outcome();
      EXPECT_EQ(response.body.find("script"), std::string::npos) << response.body;
      EXPECT_EQ(response.body.find(id), std::string::npos) << response.body;
      EXPECT_EQ(response.Value("X-Request-ID").size(), 32u) << "an id of our own";
    }
    Client client(proxy.endpoint());
    const Response response = client.Get("/", "X-Request-ID: good-1.2:3\r\nAccept: " + std::string(accept) + "\r\n");
    EXPECT_NE(response.body.find("good-1.2:3"), std::string::npos) << response.body;
  }
}

// Bytes that would end a header line, in every place where a client's or a backend's bytes come back out.
TEST(Security, NoResponseIsEverSplit) {
  const FakeBackend backend([](Exchange& exchange) {
    // What a careless application does with a parameter that it decoded.
    std::string location = "/x";
    location += "\rSet-Cookie: a=b";
    exchange.Reply(302, "", "Location: " + location + "\r\n");
  });
  Proxy proxy(ConfigFile().Backend(backend));
  ASSERT_TRUE(proxy.Start());
  EXPECT_EQ(FetchOnce(proxy.endpoint()).status, 502) << "a bare CR ends a line for some";
  for (const std::string& evil : {std::string("a\rSet-Cookie: x"), std::string("a\nSet-Cookie: x"),
                                 std::string("a\0b", 3)}) {
    Client client(proxy.endpoint());
    client.Send("GET / HTTP/1.1\r\nHost: a\r\nX-Request-ID: " + evil + "\r\n\r\n");
    const Response response = client.Read();
    EXPECT_EQ(response.status, 400) << response.Outcome();
    EXPECT_FALSE(response.Has("Set-Cookie"));
  }
  Client client(proxy.endpoint());
  const Response response = client.Get("/%0d%0aSet-Cookie:%20a=b", "X-Request-ID: %0d%0aSet-Cookie:a\r\n");
  EXPECT_FALSE(response.Has("Set-Cookie"));
  EXPECT_EQ(backend.last().target, "/%0d%0aSet-Cookie:%20a=b") << "nothing is decoded on the way";
}

}  // namespace
}  // namespace ub::itest
