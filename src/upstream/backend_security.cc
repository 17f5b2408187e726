#include "upstream/backend_security.h"

#include <algorithm>

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
  hosts_.clear();
  if (!enabled() || !config_.server_name.empty()) return Status::Ok();
  for (const BackendConfig& backend : config.backends) hosts_.emplace(backend.name, backend.host);
  return Status::Ok();
}

std::string BackendSecurity::NameOf(const BackendSlot& slot) const {
  if (!config_.server_name.empty()) return config_.server_name;
  if (const auto known = hosts_.find(slot.name); known != hosts_.end()) return known->second;
  // One that was added at run time, "app1:443", "10.0.0.1:80" or "[::1]:80", or by a name of its own.
  const std::string_view address = slot.address_text, name = slot.name;
  const std::string_view port = address.substr(std::min(address.rfind(':'), address.size()));
  std::string_view host = name.ends_with(port) ? name : address;
  host = host.substr(0, host.rfind(':'));
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  return std::string(host);
}

std::unique_ptr<Transport> BackendSecurity::NewTransport(const BackendSlot& slot, bool h2) const {
  return context_->NewTransport(NameOf(slot), h2);
}

}  // namespace ub
