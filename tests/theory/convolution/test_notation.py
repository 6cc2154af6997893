"""Matrices of weights in symbols."""

from __future__ import annotations

from theory.convolution.matrices import conv_matrix
from theory.convolution.notation import NUMBERED, products, symbols, written


def test_symbols():
    matrix = conv_matrix(NUMBERED, (1, 2, 3))
    assert written(matrix.dense(), symbols("W", 2, 2)) == ["[W00 W01  .  W10 W11  . ]", "[ .  W00 W01  .  W10 W11]"]
    sums = products(matrix, symbols("W", 2, 2), symbols("x", 2, 3))
    assert sums[1] == "W00 x01 + W01 x02 + W10 x11 + W11 x12"
    assert products(conv_matrix(NUMBERED, (1, 2, 2), stride=3, padding=2), symbols("W", 2, 2), symbols("x", 2, 2)) == [
        "0", "0", "0", "W00 x11",
    ]  # fmt: skip
