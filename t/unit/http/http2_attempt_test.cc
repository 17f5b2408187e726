// The backend's side of a request by HTTP/2: a real session and connection against a backend that a codec plays.
#include "http/http2_attempt.h"

#include <map>

#include "http/http2_client.h"
#include "http/http2_outgoing.h"
#include "proxy_fixture.h"

namespace ub {
namespace {

constexpr std::string_view kGet = "GET /x HTTP/1.1\r\nHost: a\r\n\r\n";

// A backend's end of one connection.
class H2Peer : public Http2Events {
 public:
  struct Stream : CodecStream {
    explicit Stream(BufferPool* pool) : out(pool) {}
    int32_t id = 0;
    std::string head, body;
    bool ended = false, closed = false;
    uint32_t error = 0;
    Http2Outgoing out;
  };

  H2Peer(Peer* peer, BufferPool* pool, uint32_t most) : peer_(peer), pool_(pool) {
    Http2Settings settings;
    settings.max_concurrent_streams = most;
    codec_ = Http2Codec::Server(settings, this);
  }

  // Takes what came and sends what there is.
  void Work() {
    peer_->Look();
    if (!peer_->got.empty()) codec_->Receive(std::exchange(peer_->got, {}));
    Buffer out(pool_);
    codec_->Produce(1 << 20, &out);
    if (!out.empty() && !peer_->over()) peer_->Send(out.view());
  }
  void Answer(Stream* stream, std::string_view status, std::string_view body, bool end = true) {
    const Http2Field fields[] = {{":status", status}};
    stream->out.bytes.Append(body);
    stream->out.end = end;
    codec_->SendHead(stream->id, fields, true);
  }

  CodecStream* OnStreamBegins(int32_t id) override {
    streams.push_back(std::make_unique<Stream>(pool_));
    streams.back()->id = id;
    return streams.back().get();
  }
  void OnHeadBegins(CodecStream*) override {}
  bool OnField(CodecStream* at, std::string_view name, std::string_view value) override {
    Of(at).head.append(name).append("=").append(value).append(" ");
    return true;
  }
  void OnHeadEnds(CodecStream*) override {}
  void OnData(CodecStream* at, std::string_view data) override {
    Of(at).body += data;
    codec_->Consume(Of(at).id, data.size());
  }
  void OnStreamEnds(CodecStream* at) override { Of(at).ended = true; }
  void OnStreamClosed(CodecStream* at, uint32_t error) override {
    Of(at).closed = true;
    Of(at).error = error;
  }
  bool OnCheap(Http2Cheap) override { return true; }
  size_t BodyReady(CodecStream* at, size_t most, bool* end) override { return Of(at).out.Ready(most, end); }
  void TakeBody(CodecStream* at, size_t bytes, Buffer* out) override { Of(at).out.Take(bytes, out); }
  std::span<const Http2Field> Trailers(CodecStream*) override { return {}; }
  Http2Error ErrorAtEnd(CodecStream*) override { return Http2Error::kNone; }

  std::vector<std::unique_ptr<Stream>> streams;
  Http2Codec& codec() { return *codec_; }

 private:
  static Stream& Of(CodecStream* at) { return *static_cast<Stream*>(at); }
  Peer* peer_;
  BufferPool* pool_;
  std::unique_ptr<Http2Codec> codec_;
};

class Http2AttemptTest : public ProxyTest {
 protected:
  Http2AttemptTest() { h2_ = true; }

  H2Peer& Backend(uint32_t most = 100) {
    peers_.push_back(std::make_unique<H2Peer>(&Accept(), &loop()->buffers(), most));
    return *peers_.back();
  }
  template <class Condition>
  bool Until(Condition condition) {
    return RunUntil([&] {
      for (auto& peer : peers_) peer->Work();
      return condition();
    });
  }
  bool AwaitText(Peer& client, std::string_view text) {
    const bool came = Until([&] {
      client.Look();
      return client.got.find(text) != std::string::npos;
    });
    EXPECT_TRUE(came) << client.got;
    return came;
  }
  uint32_t gauge() { return pool_->shm().idle(0, 0).load(); }

  std::vector<std::unique_ptr<H2Peer>> peers_;
};

TEST_F(Http2AttemptTest, RequestsShareAConnectionWhichIsIdleThen) {
  Start();
  Peer& one = Connect(kGet);
  Peer& two = Connect(kGet);
  H2Peer& backend = Backend();
  ASSERT_TRUE(Until([&] { return backend.streams.size() == 2; }));
  EXPECT_TRUE(backend.streams[0]->head.starts_with(":method=GET :scheme=http :authority=a :path=/x ")) << backend.streams[0]->head;
  EXPECT_EQ(gauge(), 0u);
  for (auto& stream : backend.streams) backend.Answer(stream.get(), "200", "hello");
  AwaitText(one, "\r\n5\r\nhello\r\n0\r\n\r\n");
  AwaitText(two, "0\r\n\r\n");
  EXPECT_TRUE(Until([&] { return gauge() == 1; }));
  EXPECT_EQ(http2_clients_->connections(0), 1u);
  EXPECT_EQ(context_->counters->upstream_connects.load(), 1u);
  EXPECT_EQ(context_->counters->upstream_reuses.load(), 1u);
}

TEST_F(Http2AttemptTest, MoreThanABackendAllowsGoToAnotherConnection) {
  Start();
  std::vector<Peer*> clients;
  for (int i = 0; i < 3; ++i) clients.push_back(&Connect(kGet));
  H2Peer& first = Backend(2);
  ASSERT_TRUE(Until([&] { return first.streams.size() == 2; }));
  H2Peer& second = Backend(2);
  ASSERT_TRUE(Until([&] { return second.streams.size() == 1; }));
  EXPECT_EQ(http2_clients_->waiting(0), 0u);
  for (H2Peer* peer : {&first, &second}) {
    for (auto& stream : peer->streams) peer->Answer(stream.get(), "200", "x");
  }
  for (Peer* client : clients) AwaitText(*client, "0\r\n\r\n");
}

TEST_F(Http2AttemptTest, AClientThatLeavesCancelsItsStreamAlone) {
  Start();
  Peer& leaver = Connect(kGet);
  H2Peer& backend = Backend();
  ASSERT_TRUE(Until([&] { return backend.streams.size() == 1; }));
  leaver.Reset();
  ASSERT_TRUE(Until([&] { return backend.streams[0]->closed; }));
  EXPECT_EQ(backend.streams[0]->error, static_cast<uint32_t>(Http2Error::kCancel));
  Peer& other = Connect(kGet);
  ASSERT_TRUE(Until([&] { return backend.streams.size() == 2; }));
  backend.Answer(backend.streams[1].get(), "200", "x");
  AwaitText(other, "0\r\n\r\n");
}

TEST_F(Http2AttemptTest, IdleConnectionsEndByTimeAndWhenTheirBackendGoes) {
  config_.connection_pool.idle_timeout_ms = 50;
  Start();
  for (const bool by_time : {true, false}) {
    Peer& client = Connect(kGet);
    H2Peer& backend = Backend();
    ASSERT_TRUE(Until([&] { return backend.streams.size() == 1; }));
    backend.Answer(backend.streams[0].get(), "200", "x");
    AwaitText(client, "0\r\n\r\n");
    if (!by_time) http2_clients_->CloseUnless([](uint32_t, uint32_t) { return false; });
    EXPECT_TRUE(Until([&] { return http2_clients_->connections(0) == 0; }));
    EXPECT_EQ(gauge(), 0u);
  }
}

TEST_F(Http2AttemptTest, AConnectionThatLeavesFinishesWhatIsUnderWay) {
  Start();
  Peer& client = Connect(kGet);
  H2Peer& backend = Backend();
  ASSERT_TRUE(Until([&] { return backend.streams.size() == 1; }));
  http2_clients_->Renew();
  RunTurns();
  EXPECT_EQ(http2_clients_->connections(0), 1u);
  backend.Answer(backend.streams[0].get(), "200", "whole");
  AwaitText(client, "whole\r\n0\r\n\r\n");
  EXPECT_TRUE(Until([&] { return http2_clients_->connections(0) == 0; }));
}

TEST_F(Http2AttemptTest, WhoeverCannotBeConnectedToIsA502ForAllThatWait) {
  Start();
  Down(0);
  std::vector<Peer*> clients;
  for (int i = 0; i < 3; ++i) clients.push_back(&Connect(kGet));
  for (Peer* client : clients) AwaitText(*client, "HTTP/1.1 502");
  EXPECT_EQ(http2_clients_->connections(0), 0u);
  EXPECT_EQ(http2_clients_->waiting(0), 0u);
}

}  // namespace
}  // namespace ub
