#include "http/error_page.h"

#include <nlohmann/json.hpp>

#include <set>
#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace ub {
namespace {

bool Json(const std::vector<std::string_view>& accepts) {
  HeaderList headers;
  for (const std::string_view value : accepts) headers.push_back({"Accept", value, HeaderId::kAccept});
  return PrefersJson(headers);
}

TEST(PrefersJson, OnlyWhereItIsNamedAndBetterThanHtml) {
  EXPECT_FALSE(Json({}));
  for (const char* html : {"", "*/*", "text/html", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
                           "application/*", "application/jsonp", "xapplication/json", "text/html, application/json",
                           "application/json;q=0.5, text/html;q=0.5", "application/json;q=0.4, text/html;q=0.5"}) {
    EXPECT_FALSE(Json({html})) << html;
  }
  for (const char* json : {"application/json", "APPLICATION/JSON", "application/json, text/plain, */*", " application/json ",
                           "\tapplication/json", "application/json\t;q=0.1", "text/html;q=0.5, application/json",
                           "application/json;q=0.6,text/html;q=0.5", "application/json; charset=utf-8",
                           "text/plain , application/json ; q=0.001", "application/json;q=1.000;ext=1", ",,application/json,",
                           "application/json, text/html;q=0"}) {
    EXPECT_TRUE(Json({json})) << json;
  }
}

TEST(PrefersJson, QualitiesAreReadStrictlyAndNeverMakeItMore) {
  for (const char* none : {"application/json;q=0", "application/json;q=0.000", "application/json;Q=0", "application/json; q=0",
                           "application/json;q=", "application/json;q=x", "application/json;q=-1", "application/json;q=nan",
                           "application/json;q=inf, text/html", "application/json;q=2, text/html", "application/json;q=1e9, text/html",
                           "application/json;q=0.5x", "application/json;q=1.1", "application/json;q=0.1234"}) {
    EXPECT_FALSE(Json({none})) << none;
  }
  // A parameter that only ends in q, or holds the letters, is no quality.
  EXPECT_TRUE(Json({"application/json;xq=0"}));
  EXPECT_TRUE(Json({"application/json;v=\"q=0\""}));
}

TEST(PrefersJson, SeveralFieldsAreOneList) {
  EXPECT_TRUE(Json({"text/plain", "application/json"}));
  EXPECT_FALSE(Json({"application/json;q=0.5", "text/html"}));
  EXPECT_TRUE(Json({"application/json", "text/html;q=0.5"}));
}

// Head and body of a rendered page.
struct Page {
  std::string head, body;
  std::string Field(const std::string& name) const {
    const size_t at = head.find("\r\n" + name + ": ");
    if (at == std::string::npos) return "-";
    const size_t from = at + name.size() + 4;
    return head.substr(from, head.find("\r\n", from) - from);
  }
};

Page Render(const ErrorPage& page) {
  const std::string text = RenderErrorPage(page);
  const size_t blank = text.find("\r\n\r\n");
  EXPECT_NE(blank, std::string::npos);
  return {text.substr(0, blank + 2), text.substr(blank + 4)};
}

TEST(ErrorPage, HtmlCarriesStatusAndRequestId) {
  const Page page = Render({.status = 503, .request_id = "abc-123"});
  EXPECT_TRUE(page.head.starts_with("HTTP/1.1 503 Service Unavailable\r\n"));
  EXPECT_EQ(page.Field("Content-Type"), "text/html; charset=utf-8");
  EXPECT_EQ(page.Field("Content-Length"), std::to_string(page.body.size()));
  EXPECT_EQ(page.Field("X-Request-ID"), "abc-123");
  EXPECT_EQ(page.Field("Connection"), "-");
  EXPECT_EQ(page.Field("Retry-After"), "-");
  EXPECT_TRUE(page.Field("Date").ends_with(" GMT"));
  EXPECT_NE(page.body.find("<h1>503 Service Unavailable</h1>"), std::string::npos);
  EXPECT_NE(page.body.find("Request abc-123"), std::string::npos);
}

TEST(ErrorPage, JsonIsJson) {
  const Page page = Render({.status = 429, .request_id = "x/y+z=", .json = true, .retry_after_seconds = 7});
  EXPECT_EQ(page.Field("Content-Type"), "application/json");
  EXPECT_EQ(page.Field("Content-Length"), std::to_string(page.body.size()));
  EXPECT_EQ(page.Field("Retry-After"), "7");
  const auto body = nlohmann::json::parse(page.body);
  EXPECT_EQ(body["status"], 429);
  EXPECT_EQ(body["error"], "Too Many Requests");
  EXPECT_EQ(body["request_id"], "x/y+z=");
  EXPECT_FALSE(std::string(body["message"]).empty());
}

TEST(ErrorPage, AnIdIsNeverMarkup) {
  // Ids are checked before they get here; should one slip through, a page must not become somebody's script.
  const std::string_view evil = "<script>\"&\\</script>";
  const Page html = Render({.status = 400, .request_id = evil});
  EXPECT_EQ(html.body.find("<script>"), std::string::npos) << html.body;
  const Page json = Render({.status = 400, .request_id = evil, .json = true});
  EXPECT_EQ(nlohmann::json::parse(json.body)["request_id"], std::string(evil));
  EXPECT_EQ(json.Field("Content-Length"), std::to_string(json.body.size()));
}

TEST(ErrorPage, AnswerToHeadHasTheLengthAndNoBody) {
  const Page whole = Render({.status = 404, .request_id = "a"});
  const Page head = Render({.status = 404, .request_id = "a", .head_only = true});
  EXPECT_EQ(head.body, "");
  EXPECT_EQ(head.Field("Content-Length"), std::to_string(whole.body.size()));
}

TEST(ErrorPage, CloseAndAllowAreSaidWhereTheyHold) {
  EXPECT_EQ(Render({.status = 400, .request_id = "", .close = true}).Field("Connection"), "close");
  EXPECT_NE(Render({.status = 405, .request_id = ""}).Field("Allow"), "-");
  EXPECT_EQ(Render({.status = 404, .request_id = ""}).Field("Allow"), "-");
  EXPECT_EQ(Render({.status = 400, .request_id = ""}).Field("X-Request-ID"), "-");
}

TEST(ErrorPage, EveryStatusThatIsToldHasAPhraseAndASentence) {
  std::set<std::string> sentences;
  for (const int status : {308, 400, 405, 408, 413, 414, 417, 429, 431, 501, 502, 503, 504, 505}) {
    EXPECT_NE(ReasonPhrase(static_cast<uint16_t>(status)), "Error") << status;
    const Page page = Render({.status = static_cast<uint16_t>(status), .request_id = "", .json = true});
    sentences.insert(std::string(nlohmann::json::parse(page.body)["message"]));
  }
  EXPECT_EQ(sentences.size(), 14u);
  EXPECT_EQ(ReasonPhrase(401), "Unauthorized") << "the management address";
  EXPECT_EQ(ReasonPhrase(299), "Error");
}

TEST(HttpStatusOf, TellsWhoseFaultItWas) {
  struct Case {
    StatusCode code;
    StatusSource source;
    uint16_t status;
  };
  for (const Case& c :
       {Case{StatusCode::kTimeout, StatusSource::kClient, 408}, Case{StatusCode::kTimeout, StatusSource::kBackend, 504},
        Case{StatusCode::kTooLarge, StatusSource::kClient, 413}, Case{StatusCode::kTooLarge, StatusSource::kBackend, 502},
        Case{StatusCode::kProtocol, StatusSource::kClient, 400}, Case{StatusCode::kProtocol, StatusSource::kBackend, 502},
        Case{StatusCode::kRefused, StatusSource::kBackend, 502}, Case{StatusCode::kReset, StatusSource::kBackend, 502},
        Case{StatusCode::kClosed, StatusSource::kBackend, 502}, Case{StatusCode::kExhausted, StatusSource::kProxy, 503},
        Case{StatusCode::kUnavailable, StatusSource::kBackend, 503}, Case{StatusCode::kInternal, StatusSource::kProxy, 500},
        Case{StatusCode::kSystem, StatusSource::kSystem, 500}}) {
    EXPECT_EQ(HttpStatusOf(Status(c.code, c.source, "x")), c.status) << StatusCodeName(c.code);
  }
  EXPECT_EQ(HttpStatusOf(Status::Ok()), 200);
}

}  // namespace
}  // namespace ub
