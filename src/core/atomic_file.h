// A small file replaced as a whole: written beside itself and renamed, so that a reader
// sees the old or the new content and a crash loses neither.
#ifndef UB_CORE_ATOMIC_FILE_H_
#define UB_CORE_ATOMIC_FILE_H_

#include <sys/types.h>

#include <string>
#include <string_view>

#include "core/status.h"

namespace ub {

// Error kSystem; the old content is then still there.
// `durable`: also after a crash of the machine, which takes a sync.
Status ReplaceFile(const std::string& path, std::string_view content, mode_t mode = 0640, bool durable = true);
// Error kNotFound: no such file; kTooLarge: longer than `max_bytes`; kSystem.
Result<std::string> ReadSmallFile(const std::string& path, size_t max_bytes);

}  // namespace ub

#endif  // UB_CORE_ATOMIC_FILE_H_
