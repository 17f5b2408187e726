"""gRPC through the balancer with grpcio at both ends, and nghttpd as a backend of HTTP/2."""
import os
import queue
import subprocess
import sys
from concurrent import futures

# Debian's package is found by another Python too that stands earlier in the PATH.
sys.path.append("/usr/lib/python3/dist-packages")
try:
    import grpc
except ImportError:  # the server below runs in a process of its own, and nothing else here needs it
    grpc = None

HEALTH = "/grpc.health.v1.Health/Check"


def serve(port, state_path):
    """A gRPC server whose messages are plain bytes; its health is what stands in a file."""

    def unary(request, context):
        context.send_initial_metadata((("x-initial", dict(context.invocation_metadata()).get("x-sent", "")),))
        context.set_trailing_metadata((("x-trailing", "2"),))
        return request

    def fail(_, context):
        context.abort(grpc.StatusCode.FAILED_PRECONDITION, "not now: für später")

    def slow(_, context):
        gone = futures.Future()
        if not context.add_callback(lambda: gone.set_result(True)):
            gone.set_result(True)
        open(state_path + ".begun", "a").close()
        gone.result(60)
        open(state_path + ".gone", "a").close()
        return b""

    def health(_, context):
        with open(state_path) as state:
            status = state.read().strip()
        if status == "none":
            context.abort(grpc.StatusCode.UNIMPLEMENTED, "no health here")
        return b"\x08" + bytes([int(status)])

    handlers = {
        "/t.S/Unary": grpc.unary_unary_rpc_method_handler(unary),
        "/t.S/Fail": grpc.unary_unary_rpc_method_handler(fail),
        "/t.S/Slow": grpc.unary_unary_rpc_method_handler(slow),
        "/t.S/Down": grpc.unary_stream_rpc_method_handler(lambda request, _: (request * 1000 for _ in range(50))),
        "/t.S/Up": grpc.stream_unary_rpc_method_handler(lambda pieces, _: b"%d" % sum(len(piece) for piece in pieces)),
        "/t.S/Both": grpc.stream_stream_rpc_method_handler(lambda pieces, _: pieces),
        HEALTH: grpc.unary_unary_rpc_method_handler(health),
    }

    class Handler(grpc.GenericRpcHandler):
        def service(self, handler_call_details):
            return handlers.get(handler_call_details.method)

    server = grpc.server(futures.ThreadPoolExecutor(16))
    server.add_generic_rpc_handlers((Handler(),))
    server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    server.wait_for_termination()


if __name__ == "__main__" and sys.argv[1:2] == ["serve"]:
    serve(int(sys.argv[2]), sys.argv[3])
    sys.exit(0)

import __main__ as interop  # noqa: E402
from __main__ import check, curl, free_port, wait_for  # noqa: E402


class Front:
    """The balancer with an h2c listener before one backend that speaks HTTP/2."""

    def __init__(self, setup, port, extra="health_check: { enabled: false }"):
        self.port, self.setup = free_port(), setup
        self.config = os.path.join(setup.dir, f"grpc-{self.port}.yaml")
        with open(self.config, "w") as out:
            out.write(f'listen: [ "127.0.0.1:{self.port} h2c" ]\nworkers: 2\nadmin: {{ enabled: false }}\n'
                      f"pid_file: {setup.dir}/grpc-{self.port}.pid\n{extra}\nbackends:\n"
                      f"  - {{ host: 127.0.0.1, port: {port}, protocol: h2 }}\n")
        self.child = setup.start(f"grpc-{self.port}", [interop.BINARY, "-c", self.config])
        wait_for(lambda: interop.accepts(self.port) or self.child.process.poll() is not None, "the balancer starts")

    __enter__ = interop.Balancer.__enter__
    __exit__ = interop.Balancer.__exit__


class Server:
    def __init__(self, setup):
        self.port = free_port()
        self.state = os.path.join(setup.dir, f"grpc-health-{self.port}")
        self.say("1")
        self.child = setup.start(f"grpc-server-{self.port}", [sys.executable, os.path.abspath(__file__), "serve", str(self.port), self.state])
        wait_for(lambda: interop.accepts(self.port) or self.child.process.poll() is not None, "the gRPC server starts", 30)

    def say(self, state):
        with open(self.state + ".new", "w") as out:
            out.write(state)
        os.rename(self.state + ".new", self.state)

    def begun(self):
        return os.path.exists(self.state + ".begun")

    def gone(self):
        return os.path.exists(self.state + ".gone")


def status_of(call):
    try:
        call()
    except grpc.RpcError as error:
        return error.code(), error.details()
    return grpc.StatusCode.OK, ""


def limit():
    return 20 * interop.FACTOR


def grpc_calls_of_every_kind(setup):
    server = Server(setup)
    with Front(setup, server.port) as ub, grpc.insecure_channel(f"127.0.0.1:{ub.port}") as channel:
        unary = channel.unary_unary("/t.S/Unary")
        answer, call = unary.with_call(b"hello", timeout=limit(), metadata=(("x-sent", "yes"),))
        check(answer == b"hello", answer)
        check(("x-initial", "yes") in [tuple(each) for each in call.initial_metadata()], call.initial_metadata())
        check(("x-trailing", "2") in [tuple(each) for each in call.trailing_metadata()], call.trailing_metadata())
        big = bytes(1 << 20)
        for _ in range(3):
            check(unary(big, timeout=limit()) == big, "1 MiB there and back")
        check(sum(len(each) for each in channel.unary_stream("/t.S/Down")(b"x" * 100, timeout=limit())) == 5_000_000, "server streaming")
        check(channel.stream_unary("/t.S/Up")(iter([b"abc"] * 1000), timeout=limit()) == b"3000", "client streaming")
        pieces = queue.Queue()
        both = channel.stream_stream("/t.S/Both")(iter(pieces.get, None), timeout=limit())
        for i in range(20):  # each answer comes before the next question
            pieces.put(b"%d" % i)
            check(next(both) == b"%d" % i, "bidirectional streaming")
        pieces.put(None)
        check(list(both) == [] and both.code() == grpc.StatusCode.OK, both.code())


def grpc_errors_deadlines_and_cancellation(setup):
    server = Server(setup)
    with Front(setup, server.port) as ub, grpc.insecure_channel(f"127.0.0.1:{ub.port}") as channel:
        code, details = status_of(lambda: channel.unary_unary("/t.S/Fail")(b"", timeout=limit()))
        check(code == grpc.StatusCode.FAILED_PRECONDITION and details == "not now: für später", f"{code} {details}")
        code, _ = status_of(lambda: channel.unary_unary("/t.S/None")(b"", timeout=limit()))
        check(code == grpc.StatusCode.UNIMPLEMENTED, code)
        slow = channel.unary_unary("/t.S/Slow")
        code, _ = status_of(lambda: slow(b"", timeout=limit() / 20))
        check(code == grpc.StatusCode.DEADLINE_EXCEEDED, code)
        wait_for(server.gone, "the server sees the deadline")
        os.unlink(server.state + ".begun")
        os.unlink(server.state + ".gone")
        call = slow.future(b"", timeout=limit())
        wait_for(server.begun, "the server has the call")
        call.cancel()
        check(call.code() == grpc.StatusCode.CANCELLED, call.code())
        wait_for(server.gone, "the server sees the cancellation")
        server.child.stop()
        code, details = status_of(lambda: channel.unary_unary("/t.S/Unary")(b"", timeout=limit()))
        check(code == grpc.StatusCode.UNAVAILABLE and details in ("Bad Gateway", "Service Unavailable"), f"{code} {details}")


def grpc_health_checks(setup):
    server = Server(setup)
    extra = "health_check: { type: grpc, interval_ms: 50, max_failures: 1, min_successes: 1 }"
    with Front(setup, server.port, extra) as ub:
        wait_for(lambda: " is up " in ub.child.log(), "the backend is up")
        server.say("2")
        wait_for(lambda: "health NOT_SERVING" in ub.child.log(), "NOT_SERVING is seen")
        server.say("1")
        wait_for(lambda: ub.child.log().count(" is up ") >= 2, "the backend is up again")
        server.say("none")
        wait_for(lambda: "no health service" in ub.child.log(), "UNIMPLEMENTED is seen")


def http2_to_nghttpd(setup):
    port = free_port()
    setup.start(f"nghttpd-{port}", ["nghttpd", "--no-tls", "-a", "127.0.0.1", "-d", setup.www, "--echo-upload", str(port)])
    wait_for(lambda: interop.accepts(port), "nghttpd starts")
    with Front(setup, port) as ub:
        for name, data in setup.files.items():
            for version in ("--http1.1", "--http2-prior-knowledge"):
                body, headers = curl(version, f"http://127.0.0.1:{ub.port}/{name}")
                check(body == data, f"{version} {name}: {headers}")
                body, headers = curl(version, "--data-binary", "@" + os.path.join(setup.www, name), f"http://127.0.0.1:{ub.port}/")
                check(body == data, f"{version} {name} sent: {headers}")
        done = subprocess.run(["h2load", "-n", "5000", "-c", "10", "-m", "50", f"http://127.0.0.1:{ub.port}/small"], capture_output=True,
                              text=True, timeout=60 * interop.FACTOR, check=True)
        check("5000 succeeded, 0 failed" in done.stdout, done.stdout)


def http2_to_nghttpd_by_tls(setup):
    port = free_port()
    key, certificate = os.path.join(setup.dir, "nghttpd.key"), os.path.join(setup.dir, "nghttpd.pem")
    interop.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30",
                 "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate])
    setup.start(f"nghttpd-{port}", ["nghttpd", "-a", "127.0.0.1", "-d", setup.www, str(port), key, certificate])
    wait_for(lambda: interop.accepts(port), "nghttpd starts")
    extra = (f"backend_tls: {{ enabled: true, ca_file: {certificate} }}\n"
             "health_check: { path: /small, interval_ms: 50, max_failures: 1, min_successes: 1 }")
    with Front(setup, port, extra) as ub:
        wait_for(lambda: " is up " in ub.child.log(), "the backend is up")
        for name, data in setup.files.items():
            check(curl(f"http://127.0.0.1:{ub.port}/{name}")[0] == data, name)


TESTS = [grpc_calls_of_every_kind, grpc_errors_deadlines_and_cancellation, grpc_health_checks, http2_to_nghttpd,
         http2_to_nghttpd_by_tls]
