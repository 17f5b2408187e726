// The keys that session tickets are sealed with. They lie in the shared segment alone: every worker
// opens what another one sealed, before and after a reload or an upgrade, and no key is ever on a
// disk or in a log.
//
// The master makes a new one now and then (Rotate); those before stay good for three rotations.
// Workers read by name. A reader that meets a key while it is replaced gets a mixture, which opens
// nothing: the client makes a full handshake.
#ifndef UB_CORE_TICKET_KEYS_H_
#define UB_CORE_TICKET_KEYS_H_

#include <array>
#include <cstdint>

#include "core/shm_layout.h"
#include "core/status.h"

namespace ub {

struct TicketKey {
  std::array<unsigned char, 16> name;
  std::array<unsigned char, 32> cipher, mac;
};
static_assert(sizeof(TicketKey) == sizeof(TicketKeyWords));

// Master: makes the next key the newest. Error kSystem: the kernel has no random bytes.
Status RotateTicketKeys(ShmHeader* header, uint64_t now_ms);
// False: none was made yet.
bool NewestTicketKey(const ShmHeader& header, TicketKey* key);
// False: there is none of that name any more. *newest: tickets should be sealed with no other.
bool FindTicketKey(const ShmHeader& header, const unsigned char* name, TicketKey* key,
                   bool* newest);

}  // namespace ub

#endif  // UB_CORE_TICKET_KEYS_H_
