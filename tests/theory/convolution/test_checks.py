"""The checkers of the claims 1-1 to 1-3 refute what is wrong, and know the source's matrices literally."""

from __future__ import annotations

import re

import numpy as np
import pytest

from theory import Refuted
from theory.convolution import checks
from theory.convolution.domains import Example
from theory.convolution.matrices import SparseMatrix, conv_matrix
from theory.convolution.subpixel import shuffle_matrix, subpixel_kernel

W = np.array([[2.0, 3.0], [5.0, 7.0]])
EXAMPLE = Example("conv", np.arange(9.0).reshape(1, 3, 3), W[None, None])
TRANSPOSED = Example("transposed", np.arange(4.0).reshape(1, 2, 2), W[None, None], (2, 2))


def test_the_source_literally():
    """The places of the source's matrices, written down a second time, as (row, column)."""
    a = checks.source_convolution(W)
    assert a.shape == (4, 9)
    assert [(i, j, a[i, j]) for i, j in np.argwhere(a)] == [(0, 0, 7), (1, 2, 5), (2, 6, 3), (3, 8, 2)]
    rows = "0:W00 0:W01 1:W00 1:W01 / 0:W10 0:W11 1:W10 1:W11 / 2:W00 2:W01 3:W00 3:W01 / 2:W10 2:W11 3:W10 3:W11"
    entries = [re.fullmatch(r"(\d):W(\d)(\d)", part).groups() for part in rows.split() if part != "/"]
    expected = np.zeros((16, 4))
    for row, (column, i, j) in enumerate(entries):
        expected[row, int(column)] = W[int(i), int(j)]
    np.testing.assert_array_equal(checks.source_transposed(W), expected)
    x = np.arange(9.0).reshape(3, 3)
    np.testing.assert_array_equal(checks.source_output(x, W), [[0, 5 * 2], [3 * 6, 2 * 8]])


@pytest.mark.parametrize("check", [checks.check_product, checks.check_vjp, checks.check_adjoint])
@pytest.mark.parametrize("example", [EXAMPLE, TRANSPOSED])
def test_a_checker_refutes_another_primitive(check, example, monkeypatch):
    check(example)
    flipped = Example(example.kind, example.x, example.w[..., ::-1], example.stride)
    other = checks.primitive_of(flipped)
    monkeypatch.setattr(checks, "primitive_of", lambda _: other)
    with pytest.raises(Refuted):
        check(example)


def test_a_matrix_with_an_entry_outside_is_refuted(monkeypatch):
    def shifted(*arguments, **options):
        a = conv_matrix(*arguments, **options)
        return SparseMatrix(a.rows, a.columns + 1, a.values, a.shape)

    monkeypatch.setattr(checks, "conv_matrix", shifted)
    with pytest.raises(Refuted, match=r"a triplet is outside of a matrix of \(4, 9\)"):
        checks.check_product(EXAMPLE)


def test_too_small_a_kernel_is_refuted(monkeypatch):
    example = Example("transposed", TRANSPOSED.x, TRANSPOSED.w, (2, 2), output_padding=(1, 0))
    checks.check_every_kernel(example)
    monkeypatch.setattr(checks, "subpixel_kernel", lambda w, r, end, *others: subpixel_kernel(w, r, 0, *others))
    with pytest.raises(Refuted, match=r"P gives 4x4 pixels, of which \(5, 4\) are to be kept"):
        checks.check_every_kernel(example)


def test_a_shuffle_that_forgets_a_pixel_is_refuted(monkeypatch):
    checks.check_source_permutation(TRANSPOSED)

    def broken(shape, factor):
        p = shuffle_matrix(shape, factor)
        p.columns[1] = p.columns[0]
        return p

    monkeypatch.setattr(checks, "shuffle_matrix", broken)
    with pytest.raises(Refuted):
        checks.check_source_permutation(TRANSPOSED)
    with pytest.raises(Refuted, match="P is no permutation: column 0 has 2 ones"):
        checks.check_source_permutation(Example("transposed", TRANSPOSED.x, 0 * TRANSPOSED.w, (2, 2)))
