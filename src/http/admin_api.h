// The admin API's answers (/admin/*): checks what is asked for, has the controller change it, says
// what came of it, and logs who changed what. Controller process; access was checked before.
#ifndef UB_HTTP_ADMIN_API_H_
#define UB_HTTP_ADMIN_API_H_

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "http/management_message.h"
#include "http/metrics_json.h"
#include "upstream/management.h"

namespace ub {

// {"success":…,"message":…,"data":…}: every answer of the API, errors included.
ManagementResponse Envelope(uint16_t status, std::string_view message, Json data = nullptr);

class AdminApi {
 public:
  explicit AdminApi(ManagementHost* host) : host_(host) {}

  ManagementResponse List(const ManagementRequest& request);
  ManagementResponse Add(const ManagementRequest& request);
  ManagementResponse Remove(const ManagementRequest& request);
  ManagementResponse SetWeight(const ManagementRequest& request);
  ManagementResponse Drain(const ManagementRequest& request);
  ManagementResponse Undrain(const ManagementRequest& request);
  ManagementResponse Health(const ManagementRequest& request);
  ManagementResponse ConfigInForce(const ManagementRequest& request);
  // The answer comes with the master's: OnReloadResult. A value: it was refused at once.
  std::optional<ManagementResponse> Reload(const ManagementRequest& request);
  struct ReloadAnswer {
    uint64_t exchange;
    ManagementResponse response;
  };
  // `errors`: a line each; empty: it is in force. nullopt: nobody waits for that ticket.
  std::optional<ReloadAnswer> OnReloadResult(uint64_t ticket, std::string_view errors, bool everywhere);

 private:
  ManagementResponse SetDrain(const ManagementRequest& request, bool drain);
  // The backend as it is now, for an answer's data; null where it is gone.
  Json Shown(std::string_view address) const;

  ManagementHost* const host_;
  std::map<uint64_t, uint64_t> reloads_;  // exchanges that wait, by their tickets
  uint64_t next_ticket_ = 1;
};

}  // namespace ub

#endif  // UB_HTTP_ADMIN_API_H_
