"""How a checker refutes."""

from __future__ import annotations

import numpy as np
import pytest

from theory import Refuted, agree


def test_agree():
    agree(np.eye(2) + 1e-12, np.eye(2), "close")
    agree(np.zeros(0), np.zeros(0), "empty")
    agree([1e6 + 1e-4], [1e6], "relative")
    agree([np.inf, np.nan, 1.0], [np.inf, np.nan, 1.0], "not finite")
    agree(np.array([True]), [1], "booleans")
    for actual, expected in (([5, 1], [7, np.inf]), ([0, 1], [np.inf, 1]), ([np.inf, 1], [1, 1]), ([1], [np.nan])):
        with pytest.raises(Refuted, match="entry"):
            agree(actual, expected, "not finite")
    for wrong in (np.eye(2) + 1e-3, np.eye(3), np.full((2, 2), np.nan)):
        with pytest.raises(Refuted, match="the matrix"):
            agree(wrong, np.eye(2), "the matrix")
