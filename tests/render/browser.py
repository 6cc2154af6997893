"""A headless Chromium for tests, driven through its WebDriver by HTTP alone."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import re
import shutil
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

FLAGS = ("--headless", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--hide-scrollbars")  # fmt: skip
_PORT = re.compile(r"started successfully on port (\d+)")
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # the driver is on this machine


class Browser:
    """One window. Each method is a command of the WebDriver protocol."""

    def __init__(self, address: str, profile: str, size: tuple[int, int]) -> None:
        root = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
        flags = [*FLAGS, *root, f"--user-data-dir={profile}", f"--window-size={size[0]},{size[1]}"]
        options = {"args": flags, "binary": shutil.which("chromium")}
        logs = {"browser": "ALL", "performance": "ALL"}
        wanted = {"browserName": "chrome", "goog:chromeOptions": options, "goog:loggingPrefs": logs}
        self.address = address
        self.address += "/session/" + self._send("/session", {"capabilities": {"alwaysMatch": wanted}})["sessionId"]
        self._send("/url", {"url": "about:blank"})  # in place of the browser's own start page

    def _send(self, path: str, body: Any = None, method: str = "POST") -> Any:
        data = None if method != "POST" else json.dumps(body or {}).encode()
        request = urllib.request.Request(self.address + path, data, {"Content-Type": "application/json"}, method=method)
        try:
            with _DIRECT.open(request, timeout=120) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            with error:
                raise AssertionError(json.load(error)["value"]["message"]) from None

    def open(self, path: Path) -> None:
        """Load a page from a file, and wait until its script has drawn it."""
        self.visit(path.resolve().as_uri())

    def visit(self, address: str) -> None:
        """Load a page, and wait until its script says that it is ready."""
        self._send("/url", {"url": address})
        deadline = time.monotonic() + 60
        while not self.run("return document.body.classList.contains('ready')"):
            assert time.monotonic() < deadline, f"the page never was ready: {self.messages()}"
            time.sleep(0.05)

    def run(self, script: str, *args: Any) -> Any:
        """The value of a script, which is the body of a function of `arguments`."""
        return self._send("/execute/sync", {"script": script, "args": list(args)})

    def middle(self, selector: str) -> tuple[int, int]:
        """The middle of the first element that a CSS selector finds, in pixels of the window."""
        script = """const box = document.querySelector(arguments[0]).getBoundingClientRect();
                    return [box.x + box.width / 2, box.y + box.height / 2]"""
        x, y = self.run(script, selector)
        return round(x), round(y)

    def click(self, selector: str) -> None:
        """A real click of the mouse in the middle of an element."""
        self.drag(self.middle(selector), (0, 0))

    def choose(self, selector: str, path: Path) -> None:
        """Give a file to the input element that a CSS selector finds, as the browser's dialogue would."""
        found = self._send("/element", {"using": "css selector", "value": selector})
        self._send(f"/element/{next(iter(found.values()))}/value", {"text": str(path.resolve())})

    def drag(self, start: tuple[int, int], by: tuple[int, int]) -> None:
        """Press the mouse at a point, move and let go."""
        x, y = start
        actions = [
            {"type": "pointerMove", "duration": 0, "x": x, "y": y},
            {"type": "pointerDown", "button": 0},
            *([{"type": "pointerMove", "duration": 50, "x": x + by[0], "y": y + by[1]}] if any(by) else []),
            {"type": "pointerUp", "button": 0},
        ]
        self._act({"type": "pointer", "id": "mouse", "parameters": {"pointerType": "mouse"}, "actions": actions})

    def pinch(self, middle: tuple[int, int], before: int, after: int) -> None:
        """Two fingers beside a point, first `before` and then `after` pixels from it."""
        fingers = []
        for sign in (-1, 1):
            at = [middle[0] + sign * before, middle[0] + sign * after]
            moves = [{"type": "pointerMove", "duration": 50 * i, "x": x, "y": middle[1]} for i, x in enumerate(at)]
            actions = [moves[0], {"type": "pointerDown", "button": 0}, moves[1], {"type": "pointerUp", "button": 0}]
            finger = {"type": "pointer", "id": f"finger{sign}", "parameters": {"pointerType": "touch"}}
            fingers.append({**finger, "actions": actions})
        self._act(*fingers)

    def tap(self, selector: str) -> None:
        """Touch the middle of an element with a finger, and lift it."""
        x, y = self.middle(selector)
        actions = [{"type": "pointerMove", "duration": 0, "x": x, "y": y}, {"type": "pointerDown", "button": 0},
                   {"type": "pointerUp", "button": 0}]  # fmt: skip
        self._act({"type": "pointer", "id": "finger", "parameters": {"pointerType": "touch"}, "actions": actions})

    def wheel(self, at: tuple[int, int], amount: int) -> None:
        """Turn the wheel; below zero is away from the user."""
        scroll = {"type": "scroll", "x": at[0], "y": at[1], "deltaX": 0, "deltaY": amount, "duration": 0}
        self._act({"type": "wheel", "id": "wheel", "actions": [scroll]})

    def keys(self, text: str) -> None:
        """Type; keys such as Enter are characters of their own, see `ENTER`."""
        actions = [{"type": kind, "value": key} for key in text for kind in ("keyDown", "keyUp")]
        self._act({"type": "key", "id": "keys", "actions": actions})

    def _act(self, *sources: dict[str, Any]) -> None:
        self._send("/actions", {"actions": list(sources)})
        self._send("/actions", method="DELETE")

    def prefer(self, scheme: str) -> None:
        """Let the reader prefer a 'light' or 'dark' colour scheme."""
        features = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        self._send("/goog/cdp/execute", {"cmd": "Emulation.setEmulatedMedia", "params": features})

    def resize(self, width: int, height: int, touch: bool = False) -> None:
        """Let the page be so many pixels large, which may be narrower than a window; `touch`: on a telephone."""
        sizes = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": touch}
        self._send("/goog/cdp/execute", {"cmd": "Emulation.setDeviceMetricsOverride", "params": sizes})
        self._send("/goog/cdp/execute", {"cmd": "Emulation.setTouchEmulationEnabled", "params": {"enabled": touch}})

    def screenshot(self, path: Path) -> None:
        """Write the window as PNG."""
        path.write_bytes(base64.b64decode(self._send("/screenshot", method="GET")))

    def pdf(self) -> bytes:
        """The page as it is printed."""
        return base64.b64decode(self._send("/print", {}))

    def messages(self) -> list[str]:
        """What the console has said since the last call."""
        return [entry["message"] for entry in self._send("/se/log", {"type": "browser"})]

    def requests(self) -> list[str]:
        """The addresses that were asked for since the last call."""
        events = [json.loads(entry["message"])["message"] for entry in self._send("/se/log", {"type": "performance"})]
        return [e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"]


ENTER, ESCAPE, TAB = "\ue007", "\ue00c", "\ue004"


@contextlib.contextmanager
def browser(size: tuple[int, int] = (1400, 900)) -> Iterator[Browser]:
    """A browser with an empty profile; the test skips where none can be had."""
    driver = shutil.which("chromedriver")
    if driver is None or shutil.which("chromium") is None:
        pytest.skip("no browser: install chromium and chromium-driver (apt-get install chromium chromium-driver)")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile, _driver(driver) as address:
        try:
            window = Browser(address, profile, size)
        except AssertionError as error:
            if "session not created" in str(error):
                pytest.skip(f"no browser: chromium did not start: {str(error).splitlines()[0]}")
            raise
        try:
            yield window
        finally:
            window._send("", method="DELETE")


@contextlib.contextmanager
def _driver(program: str) -> Iterator[str]:
    """The driver on a free port; its address."""
    command = [program, "--port=0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            assert process.stdout is not None
            port = next((found[1] for line in process.stdout if (found := _PORT.search(line))), None)
            if port is None:
                pytest.skip("no browser: chromedriver did not start")
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
