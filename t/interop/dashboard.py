"""The dashboard in a real browser. `run` imports this; UB_INTEROP_SHOTS names a directory for screenshots."""
import json
import math
import os
import sys
import threading
import time
import urllib.error
import urllib.request

import __main__ as interop
from browser import Browser

check, wait_for, free_port = interop.check, interop.wait_for, interop.free_port


class Watched:
    """A balancer with its management address, before backends that can be stopped one by one."""

    def __init__(self, setup, admin="", backends=2, algorithm="round-robin"):
        self.port, self.admin = free_port(), free_port()
        self.ports = [free_port() for _ in range(backends)]
        self.backends = [setup.start(f"backend-{port}", [sys.executable, "-m", "http.server", str(port), "--bind",
                                                         "127.0.0.1", "-d", setup.www]) for port in self.ports]
        for port in self.ports:
            wait_for(lambda at=port: interop.accepts(at), "a backend starts")
        config = os.path.join(setup.dir, f"ub-{self.port}.yaml")
        with open(config, "w") as out:
            out.write(f'listen: [ "127.0.0.1:{self.port}" ]\nworkers: 2\npid_file: {setup.dir}/ub-{self.port}.pid\n'
                      f"admin: {{ listen_port: {self.admin}, {admin} }}\nalgorithm: {algorithm}\n"
                      "health_check: { interval_ms: 100, timeout_ms: 1000, max_failures: 2 }\nbackends:\n")
            out.writelines(f"  - {{ host: 127.0.0.1, port: {port}, name: app{n} }}\n" for n, port in enumerate(self.ports, 1))
        self.child = setup.start(f"ub-{self.port}", [interop.BINARY, "-c", config])
        wait_for(lambda: interop.accepts(self.port) and interop.accepts(self.admin), "the balancer starts")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        status = self.child.stop()
        for backend in self.backends:
            backend.stop()
        if _[0] is None:
            check(status == 0, f"the balancer left with {status}: {self.child.log()}")

    @property
    def page(self):
        return f"http://127.0.0.1:{self.admin}/dashboard"

    def get(self, path, port=None):
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(f"http://127.0.0.1:{port or self.admin}{path}", timeout=10) as answer:
                return answer.status, answer.headers, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.headers, error.read()

    def backend(self, index):
        """What /metrics says of it."""
        address = f"127.0.0.1:{self.ports[index]}"
        return next(each for each in json.loads(self.get("/metrics")[2])["backends"] if each["address"] == address)

    def row(self, index):
        return f'tr[data-address="127.0.0.1:{self.ports[index]}"]'


def shoot(browser, name):
    directory = os.environ.get("UB_INTEROP_SHOTS")
    if directory:
        browser.screenshot(os.path.join(directory, name + ".png"))


def state(browser, ub, index):
    return browser.text(ub.row(index) + " .pill")


def loaded(browser, ub):
    browser.open(ub.page)
    wait_for(lambda: browser.text("#link") == "live", "the page is live")
    wait_for(lambda: "up" in state(browser, ub, 0) and "up" in state(browser, ub, 1), "both backends are up")


def nothing_was_wrong(browser, ub):
    """No outside request, and nothing that the Content-Security-Policy or the script complained of."""
    urls = browser.run("return performance.getEntriesByType('resource').map((each) => each.name)")
    check(len(urls) > 3, f"only {urls} was loaded")
    for url in urls:
        check(url.startswith(f"http://127.0.0.1:{ub.admin}/"), f"{url} was asked for")
    # chrome://…: what the browser says of its own first page, such as that it is slow without a network.
    said = [each for each in browser.log() if "401" not in each["message"] and not each["message"].startswith("chrome://")]
    check(not said, f"the console says {said}")


def dashboard_loads_and_counts(setup):
    with Watched(setup) as ub, Browser(free_port, wait_for) as browser:
        status, headers, _ = ub.get("/dashboard")
        check(status == 200 and "default-src 'none'" in headers["Content-Security-Policy"], f"{status}: {headers}")
        check("unsafe" not in headers["Content-Security-Policy"], headers["Content-Security-Policy"])
        loaded(browser, ub)
        for _ in range(50):
            check(ub.get("/small", ub.port)[0] == 200, "a request through the balancer")
        wait_for(lambda: browser.run("return plots.every((plot) => plot.svg.querySelector('.line').getAttribute('d'))"),
                 "every plot has a line")
        wait_for(lambda: browser.run("return points.some((point) => point.rate > 0)"), "requests are seen")
        nothing_was_wrong(browser, ub)
        shoot(browser, "desktop-light")


def dashboard_shows_a_backend_going_down(setup):
    with Watched(setup) as ub, Browser(free_port, wait_for, dark=True) as browser:
        loaded(browser, ub)
        begun = time.monotonic()
        ub.backends[1].stop()
        wait_for(lambda: "down" in state(browser, ub, 1), "the page shows it", 5)
        print(f"  down on the page after {time.monotonic() - begun:.1f} s")
        check("up" in state(browser, ub, 0), "the other one is up")
        wait_for(lambda: browser.text("#tile-up") == "1 of 2", "the tile counts it")
        nothing_was_wrong(browser, ub)
        shoot(browser, "desktop-dark")


def dashboard_drains_and_weighs(setup):
    with Watched(setup) as ub, Browser(free_port, wait_for) as browser:
        loaded(browser, ub)
        button, weight = ub.row(0) + " .actions button", ub.row(0) + " input"
        browser.click(button)
        wait_for(lambda: "drain" in state(browser, ub, 0), "the page shows the drain")
        check(ub.backend(0)["state"] == "drain", ub.backend(0))
        check("drains" in browser.text("#message"), browser.text("#message"))
        browser.type(button, "\ue007")  # by the keyboard
        wait_for(lambda: ub.backend(0)["state"] == "up" and "up" in state(browser, ub, 0), "it takes requests again")
        browser.replace(weight, "0\ue007")
        wait_for(lambda: "1 to 65535" in browser.text("#message"), "a weight of 0 is refused")
        browser.replace(weight, "7\ue007")
        wait_for(lambda: ub.backend(0)["weight"] == 7, "the weight is changed")
        nothing_was_wrong(browser, ub)


def dashboard_asks_for_the_key(setup):
    with Watched(setup, 'api_key: "sesame"') as ub, Browser(free_port, wait_for, width=360, height=740) as browser:
        loaded(browser, ub)
        check(browser.run("return document.documentElement.scrollWidth") <= 360, "the page is wider than a phone")
        shoot(browser, "phone-light")
        browser.click(ub.row(1) + " .actions button")
        for answer in ("wrong", "sesame"):
            wait_for(lambda: browser.run("return document.getElementById('key-dialog').open"), "the key is asked for")
            check(ub.backend(1)["state"] == "up", "nothing changes without it")
            browser.type("#key", answer + "\ue007")
            wait_for(lambda told=answer: "wrong" in browser.text("#key-why") if told == "wrong" else
                     "drain" in state(browser, ub, 1), "the key is taken")
        check(ub.backend(1)["state"] == "drain", ub.backend(1))
        kept = browser.run("return JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])")
        check("sesame" not in kept, "the key is kept in memory only")
        nothing_was_wrong(browser, ub)


def dashboard_fits_a_phone_at_night(setup):
    with Watched(setup) as ub, Browser(free_port, wait_for, width=360, height=740, dark=True) as browser:
        loaded(browser, ub)
        check(browser.run("return document.documentElement.scrollWidth") <= 360, "the page is wider than a phone")
        ground = browser.run("return getComputedStyle(document.body).backgroundColor")
        check(ground == "rgb(18, 22, 28)", f"the ground is {ground}")
        browser.run("document.querySelector('details').open = true")
        check(browser.run("return document.documentElement.scrollWidth") <= 360, "the page is wider than a phone")
        wide = browser.run("return document.querySelector('.workers').scrollWidth")
        check(wide <= 320, f"the workers take {wide} pixels")
        nothing_was_wrong(browser, ub)
        shoot(browser, "phone-dark")


def dashboard_can_be_turned_off(setup):
    with Watched(setup, "dashboard: false") as ub:
        for path in ("/dashboard", "/dashboard/app.js"):
            check(ub.get(path)[0] == 404, f"{path} is served")
        check(ub.get("/metrics")[0] == 200, "the figures are there")


def dashboard_picture(setup):
    """Half a minute of light traffic, one backend down and one drained. UB_INTEROP_PICTURE: where the README's picture
    goes (`make picture`)."""
    picture = os.environ.get("UB_INTEROP_PICTURE")
    seconds = 30 if picture else 2
    with Watched(setup, backends=4, algorithm="least-connections") as ub, \
            Browser(free_port, wait_for, width=1100, height=770) as browser:
        loaded(browser, ub)
        over = threading.Event()

        def client(number):
            turn = 0
            while not over.wait(0.01 + 0.01 * abs(math.sin(turn / 60 + number))):
                turn += 1
                ub.get(("/small", "/medium", "/small")[turn % 3], ub.port)

        clients = [threading.Thread(target=client, args=(number,)) for number in range(4)]
        for each in clients:
            each.start()
        try:
            over.wait(seconds / 2)
            ub.backends[3].stop()
            browser.click(ub.row(2) + " .actions button")
            wait_for(lambda: "down" in state(browser, ub, 3) and "drain" in state(browser, ub, 2), "the page shows both")
            over.wait(seconds / 2)
            wait_for(lambda: browser.text("#tile-up") == "2 of 4", "the tile counts them")
            if picture:
                browser.screenshot(picture)
        finally:
            over.set()
            for each in clients:
                each.join()


TESTS = [dashboard_picture, dashboard_loads_and_counts, dashboard_shows_a_backend_going_down, dashboard_drains_and_weighs,
         dashboard_asks_for_the_key, dashboard_fits_a_phone_at_night, dashboard_can_be_turned_off]
