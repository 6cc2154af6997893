"""Subtle errors in theory/ are noticed by `theory check` itself: a sample by default, with --full all of them."""

from __future__ import annotations

import pytest

from tests.theory.subtle import ROOT, SUBTLE, Subtle, apply, module_path, noticed

# What made a certificate unsound and went by: one of each kind, of the claims that are checked in no time.
SAMPLE = (
    "a cycle may have a vertex twice", "drawn graphs have no edges", "a diagonal matrix is called defective",
    "no defective matrices are drawn", "what is nearly equal agrees",
)  # fmt: skip
FEW = 20
"""Examples that are enough: domains keep their promises however few are asked for."""


@pytest.mark.parametrize("error", [error for error in SUBTLE if error.name in SAMPLE], ids=str)
def test_a_sample_is_noticed_by_the_command(error, tmp_path):
    assert noticed(error, tmp_path, FEW)


def test_a_failure_proven_by_lower_bounds_is_noticed(tmp_path):
    """With 16 bits it would prove the failure of gain 2.332, which works."""
    (error,) = [error for error in SUBTLE if error.name == "failure is proven by lower bounds, with 16 bits"]
    assert noticed(error, tmp_path, 5)


def test_the_command_notices_nothing_in_what_is_right(tmp_path):
    assert not noticed(Subtle("nothing", ("2-2",), ()), tmp_path, FEW)


@pytest.mark.parametrize("error", SUBTLE, ids=str)
def test_every_error_can_be_made(error, tmp_path):
    """So that the list cannot go stale."""
    (module, _, _), *_ = error.edits
    apply(error, tmp_path)
    path = module_path(module)
    assert (tmp_path / path).read_text(encoding="utf-8") != (ROOT / path).read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.parametrize("error", SUBTLE, ids=str)
def test_all_are_noticed_by_the_command(error, tmp_path, full):
    """With --full: three seconds each."""
    if full:
        assert noticed(error, tmp_path)
    else:
        assert all((ROOT / module_path(module)).is_file() for module, _, _ in error.edits)
