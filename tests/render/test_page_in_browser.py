"""The page of a graph in a real browser: what a reader sees and does."""

from __future__ import annotations

import re
from contextlib import ExitStack

import numpy as np
import pytest

import minigrad as mg
from minigrad.render import to_html
from tests.render import browser as driver
from tests.render import graphs
from tests.render.browser import texts


@pytest.fixture(scope="module")
def window():
    with driver.browser() as window:
        yield window


class Net(mg.nn.Module):
    """A recurrent layer and a linear one: nested scopes, shared names, a sequence."""

    def __init__(self):
        self.cell = mg.nn.LSTM(3, 4, rng=0)
        self.out = mg.nn.Linear(4, 2, rng=1)

    def forward(self, x):
        return mg.tanh(self.out(self.cell(x)[0]))


def loss_of():
    """A recorded and profiled loss of six steps."""
    x = mg.tensor(np.linspace(-1, 1, 36, dtype=np.float32).reshape(2, 6, 3), requires_grad=True)
    with mg.profile(), mg.record():
        loss = Net()(x).sum()
        loss.backward()
    return loss


@pytest.fixture
def opened(window, tmp_path):
    """Open a page; at the end, check that it logged nothing and fetched nothing but itself."""

    def open_page(tensor, **options):
        path = to_html(tensor, tmp_path / "graph.html", **options).path
        window.messages(), window.requests()
        window.open(path)
        return window

    yield open_page
    assert window.messages() == []
    assert {address.partition(":")[0] for address in window.requests()} <= {"file", "data"}


def count(window, selector):
    return window.run("return document.querySelectorAll(arguments[0]).length", selector)


def hidden(window, element):
    return window.run("return document.getElementById(arguments[0]).hidden", element)


def drawn(window):
    return count(window, "#stage .item[data-id], #stage .scope")


def vertices_of(window):
    return window.run("return JSON.parse(document.getElementById('data').textContent)")["vertices"]


def id_of(window, name, step=None):
    """The selector of the first vertex of a name."""
    numbers = [i for i, v in enumerate(vertices_of(window)) if (v["name"], v["step"]) == (name, step)]
    return f"[data-id=n{numbers[0]}]"


def fill(window, selector):
    return window.run("return getComputedStyle(document.querySelector(arguments[0] + ' > .body')).fill", selector)


def rgb(color):
    """A colour in the browser's notation."""
    return "rgb({}, {}, {})".format(*(int(color[i : i + 2], 16) for i in (1, 3, 5)))


SIZES = """return [...document.querySelectorAll('#stage text')].filter((text) => text.checkVisibility()).map((text) =>
    parseFloat(getComputedStyle(text).fontSize) * text.getScreenCTM().a)"""
RECTANGLES = """return [...document.querySelectorAll(arguments[0])].map((e) => {
    const { left, right, top, bottom } = e.getBoundingClientRect();
    return [left, right, top, bottom];
})"""
POINTS = """return [...document.querySelectorAll('.wire .line')].flatMap((line) => {
    const matrix = line.getScreenCTM(), points = [];
    for (let at = 0; at <= line.getTotalLength(); at += 3) {
        const { x, y } = line.getPointAtLength(at).matrixTransform(matrix);
        points.push([x, y]);
    }
    return points;
})"""


def assert_nothing_overlaps(window):
    """No box covers another or a label, and no wire runs through a box."""
    bodies = np.array(window.run(RECTANGLES, "#stage .item[data-id] > .body"))
    labels = np.array(window.run(RECTANGLES, "#stage .labels text")).reshape(-1, 4)
    points = np.array(window.run(POINTS))
    assert len(bodies) > 5
    assert len(points) > 100
    assert not np.triu(_overlap(bodies, bodies), 1).any()
    assert not _overlap(labels, bodies).any()
    assert not _overlap(points[:, [0, 0, 1, 1]], bodies, 2).any()  # a wire may end at the rim of a box


def _overlap(a, b, shrink=1.0):
    """Which rectangles (left, right, top, bottom) overlap, with those of `b` a little smaller."""
    a, b = a[:, None], b[None] + np.array([1, -1, 1, -1]) * shrink / 2
    width = np.minimum(a[..., 1], b[..., 1]) - np.maximum(a[..., 0], b[..., 0])
    height = np.minimum(a[..., 3], b[..., 3]) - np.maximum(a[..., 2], b[..., 2])
    return (width >= 0) & (height >= 0)


def test_all_vertices_are_drawn_in_order_without_overlap(opened):
    window = opened(loss_of(), title="a net")
    assert texts(window, "#title") == ["a net"]
    names = texts(window, "#stage .item[data-id] > .name")
    assert sorted(names) == sorted([*(v["name"] for v in vertices_of(window) if v["kind"] != "parameter"), "output"])
    assert_nothing_overlaps(window)
    steps = [window.middle(id_of(window, "lstm_step", t)) for t in range(6)]
    assert steps == sorted(steps)
    assert len({y for _, y in steps}) == 1
    down = [steps[0][1], *(window.middle(id_of(window, name))[1] for name in ("stack", "affine", "tanh", "sum"))]
    assert down == sorted(down)


@pytest.mark.slow
def test_random_graphs_do_not_overlap(opened, full):
    for seed in range(6 if full else 2):
        rng = np.random.default_rng(seed)
        made = [mg.tensor(np.ones((2, 2)), requires_grad=True) for _ in range(2)]
        for _ in range(rng.integers(8, 30)):
            with ExitStack() as stack:
                for name in rng.choice(["a", "b", "step 0", "step 1", "step 2"], size=rng.integers(0, 4)).tolist():
                    stack.enter_context(mg.scope(name))
                i, j = rng.integers(len(made), size=2)
                made.append(mg.tanh(made[i]) if rng.random() < 0.4 else made[i] * made[j])
        window = opened(sum(made[1:], start=made[0]))
        window.run("document.getElementById('open-all').click()")
        assert_nothing_overlaps(window)


def test_clicks_and_keys_show_details(opened):
    window = opened(loss_of())
    assert hidden(window, "panel")
    window.click(id_of(window, "tanh") + " > .body")
    assert texts(window, "#name") == ["tanh"]
    [facts] = texts(window, "#facts")
    for known in ("tanh(x)", "Net", "test_page_in_browser.py:", "[2×6×2]", "norm", "mean", "forward", "backward"):
        assert known in facts

    window.run("document.querySelector(arguments[0]).focus()", id_of(window, "sum") + " > .body")
    window.keys(driver.ENTER)
    assert texts(window, "#name") == ["sum"]
    window.click(id_of(window, "tanh") + " > .body")
    window.click("#facts .link")
    assert texts(window, "#name") == ["affine"]
    window.keys(driver.ESCAPE)
    assert hidden(window, "panel")
    window.drag(window.middle(id_of(window, "tanh") + " > .body"), (60, 20))  # which is not a click
    assert hidden(window, "panel")


def test_search(opened):
    window = opened(loss_of())
    window.click("#close-all")
    window.keys("/lstm_st")
    assert texts(window, "#count") == ["6 found"]
    window.keys(driver.ENTER)  # which opens the scopes around the match
    assert texts(window, "#count") == ["1 of 6"]
    assert texts(window, "#name") == ["lstm_step"]
    assert "lstm_step" in texts(window, "#stage .item[data-id] > .name")
    window.click("#previous")
    assert texts(window, "#count") == ["6 of 6"]
    window.click("#next")
    assert texts(window, "#count") == ["1 of 6"]
    for text, kind in (("weight", "parameter"), ("cell", "scope")):
        window.run("document.getElementById('search').value = ''")
        window.click("#search")
        window.keys(text + driver.ENTER)
        assert texts(window, "#kind") == [kind]


def test_scopes_close_and_open(opened):
    window = opened(loss_of())
    before = drawn(window)
    window.click(".scope.row > .header .fold")
    assert drawn(window) == before - 6  # without six steps; the box takes the place of the frame
    assert "6 operations" in texts(window, "#stage .item.box > .small")
    window.click(".item.box .fold")
    assert drawn(window) == before
    window.click("#close-all")
    assert sorted(texts(window, "#stage .item[data-id] > .name")) == ["Net", "h0", "input", "output", "sum"]
    window.click("#open-all")
    assert drawn(window) == before


def test_zoom_and_pan(opened):
    window = opened(loss_of())
    transform = "return document.getElementById('stage').getAttribute('transform')"
    before = window.middle(id_of(window, "tanh"))
    window.wheel(before, -300)
    after = window.middle(id_of(window, "tanh"))
    assert max(abs(a - b) for a, b in zip(before, after, strict=True)) <= 2
    for action in (lambda: window.click("#plus"), lambda: window.keys("-"), lambda: window.drag((30, 700), (80, -40)),
                   lambda: window.pinch((500, 400), 40, 90), lambda: window.keys("f")):  # fmt: skip
        seen = window.run(transform)
        action()
        assert window.run(transform) != seen


@pytest.mark.parametrize("kind", ["heat", "time"])
def test_gradients_and_times_colour_the_operations(opened, kind):
    window = opened(loss_of())
    vertex = next(v for v in vertices_of(window) if v["name"] == "tanh")
    selector = id_of(window, "tanh")
    plain = fill(window, selector)
    window.keys(kind[0])
    assert fill(window, selector) == rgb(vertex[kind]["color"]) != plain
    assert len(texts(window, "#ticks span")) == 5
    window.click("#heat" if kind == "time" else "#time")  # each replaces the other
    pressed = "return document.getElementById(arguments[0]).getAttribute('aria-pressed')"
    assert window.run(pressed, kind) == "false"
    window.keys("h" if kind == "time" else "t")
    assert fill(window, selector) == plain


@pytest.mark.filterwarnings("ignore")
def test_births_of_nan_and_missing_gradients_stand_out(opened):
    x = mg.tensor([-1.0, 2.0], requires_grad=True)
    with mg.record(), mg.scope("net"):
        loss = (mg.log(x) + mg.tanh(x) * np.zeros(2)).sum()
        loss.backward()
    window = opened(loss)
    width = "return getComputedStyle(document.querySelector(arguments[0] + ' > .body')).strokeWidth"
    assert window.run(width, id_of(window, "log")) > window.run(width, id_of(window, "add"))
    assert "NaN born here" in texts(window, f"{id_of(window, 'log')} > text")
    dashes = "return getComputedStyle(document.querySelector(arguments[0] + ' > .body')).strokeDasharray"
    window.keys("h")
    assert window.run(dashes, id_of(window, "tanh")) != window.run(dashes, id_of(window, "add")) == "none"
    window.prefer("dark")
    assert sum(map(int, re.findall(r"\d+", fill(window, id_of(window, "tanh"))))) < 200  # not brighter than a gradient
    window.prefer("light")
    window.click("#close-all")
    assert window.run(width, "[data-id=b0]") == "3px"


@pytest.fixture
def phone(window):
    """A narrow window without a mouse."""
    window.resize(390, 844, touch=True)
    yield
    window.resize(1400, 900)


@pytest.mark.usefixtures("phone")
def test_the_page_fits_into_390_pixels(opened):
    window = opened(loss_of())
    assert min(window.run(SIZES)) >= 7
    bodies = np.array(window.run(RECTANGLES, "#stage .item[data-id] > .body"))  # the row of steps starts closed
    assert 0 <= bodies[:, 0].min() < bodies[:, 1].max() <= 390
    window.tap("#help")
    assert window.run("return document.getElementById('keys').open")
    window.tap("#keys button")
    x, y = window.middle(".item.box .fold")
    window.drag((x - 16, y + 8), (0, 0), "touch")  # beside the small square
    assert "lstm_step" in texts(window, "#stage .name")
    window.tap("#search")
    window.keys("lstm_step" + driver.ENTER)
    assert texts(window, "#name") == ["lstm_step"]
    assert window.run("return document.documentElement.scrollWidth") <= 390
    assert all(0 <= left < right <= 390 for left, right, _, _ in window.run(RECTANGLES, "#panel, #search"))
    controls = np.array(window.run(RECTANGLES, ":is(button, input):not([hidden], dialog button)"))
    assert (controls[:, 1] - controls[:, 0]).min() >= 40
    assert (controls[:, 3] - controls[:, 2]).min() >= 40
    [[_, _, top, _]] = window.run(RECTANGLES, "#panel")
    assert window.middle(".item.selected > .body")[1] < top


def test_names_are_escaped(opened):
    nasty = "</script><b><img src=x onerror=alert(1)>\"'{{data}}"
    with mg.scope(nasty):
        x = mg.tensor([1.0], requires_grad=True)
        y = mg.tanh(x)
    window = opened(y, names={nasty: x, "y": y}, title=nasty)
    assert texts(window, "#title") == texts(window, ".header .name") == [nasty]
    assert window.run("return document.title") == nasty
    assert count(window, "img, b") == 0
    window.click("[data-id=b0] > .header > .back")
    assert texts(window, "#name") == [nasty]


def test_a_large_graph_starts_closed(opened):
    y = x = mg.tensor(np.ones((2, 2)), requires_grad=True)
    for block in range(20):
        with mg.scope(f"block {block}"):
            for layer in range(25):
                with mg.scope(f"layer {layer}"):
                    y = mg.tanh(y * x) + mg.sin(y)
    window = opened(y, max_nodes=3000)
    assert texts(window, "#size") == ["2,000 operations"]
    window.keys("f")
    assert drawn(window) == 20 + 2  # the drawing and the output: the input is a stub at each of its uses
    window.click(".item.box .fold")
    window.keys("f")
    assert drawn(window) == 20 + 2 + 25


def chain(n, width=2):
    """A graph of n operations without scopes; each also uses an operation that is `width` operations earlier."""
    made = [mg.cos(mg.tensor(np.ones((2, 2)), requires_grad=True))] * width
    for _ in range(n // 2 - 1):
        made.append(mg.tanh(made[-1]) * made[-width])
    return mg.tanh(made[-1])


CLICK = """document.querySelector("#stage %s").dispatchEvent(new MouseEvent('click', { bubbles: true }))"""
GEOMETRY = """const stage = document.getElementById('stage'), { a: scale, e: x0, f: y0 } = stage.getCTM();
    const shapes = [...stage.querySelectorAll('.line, .item[data-id] > .body, .labels text')].map((e) => {
        let { x, y, width, height } = e.getBBox();
        if (e.tagName === 'text') [x, y] = [Number(e.getAttribute('x')), Number(e.getAttribute('y'))];
        for (let at = e; at !== stage; at = at.parentNode) {
            const { matrix } = at.transform.baseVal.consolidate() || {};
            if (matrix) [x, y] = [x + matrix.e, y + matrix.f];
        }
        return [e.getAttribute('d') || e.textContent, ...[x, x + width, y, y + height].map(Math.round)];
    });
    const { width, height } = document.getElementById('drawing').getBoundingClientRect();
    return [shapes, [-x0 / scale, (width - x0) / scale, -y0 / scale, (height - y0) / scale]]"""


@pytest.mark.parametrize("tensor", [lambda: chain(400, width=30), lambda: long_sequence(170)])
def test_everything_in_the_window_is_drawn_and_little_else(opened, tensor):
    window = opened(tensor())
    window.click("#open-all")
    window.run("window.dispatchEvent(new Event('beforeprint'))")  # which draws everything
    shapes, _ = window.run(GEOMETRY)
    window.run("window.dispatchEvent(new Event('afterprint'))")
    places = np.array([place for _, *place in shapes])
    checked = 0
    for by in ((0, 0), (-500, -600), (-700, -600), (100, -650), (0, -650), (0, 500)):
        window.drag((800, 740) if by[1] < 0 else (200, 60), by)
        now, area = window.run(GEOMETRY)
        [seen] = _overlap(np.array([area]), places, 4)
        key = lambda shape: (shape[0], shape[1], shape[3])  # noqa: E731  # the width of a text depends on the zoom
        checked += seen.sum()
        assert {key(shape) for shape, visible in zip(shapes, seen, strict=True) if visible} <= {*map(key, now)}
        assert len(now) < len(shapes) / 2
        assert count(window, "#stage .operation") < 100
    assert checked > 50


def test_scopes_that_close_and_open_again_look_as_before(opened):
    y = x = mg.tensor(np.ones((2, 2)), requires_grad=True)
    made = []
    for name in "abcdef":
        with mg.scope(name), mg.scope("inner"):
            y = mg.tanh(y * x)
            made.append(mg.sin(y))
    window = opened(sum(made, start=y))
    window.run("window.dispatchEvent(new Event('beforeprint'))")
    before, _ = window.run(GEOMETRY)
    for name in "bcaed":  # all closed at once before any opens again
        window.run(CLICK % f".header:has([aria-label^='scope {name},']) .fold")
    for name in "adbec":
        window.run(CLICK % f".box:has([aria-label^='scope {name},']) .fold")
    after, _ = window.run(GEOMETRY)
    assert sorted(after) == sorted(before)
    window.run("window.dispatchEvent(new Event('afterprint'))")


def long_sequence(steps):
    """The sum of an LSTM's states."""
    x = mg.tensor(np.linspace(-1, 1, 3 * steps, dtype=np.float32).reshape(1, steps, 3), requires_grad=True)
    return mg.nn.LSTM(3, 4, rng=0)(x)[0].sum()


def test_labels_that_cannot_be_read_give_way_to_colours(opened):
    window = opened(loss_of())
    pale = fill(window, id_of(window, "tanh"))
    while sizes := window.run(SIZES):
        assert min(sizes) >= 5.99
        assert "tanh" in texts(window, "#stage .name")
        smallest = max(sizes)
        window.run("document.querySelector('svg').dispatchEvent(new WheelEvent('wheel', { deltaY: 20 }))")
    assert smallest < 6.3
    assert fill(window, id_of(window, "tanh")) != pale
    selectors = (id_of(window, "tanh"), id_of(window, "h0"), "[data-id=o0]", "#stage .parameter")
    assert len({fill(window, selector) for selector in selectors}) == 4
    window.keys("f")
    assert "tanh" in texts(window, "#stage .name")


def ids(window, selector):
    return window.run("return [...document.querySelectorAll(arguments[0])].map((e) => e.dataset.id)", selector)


def test_the_first_view_is_readable_and_centred(opened):
    window = opened(chain(2000), max_nodes=2000)
    assert min(window.run(SIZES)) >= 11
    items = np.array(window.run(RECTANGLES, "#stage .item[data-id] > .body"))
    assert abs((items[:, 0].min() + items[:, 1].max()) / 2 - 700) < 100


MAP = "return document.getElementById('map').checkVisibility()"


def test_the_map_of_a_large_drawing_moves_the_view(opened):
    assert not opened(mg.tanh(mg.nn.Linear(2, 2, rng=0)(np.ones((1, 2))))).run(MAP)
    window = opened(long_sequence(30))
    first = lambda: next(text for text in texts(window, "#stage .operation > .small") if "step" in text)  # noqa: E731
    [[left, right, top, bottom]] = window.run(RECTANGLES, "#map")
    y = round((top + bottom) / 2)
    window.drag((round(left) + 4, y), (0, 0))
    assert first() == "step 0"
    window.drag((round(left) + 4, y), (round(right - left) - 40, 0))
    assert first() != "step 0"
    [[seen_left, seen_right, _, _]] = window.run(RECTANGLES, "#sight")
    assert abs((seen_left + seen_right) / 2 - (right - 36)) < 3
    window.keys("f")
    assert not window.run(MAP)


def test_shared_weights_have_the_numbers_and_colours_of_the_drawing(opened):
    layer, own = mg.nn.Linear(2, 2, rng=0), mg.nn.Linear(2, 2, rng=1)
    y = own(layer(mg.tanh(layer(np.ones((1, 2), np.float32)))))
    drawn = re.findall(r'label="([^"]*shared[^"]*)".*?fillcolor="(#\w+)"', mg.render.to_dot(y))
    window = opened(y)
    stubs = """return [...document.querySelectorAll('#stage .parameter')].map((stub) =>
        [stub.textContent, getComputedStyle(stub.querySelector('.body')).fill])"""
    found = dict(window.run(stubs))
    assert found["weight (shared 1)"] == rgb(drawn[0][1]) != found["bias (shared 2)"]
    assert "weight (shared 1)" in drawn[0][0]
    assert found["weight"] == found["bias"]


def test_stubs_in_a_stack_are_short(opened):
    layers = [layer for i in range(13) for layer in (mg.nn.Linear(2, 2, rng=i), mg.nn.Tanh())]
    window = opened(mg.nn.Sequential(*layers, mg.nn.Linear(2, 3, rng=0))(np.ones((1, 2), np.float32)), unroll="fold")
    assert sorted(texts(window, "#stage .parameter")) == ["bias", "bias × 13", "weight", "weight × 13"]
    window.click("[aria-label*='.weight'][aria-label*='13']")
    assert "0 … 24.weight" in texts(window, "#name")[0]


def test_stubs_show_the_end_of_long_names(opened):
    net = mg.nn.Linear(2, 2, rng=0)
    with mg.scope("a_long_name_of_a_model.encoder.first"):
        y = mg.matmul(mg.tensor(np.ones((2, 2))), net.weight)
    name = "a_model_of_a_model.encoder.layers.0.self_attention.out.weight"
    window = opened(y, names={name: net.weight})
    [stub] = texts(window, "#stage .parameter .small")
    assert stub[0] == "…"
    assert stub.endswith("self_attention.out.weight")


def test_arrows_follow_edges(opened):
    window = opened(loss_of())
    selected = lambda: (texts(window, "#name"), texts(window, "#panel td")[:1])  # noqa: E731
    window.keys(driver.DOWN)
    assert texts(window, "#name") == ["input"]
    window.run("document.querySelector(arguments[0]).focus()", id_of(window, "tanh") + " > .body")
    window.keys(driver.ENTER + driver.DOWN)
    assert texts(window, "#name") == ["sum"]
    window.keys(driver.UP * 4)
    assert texts(window, "#name") == ["lstm_step"]
    before = selected()
    window.keys(driver.RIGHT)
    assert texts(window, "#name") == ["lstm_step"]
    window.keys(driver.LEFT)
    assert selected() == before
    window.keys(" ")  # which closes the box around the step
    assert texts(window, "#kind") == ["steps"]
    assert "lstm_step" not in texts(window, "#stage .name")
    window.keys(" ")
    assert "lstm_step" in texts(window, "#stage .name")


STOP = "return document.activeElement.closest('#drawing') !== null"


@pytest.mark.parametrize("name", ["weight", ""])
def test_the_keyboard_enters_the_drawing_from_a_parameter_and_with_nothing_in_sight(opened, name):
    window = opened(loss_of())
    if name:
        window.keys("/" + name + driver.ENTER + driver.ESCAPE)  # which selects a parameter, and leaves the search
        assert texts(window, "#kind") == ["parameter"]
    for _ in range(3):
        window.drag((1000, 700), (-980, 0))
    if not name:
        window.keys(driver.ESCAPE)
    window.run("document.getElementById('help').focus()")
    window.keys(driver.TAB)
    assert window.run(STOP)
    window.keys(driver.DOWN)
    assert texts(window, "#name") == ["tanh" if name else "input"]  # which follows the operation that uses the weight
    assert window.run(STOP)


NAMES = """return [...document.querySelectorAll('[role=button], button, input')]
    .map((e) => e.getAttribute('aria-label') || e.textContent)"""


@pytest.mark.parametrize(
    ("make", "options", "name"),
    [
        (lambda: mg.tanh(mg.nn.Linear(3, 2, rng=0)(np.ones((4, 3), np.float32))), {}, "parameter Linear.weight, 3×2"),
        (loss_of, {}, "operation lstm_step, step 3 of 6, 2×4"),
        (lambda: long_sequence(30), {}, "steps lstm, 30 operations, open"),
        (lambda: graphs.deep(6), {"unroll": "fold"}, "scope Sequential"),
        (lambda: chain(300), {}, "operation multiply"),
        (lambda: graphs.deep(6), {"max_nodes": 8}, "omitted and"),
        (lambda: mg.matmul(*[mg.nn.Parameter(np.eye(2))] * 2), {}, "operation matmul, 2×2"),
    ],
)
def test_every_control_has_a_name_of_its_own_and_none_is_in_another(opened, make, options, name):
    window = opened(make(), **options)
    window.run("document.getElementById('open-all').click()")
    for _ in range(2):
        names = window.run(NAMES)
        assert len(names) == len(set(names))
        assert all(label.strip() for label in names)
        assert any(label.startswith(name) for label in names)
        nested = ":is([role=button], button) :is([role], button, input, [tabindex], [data-at])"
        assert count(window, nested) == 0
        window.run("window.dispatchEvent(new Event('beforeprint'))")  # which draws everything
    window.run("window.dispatchEvent(new Event('afterprint'))")
    window.click("#close-all")
    assert count(window, "#stage .box") == sum(name.endswith("closed") for name in window.run(NAMES))


def test_few_tab_stops(opened):
    window = opened(loss_of())
    stops = """return [...document.querySelectorAll('button, input, [tabindex]')]
        .filter((e) => e.tabIndex >= 0 && e.checkVisibility())"""
    assert len(window.run(stops + ".map((e) => e.id || 'drawing')")) < 15
    assert window.run(stops + ".filter((e) => e.closest('#stage')).length") == 1


def test_a_question_mark_shows_the_keys(opened):
    window = opened(loss_of())
    shown = "return document.getElementById('keys').open"
    assert not window.run(shown)
    window.keys("?")
    assert window.run(shown)
    window.keys(driver.ESCAPE)
    assert not window.run(shown)


def test_print_shows_the_whole_drawing_and_the_legend_in_colour(opened):
    window = opened(chain(400))
    window.click("#open-all")
    window.prefer("dark", "print")
    redraws = """const observer = new MutationObserver(() => {});
        observer.observe(document.getElementById('stage'), { childList: true });
        window.dispatchEvent(new Event('beforeprint'));
        return observer.takeRecords().filter((record) => record.removedNodes.length).length"""
    assert window.run(redraws) == 1
    [[left, right, top, bottom]] = window.run(RECTANGLES, "#drawing")
    bodies = np.array(window.run(RECTANGLES, "#stage .item[data-id] > .body"))
    assert len(bodies) == 402
    assert bodies[:, 0].min() >= left - 1
    assert bodies[:, 1].max() <= right + 1
    assert bodies[:, 2].min() >= top - 1
    assert bodies[:, 3].max() <= bottom + 1
    style = "return getComputedStyle(arguments[0] ? document.querySelector(arguments[0]) : document.body)[arguments[1]]"
    assert window.run(style, "#ticks", "printColorAdjust") == "exact"
    assert window.run(style, "", "backgroundColor") == rgb("#ffffff")
    window.run("window.dispatchEvent(new Event('afterprint'))")
    window.prefer("light")
    assert len(re.findall(rb"/Type /Page\b", window.pdf())) == 1
    assert drawn(window) < 402


CONTRASTS = """const parse = (color) => color.match(/[\\d.]+/g).map(Number), style = (e) => getComputedStyle(e);
    const linear = (x) => (x <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4);
    const luminance = ([r, g, b]) => 0.2126 * linear(r / 255) + 0.7152 * linear(g / 255) + 0.0722 * linear(b / 255);
    const ground = (e) => {
        const shape = e.closest('#stage') && e.parentNode.querySelector(':scope > :is(.body, .back, rect)');
        if (shape) return style(shape).fill;
        const painted = (at) => parse(style(at).backgroundColor)[3] !== 0;
        return painted(e) ? style(e).backgroundColor : ground(e.parentElement);
    };
    const hasText = (e) => e.checkVisibility() && [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
    return [...document.querySelectorAll('body *:not(script)')].filter(hasText).map((e) => {
        const ink = luminance(parse(e.closest('#stage, .chart') ? style(e).fill : style(e).color));
        const back = luminance(parse(ground(e)));
        return [e.textContent, (Math.max(ink, back) + 0.05) / (Math.min(ink, back) + 0.05)];
    })"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_contrasts_with_its_background(opened, scheme):
    window = opened(loss_of())
    window.prefer(scheme)
    window.click(id_of(window, "affine") + " > .body")
    for keys in ("", "h", "t"):
        window.keys(keys)
        found = window.run(CONTRASTS)
        assert len(found) > 60
        assert [pair for pair in found if pair[1] < 4.5] == []
    layer = mg.nn.Linear(2, 2, rng=0)  # its weights are shared
    opened(layer(layer(np.ones((1, 2)))))
    window.keys("/Linear" + driver.ENTER + driver.ESCAPE + " ")  # closes a scope
    assert [pair for pair in window.run(CONTRASTS) if pair[1] < 4.5] == []
    window.prefer("light")


TYPE = "const s = document.getElementById('search'); s.value = 'tanh'; s.dispatchEvent(new Event('input'));"


@pytest.mark.slow
def test_of_many_operations_only_the_visible_ones_are_drawn(opened, full):
    """The browser keeps few elements, so that a page of 25,000 operations opens in a second."""
    n = 25_000 if full else 6_000
    window = opened(chain(n), max_nodes=n)
    assert count(window, "#stage *") < 1000
    window.run(CLICK % ".fold")
    window.click("#open-all")
    assert count(window, "#stage *") < 2000
    window.run(CLICK % ".operation > .body")
    window.run(TYPE)
    for _ in range(2):
        window.click("#next")
    assert texts(window, "#count") == [f"2 of {n // 2}"]


def test_a_folded_loop_counts_all_its_steps_and_shows_their_colours(opened):
    with mg.record():
        h, W = (mg.tensor(np.eye(3, dtype=np.float32) * scale, requires_grad=True) for scale in (1.0, 0.01))
        for _ in range(12):
            h = mg.tanh(h @ W)
        loss = h.sum()
        loss.backward()
    window = opened(loss, unroll="fold")
    assert texts(window, "#size") == ["25 operations"]
    window.click("#heat")
    dotted = "return [...document.querySelectorAll('#stage .operation')].map((item) => item.classList.contains('cold'))"
    assert window.run(dotted) == [False] * 3
    assert count(window, ".strip rect") == 24  # the colours of 12 steps of both operations in the loop
    window.click("#heat")
    assert count(window, ".strip rect") == 0


def test_a_frame_that_has_no_size_at_first(window, tmp_path):
    """Like the output of a notebook, which also puts it into a sandbox."""
    frame = to_html(mg.tanh(graphs.leaf(2)))._repr_html_()
    (tmp_path / "notebook.html").write_text(f"<body class=ready><div hidden>{frame}</div>", encoding="utf-8")
    window.open(tmp_path / "notebook.html")
    assert window.run("return !document.querySelector('div').toggleAttribute('hidden')")
    with window.inside_frame(0):
        window.wait_until_ready()
        width = window.run("return innerWidth")
        assert abs(window.middle(".output")[0] - width / 2) < width / 10
    assert window.messages() == []
