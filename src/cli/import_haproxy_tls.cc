// What becomes of TLS: words of `bind` (clients) and of `server` (backends), redirects to https.
#include <fmt/format.h>

#include <algorithm>

#include "cli/import_haproxy.h"
#include "core/config_text.h"

namespace ub {
namespace {

// Words of `bind` and what they are about: a key that takes their value, or a remark.
struct BindWord {
  std::string_view name;
  bool has_value;
  std::string_view key = {};
  std::string_view remark = {};  // both empty: nothing is lost
};

constexpr BindWord kBindWords[] = {
    {"allow-0rtt", false, {}, "0-RTT data is not taken: it could be replayed"},
    {"alpn", true},
    {"ca-file", true, "tls.client_ca"},
    {"ca-ignore-err", true},
    {"ca-verify-file", true},
    {"ciphers", true, "tls.ciphers"},
    {"ciphersuites", true, {}, "suites of TLS 1.3 are not chosen"},
    {"crl-file", true, {}, "there are no revocation lists"},
    {"crt", true},
    {"crt-ignore-err", true},
    {"crt-list", true, {}, "name its certificates in tls.certificates"},
    {"curves", true, "tls.curves"},
    {"ecdhe", true, "tls.curves"},
    {"force-tlsv12", false, {}, "TLS 1.3 is spoken too"},
    {"force-tlsv13", false},
    {"no-sslv3", false},
    {"no-tls-tickets", false},
    {"no-tlsv10", false},
    {"no-tlsv11", false},
    {"no-tlsv12", false},
    {"no-tlsv13", false, {}, "TLS 1.3 is spoken too"},
    {"npn", true},
    {"ocsp-update", true, {}, "OCSP responses are not fetched, but read from tls.ocsp_staple_file"},
    {"prefer-client-ciphers", false},
    {"ssl", false},
    {"ssl-max-ver", true, {}, "TLS 1.3 is always spoken"},
    {"ssl-min-ver", true},
    {"strict-sni", false, {}, "who asks for no known name gets the first certificate"},
    {"tls-ticket-keys", true, {}, "the keys are made and changed by the master"},
    {"verify", true},
};

std::string Below(const std::string& base, std::string_view path) {
  if (base.empty() || path.starts_with('/')) return std::string(path);
  return base + "/" + std::string(path);
}

// A file that holds certificate and key, or a directory of such files.
void Certificate(HaproxyImport* import, const HaproxyLine& line, const SourcePosition& at,
                 std::string_view value) {
  std::string path = Below(import->crt_base, value);
  std::vector<std::string> files;
  if (import->options.files_in) files = import->options.files_in(path);
  if (files.empty()) {
    if (path.ends_with('/')) return import->Remark(line, "name the files in that directory");
    return import->draft->AddCertificate(path, "", at);
  }
  if (path.ends_with('/')) path.pop_back();
  for (const std::string& file : files) {
    const bool beside = std::ranges::any_of(
        std::initializer_list<std::string_view>{".key", ".ocsp", ".issuer", ".sctl", ".dh"},
        [&](std::string_view extension) { return file.ends_with(extension); });
    if (!beside) import->draft->AddCertificate(fmt::format("{}/{}", path, file), "", at);
  }
}

void MinVersion(HaproxyImport* import, const HaproxyLine& line, std::string_view version) {
  import->draft->Set("tls.min_version", version == "TLSv1.3" ? "1.3" : "1.2", line.at);
  if (version == "TLSv1.3" || version == "TLSv1.2") return;
  import->Remark(line, "TLS 1.2 is the oldest that is spoken");
}

// False: they are those that are offered by default.
bool Protocols(HaproxyImport* import, const SourcePosition& at, std::string_view protocols) {
  if (protocols == "h2,http/1.1") return false;
  for (const std::string_view protocol : SplitTrimmed(protocols, ',')) {
    SourcePosition own = at;
    own.column += static_cast<uint32_t>(protocol.data() - protocols.data());
    import->draft->Add("tls.alpn", std::string(protocol), own);
  }
  return true;
}

// Whether a `bind` asks clients for a certificate.
bool AsksClients(const HaproxyLine& line) {
  const auto verify = std::ranges::find(line.words, "verify");
  return verify != line.words.end() && verify + 1 != line.words.end() && *(verify + 1) != "none";
}

}  // namespace

bool ImportHaproxyBindTls(HaproxyImport* import, const HaproxyLine& line, size_t* i) {
  const std::string_view word = line.arg(*i);
  const auto* known = std::ranges::find(kBindWords, word, &BindWord::name);
  if (known == std::end(kBindWords)) return false;
  const SourcePosition at = line.ArgAt(*i);
  const std::string_view value = known->has_value ? line.arg(++*i) : std::string_view();
  const SourcePosition value_at = line.ArgAt(*i);
  if (import == nullptr) return true;
  ImportDraft& draft = *import->draft;
  const bool is_bind = line.name() == "bind";
  bool taken = true;
  if (!known->remark.empty()) {
    draft.Remark(line.at, fmt::format("\"{}\" {}", word, known->remark));
    taken = false;
  } else if (word == "ciphers" && value.starts_with("PROFILE=")) {
    draft.Remark(line.at, "the ciphers are our own: profiles of the system are not known");
    taken = false;
  } else if (known->key == "tls.client_ca") {
    taken = AsksClients(line);
    if (taken) draft.Set(known->key, Below(import->ca_base, value), at);
  } else if (!known->key.empty()) {
    draft.Set(known->key, std::string(value), at);
  } else if (word == "crt") {
    Certificate(import, line, at, value);
  } else if (word == "alpn") {
    taken = Protocols(import, value_at, value);
  } else if (word == "ssl-min-ver") {
    MinVersion(import, line, value);
  } else if (word == "no-tlsv12" || word == "force-tlsv13") {
    MinVersion(import, line, "TLSv1.3");
  } else if (word == "no-tls-tickets") {
    draft.SetBool("tls.session_tickets", false, at);
  } else {
    taken = false;
  }
  // Which authority it is goes with `verify`, which is looked at by itself.
  if (!taken || !is_bind || word == "ca-file") return true;
  const bool by_value = word == "crt" || word == "alpn";
  import->said_of_tls.Add(by_value ? fmt::format("{} {}", word, value) : std::string(word), at);
  return true;
}

void ImportHaproxyServerTls(HaproxyImport* import, const HaproxyLine& line,
                            const HaproxyWords& words) {
  const auto find = [&](std::string_view name) {
    const auto found = words.find(name);
    return found == words.end() ? nullptr : &found->second;
  };
  if (find("ssl") == nullptr) return import->clear_servers.push_back(line.at);
  import->tls_servers.push_back(find("ssl")->at);
  const HaproxyWord* how = find("verify");
  const bool verify = how == nullptr ? import->verify_servers : how->value != "none";
  (verify ? import->proven : import->unproven).push_back(how == nullptr ? line.at : how->at);
  ImportDraft& draft = *import->draft;
  const HaproxyWord* authority = find("ca-file");
  if (authority != nullptr && authority->value != "@system-ca") {
    draft.Set("backend_tls.ca_file", Below(import->ca_base, authority->value), authority->at);
    import->said_of_servers.Add("ca-file", authority->at);
  }
  if (const HaproxyWord* own = find("crt")) {
    draft.Set("backend_tls.certificate", Below(import->crt_base, own->value), own->at);
    import->said_of_servers.Add("crt", own->at);
  }
  const HaproxyWord* name = find("verifyhost");
  const HaproxyWord* sni = find("sni");
  if (name != nullptr) {
    draft.Set("backend_tls.server_name", name->value, name->at);
    import->said_of_servers.Add("verifyhost", name->at);
  } else if (sni != nullptr && sni->value.starts_with("str(") && sni->value.ends_with(')')) {
    draft.Set("backend_tls.server_name", sni->value.substr(4, sni->value.size() - 5), sni->at);
    import->said_of_servers.Add("sni", sni->at);
  } else if (sni != nullptr) {
    draft.Remark(sni->at, fmt::format("\"sni {}\": the name is fixed (backend_tls.server_name), or "
                                      "each backend's host",
                                      ImportText(sni->value)));
  } else if (verify) {
    draft.Remark(line.at,
                 "a backend's certificate must be for its host too, which HAProxy does not ask "
                 "(backend_tls.server_name is another name for all)");
  }
}

void CollectHaproxyTls(HaproxyImport* import, const HaproxyLine& line) {
  if (line.name() == "crt-base") import->crt_base = std::string(line.arg(0));
  if (line.name() == "ca-base") import->ca_base = std::string(line.arg(0));
  if (line.name() == "ssl-server-verify") import->verify_servers = line.arg(0) != "none";
}

void FinishHaproxyTls(HaproxyImport* import) {
  if (import->tls_servers.empty()) return;
  ImportDraft& draft = *import->draft;
  draft.SetBool("backend_tls.enabled", true, import->tls_servers.front());
  // Where one has to prove who it is, all have to.
  const bool verify = !import->proven.empty();
  draft.SetBool("backend_tls.verify", verify, (verify ? import->proven : import->unproven).front());
  if (verify && !import->unproven.empty()) {
    draft.Remark(import->unproven.front(),
                 "`verify` is one for all backends: here each has to prove who it is, this one too "
                 "(backend_tls.verify)");
  }
  if (import->clear_servers.empty()) return;
  draft.Remark(import->clear_servers.front(),
               "TLS is for all backends or for none: here for all, this one too");
}

}  // namespace ub
