"""Shared settings: Hypothesis profiles, the size of campaigns, and which skips are allowed."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, settings

# Two cores share the suite: fewer examples by default, more in a campaign (HYPOTHESIS_PROFILE=thorough).
settings.register_profile(
    "default", max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)
settings.register_profile("thorough", max_examples=500, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))

# A test may be skipped for these reasons only; any other skip fails the run.
ALLOWED_SKIPS = ("no real data", "no browser", "no dot")
_forbidden: list[str] = []


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--full", action="store_true", help="run the slow campaigns in full, not on small settings")


@pytest.fixture
def full(request: pytest.FixtureRequest) -> bool:
    """Whether a campaign marked slow should run in full; otherwise it runs on small settings."""
    return bool(request.config.getoption("--full"))


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.skipped and isinstance(report.longrepr, tuple):
        reason = report.longrepr[2].removeprefix("Skipped: ")
        if not reason.startswith(ALLOWED_SKIPS):
            _forbidden.append(f"{report.nodeid}: {reason}")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for line in _forbidden:
        terminalreporter.write_line(f"skipped for a reason that is not allowed: {line}", red=True)


def pytest_sessionfinish(session: pytest.Session) -> None:
    if _forbidden and session.exitstatus == 0:
        session.exitstatus = 1
