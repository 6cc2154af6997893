"""An LSTM's way back through steps of few numbers: at once for many steps it is what it is step by step."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from minigrad.ops import recurrent_lstm
from tests.checks import leaf, pull


@given(st.integers(1, 5), st.integers(0, 6), st.integers(1, 4), st.sampled_from([np.float16, np.float32, np.float64]),
       st.booleans(), st.integers(0, 99))  # fmt: skip
def test_steps_of_few_numbers_are_pulled_back_alike(N, T, H, dtype, shorter, seed):
    """At once for many steps, or step by step."""
    rng = np.random.default_rng(seed)
    shapes = [(N, T, 3), (N, H), (3, 4 * H), (H, 4 * H), (4 * H,), (N, H)]
    inputs = [(2 * rng.standard_normal(shape)).astype(dtype) for shape in shapes]
    cotangents = [rng.standard_normal((N, T, H)).astype(dtype) for _ in range(2)]
    lengths = rng.integers(0, T + 1, N) if shorter else None
    found = []
    for few in (0, 1024):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(recurrent_lstm, "_FEW", few)
            leaves = [leaf(a) for a in inputs]
            found.append(pull(lambda *a: mg.ops.lstm(*a, lengths=lengths), leaves, cotangents)[1])
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=30 * np.finfo(dtype).eps * (1 + np.abs(one).max(initial=0)))
