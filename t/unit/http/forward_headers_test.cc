#include "http/forward_headers.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <cstring>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "http/http1_parser.h"

namespace ub {
namespace {

struct Given {
  std::string_view name, value;
};

HeaderList List(const std::vector<Given>& fields) {
  HeaderList headers;
  for (const Given& field : fields) headers.push_back({field.name, field.value, HeaderIdOf(field.name)});
  return headers;
}

std::string Names(const HeaderList& headers) {
  std::string names;
  for (const HeaderField& field : headers) names.append(names.empty() ? "" : " ").append(field.name);
  return names;
}

ClientInfo Client(const char* ip = "192.0.2.9") {
  sockaddr_storage storage{};
  sockaddr_in in{};
  in.sin_family = AF_INET;
  inet_pton(AF_INET, ip, &in.sin_addr);
  std::memcpy(&storage, &in, sizeof in);
  ClientInfo client;
  client.peer = PeerAddress::From(storage);
  return client;
}

std::string Request(RequestHead head, const ForwardedConfig& settings = {}, const ClientInfo& client = Client(),
                    std::string_view fallback = "") {
  BufferPool pool;
  Buffer out(&pool);
  if (head.method_text.empty()) head.method_text = "GET";
  if (head.target.empty()) head.target = "/";
  WriteForwardedRequest(&head, client, {client.peer, false}, settings, "id-1", fallback, &out);
  return std::string(out.view());
}

std::string Response(ResponseHead head, const Framing& framing, ConnectionOption option, std::string_view id = "") {
  BufferPool pool;
  Buffer out(&pool);
  WriteForwardedResponse(&head, framing, option, id, false, &out);
  return std::string(out.view());
}

bool Has(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

TEST(HopByHop, TheFixedListGoes) {
  HeaderList headers =
      List({{"Connection", "close"}, {"Keep-Alive", "timeout=5"}, {"Proxy-Connection", "keep-alive"}, {"TE", "trailers"},
            {"Transfer-Encoding", "chunked"}, {"Upgrade", "h2c"}, {"HTTP2-Settings", "x"}, {"Accept", "*/*"}, {"X", "y"}});
  RemoveHopByHop(&headers);
  EXPECT_EQ(Names(headers), "Accept X");
}

TEST(HopByHop, WhatConnectionNamesGoesToo) {
  HeaderList headers = List({{"A", "1"}, {"Connection", "b , C"}, {"b", "2"}, {"c", "3"}, {"connection", "keep-alive,\tD"},
                             {"d", "4"}, {"d", "again"}, {"bb", "5"}});
  RemoveHopByHop(&headers);
  EXPECT_EQ(Names(headers), "A bb");
}

TEST(HopByHop, WhatTheProxyLivesByCannotBeNamedAway) {
  HeaderList headers = List({{"Connection", "host, content-length, date, x-request-id, cookie"}, {"Host", "a"},
                             {"Content-Length", "1"}, {"Date", "d"}, {"X-Request-ID", "i"}, {"Cookie", "c"}});
  RemoveHopByHop(&headers);
  EXPECT_EQ(Names(headers), "Host Content-Length Date X-Request-ID");
}

TEST(HopByHop, UpgradeStaysWhereItIsPassedOn) {
  HeaderList headers = List({{"Connection", "upgrade"}, {"Upgrade", "websocket"}, {"TE", "trailers"}});
  RemoveHopByHop(&headers, true);
  EXPECT_EQ(Names(headers), "Upgrade");
}

TEST(ForwardedRequest, TellsTheBackendWhoTheClientIs) {
  RequestHead head;
  head.method_text = "GET";
  head.target = "/a?b";
  head.authority = "shop.example";
  head.headers = List({{"Host", "shop.example"}, {"Accept", "*/*"}});
  EXPECT_EQ(Request(head),
            "GET /a?b HTTP/1.1\r\nHost: shop.example\r\nAccept: */*\r\nX-Forwarded-For: 192.0.2.9\r\nX-Real-IP: 192.0.2.9\r\n"
            "X-Forwarded-Proto: http\r\nX-Forwarded-Host: shop.example\r\nX-Request-ID: id-1\r\n\r\n");
  ClientInfo tls = Client();
  tls.tls = true;
  EXPECT_TRUE(Has(Request(head, {}, tls), "X-Forwarded-Proto: https\r\n"));
  EXPECT_TRUE(Has(Request(head, {}, ClientInfo()), "X-Real-IP: unix:\r\n"));
}

TEST(ForwardedRequest, ClaimsOfTheClientAreReplaced) {
  RequestHead head;
  head.authority = "a";
  head.headers = List({{"x-forwarded-for", "6.6.6.6"}, {"X-Real-IP", "6.6.6.6"}, {"X-Forwarded-Proto", "https"},
                       {"X-Forwarded-Host", "evil"}, {"Forwarded", "for=6.6.6.6"}, {"X-Request-ID", "claimed"}});
  const std::string sent = Request(head);
  EXPECT_FALSE(Has(sent, "6.6.6.6") || Has(sent, "evil") || Has(sent, "https") || Has(sent, "claimed")) << sent;
  head.headers = List({{"X-Forwarded-Port", "444"}, {"x-forwarded_prefix", "/evil"}, {"X_FORWARDED_SSL", "on"}, {"X-Forwarded", "kept"}});
  EXPECT_FALSE(Has(Request(head), "444") || Has(Request(head), "evil") || Has(Request(head), "on\r\n")) << Request(head);
  EXPECT_TRUE(Has(Request(head), "X-Forwarded: kept\r\n"));
}

TEST(ForwardedRequest, MaxForwardsOfOptionsCountsDown) {
  RequestHead head;
  head.authority = "a";
  head.method = Method::kOptions;
  head.headers = List({{"A", "1"}, {"max-forwards", "10"}, {"B", "2"}});
  EXPECT_FALSE(EndsHere(head));
  EXPECT_TRUE(Has(Request(head), "A: 1\r\nmax-forwards: 9\r\nB: 2\r\n")) << Request(head);
  head.headers = List({{"Max-Forwards", "0"}});
  EXPECT_TRUE(EndsHere(head));
  head.headers = List({{"Max-Forwards", "x"}});
  EXPECT_FALSE(EndsHere(head));
  EXPECT_TRUE(Has(Request(head), "Max-Forwards: x\r\n"));
  head.method = Method::kGet;
  head.headers = List({{"Max-Forwards", "0"}});
  EXPECT_FALSE(EndsHere(head));
  EXPECT_TRUE(Has(Request(head), "Max-Forwards: 0\r\n"));
}

TEST(ForwardedRequest, UnderscoresForgeNothing) {
  RequestHead head;
  head.authority = "a";
  head.headers = List({{"X_Forwarded_For", "6.6.6.6"}, {"x-real_ip", "6.6.6.6"}, {"X_FORWARDED_PROTO", "https"},
                       {"X_Forwarded-Host", "evil"}, {"X_Request_ID", "claimed"}, {"Content_Length", "99"},
                       {"Transfer_Encoding", "chunked"}, {"X_Mine", "kept"}});
  const std::string sent = Request(head);
  EXPECT_FALSE(Has(sent, "6.6.6.6") || Has(sent, "evil") || Has(sent, "https") || Has(sent, "claimed")) << sent;
  EXPECT_FALSE(Has(sent, "99") || Has(sent, "chunked")) << sent;
  EXPECT_TRUE(Has(sent, "X_Mine: kept\r\n")) << sent;
}

TEST(ForwardedRequest, FieldsOfOursCanBeTurnedOff) {
  ForwardedConfig off;
  off.x_forwarded = off.x_request_id = false;
  RequestHead head;
  head.authority = "a";
  head.headers = List({{"X-Request-ID", "the client's"}});
  EXPECT_EQ(Request(head, off), "GET / HTTP/1.1\r\nHost: a\r\nX-Request-ID: the client's\r\n\r\n");
}

TEST(ForwardedRequest, FallbackHostWhereNoneWasNamed) {
  ForwardedConfig off;
  off.x_forwarded = off.x_request_id = false;
  EXPECT_EQ(Request(RequestHead(), off, Client(), "10.0.0.1:80"), "GET / HTTP/1.1\r\nHost: 10.0.0.1:80\r\n\r\n");
}

TEST(ForwardedRequest, FramingIsOursWhateverTheClientWrote) {
  ForwardedConfig off;
  off.x_forwarded = off.x_request_id = false;
  RequestHead head;
  head.authority = "a";
  head.headers = List({{"Content-Length", "0042"}});
  head.body = BodyKind::kLength;
  head.content_length = 42;
  EXPECT_TRUE(Request(head, off).ends_with("Host: a\r\nContent-Length: 42\r\n\r\n"));
  head.headers = List({{"Transfer-Encoding", "CHUNKED"}});
  head.body = BodyKind::kChunked;
  EXPECT_TRUE(Request(head, off).ends_with("Host: a\r\nTransfer-Encoding: chunked\r\n\r\n"));
  head.content_length = UINT64_MAX;
  head.body = BodyKind::kLength;
  EXPECT_TRUE(Request(head, off).ends_with("Content-Length: 18446744073709551615\r\n\r\n"));
}

TEST(ForwardedRequest, UpgradeIsAskedForAnew) {
  ForwardedConfig off;
  off.x_forwarded = off.x_request_id = false;
  RequestHead head;
  head.authority = "a";
  head.headers = List({{"Connection", "keep-alive, Upgrade"}, {"Upgrade", "websocket"}});
  head.upgrade = true;
  EXPECT_EQ(Request(head, off), "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n");
  head.headers = List({{"Connection", "keep-alive, Upgrade"}, {"Upgrade", "websocket"}});
  head.upgrade = false;
  EXPECT_EQ(Request(head, off), "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
}

TEST(ForwardedRequest, RoomIsReckonedForTheLargestOfEverything) {
  // AddressSanitizer watches the block, which is of exactly the size that was asked for.
  const std::string host(255, 'h'), target(8000, 't'), value(30000, 'v');
  RequestHead head;
  head.target = target;
  head.authority = host;
  for (int i = 0; i < 99; ++i) head.headers.push_back({"N", std::string_view(value).substr(0, 300), HeaderId::kOther});
  const std::string sent = Request(head);
  EXPECT_TRUE(sent.ends_with("\r\n\r\n"));
  EXPECT_TRUE(Has(sent, "X-Forwarded-Host: " + host + "\r\n"));
}

TEST(ForwardedResponse, HopByHopGoesAndFramingIsOurs) {
  ResponseHead head;
  head.status = 200;
  head.reason = "Fine";
  head.headers = List({{"Server", "s"}, {"Connection", "x-a"}, {"X-A", "1"}, {"Content-Length", "5"}, {"Keep-Alive", "1"}});
  EXPECT_EQ(Response(head, {BodyKind::kLength, 5}, ConnectionOption::kNone),
            "HTTP/1.1 200 Fine\r\nServer: s\r\nContent-Length: 5\r\n\r\n");
  EXPECT_EQ(Response(head, {BodyKind::kChunked, 0}, ConnectionOption::kClose),
            "HTTP/1.1 200 Fine\r\nServer: s\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n");
  EXPECT_EQ(Response(head, {BodyKind::kUntilClose, 0}, ConnectionOption::kKeepAlive),
            "HTTP/1.1 200 Fine\r\nServer: s\r\nConnection: keep-alive\r\n\r\n");
  EXPECT_EQ(Response(head, {}, ConnectionOption::kNone), "HTTP/1.1 200 Fine\r\nServer: s\r\n\r\n");
}

TEST(ForwardedResponse, RequestIdIsOursWhereWeSendOne) {
  ResponseHead head;
  head.status = 204;
  head.headers = List({{"X-Request-ID", "the backend's"}});
  EXPECT_EQ(Response(head, {}, ConnectionOption::kNone, "ours"), "HTTP/1.1 204 \r\nX-Request-ID: ours\r\n\r\n");
  EXPECT_EQ(Response(head, {}, ConnectionOption::kNone), "HTTP/1.1 204 \r\nX-Request-ID: the backend's\r\n\r\n");
}

TEST(ForwardedResponse, SwitchingKeepsItsUpgrade) {
  ResponseHead head;
  head.status = 101;
  head.reason = "Switching Protocols";
  head.headers = List({{"Connection", "Upgrade"}, {"Upgrade", "websocket"}});
  EXPECT_EQ(Response(head, {}, ConnectionOption::kUpgrade),
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n");
}

TEST(SwitchesTo, OnlyToWhatWasOffered) {
  EXPECT_TRUE(SwitchesTo(List({{"Upgrade", "websocket"}}), "websocket"));
  EXPECT_TRUE(SwitchesTo(List({{"Upgrade", "WebSocket"}}), "a, websocket"));
  EXPECT_TRUE(SwitchesTo(List({{"Upgrade", "a , b"}}), "b,a"));
  EXPECT_FALSE(SwitchesTo(List({{"Upgrade", "a"}, {"Upgrade", "c"}}), "a"));
  EXPECT_FALSE(SwitchesTo(List({{"Upgrade", "h2c"}}), "websocket"));
  EXPECT_FALSE(SwitchesTo(List({{"Upgrade", ""}}), "websocket"));
  EXPECT_FALSE(SwitchesTo(List({}), "websocket"));
  EXPECT_FALSE(SwitchesTo(List({{"Upgrade", "a"}}), ""));
}

// As it came, but for what the proxy changes: however the blanks lie, and whichever lines go.
TEST(ForwardHeaders, LinesThatMayBePassedOnAsTheyAreComeOutLikeOthers) {
  const std::string text =
      "HTTP/1.1 200 OK\r\nFirst: 1\r\nSecond: two words \r\nConnection: close\r\nThird:3\r\nFourth:  4\r\nFifth:\t5\r\n"
      "Sixth: \r\nSeventh:\r\nContent-Length: 0\r\nEighth: 8\r\nNinth: 9\r\nTenth: 1\t0\r\n\r\n";
  ResponseHead head;
  HeadCursor cursor;
  ASSERT_EQ(ParseResponseHead(text, cursor, {}, Method::kGet, &head).verdict, ParseVerdict::kComplete);
  EXPECT_EQ(Response(head, {BodyKind::kLength, 0}, ConnectionOption::kNone),
            "HTTP/1.1 200 OK\r\nFirst: 1\r\nSecond: two words\r\nThird: 3\r\nFourth: 4\r\nFifth: 5\r\nSixth: \r\n"
            "Seventh: \r\nEighth: 8\r\nNinth: 9\r\nTenth: 1\t0\r\nContent-Length: 0\r\n\r\n");
}

TEST(ForwardHeaders, ARequestThatTrickledInIsForwardedLikeOneThatCameWhole) {
  const std::string text = "GET / HTTP/1.1\r\nA: 1\r\nHost: h\r\nB:2\r\nC: 3\r\nD: 4\r\n\r\n";
  RequestHead whole, cut;
  HeadCursor cursor;
  ASSERT_EQ(ParseRequestHead(text, cursor, {}, &whole).verdict, ParseVerdict::kComplete);
  cursor = HeadCursor();
  for (size_t size = 1; size < text.size(); ++size) {
    ASSERT_EQ(ParseRequestHead(std::string_view(text).substr(0, size), cursor, {}, &cut).verdict, ParseVerdict::kIncomplete);
  }
  ASSERT_EQ(ParseRequestHead(text, cursor, {}, &cut).verdict, ParseVerdict::kComplete);
  EXPECT_EQ(Request(whole), Request(cut));
  EXPECT_TRUE(Has(Request(whole), "Host: h\r\nA: 1\r\nB: 2\r\nC: 3\r\nD: 4\r\n")) << Request(whole);
}

}  // namespace
}  // namespace ub
