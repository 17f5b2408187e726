#include "http/error_page.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/clock.h"
#include "http/char_class.h"

namespace ub {
namespace {

// One plain sentence for people, by status.
std::string_view Explanation(uint16_t status) {
  switch (status) {
    case 200: return "The request was to go no further (Max-Forwards).";
    case 308: return "This is served by https only.";
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

// A weight (RFC 9110 section 12.4.2) in thousandths; what is none is taken for "not acceptable".
int Weight(std::string_view text) {
  if (text.empty() || text.size() > 5 || (text.size() > 1 && text[1] != '.')) return 0;
  int value = 0;
  for (const size_t i : {0u, 2u, 3u, 4u}) {
    const char digit = i < text.size() ? text[i] : '0';
    if (!IsChar(digit, kCharDigit)) return 0;
    value = value * 10 + (digit - '0');
  }
  return value <= 1000 ? value : 0;
}

// Takes what stands before the next `separator` off `*list`.
std::string_view TakeItem(std::string_view* list, char separator) {
  const size_t end = list->find(separator);
  const std::string_view item = list->substr(0, end);
  list->remove_prefix(end == std::string_view::npos ? list->size() : end + 1);
  return TrimBlanks(item);
}

// Best weight of `type` in all Accept fields, in thousandths; -1: not named. Exact types only: "*/*" names no preference.
int Quality(const HeaderList& headers, std::string_view type) {
  int best = -1;
  for (const HeaderField& field : headers) {
    if (field.id != HeaderId::kAccept) continue;
    for (std::string_view list = field.value; !list.empty();) {
      std::string_view element = TakeItem(&list, ',');
      if (!EqualsIgnoreCase(TakeItem(&element, ';'), type)) continue;
      int weight = 1000;
      while (!element.empty()) {
        const std::string_view parameter = TakeItem(&element, ';');
        if (!EqualsIgnoreCase(parameter.substr(0, 2), "q=")) continue;
        weight = Weight(parameter.substr(2));
        break;
      }
      best = std::max(best, weight);
    }
  }
  return best;
}

// Request ids are checked before they get here; a page does not rely on it.
std::string Escaped(std::string_view text, bool json) {
  std::string out;
  for (const char c : text) {
    if (c >= 0 && c < 0x20) {
      continue;
    } else if (json && (c == '"' || c == '\\')) {
      out.append({'\\', c});
    } else if (!json && (c == '<' || c == '>' || c == '&' || c == '"')) {
      out += fmt::format("&#{};", static_cast<int>(c));
    } else {
      out += c;
    }
  }
  return out;
}

}  // namespace

std::string_view ReasonPhrase(uint16_t status) {
  switch (status) {
    case 200: return "OK";
    case 202: return "Accepted";
    case 308: return "Permanent Redirect";
    case 400: return "Bad Request";
    case 401: return "Unauthorized";
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
  const int json = Quality(headers, "application/json");
  return json > 0 && json > Quality(headers, "text/html");
}

std::string RenderErrorPage(const ErrorPage& page) {
  const std::string_view reason = ReasonPhrase(page.status);
  const std::string_view why = Explanation(page.status);
  const std::string id = Escaped(page.request_id, page.json);
  const std::string body =
      page.json ? fmt::format("{{\"status\":{},\"error\":\"{}\",\"message\":\"{}\",\"request_id\":\"{}\"}}\n",
                              page.status, reason, why, id)
                : fmt::format("<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{0} {1}</title>"
                              "</head>\n<body><h1>{0} {1}</h1><p>{2}</p><p><small>Request {3}</small></p></body></html>\n",
                              page.status, reason, why, id);
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
