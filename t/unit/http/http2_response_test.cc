#include "http/http2_response.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "http/http2_fields.h"

namespace ub {
namespace {

using List = std::vector<std::pair<std::string, std::string>>;

std::string Written(const List& fields, bool end, Method method = Method::kGet) {
  Http2Response response;
  for (const auto& [name, value] : fields) response.Add(name, value, ParseLimits());
  const char* wrong = response.Finish(end, method);
  return wrong != nullptr ? std::string("bad: ") + wrong : response.text();
}

TEST(Http2Response, IsWrittenAsHttp1) {
  EXPECT_EQ(Written({{":status", "200"}, {"a", "b"}}, false), "HTTP/1.1 200 \r\na: b\r\ntransfer-encoding: chunked\r\n\r\n");
  EXPECT_EQ(Written({{":status", "200"}, {"content-length", "5"}}, false), "HTTP/1.1 200 \r\ncontent-length: 5\r\n\r\n");
  EXPECT_EQ(Written({{":status", "204"}}, true), "HTTP/1.1 204 \r\n\r\n");
  EXPECT_EQ(Written({{":status", "200"}}, true, Method::kHead), "HTTP/1.1 200 \r\n\r\n");
  EXPECT_EQ(Written({{":status", "103"}, {"link", "</a>"}}, false), "HTTP/1.1 103 \r\nlink: </a>\r\n\r\n");
}

TEST(Http2Response, RefusesWhatIsMalformed) {
  for (const List& fields : std::vector<List>{{},
                                              {{"a", "b"}},
                                              {{":status", "20"}},
                                              {{":status", "2000"}},
                                              {{":status", "-20"}},
                                              {{":status", "600"}},
                                              {{":status", "101"}},
                                              {{":status", "200"}, {":status", "200"}},
                                              {{"a", "b"}, {":status", "200"}},
                                              {{":status", "200"}, {":path", "/"}},
                                              {{":status", "200"}, {"A", "b"}},
                                              {{":status", "200"}, {"connection", "close"}},
                                              {{":status", "200"}, {"transfer-encoding", "chunked"}},
                                              {{":status", "200"}, {"a", "b\r\nc: d"}},
                                              {{":status", "200"}, {"a", " b"}},
                                              {{":status", "200"}, {"a", std::string(40000, 'x')}}}) {
    EXPECT_TRUE(Written(fields, false).starts_with("bad: ")) << Written(fields, false);
  }
  EXPECT_TRUE(Written({{":status", "100"}}, true).starts_with("bad: ")) << "an interim head is not the end";
}

TEST(Http2Response, TheAnswerToAConnectBecomes101) {
  Http2Response response;
  response.Add(":status", "200", ParseLimits());
  response.Add("sec-websocket-protocol", "chat", ParseLimits());
  EXPECT_EQ(response.FinishConnect(false, "xyz"), nullptr);
  EXPECT_EQ(response.text(),
            "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-accept: xyz\r\n"
            "sec-websocket-protocol: chat\r\n\r\n");
  response.Clear();
  response.Add(":status", "403", ParseLimits());
  EXPECT_EQ(response.FinishConnect(true, "xyz"), nullptr);
  EXPECT_TRUE(response.text().starts_with("HTTP/1.1 403 "));
}

std::string Of(std::string_view head, bool secure, bool te, bool connect = false) {
  Http2Fields fields;
  fields.AddRequest(head, secure, te, connect);
  std::string out;
  for (const Http2Field& field : fields.fields()) out.append(field.name).append("=").append(field.value).append(" ");
  return out;
}

TEST(Http2Response, RequestsAreMadeOfForwardedHeads) {
  EXPECT_EQ(Of("POST /a?b HTTP/1.1\r\nHost: h:1\r\nX-One: 1\r\nTransfer-Encoding: chunked\r\n\r\n", false, true),
            ":method=POST :scheme=http :authority=h:1 :path=/a?b x-one=1 te=trailers ");
  EXPECT_EQ(Of("OPTIONS * HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\n", true, false),
            ":method=OPTIONS :scheme=https :authority=h :path=* content-length=3 ");
  EXPECT_EQ(Of("GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nSec-WebSocket-Key: k\r\nConnection: upgrade\r\n\r\n", false,
               false, true),
            ":method=CONNECT :protocol=websocket :scheme=http :authority=h :path=/ ");
}

}  // namespace
}  // namespace ub
