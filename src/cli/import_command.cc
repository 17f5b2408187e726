#include "cli/import_command.h"

#include <errno.h>
#include <fmt/format.h>
#include <grp.h>
#include <pwd.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "cli/cli.h"
#include "cli/import_draft.h"
#include "core/config_load.h"

namespace ub {
namespace {

Result<std::string> ReadStandardInput() {
  std::string text;
  char buffer[65536];
  for (;;) {
    const ssize_t size = read(STDIN_FILENO, buffer, sizeof(buffer));
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return Fail(Status::Config(fmt::format("cannot read: {}", std::strerror(errno))));
    if (size == 0) return text;
    text.append(buffer, static_cast<size_t>(size));
    if (text.size() > kMaxConfigFile) return Fail(Status::Config("is larger than 4m"));
  }
}

std::vector<std::string> FilesIn(const std::string& directory) {
  std::vector<std::string> names;
  std::error_code failed;
  for (std::filesystem::directory_iterator entry(directory, failed), end; !failed && entry != end;
       entry.increment(failed)) {
    std::error_code odd;
    if (entry->is_regular_file(odd)) names.push_back(entry->path().filename().string());
  }
  std::ranges::sort(names);
  return names;
}

}  // namespace

int RunImport(ImportOptions options) {
  options.files_in = FilesIn;
  options.has_user = [](const std::string& name) { return getpwnam(name.c_str()) != nullptr; };
  options.has_group = [](const std::string& name) { return getgrnam(name.c_str()) != nullptr; };
  const Result<std::string> text =
      options.file == "-" ? ReadStandardInput() : ReadConfigFile(options.file);
  if (!text) {
    PrintErrors({fmt::format("{}: {}", ImportText(options.file, 200), text.error().detail())});
    return 1;
  }
  const ImportResult result = ImportConfig(options, *text);
  PrintErrors(result.faults);
  return result.faults.empty() ? WriteOut(result.yaml, 0) : 1;
}

}  // namespace ub
