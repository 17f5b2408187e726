// What the management address serves: the routes, and what stands behind them. Made by main.cc,
// driven by the controller.
//
// To serve another path, add a row to Routes() in management_service.cc.
#ifndef UB_HTTP_MANAGEMENT_SERVICE_H_
#define UB_HTTP_MANAGEMENT_SERVICE_H_

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "event/timer.h"
#include "http/admin_api.h"
#include "http/management_server.h"
#include "http/rate_sampler.h"
#include "upstream/management.h"

namespace ub {

class HttpManagement final : public ManagementService, public ManagementHandler {
 public:
  HttpManagement();
  ~HttpManagement() override;

  // ManagementService
  void Start(ManagementHost* host) override;
  void Leave(std::function<void()> gone) override;
  void Stop() override;
  void TakeListeners(std::vector<UniqueFd> sockets) override;
  void TakeHandover(int fd) override;
  void OnReloadResult(uint64_t ticket, std::string_view errors, bool everywhere) override;

  // ManagementHandler
  std::optional<ManagementResponse> OnRequest(const ManagementRequest& request) override;

  // "GET /health": every request that is answered, as the manual must have it.
  static std::vector<std::string> RouteNames();

 private:
  using Answer = std::optional<ManagementResponse> (*)(HttpManagement& self, const ManagementRequest& request);
  struct Route {
    Method method;  // kGet: HEAD too
    std::string_view path;
    Answer answer;
  };
  static std::span<const Route> Routes();
  static void OnSample(void* self);
  static void OnLeaveTime(void* self);

  static std::optional<ManagementResponse> Dashboard(HttpManagement& self, const ManagementRequest& request);
  ManagementResponse Health() const;
  ManagementResponse Ready() const;
  MetricsSnapshot Snapshot() const;
  template <ManagementResponse (AdminApi::*call)(const ManagementRequest&)>
  static std::optional<ManagementResponse> Api(HttpManagement& self, const ManagementRequest& request);

  ManagementHost* host_ = nullptr;
  std::vector<std::string> own_names_;
  std::unique_ptr<ManagementServer> server_;
  std::unique_ptr<AdminApi> api_;
  RateSampler sampler_;
  std::unique_ptr<Timer> sample_timer_, leave_timer_;
  std::function<void()> gone_;
};

}  // namespace ub

#endif  // UB_HTTP_MANAGEMENT_SERVICE_H_
