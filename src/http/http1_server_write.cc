// The writing half of Http1Server: heads and bodies of responses, each in one system call where the socket takes it.
#include <netinet/in.h>

#include <array>

#include "event/address.h"
#include "http/http1_server.h"
#include "http/management_handover.h"

namespace ub {

std::string Http1Server::LocalHost() const {
  sockaddr_storage local{};
  socklen_t bytes = sizeof local;
  if (getsockname(connection_->fd(), reinterpret_cast<sockaddr*>(&local), &bytes) != 0 || local.ss_family == AF_UNIX) {
    return "localhost";
  }
  std::array<char, 128> text;
  return std::string(SockaddrText(reinterpret_cast<sockaddr*>(&local), bytes, &text));
}

bool Http1Server::WillKeepAlive() const {
  const uint32_t limit = config().limits.requests_per_connection;
  // A body that has not all come may never come: the client is told now that this response is the last.
  return keep_alive_ && !context_->draining && exchange_->reader.done() && (limit == 0 || requests_ < limit);
}

void Http1Server::Send(std::span<const iovec> pieces) {
  size_t bytes = 0;
  for (const iovec& piece : pieces) bytes += piece.iov_len;
  if (bytes == 0) return;
  Add(context_->counters->bytes_sent, bytes);
  // A failure is noticed by Finish, or by the OnReadable that it causes.
  if (connection_->Write(pieces) && connection_->congested() && !connection_->has_deadline()) {
    exchange_->progress = connection_->sent_bytes();
    SetDeadline(config().timeout.request_ms);
  }
}

void Http1Server::SendInterim(ResponseHead* head) {
  if (minor_zero_) return;  // RFC 9110 section 15.2
  Buffer out(&context_->loop->buffers());
  WriteForwardedResponse(head, Framing(), ConnectionOption::kNone, {}, config().forwarded.via, &out);
  const iovec piece{out.data(), out.size()};
  Send(std::span<const iovec>(&piece, 1));
}

void Http1Server::SendHead(ResponseHead* head, std::string_view request_id, std::string_view data, bool end) {
  head_sent_ = true;
  Framing framing{head->body, head->content_length};
  bool chunked = false;
  switch (head->body) {
    case BodyKind::kNone:
      if (head->has_content_length) framing.kind = BodyKind::kLength;
      break;
    case BodyKind::kLength:
      break;
    case BodyKind::kChunked:
    case BodyKind::kUntilClose:
      chunked = !minor_zero_;
      until_close_ = minor_zero_;
      framing.kind = chunked ? BodyKind::kChunked : BodyKind::kUntilClose;
      break;
  }
  keep_alive_ = WillKeepAlive() && !until_close_;
  ConnectionOption option = ConnectionOption::kNone;
  if (!keep_alive_) {
    option = ConnectionOption::kClose;
  } else if (minor_zero_) {
    option = ConnectionOption::kKeepAlive;
  }
  exchange_->writer.Begin(chunked);
  Buffer out(&context_->loop->buffers());
  WriteForwardedResponse(head, framing, option, request_id, config().forwarded.via, &out, Hsts());
  std::array<iovec, 1 + BodyWriter::kMaxPieces> pieces;
  pieces[0] = {out.data(), out.size()};
  size_t count = 1;
  if (!data.empty() || end) {
    count += exchange_->writer.Frame(data, end, {}, std::span(pieces).subspan<1, BodyWriter::kMaxPieces>());
  }
  Send(std::span<const iovec>(pieces.data(), count));
}

void Http1Server::SendBody(std::string_view data, bool end, std::string_view trailers) {
  std::array<iovec, BodyWriter::kMaxPieces> pieces;
  const size_t count = exchange_->writer.Frame(data, end, trailers, pieces);
  Send(std::span<const iovec>(pieces.data(), count));
  if (!tunnel_) return;
  SetDeadline(config().timeout.idle_ms);
  if (end) connection_->ShutdownWrite();
}

size_t Http1Server::SendError(ErrorPage page) {
  head_sent_ = true;
  // HTTP/1.0 keeps a connection only where the response says so, which is not worth it here.
  keep_alive_ = WillKeepAlive() && !minor_zero_;
  page.close = !keep_alive_;
  page.head_only = head_request_;
  const std::string fields = std::string(page.fields) + std::string(Hsts());
  page.fields = fields;
  const std::string text = RenderErrorPage(page);
  const iovec piece{const_cast<char*>(text.data()), text.size()};
  Send(std::span<const iovec>(&piece, 1));
  return text.size() - text.find("\r\n\r\n") - 4;
}

bool Http1Server::HandOver(std::string_view bytes) {
  // What TLS holds of a connection cannot be sent to another process.
  if (tls_ || !IsManagementPath(context_->request_head.target)) return false;
  // What is not sent yet of an earlier answer cannot go along; neither can more than a message holds.
  const bool sent = !connection_->congested() && SendHandover(context_->handover_fd, connection_->fd(), bytes);
  if (sent) {
    Close();
  } else {
    Refuse(503, "the controller does not take management requests", bytes);
  }
  return true;
}

}  // namespace ub
