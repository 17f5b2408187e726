"""HTTP/2 with programs that others wrote: curl, nghttp and h2load, with TLS and without."""
import os
import re
import signal
import subprocess
import threading
import time

import __main__ as interop
from browser import Browser
from __main__ import Balancer, check, curl, free_port, run, with_echo


class Front:
    """The balancer with a listener that says h2c and one with TLS, before nginx or what listens at `ports`."""

    def __init__(self, setup, ports=None):
        self.h2c, self.tls = free_port(), free_port()
        self.ca = os.path.join(setup.dir, "h2.pem")
        key = os.path.join(setup.dir, "h2.key")
        if not os.path.exists(key):
            run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30",
                 "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", key,
                 "-out", self.ca])
        self.config = os.path.join(setup.dir, f"h2-{self.h2c}.yaml")
        self.setup, self.ports = setup, ports or setup.ports
        self.access_log = os.path.join(setup.dir, f"h2-{self.h2c}.access")
        self.write(2)
        self.child = setup.start(f"h2-{self.h2c}", [interop.BINARY, "-c", self.config])
        interop.wait_for(lambda: interop.accepts(self.tls) or self.child.process.poll() is not None, "the balancer starts")
        check(self.child.process.poll() is None, "the balancer does not start: " + self.child.log())

    def write(self, workers):
        with open(self.config, "w") as out:
            out.write(f'listen: [ "127.0.0.1:{self.h2c} h2c", "127.0.0.1:{self.tls} tls" ]\nworkers: {workers}\n'
                      f"admin: {{ enabled: false }}\npid_file: {self.setup.dir}/h2-{self.h2c}.pid\n"
                      f"logging: {{ access_log: {self.access_log} }}\n"
                      f"tls: {{ certificates: [ {{ certificate: {self.ca}, key: {self.setup.dir}/h2.key }} ] }}\nbackends:\n")
            out.writelines(f"  - {{ host: 127.0.0.1, port: {port} }}\n" for port in self.ports)

    def reload(self, workers):
        self.write(workers)
        self.child.process.send_signal(signal.SIGHUP)

    __enter__ = Balancer.__enter__
    __exit__ = Balancer.__exit__

    def urls(self, path):
        """What curl needs for either listener."""
        return [("--http2-prior-knowledge", f"http://127.0.0.1:{self.h2c}{path}"),
                ("--http2", "--cacert", self.ca, f"https://127.0.0.1:{self.tls}{path}")]


def http2_by_curl(setup):
    with Front(setup) as ub:
        for name, data in setup.files.items():
            for arguments in ub.urls("/" + name):
                body, headers = curl(*arguments)
                check(headers.startswith("HTTP/2 200"), headers)
                check(body == data, f"{name}: {len(body)} bytes that differ")
        for arguments in ub.urls("/medium"):
            check("content-length: 100000" in curl("-I", *arguments)[1], "HEAD")
            body, headers = curl("-r", "1000-1999", *arguments)
            check(headers.startswith("HTTP/2 206") and body == setup.files["medium"][1000:2000], headers)
        for arguments in ub.urls("/nothing"):
            check(curl(*arguments)[1].startswith("HTTP/2 204"), "204")
        for arguments in ub.urls("/zipped/medium"):
            check(curl("--compressed", *arguments)[0] == setup.files["medium"], "a body in chunks")
        # Both versions on each listener.
        body, headers = curl("--http1.1", f"http://127.0.0.1:{ub.h2c}/hello")
        check(headers.startswith("HTTP/1.1 200"), headers)
        body, headers = curl("--http1.1", "--cacert", ub.ca, f"https://127.0.0.1:{ub.tls}/hello")
        check(headers.startswith("HTTP/1.1 200"), headers)


def http2_uploads_by_curl(setup):
    def test():
        with Front(setup) as ub:
            for name, data in setup.files.items():
                path = os.path.join(setup.www, name)
                for arguments in ub.urls("/echo"):
                    body, headers = curl("--data-binary", "@" + path, *arguments)
                    check(body == data, f"{name} by length: {headers}")
                    with open(path, "rb") as data_file:
                        done = subprocess.run(["curl", "-sS", "-X", "POST", "-T", "-", *arguments], stdin=data_file, capture_output=True,
                                              timeout=60 * interop.FACTOR, check=False)
                    check(done.stdout == data, f"{name} without a length: {done.stderr.decode()}")

    with_echo(setup, test)


def http2_many_at_once_by_curl(setup):
    with Front(setup) as ub:
        # With prior knowledge curl 7.88 fails at this, whoever the server is.
        *options, url = ub.urls("/medium")[1]
        out = [part for n in range(50) for part in (url + f"?{n}", "-o", os.path.join(setup.dir, f"parallel-{n}"))]
        run(["curl", "-sS", "-Z", "--parallel-max", "50", *options, *out])
        for n in range(50):
            with open(os.path.join(setup.dir, f"parallel-{n}"), "rb") as got:
                check(got.read() == setup.files["medium"], f"transfer {n} differs")


def http2_by_nghttp(setup):
    with Front(setup) as ub:
        for url in (f"http://127.0.0.1:{ub.h2c}", f"https://127.0.0.1:{ub.tls}"):
            trace = run(["nghttp", "-nv", "-t", "20", url + "/medium", url + "/small"]).stdout.decode(errors="replace")
            check(trace.count(":status: 200") == 2, trace[-3000:])
            check("SETTINGS_NO_RFC7540_PRIORITIES(0x09):1" in trace, trace[-3000:])
            check("GOAWAY" not in re.sub(r"send GOAWAY", "", trace), trace[-3000:])


def h2load(ub_url, *arguments):
    done = run(["h2load", *arguments, ub_url], interop.SECONDS + 120).stdout.decode()
    line = re.search(r"requests: (\d+) total, \d+ started, (\d+) done, (\d+) succeeded, (\d+) failed, (\d+) errored", done)
    check(line is not None, done)
    speed = re.search(r"[\d.]+ req/s", done)
    print(f"# h2load {' '.join(arguments)} {ub_url}: {speed.group(0) if speed else '?'}")
    return [int(number) for number in line.groups()], done


def http2_by_h2load(setup):
    with Front(setup) as ub:
        for url in (f"http://127.0.0.1:{ub.h2c}", f"https://127.0.0.1:{ub.tls}"):
            for path, requests, clients, streams in (("/hello", 20000, 10, 100), ("/hello", 2000, 50, 1), ("/medium", 2000, 4, 20)):
                counts, text = h2load(url + path, "-n", str(requests), "-c", str(clients), "-m", str(streams))
                check(counts == [requests, requests, requests, 0, 0], text)


def http2_reloads_under_h2load(setup):
    with Front(setup) as ub:
        stop = threading.Event()

        def reload():
            while not stop.wait(0.2):
                ub.reload(2)

        thread = threading.Thread(target=reload)
        thread.start()
        try:
            end = time.monotonic() + interop.SECONDS
            while time.monotonic() < end:
                counts, text = h2load(f"http://127.0.0.1:{ub.h2c}/hello", "-n", "20000", "-c", "10", "-m", "50")
                check(counts == [20000, 20000, 20000, 0, 0], text)
        finally:
            stop.set()
            thread.join()


def chromium():
    return Browser(free_port, interop.wait_for, flags=["--ignore-certificate-errors"])


def http2_by_chromium(setup):
    with Front(setup) as ub, chromium() as page:
        page.open(f"https://localhost:{ub.tls}/hello")
        check("hello from" in page.text("body"), page.text("body"))
        check(page.run("return performance.getEntriesByType('navigation')[0].nextHopProtocol") == "h2", "not by HTTP/2")
        sizes = page.run("""
            const get = path => fetch(path).then(answer => answer.arrayBuffer()).then(body => body.byteLength);
            const paths = [...Array(40).keys()].map(n => (n % 2 ? '/medium?' : '/zipped/medium?') + n);
            return Promise.all([...paths, '/large'].map(get));""")
        check(sizes == [len(setup.files["medium"])] * 40 + [len(setup.files["large"])], f"other sizes: {sizes}")
        protocols = page.run("return performance.getEntriesByType('resource').map(entry => entry.nextHopProtocol)")
        check(protocols and set(protocols) == {"h2"}, f"protocols: {protocols}")


def websocket_over_http2_by_chromium(setup):
    """By extended CONNECT (RFC 8441): on the connection that a page of the same site has already."""
    import asyncio

    def talk(ub):
        with chromium() as page:
            page.open(f"https://localhost:{ub.tls}/no")
            echoes = page.run(f"""
                const talk = n => new Promise((resolve, reject) => {{
                  const socket = new WebSocket('wss://localhost:{ub.tls}/echo/' + n, 'chat');
                  const texts = [];
                  socket.onerror = () => reject('failed: ' + n);
                  socket.onopen = () => socket.send('0');
                  socket.onmessage = message => {{
                    texts.push(message.data);
                    if (texts.length < 20) socket.send('x'.repeat(texts.length * 1000));
                    else socket.close(1000);
                  }};
                  socket.onclose = event => resolve([socket.protocol, event.code, texts.length, texts[19]?.length]);
                }});
                return Promise.all([...Array(10).keys()].map(talk));""")
            check(echoes == [["chat", 1000, 20, 19000]] * 10, f"other echoes: {echoes}")

    async def test(port, _websockets):
        with Front(setup, [port]) as ub:
            await asyncio.get_running_loop().run_in_executor(None, talk, ub)

            def lines():
                with open(ub.access_log, encoding="utf-8") as log:
                    return [line for line in log if "/echo/" in line]

            ub.child.process.send_signal(signal.SIGUSR1)  # what is gathered is written
            interop.wait_for(lambda: len(lines()) == 10, "ten lines in the access log")
            check(all("HTTP/2" in line for line in lines()), "".join(lines()))

    interop.with_websockets(test)


TESTS = [http2_by_chromium, websocket_over_http2_by_chromium, http2_by_curl, http2_uploads_by_curl, http2_many_at_once_by_curl, http2_by_nghttp, http2_by_h2load,
         http2_reloads_under_h2load]
