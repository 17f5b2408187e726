#include "http/management_service.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <sstream>

#include "http/dashboard.h"
#include "http/management_access.h"
#include "http/metrics_prometheus.h"

namespace ub {
namespace {

constexpr uint64_t kLeaveNs = 200'000'000;  // the master waits half a second for a controller to leave

std::string_view MethodText(Method method) {
  switch (method) {
    case Method::kGet:
      return "GET, HEAD";
    case Method::kPost:
      return "POST";
    case Method::kPut:
      return "PUT";
    case Method::kDelete:
      return "DELETE";
    default:
      return "";
  }
}

std::string TextOf(const char* path) {
  std::stringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

std::vector<std::string> MachineNames() {
  std::array<char, 256> name{};
  if (gethostname(name.data(), name.size() - 1) != 0) return {};
  return OwnNames(name.data(), TextOf("/etc/hosts"), TextOf("/etc/resolv.conf"));
}

}  // namespace

template <ManagementResponse (AdminApi::*call)(const ManagementRequest&)>
std::optional<ManagementResponse> HttpManagement::Api(HttpManagement& self, const ManagementRequest& request) {
  return (self.api_.get()->*call)(request);
}

std::span<const HttpManagement::Route> HttpManagement::Routes() {
  static constexpr Route kRoutes[] = {
      {Method::kGet, "/health", [](HttpManagement& self, const ManagementRequest&) { return std::optional(self.Health()); }},
      {Method::kGet, "/ready", [](HttpManagement& self, const ManagementRequest&) { return std::optional(self.Ready()); }},
      {Method::kGet, "/metrics",
       [](HttpManagement& self, const ManagementRequest&) {
         const Json json = MetricsJson(self.Snapshot(), self.host_->config()->algorithm);
         return std::optional(ManagementResponse{200, "application/json", JsonText(json)});
       }},
      {Method::kGet, "/prometheus",
       [](HttpManagement& self, const ManagementRequest&) {
         return std::optional(ManagementResponse{
             200, kPrometheusContentType, MetricsPrometheus(self.Snapshot(), self.host_->config()->algorithm)});
       }},
      {Method::kGet, "/dashboard", &Dashboard},
      {Method::kGet, "/dashboard/app.js", &Dashboard},
      {Method::kGet, "/dashboard/style.css", &Dashboard},
      {Method::kGet, "/dashboard/icon.svg", &Dashboard},
      {Method::kGet, "/admin/backends", &Api<&AdminApi::List>},
      {Method::kPost, "/admin/backends", &Api<&AdminApi::Add>},
      {Method::kDelete, "/admin/backends", &Api<&AdminApi::Remove>},
      {Method::kPut, "/admin/backends/weight", &Api<&AdminApi::SetWeight>},
      {Method::kPost, "/admin/backends/drain", &Api<&AdminApi::Drain>},
      {Method::kPost, "/admin/backends/undrain", &Api<&AdminApi::Undrain>},
      {Method::kGet, "/admin/health", &Api<&AdminApi::Health>},
      {Method::kGet, "/admin/config", &Api<&AdminApi::ConfigInForce>},
      {Method::kPost, "/admin/reload",
       [](HttpManagement& self, const ManagementRequest& request) { return self.api_->Reload(request); }},
  };
  return kRoutes;
}

std::vector<std::string> HttpManagement::RouteNames() {
  std::vector<std::string> names;
  for (const Route& route : Routes()) {
    const std::string_view method = route.method == Method::kGet    ? "GET "
                                    : route.method == Method::kPost ? "POST "
                                    : route.method == Method::kPut  ? "PUT "
                                                                    : "DELETE ";
    names.push_back(std::string(method) + std::string(route.path));
  }
  return names;
}

HttpManagement::HttpManagement() = default;
HttpManagement::~HttpManagement() = default;

void HttpManagement::Start(ManagementHost* host) {
  host_ = host;
  own_names_ = MachineNames();
  api_ = std::make_unique<AdminApi>(host);
  server_ = std::make_unique<ManagementServer>(host->loop(), this);
  sample_timer_ = std::make_unique<Timer>(host->loop(), &HttpManagement::OnSample, this);
  OnSample(this);
}

void HttpManagement::Leave(std::function<void()> gone) {
  gone_ = std::move(gone);
  leave_timer_ = std::make_unique<Timer>(host_->loop(), &HttpManagement::OnLeaveTime, this);
  leave_timer_->Set(host_->loop()->now_ns() + kLeaveNs);
  server_->Leave([this] { gone_(); });
}

void HttpManagement::OnLeaveTime(void* self) { static_cast<HttpManagement*>(self)->gone_(); }

void HttpManagement::Stop() {
  leave_timer_.reset();
  sample_timer_.reset();
  server_.reset();
}

void HttpManagement::TakeListeners(std::vector<UniqueFd> sockets) { server_->Listen(std::move(sockets)); }

void HttpManagement::TakeHandover(int fd) { server_->TakeHandover(fd); }

void HttpManagement::OnReloadResult(uint64_t ticket, std::string_view errors, bool everywhere) {
  const auto answer = api_->OnReloadResult(ticket, errors, everywhere);
  if (answer) server_->Answer(answer->exchange, answer->response);
}

void HttpManagement::OnSample(void* self) {
  auto* service = static_cast<HttpManagement*>(self);
  const uint64_t now = service->host_->loop()->now_ns();
  service->sampler_.Sample(now, TotalRequests(service->host_->shm()));
  service->sample_timer_->Set(now + RateSampler::kIntervalNs);
}

std::optional<ManagementResponse> HttpManagement::OnRequest(const ManagementRequest& request) {
  if (const AccessVerdict verdict = CheckOrigin(request, own_names_, !host_->config()->admin.api_key.empty()); verdict.status != 0) {
    return Envelope(verdict.status, verdict.reason);
  }
  const Method method = request.head->method == Method::kHead ? Method::kGet : request.head->method;
  if (request.path == "/admin" || request.path.starts_with("/admin/")) {
    const AccessVerdict verdict = CheckKey(request, host_->config()->admin, method != Method::kGet);
    if (verdict.status != 0) {
      ManagementResponse response = Envelope(verdict.status, verdict.reason);
      // RFC 9110 section 15.5.2 wants a challenge; no registered scheme has its key in a field of its own.
      if (verdict.status == 401) response.fields = "WWW-Authenticate: ApiKey field=\"X-API-Key\"\r\n";
      return response;
    }
  }
  std::string allowed;
  for (const Route& route : Routes()) {
    if (route.path != request.path) continue;
    if (route.method == method) return route.answer(*this, request);
    allowed += fmt::format("{}{}", allowed.empty() ? "" : ", ", MethodText(route.method));
  }
  if (allowed.empty()) return Envelope(404, "there is no such path");
  ManagementResponse response = Envelope(405, fmt::format("this path takes {}", allowed));
  response.fields = fmt::format("Allow: {}\r\n", allowed);
  return response;
}

std::optional<ManagementResponse> HttpManagement::Dashboard(HttpManagement& self, const ManagementRequest& request) {
  const DashboardFile* const file = FindDashboardFile(request.path);
  if (file == nullptr || !self.host_->config()->admin.dashboard) return Envelope(404, "there is no such path");
  return ManagementResponse{200, file->content_type, std::string(file->content), std::string(kDashboardFields)};
}

ManagementResponse HttpManagement::Health() const {
  return {200, "application/json",
          JsonText({{"status", host_->draining() ? "draining" : "ok"}, {"version", Version()}})};
}

ManagementResponse HttpManagement::Ready() const {
  const std::vector<BackendMetrics> backends = SnapshotBackends(host_->shm(), false);
  // As workers see it (UpstreamGroup::UpdatePanic): below the threshold all primaries are used, whatever their checks say.
  uint64_t taking = 0, healthy = 0;
  for (const BackendMetrics& each : backends) {
    if (each.backup || each.admin != AdminState::kReady) continue;
    ++taking;
    healthy += each.healthy() ? 1 : 0;
  }
  const bool panic = healthy * 100 < taking * host_->config()->health_check.panic_threshold_percent;
  const auto usable = std::count_if(backends.begin(), backends.end(), [panic](const auto& each) {
    return each.usable() || (panic && !each.backup && each.admin == AdminState::kReady && each.circuit != CircuitState::kOpen);
  });
  const bool ready = usable > 0 && !host_->draining();
  const char* const status = host_->draining() ? "draining" : ready ? "ready" : "no backend is usable";
  return {static_cast<uint16_t>(ready ? 200 : 503), "application/json",
          JsonText({{"status", status}, {"usable_backends", usable}, {"backends", backends.size()}})};
}

MetricsSnapshot HttpManagement::Snapshot() const {
  const ShmSegment& shm = host_->shm();
  MetricsSnapshot out = TakeSnapshot(shm, sampler_.Rates(host_->loop()->now_ns(), TotalRequests(shm)));
  out.certificates = CertificateEnds(host_->config()->tls);
  return out;
}

}  // namespace ub
