#include "core/ticket_keys.h"

#include <sys/random.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>

namespace ub {
namespace {

using Words = std::array<uint64_t, std::size(TicketKeyWords().words)>;

TicketKey Load(const TicketKeyWords& from) {
  Words words;
  for (size_t i = 0; i < words.size(); ++i)
    words[i] = from.words[i].load(std::memory_order_relaxed);
  return std::bit_cast<TicketKey>(words);
}

}  // namespace

Status RotateTicketKeys(ShmHeader* header, uint64_t now_ms) {
  Words words;
  if (getrandom(words.data(), sizeof words, 0) != static_cast<ssize_t>(sizeof words)) {
    return Status::System("getrandom", errno);
  }
  const uint64_t number = header->ticket_keys_made.load() + 1;
  TicketKeyWords& to = header->ticket_keys[number % kTicketKeys];
  for (size_t i = 0; i < words.size(); ++i) to.words[i].store(words[i], std::memory_order_relaxed);
  explicit_bzero(words.data(), sizeof words);
  header->ticket_keys_made.store(number, std::memory_order_release);
  header->ticket_rotated_ms.store(now_ms);
  return Status::Ok();
}

bool NewestTicketKey(const ShmHeader& header, TicketKey* key) {
  const uint64_t newest = header.ticket_keys_made.load(std::memory_order_acquire);
  if (newest == 0) return false;
  *key = Load(header.ticket_keys[newest % kTicketKeys]);
  return true;
}

bool FindTicketKey(const ShmHeader& header, const unsigned char* name, TicketKey* key,
                   bool* newest) {
  const uint64_t last = header.ticket_keys_made.load(std::memory_order_acquire);
  for (uint64_t back = 0; back < std::min<uint64_t>(last, kTicketKeys); ++back) {
    *key = Load(header.ticket_keys[(last - back) % kTicketKeys]);
    if (std::memcmp(key->name.data(), name, key->name.size()) != 0) continue;
    *newest = back == 0;
    return true;
  }
  return false;
}

}  // namespace ub
