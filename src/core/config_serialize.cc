#include "core/config_serialize.h"

#include <fmt/format.h>

#include <charconv>
#include <concepts>
#include <type_traits>

namespace ub {
namespace {

constexpr std::string_view kHeader = "ultrabalancer-config 1\n";

// Writes and reads the same walk over the fields. Each value is a line; lists and maps begin with
// their size.
class Writer {
 public:
  static constexpr bool kReading = false;
  explicit Writer(std::string* out) : out_(out) {}

  template <std::integral T>
  void Value(T& value) {
    fmt::format_to(std::back_inserter(*out_), "{}\n", static_cast<uint64_t>(value));
  }
  void Value(LogLevel& level) {
    fmt::format_to(std::back_inserter(*out_), "{}\n", static_cast<unsigned>(level));
  }
  // Texts carry their length, so that they may hold anything.
  void Value(std::string& text) {
    fmt::format_to(std::back_inserter(*out_), "{} ", text.size());
    out_->append(text);
    out_->push_back('\n');
  }
  void Begin(std::string_view name) { fmt::format_to(std::back_inserter(*out_), "{}\n", name); }
  size_t Size(size_t size) {
    uint64_t number = size;
    Value(number);
    return size;
  }

 private:
  std::string* out_;
};

class Reader {
 public:
  static constexpr bool kReading = true;
  explicit Reader(std::string_view text) : rest_(text) {}

  template <std::integral T>
  void Value(T& value) {
    const uint64_t number = Number('\n');
    value = static_cast<T>(number);
    if (static_cast<uint64_t>(value) != number) good_ = false;
  }
  void Value(LogLevel& level) {
    const uint64_t number = Number('\n');
    if (number > static_cast<uint64_t>(LogLevel::kOff)) good_ = false;
    level = static_cast<LogLevel>(number);
  }
  void Value(std::string& text) {
    const uint64_t size = Number(' ');
    if (!good_ || size >= rest_.size() || rest_[size] != '\n') {
      good_ = false;
      return;
    }
    text.assign(rest_.substr(0, size));
    rest_.remove_prefix(size + 1);
  }
  void Begin(std::string_view name) {
    if (rest_.size() <= name.size() || !rest_.starts_with(name) || rest_[name.size()] != '\n') {
      good_ = false;
      rest_ = {};
      return;
    }
    rest_.remove_prefix(name.size() + 1);
  }
  // What is left bounds the size: every element takes a byte at least.
  size_t Size(size_t /*size*/) {
    const uint64_t size = Number('\n');
    if (size > rest_.size()) good_ = false;
    return good_ ? size : 0;
  }
  bool good() const { return good_; }
  bool at_end() const { return rest_.empty(); }

 private:
  uint64_t Number(char end) {
    uint64_t number = 0;
    const char* const last = rest_.data() + rest_.size();
    const auto [stop, error] = std::from_chars(rest_.data(), last, number);
    if (rest_.empty() || error != std::errc() || stop == last || *stop != end) {
      good_ = false;
      rest_ = {};
      return 0;
    }
    rest_.remove_prefix(static_cast<size_t>(stop - rest_.data()) + 1);
    return number;
  }

  std::string_view rest_;
  bool good_ = true;
};

template <class Archive, class T>
concept Plain = requires(Archive& archive, T& value) {
  archive.Value(value);
};

template <class Archive, class T>
requires Plain<Archive, T>
void Walk(Archive& archive, T& value) { archive.Value(value); }

template <class Archive>
void Walk(Archive& archive, std::pair<uint16_t, uint16_t>& range) {
  archive.Value(range.first);
  archive.Value(range.second);
}

template <class Archive>
void Walk(Archive& archive, std::map<std::string, std::string>& map) {
  const size_t size = archive.Size(map.size());
  if constexpr (Archive::kReading) {
    map.clear();
    for (size_t i = 0; i < size && archive.good(); ++i) {
      std::string name, value;
      archive.Value(name);
      archive.Value(value);
      map[std::move(name)] = std::move(value);
    }
  } else {
    for (auto& [name, value] : map) {
      std::string copy = name;
      archive.Value(copy);
      archive.Value(value);
    }
  }
}

// The structured bindings below name every member: a member added to a struct of config.h does not
// compile until it is written here too.
template <class Archive, class... Members>
void Each(Archive& archive, Members&... members);

template <class Archive>
void Walk(Archive& archive, ListenConfig& c) {
  auto& [address, port, is_unix, text, tls, h2c] = c;
  Each(archive, address, port, is_unix, text, tls, h2c);
}
template <class Archive>
void Walk(Archive& archive, BackendConfig& c) {
  auto& [host, port, is_unix, weight, max_connections, backup, name, h2] = c;
  Each(archive, host, port, is_unix, weight, max_connections, backup, name, h2);
}
template <class Archive>
void Walk(Archive& archive, CircuitBreakerConfig& c) {
  auto& [enabled, failure_threshold, success_threshold, timeout_seconds, half_open_requests] = c;
  Each(archive, enabled, failure_threshold, success_threshold, timeout_seconds, half_open_requests);
}

template <class Archive>
void Walk(Archive& archive, CertificateConfig& c) {
  auto& [certificate, key, ocsp_staple_file, certificate_pem, key_pem, ocsp_staple] = c;
  Each(archive, certificate, key, ocsp_staple_file, certificate_pem, key_pem, ocsp_staple);
}

template <class Archive, class T>
void Walk(Archive& archive, std::vector<T>& list) {
  const size_t size = archive.Size(list.size());
  if constexpr (Archive::kReading) {
    list.clear();
    for (size_t i = 0; i < size && archive.good(); ++i) Walk(archive, list.emplace_back());
  } else {
    for (T& item : list) Walk(archive, item);
  }
}

template <class Archive>
void Walk(Archive& archive, HealthCheckConfig& c) {
  auto& [enabled, type, grpc_service, interval_ms, timeout_ms, max_failures, min_successes, method, path,
         expected_status, expected_body, headers, circuit_breaker, slow_start_ms,
         panic_threshold_percent] = c;
  Each(archive, enabled, type, grpc_service, interval_ms, timeout_ms, max_failures, min_successes, method, path,
       expected_status, expected_body, headers, circuit_breaker, slow_start_ms,
       panic_threshold_percent);
}
template <class Archive>
void Walk(Archive& archive, TimeoutConfig& c) {
  auto& [connect_ms, request_ms, header_ms, idle_ms, drain_ms] = c;
  Each(archive, connect_ms, request_ms, header_ms, idle_ms, drain_ms);
}
template <class Archive>
void Walk(Archive& archive, ConnectionPoolConfig& c) {
  auto& [max_idle_per_backend, idle_timeout_ms, max_requests] = c;
  Each(archive, max_idle_per_backend, idle_timeout_ms, max_requests);
}
template <class Archive>
void Walk(Archive& archive, QueueConfig& c) {
  auto& [max_requests, timeout_ms] = c;
  Each(archive, max_requests, timeout_ms);
}
template <class Archive>
void Walk(Archive& archive, RetryConfig& c) {
  auto& [max_attempts, on_connect, on_reset, on_timeout, on_502, on_503, on_504, budget_percent] =
      c;
  Each(archive, max_attempts, on_connect, on_reset, on_timeout, on_502, on_503, on_504,
       budget_percent);
}
template <class Archive>
void Walk(Archive& archive, RateLimitConfig& c) {
  auto& [enabled, requests_per_second, burst, key, exempt] = c;
  Each(archive, enabled, requests_per_second, burst, key, exempt);
}
template <class Archive>
void Walk(Archive& archive, LimitsConfig& c) {
  auto& [header_bytes, headers, uri_bytes, body_bytes, min_rate_bytes, connections_per_client,
         requests_per_connection] = c;
  Each(archive, header_bytes, headers, uri_bytes, body_bytes, min_rate_bytes,
       connections_per_client, requests_per_connection);
}
template <class Archive>
void Walk(Archive& archive, ProxyProtocolConfig& c) {
  auto& [accept, trust] = c;
  Each(archive, accept, trust);
}
template <class Archive>
void Walk(Archive& archive, ForwardedConfig& c) {
  auto& [trust, x_forwarded, x_request_id, via, client_certificates] = c;
  Each(archive, trust, x_forwarded, x_request_id, via, client_certificates);
}
template <class Archive>
void Walk(Archive& archive, TlsConfig& c) {
  auto& [certificates, min_version, ciphers, curves, alpn, session_tickets, ticket_rotation_seconds, client_ca,
         client_ca_pem, client_optional, redirect_http, hsts_seconds, ocsp_staple_file] = c;
  Each(archive, certificates, min_version, ciphers, curves, alpn, session_tickets, ticket_rotation_seconds,
       client_ca, client_ca_pem, client_optional, redirect_http, hsts_seconds, ocsp_staple_file);
}
template <class Archive>
void Walk(Archive& archive, Http2Config& c) {
  auto& [enabled, max_concurrent_streams, initial_window_bytes, connection_window_bytes, buffer_bytes,
         header_list_bytes, max_continuations, interval_ms, max_resets, max_pings, max_settings, max_priorities,
         max_empty_frames, max_window_updates] = c;
  Each(archive, enabled, max_concurrent_streams, initial_window_bytes, connection_window_bytes, buffer_bytes,
       header_list_bytes, max_continuations, interval_ms, max_resets, max_pings, max_settings, max_priorities,
       max_empty_frames, max_window_updates);
}
template <class Archive>
void Walk(Archive& archive, BackendTlsConfig& c) {
  auto& [enabled, verify, ca_file, server_name, own, ca_pem] = c;
  Each(archive, enabled, verify, ca_file, server_name, own, ca_pem);
}
template <class Archive>
void Walk(Archive& archive, LoggingConfig& c) {
  auto& [level, file, access_log, format] = c;
  Each(archive, level, file, access_log, format);
}
template <class Archive>
void Walk(Archive& archive, AdminConfig& c) {
  auto& [enabled, listen_address, listen_port, port_given, api_key, dashboard, on_main_port,
         state_file] = c;
  Each(archive, enabled, listen_address, listen_port, port_given, api_key, dashboard, on_main_port,
       state_file);
}
template <class Archive>
void Walk(Archive& archive, SharedMemoryConfig& c) {
  auto& [max_backends, rate_limit_entries] = c;
  Each(archive, max_backends, rate_limit_entries);
}

template <class Archive, class... Members>
void Each(Archive& archive, Members&... members) {
  (Walk(archive, members), ...);
}

// The sections carry their names, so that a text of another version is told at the first
// difference.
template <class Archive, class T>
void Section(Archive& archive, std::string_view name, T& section) {
  archive.Begin(name);
  Walk(archive, section);
}

template <class Archive>
void WalkConfig(Archive& archive, Config& config) {
  auto& [listen, workers, max_connections, algorithm, hash_key, default_weight, backends,
         health_check, timeout, connection_pool, queue, retry, rate_limit, limits, proxy_protocol,
         forwarded, tls, http2, backend_tls, logging, admin, shared_memory, user, group, pid_file, cpu_affinity,
         resolve_interval_ms] = config;
  Each(archive, workers, max_connections, algorithm, hash_key, default_weight, user, group,
       pid_file, cpu_affinity, resolve_interval_ms);
  Section(archive, "listen", listen);
  Section(archive, "backends", backends);
  Section(archive, "health_check", health_check);
  Section(archive, "timeout", timeout);
  Section(archive, "connection_pool", connection_pool);
  Section(archive, "queue", queue);
  Section(archive, "retry", retry);
  Section(archive, "rate_limit", rate_limit);
  Section(archive, "limits", limits);
  Section(archive, "proxy_protocol", proxy_protocol);
  Section(archive, "forwarded", forwarded);
  Section(archive, "tls", tls);
  Section(archive, "http2", http2);
  Section(archive, "backend_tls", backend_tls);
  Section(archive, "logging", logging);
  Section(archive, "admin", admin);
  Section(archive, "shared_memory", shared_memory);
}

}  // namespace

std::string SerializeConfig(const Config& config) {
  std::string out(kHeader);
  out.reserve(1024 + config.backends.size() * 64);
  Writer writer(&out);
  WalkConfig(writer, const_cast<Config&>(config));  // a Writer only reads
  return out;
}

Result<Config> ParseSerializedConfig(std::string_view text) {
  Config config;
  if (text.starts_with(kHeader)) {
    Reader reader(text.substr(kHeader.size()));
    WalkConfig(reader, config);
    if (reader.good() && reader.at_end()) return config;
  }
  return Fail(Status::Config("not a configuration of this version"));
}

}  // namespace ub
