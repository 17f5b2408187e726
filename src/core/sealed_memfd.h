// A text in a sealed memfd: how the configuration goes from the master to a child. Neither side can
// change it once it is sealed, so a child may read it whenever it likes.
//
// Made by the master at each reload, read by children. Costs two copies of the text.
#ifndef UB_CORE_SEALED_MEMFD_H_
#define UB_CORE_SEALED_MEMFD_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "core/status.h"
#include "core/unique_fd.h"

namespace ub {

Result<UniqueFd> MakeSealedMemfd(const char* name, std::string_view text);

// Refuses a descriptor that is not sealed (kProtocol), or holds more than `max_bytes` (kTooLarge).
Result<std::string> ReadSealedMemfd(int fd, size_t max_bytes = SIZE_MAX);

}  // namespace ub

#endif  // UB_CORE_SEALED_MEMFD_H_
