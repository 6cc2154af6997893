"""Tests of mutants take a sample of their module's list; with --full, all of it."""

from __future__ import annotations

import pytest

EVERY = 10


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "mutant" in metafunc.fixturenames:
        mutants = metafunc.module.MUTANTS
        full = metafunc.config.getoption("--full")
        metafunc.parametrize("mutant", mutants if full else mutants[::EVERY], ids=str)
