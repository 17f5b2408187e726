// What `ps` shows: "ultrabalancer: worker 0". Written over the memory of the arguments and the
// environment.
//
// Every process; main() prepares it once, before anything keeps a pointer into argv that is read
// later.
#ifndef UB_CORE_PROCESS_TITLE_H_
#define UB_CORE_PROCESS_TITLE_H_

#include <string_view>

namespace ub {

// Moves the environment to the heap and remembers where the arguments lay: from the first
// SetProcessTitle on, argv holds the title. Without this call only the short name (prctl) changes.
void InitProcessTitle(int argc, char** argv);
void SetProcessTitle(std::string_view title);

}  // namespace ub

#endif  // UB_CORE_PROCESS_TITLE_H_
