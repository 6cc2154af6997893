"""The command `serve`: a page on this machine that captions photos."""

from __future__ import annotations

import argparse
import os
import sys
import threading
import webbrowser
from typing import Any

from captioning.cli.options import add_command
from captioning.command import shown
from captioning.progress import Progress
from captioning.shipped import shipped_run
from captioning.training.run_features import extractor_name
from captioning.training.run_folder import Run
from minigrad.runtime.extras import require

__all__ = ["add_serve"]

_PORT = 8765
_DISPLAYS = ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")  # without any of which a browser would be one of the terminal


def add_serve(commands: Any) -> None:
    """The command `serve`."""
    parser = add_command(
        commands, "serve", "open a page on this machine to which you give photos: it shows what the captioner says of "
        "them, how sure it is of each word, and where it looks. Nothing leaves this machine, and nothing is kept; "
        "Ctrl-C ends it", _serve,
        example="example:\n  captioning serve\n  captioning serve RUN --port 9000 --no-browser",
    )  # fmt: skip
    parser.add_argument("run", metavar="RUN", nargs="?", help="a run folder (default: the captioner that comes with "
                        "the package, trained on Flickr8k)")  # fmt: skip
    parser.add_argument("--port", type=int, default=_PORT, metavar="N", help=f"of 127.0.0.1, no other machine can "
                        f"connect; 0 for any that is free ({_PORT})")  # fmt: skip
    parser.add_argument("--extractor", metavar="NAME", help="the network that made the features on which RUN was "
                        "trained, if RUN does not say it itself")  # fmt: skip
    parser.add_argument("--no-browser", action="store_true", help="print the address, and open no browser")


def _serve(options: argparse.Namespace) -> int:
    from captioning.evaluation.calibration import Calibration
    from captioning.photo_captions import extractor_of
    from captioning.serving.answers import Answering
    from captioning.serving.app import make_app
    from captioning.serving.limits import Limits
    from captioning.serving.photo_reader import PhotoReader
    from captioning.serving.server import address_of, listen, run
    from captioning.serving.worker import Worker

    limits = Limits()
    with listen(options.port) as listener:
        served = shipped_run() if options.run is None else Run.open(options.run)
        extractor_name(served, options.extractor)
        require("starlette", "serve")
        require("uvicorn", "serve")
        Progress().say("reading the captioner")
        name = "the captioner that comes with the package" if options.run is None else shown(options.run)
        with PhotoReader(limits.photo_seconds) as reader:
            network, calibration = extractor_of(served, options.extractor), Calibration.load(served.folder)
            if calibration is not None and not calibration.is_of(served.folder):
                calibration = None  # of other weights
            answering = Answering(served.load_model(), network, reader.read, calibration)
            answering.rehearse()
            with Worker(answering, limits.places) as worker:
                app = make_app(worker, name, limits)
                run(app, listener, limits, lambda: _say(address_of(listener), not options.no_browser))
    return 0


def _say(address: str, browser: bool) -> None:
    print(f"{address} takes photos now; Ctrl-C ends it", flush=True)
    if browser and (sys.platform != "linux" or any(map(os.environ.get, _DISPLAYS))):
        threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()
