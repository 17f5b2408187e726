"""Chromium without a window, driven through chromedriver's WebDriver protocol: just what the dashboard's test needs."""
import base64
import json
import os
import subprocess
import tempfile
import urllib.error
import urllib.request

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-extensions",
         "--disable-dev-shm-usage", "--no-proxy-server"]


class Browser:
    """One page. `width`: of a phone's screen where it is below 500, else of a window. `flags`: more for the command line."""

    def __init__(self, free_port, wait_for, width=1280, height=900, dark=False, flags=()):
        self.profile = tempfile.TemporaryDirectory(prefix="ub-chromium-", ignore_cleanup_errors=True)
        self.port = free_port()
        self.driver = subprocess.Popen(["chromedriver", f"--port={self.port}", "--allowed-ips=127.0.0.1"],
                                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.session = None
        try:
            wait_for(self._ready, "chromedriver starts", 30)
            options = {"args": [*FLAGS, *flags, f"--user-data-dir={self.profile.name}", f"--window-size={width},{height}"]}
            value = self._call("POST", "/session", {"capabilities": {"alwaysMatch": {
                "browserName": "chrome", "goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}}})
            self.session = f"/session/{value['sessionId']}"
            self.cdp("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1,
                     mobile=width < 500)
            self.cdp("Emulation.setEmulatedMedia",
                     features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        if self.session is not None:
            try:
                self._call("DELETE", self.session)
            except OSError:
                pass
        self.driver.terminate()
        self.driver.wait()
        self.profile.cleanup()

    def _ready(self):
        try:
            return self._call("GET", "/status")["ready"]
        except OSError:
            return False

    def _call(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data, {"Content-Type": "application/json"},
                                         method=method)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=60) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise OSError(f"{method} {path}: {error.read().decode()[:500]}") from error

    def post(self, path, **body):
        return self._call("POST", self.session + path, body)

    def cdp(self, command, **parameters):
        return self.post("/goog/cdp/execute", cmd=command, params=parameters)

    def open(self, url):
        self.post("/url", url=url)

    def run(self, script):
        """The value of a function's body in the page; of a promise, what it comes to."""
        return self.post("/execute/sync", script=script, args=[])

    def find(self, selector):
        return self.post("/element", using="css selector", value=selector)[ELEMENT]

    def text(self, selector):
        return self._call("GET", f"{self.session}/element/{self.find(selector)}/text")

    def click(self, selector):
        self.post(f"/element/{self.find(selector)}/click")

    def type(self, selector, text):
        """Keys, as from a keyboard; "\ue007" is Enter."""
        self.post(f"/element/{self.find(selector)}/value", text=text)

    def replace(self, selector, text):
        """Keys in the place of what a field has, as a person would: it has the focus all the while."""
        self.type(selector, "\ue009a\ue000" + text)  # Control+A

    def log(self):
        """What the page's console said since the last call."""
        return self.post("/se/log", type="browser")

    def screenshot(self, path):
        """The whole page, also what would have to be scrolled to."""
        shot = self.cdp("Page.captureScreenshot", captureBeyondViewport=True)
        with open(path, "wb") as out:
            out.write(base64.b64decode(shot["data"]))
