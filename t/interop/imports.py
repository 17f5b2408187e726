"""nginx or HAProxy and the balancer by what `import` made of the same file: where requests go, and what is refused.
`run` imports this."""
import collections
import http.client
import http.server
import os
import ssl
import subprocess
import threading

import __main__ as interop

check, wait_for, free_port = interop.check, interop.wait_for, interop.free_port


class Backend:
    """Answers with its name; with 503 while it is told to be ill (also to checks). `pem`: by TLS, with that certificate."""

    def __init__(self, name, pem=None):
        self.name, self.ill = name, False
        backend = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                if "Content-Length" in self.headers:
                    self.rfile.read(int(self.headers["Content-Length"]))
                body = backend.name.encode()
                self.send_response(503 if backend.ill else 200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            do_HEAD = do_POST = do_OPTIONS = do_GET

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, *_):
                pass  # connections that the balancers and their checks break

        self.server = Server(("127.0.0.1", 0), Handler)
        if pem is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(pem)
            # The handshake is the thread's that serves the connection: it must not hold up who comes next.
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05})
        self.thread.start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


def make_certificate(path, name):
    """A certificate for that name which is its own authority, and its key, in one file."""
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                    "-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}", "-keyout", path + ".key", "-out", path],
                   check=True, capture_output=True)
    with open(path, "a") as both, open(path + ".key") as key:
        both.write(key.read())
    return path


def ask(port, path="/", source="127.0.0.1", method="GET", body=None, headers=(), secure=False):
    """Status and text of one request on a connection of its own; 0 where there was no answer."""
    kind, more = http.client.HTTPConnection, {}
    if secure:
        kind, more = http.client.HTTPSConnection, {"context": ssl._create_unverified_context()}
    connection = kind("127.0.0.1", port, timeout=10 * interop.FACTOR, source_address=(source, 0), **more)
    try:
        connection.request(method, path, body, dict(headers))
        answer = connection.getresponse()
        return answer.status, answer.read().decode("latin-1")
    except (OSError, http.client.HTTPException):
        return 0, ""
    finally:
        connection.close()


NGINX = """{user}
worker_processes 1;
daemon off;
pid {dir}/nginx-{port}.pid;
error_log {dir}/nginx-{port}-error.log warn;
events {{ worker_connections 1024; }}
http {{
  access_log off;
  client_body_temp_path {dir}/body-{port};
  proxy_temp_path {dir}/proxy-{port};
  fastcgi_temp_path {dir}/fastcgi-{port};
  uwsgi_temp_path {dir}/uwsgi-{port};
  scgi_temp_path {dir}/scgi-{port};
  {outer}
  upstream pool {{
    {upstream}
  }}
  server {{
    listen 127.0.0.1:{port}{listen};
    {server}
    location / {{
      proxy_pass {scheme}://pool;
      proxy_set_header Host $host;
      {location}
    }}
  }}
}}
"""

HAPROXY = """global
    nbthread 1
    maxconn 1000
defaults
    mode http
    timeout connect 2s
    timeout client 30s
    timeout server 30s
    {defaults}
frontend front
    bind 127.0.0.1:{port}{listen}
    {front}
    default_backend pool
backend pool
    {pool}
"""


class Pair:
    """The original and ours, behind ports of their own, made of one configuration. {a}, {b}, {c} in its parts are
    the backends' ports and {dead} one at which nobody listens. `secure`: TLS on both sides, by the certificate {pem}; c
    has another one of the same name, which nobody believes."""

    def __init__(self, setup, format_, secure=False, **parts):
        self.setup, self.secure = setup, secure
        pem = {name: None for name in "abc"}
        if secure:
            good = make_certificate(os.path.join(setup.dir, "app.pem"), "app.internal")
            pem = {"a": good, "b": good, "c": make_certificate(os.path.join(setup.dir, "other.pem"), "app.internal")}
        self.backends = {name: Backend(name, pem[name]) for name in "abc"}
        self.dead = free_port()
        self.theirs, self.ours = free_port(), free_port()
        ports = {name: backend.port for name, backend in self.backends.items()} | {"dead": self.dead, "pem": pem["a"]}
        parts = {key: part.format(**ports) for key, part in parts.items()}
        empty = {key: "" for key in ("outer", "upstream", "server", "location", "defaults", "front", "pool", "listen")}
        empty["scheme"] = "https" if secure else "http"
        template, self.file = (NGINX, "nginx.conf") if format_ == "nginx" else (HAPROXY, "haproxy.cfg")
        self.file = os.path.join(setup.dir, f"import-{self.theirs}-{self.file}")
        user = "user root;" if os.geteuid() == 0 else ""
        with open(self.file, "w") as out:
            out.write(template.format(**(empty | {"dir": setup.dir, "port": self.theirs, "user": user} | parts)))
        self.yaml = os.path.join(setup.dir, f"import-{self.ours}.yaml")
        done = subprocess.run([interop.BINARY, "import", self.file], capture_output=True, check=False)
        check(done.returncode == 0, done.stderr.decode())
        with open(self.yaml, "wb") as out:
            out.write(done.stdout)
        original = ["nginx", "-p", setup.dir, "-c", self.file] if format_ == "nginx" else ["haproxy", "-db", "-f", self.file]
        self.children = [
            setup.start(f"{format_}-{self.theirs}", original),
            setup.start(f"ub-{self.ours}", [interop.BINARY, "-c", self.yaml, "-g", "user=", "-g",
                                            f"listen=127.0.0.1:{self.ours}" + (" tls" if secure else ""),
                                            "-g", "admin.enabled=false", "-g", f"pid_file={setup.dir}/ub-{self.ours}.pid",
                                            "-g", "logging.file=stderr", "-g", "logging.level=info"])]
        for port, child in zip(self.both, self.children):
            wait_for(lambda at=port, of=child: interop.accepts(at) or of.process.poll() is not None, "a listener")
            check(child.process.poll() is None, f"{child.name} does not start: {child.log()}\n{done.stdout.decode()}")

    @property
    def both(self):
        return self.theirs, self.ours

    def __enter__(self):
        return self

    def __exit__(self, *failed):
        statuses = [child.stop() for child in self.children]
        for backend in self.backends.values():
            backend.close()
        if failed[0] is None:
            check(statuses[1] == 0, f"the balancer left with {statuses[1]}: {self.children[1].log()}")

    def counts(self, port, number, **request):
        """How often each backend answered; failures under their status."""
        answers = [ask(port, secure=self.secure, **request) for _ in range(number)]
        return collections.Counter(text if status == 200 else status for status, text in answers)

    def same_counts(self, number, expected):
        for port in self.both:
            counts = dict(self.counts(port, number))
            check(counts == expected, f"port {port} of {self.both}: {counts}, not {expected}")

    def settles(self, expected):
        """Until both have found out who is up: the backends that answer are `expected`, ten times in a row."""
        for port in self.both:
            wait_for(lambda at=port: set(self.counts(at, 10)) == expected, f"{expected} alone answer at {port} of {self.both}", 20)

    def sticks(self, requests):
        """Each kind of request goes to one backend, always the same, and not all kinds to one."""
        for port in self.both:
            chosen = [set(self.counts(port, 5, **request)) for request in requests]
            check(all(len(each) == 1 for each in chosen), f"port {port} of {self.both} wanders: {chosen}")
            check(len(set.union(*chosen)) > 1, f"port {port} of {self.both} knows one backend only: {chosen}")


ABC = "server 127.0.0.1:{a}; server 127.0.0.1:{b}; server 127.0.0.1:{c};"
CLIENTS = [{"source": f"127.0.{n}.1"} for n in range(1, 31)]  # nginx hashes three bytes of an address
PATHS = [{"path": f"/page/{n}"} for n in range(30)]


def import_nginx_weights(setup):
    servers = "server 127.0.0.1:{a} weight=5; server 127.0.0.1:{b} weight=3; server 127.0.0.1:{c};"
    with Pair(setup, "nginx", upstream=servers) as pair:
        pair.same_counts(90, {"a": 50, "b": 30, "c": 10})


def import_nginx_least_conn(setup):
    with Pair(setup, "nginx", upstream="least_conn; " + ABC) as pair:
        pair.same_counts(30, {"a": 10, "b": 10, "c": 10})


def import_nginx_backup_and_down(setup):
    servers = "server 127.0.0.1:{dead}; server 127.0.0.1:{a} backup; server 127.0.0.1:{b} down;"
    with Pair(setup, "nginx", upstream=servers) as pair:
        pair.settles({"a"})
        pair.same_counts(20, {"a": 20})


def import_nginx_dead_server_is_left_out(setup):
    servers = "server 127.0.0.1:{a}; server 127.0.0.1:{dead} max_fails=1 fail_timeout=60s; server 127.0.0.1:{b};"
    with Pair(setup, "nginx", upstream=servers) as pair:
        pair.settles({"a", "b"})
        pair.same_counts(20, {"a": 10, "b": 10})


def import_nginx_ip_hash(setup):
    with Pair(setup, "nginx", upstream="ip_hash; " + ABC) as pair:
        pair.sticks(CLIENTS)


def import_nginx_hash_of_uri(setup):
    with Pair(setup, "nginx", upstream="hash $request_uri consistent; " + ABC) as pair:
        pair.sticks(PATHS)


def import_nginx_hash_of_cookie(setup):
    with Pair(setup, "nginx", upstream="hash $cookie_sid; " + ABC) as pair:
        pair.sticks([{"headers": {"Cookie": f"a=b; sid=session-{n}"}} for n in range(30)])


def import_nginx_random(setup):
    with Pair(setup, "nginx", upstream="random two; " + ABC) as pair:
        for port in pair.both:
            counts = pair.counts(port, 60)
            check(set(counts) == set("abc"), f"port {port} of {pair.both}: {counts}")


def import_nginx_limits(setup):
    zone = "limit_req_zone $binary_remote_addr zone=z:1m rate=1r/s; limit_req_status 429;"
    with Pair(setup, "nginx", outer=zone, upstream=ABC, server="client_max_body_size 1k;",
              location="limit_req zone=z burst=5 nodelay;") as pair:
        for port in pair.both:
            statuses = [ask(port, source="127.0.0.9")[0] for _ in range(30)]
            # What a slow machine lets come back meanwhile is not many.
            check(statuses[:6] == [200] * 6 and statuses.count(429) >= 20, f"port {port} of {pair.both}: {statuses}")
            sizes = [ask(port, source=f"127.0.0.{n}", method="POST", body=b"x" * size)[0]
                     for n, size in ((10, 1024), (11, 1025))]
            check(sizes == [200, 413], f"port {port} of {pair.both}: {sizes}")


def import_nginx_retries(setup):
    with Pair(setup, "nginx", upstream="server 127.0.0.1:{a} max_fails=0; server 127.0.0.1:{b} max_fails=0;",
              location="proxy_next_upstream error timeout http_503;") as pair:
        pair.backends["a"].ill = True
        pair.same_counts(20, {"b": 20})


def import_nginx_tls(setup):
    with Pair(setup, "nginx", secure=True, listen=" ssl", upstream=ABC, server="ssl_certificate {pem}; ssl_certificate_key {pem};",
              location="proxy_ssl_verify on; proxy_ssl_trusted_certificate {pem}; proxy_ssl_name app.internal;") as pair:
        pair.settles({"a", "b"})
        pair.same_counts(20, {"a": 10, "b": 10})


def haproxy_servers(*words):
    return "\n    ".join(f"server {name} 127.0.0.1:{{{name}}} {rest}" for name, rest in zip("abc", words))


def import_haproxy_weights(setup):
    with Pair(setup, "haproxy", pool="balance roundrobin\n    " + haproxy_servers("weight 5", "weight 3", "weight 1")) as pair:
        pair.same_counts(90, {"a": 50, "b": 30, "c": 10})


def import_haproxy_leastconn(setup):
    with Pair(setup, "haproxy", pool="balance leastconn\n    " + haproxy_servers("", "", "")) as pair:
        pair.same_counts(30, {"a": 10, "b": 10, "c": 10})


def import_haproxy_backup_and_disabled(setup):
    pool = ("default-server inter 200ms fall 2 rise 1\n    server x 127.0.0.1:{dead} check\n    "
            "server a 127.0.0.1:{a} check backup\n    server b 127.0.0.1:{b} check disabled\n    "
            "server c 127.0.0.1:{c} weight 0 check")
    with Pair(setup, "haproxy", pool=pool) as pair:
        pair.settles({"a"})
        pair.same_counts(20, {"a": 20})


def import_haproxy_checks(setup):
    pool = ("option httpchk\n    http-check send meth GET uri /health\n    http-check expect status 200\n    "
            "default-server inter 200ms fall 2 rise 1\n    " + haproxy_servers("check", "check", "check"))
    with Pair(setup, "haproxy", pool=pool) as pair:
        pair.settles({"a", "b", "c"})
        pair.backends["b"].ill = True
        pair.settles({"a", "c"})
        pair.same_counts(20, {"a": 10, "c": 10})
        pair.backends["b"].ill = False
        pair.settles({"a", "b", "c"})


def import_haproxy_source(setup):
    clients = [{"source": f"127.0.{n}.{n + 7}"} for n in range(1, 31)]
    with Pair(setup, "haproxy", pool="balance source\n    " + haproxy_servers("", "", "")) as pair:
        pair.sticks(clients)


def import_haproxy_hash_of_header(setup):
    with Pair(setup, "haproxy", pool="balance hdr(X-Tenant)\n    " + haproxy_servers("", "", "")) as pair:
        pair.sticks([{"headers": {"X-Tenant": f"tenant-{n}"}} for n in range(30)])


def import_haproxy_hash_of_uri(setup):
    with Pair(setup, "haproxy", pool="balance uri\n    " + haproxy_servers("", "", "")) as pair:
        pair.sticks(PATHS)


def import_haproxy_rate_limit(setup):
    front = ("stick-table type ip size 1k expire 60s store http_req_rate(60s)\n    http-request track-sc0 src\n    "
             "acl too_fast sc_http_req_rate(0) gt 10\n    http-request deny deny_status 429 if too_fast")
    with Pair(setup, "haproxy", front=front, pool=haproxy_servers("", "", "")) as pair:
        for port in pair.both:
            statuses = [ask(port, source="127.0.0.9")[0] for _ in range(30)]
            check(statuses[:10] == [200] * 10 and statuses.count(429) >= 15, f"port {port} of {pair.both}: {statuses}")
            check(ask(port, source="127.0.0.10")[0] == 200, f"port {port}: another client is limited too")


def import_haproxy_tls(setup):
    pool = ("default-server ssl verify required ca-file {pem} verifyhost app.internal check inter 200ms fall 2 rise 1\n    "
            + haproxy_servers("", "", ""))
    with Pair(setup, "haproxy", secure=True, listen=" ssl crt {pem}", pool=pool) as pair:
        pair.settles({"a", "b"})
        pair.same_counts(20, {"a": 10, "b": 10})


TESTS = [import_nginx_weights, import_nginx_least_conn, import_nginx_backup_and_down, import_nginx_dead_server_is_left_out,
         import_nginx_ip_hash, import_nginx_hash_of_uri, import_nginx_hash_of_cookie, import_nginx_random,
         import_nginx_limits, import_nginx_retries, import_nginx_tls, import_haproxy_tls, import_haproxy_weights, import_haproxy_leastconn,
         import_haproxy_backup_and_disabled, import_haproxy_checks, import_haproxy_source, import_haproxy_hash_of_header,
         import_haproxy_hash_of_uri, import_haproxy_rate_limit]
