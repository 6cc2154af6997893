"""GradBench's programs at small sizes: minigrad's derivatives are those of PyTorch's own versions."""

from __future__ import annotations

import numpy as np
import pytest

import minigrad as mg
from benchmarks.gradbench.inputs import draw
from benchmarks.gradbench.programs import PROGRAMS
from tests.peers import Peer

PYTORCH = Peer(__name__)


@pytest.mark.parametrize("program", PROGRAMS)
def test_derivatives_are_those_of_pytorch(program):
    def theirs(torch, *inputs):
        from benchmarks.gradbench import in_torch

        return in_torch.PROGRAMS[program](*in_torch.as_tensors(inputs))

    answer = PYTORCH.ask(program, theirs, draw(program, small=True))
    results = PROGRAMS[program](mg, *answer.inputs)
    for ours, expected in zip(results, answer.expected, strict=True):
        assert ours.dtype == expected.dtype
        np.testing.assert_allclose(ours.numpy(), expected, rtol=1e-9, atol=1e-9 * np.abs(expected).max())
