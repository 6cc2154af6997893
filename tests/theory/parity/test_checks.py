"""What the checkers of parity share."""

from __future__ import annotations

import numpy as np
import pytest

from theory import Refuted
from theory.parity.checks import random_bits, require_parity
from theory.parity.units import as_bits, parity


def test_random_bits_have_the_density_asked_for():
    assert random_bits(0.0, 1, (50,)).sum() == 0
    assert random_bits(1.0, 1, (50,)).sum() == 50
    assert abs(random_bits(0.3, 1, (100_000,)).mean() - 0.3) < 0.01
    assert (random_bits(0.5, 3, (20,)) == random_bits(0.5, 3, (20,))).all()


def test_require_parity_says_where():
    bits = as_bits([[0, 0, 0], [1, 0, 1]])
    require_parity(parity(bits), bits)
    wrong = parity(bits)
    wrong[1, 1] = 0
    with pytest.raises(Refuted, match=r"^y_2 = 0 after the bits 1 0, whose parity is 1$"):
        require_parity(wrong, bits)
    long = np.zeros((1, 50), np.int64)
    with pytest.raises(Refuted, match=r"^y_50 = 1 after 50 bits, whose parity is 0$"):
        require_parity((np.arange(50) == 49).astype(int)[None], long)
    with pytest.raises(Refuted):
        require_parity(np.full((1, 1), np.nan), as_bits([[0]]))
    with pytest.raises(Refuted, match=r"^the outputs have the shape \(1, 1\), the bits \(1, 2\)$"):
        require_parity(np.zeros((1, 1)), as_bits([[0, 0]]))
