// Requests that came without TLS are sent to https (tls.redirect_http): 308, so that a POST stays one.
//
// A stage of the request (http/request_stage.h). Those who ask for an ACME challenge are let through: it is answered by a
// backend that is about to get the first certificate.
#ifndef UB_HTTP_HTTPS_REDIRECT_H_
#define UB_HTTP_HTTPS_REDIRECT_H_

#include "http/request_stage.h"

namespace ub {

class HttpsRedirect final : public RequestStage {
 public:
  // `config.listen` has a TLS listener: the first one's port is where clients are sent.
  explicit HttpsRedirect(const Config& config);
  bool Admit(const StageRequest& request, StageResult* result) override;

 private:
  uint16_t port_ = 443;
};

}  // namespace ub

#endif  // UB_HTTP_HTTPS_REDIRECT_H_
