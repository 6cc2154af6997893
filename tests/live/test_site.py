"""The site's programs, run in Chromium as readers do. `make live-check` builds the site and runs these tests."""

from __future__ import annotations

import functools
import http.server
import math
import os
import re
import threading
import time
from itertools import zip_longest
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import captioning
from tests.render.browser import ENTER, browser, texts

SITE = Path(os.environ.get("LIVE_SITE", ""))
PAGES = sorted(SITE.glob("tutorials/*.html")) + sorted(SITE.glob("guides/*.html")) if SITE.name else []
PHOTO = Path(__file__).parents[1] / "captioning" / "scenes" / "golden_scenes.png"
LACKS = "This site does not have it for the browser."
NUMBER = re.compile(r"[-+]?\d+(?:\.\d*)?(?:e[-+]?\d+)?")

pytestmark = pytest.mark.skipif(not SITE.name, reason="no live site: LIVE_SITE is unset")


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serves the site; the next `times` requests for files whose path contains `failing` get `status` and no file."""

    failing, times, status = "", 0, 503

    def log_message(self, *_):
        pass

    def end_headers(self):
        self.send_header("Cache-Control", "no-cache")
        super().end_headers()

    def do_GET(self):
        if Handler.times and Handler.failing in self.path:
            Handler.times -= 1
            self.send_response(self.status)
            self.end_headers()
        else:
            super().do_GET()


@pytest.fixture(scope="module")
def address():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=SITE)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="module")
def window():
    with browser((1280, 1000)) as window:
        yield window


@pytest.fixture
def visit(window, address):
    """A function that opens a page, and returns its window."""

    def opened(path):
        window._send("/url", {"url": f"{address}/{path}"})
        window.requests()
        return window

    yield opened
    Handler.times = 0


def wait(window, condition):
    """Wait until an expression of JavaScript holds."""
    deadline = time.monotonic() + 120
    while not window.run(f"return {condition}"):
        assert time.monotonic() < deadline, texts(window, ".live-bar, .live-error, [role=status]")
        time.sleep(0.05)


def awaited(window, script, *args):
    """Run a script that awaits promises, and return its value."""
    settle = f"window.result = undefined; (async () => {{ {script} }})().catch(String).then((v) => window.result = [v])"
    window.run(settle, *args)
    wait(window, "window.result")
    return window.run("return result[0]")


def run(window, program):
    """Write a program in the first cell, run it with the keyboard, and return what it shows."""
    ctrl_enter = "cells[0].editor.area.dispatchEvent(new KeyboardEvent('keydown', {key: 'Enter', ctrlKey: true}))"
    window.run(f"cells[0].edit(); cells[0].editor.set(arguments[0]); {ctrl_enter}", program)
    wait(window, "!cells[0].running && cells[0].output")
    return window.run("return cells[0].output.textContent")


def press(window, label):
    """Click the button with this label, and wait until what it starts is done."""
    window.run("[...document.querySelectorAll('button')].find((e) => e.textContent == arguments[0]).click()", label)
    wait(window, "!session.calls.size")


def choose(window, selector, value):
    """Set a menu or a slider, as a reader does."""
    event = "dispatchEvent(new Event(arguments[2], {bubbles: true}))"
    kind = "change" if "select" in selector else "input"
    window.run(
        f"const e = document.querySelector(arguments[0]); e.value = arguments[1]; e.{event}", selector, value, kind
    )


TOLERANCES = {"watch_the_gradient_fade": 0.1}
"""The tolerance of pages that train a network, which amplifies the round-off by which processors differ."""


def differences(static, live, tolerance):
    """Words of two outputs that differ by more than the tolerance; times are left out."""
    ours, theirs = (re.sub(r"[\d.]+ [mµn]?s\b", "", text).split() for text in (static, live))

    def close(a, b):
        numbers = zip(NUMBER.findall(a), NUMBER.findall(b), strict=False)
        alike = all(math.isclose(float(x), float(y), rel_tol=tolerance, abs_tol=1e-5) for x, y in numbers)
        return alike and NUMBER.sub("#", a) == NUMBER.sub("#", b)

    return [pair for pair in zip_longest(ours, theirs, fillvalue="") if not close(*pair)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_cells_print_what_the_page_shows(page, visit, capsys):
    window = visit(page.relative_to(SITE).as_posix())
    if not window.run("return document.querySelector('.live')"):
        return  # a page without live cells
    assert not [url for url in window.requests() if "_live" in url]  # nothing is loaded before the first click
    streams = "[...cell.block.closest('.cell')?.querySelectorAll('.output.stream') ?? []]"
    static = window.run(f"return cells.map((cell) => {streams}.map((stream) => stream.textContent).join(''))")
    lacking = 0
    for number, expected in enumerate(static):
        succeeded = awaited(window, "return cells[arguments[0]].run()", number)
        live = window.run("return cells[arguments[0]].output.textContent", number)
        if LACKS in live or "needs the package" in live or (lacking and "Error: " in live):
            lacking += 1
            continue
        assert succeeded is True, live
        if expected:
            assert not differences(expected, live, TOLERANCES.get(page.stem, 1e-5)), f"cell {number + 1}"
    assert all(url.startswith(("http://127.0.0.1", "data:", "blob:", "about:")) for url in window.requests())
    if lacking:
        with capsys.disabled():
            print(f" {page.stem}: {lacking} of {len(static)} cells need packages that this site does not have", end="")


def test_a_cell_that_never_ends_is_stopped_and_the_next_one_runs(visit):
    window = visit("tutorials/first_gradient.html")
    window.run("cells[0].edit(); cells[0].editor.set('print(1, flush=True)\\nwhile True: pass'); cells[0].run()")
    wait(window, "cells[0].output?.textContent == '1\\n'")
    window.click(".live-bar button")
    assert "Stopped" in window.run("return cells[0].output.textContent")
    assert run(window, "print(2)") == "2\n"


def test_mistakes_are_explained(visit):
    window = visit("tutorials/first_gradient.html")
    assert "MemoryError" in run(window, "import numpy as np\nx = [np.ones(2**27) for i in range(3)]")
    syntax = run(window, "print(1)\nprint(2")
    assert "SyntaxError" in syntax
    assert "2  print(2" in syntax
    assert run(window, "def f():\n    return 1 / 0\n\nf()").strip().endswith("ZeroDivisionError: division by zero")
    assert texts(window, ".live-error mark") == ["  2      return 1 / 0"]
    assert run(window, "import scipy").rstrip().endswith(LACKS)
    assert "Python crashed" in run(window, "import ctypes\nctypes.string_at(2**32 - 1)")
    assert run(window, "print(3)") == "3\n"


def test_output_comes_in_order_and_has_an_end(visit):
    window = visit("tutorials/first_gradient.html")
    assert run(window, "print('no newline', end='')") == "no newline"
    assert run(window, "int") == "<class 'int'>"
    assert len(run(window, "print('x' * 10**6)")) < 250_000
    window.run("cells[0].editor.set('while True: print(1)'); cells[0].run()")
    wait(window, "cells[0].output.textContent.endsWith('not shown.')")
    window.click(".live-bar button")
    assert window.run("return cells[0].output.textContent.length") < 250_000
    transcript = "print(1)\n2\nprint(3)"
    awaited(window, f"return cells[0].interactive = true, cells[0].editor.set({transcript!r}), await cells[0].run()")
    assert window.run("return cells[0].output.textContent") == "1\n2\n3\n"


def test_a_failed_download_is_retried(visit):
    window = visit("tutorials/first_gradient.html")
    Handler.failing, Handler.times = "numpy", 1
    assert run(window, "import numpy\nprint(3)") == "3\n"
    window = visit("tutorials/first_gradient.html")
    Handler.failing, Handler.times = "packages.json", 3
    assert "Check the network, and try again" in run(window, "print(4)")
    assert run(window, "print(4)") == "4\n"


def test_python_that_arrives_damaged_is_loaded_anew(visit, monkeypatch):
    window = visit("tutorials/first_gradient.html")
    monkeypatch.setattr(Handler, "status", 200)
    Handler.failing, Handler.times = ".wasm", 1
    assert "Python could not be loaded" in run(window, "print(4)")
    assert run(window, "print(4)") == "4\n"


def test_a_page_says_when_its_data_cannot_be_loaded(visit):
    Handler.failing, Handler.times = "claims.json", 1
    window = visit("live/certificates.html")
    wait(window, "document.querySelector('.live-error')")
    assert "claims.json could not be loaded" in texts(window, ".live-error")[0]


def test_the_script_is_small_and_the_editor_indents(visit):
    names = ("live.js", "worker.js", "session.py")
    assert sum((SITE / "_static" / name).stat().st_size for name in names) <= 30_000
    window = visit("tutorials/first_gradient.html")
    window.run("cells[0].edit(); cells[0].editor.set('')")
    window.keys("for i in (5, 6):" + ENTER + "print(i)")
    assert run(window, window.run("return cells[0].program")) == "5\n6\n"
    window.run("cells[0].resetButton.click()")
    assert window.run("return cells[0].program == cells[0].original && cells[0].resetButton.hidden")


STATUS = ".live-page [role=status]"


def test_the_playground_draws_its_examples_and_programs_in_the_address(visit):
    window = visit("live/playground.html")
    press(window, "Run")
    errors = {"A mistake": "(2, 5)"}
    printed = {"Second derivatives": "[ 36. 288.]", "A custom primitive": "[ 3. 12.]"}
    names = texts(window, ".live-page option")
    assert len(names) >= 10
    for name in names:
        choose(window, ".live-page select", name)
        wait(window, f"!session.calls.size && document.querySelector('{STATUS}').textContent.match(/in .* m?s$/)")
        shown = window.run("return document.querySelector('.live-output').textContent")
        assert errors.get(name, printed.get(name, "")) in shown
        assert bool(texts(window, ".live-error")) == (name in errors), shown
        drawn = window.run("return !!document.querySelector('.pane iframe')?.srcdoc.includes('<svg')")
        assert drawn == (name not in errors)
        born = window.run("return !!document.querySelector('.pane iframe')?.srcdoc.includes('NaN born here')")
        assert born == (name == "A NaN appears")
    window.run("document.querySelector('.live-page textarea').select()")
    window.keys("import minigrad as mg" + ENTER + "loss = mg.tensor(3.0, requires_grad=True) * 2")
    wait(window, "document.querySelector('.pane iframe')?.srcdoc.includes('multiply')")
    window.keys(ENTER + "1 / 0")  # the graph of the loss stays, as it precedes the error
    wait(window, f"document.querySelector('{STATUS}').textContent.startsWith('Failed')")
    assert "multiply" in window.run("return document.querySelector('.pane:not(.stale) iframe').srcdoc")
    press(window, "Copy link")
    link = window.run("return location.hash")
    visit("index.html")
    window = visit("live/playground.html" + link)
    program = "return document.querySelector('.live-page textarea').value"
    assert "mg.tensor(3.0" in window.run(program)
    choose(window, ".live-page select", "A GAN")
    assert "generator" in window.run(program)
    choose(window, ".live-page select", "Your program")
    assert "mg.tensor(3.0" in window.run(program)
    assert not window.run("return session.worker")  # a program in the address runs only after a click


def test_reach_equals_that_of_native_python(visit):
    window = visit("live/reach_playground.html")
    press(window, "Run")
    native = ModuleType("session")
    exec(window.run("return session.setup"), vars(native))
    for choice in (["LSTM", 16, 30, 1, 1, 0], ["RNN", 8, 20, 1, 1.5, 3], ["GRU", 8, 20, 1, 0.5, 1]):
        for steps, tolerance in ((0, 1e-12), (50, 1e-5)):  # training amplifies the round-off by which processors differ
            live = awaited(window, "return session.call('reach', arguments[0])", [*choice, steps])
            expected = native.reach(*choice, steps)
            for ours, theirs in zip(live["norms"], expected["norms"], strict=True):
                np.testing.assert_allclose(ours, theirs, rtol=tolerance)
    before = texts(window, ".live-page p")[0]
    choose(window, ".live-page input[max='5']", -2)
    wait(window, "!session.calls.size")
    press(window, "Train 50 steps")
    after = texts(window, ".live-page p")[0]
    assert "untrained" in before
    assert "after 50 steps" in after


def test_a_changed_certificate_is_rejected(visit):
    window = visit("live/certificates.html")
    wait(window, "document.querySelector('.certificate').value.length > 100")
    press(window, "Check")
    assert texts(window, ".live-output strong")[0].startswith("Accepted")
    window.run(
        'const e = document.querySelector(\'.certificate\'); e.value = e.value.replace(/"rate": "./, \'"rate": "1\')'
    )
    press(window, "Check")
    assert "SHA-256" in texts(window, ".live-output")[0]
    press(window, "Renew the checksum")
    assert texts(window, ".live-output strong") == ["Rejected:"]
    assert "SHA-256" not in texts(window, ".live-output")[0]
    window.run("document.querySelector('.certificate').value = '['")
    press(window, "Renew the checksum")
    assert texts(window, ".live-output strong") == ["Rejected:"]
    press(window, "Reset")
    press(window, "Check")
    assert texts(window, ".live-output strong")[0].startswith("Accepted")
    press(window, "Run the examples")
    assert "counterexample" in texts(window, ".live-output")[0]


def test_a_photo_has_its_native_caption_and_stays_here(visit):
    window = visit("live/caption_a_photo.html")
    press(window, "Load the captioner (45 MB, for research and education only)")
    wait(window, "!document.querySelector('input[type=file]').disabled")
    window.requests()
    window.choose("input[type=file]", PHOTO)
    wait(window, "document.querySelector('.words')")
    (expected,) = captioning.load().caption([PHOTO])
    assert texts(window, ".words button") == list(expected.words)
    assert all(url.startswith("blob:") for url in window.requests())
    window.choose("input[type=file]", Path(__file__))
    wait(window, "document.querySelector('.live-error')")
    assert texts(window, ".live-error")[0].startswith("PhotoError: ")
    wait(window, "document.querySelector('.photo img').hidden")
