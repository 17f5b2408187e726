#include "http/access_line.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

namespace ub {
namespace {

class AccessLineTest : public testing::Test {
 protected:
  AccessLineTest() {
    setenv("TZ", "UTC", 1);
    tzset();
    entry_.unix_ms = 1'795'600'800'123;  // 25 November 2026, 10:00:00.123
    entry_.request_id = "0123456789abcdef0123456789abcdef";
    entry_.client = "192.0.2.1";
    entry_.method = "GET";
    entry_.target = "/index.html?a=b";
    entry_.referer = "http://example.com/";
    entry_.user_agent = "test/1.0";
    entry_.status = 200;
    entry_.bytes_received = 5;
    entry_.bytes_sent = 612;
    entry_.backend = "10.0.0.1:80";
    entry_.tries = 2;
    entry_.connect_ns = 250'000;
    entry_.first_byte_ns = 12'345'678;
    entry_.total_ns = 1'000'000'000;
  }
  std::string Format(AccessFormat format, size_t room = 4096) {
    std::string out(room, '#');
    const size_t bytes = FormatAccessLine(entry_, format, out.data(), room);
    EXPECT_LE(bytes, room);
    out.resize(bytes);
    return out;
  }
  std::string Combined() { return Format(AccessFormat::kCombined); }
  std::string Json() { return Format(AccessFormat::kJson); }

  AccessEntry entry_;
};

TEST_F(AccessLineTest, Combined) {
  EXPECT_EQ(Combined(),
            "192.0.2.1 - - [25/Nov/2026:10:00:00 +0000] \"GET /index.html?a=b HTTP/1.1\" 200 612 "
            "\"http://example.com/\" \"test/1.0\"\n");
  entry_.referer = entry_.user_agent = {};
  entry_.minor_version = 0;
  entry_.unix_ms += 59'000;
  EXPECT_EQ(Combined(),
            "192.0.2.1 - - [25/Nov/2026:10:00:59 +0000] \"GET /index.html?a=b HTTP/1.0\" 200 612 "
            "\"-\" \"-\"\n");
}

TEST_F(AccessLineTest, Json) {
  EXPECT_EQ(Json(),
            "{\"time\":\"2026-11-25T10:00:00.123Z\","
            "\"request_id\":\"0123456789abcdef0123456789abcdef\",\"client\":\"192.0.2.1\","
            "\"method\":\"GET\",\"target\":\"/index.html?a=b\",\"protocol\":\"HTTP/1.1\","
            "\"status\":200,\"bytes_received\":5,\"bytes_sent\":612,\"backend\":\"10.0.0.1:80\","
            "\"tries\":2,\"connect_ms\":0.250,\"first_byte_ms\":12.345,\"total_ms\":1000.000,"
            "\"rate_limit\":\"off\",\"complete\":true,\"referer\":\"http://example.com/\","
            "\"user_agent\":\"test/1.0\"}\n");
}

TEST_F(AccessLineTest, WhatDidNotHappenIsNull) {
  entry_.backend = {};
  entry_.tries = 0;
  entry_.connect_ns = entry_.first_byte_ns = AccessEntry::kNone;
  entry_.rate_limit = RateVerdict::kLimited;
  entry_.complete = false;
  EXPECT_NE(Json().find("\"backend\":\"\",\"tries\":0,\"connect_ms\":null,\"first_byte_ms\":null,"
                        "\"total_ms\":1000.000,\"rate_limit\":\"limited\",\"complete\":false,"),
            std::string::npos)
      << Json();
}

TEST_F(AccessLineTest, WhatWasNotUnderstoodIsShownAsItCame) {
  entry_.method = entry_.target = {};
  entry_.first_line = "\x16\x03\x01 hello";
  EXPECT_NE(Combined().find("] \"\\x16\\x03\\x01 hello\" 200"), std::string::npos) << Combined();
  EXPECT_NE(
      Json().find("\"method\":\"\",\"target\":\"\\u0016\\u0003\\u0001 hello\",\"protocol\":\"\""),
      std::string::npos)
      << Json();
  entry_.first_line = {};
  EXPECT_NE(Combined().find("] \"-\" 200"), std::string::npos) << Combined();
}

// A client cannot end a field or a line.
TEST_F(AccessLineTest, TextsOfPeersAreEscaped) {
  entry_.user_agent = std::string_view(
      "a\"b\\c\nd\x7f\x00"
      "e",
      10);
  EXPECT_NE(Combined().find("\"a\\x22b\\x5cc\\x0ad\\x7f\\x00e\"\n"), std::string::npos)
      << Combined();
  EXPECT_NE(Json().find("\"a\\\"b\\\\c\\u000ad\\u007f\\u0000e\"}\n"), std::string::npos) << Json();
}

TEST_F(AccessLineTest, JsonIsUtf8) {
  entry_.user_agent =
      "ok \xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80 bad \xc3( \xff \xed\xa0\x80 \xc0\xaf \xe2\x82";
  EXPECT_NE(Json().find("\"ok \xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80 bad \\ufffd( \\ufffd "
                        "\\ufffd\\ufffd\\ufffd \\ufffd\\ufffd \\ufffd\\ufffd\"}\n"),
            std::string::npos)
      << Json();
  EXPECT_NE(Combined().find("\"ok \\xc3\\xa9\\xe2"), std::string::npos) << Combined();
}

TEST_F(AccessLineTest, LongTextsAreCutAndTheLineStaysWhole) {
  const std::string plain(100'000, 'x'), quotes(100'000, '"'), control(100'000, '\x01');
  const std::string umlauts = [] {
    std::string out;
    for (int i = 0; i < 20'000; ++i) out += "\xc3\xa9";
    return out;
  }();
  for (const std::string* long_text : {&plain, &quotes, &control, &umlauts}) {
    const std::string& text = *long_text;
    entry_.method = entry_.target = entry_.referer = entry_.user_agent = entry_.backend = text;
    for (const size_t room : {kAccessLineFixed, size_t{4096}, size_t{32768}}) {
      const std::string combined = Format(AccessFormat::kCombined, room);
      EXPECT_TRUE(combined.ends_with("...\"\n")) << combined.substr(combined.size() - 20);
      EXPECT_EQ(combined.find('\n'), combined.size() - 1);
      const std::string json = Format(AccessFormat::kJson, room);
      EXPECT_TRUE(json.ends_with("...\"}\n")) << json.substr(json.size() - 20);
      EXPECT_EQ(json.find('\n'), json.size() - 1);
    }
  }
  entry_.target = std::string_view(plain).substr(0, 1500);
  entry_.method = "GET";
  EXPECT_NE(Combined().find(std::string(1500, 'x') + " HTTP/1.1"), std::string::npos);
}

}  // namespace
}  // namespace ub
