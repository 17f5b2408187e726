#include "http/framing.h"

#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace ub {
namespace {

struct Given {
  std::string_view name, value;
};

FieldFacts Facts(const std::vector<Given>& fields, int minor_version = 1) {
  static HeaderList headers;  // the facts point into it
  headers.clear();
  for (const Given& field : fields) headers.push_back({field.name, field.value, HeaderIdOf(field.name)});
  FieldFacts facts;
  NoteFields(headers, minor_version, &facts);
  return facts;
}

TEST(Framing, LengthsAreDigitsUpToTwoToThe63) {
  struct Good {
    const char* text;
    uint64_t value;
  };
  for (const Good& good : {Good{"0", 0}, Good{"42", 42}, Good{"007", 7}, Good{"9223372036854775807", INT64_MAX}}) {
    const FieldFacts facts = Facts({{"Content-Length", good.text}});
    EXPECT_EQ(facts.error, nullptr) << good.text;
    EXPECT_TRUE(facts.has_length);
    EXPECT_EQ(facts.length, good.value);
  }
  for (const char* bad : {"", "-1", "+1", "1,1", "1 1", "0x1", "1.0", "9223372036854775808", "18446744073709551616",
                          "99999999999999999999999999", "1;", "\xb9"}) {
    EXPECT_NE(Facts({{"Content-Length", bad}}).error, nullptr) << bad;
  }
}

TEST(Framing, OneFramingOnly) {
  EXPECT_NE(Facts({{"Content-Length", "1"}, {"content-length", "1"}}).error, nullptr);
  EXPECT_NE(Facts({{"Content-Length", "1"}, {"Transfer-Encoding", "chunked"}}).error, nullptr);
  EXPECT_NE(Facts({{"Transfer-Encoding", "chunked"}, {"Content-Length", "1"}}).error, nullptr);
  EXPECT_NE(Facts({{"Transfer-Encoding", "chunked"}, {"Transfer-Encoding", "chunked"}}).error, nullptr);
  for (const char* bad : {"", "gzip", "gzip, chunked", "chunked, chunked", "identity", "chunked;q=1", "xchunked"}) {
    EXPECT_NE(Facts({{"Transfer-Encoding", bad}}).error, nullptr) << bad;
  }
  EXPECT_NE(Facts({{"Transfer-Encoding", "chunked"}}, 0).error, nullptr) << "HTTP/1.0 has no chunks";
  const FieldFacts good = Facts({{"Transfer-Encoding", "Chunked"}});
  EXPECT_EQ(good.error, nullptr);
  EXPECT_TRUE(good.chunked);
}

TEST(Framing, TheFirstErrorIsTold) {
  const FieldFacts facts = Facts({{"Host", "a"}, {"Host", "b"}, {"Content-Length", "x"}});
  EXPECT_STREQ(facts.error, "Host repeated");
  EXPECT_EQ(facts.host->value, "b");
}

TEST(Framing, ConnectionOptionsAreFoundInListsAndOverSeveralFields) {
  const FieldFacts facts = Facts({{"Connection", "foo , CLOSE"}, {"connection", "\tUpgrade,keep-alive"}, {"Upgrade", "h2c"}});
  EXPECT_TRUE(facts.close);
  EXPECT_TRUE(facts.keep_alive);
  EXPECT_TRUE(facts.connection_upgrade);
  EXPECT_TRUE(facts.upgrade_field);
  EXPECT_TRUE(facts.h2c);
  const FieldFacts none = Facts({{"Connection", "closed, notclose,,"}, {"Upgrade", ""}});
  EXPECT_FALSE(none.close || none.keep_alive || none.connection_upgrade || none.upgrade_field || none.h2c);
  EXPECT_FALSE(Facts({{"Upgrade", "websocket"}}).h2c);
}

TEST(Framing, KeepsAliveByVersionAndOptions) {
  EXPECT_TRUE(KeepsAlive(1, Facts({})));
  EXPECT_FALSE(KeepsAlive(0, Facts({})));
  EXPECT_TRUE(KeepsAlive(0, Facts({{"Connection", "Keep-Alive"}})));
  EXPECT_FALSE(KeepsAlive(1, Facts({{"Connection", "close"}})));
  EXPECT_FALSE(KeepsAlive(1, Facts({{"Connection", "keep-alive, close"}}))) << "close wins";
  EXPECT_FALSE(KeepsAlive(0, Facts({{"Connection", "keep-alive, close"}})));
}

TEST(Framing, NotesHostAndExpect) {
  const FieldFacts facts = Facts({{"HOST", "a"}, {"Expect", "100-continue"}});
  ASSERT_NE(facts.host, nullptr);
  ASSERT_NE(facts.expect, nullptr);
  EXPECT_EQ(facts.host->value, "a");
  EXPECT_EQ(facts.expect->value, "100-continue");
}

}  // namespace
}  // namespace ub
