// The floor once more, by io_uring: the same relay of bytes, with one system call a turn for all its reads and writes.
//
//   relay_uring LISTEN_PORT BACKEND_PORT      on 127.0.0.1, until it is killed
//
// An experiment of t/bench/beside, to know what another way of asking the kernel could save; docs/tuning.md has what came
// of it. For messages of at most one buffer: pieces of longer ones might overtake one another.
#include <linux/io_uring.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <utility>
#include <vector>

namespace {

constexpr unsigned kEntries = 8192, kBuffers = 4096, kBufferBytes = 16 * 1024;
constexpr uint16_t kGroup = 0;
enum Kind : uint64_t { kAccept, kReceive, kSend };

std::vector<int> other_end(1 << 16, -1);  // by descriptor

template <class T>
T* At(void* base, unsigned offset) {
  return reinterpret_cast<T*>(static_cast<char*>(base) + offset);
}

// Submission and completion queue, and the buffers that the kernel receives into.
class Ring {
 public:
  bool Open() {
    io_uring_params params{};
    params.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_CQSIZE;
    params.cq_entries = 4 * kEntries;
    fd_ = static_cast<int>(syscall(SYS_io_uring_setup, kEntries, &params));
    if (fd_ < 0) return false;
    const size_t bytes = std::max<size_t>(params.cq_off.cqes + params.cq_entries * sizeof(io_uring_cqe),
                                          params.sq_off.array + params.sq_entries * sizeof(unsigned));
    void* rings = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd_, IORING_OFF_SQ_RING);
    void* entries = mmap(nullptr, kEntries * sizeof(io_uring_sqe), PROT_READ | PROT_WRITE, MAP_SHARED, fd_, IORING_OFF_SQES);
    if (rings == MAP_FAILED || entries == MAP_FAILED) return false;
    sqes_ = static_cast<io_uring_sqe*>(entries);
    sq_tail_ = At<unsigned>(rings, params.sq_off.tail);
    sq_mask_ = *At<unsigned>(rings, params.sq_off.ring_mask);
    cq_head_ = At<unsigned>(rings, params.cq_off.head);
    cq_tail_ = At<unsigned>(rings, params.cq_off.tail);
    cq_mask_ = *At<unsigned>(rings, params.cq_off.ring_mask);
    cqes_ = At<io_uring_cqe>(rings, params.cq_off.cqes);
    auto* order = At<unsigned>(rings, params.sq_off.array);
    for (unsigned i = 0; i < kEntries; ++i) order[i] = i;
    return ProvideBuffers();
  }

  io_uring_sqe* Next(uint8_t operation, int fd, uint64_t user_data) {
    if (queued_ == kEntries) Enter(0);
    io_uring_sqe* sqe = &sqes_[tail_++ & sq_mask_];
    ++queued_;
    *sqe = io_uring_sqe{};
    sqe->opcode = operation;
    sqe->fd = fd;
    sqe->user_data = user_data;
    return sqe;
  }

  // Submits what is queued and waits for `wait` completions.
  void Enter(unsigned wait) {
    std::atomic_ref(*sq_tail_).store(tail_, std::memory_order_release);
    syscall(SYS_io_uring_enter, fd_, std::exchange(queued_, 0), wait, IORING_ENTER_GETEVENTS, nullptr, 0);
  }

  template <class Handler>
  void Drain(Handler handle) {
    unsigned head = *cq_head_;
    for (; head != std::atomic_ref(*cq_tail_).load(std::memory_order_acquire); ++head) handle(cqes_[head & cq_mask_]);
    std::atomic_ref(*cq_head_).store(head, std::memory_order_release);
  }

  char* Buffer(uint16_t id) { return memory_.data() + size_t{id} * kBufferBytes; }
  void GiveBuffer(uint16_t id) {
    // The header's flexible array lies elsewhere in C++, where an empty struct has a size.
    io_uring_buf& place = reinterpret_cast<io_uring_buf*>(buffers_)[buffer_tail_++ & (kBuffers - 1)];
    place.addr = reinterpret_cast<uint64_t>(Buffer(id));
    place.len = kBufferBytes;
    place.bid = id;
    std::atomic_ref(buffers_->tail).store(buffer_tail_, std::memory_order_release);
  }

 private:
  bool ProvideBuffers() {
    void* places = mmap(nullptr, kBuffers * sizeof(io_uring_buf), PROT_READ | PROT_WRITE, MAP_ANONYMOUS | MAP_PRIVATE, -1, 0);
    if (places == MAP_FAILED) return false;
    io_uring_buf_reg registration{};
    registration.ring_addr = reinterpret_cast<uint64_t>(places);
    registration.ring_entries = kBuffers;
    registration.bgid = kGroup;
    if (syscall(SYS_io_uring_register, fd_, IORING_REGISTER_PBUF_RING, &registration, 1) != 0) return false;
    buffers_ = static_cast<io_uring_buf_ring*>(places);
    memory_.resize(size_t{kBuffers} * kBufferBytes);
    for (unsigned i = 0; i < kBuffers; ++i) GiveBuffer(static_cast<uint16_t>(i));
    return true;
  }

  int fd_ = -1;
  io_uring_sqe* sqes_ = nullptr;
  io_uring_cqe* cqes_ = nullptr;
  unsigned *sq_tail_ = nullptr, *cq_head_ = nullptr, *cq_tail_ = nullptr;
  unsigned sq_mask_ = 0, cq_mask_ = 0, tail_ = 0, queued_ = 0;
  io_uring_buf_ring* buffers_ = nullptr;
  uint16_t buffer_tail_ = 0;
  std::vector<char> memory_;
};

Ring ring;

uint64_t Tag(Kind kind, int fd, uint16_t buffer = 0) {
  return kind | static_cast<uint64_t>(fd) << 8 | static_cast<uint64_t>(buffer) << 40;
}

sockaddr_in Loopback(const char* port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(std::atoi(port)));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

void Receive(int fd) {
  io_uring_sqe* sqe = ring.Next(IORING_OP_RECV, fd, Tag(kReceive, fd));
  sqe->ioprio = IORING_RECV_MULTISHOT;
  sqe->flags = IOSQE_BUFFER_SELECT;
  sqe->buf_group = kGroup;
}

void Pair(int client, const sockaddr_in& backend) {
  const int to = socket(AF_INET, SOCK_STREAM, 0), one = 1;
  const auto most = static_cast<int>(other_end.size());
  if (to < 0 || to >= most || client >= most || connect(to, reinterpret_cast<const sockaddr*>(&backend), sizeof backend) != 0) {
    close(client);
    close(to);
    return;
  }
  other_end[static_cast<size_t>(client)] = to;
  other_end[static_cast<size_t>(to)] = client;
  for (const int fd : {client, to}) {
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    Receive(fd);
  }
}

void Drop(int fd) {
  const int peer = std::exchange(other_end[static_cast<size_t>(fd)], -1);
  if (peer < 0) return;
  // The peer's receive ends by this, and closes it.
  other_end[static_cast<size_t>(peer)] = -1;
  shutdown(peer, SHUT_RDWR);
  shutdown(fd, SHUT_RDWR);
}

void Handle(const io_uring_cqe& cqe, int listener, const sockaddr_in& backend) {
  const int fd = static_cast<int>(cqe.user_data >> 8 & 0xffffffff);
  switch (cqe.user_data & 0xff) {
    case kAccept:
      if (cqe.res >= 0) Pair(cqe.res, backend);
      if (!(cqe.flags & IORING_CQE_F_MORE)) ring.Next(IORING_OP_ACCEPT, listener, Tag(kAccept, listener))->ioprio = IORING_ACCEPT_MULTISHOT;
      return;
    case kSend:
      ring.GiveBuffer(static_cast<uint16_t>(cqe.user_data >> 40));
      return;
    default:
      break;
  }
  if (cqe.res > 0) {
    const auto buffer = static_cast<uint16_t>(cqe.flags >> IORING_CQE_BUFFER_SHIFT);
    const int peer = other_end[static_cast<size_t>(fd)];
    if (peer < 0) {
      ring.GiveBuffer(buffer);
    } else {
      io_uring_sqe* sqe = ring.Next(IORING_OP_SEND, peer, Tag(kSend, peer, buffer));
      sqe->addr = reinterpret_cast<uint64_t>(ring.Buffer(buffer));
      sqe->len = static_cast<uint32_t>(cqe.res);
      sqe->msg_flags = MSG_NOSIGNAL | MSG_WAITALL;
    }
  }
  if (cqe.flags & IORING_CQE_F_MORE) return;
  if (cqe.res > 0 || cqe.res == -ENOBUFS) {
    Receive(fd);
    return;
  }
  Drop(fd);
  close(fd);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fputs("usage: relay_uring LISTEN_PORT BACKEND_PORT\n", stderr);
    return 2;
  }
  const sockaddr_in own = Loopback(argv[1]), backend = Loopback(argv[2]);
  const int listener = socket(AF_INET, SOCK_STREAM, 0), one = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (bind(listener, reinterpret_cast<const sockaddr*>(&own), sizeof own) != 0 || listen(listener, 4096) != 0 || !ring.Open()) {
    std::perror("relay_uring");
    return 1;
  }
  ring.Next(IORING_OP_ACCEPT, listener, Tag(kAccept, listener))->ioprio = IORING_ACCEPT_MULTISHOT;
  for (;;) {
    ring.Enter(1);
    ring.Drain([&](const io_uring_cqe& cqe) { Handle(cqe, listener, backend); });
  }
}
