"""The figures of docs/theory/interactive.html in a real browser: their numbers, mouse, touch and keyboard."""

from __future__ import annotations

import re
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from minigrad.graph import Cycle, Order
from tests.render import browser as driver
from theory import CLAIMS, checker
from theory.convolution.matrices import conv_matrix
from theory.eigenvalues.powers import power_norms
from theory.ordering.graphs import every_digraph
from theory.ordering.proofs import remove_sources, source_or_cycle
from theory.parity.gain import critical_gain, tanh_network
from theory.parity.units import parity

FIGURES = Path(__file__).parent.parent.parent / "docs" / "theory" / "interactive.html"
NAMES = ("convolution", "ordering", "parity", "eigenvalues")


@pytest.fixture(scope="module")
def window():
    with driver.browser() as window:
        yield window


@pytest.fixture
def page(window, tmp_path):
    """The four figures on a page; at the end, check that it logged nothing and fetched nothing but itself."""
    places = "".join(f'<div id="{name}" data-figure="{name}"></div>' for name in NAMES)
    head = '<!doctype html><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
    path = tmp_path / "figures.html"
    path.write_text(f'{head}<body class="ready">{places}{FIGURES.read_text(encoding="utf-8")}', encoding="utf-8")
    window.messages(), window.requests()
    window.open(path)
    yield window
    assert window.messages() == []
    assert {address.partition(":")[0] for address in window.requests()} <= {"file"}


def call(page, function, *arguments):
    """The results of a function of the page, one for each tuple of arguments."""
    return page.run(f"return arguments[0].map((each) => theoryFigures.{function}(...each))", list(arguments))


def words(page, name):
    return page.run("return document.querySelector(`#${arguments[0]} [aria-live]`).textContent", name)


def set_slider(page, name, number, value):
    script = """const input = document.querySelectorAll(`#${arguments[0]} input[type=range]`)[arguments[1]];
                input.value = arguments[2]; input.dispatchEvent(new Event("input"))"""
    page.run(script, name, number, value)


def test_a_claim_has_a_figure():
    assert sorted(claim.interactive for claim in CLAIMS.values() if claim.interactive) == sorted(NAMES)


# The numbers ----------------------------------------------------------------------------------------


def test_the_matrix_of_a_convolution(page):
    cases = list(product((3, 4, 5), (1, 2, 3), (1, 2, 3), (0, 1, 2)))
    for (n, k, stride, padding), found in zip(cases, call(page, "convolution", *cases), strict=True):
        weights = np.arange(1, k * k + 1).reshape(1, 1, k, k)
        matrix = conv_matrix(weights, (1, n, n), stride=stride, padding=padding)
        assert matrix.shape[0] == found["out"] ** 2
        assert matrix.triplets() == [(row, column, weight + 1) for row, column, weight in found["entries"]]


REMOVE = """return arguments[0].map((parents) => {
    const { sources, without, cycle } = theoryFigures, order = [];
    while (sources(parents).length) {
        order.push(sources(parents)[0]);
        parents = without(parents, order.at(-1));
    }
    return { order, left: parents, cycle: Object.keys(parents).length ? cycle(parents) : null };
})"""


def test_removed_sources(page):
    graphs = [{str(v): [str(u) for u in us] for v, us in graph.items()} for graph in every_digraph(3, loops=True)]
    for graph, found in zip(graphs, page.run(REMOVE, graphs), strict=True):
        ours = remove_sources(graph)
        if isinstance(ours, Order):
            assert found["cycle"] is None
            assert checker.order(graph, found["order"])
        else:
            assert set(found["order"]) == set(ours.removed)
            assert Cycle(tuple(found["cycle"])) == source_or_cycle(found["left"]) == ours.cycle
            assert checker.cycle(graph, found["cycle"])


def test_states_of_the_parity_network(page):
    rng = np.random.default_rng(0)
    cases = [(rng.integers(0, 2, 40).tolist(), gain) for gain in (0.5, 2.1, 2.33, 2.34, 4)]
    for (bits, gain), found in zip(cases, call(page, "parity", *cases), strict=True):
        y, s = tanh_network(bits, gain)
        np.testing.assert_allclose([step["s"] for step in found], s, atol=1e-12)
        assert [step["truth"] for step in found] == parity(bits).tolist()
        assert [step["right"] for step in found] == (y == parity(bits)).tolist()
    assert abs(page.run("return theoryFigures.CRITICAL") - critical_gain()) < 1e-8


def test_norms_of_powers(page):
    cases = [(mean, square, c) for mean in (-1.2, 0, 0.8) for square in (-0.3, 0, 0.09) for c in (0.5, 5, 20)]
    for (mean, square, _), W in zip(cases, call(page, "matrix", *cases), strict=True):
        root = np.emath.sqrt(square)
        np.testing.assert_allclose(np.poly(W), np.poly([mean - root, mean + root]), atol=1e-12)
        [norms] = call(page, "powerNorms", (W, 40))
        np.testing.assert_allclose(norms, power_norms(W, 40), rtol=1e-9, atol=1e-300)


# Mouse, finger and keyboard -----------------------------------------------------------------------------


def test_the_window_moves_and_the_matrix_lights_up(page):
    assert words(page, "convolution") == "The matrix is 4x9. Window 1 is its row 1: y01 = W10 x02."
    page.run("document.querySelectorAll('#convolution input')[4].focus()")
    page.keys(driver.RIGHT)
    assert words(page, "convolution").endswith("row 2: y10 = W01 x20.")
    set_slider(page, "convolution", 4, 3)
    page.click("#convolution svg:last-child")  # the middle of the matrix, between two rows
    assert re.search("Window [12] ", words(page, "convolution"))
    set_slider(page, "convolution", 2, 1)
    assert words(page, "convolution").startswith("The matrix is 16x9.")


def test_sources_are_removed_by_mouse_and_keyboard(page):
    assert words(page, "ordering") == "Sources: a."
    page.run("document.querySelector('#ordering g[role]').focus()")
    page.keys(driver.ENTER)
    assert words(page, "ordering") == "Removed: a. Sources: b."
    page.click("#ordering g[aria-label^=d]")
    assert words(page, "ordering") == "d is no source: c must go first."
    for _ in range(5):
        page.click("#ordering button")
    assert words(page, "ordering").startswith("Removed: a, b, c, d, e, f. Every edge")
    page.click("#ordering input")
    page.click("#ordering button")
    assert "No source is left" in words(page, "ordering")
    assert "c → d → e → b → c is a cycle" in words(page, "ordering")
    assert page.run("return document.querySelector('#ordering button').disabled")


def test_bits_flip_and_the_gain_decides(page):
    assert words(page, "parity").startswith("First error at bit 16: s = 0.488, but the parity is 1.")
    set_slider(page, "parity", 0, 2.6)
    assert words(page, "parity").startswith("No error in 24 bits. Above the gain 2.3302")
    page.resize(390, 844, touch=True)
    page.run("document.querySelector('#parity').scrollIntoView()")
    page.tap("#parity svg rect")
    page.resize(1400, 900)
    assert page.run("return document.querySelector('#parity input[type=text]').value") == "0101011" + 17 * "0"


def test_eigenvalues_are_dragged_and_moved_by_keys(page):
    assert "eigenvalues 0.8 + 0.3i and 0.8 - 0.3i" in words(page, "eigenvalues")
    page.run("document.querySelector('#eigenvalues').scrollIntoView()")
    page.run("document.querySelector('#eigenvalues g').focus()")
    page.keys(driver.DOWN * 6 + driver.RIGHT * 4)
    assert "eigenvalues 1 and 0.8 and the spectral radius 1." in words(page, "eigenvalues")
    page.keys(driver.UP)
    assert "1 + 0.05i and 1 - 0.05i" in words(page, "eigenvalues")
    assert "explodes" in words(page, "eigenvalues")
    page.drag(page.middle("#eigenvalues g"), (-60, 0))
    assert "vanishes" in words(page, "eigenvalues")


def test_a_finger_drags_an_eigenvalue_and_not_the_page(page):
    page.resize(390, 844, touch=True)
    page.run("document.querySelector('#eigenvalues').scrollIntoView()")
    before = page.run("return scrollY")
    page.drag(page.middle("#eigenvalues g"), (-40, -60), "touch")
    assert page.run("return scrollY") == before
    assert "0.45 + 0.85i and 0.45 - 0.85i" in words(page, "eigenvalues")
    page.resize(1400, 900)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colours_follow_the_theme_and_nothing_is_cut_off(page, scheme):
    page.prefer("dark" if scheme == "light" else "light")
    page.run("document.body.dataset.theme = arguments[0]", scheme)
    paper = page.run("return getComputedStyle(document.querySelector('.try')).backgroundColor")
    assert (paper == "rgb(255, 255, 255)") == (scheme == "light")
    page.resize(390, 844)
    assert page.run("return document.documentElement.scrollWidth") == 390
    page.resize(1400, 900)
    page.prefer("light")
