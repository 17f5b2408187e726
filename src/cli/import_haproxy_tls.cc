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
void Certificate(HaproxyImport* import, const HaproxyLine& line, std::string_view value) {
  std::string path = Below(import->crt_base, value);
  std::vector<std::string> files;
  if (import->options.files_in) files = import->options.files_in(path);
  if (files.empty()) {
    if (path.ends_with('/')) return import->Remark(line, "name the files in that directory");
    return import->draft->AddCertificate(path, "", line.at);
  }
  if (path.ends_with('/')) path.pop_back();
  for (const std::string& file : files) {
    const bool beside = std::ranges::any_of(
        std::initializer_list<std::string_view>{".key", ".ocsp", ".issuer", ".sctl", ".dh"},
        [&](std::string_view extension) { return file.ends_with(extension); });
    if (!beside) import->draft->AddCertificate(fmt::format("{}/{}", path, file), "", line.at);
  }
}

void MinVersion(HaproxyImport* import, const HaproxyLine& line, std::string_view version) {
  import->draft->Set("tls.min_version", version == "TLSv1.3" ? "1.3" : "1.2", line.at);
  if (version == "TLSv1.3" || version == "TLSv1.2") return;
  import->Remark(line, "TLS 1.2 is the oldest that is spoken");
}

void VerifyClients(HaproxyImport* import, const HaproxyLine& line, std::string_view how) {
  if (how == "none") return;
  import->draft->Set("tls.client_auth", how == "optional" ? "optional" : "required", line.at);
}

}  // namespace

bool ImportHaproxyBindTls(HaproxyImport* import, const HaproxyLine& line, size_t* i) {
  const std::string_view word = line.arg(*i);
  const auto* known = std::ranges::find(kBindWords, word, &BindWord::name);
  if (known == std::end(kBindWords)) return false;
  const std::string_view value = known->has_value ? line.arg(++*i) : std::string_view();
  if (import == nullptr) return true;
  ImportDraft& draft = *import->draft;
  if (!known->remark.empty()) {
    draft.Remark(line.at, fmt::format("\"{}\" {}", word, known->remark));
  } else if (known->key == "tls.client_ca") {
    draft.Set(known->key, Below(import->ca_base, value), line.at);
  } else if (!known->key.empty()) {
    draft.Set(known->key, std::string(value), line.at);
  } else if (word == "crt") {
    Certificate(import, line, value);
  } else if (word == "verify") {
    VerifyClients(import, line, value);
  } else if (word == "ssl-min-ver") {
    MinVersion(import, line, value);
  } else if (word == "no-tlsv12" || word == "force-tlsv13") {
    MinVersion(import, line, "TLSv1.3");
  } else if (word == "no-tls-tickets") {
    draft.SetBool("tls.session_tickets", false, line.at);
  }
  return true;
}

size_t ImportHaproxyServerTls(const HaproxyImport& import, const HaproxyLine& line, bool first,
                              std::string_view name, std::string_view value,
                              HaproxyServerTls* tls) {
  const auto take = [&](std::string* out) {
    if (first) *out = std::string(value);
    return size_t{2};
  };
  if (name == "ssl" || name == "no-ssl") {
    if (!tls->said) tls->on = name == "ssl";
    tls->said = true;
    return 1;
  }
  if (name == "verify") return take(&tls->verify);
  if (name == "verifyhost") return take(&tls->name);
  if (name == "sni") return take(&tls->sni);
  if (name == "crt") return take(&tls->certificate);
  if (name == "ca-file") return take(&tls->ca_file);
  for (const std::string_view same : {"check-ssl", "no-check-ssl", "no-ssl-reuse", "no-sslv3",
                                      "no-tlsv10", "no-tlsv11", "no-tls-tickets"}) {
    if (name == same) return 1;
  }
  for (const std::string_view fixed : {"alpn", "check-alpn", "check-sni", "ciphers", "ciphersuites",
                                       "crl-file", "ssl-max-ver", "ssl-min-ver"}) {
    if (name != fixed) continue;
    if (first && name == "crl-file") {
      import.draft->Remark(line.at, "\"crl-file\" there are no revocation lists");
    }
    return 2;
  }
  return 0;
}

void FinishHaproxyServerTls(HaproxyImport* import, const HaproxyLine& line,
                            const HaproxyServerTls& tls) {
  if (!tls.on) {
    if (!import->clear_servers) import->clear_at = line.at;
    import->clear_servers = true;
    return;
  }
  import->tls_servers = true;
  ImportDraft& draft = *import->draft;
  draft.SetBool("backend_tls.enabled", true, line.at);
  const bool verify = tls.verify.empty() ? import->verify_servers : tls.verify != "none";
  draft.SetBool("backend_tls.verify", verify, line.at);
  if (!tls.ca_file.empty() && tls.ca_file != "@system-ca") {
    draft.Set("backend_tls.ca_file", Below(import->ca_base, tls.ca_file), line.at);
  }
  if (!tls.certificate.empty()) {
    draft.Set("backend_tls.certificate", Below(import->crt_base, tls.certificate), line.at);
  }
  std::string name = tls.name;
  if (name.empty() && tls.sni.starts_with("str(") && tls.sni.ends_with(')')) {
    name = tls.sni.substr(4, tls.sni.size() - 5);
  }
  if (!name.empty()) {
    draft.Set("backend_tls.server_name", name, line.at);
  } else if (!tls.sni.empty()) {
    draft.Remark(line.at, fmt::format("\"sni {}\": the name is fixed (backend_tls.server_name), or "
                                      "each backend's host",
                                      ImportText(tls.sni)));
  } else if (verify) {
    draft.Remark(line.at,
                 "a backend's certificate must be for its host too, which HAProxy does not ask "
                 "(backend_tls.server_name is another name for all)");
  }
}

bool ImportHaproxyRedirect(HaproxyImport* import, const HaproxyLine& line) {
  const size_t from = line.name() == "http-request" ? 1 : 0;
  if (line.name() != "redirect" && (from == 0 || line.arg(0) != "redirect")) return false;
  if (line.arg(from) != "scheme" || line.arg(from + 1) != "https") return false;
  std::string condition;
  for (size_t i = from + 2; i < line.size(); ++i) {
    if (line.arg(i) == "code") {
      ++i;  // 308 is the one that is sent
    } else {
      condition += line.arg(i);
    }
  }
  if (!condition.empty() && condition != "unless{ssl_fc}" && condition != "if!{ssl_fc}") {
    return false;
  }
  import->draft->SetBool("tls.redirect_http", true, line.at);
  return true;
}

void CollectHaproxyTls(HaproxyImport* import, const HaproxyLine& line) {
  if (line.name() == "crt-base") import->crt_base = std::string(line.arg(0));
  if (line.name() == "ca-base") import->ca_base = std::string(line.arg(0));
  if (line.name() == "ssl-server-verify") import->verify_servers = line.arg(0) != "none";
}

void FinishHaproxyTls(HaproxyImport* import) {
  if (import->tls_servers && import->clear_servers) {
    import->draft->Remark(import->clear_at,
                          "TLS is for all backends or for none: here for all, this one too");
  }
  // Without `verify` a bind asks nobody for a certificate.
  if (!import->draft->Has("tls.client_auth")) import->draft->Remove("tls.client_ca");
}

}  // namespace ub
