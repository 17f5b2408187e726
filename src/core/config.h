// The typed configuration: what every other part reads. Plain values with the built-in defaults, made by
// config_bind from checked nodes, immutable once built. Shared as shared_ptr<const Config>: a request under
// way keeps the one that it began with.
//
// The names follow the keys of ultrabalancer.yaml(5). Durations are milliseconds, sizes bytes; 0 means
// "no limit" or "off" where the key's description says so.
// Size: one struct a section of the file, and they are read together.
#ifndef UB_CORE_CONFIG_H_
#define UB_CORE_CONFIG_H_

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "core/config_http2.h"
#include "core/log.h"

namespace ub {

// Where to listen. Text forms: "0.0.0.0:80", "[::]:80", "unix:/run/ub.sock".
struct ListenConfig {
  std::string address;  // IP literal without brackets, or the path of a unix socket
  uint16_t port = 0;    // 0 for a unix socket
  bool is_unix = false;
  std::string text;     // canonical form, the key of the socket set
  bool tls = false;     // "0.0.0.0:443 tls"; not part of `text`: a change opens no new socket
  bool h2c = false;     // "0.0.0.0:8080 h2c": HTTP/2 without TLS too; nor is this
  // The word behind the address.
  const char* option() const { return tls ? " tls" : h2c ? " h2c" : ""; }
  bool operator==(const ListenConfig&) const = default;
};

struct BackendConfig {
  std::string host;  // name, IP literal without brackets, or path where is_unix
  uint16_t port = 0;
  bool is_unix = false;
  uint32_t weight = 100;         // 1..65535
  uint32_t max_connections = 0;  // requests in flight over all workers; 0: no limit
  bool backup = false;
  std::string name;  // for people; default: the address text
  bool h2 = false;   // protocol: h2 or http1
  const char* protocol() const { return h2 ? "h2" : "http1"; }
  // "10.0.0.1:80", "[::1]:80", "app1:8080", "unix:/path".
  std::string AddressText() const;
  bool operator==(const BackendConfig&) const = default;
};

struct CircuitBreakerConfig {
  bool enabled = true;
  uint32_t failure_threshold = 5;
  uint32_t success_threshold = 2;
  uint32_t timeout_seconds = 60;
  uint32_t half_open_requests = 3;
  bool operator==(const CircuitBreakerConfig&) const = default;
};

struct HealthCheckConfig {
  bool enabled = true;
  std::string type = "tcp";  // or http, or grpc
  std::string grpc_service;  // empty: the whole server
  bool http() const { return type == "http"; }
  bool grpc() const { return type == "grpc"; }
  uint32_t interval_ms = 5000;
  uint32_t timeout_ms = 2000;
  uint32_t max_failures = 3;
  uint32_t min_successes = 2;
  std::string method = "HEAD";
  std::string path;
  std::vector<std::pair<uint16_t, uint16_t>> expected_status = {{200, 200}};  // inclusive ranges
  std::string expected_body;
  std::map<std::string, std::string> headers;
  CircuitBreakerConfig circuit_breaker;
  uint32_t slow_start_ms = 0;
  uint32_t panic_threshold_percent = 0;
  bool operator==(const HealthCheckConfig&) const = default;
};

struct TimeoutConfig {
  uint32_t connect_ms = 5000;
  uint32_t request_ms = 30000;  // to the response head, then between two bytes
  uint32_t header_ms = 10000;   // a client's time for one whole head
  uint32_t idle_ms = 60000;     // a kept-alive client between two requests; a tunnel without a byte
  uint32_t drain_ms = 30000;
  bool operator==(const TimeoutConfig&) const = default;
};

struct ConnectionPoolConfig {
  static constexpr uint32_t kAuto = UINT32_MAX;
  uint32_t max_idle_per_backend = kAuto;  // per worker; 0: no keep-alive to backends
  uint32_t idle_timeout_ms = 55000;
  uint32_t max_requests = 10000;  // per connection
  bool operator==(const ConnectionPoolConfig&) const = default;
};

struct QueueConfig {
  uint32_t max_requests = 0;  // per worker; 0: answer 503 at once
  uint32_t timeout_ms = 1000;
  bool operator==(const QueueConfig&) const = default;
};

struct RetryConfig {
  uint32_t max_attempts = 2;  // tries in all, the first included; 1: no retry
  bool on_connect = true, on_reset = true, on_timeout = false;
  bool on_502 = false, on_503 = false, on_504 = false;
  uint32_t budget_percent = 20;
  bool operator==(const RetryConfig&) const = default;
};

struct RateLimitConfig {
  bool enabled = false;
  uint32_t requests_per_second = 100;
  uint32_t burst = 200;
  std::string key = "client_ip";
  std::vector<std::string> exempt;  // CIDR
  bool operator==(const RateLimitConfig&) const = default;
};

struct LimitsConfig {
  uint64_t header_bytes = 32 * 1024;
  uint32_t headers = 100;
  uint64_t uri_bytes = 8 * 1024;
  uint64_t body_bytes = 0;
  uint64_t min_rate_bytes = 0;
  uint32_t connections_per_client = 0;
  uint32_t requests_per_connection = 0;
  bool operator==(const LimitsConfig&) const = default;
};

struct ProxyProtocolConfig {
  bool accept = false;
  std::vector<std::string> trust;  // CIDR
  bool operator==(const ProxyProtocolConfig&) const = default;
};

struct ForwardedConfig {
  std::vector<std::string> trust;  // CIDR of peers whose X-Forwarded-* are believed
  bool x_forwarded = true;
  bool x_request_id = true;
  bool via = false;
  bool client_certificates = false;  // tls.client_ca is set: nobody but us may speak of them
  bool operator==(const ForwardedConfig&) const = default;
};

struct LoggingConfig {
  LogLevel level = LogLevel::kInfo;
  std::string file = "stderr";
  std::string access_log = "off";
  std::string format = "combined";  // or "json"
  bool operator==(const LoggingConfig&) const = default;
};

struct AdminConfig {
  bool enabled = true;
  std::string listen_address = "127.0.0.1";
  uint16_t listen_port = 8081;
  bool port_given = false;  // a port that was asked for and is taken is an error, the default one a warning
  std::string api_key;
  bool dashboard = true;
  bool on_main_port = false;
  std::string state_file;
  bool operator==(const AdminConfig&) const = default;
};

// A certificate with its chain, and its private key. The master reads the files when it loads the configuration: workers
// have no right to, and a file that changes later changes nothing.
struct CertificateConfig {
  std::string certificate;  // path
  std::string key;          // path, or env:NAME; equal to `certificate` where both are in one file
  std::string ocsp_staple_file;  // path of an OCSP response (DER); empty: none
  std::string certificate_pem, key_pem, ocsp_staple;  // what they hold
  bool operator==(const CertificateConfig&) const = default;
};

struct TlsConfig {
  std::vector<CertificateConfig> certificates;
  std::string min_version = "1.2";  // or 1.3
  // The six of Mozilla's intermediate profile that have elliptic curves.
  std::string ciphers = "ECDHE+AESGCM:ECDHE+CHACHA20";
  std::string curves = "X25519:P-256:P-384";
  std::vector<std::string> alpn = {"h2", "http/1.1"};
  bool session_tickets = true;
  uint32_t ticket_rotation_seconds = 3600;
  std::string client_ca;        // path; empty: clients are not asked for certificates
  std::string client_ca_pem;    // what it holds
  bool client_optional = false;  // client_auth: required or optional
  bool redirect_http = false;
  uint32_t hsts_seconds = 0;
  std::string ocsp_staple_file;  // of the first certificate, where that names none itself
  bool operator==(const TlsConfig&) const = default;
};

// TLS to the backends.
struct BackendTlsConfig {
  bool enabled = false;
  bool verify = true;
  std::string ca_file;      // path; empty: the system's authorities
  std::string server_name;  // empty: each backend's host
  CertificateConfig own;    // what we show to backends that ask; empty: nothing
  std::string ca_pem;       // what ca_file holds
  bool operator==(const BackendTlsConfig&) const = default;
};

struct SharedMemoryConfig {
  uint32_t max_backends = 1024;
  uint32_t rate_limit_entries = 65536;
  bool operator==(const SharedMemoryConfig&) const = default;
};

struct Config {
  std::vector<ListenConfig> listen;  // never empty once bound
  uint32_t workers = 0;              // 0: auto, one a CPU that this process may use
  uint32_t max_connections = 10000;  // client connections over all workers
  std::string algorithm = "round-robin";
  std::string hash_key = "client_ip";
  uint32_t default_weight = 100;
  std::vector<BackendConfig> backends;
  HealthCheckConfig health_check;
  TimeoutConfig timeout;
  ConnectionPoolConfig connection_pool;
  QueueConfig queue;
  RetryConfig retry;
  RateLimitConfig rate_limit;
  LimitsConfig limits;
  ProxyProtocolConfig proxy_protocol;
  ForwardedConfig forwarded;
  TlsConfig tls;
  Http2Config http2;
  BackendTlsConfig backend_tls;
  LoggingConfig logging;
  AdminConfig admin;
  SharedMemoryConfig shared_memory;
  std::string user, group;
  std::string pid_file;
  bool cpu_affinity = false;
  uint32_t resolve_interval_ms = 30000;
  bool operator==(const Config&) const = default;
};

// Workers to run for `config.workers`: itself, or the CPUs in this process's affinity mask (at least 1).
uint32_t EffectiveWorkers(const Config& config);

}  // namespace ub

#endif  // UB_CORE_CONFIG_H_
