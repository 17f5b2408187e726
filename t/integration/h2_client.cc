#include "h2_client.h"

#include <fmt/format.h>
#include <nghttp2/nghttp2.h>

#include <algorithm>
#include <array>
#include <utility>

namespace ub::itest {
namespace h2 {

std::string Number32(uint32_t value) {
  return {static_cast<char>(value >> 24), static_cast<char>(value >> 16), static_cast<char>(value >> 8),
          static_cast<char>(value)};
}

std::string Frame(uint8_t type, uint8_t flags, uint32_t stream, std::string_view payload) {
  std::string out = Number32(static_cast<uint32_t>(payload.size())).substr(1);
  out += static_cast<char>(type);
  out += static_cast<char>(flags);
  out += Number32(stream);
  out += payload;
  return out;
}

Fields Request(std::string_view path, std::string_view method, const Fields& more) {
  Fields fields = {{":method", std::string(method)}, {":scheme", "http"}, {":authority", "example.org"}, {":path", std::string(path)}};
  fields.insert(fields.end(), more.begin(), more.end());
  return fields;
}

}  // namespace h2

namespace {

constexpr size_t kHead = 9, kMaxFrame = 16384;

uint32_t Read32(std::string_view bytes) {
  uint32_t value = 0;
  for (const char c : bytes.substr(0, 4)) value = value << 8 | static_cast<uint8_t>(c);
  return value;
}

}  // namespace

std::string H2Response::Value(std::string_view name) const {
  for (const auto& [key, value] : fields) {
    if (key == name) return value;
  }
  return "";
}

std::string H2Response::Outcome() const {
  if (status == 0 && !reset) return "nothing";
  std::string out = status == 0 ? "" : std::to_string(status);
  if (reset) out += fmt::format("{}reset {}", out.empty() ? "" : " ", *reset);
  if (!over()) out += " unfinished";
  return out;
}

H2Client::H2Client(const Endpoint& to, Options options) : options_(options), socket_(Socket::Connect(to, kLimit, options.receive_buffer)) {
  nghttp2_hd_deflate_new(&deflater_, 4096);
  nghttp2_hd_inflate_new(&inflater_);
  if (!options_.start) return;
  const std::string window = std::string("\0\x04", 2) + h2::Number32(options_.window);
  std::string hello = std::string(h2::kPreface) + h2::Frame(h2::kSettings, 0, 0, window);
  if (options_.connection_window > 65535) {
    hello += h2::Frame(h2::kWindowUpdate, 0, 0, h2::Number32(options_.connection_window - 65535));
  }
  Send(hello);
}

H2Client::H2Client(Socket socket, std::string_view settings)
    : socket_(std::move(socket)), backend_(true), preface_left_(h2::kPreface.size()) {
  nghttp2_hd_deflate_new(&deflater_, 4096);
  nghttp2_hd_inflate_new(&inflater_);
  SendFrame(h2::kSettings, 0, 0, settings);
}

uint32_t H2Client::NextRequest(Millis limit) {
  const Deadline deadline(limit);
  while (arrived_.empty()) {
    if (deadline.Passed() || !ReadFrame(Millis(deadline.PollMs()))) {
      if (closed_ || deadline.Passed()) return 0;
    }
  }
  const uint32_t stream = arrived_.front();
  arrived_.erase(arrived_.begin());
  return stream;
}

void H2Client::Head(uint32_t stream, const Fields& fields, bool end) {
  SendFrame(h2::kHeaders, static_cast<uint8_t>(h2::kEndHeaders | (end ? h2::kEndStream : 0)), stream, Block(fields));
}

void H2Client::Reply(uint32_t stream, int status, std::string_view body, const Fields& more, const Fields& trailers) {
  Fields fields = {{":status", std::to_string(status)}};
  fields.insert(fields.end(), more.begin(), more.end());
  const bool bare = body.empty() && trailers.empty();
  Head(stream, fields, bare);
  if (!body.empty()) SendBody(stream, body, trailers.empty());
  if (!trailers.empty()) Trailers(stream, trailers);
}

H2Client::~H2Client() {
  nghttp2_hd_deflate_del(deflater_);
  nghttp2_hd_inflate_del(inflater_);
}

std::string H2Client::Block(const Fields& fields) {
  std::vector<nghttp2_nv> nva;
  for (const auto& [name, value] : fields) {
    nva.push_back({reinterpret_cast<uint8_t*>(const_cast<char*>(name.data())),
                   reinterpret_cast<uint8_t*>(const_cast<char*>(value.data())), name.size(), value.size(), NGHTTP2_NV_FLAG_NONE});
  }
  std::string out(nghttp2_hd_deflate_bound(deflater_, nva.data(), nva.size()), '\0');
  const ssize_t size =
      nghttp2_hd_deflate_hd(deflater_, reinterpret_cast<uint8_t*>(out.data()), out.size(), nva.data(), nva.size());
  out.resize(size < 0 ? 0 : static_cast<size_t>(size));
  return out;
}

uint32_t H2Client::Begin(const Fields& fields, bool end) {
  const uint32_t stream = next_;
  next_ += 2;
  const std::string block = Block(fields);
  std::string out;
  for (size_t at = 0; at == 0 || at < block.size(); at += kMaxFrame) {
    const std::string_view piece = std::string_view(block).substr(at, kMaxFrame);
    const bool last = at + piece.size() == block.size();
    const int flags = (last ? h2::kEndHeaders : 0) | (at == 0 && end ? h2::kEndStream : 0);
    out += h2::Frame(at == 0 ? h2::kHeaders : h2::kContinuation, static_cast<uint8_t>(flags), stream, piece);
  }
  Send(out);
  return stream;
}

void H2Client::Trailers(uint32_t stream, const Fields& fields) {
  SendFrame(h2::kHeaders, h2::kEndHeaders | h2::kEndStream, stream, Block(fields));
}

void H2Client::Reset(uint32_t stream, uint32_t error) { SendFrame(h2::kReset, 0, stream, h2::Number32(error)); }

bool H2Client::SendBody(uint32_t stream, std::string_view body, bool end) {
  windows_.try_emplace(stream, initial_);
  do {
    const int64_t room = std::min({window_, windows_[stream], static_cast<int64_t>(kMaxFrame)});
    if (room <= 0 && !body.empty()) {
      const H2Response& far = streams_[stream];
      if ((backend_ ? far.reset.has_value() : far.over()) || !ReadFrame()) return false;
      continue;
    }
    const std::string_view piece = body.substr(0, static_cast<size_t>(std::max<int64_t>(room, 0)));
    body.remove_prefix(piece.size());
    window_ -= static_cast<int64_t>(piece.size());
    windows_[stream] -= static_cast<int64_t>(piece.size());
    if (!SendFrame(h2::kData, end && body.empty() ? h2::kEndStream : h2::kNone, stream, piece)) return false;
  } while (!body.empty());
  return true;
}

size_t H2Client::SendSome(uint32_t stream, std::string_view body) {
  const int64_t room = std::min(window_, windows_.try_emplace(stream, initial_).first->second);
  const std::string_view piece = body.substr(0, static_cast<size_t>(std::max<int64_t>(room, 0)));
  return piece.empty() || !SendBody(stream, piece, false) ? 0 : piece.size();
}

bool H2Client::ReadFrame(Millis limit) {
  const Deadline deadline(limit);
  for (;;) {
    if (preface_left_ > 0 && buffer_.size() >= preface_left_) {
      if (!buffer_.starts_with(h2::kPreface)) closed_ = true;
      buffer_.erase(0, std::exchange(preface_left_, 0));
    }
    if (preface_left_ == 0 && buffer_.size() >= kHead) {
      const size_t length = Read32(std::string(1, '\0') + buffer_.substr(0, 3));
      if (buffer_.size() >= kHead + length) {
        const std::string frame = buffer_.substr(0, kHead + length);
        buffer_.erase(0, kHead + length);
        Take(static_cast<uint8_t>(frame[3]), static_cast<uint8_t>(frame[4]),
             Read32(std::string_view(frame).substr(5)) & 0x7fffffff, std::string_view(frame).substr(kHead));
        return true;
      }
    }
    if (closed_ || deadline.Passed()) return false;
    const Io io = socket_.Receive(&buffer_, 64 * 1024, Millis(deadline.PollMs()));
    if (io == Io::kEnd || io == Io::kReset) closed_ = true;
    if (io != Io::kOk && buffer_.size() < kHead) return false;
    if (io == Io::kTimeout || io == Io::kStopped) return false;
  }
}

const H2Response& H2Client::Wait(uint32_t stream, Millis limit) {
  const Deadline deadline(limit);
  while (!streams_[stream].over() && !deadline.Passed() && ReadFrame(Millis(deadline.PollMs()))) {
  }
  return streams_[stream];
}

bool H2Client::ServerClosed(Millis limit) {
  const Deadline deadline(limit);
  while (!closed_ && !deadline.Passed()) ReadFrame(Millis(deadline.PollMs()));
  return closed_;
}

bool H2Client::RoundTrip() {
  const uint64_t before = pongs_;
  SendFrame(h2::kPing, 0, 0, "12345678");
  while (pongs_ == before) {
    if (!ReadFrame()) return false;
  }
  return true;
}

uint32_t H2Client::setting(uint16_t id) const {
  const auto at = settings_.find(id);
  return at == settings_.end() ? 0 : at->second;
}

void H2Client::Take(uint8_t type, uint8_t flags, uint32_t stream, std::string_view payload) {
  switch (type) {
    case h2::kData:
      return TakeData(stream, (flags & h2::kEndStream) != 0, payload);
    case h2::kHeaders:
      block_end_ = (flags & h2::kEndStream) != 0;
      block_.assign(payload);
      if ((flags & h2::kEndHeaders) != 0) TakeHeaders(stream, block_end_, block_);
      return;
    case h2::kContinuation:
      block_ += payload;
      if ((flags & h2::kEndHeaders) != 0) TakeHeaders(stream, block_end_, block_);
      return;
    case h2::kReset:
      streams_[stream].reset = Read32(payload);
      return;
    case h2::kSettings:
      if ((flags & h2::kAck) == 0) TakeSettings(payload);
      return;
    case h2::kPing:
      if ((flags & h2::kAck) != 0) {
        ++pongs_;
      } else {
        if (!goaway_before_ping_) goaway_before_ping_ = goaway_.has_value();
        SendFrame(h2::kPing, h2::kAck, 0, payload);
      }
      return;
    case h2::kGoAway:
      last_stream_ = Read32(payload) & 0x7fffffff;
      goaway_ = Read32(payload.substr(4));
      return;
    case h2::kWindowUpdate:
      ++window_updates_;
      if (stream == 0) {
        window_ += Read32(payload);
      } else {
        windows_.try_emplace(stream, initial_).first->second += Read32(payload);
      }
      return;
    default:
      return;
  }
}

void H2Client::TakeSettings(std::string_view payload) {
  for (; payload.size() >= 6; payload.remove_prefix(6)) {
    const auto id = static_cast<uint16_t>(Read32(payload) >> 16);
    const uint32_t value = Read32(payload.substr(2));
    settings_[id] = value;
    if (id != 4) continue;
    for (auto& [stream, window] : windows_) window += static_cast<int64_t>(value) - initial_;
    initial_ = value;
  }
  SendFrame(h2::kSettings, h2::kAck, 0);
}

void H2Client::TakeData(uint32_t stream, bool end, std::string_view data) {
  H2Response& response = streams_[stream];
  response.body += data;
  response.ended = response.ended || end;
  if (!options_.open_windows || data.empty()) return;
  const std::string more = h2::Number32(static_cast<uint32_t>(data.size()));
  SendFrame(h2::kWindowUpdate, 0, 0, more);
  if (!end) SendFrame(h2::kWindowUpdate, 0, stream, more);
}

void H2Client::TakeHeaders(uint32_t stream, bool end, std::string_view block) {
  H2Response& response = streams_[stream];
  Fields fields;
  auto* in = reinterpret_cast<uint8_t*>(const_cast<char*>(block.data()));
  size_t left = block.size();
  for (;;) {
    nghttp2_nv field;
    int flags = 0;
    const ssize_t taken = nghttp2_hd_inflate_hd2(inflater_, &field, &flags, in, left, 1);
    if (taken < 0) {
      closed_ = true;
      return;
    }
    in += taken;
    left -= static_cast<size_t>(taken);
    if ((flags & NGHTTP2_HD_INFLATE_EMIT) != 0) {
      fields.emplace_back(std::string(reinterpret_cast<char*>(field.name), field.namelen),
                          std::string(reinterpret_cast<char*>(field.value), field.valuelen));
    }
    if ((flags & NGHTTP2_HD_INFLATE_FINAL) != 0) break;
  }
  nghttp2_hd_inflate_end_headers(inflater_);
  response.ended = response.ended || end;
  if (backend_ && response.status == 0) {
    response.status = 1;
    response.fields = fields;
    arrived_.push_back(stream);
    return;
  }
  if (response.status != 0) {
    response.trailers = fields;
    return;
  }
  const int status = fields.empty() || fields[0].first != ":status" ? -1 : std::stoi(fields[0].second);
  if (status >= 100 && status < 200) {
    response.interim.push_back(status);
    return;
  }
  response.status = status;
  response.fields.assign(fields.begin() + 1, fields.end());
}

}  // namespace ub::itest
