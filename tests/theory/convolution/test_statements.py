"""The claims 1-1, 1-2 and 1-3: verdicts, smallest counterexamples, and words."""

from __future__ import annotations

import re

import numpy as np
import pytest

from theory import CLAIMS
from theory.convolution import checks
from theory.convolution.domains import Example

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


TRANSPOSED = Example("transposed", np.arange(4.0).reshape(1, 2, 2), W[None, None], (2, 2))


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


@pytest.mark.parametrize("number", NUMBERS)
def test_words_are_complete(number):
    claim = CLAIMS[number]
    assert claim.source == f"homework {number}"
    assert claim.statement.latex.count("$") % 2 == 0
    assert claim.proof.count("$") % 2 == 0
    assert all("\n" not in p.statement for p in claim.propositions)
    assert claim.show().count("\n") > 3
