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
        self._send("/url", {"url": "about:blank"})  # instead of the browser's start page

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
        """Load a page from a file, and wait until it is drawn."""
        self.visit(path.resolve().as_uri())

    def visit(self, address: str) -> None:
        """Load a page, and wait until its script reports that it is ready."""
        self._send("/url", {"url": address})
        self.wait_until_ready()

    @contextlib.contextmanager
    def inside_frame(self, number: int) -> Iterator[None]:
        """Run commands inside a frame of the page, given by its number."""
        self._send("/frame", {"id": number})
        yield
        self._send("/frame", {"id": None})

    def wait_until_ready(self) -> None:
        """Wait until the page's script reports that it is ready."""
        deadline = time.monotonic() + 60
        while not self.run("return document.body.classList.contains('ready')"):
            assert time.monotonic() < deadline, f"the page never was ready: {self.messages()}"
            time.sleep(0.05)

    def run(self, script: str, *args: Any) -> Any:
        """The value of a script: the body of a function of `arguments`."""
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
        """Choose a file in an input element, as the browser's dialogue does."""
        found = self._send("/element", {"using": "css selector", "value": selector})
        self._send(f"/element/{next(iter(found.values()))}/value", {"text": str(path.resolve())})

    def drag(self, start: tuple[int, int], by: tuple[int, int], kind: str = "mouse") -> None:
        """Press the mouse, or touch with a finger, at a point, move it and let go. kind: "mouse" or "touch"."""
        self._act(_pointer(kind, kind, [start, (start[0] + by[0], start[1] + by[1])]))

    def pinch(self, middle: tuple[int, int], before: int, after: int) -> None:
        """Two fingers beside a point, first `before` and then `after` pixels from it."""
        x, y = middle
        ways = [[(x + sign * before, y), (x + sign * after, y)] for sign in (-1, 1)]
        self._act(*(_pointer(f"finger{i}", "touch", way) for i, way in enumerate(ways)))

    def tap(self, selector: str) -> None:
        """Touch the middle of an element with a finger."""
        x, y = self.middle(selector)
        self._act(_pointer("finger", "touch", [(x, y)]))

    def wheel(self, at: tuple[int, int], amount: int) -> None:
        """Turn the wheel; negative amounts turn it away from the user."""
        scroll = {"type": "scroll", "x": at[0], "y": at[1], "deltaX": 0, "deltaY": amount, "duration": 0}
        self._act({"type": "wheel", "id": "wheel", "actions": [scroll]})

    def keys(self, text: str) -> None:
        """Type; special keys have characters such as `ENTER`."""
        actions = [{"type": kind, "value": key} for key in text for kind in ("keyDown", "keyUp")]
        self._act({"type": "key", "id": "keys", "actions": actions})

    def _act(self, *sources: dict[str, Any]) -> None:
        self._send("/actions", {"actions": list(sources)})
        self._send("/actions", method="DELETE")

    def prefer(self, scheme: str, medium: str = "") -> None:
        """Emulate a preference for a 'light' or 'dark' colour scheme, and a medium such as 'print'."""
        media = {"media": medium, "features": [{"name": "prefers-color-scheme", "value": scheme}]}
        self._send("/goog/cdp/execute", {"cmd": "Emulation.setEmulatedMedia", "params": media})

    def resize(self, width: int, height: int, touch: bool = False) -> None:
        """Set the size of the page, which may be narrower than a window; `touch` emulates a phone."""
        sizes = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": touch}
        self._send("/goog/cdp/execute", {"cmd": "Emulation.setDeviceMetricsOverride", "params": sizes})
        self._send("/goog/cdp/execute", {"cmd": "Emulation.setTouchEmulationEnabled", "params": {"enabled": touch}})

    def pdf(self) -> bytes:
        """The page as it is printed."""
        return base64.b64decode(self._send("/print", {}))

    def messages(self) -> list[str]:
        """The console messages since the last call."""
        return [entry["message"] for entry in self._send("/se/log", {"type": "browser"})]

    def requests(self) -> list[str]:
        """The addresses requested since the last call."""
        events = [json.loads(entry["message"])["message"] for entry in self._send("/se/log", {"type": "performance"})]
        return [e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"]


def texts(window: Browser, selector: str) -> list[str]:
    """The texts of all elements that a CSS selector finds, also of hidden ones."""
    return window.run("return [...document.querySelectorAll(arguments[0])].map((e) => e.textContent)", selector)


TAB, ENTER, ESCAPE = "\ue004", "\ue007", "\ue00c"
END, HOME = "\ue010", "\ue011"
LEFT, UP, RIGHT, DOWN = "\ue012", "\ue013", "\ue014", "\ue015"


def _pointer(name: str, kind: str, points: list[tuple[int, int]]) -> dict[str, Any]:
    """A pointer that goes down at the first point, moves to the last, and goes up."""
    moves = [{"type": "pointerMove", "duration": 50 * (i > 0), "x": x, "y": y} for i, (x, y) in enumerate(points)]
    down, up = ({"type": kind, "button": 0} for kind in ("pointerDown", "pointerUp"))
    actions = [moves[0], down, *[move for move in moves[1:] if points[-1] != points[0]], up]
    return {"type": "pointer", "id": name, "parameters": {"pointerType": kind}, "actions": actions}


@contextlib.contextmanager
def browser(size: tuple[int, int] = (1400, 900)) -> Iterator[Browser]:
    """A browser with an empty profile; without one the test is skipped."""
    driver = shutil.which("chromedriver")
    if driver is None or shutil.which("chromium") is None:
        pytest.skip("no browser: install chromium and chromium-driver (apt-get install chromium chromium-driver)")
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile,
        subprocess.Popen([driver, "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process,
    ):
        try:
            port = next((found[1] for line in process.stdout or () if (found := _PORT.search(line))), None)
            if port is None:
                pytest.skip("no browser: chromedriver did not start")
            window = Browser(f"http://127.0.0.1:{port}", profile, size)
            yield window
            window._send("", method="DELETE")
        except AssertionError as error:
            if "session not created" in str(error):
                pytest.skip(f"no browser: chromium did not start: {str(error).splitlines()[0]}")
            raise
        finally:
            process.terminate()
