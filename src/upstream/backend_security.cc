#include "upstream/backend_security.h"

namespace ub {

Status BackendSecurity::Configure(const Config& config, bool* changed) {
  *changed = !(config.backend_tls == config_);
  if (*changed) {
    std::shared_ptr<const TlsClientContext> made;
    if (config.backend_tls.enabled) {
      auto context = TlsClientContext::Create(config.backend_tls);
      if (!context) return context.error();
      made = std::move(*context);
    }
    context_ = std::move(made);
    config_ = config.backend_tls;
  }
  return Status::Ok();
}

std::string BackendSecurity::NameOf(const BackendSlot& slot) const {
  return config_.server_name.empty() ? slot.host : config_.server_name;
}

std::unique_ptr<Transport> BackendSecurity::NewTransport(const BackendSlot& slot, bool h2) const {
  return context_->NewTransport(NameOf(slot), h2);
}

}  // namespace ub
