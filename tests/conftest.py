"""Shared settings: Hypothesis profiles, Ctrl-C, time limits, the size of campaigns, and the report of skipped tests."""

from __future__ import annotations

import importlib.util
import os
import signal
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from minigrad.primitives import PRIMITIVES
from tests.skips import Skips

# Two cores share the suite: fewer examples by default, more in a campaign (HYPOTHESIS_PROFILE=thorough).
settings.register_profile(
    "default", max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)
settings.register_profile("thorough", max_examples=500, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))

# Shells start background jobs with SIGINT ignored, and child processes inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

_LONGEST_CAMPAIGN = 24 * 3600  # seconds; pyproject.toml has the limit of all other tests
_skips = Skips()
_NEEDS_ONNX = pytest.mark.skipif(importlib.util.find_spec("onnx") is None, reason="no onnx: onnx not installed")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--full", action="store_true", help="run the slow campaigns and sweeps in full, not on samples")


@pytest.fixture
def full(request: pytest.FixtureRequest) -> bool:
    """Whether to run campaigns in full. By default they run on a small sample."""
    return bool(request.config.getoption("--full"))


@pytest.fixture(autouse=True)
def _forget_primitives() -> Iterator[None]:
    """Forget the primitives that a test declares."""
    known = dict(PRIMITIVES)
    yield
    PRIMITIVES.clear()
    PRIMITIVES.update(known)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        if config.getoption("--full") and (item.get_closest_marker("slow") or item.get_closest_marker("sweep")):
            item.add_marker(pytest.mark.timeout(_LONGEST_CAMPAIGN))
        if isinstance(item, pytest.DoctestItem) and item.name.endswith((".export_onnx", ".import_onnx")):
            item.add_marker(_NEEDS_ONNX)


def pytest_collectreport(report: pytest.CollectReport) -> None:
    if report.skipped:
        _skips.note(report)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    _skips.note(report)


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for line in _skips.lines():
        terminalreporter.write_line(line)
    for line in _skips.forbidden:
        terminalreporter.write_line(f"skipped for a reason that is not allowed: {line}", red=True)


def pytest_sessionfinish(session: pytest.Session) -> None:
    if _skips.forbidden and session.exitstatus == 0:
        session.exitstatus = 1
