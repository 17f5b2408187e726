#include "core/line_writer.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <limits.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <string>

#include "core/unique_fd.h"

namespace ub {
namespace {

struct Pipe {
  Pipe() {
    int fds[2];
    EXPECT_EQ(pipe2(fds, O_CLOEXEC), 0);
    read = UniqueFd(fds[0]);
    write = UniqueFd(fds[1]);
    fcntl(read.get(), F_SETFL, O_NONBLOCK);
  }
  std::string ReadAll() {
    std::string out;
    char piece[65536];
    for (ssize_t n; (n = ::read(read.get(), piece, sizeof piece)) > 0;)
      out.append(piece, static_cast<size_t>(n));
    return out;
  }
  UniqueFd read, write;
};

bool Put(LineWriter* writer, std::string_view line) {
  char* const to = writer->Begin();
  if (to == nullptr) return false;
  EXPECT_LE(line.size(), writer->max_line());
  std::memcpy(to, line.data(), line.size());
  writer->End(line.size());
  return true;
}

std::string Line(size_t number, size_t bytes) {
  std::string line = std::to_string(number) + " ";
  line.resize(bytes - 1, '.');
  return line + "\n";
}

UniqueFd TempFile() {
  return UniqueFd(open("/tmp", O_TMPFILE | O_RDWR | O_APPEND | O_CLOEXEC, 0600));
}

std::string Content(int fd) {
  std::string out(static_cast<size_t>(lseek(fd, 0, SEEK_END)), '\0');
  EXPECT_EQ(pread(fd, out.data(), out.size(), 0), static_cast<ssize_t>(out.size()));
  return out;
}

TEST(LineWriterTest, GathersUntilItIsFlushed) {
  Pipe pipe;
  LineWriter writer;
  writer.SetFd(pipe.write.get());
  EXPECT_TRUE(Put(&writer, "one\n"));
  EXPECT_TRUE(Put(&writer, "two\n"));
  EXPECT_FALSE(writer.empty());
  EXPECT_EQ(pipe.ReadAll(), "");
  EXPECT_TRUE(writer.Flush());
  EXPECT_TRUE(writer.empty());
  EXPECT_EQ(pipe.ReadAll(), "one\ntwo\n");
}

TEST(LineWriterTest, WritesByItselfWhenItIsFull) {
  const UniqueFd file = TempFile();
  LineWriter writer;
  writer.SetFd(file.get());
  std::string all;
  for (size_t i = 0; i < 5000; ++i) {
    all += Line(i, 100);
    ASSERT_TRUE(Put(&writer, Line(i, 100)));
  }
  EXPECT_TRUE(writer.Flush());
  EXPECT_EQ(Content(file.get()), all);
  EXPECT_EQ(writer.TakeDropped(), 0u);
}

TEST(LineWriterTest, NowhereDropsEverything) {
  LineWriter writer;
  EXPECT_FALSE(Put(&writer, "one\n"));
  EXPECT_EQ(writer.TakeDropped(), 1u);
  EXPECT_EQ(writer.TakeDropped(), 0u);
}

// A reader that stands still costs lines, not time, and what it gets is whole.
void ExpectWholeLinesFromASlowReader(int flags) {
  Pipe pipe;
  fcntl(pipe.write.get(), F_SETFL, flags);
  fcntl(pipe.write.get(), F_SETPIPE_SZ, 16384);
  LineWriter writer;
  writer.SetFd(pipe.write.get());
  EXPECT_EQ(writer.max_line(), size_t{PIPE_BUF});
  size_t kept = 0;
  for (size_t i = 0; i < 2000; ++i) kept += Put(&writer, Line(i, 300));
  const uint64_t dropped = writer.TakeDropped();
  EXPECT_EQ(kept + dropped, 2000u);
  EXPECT_GT(dropped, 1000u);
  EXPECT_FALSE(writer.Flush());
  std::string got = pipe.ReadAll();
  while (!writer.Flush()) got += pipe.ReadAll();
  got += pipe.ReadAll();
  ASSERT_EQ(got.size(), kept * 300);
  for (size_t at = 0; at < got.size(); at += 300) {
    const std::string line = got.substr(at, 300);
    ASSERT_EQ(line, Line(std::stoul(line), 300));
  }
}

TEST(LineWriterTest, SlowReaderOfANonBlockingPipe) { ExpectWholeLinesFromASlowReader(O_NONBLOCK); }
TEST(LineWriterTest, SlowReaderOfABlockingPipe) { ExpectWholeLinesFromASlowReader(0); }

TEST(LineWriterTest, SocketTakesAPartAndTheRestFollows) {
  int fds[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
  const UniqueFd ours(fds[0]), theirs(fds[1]);
  LineWriter writer;
  writer.SetFd(ours.get());
  size_t kept = 0;
  for (size_t i = 0; i < 20'000; ++i) kept += Put(&writer, Line(i, 200));
  EXPECT_GT(writer.TakeDropped(), 0u);
  std::string got;
  char piece[65536];
  while (got.size() < kept * 200) {
    writer.Flush();
    const ssize_t n = recv(theirs.get(), piece, sizeof piece, 0);
    ASSERT_GT(n, 0);
    got.append(piece, static_cast<size_t>(n));
  }
  for (size_t at = 0; at < got.size(); at += 200) {
    ASSERT_EQ(got.substr(at, 200), Line(std::stoul(got.substr(at, 20)), 200));
  }
}

// The pieces are what the kernel keeps together: processes that share a pipe do not tear each
// other's lines.
TEST(LineWriterTest, SeveralProcessesShareAPipe) {
  Pipe pipe;
  constexpr int kWriters = 3;
  constexpr size_t kLines = 3000;
  pid_t children[kWriters];
  for (int i = 0; i < kWriters; ++i) {
    children[i] = fork();
    if (children[i] == 0) {
      LineWriter writer;
      writer.SetFd(pipe.write.get());
      for (size_t n = 0; n < kLines;) n += Put(&writer, Line(n, 90 + static_cast<size_t>(i)));
      while (!writer.Flush()) {
      }
      _exit(0);
    }
  }
  pipe.write.Reset();
  fcntl(pipe.read.get(), F_SETFL, 0);
  const std::string got = pipe.ReadAll();
  for (const pid_t child : children) waitpid(child, nullptr, 0);
  size_t next[kWriters] = {};
  size_t at = 0;
  while (at < got.size()) {
    const size_t bytes = got.find('\n', at) + 1 - at;
    ASSERT_TRUE(bytes >= 90 && bytes < 90 + kWriters) << got.substr(at, 200);
    ASSERT_EQ(got.substr(at, bytes), Line(next[bytes - 90]++, bytes));
    at += bytes;
  }
  for (const size_t count : next) EXPECT_EQ(count, kLines);
}

TEST(LineWriterTest, OldPlaceGetsWhatWasMeantForIt) {
  Pipe before, after;
  LineWriter writer;
  writer.SetFd(before.write.get());
  Put(&writer, "old\n");
  writer.SetFd(after.write.get());
  Put(&writer, "new\n");
  writer.Flush();
  EXPECT_EQ(before.ReadAll(), "old\n");
  EXPECT_EQ(after.ReadAll(), "new\n");
}

}  // namespace
}  // namespace ub
