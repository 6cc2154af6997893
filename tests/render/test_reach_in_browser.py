"""The page of how far back the gradient reaches, in a real browser: what a reader sees and does."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from minigrad.render import Reach
from tests.render import browser as driver
from tests.render.browser import texts

T = 10


@pytest.fixture(scope="module")
def window():
    with driver.browser() as window:
        yield window


def falling(rate, T=T):
    """Norms that change by a factor with each step."""
    steps = np.subtract.outer(np.arange(T), np.arange(T))
    return np.where(steps >= 0, np.float64(rate) ** steps, np.nan)


def reached(T=T, names=("fades", "grows")):
    """Two networks in three snapshots, of which the second has no loss."""
    rates = {names[0]: (1.0, 0.5, 0.1), names[1]: (1.0, 1.5, 2.5)}
    return Reach(
        norms={name: np.array([falling(rate, T) for rate in of]) for name, of in rates.items()},
        paths={name: {"h": np.full((3, T), 0.25), "c kept": np.outer([0.5, 0.7, 0.9], np.ones(T))} for name in rates},
        loss_norms={names[0]: np.array([falling(0.5, T)[-1]] * 3)},
        losses={names[0]: np.array([0.7, 0.4, 0.1])},
        labels=("start", "middle", "end"),
        inputs=np.arange(2.0 * T).reshape(T, 2),
        difference=1e-9,
        notes={names[1]: ["learned: no", "learned: no", "learned: yes\n98 %"]},
    )


@pytest.fixture
def opened(window, tmp_path):
    """Open a page; at the end, check that it logged nothing and fetched nothing but itself."""

    def open_page(reach, **options):
        window.messages(), window.requests()
        window.open(reach.write(tmp_path / "reach.html", **options))
        return window

    yield open_page
    assert window.messages() == []
    assert {address.partition(":")[0] for address in window.requests()} <= {"file", "data"}


def hidden(window, element):
    return window.run("return document.getElementById(arguments[0]).hidden", element)


def pixel(window, number, s, t):
    """The colour of a cell of a triangle, with its opacity."""
    script = """const canvas = document.querySelectorAll('.triangle canvas')[arguments[0]];
                const copy = new OffscreenCanvas(1, 1).getContext('2d');
                copy.drawImage(canvas, -arguments[1], -arguments[2]);
                return [...copy.getImageData(0, 0, 1, 1).data]"""
    return window.run(script, number, s, t)


BOXES = """return [...document.querySelectorAll(arguments[0])].map((e) => {
    const { left, right, top, bottom } = e.getBoundingClientRect();
    return [left, right, top, bottom];
})"""


def crosshairs(window):
    """The cell (s, t) that each pair of row and column marks."""
    frames, rows, columns = (np.array(window.run(BOXES, css)) for css in (".triangle canvas", ".row", ".column"))
    cell = (frames[:, 1] - frames[:, 0]) / T
    s = (columns[:, 0] - frames[:, 0]) / cell
    t = (rows[:, 2] - frames[:, 2]) / cell
    return {(round(a), round(b)) for a, b in zip(s, t, strict=True)}


def focus(window, number=0):
    window.run("document.querySelectorAll('.triangle')[arguments[0]].focus()", number)


def test_vanished_is_blue_exploded_is_red_and_nothing_is_above_the_diagonal(opened):
    window = opened(reached(), title="reach")
    assert texts(window, "#title") == ["reach"]
    red, _, blue, _ = pixel(window, 0, 0, T - 1)
    assert blue > red
    red, _, blue, _ = pixel(window, 1, 0, T - 1)
    assert red > blue
    assert len(set(pixel(window, 0, 4, 4)[:3])) == 1  # white or grey
    assert pixel(window, 0, 5, 4)[3] == 0  # transparent
    fades, grows = texts(window, "figcaption small")
    assert "step 1 to 10" in fades
    assert "vanished" in fades
    assert "exploded" in grows
    assert "‖∂L/∂h‖" in fades
    assert "‖∂L/∂h‖" not in grows
    assert "learned" not in fades
    assert "learned: yes\n98 %" in grows


def test_the_label_of_1_is_under_the_white_of_the_scale(opened):
    window = opened(reached())
    row = window.run("""const canvas = document.getElementById('colours');
                        return [...canvas.getContext('2d').getImageData(0, 0, canvas.width, 1).data]""")
    white = np.argmax(np.array(row).reshape(-1, 4).sum(axis=1))
    for width in (1400, 390):
        window.resize(width, 844)
        [(left, right, _, _)] = window.run(BOXES, "#colours")
        labels = np.array(window.run(BOXES, "#scale span"))
        assert abs(labels[1, :2].mean() - (left + (white + 0.5) / len(row) * 4 * (right - left))) < 2
        assert (labels[:-1, 1] < labels[1:, 0]).all()  # which do not collide
    window.resize(1400, 900)


def test_the_slider_changes_the_snapshot(opened):
    window = opened(reached())
    assert texts(window, "#label") == ["end"]
    last = pixel(window, 0, 0, T - 1)
    window.run("document.getElementById('snapshot').focus()")
    window.keys(driver.HOME)
    assert texts(window, "#label") == ["start"]
    assert pixel(window, 0, 0, T - 1) != last
    assert "kept" in texts(window, "figcaption small")[0]
    assert "learned: no" in texts(window, "figcaption small")[1]
    window.keys("]")
    assert texts(window, "#label") == ["middle"]
    window.keys("[[")
    assert texts(window, "#label") == ["start"]


def test_the_words_for_a_norm(opened):
    """Vanished is below a thousandth, as on docs/reach.md, and exploded is above a thousand."""
    window = opened(reached())
    for expected in (("vanished", "exploded"), ("fading", "growing"), ("kept", "kept")):
        assert all(word in text for word, text in zip(expected, texts(window, "figcaption small"), strict=True))
        window.keys("[")


def test_a_single_snapshot_has_a_label_but_no_slider(opened):
    r = reached()
    window = opened(dataclasses.replace(r, norms={k: v[:1] for k, v in r.norms.items()}, labels=("start",), losses={},
                                        loss_norms={}, paths={name: {} for name in r.paths}))  # fmt: skip
    visible = "return document.getElementById(arguments[0]).checkVisibility()"
    assert [window.run(visible, name) for name in ("label", "snapshot", "turn")] == [True, False, False]
    assert texts(window, "#label") == ["start"]


def test_only_the_network_at_hand_is_announced(opened):
    window = opened(reached())
    live = "return [...document.querySelectorAll('figure')].map((e) => e.querySelector('[aria-live=polite]') !== null)"
    assert not any(window.run(live))
    for number in (0, 1):
        focus(window, number)
        window.keys(driver.UP)
        assert window.run(live) == [False, number == 0, number == 1]  # after the figure of the scale


def test_print_is_light(opened):
    window = opened(reached())
    window.prefer("dark", "print")
    background = window.run("return getComputedStyle(document.body).backgroundColor")
    window.prefer("light")
    assert background == "rgb(255, 255, 255)"


def test_crosshairs_follow_the_mouse_and_the_arrow_keys(opened):
    window = opened(reached())
    [(left, right, top, _), _] = window.run(BOXES, ".triangle canvas")
    cell = (right - left) / T
    window.drag((round(left + 2.5 * cell), round(top + 6.5 * cell)), (0, 0))
    assert crosshairs(window) == {(2, 6)}
    assert all("step 3 to 7" in text for text in texts(window, "figcaption small"))
    focus(window, 1)
    for key, cell in ((driver.LEFT, (1, 6)), (driver.UP, (1, 5)), (driver.RIGHT, (2, 5)), (driver.DOWN, (2, 6))):
        window.keys(key)
        assert crosshairs(window) == {cell}
    window.keys(driver.END)
    assert crosshairs(window) == {(2, T - 1)}
    window.keys(driver.HOME)
    assert crosshairs(window) == {(0, T - 1)}
    window.keys(driver.UP * 2 * T)  # s follows t to the first step
    assert crosshairs(window) == {(0, 0)}


def test_a_click_or_enter_shows_the_paths_through_a_step(opened):
    window = opened(reached())
    assert hidden(window, "step")
    focus(window)
    window.keys(driver.UP + driver.ENTER)
    assert "Step 9" in texts(window, "#step h2")[0]
    assert "16, 17" in texts(window, "#input")[0]
    assert texts(window, "#paths caption") == ["fades", "grows"]
    assert texts(window, "#paths td:first-child") == ["h", "c kept"] * 2
    before = texts(window, "#paths td:nth-child(2)")
    window.keys("[")
    assert texts(window, "#paths td:nth-child(2)") != before
    window.keys(driver.UP)  # which moves the cell, and leaves the paths
    assert "Step 9" in texts(window, "#step h2")[0]
    window.keys(driver.ESCAPE)
    assert hidden(window, "step")
    window.click("figure:nth-child(2) .triangle")
    assert not hidden(window, "step")
    window.click("#close")
    assert hidden(window, "step")


def test_axes_have_names_and_ticks_at_their_cells(opened):
    window = opened(reached())
    assert texts(window, "figure:nth-child(1) .t") == ["1", "2", "4", "6", "8", "10", "state at step t"]
    assert texts(window, "figure:nth-child(1) .s") == ["1", "2", "4", "6", "8", "10", "gradient w.r.t. state at step s"]
    [(left, right, top, bottom), *_] = window.run(BOXES, ".triangle canvas")
    for css, axis, begin, end in ((".s", 0, left, right), (".t", 2, top, bottom)):
        for step, box in zip((1, 2, 4, 6, 8, 10), window.run(BOXES, f"figure:nth-child(1) {css}"), strict=False):
            assert abs((box[axis] + box[axis + 1]) / 2 - (begin + (step - 0.5) * (end - begin) / T)) < 1


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_cells_differ_from_what_has_no_norm(opened, scheme):
    """A norm of 1 is white."""
    window = opened(reached())
    window.prefer(scheme)
    background = "return getComputedStyle(document.querySelector(arguments[0])).backgroundColor.match(/\\d+/g)"
    none, page = (np.array(window.run(background, css), int) for css in (".triangle canvas", "body"))
    window.prefer("light")
    assert all(abs(none - other).min() > 20 for other in (page, pixel(window, 0, 4, 4)[:3]))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_fits_into_390_pixels(opened, scheme):
    window = opened(reached())
    window.prefer(scheme)
    window.resize(390, 844, touch=True)
    window.tap(".triangle")
    controls = window.run(BOXES, "input, button")
    assert len(controls) == 2
    assert all(min(right - left, bottom - top) >= 40 for left, right, top, bottom in controls)
    assert window.run("return document.documentElement.scrollWidth") <= 390
    assert all(
        0 <= left < right <= 390 for left, right, _, _ in window.run(BOXES, "#step, .triangle, figcaption, .s, .t")
    )
    [(_, _, top, bottom)] = window.run(BOXES, "#step")
    assert 0 < top < bottom <= 844  # within sight
    window.prefer("light")
    window.resize(1400, 900)


def test_names_are_escaped(opened):
    nasty = "</script><b><img src=x onerror=alert(1)>\"'{{data}}"
    window = opened(reached(names=(nasty, "b")), title=nasty)
    assert texts(window, "#title") == [nasty]
    assert texts(window, "figcaption")[0].startswith(nasty)
    assert window.run("return document.querySelectorAll('img, b').length") == 0


REDRAW = """const slider = document.getElementById('snapshot'), times = [];
for (let i = 0; i < 20; i++) {
  const begin = performance.now();
  slider.value = i % 3;
  slider.dispatchEvent(new Event('input'));
  document.body.getBoundingClientRect();
  times.push(performance.now() - begin);
}
return times.sort((a, b) => a - b)[10];"""


@pytest.mark.slow
def test_100_steps_are_redrawn_quickly(opened):
    window = opened(reached(T=100))
    focus(window)
    window.keys(driver.ENTER)
    assert window.run(REDRAW) < 50  # ms; it takes about 11 on a busy machine
