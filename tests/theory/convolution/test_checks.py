"""The checkers of the claims 1-1 to 1-3 refute what is wrong."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from theory import Refuted
from theory.convolution import checks
from theory.convolution.certificates import permutation_of
from theory.convolution.domains import Example
from theory.convolution.matrices import SparseMatrix, conv_matrix
from theory.convolution.notation import NUMBERED, products, symbols
from theory.convolution.subpixel import shuffle_matrix, subpixel_kernel

W = np.array([[2.0, 3.0], [5.0, 7.0]])
EXAMPLE = Example("conv", np.arange(9.0).reshape(1, 3, 3), W[None, None])
TRANSPOSED = Example("transposed", np.arange(4.0).reshape(1, 2, 2), W[None, None], (2, 2))


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


def test_filling_to_the_stride_alone_is_too_little():
    for (K, r, d, e), alone, needed in (((2, 2, 1, 1), 2, 4), ((3, 2, 2, 0), 4, 6)):
        assert r * -(-K // r) == alone
        assert r * subpixel_kernel(np.ones((1, 1, 1, K)), (1, r), (0, e), (1, d)).shape[3] == needed
        checks.check_filled_size((K, r, d, e))


def test_the_printed_matrix_multiplies_another_pixel():
    rows, columns = checks.source_printed(NUMBERED[0, 0]).nonzero()
    matrix = SparseMatrix(rows, columns, NUMBERED[0, 0].ravel()[::-1], (4, 8))
    shown = products(matrix, symbols("W", 2, 2), symbols("x", 3, 3))
    assert shown == ["W11 x00", "W10 x02", "W01 x20", "W00 x21"]
    np.testing.assert_array_equal(matrix.dense(), checks.source_printed(NUMBERED[0, 0]))


def test_a_shuffle_that_forgets_a_pixel_is_refuted(monkeypatch):
    checks.check_source_permutation(TRANSPOSED)

    def broken(shape, factor):
        p = shuffle_matrix(shape, factor)
        p.columns[1] = p.columns[0]
        return p

    monkeypatch.setattr(checks, "shuffle_matrix", broken)
    with pytest.raises(Refuted):
        checks.check_source_permutation(TRANSPOSED)
    with pytest.raises(Refuted, match="column 0 has 2 ones"):
        checks.check_source_permutation(Example("transposed", TRANSPOSED.x, 0 * TRANSPOSED.w, (2, 2)))


@given(st.permutations(range(6)))
def test_permutation_certificate(order):
    matrix = np.eye(6, dtype=int)[list(order)]
    assert permutation_of(matrix) == list(order)
    assert permutation_of(matrix.astype(float)) == list(order)
    assert permutation_of(matrix.tolist()) == list(order)


@given(st.integers(0, 2), st.integers(0, 2), st.sampled_from([-1, 2, 0.5, np.nan, 1, 0]), st.permutations(range(3)))
def test_certificate_notices_every_changed_entry(row, column, entry, order):
    matrix = np.eye(3)[list(order)]
    assume(matrix[row, column] != entry)
    matrix[row, column] = entry
    with pytest.raises(ValueError, match="permutation matrix"):
        permutation_of(matrix)
