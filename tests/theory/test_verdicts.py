"""The claims of theory: their verdicts, counterexamples, words, pictures, and what `theory show` prints."""

from __future__ import annotations

import re

import matplotlib.image
import numpy as np
import pytest

from theory import CLAIMS, Corrected
from theory.convolution.checks import source_transposed
from theory.figures import INK
from theory.ordering.certificates import check_order
from theory.ordering.graphs import LAYER
from theory.page import save_figure

VERDICTS = {  # on the printed parts, and the smallest counterexample of each false proposition
    "1-1": ("matrix: refuted", ["A of 4x8"]),
    "1-2": ("", []),
    "1-3": ("", []),
    "2-1": ("proof: refuted", ["2 vertices without edges", "no vertices"]),
    "2-2": ("proof: no counterexample", []),
    "3-1": ("formula: refuted", ["(1, 1)"]),
    "3-1 alt": ("formula: refuted", ["(1, 1)", "(0,)", "(1, 1)", "(0,)"]),
    "3-2": (
        "proof: refuted, formula: refuted",
        [
            "W = [[0, 1], [0, 1]] = P D P^-1, P = [[1, 1], [0, 1]], D = diag(0, 1), k = 1",
            "W = [[0, 0], [-1, 1]] = P D P^-1, P = [[1, 0], [1, 1]], D = diag(0, 1), k = 2",
            "[[0, 1], [0, 0]]",
        ],
    ),
    "4-1": ("", ["[[1.5, 1.5], [-1.5, -1.5]]"]),
    "4-2": ("", ["([[0, 2], [2, 0]], (0, 1))"]),
    "4-3": ("", ["w = 1"]),
    "4-4": ("", ["(2, 1)"]),
    "4-5": ("", ["-1"]),
    "5-1": ("", ["2 tokens in the order (1, 0)"]),
    "5-2": ("", ["L = 1"]),
    "5-3": ("", ["a = -1", "epsilon = 1e-05, a = 2"]),
    "5-4": ("", ["the embeddings 0, 1, 2"]),
    "5-5": ("", ["z = ±1"]),
    "5-6": ("", ["SGD", "the outgoing weights 0 and 1"]),
    "6-1": ("", ["C = 3", "c = 1e-08"]),
    "6-2": ("", ["x = 1", "L = 9"]),
    "6-3": ("", ["rate 49/40"]),
    "6-4": ("", ["w = (1, -1), v = (1, -1)"]),
    "6-5": ("", ["widths 1, 1, 2"]),
}


@pytest.mark.slow
@pytest.mark.parametrize("number", CLAIMS)
def test_verdict(number, full):
    """With --full on 2,000 examples and all large finite domains."""
    printed, counterexamples = VERDICTS[number]
    verdict = CLAIMS[number].check(2_000 if full else 6, seed=1)
    assert verdict.as_expected, [r.message for r in verdict.results if not r.as_expected]
    false = any(p.false and p.role == "printed" for p in CLAIMS[number].propositions)
    assert (verdict.outcome, verdict.printed) == ("refuted" if false else "no counterexample", printed)
    refuted = [r for r in verdict.results if r.verdict == "refuted"]
    assert all(r.proposition.false for r in refuted)
    assert [r.shown for r in refuted] == counterexamples


def test_finite_domains_are_whole():
    def cases(number, name, examples):
        (proposition,) = [p for p in CLAIMS[number].propositions if p.name == name]
        return proposition.examine(examples, 0).cases

    assert cases("1-3", "pixel shuffle", 1) == 3**4
    assert [cases("2-1", "the step", n) for n in (1, 100)] == [30, 573]
    assert cases("2-2", "never both", 1) == 530
    assert cases("3-1", "all short sequences", 1) == 16
    assert cases("3-2", "forget bias", 1) == 3


def test_only_the_source_is_printed():
    general = {p.name for claim in CLAIMS.values() for p in claim.propositions if p.role == "general"}
    assert general >= {"never both", "minigrad's graphs", "the last factor P^-1, symmetric W"}


@pytest.mark.parametrize("claim", CLAIMS.values(), ids=lambda claim: claim.number)
def test_words_are_complete(claim):
    texts = [claim.statement.latex, claim.proof, *([claim.corrected.latex] if claim.corrected else [])]
    for text in texts:
        assert "\\\\" not in text  # a Markdown reader would drop one of them
        assert all(line.count("$") % 2 == 0 for line in text.splitlines())  # no formula spans two lines
    assert all("\n" not in p.statement for p in claim.propositions)
    if isinstance(claim.corrected, Corrected):
        by = [p for p in claim.propositions if p.name in claim.corrected.by]
        assert by
        assert all(p.role == "corrected" and not p.false for p in by)


@pytest.mark.parametrize("claim", CLAIMS.values(), ids=lambda claim: claim.number)
def test_counterexamples_are_written_on_one_line(claim):
    for proposition in claim.propositions:
        for example in proposition.examples.examples(1)[:2]:
            assert "\n" not in proposition.show(example) != ""


# Pictures ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("claim", [c for c in CLAIMS.values() if c.draw], ids=lambda claim: claim.number)
def test_picture(claim):
    """The texts outside the panels do not overlap, and lie within the figure."""
    figure = claim.figure()
    figure.canvas.draw()
    titles = [text for axes in figure.axes for text in (axes.title, axes._left_title)]
    texts = {*titles, *figure.texts, *([figure._suptitle] if figure._suptitle else [])}
    boxes = [text.get_window_extent() for text in texts if text.get_text()]
    width, height = figure.canvas.get_width_height()
    assert len(boxes) >= 2
    for k, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[:k])
        assert (box.x0 >= 0, box.x1 <= width, box.y1 <= height) == (True, True, True)


def test_what_the_pictures_show():
    matrices = [axes.images[0].get_array().shape for axes in CLAIMS["1-3"].figure().axes if axes.images]
    assert matrices == [(16, 4), (16, 4), (16, 16)]
    removed = [axes.get_title().split("remove ")[1] for axes in CLAIMS["2-1"].figure().axes[:-1]]
    check_order(removed, LAYER)
    _, plot = CLAIMS["2-2"].figure().axes
    assert [line.get_linestyle() for line in plot.lines if np.diff(line.get_ydata()) <= 0] == ["--"]
    for number, wrong in (("3-1", [5, 0]), ("3-1 alt", [11, 0])):
        lines = [line for axes in CLAIMS[number].figure().axes for line in axes.lines if line.get_label() == "wrong"]
        assert [len(line.get_xdata()) for line in lines] == wrong
    assert [len(axes.lines) for axes in CLAIMS["3-2"].figure().axes] == [7, 5]


def test_the_same_picture_gives_the_same_bytes(tmp_path):
    for name in ("a.svg", "b.svg"):
        save_figure(CLAIMS["1-1"], tmp_path / name)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


def test_pictures_have_no_background_and_follow_the_theme(tmp_path):
    save_figure(CLAIMS["1-1"], tmp_path / "a.svg")
    save_figure(CLAIMS["1-1"], tmp_path / "a.png")
    picture = (tmp_path / "a.svg").read_text(encoding="utf-8")
    assert "fill: #ffffff" not in picture
    assert f'[style*="fill: {INK}"]' in picture.partition("@media (prefers-color-scheme: dark)")[2]
    assert picture.count(f"fill: {INK}") > 10
    assert matplotlib.image.imread(tmp_path / "a.png")[0, 0].tolist() == [1, 1, 1, 1]


# What `theory show` prints ---------------------------------------------------------------------------


def shown_matrices(number):
    """The matrices on the lines of a text, side by side, with primes for the weights."""
    names = {".": 0, "1": 1, "W00": 2, "W01": 3, "W10": 5, "W11": 7}
    lines = [line for line in CLAIMS[number].show().splitlines() if line.startswith("[")]
    rows = [[[names[cell] for cell in part.split()] for part in re.findall(r"\[(.*?)\]", line)] for line in lines]
    return [list(matrix) for matrix in zip(*rows, strict=True)]


def test_shown_convolutions():
    (rows,) = shown_matrices("1-1")
    assert [(len(row), j, x) for row in rows for j, x in enumerate(row) if x] == [
        (9, 0, 7), (9, 2, 5), (9, 6, 3), (9, 8, 2), (8, 0, 7), (8, 2, 5), (8, 6, 3), (8, 7, 2),
    ]  # fmt: skip
    assert "Y = [[W11 x00, W10 x02],\n     [W01 x20, W00 x22]]" in CLAIMS["1-1"].show()
    (rows,) = shown_matrices("1-2")
    w = np.array([[2.0, 3.0], [5.0, 7.0]])
    np.testing.assert_array_equal(rows[:16], source_transposed(w))
    np.testing.assert_array_equal(np.transpose(rows[:16]), rows[16:])
    a_t, p, a_c = (np.array(matrix) for matrix in shown_matrices("1-3"))
    np.testing.assert_array_equal(p @ a_c, a_t)
    np.testing.assert_array_equal(a_t, source_transposed(w))
    np.testing.assert_array_equal(a_c, np.kron([[2], [3], [5], [7]], np.eye(4)))


def test_shown_orders():
    text = CLAIMS["2-1"].show()
    check_order(re.search("topological order: (.*)", text).group(1).split(", "), LAYER)
    assert text.endswith("cycle: c -> d -> e -> b -> c")
    text = CLAIMS["2-2"].show()
    assert text.count("which holds") == 3
    assert "e -> b needs 5 < 2, which is false" in text


def test_shown_parities():
    unit = CLAIMS["3-1"].show().splitlines()
    table = ["0 0 0 0 0 0", "0 1 1 1 1 1", "1 0 1 1 1 1", "1 1 1 1 0 0"]  # h, x, OR, printed, XOR, corrected
    assert [" ".join(line.split()) for line in unit[1:5]] == table
    network = CLAIMS["3-1 alt"].show()
    assert " 2  1    0        1  1   0        1  0   1   wrong" in network
    assert "critical gain: 2.330212853" in network
    assert "gain 2.33  s = 0.823, 0.180, 0.181, 0.775;  1 0 0 … 0 fails at step 781" in network


def test_shown_eigenvalues():
    text = CLAIMS["3-2"].show()
    assert "((P')^-1 D P^-1)^2 = [ 2 -4]    (P')^-1 D^2 P^-1 = [ 1 -1]" in text
    assert "                       [-4 10]                       [-1  5]" in text
    assert "(P')^-1 D^3 P^-1 = [ 1 -1]    (P')^-1 D^3 P' = [1 0]" in text
    assert "J^100 = [  1 100]" in text
    assert "5         0.993          103.2 steps          0.51" in text
