"""A server and what fetches from it."""

from __future__ import annotations

import io

import pytest

from captioning.downloading.sources import Source
from captioning.downloading.transfer import Patience, fetch
from captioning.progress import Progress
from tests.captioning.downloading.server import Site, serving
from tests.captioning.downloading.zips import of_size

CONTENT = of_size(300_000)


@pytest.fixture
def site(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    with serving(Site({"/a.zip": CONTENT})) as site:
        yield site


@pytest.fixture
def said():
    """What is said of the progress."""
    return io.StringIO()


@pytest.fixture
def get(site, tmp_path, said):
    """Fetch the server's archive into tmp_path; pauses are noted in `get.pauses` and not made."""

    def get(path="/a.zip", address=None, attempts=3, timeout=5.0, **known):
        source = Source("a", address or site.address + path, "an archive", 10**9, known_from="a test", **known)
        patience = Patience(timeout, attempts, 1.0, get.pauses.append)
        return fetch(source, tmp_path, Progress(said), patience)

    get.pauses = []
    return get
