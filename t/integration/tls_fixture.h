// Certificates in files, and the balancer's configuration that names them.
#ifndef UB_INTEGRATION_TLS_FIXTURE_H_
#define UB_INTEGRATION_TLS_FIXTURE_H_

#include <sys/stat.h>

#include <string>

#include "proxy.h"
#include "support.h"
#include "support/test_certificates.h"

namespace ub::itest {

// A directory with NAME.pem and NAME.key of each certificate that was put there. Keys are root's alone, as they should be.
class CertificateFiles {
 public:
  void Put(const std::string& name, const TestCertificate& made) {
    WriteFile(dir_.Path(name + ".pem"), made.certificate);
    WriteFile(dir_.Path(name + ".key"), made.key);
    chmod(dir_.Path(name + ".key").c_str(), 0600);
  }
  std::string Path(const std::string& file) const { return dir_.Path(file); }
  // "{ certificate: …, key: … }".
  std::string Yaml(const std::string& name) const {
    return "{ certificate: \"" + dir_.Path(name + ".pem") + "\", key: \"" + dir_.Path(name + ".key") + "\" }";
  }

 private:
  TempDir dir_;
};

// The balancer with one TLS listener; `more` such as ", min_version: \"1.3\"".
inline ConfigFile TlsConfigFile(const CertificateFiles& files, const std::string& names, const std::string& more = "") {
  std::string list;
  for (const std::string& name : Split(names, ' ')) list += (list.empty() ? "" : ", ") + files.Yaml(name);
  return ConfigFile().ListenTls(Endpoint::V4(FreePort())).Set("tls", "{ certificates: [ " + list + " ]" + more + " }");
}

}  // namespace ub::itest

#endif  // UB_INTEGRATION_TLS_FIXTURE_H_
