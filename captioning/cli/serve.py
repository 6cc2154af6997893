"""The command `serve`: a web page on this machine that captions photos."""

from __future__ import annotations

import argparse
import os
import sys
import threading
import webbrowser

from captioning.cli.options import Command
from captioning.command import shown
from captioning.progress import Progress
from captioning.training.run_features import extractor_name
from captioning.training.run_folder import Run
from minigrad.runtime.extras import require

__all__ = ["SERVE"]

_DISPLAYS = ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")  # without these, webbrowser runs in the terminal


def _serve(options: argparse.Namespace) -> int:
    from captioning.photo_captioner import PhotoCaptioner
    from captioning.serving.answers import AnswerQueue, Answers
    from captioning.serving.app import make_app
    from captioning.serving.photo_reader import PhotoReader
    from captioning.serving.server import address_of, listen, run
    from captioning.serving.upload_limits import Limits

    limits = Limits()
    with listen(options.port) as listener:
        served = Run.open(options.run or "shipped")
        extractor_name(served, options.extractor)
        require("starlette", "caption")
        require("uvicorn", "caption")
        progress = Progress()
        progress.say("loading the captioner")
        name = "the Flickr8k captioner" if options.run is None else shown(options.run)
        with PhotoReader(limits.photo_seconds) as reader:
            captioner = PhotoCaptioner.of_runs([served], options.extractor, count=5, warn=progress.say)
            answer = Answers(captioner, reader.read)
            answer.warm_up()
            with AnswerQueue(answer, limits.places) as queue:
                app = make_app(queue, name, limits)
                run(app, listener, limits, lambda: _announce(address_of(listener), not options.no_browser))
    return 0


def _announce(address: str, browser: bool) -> None:
    print(f"{address} is ready for photos. Press Ctrl-C to stop.", flush=True)
    if browser and (sys.platform != "linux" or any(map(os.environ.get, _DISPLAYS))):
        threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()


SERVE = Command(
    "serve", "open a web page on this machine that captions your photos. It shows the caption, the probability of each "
    "word, and where the captioner looked. Photos stay on this machine and are not stored. Press Ctrl-C to stop",
    _serve,
    {
        "run": {"nargs": "?", "help": "a run folder (default: shipped, the captioner trained on Flickr8k)"},
        "--port": {"type": int, "default": 8765, "metavar": "N", "help": "port of 127.0.0.1, to which no other "
                   "machine can connect; 0 for any free port"},
        "--extractor": {},
        "--no-browser": {"action": "store_true", "help": "print the address without opening a browser"},
    },
    "example:\n  captioning serve\n  captioning serve RUN --port 9000 --no-browser",
)  # fmt: skip
