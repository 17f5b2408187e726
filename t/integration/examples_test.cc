// Each configuration in conf/ is a good one and serves, with what this machine has in the place of
// its addresses.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "fake_backend.h"
#include "flags_only.h"
#include "tls_fixture.h"

namespace ub::itest {
namespace {

std::vector<std::string> Examples() {
  const char* root = getenv("UB_SRCDIR");
  std::vector<std::string> files;
  for (const auto& entry :
       std::filesystem::directory_iterator((root != nullptr ? std::string(root) : ".") + "/conf")) {
    const std::string extension = entry.path().extension();
    if (extension == ".yaml" || extension == ".toml" || extension == ".ini")
      files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

// Where an example names certificates, it is a copy whose certificates this machine has.
class Example : public testing::TestWithParam<std::string> {
 protected:
  std::string Prepare(CertificateFiles* files) {
    std::string text = ReadFile(GetParam());
    const bool tls = Contains(text, "/etc/ssl/");
    if (!tls || GetParam().ends_with("/ultrabalancer.yaml")) return GetParam();
    for (const std::string name : {"example.org", "example.net", "internal-ca"}) files->Put(name, MakeCertificate({name}));
    for (const std::string directory : {"/etc/ssl/private/", "/etc/ssl/"}) {
      for (size_t at; (at = text.find(directory)) != std::string::npos;) text.replace(at, directory.size(), files->Path(""));
    }
    const std::string copy = files->Path(std::filesystem::path(GetParam()).filename());
    WriteFile(copy, text);
    return copy;
  }
};

TEST_P(Example, IsGoodAsItStands) {
  CertificateFiles files;
  const CommandResult result = RunBinary({"validate", "-f", Prepare(&files)});
  EXPECT_EQ(result.status, 0) << result.err;
}

TEST_P(Example, Serves) {
  const FakeBackend backend;
  CertificateFiles files;
  // Its one listener is plain: there is nowhere to redirect to. Nor does the backend speak TLS.
  FlagsOnly instance({"-c", Prepare(&files), "-g", "tls.redirect_http=false", "-g", "backend_tls.enabled=false", "-b", backend.endpoint().Text()});
  ASSERT_TRUE(instance.WaitServing()) << instance.Log();
  EXPECT_EQ(FetchOnce(instance.endpoint()).status, 200);
  EXPECT_EQ(instance.Log().find("ultrabalancer: /"), std::string::npos) << instance.Log();
}

INSTANTIATE_TEST_SUITE_P(Conf, Example, testing::ValuesIn(Examples()), [](const auto& example) {
  std::string name = std::filesystem::path(example.param).filename();
  std::replace_if(
      name.begin(), name.end(), [](char c) { return !isalnum(c); }, '_');
  return name;
});

TEST(Examples, ThereIsOneForEachUse) {
  const std::vector<std::string> files = Examples();
  for (const char* use :
       {"simple.yaml", "simple.toml", "simple.ini", "weighted.yaml", "sticky-sessions.yaml",
        "rate-limited-api.yaml", "canary.yaml", "websocket.yaml", "tls.yaml", "tls-backends.yaml", "http2.yaml", "ultrabalancer.yaml"}) {
    EXPECT_TRUE(std::ranges::any_of(files, [use](const std::string& file) {
      return std::filesystem::path(file).filename() == use;
    })) << use;
  }
}

}  // namespace
}  // namespace ub::itest
