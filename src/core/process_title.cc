#include "core/process_title.h"

#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

namespace ub {

namespace {

char* area = nullptr;
size_t area_bytes = 0;

}  // namespace

void InitProcessTitle(int argc, char** argv) {
  if (argc < 1 || area != nullptr) return;
  // The kernel lays arguments and environment out one after the other: the area ends where the row
  // breaks.
  char* end = argv[0];
  for (int i = 0; i < argc; ++i) {
    if (argv[i] != end) break;
    end += strlen(argv[i]) + 1;
  }
  static std::vector<std::string> texts;  // the environment lives here from now on
  static std::vector<char*> pointers;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    if (*entry == end) end += strlen(*entry) + 1;
    texts.emplace_back(*entry);
  }
  pointers.reserve(texts.size() + 1);
  for (std::string& text : texts) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  environ = pointers.data();
  area = argv[0];
  area_bytes = static_cast<size_t>(end - argv[0]);
}

void SetProcessTitle(std::string_view title) {
  // 15 characters for `top` and `perf`: what tells the processes apart, without the program's name.
  std::string name(title.substr(0, title.find(" /")));
  const size_t colon = name.find(": ");
  if (colon != std::string::npos) name = "ub " + name.substr(colon + 2);
  prctl(PR_SET_NAME, name.c_str(), 0, 0, 0);
  if (area_bytes < 2) return;
  const size_t length = std::min(title.size(), area_bytes - 1);
  memcpy(area, title.data(), length);
  memset(area + length, 0, area_bytes - length);
}

}  // namespace ub
