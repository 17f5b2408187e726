// Who the client really is, where proxies that we trust (forwarded.trust) stand in front of us.
//
// Worker process, once a request; without a trust list it costs one branch. No allocation.
#ifndef UB_HTTP_CLIENT_ADDRESS_H_
#define UB_HTTP_CLIENT_ADDRESS_H_

#include "core/network_set.h"
#include "event/address.h"
#include "http/headers.h"

namespace ub {

struct ClientAddress {
  PeerAddress address;        // what limits, hashing, logs and X-Real-IP go by
  bool peer_trusted = false;  // the peer's X-Forwarded-* are believed and extended
};

// X-Forwarded-For is read from its end, where the nearest proxy wrote: the first address that is not trusted is the
// client's. Where all are trusted it is the first in the list; an element that is no address ends the search at the
// last good one, since nobody vouches for what stands before it.
ClientAddress FindClient(const PeerAddress& peer, const HeaderList& headers, const NetworkSet& trust);

}  // namespace ub

#endif  // UB_HTTP_CLIENT_ADDRESS_H_
