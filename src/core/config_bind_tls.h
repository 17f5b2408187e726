// Binds tls.certificates, checks what the tls keys say together, and reads the files that they
// name.
//
// Used by config_bind (the keys) and config_load (the files, which only the master can read). What
// takes OpenSSL to know, such as whether a key fits, is told by ConfigSource::check_tls.
#ifndef UB_CORE_CONFIG_BIND_TLS_H_
#define UB_CORE_CONFIG_BIND_TLS_H_

#include "core/config_bind.h"

namespace ub {

// Entries are mappings (certificate, key) or "CERTIFICATE KEY"; one path where both are in one
// file.
void BindCertificates(const ConfigNode& root, const BindOptions& options, TlsConfig* tls,
                      ConfigProblems* problems);

void CheckTls(const ConfigNode& root, Config* config, ConfigProblems* problems);

// Fills in what the files hold. `environment` may be null.
void ReadTlsFiles(const ConfigNode& root, const EnvironmentMap* environment, Config* config,
                  ConfigProblems* problems);

// Where the `member` of certificate `index` was given.
SourcePosition CertificatePosition(const ConfigNode& root, size_t index, std::string_view member);

}  // namespace ub

#endif  // UB_CORE_CONFIG_BIND_TLS_H_
