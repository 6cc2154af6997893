"""``python -m tests.freeze``: ask PyTorch anew what the tests compare with, and freeze its answers in tests/frozen.

With names of test files, only what they ask; with ``--check``, no file is written: without PyTorch, the tests that
compare must pass on what is frozen, and nothing else may be frozen. See tests/peers.py.
"""

from __future__ import annotations

import argparse
import inspect
import os
import sys
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before NumPy is imported
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest

from tests import peers

TESTS = Path(__file__).parent


class Comparing:
    """Of the collected tests only those that ask PyTorch: their text says so."""

    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        chosen = [item for item in items if isinstance(item, pytest.Function) and asks(item.function)]
        config.hook.pytest_deselected(items=[item for item in items if item not in chosen])
        items[:] = chosen


def asks(test: object) -> bool:
    """Whether a test names its module's `Peer`."""
    return "PYTORCH" in inspect.getsource(test)  # type: ignore[arg-type]


def sources() -> list[str]:
    """The files of tests that compare with PyTorch."""
    files = [path for path in sorted(TESTS.rglob("test_*.py")) if "\nPYTORCH = Peer(__name__)\n" in path.read_text()]
    return [path.relative_to(TESTS.parent).as_posix() for path in files]


def run(files: list[str]) -> None:
    """Run the comparing tests; they must pass."""
    paths = [str(TESTS.parent / file) for file in files]
    arguments = [*paths, "-q", "--assert=plain", "-p", "no:cacheprovider", "-p", "no:xdist"]
    status = pytest.main(arguments, plugins=[Comparing()])
    if status:
        sys.exit(f"tests.freeze: the tests failed (status {int(status)}); nothing is written")


def freeze(files: list[str]) -> None:
    """Write the answers to all that the tests of some files ask."""
    torch = peers.pytorch()
    if torch is None:
        sys.exit("tests.freeze: PyTorch is not installed: pip install torch")
    peers.renewed = {}
    run(files)
    for file in files:
        peer = peers.Peer(file.removesuffix(".py").replace("/", "."))
        answers = peers.renewed.pop(peer.path)
        peers.write(peer.path, answers, peers.command(peer.source), torch.__version__)
        count = sum(map(len, answers.values()))
        print(f"{peer.path.relative_to(TESTS.parent)}: {count} answers, {peer.path.stat().st_size:,} bytes")


def stale() -> list[str]:
    """What is frozen and was not asked for."""
    files = sorted(path for path in peers.FOLDER.rglob("*") if path.is_file())
    unasked = [(path, key) for path in files for key in peers.read(path) if (path, key) not in peers.asked]
    return [f"{path.relative_to(TESTS.parent)}: {key}" for path, key in unasked]


def main(arguments: list[str] | None = None) -> int:
    """0 if all is frozen, or with --check if what is frozen is what the tests ask."""
    parser = argparse.ArgumentParser(prog="python -m tests.freeze", description=__doc__)
    parser.add_argument("files", nargs="*", metavar="FILE", help="tests/…/test_….py; by default all that compare")
    parser.add_argument("--check", action="store_true", help="only see whether what is frozen is what the tests ask")
    options = parser.parse_args(arguments)
    if unknown := set(options.files) - set(sources()):
        parser.error(f"no tests that compare with PyTorch: {', '.join(sorted(unknown))}")
    if not options.check:
        freeze(options.files or sources())
        return 0
    os.environ[peers.WITHOUT] = "1"
    run(sources())
    left = stale()
    print("\n".join(["frozen, and no test asks for it:", *left] if left else ["nothing is stale"]))
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main())
