#include "core/config_bind_tls.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "core/atomic_file.h"
#include "core/config_bind_value.h"
#include "core/config_text.h"

namespace ub {
namespace {

constexpr std::string_view kPath = "tls.certificates";
constexpr size_t kMaxFile = 1u << 20;

class CertificateBinder {
 public:
  CertificateBinder(const BindOptions& options, TlsConfig* tls, ConfigProblems* problems)
      : options_(options), tls_(tls), problems_(problems) {}

  void BindList(const ConfigNode& node) {
    if (node.IsNull()) return;
    if (node.IsScalar() && node.untyped) {
      for (const std::string_view part : SplitTrimmed(node.text, ','))
        BindText(part, node.position);
    } else if (!node.IsSequence()) {
      Problem(node.position,
              fmt::format("expected a list of {{ certificate, key }}, found {}", node.KindName()));
    } else {
      for (const ConfigNode& item : node.items) BindItem(item);
    }
  }

 private:
  void Problem(const SourcePosition& position, std::string text) {
    problems_->push_back({position, fmt::format("{}: {}", kPath, text)});
  }

  void BindItem(const ConfigNode& item) {
    if (item.IsScalar()) {
      BindText(item.text, item.position);
    } else if (item.IsMapping()) {
      BindMapping(item);
    } else {
      Problem(item.position,
              fmt::format("expected {{ certificate, key }}, found {}", item.KindName()));
    }
  }

  void BindText(std::string_view text, const SourcePosition& position) {
    CertificateConfig entry;
    for (std::string* word : {&entry.certificate, &entry.key, &entry.ocsp_staple_file}) {
      const size_t blank = std::min(text.find_first_of(" \t"), text.size());
      *word = text.substr(0, blank);
      text = TrimSpaces(text.substr(blank));
    }
    if (!text.empty())
      return Problem(position, fmt::format("\"{}\" is one word too many", Printable(text)));
    Add(std::move(entry), position);
  }

  void BindMapping(const ConfigNode& item) {
    CertificateConfig entry;
    for (const ConfigEntry& member : item.entries) {
      const std::string path = fmt::format("{}: {}", kPath, Printable(member.key));
      if (member.key == "certificate") {
        if (!ub::BindText(path, member.value, &entry.certificate, problems_)) return;
      } else if (member.key == "key") {
        if (!ub::BindText(path, member.value, &entry.key, problems_)) return;
      } else if (member.key == "ocsp_staple_file") {
        if (!ub::BindText(path, member.value, &entry.ocsp_staple_file, problems_)) return;
      } else {
        Problem(
            member.position,
            fmt::format("unknown key \"{}\" (certificate, key and ocsp_staple_file are possible)",
                        Printable(member.key)));
        return;
      }
    }
    Add(std::move(entry), item.position);
  }

  // A relative path means the directory that the person stood in.
  void MakeAbsolute(std::string* path) const {
    if (path->starts_with("file:")) path->erase(0, 5);
    if (path->empty() || path->starts_with('/') || path->starts_with("env:") ||
        options_.directory.empty())
      return;
    *path = options_.directory + "/" + *path;
  }

  void Add(CertificateConfig entry, const SourcePosition& position) {
    if (entry.certificate.empty())
      return Problem(position, "certificate is missing (the path of a PEM file)");
    if (entry.key.empty()) entry.key = entry.certificate;
    for (std::string* path : {&entry.certificate, &entry.key, &entry.ocsp_staple_file}) {
      if (path->find_first_of(" \t,") != std::string::npos) {
        return Problem(
            position,
            fmt::format("\"{}\" has a blank or a comma in it (rename the file)", Printable(*path)));
      }
      MakeAbsolute(path);
    }
    if (std::ranges::find(tls_->certificates, entry) != tls_->certificates.end()) {
      return Problem(position, fmt::format("{} is given twice", Printable(entry.certificate)));
    }
    tls_->certificates.push_back(std::move(entry));
  }

  const BindOptions& options_;
  TlsConfig* tls_;
  ConfigProblems* problems_;
};

const SourcePosition& PositionOf(const ConfigNode& root, std::string_view path) {
  const ConfigNode* node = root.FindPath(path);
  return node != nullptr ? node->position : root.position;
}

// The file's text; empty and *wrong where it cannot be had.
std::string ReadFile(const std::string& path, std::string* wrong) {
  Result<std::string> text = ReadSmallFile(path, kMaxFile);
  if (!text) {
    *wrong = text.error().detail();
  } else if (text->empty()) {
    *wrong = fmt::format("{} is empty", Printable(path, 200));
  }
  return text ? std::move(*text) : std::string();
}

std::string ReadSecret(const std::string& from, const EnvironmentMap* environment,
                       std::string* wrong) {
  if (!from.starts_with("env:")) return ReadFile(from, wrong);
  const auto found =
      environment == nullptr ? EnvironmentMap::const_iterator() : environment->find(from.substr(4));
  if (environment != nullptr && found != environment->end() && !found->second.empty())
    return found->second;
  *wrong = fmt::format("the environment has no {}", Printable(from.substr(4)));
  return {};
}

}  // namespace

void BindCertificates(const ConfigNode& root, const BindOptions& options, TlsConfig* tls,
                      ConfigProblems* problems) {
  tls->certificates.clear();
  const ConfigNode* node = root.FindPath(kPath);
  if (node != nullptr) CertificateBinder(options, tls, problems).BindList(*node);
}

void CheckTls(const ConfigNode& root, Config* bound, ConfigProblems* problems) {
  bound->forwarded.client_certificates = !bound->tls.client_ca.empty();
  const Config& config = *bound;
  const bool listens =
      std::ranges::any_of(config.listen, [](const ListenConfig& listen) { return listen.tls; });
  if (config.tls.redirect_http && !listens) {
    problems->push_back({PositionOf(root, "tls.redirect_http"),
                         "tls.redirect_http: there is nowhere to redirect to (let a listener be "
                         "\"ADDRESS:443 tls\")"});
  }
  if (!config.http2.enabled) {
    const bool only = std::ranges::all_of(config.tls.alpn, [](const std::string& name) { return name == "h2"; });
    if (only && !config.tls.alpn.empty()) {
      problems->push_back({PositionOf(root, "tls.alpn"), "tls.alpn: nothing but h2, and http2.enabled is false"});
    }
    for (const ListenConfig& listen : config.listen) {
      if (!listen.h2c) continue;
      problems->push_back({PositionOf(root, "listen"),
                           fmt::format("listen: {} h2c: http2.enabled is false", listen.text)});
    }
  }
  // Certificates that could not be read as such have been reported.
  if (!config.tls.certificates.empty() || root.FindPath(kPath) != nullptr) return;
  for (const ListenConfig& listen : config.listen) {
    if (!listen.tls) continue;
    problems->push_back(
        {PositionOf(root, "listen"),
         fmt::format("listen: {} tls: there is no certificate (set {})", listen.text, kPath)});
    return;
  }
}

SourcePosition CertificatePosition(const ConfigNode& root, size_t index, std::string_view member) {
  const ConfigNode* list = root.FindPath(kPath);
  if (list == nullptr) return root.position;
  if (!list->IsSequence() || index >= list->items.size()) return list->position;
  const ConfigNode* value = list->items[index].Find(member);
  return value != nullptr ? value->position : list->items[index].position;
}

void ReadTlsFiles(const ConfigNode& root, const EnvironmentMap* environment, Config* config,
                  ConfigProblems* problems) {
  TlsConfig* const tls = &config->tls;
  for (size_t i = 0; i < tls->certificates.size(); ++i) {
    CertificateConfig& entry = tls->certificates[i];
    std::string wrong;
    entry.certificate_pem = ReadFile(entry.certificate, &wrong);
    if (!wrong.empty()) {
      problems->push_back(
          {CertificatePosition(root, i, "certificate"), fmt::format("{}: {}", kPath, wrong)});
      continue;
    }
    entry.key_pem = entry.key == entry.certificate ? entry.certificate_pem
                                                   : ReadSecret(entry.key, environment, &wrong);
    if (!wrong.empty()) {
      problems->push_back(
          {CertificatePosition(root, i, "key"), fmt::format("{}: {}", kPath, wrong)});
    }
    wrong.clear();
    const bool by_key = i == 0 && entry.ocsp_staple_file.empty();
    const std::string& staple = by_key ? tls->ocsp_staple_file : entry.ocsp_staple_file;
    entry.ocsp_staple = staple.empty() ? "" : ReadFile(staple, &wrong);
    if (wrong.empty()) continue;
    const std::string_view path = by_key ? "tls.ocsp_staple_file" : kPath;
    problems->push_back(
        {by_key ? PositionOf(root, path) : CertificatePosition(root, i, "ocsp_staple_file"),
         fmt::format("{}: {}", path, wrong)});
  }
  std::string wrong;
  if (!tls->client_ca.empty()) tls->client_ca_pem = ReadFile(tls->client_ca, &wrong);
  if (!wrong.empty()) {
    problems->push_back({PositionOf(root, "tls.client_ca"), "tls.client_ca: " + wrong});
  }
  BackendTlsConfig& backend = config->backend_tls;
  const auto read = [&](std::string_view key, const std::string& path, std::string* out) {
    std::string failed;
    if (backend.enabled && !path.empty()) *out = ReadFile(path, &failed);
    if (failed.empty()) return;
    problems->push_back({PositionOf(root, key), fmt::format("{}: {}", key, failed)});
  };
  if (backend.own.key.empty()) backend.own.key = backend.own.certificate;
  read("backend_tls.ca_file", backend.ca_file, &backend.ca_pem);
  read("backend_tls.certificate", backend.own.certificate, &backend.own.certificate_pem);
  read("backend_tls.key", backend.own.key, &backend.own.key_pem);
}

}  // namespace ub
