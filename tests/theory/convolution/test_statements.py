"""The claims 1-1, 1-2 and 1-3: verdicts, smallest counterexamples, what is shown and drawn."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given

from theory import CLAIMS, Refuted
from theory.convolution import checks
from theory.convolution.domains import Example, convolutions, shuffles, transposed
from theory.convolution.matrices import SparseMatrix, conv_matrix, conv_transpose_matrix
from theory.convolution.notation import NUMBERED, products, symbols, written
from theory.convolution.subpixel import shuffle_matrix, subpixel_kernel
from theory.page import save_figure

NUMBERS = {
    "1-1": "false as printed",
    "1-2": "holds more generally than stated",
    "1-3": "holds more generally than stated",
}
W = np.array([[2.0, 3.0], [5.0, 7.0]])


@pytest.mark.parametrize("number", NUMBERS)
def test_verdict(number):
    verdict = CLAIMS[number].check(20)
    assert verdict.outcome == NUMBERS[number]
    assert verdict.as_expected
    assert all(result.cases >= 1 for result in verdict.results)


@pytest.mark.slow
@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("seed", [1, 2])
def test_verdict_of_a_campaign(number, seed, full):
    assert CLAIMS[number].check(3000 if full else 10, seed).as_expected


def test_the_printed_matrix_has_a_column_too_few():
    claim = CLAIMS["1-1"]
    assert claim.counterexample() == (4, 8)
    (failed,) = [result for result in claim.check(5).results if not result.holds]
    assert failed.shown == "A of 4x8"
    assert failed.message == "a matrix of 4x8 cannot be applied to the 9 entries of vec(X)"
    checks.check_printed_shape((4, 9))


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


# Checkers notice what is wrong ---------------------------------------------------------------------

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


def test_a_counterexample_is_written():
    assert (
        str(TRANSPOSED)
        == "x = [[[0, 1], [2, 3]]] of shape 1x2x2, w = [[[[2, 3], [5, 7]]]] of shape 1x1x2x2, stride (2, 2)"
    )
    large = Example("conv", np.zeros((1, 9, 9)), W[None, None], groups=1, dilation=(1, 2))
    assert str(large).startswith("x = numbers of shape 1x9x9, w = ")
    assert str(large).endswith(", dilation (1, 2)")


@given(convolutions())
def test_drawn_convolutions_fit(example):
    assert example.x.shape[0] == example.w.shape[1] * example.groups
    assert conv_matrix(example.w, example.x.shape, **example.options).shape[0] > 0


@pytest.mark.parametrize("kernel", ["any", "stride", "multiple"])
def test_drawn_transposed_convolutions_fit(kernel):
    @given(transposed(kernel))
    def fit(example):
        assert all(0 <= e < s for e, s in zip(example.output_padding, example.stride, strict=True))
        assert conv_transpose_matrix(example.w, example.x.shape, **example.options).shape[0] > 0
        if kernel != "any":
            assert all(k % s == 0 for k, s in zip(example.w.shape[2:], example.stride, strict=True))

    fit()


# What people see -----------------------------------------------------------------------------------


def read(lines):
    """Rows of cells of a matrix that is printed."""
    return [line.strip("[]").split() for line in lines]


def test_show_convolution():
    text = CLAIMS["1-1"].show()
    cells = read(line for line in text.splitlines() if line.startswith("["))
    assert [len(row) for row in cells] == [9] * 4
    assert [(i, j, cell) for i, row in enumerate(cells) for j, cell in enumerate(row) if cell != "."] == [
        (0, 0, "W11"), (1, 2, "W10"), (2, 6, "W01"), (3, 8, "W00"),
    ]  # fmt: skip
    assert "Y = [[W11 x00, W10 x02],\n     [W01 x20, W00 x22]]" in text


def test_show_transposed():
    text = CLAIMS["1-2"].show()
    cells = read(line for line in text.splitlines() if line.startswith("["))
    tall, wide = cells[:16], cells[16:]
    assert [len(row) for row in tall] == [4] * 16
    assert [list(column) for column in zip(*tall, strict=True)] == wide
    assert tall[:5] == [["W00", ".", ".", "."], ["W01", ".", ".", "."], [".", "W00", ".", "."], [".", "W01", ".", "."],
                        ["W10", ".", ".", "."]]  # fmt: skip
    assert "Y = [[W00 x00, W01 x00, W00 x01, W01 x01],\n" in text


def test_show_permutation_multiplies_out():
    names = {".": 0, "1": 1, "W00": 2, "W01": 3, "W10": 5, "W11": 7}
    lines = [line for line in CLAIMS["1-3"].show().splitlines() if line.startswith("[")]
    parts = [[[names[cell] for cell in part.split()] for part in re.findall(r"\[(.*?)\]", line)] for line in lines]
    a_t, p, a_c = (np.array(matrix) for matrix in zip(*parts, strict=True))
    assert (a_t.shape, p.shape, a_c.shape) == ((16, 4), (16, 16), (16, 4))
    np.testing.assert_array_equal(p @ a_c, a_t)
    np.testing.assert_array_equal(a_t, checks.source_transposed(W))
    np.testing.assert_array_equal(a_c, np.kron([[2], [3], [5], [7]], np.eye(4)))


def test_symbols():
    matrix = conv_matrix(NUMBERED, (1, 2, 3))
    assert written(matrix.dense(), symbols("W", 2, 2)) == ["[W00 W01  .  W10 W11  . ]", "[ .  W00 W01  .  W10 W11]"]
    sums = products(matrix, symbols("W", 2, 2), symbols("x", 2, 3))
    assert sums[1] == "W00 x01 + W01 x02 + W10 x11 + W11 x12"
    assert products(conv_matrix(NUMBERED, (1, 2, 2), stride=3, padding=2), symbols("W", 2, 2), symbols("x", 2, 2)) == [
        "0", "0", "0", "W00 x11",
    ]  # fmt: skip


@pytest.mark.parametrize("number", NUMBERS)
def test_figure(number, tmp_path):
    """Each matrix of the claim is drawn, and no two texts overlap; the same bytes twice."""
    figure = CLAIMS[number].figure()
    figure.canvas.draw()
    shapes = [axes.images[0].get_array().shape for axes in figure.axes if axes.images]
    expected = {
        "1-1": [(2, 2), (4, 9), (16, 25)],
        "1-2": [(2, 2), (16, 4), (4, 16)],
        "1-3": [(16, 4), (16, 4), (16, 16)],
    }
    assert shapes == expected[number]
    texts = [axes.title for axes in figure.axes] + figure.texts
    boxes = [text.get_window_extent() for text in texts if text.get_text()]
    boxes += [figure._suptitle.get_window_extent()] if figure._suptitle not in figure.texts else []
    width, height = figure.canvas.get_width_height()
    for k, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[:k])
        assert box.x0 >= 0
        assert box.x1 <= width
        assert box.y1 <= height
    for name in ("a.svg", "b.svg"):
        save_figure(CLAIMS[number], tmp_path / name)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


@pytest.mark.parametrize("number", NUMBERS)
def test_words_are_complete(number):
    claim = CLAIMS[number]
    assert claim.source == f"homework {number}"
    assert claim.statement.latex.count("$") % 2 == 0
    assert claim.proof.count("$") % 2 == 0
    assert all("\n" not in p.statement for p in claim.propositions)
    assert claim.show().count("\n") > 3


def test_shuffles_are_all_and_the_smallest_first():
    cases = shuffles(100)
    assert len(set(cases)) == len(cases) == 3**4
    assert cases[0] == (1, 1, 1, 1)
    entries = [c * h * w * r * r for c, h, w, r in cases]
    assert entries == sorted(entries)
    assert len(shuffles(1000)) == 4**4
