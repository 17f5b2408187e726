// How a client of the main port that asks for a management path gets to the controller: the worker
// sends the connection itself, with what it has read of it, through a socketpair that the master
// made. The controller answers, closes, and knows the client's address from the socket.
//
// Where the controller is dead for a moment the connection waits in the socketpair for the next.
#ifndef UB_HTTP_MANAGEMENT_HANDOVER_H_
#define UB_HTTP_MANAGEMENT_HANDOVER_H_

#include <string>
#include <string_view>

#include "core/unique_fd.h"

namespace ub {

// What a worker may have read of a request when it knows where that goes.
inline constexpr size_t kMaxHandoverBytes = 192 * 1024;

// True for the paths that the management address serves.
bool IsManagementPath(std::string_view target);

// Worker. `to`: the worker's end of the socketpair, -1 where there is none. `input`: what was read of the client, at most
// kMaxHandoverBytes. The descriptor is copied: the caller closes its own. False: it cannot be taken now (the controller has
// not kept up), or there is no way.
bool SendHandover(int to, int client_fd, std::string_view input);
// Controller. The next one that waits, if one does; its bytes in *input.
UniqueFd ReceiveHandover(int from, std::string* input);

}  // namespace ub

#endif  // UB_HTTP_MANAGEMENT_HANDOVER_H_
