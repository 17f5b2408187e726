#include "http/error_page.h"

#include <fmt/format.h>
#include <time.h>

#include <charconv>

namespace ub {
namespace {

// One plain sentence for people, by status.
std::string_view Explanation(uint16_t status) {
  switch (status) {
    case 400: return "The request could not be understood.";
    case 405: return "This method is not allowed here.";
    case 408: return "The request took too long to arrive.";
    case 413: return "The request body is too large.";
    case 414: return "The request target is too long.";
    case 417: return "The expectation cannot be met.";
    case 429: return "Too many requests. Please wait a moment.";
    case 431: return "The request header fields are too large.";
    case 501: return "This method is not known.";
    case 502: return "The backend failed or sent an invalid answer.";
    case 503: return "No backend is available now. Please try again in a moment.";
    case 504: return "The backend took too long to answer.";
    case 505: return "This HTTP version is not supported.";
    default: return "The request could not be served.";
  }
}

// Quality of `type` in one Accept element list: -1 not named. (RFC 9110 section 12.5.1, exact types only.)
double Quality(std::string_view accept, std::string_view type) {
  while (!accept.empty()) {
    const size_t comma = accept.find(',');
    std::string_view element = accept.substr(0, comma);
    accept = comma == std::string_view::npos ? std::string_view() : accept.substr(comma + 1);
    while (!element.empty() && element.front() == ' ') element.remove_prefix(1);
    const std::string_view name = element.substr(0, element.find_first_of("; "));
    if (!EqualsIgnoreCase(name, type)) continue;
    const size_t q = element.find("q=");
    if (q == std::string_view::npos) return 1.0;
    double value = 1.0;
    std::from_chars(element.data() + q + 2, element.data() + element.size(), value);
    return value;
  }
  return -1.0;
}

std::string HttpDate() {
  const time_t now = time(nullptr);
  tm parts;
  gmtime_r(&now, &parts);
  char text[32];
  const size_t n = strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &parts);
  return std::string(text, n);
}

}  // namespace

std::string_view ReasonPhrase(uint16_t status) {
  switch (status) {
    case 200: return "OK";
    case 400: return "Bad Request";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 408: return "Request Timeout";
    case 409: return "Conflict";
    case 413: return "Content Too Large";
    case 414: return "URI Too Long";
    case 417: return "Expectation Failed";
    case 429: return "Too Many Requests";
    case 431: return "Request Header Fields Too Large";
    case 500: return "Internal Server Error";
    case 501: return "Not Implemented";
    case 502: return "Bad Gateway";
    case 503: return "Service Unavailable";
    case 504: return "Gateway Timeout";
    case 505: return "HTTP Version Not Supported";
    default: return "Error";
  }
}

uint16_t HttpStatusOf(const Status& status) {
  switch (status.code()) {
    case StatusCode::kOk: return 200;
    case StatusCode::kUnavailable:
    case StatusCode::kExhausted: return 503;
    case StatusCode::kTooLarge: return status.source() == StatusSource::kClient ? 413 : 502;
    case StatusCode::kTimeout: return status.source() == StatusSource::kClient ? 408 : 504;
    default: break;
  }
  switch (status.source()) {
    case StatusSource::kClient: return 400;
    case StatusSource::kBackend: return 502;
    default: return 500;
  }
}

bool PrefersJson(const HeaderList& headers) {
  const HeaderField* accept = FindHeader(headers, HeaderId::kAccept);
  if (accept == nullptr) return false;
  const double json = Quality(accept->value, "application/json");
  return json > 0 && json > Quality(accept->value, "text/html");
}

std::string RenderErrorPage(const ErrorPage& page) {
  const std::string_view reason = ReasonPhrase(page.status);
  const std::string_view why = Explanation(page.status);
  const std::string body =
      page.json ? fmt::format("{{\"status\":{},\"error\":\"{}\",\"message\":\"{}\",\"request_id\":\"{}\"}}\n",
                              page.status, reason, why, page.request_id)
                : fmt::format("<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{0} {1}</title>"
                              "</head>\n<body><h1>{0} {1}</h1><p>{2}</p><p><small>Request {3}</small></p></body></html>\n",
                              page.status, reason, why, page.request_id);
  std::string out = fmt::format("HTTP/1.1 {} {}\r\nDate: {}\r\nContent-Type: {}\r\nContent-Length: {}\r\n", page.status,
                                reason, HttpDate(), page.json ? "application/json" : "text/html; charset=utf-8",
                                body.size());
  if (!page.request_id.empty()) out += fmt::format("X-Request-ID: {}\r\n", page.request_id);
  if (page.retry_after_seconds > 0) out += fmt::format("Retry-After: {}\r\n", page.retry_after_seconds);
  out += page.fields;
  if (page.status == 405) out += "Allow: GET, HEAD, POST, PUT, DELETE, OPTIONS, PATCH\r\n";
  if (page.close) out += "Connection: close\r\n";
  out += "\r\n";
  if (!page.head_only) out += body;
  return out;
}

}  // namespace ub
