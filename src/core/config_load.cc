#include "core/config_load.h"

#include <errno.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <initializer_list>
#include <optional>
#include <utility>

#include "core/config_bind_tls.h"
#include "core/config_env.h"
#include "core/config_ini.h"
#include "core/config_keys.h"
#include "core/config_merge.h"
#include "core/config_resolve.h"
#include "core/config_text.h"
#include "core/config_toml.h"
#include "core/config_yaml.h"
#include "core/unique_fd.h"

namespace ub {
namespace {

// What no parser should see, since each would tell of it in another way, or not at all.
std::optional<ConfigProblem> CheckEncoding(std::string_view text, const std::string& name) {
  if (text.size() > kMaxConfigFile) {
    return ConfigProblem{
        MakePosition(name),
        fmt::format("is larger than {} (is it a configuration?)", FormatSize(kMaxConfigFile))};
  }
  const auto at = [&](size_t offset, std::string what) {
    const std::string_view before = text.substr(0, offset);
    const size_t line_start = before.rfind('\n') + 1;  // npos + 1 is 0
    return ConfigProblem{
        MakePosition(name, static_cast<uint32_t>(std::ranges::count(before, '\n') + 1),
                     static_cast<uint32_t>(offset - line_start + 1)),
        std::move(what)};
  };
  if (text.starts_with("\xff\xfe") || text.starts_with("\xfe\xff")) {
    return at(0, "the file is UTF-16 (save it as UTF-8)");
  }
  const size_t nul = text.find('\0'), invalid = FindInvalidUtf8(text);
  if (nul < invalid) return at(nul, "the file has a NUL byte (is it a configuration?)");
  if (invalid != std::string_view::npos) {
    return at(invalid, fmt::format("byte 0x{:02x} is not UTF-8 (save the file as UTF-8)",
                                   static_cast<unsigned char>(text[invalid])));
  }
  return std::nullopt;
}

ConfigNode ReadFileNodes(const ConfigSource& source, ConfigProblems* problems) {
  ConfigNode empty = ConfigNode::Mapping(MakePosition(source.file));
  const Result<ConfigFormat> format = FormatOfFile(source.file);
  if (!format) {
    problems->push_back({empty.position, format.error().detail()});
    return empty;
  }
  const bool relative = source.file[0] != '/' && !source.directory.empty();
  const Result<std::string> text =
      ReadConfigFile(relative ? source.directory + "/" + source.file : source.file);
  if (!text) {
    problems->push_back({empty.position, text.error().detail()});
    return empty;
  }
  return ParseConfigText(*format, *text, source.file, problems);
}

std::vector<std::string> ToLines(const ConfigProblems& problems) {
  std::vector<std::string> lines;
  for (const ConfigProblem& problem : problems) lines.push_back(problem.ToString());
  return lines;
}

bool AllFromFlags(const ConfigProblems& problems) {
  return std::ranges::all_of(problems, [](const ConfigProblem& problem) {
    return problem.position.source && (problem.position.source->starts_with("flag ") ||
                                       problem.position.source->starts_with("argument "));
  });
}

struct Layers {
  ConfigNode merged;
  ConfigProblems problems;
  ConfigProblems warnings;
  bool complete = true;
};

Layers ReadLayers(const ConfigSource& source) {
  Layers layers;
  layers.merged =
      ConfigNode::Mapping(MakePosition(source.file.empty() ? "command line" : source.file));
  if (!source.file.empty()) {
    layers.merged = ReadFileNodes(source, &layers.problems);
    layers.complete = layers.problems.empty();
  }
  if (source.use_environment) {
    MergeConfig(&layers.merged,
                EnvironmentNodes(source.environment, &layers.problems, &layers.warnings));
  }
  MergeConfig(&layers.merged, FlagNodes(source.flags, &layers.problems));
  return layers;
}

// Certificates and keys.
void CheckCertificates(const ConfigSource& source, const ConfigNode& merged, Config* config,
                       ConfigProblems* problems, ConfigProblems* warnings) {
  const size_t before = problems->size();
  ReadTlsFiles(merged, &source.environment, config, problems);
  if (problems->size() != before || source.check_tls == nullptr) return;
  for (TlsFault& fault : source.check_tls(*config)) {
    const bool one = fault.where == "certificate" || fault.where == "key";
    const ConfigNode* node = one ? nullptr : merged.FindPath(fault.where);
    const SourcePosition position = one               ? CertificatePosition(merged, fault.index, fault.where)
                                    : node != nullptr ? node->position
                                                      : merged.position;
    (fault.warning ? warnings : problems)
        ->push_back({position, fmt::format("{}: {}", one ? "tls.certificates" : fault.where, fault.text)});
  }
}

// What the machine must have: the names of backends, the user and the group.
void CheckMachine(const ConfigSource& source, const ConfigNode& merged, const Config& config,
                  ConfigProblems* problems) {
  const auto position = [&merged](std::string_view path) {
    const ConfigNode* node = merged.FindPath(path);
    return node != nullptr ? node->position : merged.position;
  };
  if (!config.user.empty() && getpwnam(config.user.c_str()) == nullptr) {
    problems->push_back(
        {position("user"), fmt::format("user: there is no user \"{}\"", Printable(config.user))});
  }
  if (!config.group.empty() && getgrnam(config.group.c_str()) == nullptr) {
    problems->push_back({position("group"),
                         fmt::format("group: there is no group \"{}\"", Printable(config.group))});
  }
  if (!source.resolve) return;
  const ConfigNode* list = merged.Find("backends");
  for (const ResolveFailure& failure : ResolveAllBackends(config).failures) {
    // The bound list has an entry for each item of the sequence, since no item was in error.
    const bool listed = list != nullptr && list->IsSequence() && failure.index < list->items.size();
    SourcePosition where = listed ? list->items[failure.index].position : position("backends");
    const ConfigNode* host = listed ? list->items[failure.index].Find("host") : nullptr;
    if (host != nullptr) where = host->position;
    problems->push_back({where, "backends: " + failure.text});
  }
}

}  // namespace

ConfigSource ConfigSource::FromProcess() {
  ConfigSource source;
  std::error_code error;
  source.directory = std::filesystem::current_path(error).string();
  source.environment = CaptureEnvironment();
  return source;
}

Result<ConfigFormat> FormatOfFile(std::string_view file) {
  const std::string name = ToLowerAscii(file);
  if (name.ends_with(".yaml") || name.ends_with(".yml")) return ConfigFormat::kYaml;
  if (name.ends_with(".toml")) return ConfigFormat::kToml;
  if (name.ends_with(".ini")) return ConfigFormat::kIni;
  return Fail(Status::Config("the format is not known (name the file .yaml, .toml or .ini)"));
}

// A directory, a device or a file that is too large is an error; so is one that cannot be read.
Result<std::string> ReadConfigFile(const std::string& path) {
  const auto fail = [](std::string_view what) {
    return Fail(Status(StatusCode::kSystem, StatusSource::kConfig, std::string(what)));
  };
  // Non-blocking, so that opening a FIFO nobody writes to cannot hang the start.
  UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (fd.get() < 0) {
    return fail(
        fmt::format("cannot open: {} (check the path and its permissions)", std::strerror(errno)));
  }
  struct stat info {};
  if (fstat(fd.get(), &info) != 0)
    return fail(fmt::format("cannot read: {}", std::strerror(errno)));
  if (S_ISDIR(info.st_mode)) return fail("is a directory (give the file in it)");
  // Also because a reload reads it again.
  if (!S_ISREG(info.st_mode)) return fail("is a pipe, a socket or a device (give a plain file)");
  const std::string too_large =
      fmt::format("is larger than {} (is it a configuration?)", FormatSize(kMaxConfigFile));
  if (static_cast<uint64_t>(info.st_size) > kMaxConfigFile) return fail(too_large);
  std::string text;
  char buffer[65536];
  for (;;) {
    const ssize_t size = read(fd.get(), buffer, sizeof(buffer));
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return fail(fmt::format("cannot read: {}", std::strerror(errno)));
    if (size == 0) return text;
    text.append(buffer, static_cast<size_t>(size));
    if (text.size() > kMaxConfigFile) return fail(too_large);
  }
}

ConfigNode ParseConfigText(ConfigFormat format, std::string_view text, const std::string& name,
                           ConfigProblems* problems) {
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
  if (std::optional<ConfigProblem> problem = CheckEncoding(text, name)) {
    problems->push_back(std::move(*problem));
    return ConfigNode::Mapping(MakePosition(name, 1, 1));
  }
  switch (format) {
    case ConfigFormat::kYaml:
      return ParseYaml(text, name, problems);
    case ConfigFormat::kToml:
      return ParseToml(text, name, problems);
    case ConfigFormat::kIni:
      break;
  }
  return ParseIni(text, name, problems);
}

tl::expected<LoadedConfig, ConfigErrors> LoadConfig(const ConfigSource& source) {
  Layers layers = ReadLayers(source);
  const BindOptions options{&source.environment, source.directory, layers.complete};
  BindResult bound = BindConfig(layers.merged, options);
  ConfigProblems problems = std::move(layers.problems);
  std::ranges::move(bound.problems, std::back_inserter(problems));
  const bool well_formed = problems.empty();
  if (well_formed) {
    CheckMachine(source, layers.merged, bound.config, &problems);
    CheckCertificates(source, layers.merged, &bound.config, &problems, &layers.warnings);
  }
  if (!problems.empty()) {
    SortProblems(&problems);
    return tl::unexpected<ConfigErrors>(
        {ToLines(problems), !well_formed && AllFromFlags(problems)});
  }
  return LoadedConfig{std::make_shared<const Config>(std::move(bound.config)),
                      std::move(layers.merged), ToLines(layers.warnings)};
}

namespace {

// What can be had of a configuration that may be wrong elsewhere.
tl::expected<Config, ConfigErrors> LoadLeniently(const ConfigSource& source, std::initializer_list<const char*> keys) {
  Layers layers = ReadLayers(source);
  const BindOptions options{&source.environment, source.directory, false};
  // Where a file cannot be read, what it has of these keys must be given otherwise: the default would be another
  // instance's. A value that is wrong elsewhere does no harm.
  const bool told = std::ranges::any_of(keys, [&](const char* key) { return layers.merged.FindPath(key) != nullptr; });
  if (!layers.complete && !told) {
    return tl::unexpected<ConfigErrors>({ToLines(layers.problems), false});
  }
  return BindConfig(layers.merged, options).config;
}

}  // namespace

tl::expected<AdminConfig, ConfigErrors> LoadAdminConfig(const ConfigSource& source) {
  return LoadLeniently(source, {"admin.listen_address", "admin.listen_port"}).map([](const Config& config) { return config.admin; });
}

tl::expected<std::string, ConfigErrors> LoadPidFile(const ConfigSource& source) {
  return LoadLeniently(source, {"pid_file"}).map([](const Config& config) { return config.pid_file; });
}

}  // namespace ub
