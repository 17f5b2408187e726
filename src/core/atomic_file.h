// A small file replaced as a whole: written beside itself, synced and renamed, so that a reader
// sees the old or the new content and a crash loses neither.
#ifndef UB_CORE_ATOMIC_FILE_H_
#define UB_CORE_ATOMIC_FILE_H_

#include <string>
#include <string_view>

#include "core/status.h"

namespace ub {

// Mode 0640. Error kSystem; the old content is then still there.
Status ReplaceFile(const std::string& path, std::string_view content);
// Error kNotFound: no such file; kTooLarge: longer than `max_bytes`; kSystem.
Result<std::string> ReadSmallFile(const std::string& path, size_t max_bytes);

}  // namespace ub

#endif  // UB_CORE_ATOMIC_FILE_H_
