"""The tests here compile every function, also those of small arrays, into a folder of their own."""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path

import pytest

from minigrad.runtime.threads import get_num_threads, set_num_threads

fused_module = importlib.import_module("minigrad.compiler.fused")


@pytest.fixture(scope="session")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("kernels")


@pytest.fixture(autouse=True)
def _compile_all(folder, monkeypatch):
    if importlib.util.find_spec("llvmlite") is None:
        pytest.skip("no llvmlite")
    monkeypatch.setenv("MINIGRAD_CACHE", str(folder))
    monkeypatch.setattr(fused_module, "_worth_a_call", lambda: 1)


@pytest.fixture
def threads(monkeypatch):
    """Return a function that sets the number of threads, which then share arrays of any size."""
    monkeypatch.setattr(fused_module, "_WORTH_A_PIECE", 1)
    before = get_num_threads()
    yield set_num_threads
    set_num_threads(before)
