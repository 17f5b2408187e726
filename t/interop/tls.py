"""TLS as OpenSSL's and curl's clients see it: which protocols, ciphers and curves are agreed on, and which never.
`run` imports this."""
import os
import re
import subprocess

import __main__ as interop

check, run = interop.check, interop.run

KEYS = {"ecdsa": ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"], "rsa": ["rsa:2048"]}
TLS13 = ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"]


def certificate(setup, kind, name="localhost"):
    """The paths of a certificate and its key, made once."""
    pem, key = (os.path.join(setup.dir, f"{kind}-{name}.{end}") for end in ("pem", "key"))
    if not os.path.exists(pem):
        run(["openssl", "req", "-x509", "-newkey"] + KEYS[kind] + ["-nodes", "-keyout", key, "-out", pem, "-days", "30", "-subj",
             f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}"])
    return pem, key


class Front(interop.Balancer):
    """A balancer whose first listener speaks TLS with an ECDSA and an RSA certificate."""

    def __init__(self, setup, settings="", kinds=("ecdsa", "rsa")):
        certificates = ", ".join('{ certificate: "%s", key: "%s" }' % certificate(setup, kind) for kind in kinds)
        super().__init__(setup, extra=f"tls: {{ {settings} certificates: [ {certificates} ] }}\n", tls=True)

    def client(self, *options, stdin=b""):
        """What openssl s_client says; its status is in `status`."""
        done = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{self.port}", "-servername", "localhost", *options],
                              input=stdin, capture_output=True, timeout=30 * interop.FACTOR, check=False)
        return done.stdout.decode(errors="replace") + done.stderr.decode(errors="replace")

    def agreed(self, *options):
        """(protocol, cipher) that a handshake with these options of s_client ends with, or None."""
        text = self.client(*options, "-brief")
        protocol, cipher = (re.search(rf"^{what}: (.*)$", text, re.M) for what in ("Protocol version", "Ciphersuite"))
        return (protocol[1], cipher[1]) if protocol and cipher else None


def ciphers(text, *options):
    return run(["openssl", "ciphers", "-s", *options, text]).stdout.decode().strip().split(":")


def default_of(key):
    """The default of a key under tls, as `example` tells it."""
    text = run([interop.BINARY, "example"]).stdout.decode()
    return re.search(rf'^#?\s+#? *{key}: "?([^"\n]*?)"?\s*(?:#.*)?$', text[text.index("tls:"):], re.M)[1]


def tls_protocols_are_the_configured_ones(setup):
    old = {"-tls1": None, "-tls1_1": None}
    for settings, wanted in (("", {"-tls1_2": "TLSv1.2", "-tls1_3": "TLSv1.3"}),
                             ('min_version: "1.3",', {"-tls1_2": None, "-tls1_3": "TLSv1.3"})):
        with Front(setup, settings) as front:
            for option, protocol in {**old, **wanted}.items():
                # Level 0 lets the client offer what is too old, so that it is the balancer that refuses.
                agreed = front.agreed(option, "-cipher", "ALL:@SECLEVEL=0")
                check((agreed and agreed[0]) == protocol, f"{settings} {option}: {agreed}")


def tls12_ciphers_are_the_configured_ones(setup):
    allowed = set(ciphers(default_of("ciphers"), "-tls1_2"))
    check(len(allowed) >= 6, f"the default allows {allowed}")
    everything = ciphers("ALL:COMPLEMENTOFALL:@SECLEVEL=0", "-tls1_2")
    check(len(everything) > 40 and allowed < set(everything), f"openssl knows {len(everything)} ciphers")
    with Front(setup) as front:
        for cipher in everything:
            agreed = front.agreed("-tls1_2", "-cipher", cipher + ":@SECLEVEL=0")
            wanted = ("TLSv1.2", cipher) if cipher in allowed else None
            check(agreed == wanted, f"{cipher}: {agreed}, not {wanted}")
    with Front(setup, kinds=("rsa",)) as front:
        for cipher in allowed:
            agreed = front.agreed("-tls1_2", "-cipher", cipher)
            check((agreed is None) == ("ECDSA" in cipher), f"{cipher} with an RSA key: {agreed}")


def tls13_suites_and_curves_are_the_usual_ones(setup):
    with Front(setup) as front:
        for suite in TLS13:
            check(front.agreed("-tls1_3", "-ciphersuites", suite) == ("TLSv1.3", suite), f"{suite} is refused")
        check(front.agreed("-tls1_3", "-ciphersuites", "TLS_AES_128_CCM_SHA256") is None, "CCM is accepted")
        wanted = default_of("curves").split(":")
        for curve in ["X25519", "P-256", "P-384", "P-521", "X448"]:
            agreed = front.agreed("-tls1_3", "-curves", curve)
            check((agreed is not None) == (curve in wanted), f"{curve}: {agreed} where {wanted} are allowed")


def tls_sessions_are_resumed_by_openssl(setup):
    with Front(setup) as front:
        for version in ("-tls1_2", "-tls1_3"):
            kept = os.path.join(setup.dir, "session")
            request = b"GET /hello HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
            first = front.client(version, "-sess_out", kept, "-ign_eof", stdin=request)
            check("\nNew, " in first and "200 OK" in first, f"{version}: {first[-500:]}")
            second = front.client(version, "-sess_in", kept, "-ign_eof", stdin=request)
            check("\nReused, " in second and "200 OK" in second, f"{version}: {second[-500:]}")
    with Front(setup, "session_tickets: false,") as front:
        text = front.client("-tls1_2", "-sess_in", kept, "-ign_eof", stdin=request)
        check("\nReused, " not in text and "200 OK" in text, f"without tickets: {text[-500:]}")


def tls_refuses_renegotiation_compression_and_early_data(setup):
    with Front(setup) as front:
        text = front.client("-tls1_2", stdin=b"R\n")
        check("RENEGOTIATING" in text and ("no renegotiation" in text or "handshake failure" in text),
              f"renegotiation: {text[-500:]}")
        check("Compression: NONE" in front.client("-tls1_2"), "compression")
        kept, early = os.path.join(setup.dir, "session13"), os.path.join(setup.dir, "early")
        with open(early, "w") as data:
            data.write("GET /hello HTTP/1.1\r\nHost: localhost\r\n\r\n")
        front.client("-tls1_3", "-sess_out", kept, "-ign_eof", stdin=b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        text = front.client("-tls1_3", "-sess_in", kept, "-early_data", early)
        check("Early data was accepted" not in text, f"early data: {text[-500:]}")


def tls_alpn_agrees_on_what_both_speak(setup):
    with Front(setup) as front:
        check("ALPN protocol: http/1.1" in front.client("-alpn", "spdy/1,http/1.1"), "http/1.1 is not chosen")
        text = front.client("-alpn", "spdy/1")
        check("no application protocol" in text, f"a client that speaks nothing of ours: {text[-500:]}")
        check("No ALPN negotiated" in front.client(), "a client without ALPN")


def tls_curl_verifies_and_downloads(setup):
    with Front(setup, kinds=("ecdsa",)) as front:
        pem, _ = certificate(setup, "ecdsa")
        url = f"https://localhost:{front.port}/large"
        for version in (["--tls-max", "1.2"], ["--tlsv1.3"]):
            out = os.path.join(setup.dir, "https-large")
            run(["curl", "-sSf", "--cacert", pem, "--resolve", f"localhost:{front.port}:127.0.0.1", "-o", out, *version, url])
            with open(out, "rb") as data:
                check(data.read() == setup.files["large"], f"{version}: the download differs")
        # Another certificate to trust: a system without any has curl say that instead.
        other, _ = certificate(setup, "rsa")
        done = subprocess.run(["curl", "-sS", "--cacert", other, "-o", "/dev/null", url], capture_output=True,
                              timeout=30 * interop.FACTOR, check=False)
        check(done.returncode == 60, f"curl trusts a certificate that nobody signed: {done.returncode}")


TESTS = [tls_protocols_are_the_configured_ones, tls12_ciphers_are_the_configured_ones, tls13_suites_and_curves_are_the_usual_ones,
         tls_sessions_are_resumed_by_openssl, tls_refuses_renegotiation_compression_and_early_data,
         tls_alpn_agrees_on_what_both_speak, tls_curl_verifies_and_downloads]
