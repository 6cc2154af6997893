"""`theory check` notices subtle errors in theory/: a sample by default, all of them with --full."""

from __future__ import annotations

import pytest

from tests.theory.subtle import SUBTLE, Subtle, edited, noticed

SAMPLE = {"a cycle may have a vertex twice": 20, "failure is proven by lower bounds, with 16 bits": 5}
"""Errors and the numbers of examples that show them."""


def test_every_error_can_be_made():
    for error in SUBTLE:
        for path, source in edited(error).items():
            compile(source, path, "exec")


def test_nothing_is_noticed_in_the_right_theory(tmp_path):
    assert not noticed(Subtle("nothing", ("2-2",), ()), tmp_path, 5)


@pytest.mark.slow
@pytest.mark.parametrize("number", range(len(SUBTLE)))
def test_an_error_is_noticed(number, tmp_path, full):
    error = SUBTLE[number]
    if full or error.name in SAMPLE:
        assert noticed(error, tmp_path, 100 if full else SAMPLE[error.name])
