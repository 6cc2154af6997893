"""How far back the gradient reaches: the numbers, their checks, and the files."""

from __future__ import annotations

import contextlib
import copy
import io
import re
import xml.etree.ElementTree as ET
from unittest.mock import Mock

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn
from minigrad.render import gradient_reach, reach

T, D, H = 7, 2, 3
INPUTS = np.random.default_rng(0).standard_normal((T, D))
LAYERS = {"RNN": nn.RNN, "LSTM": nn.LSTM, "GRU": nn.GRU}


def layer_of(name, dtype="float64", scale=1.5):
    """A layer with all weights random, also its biases."""
    layer, rng = LAYERS[name](D, H, rng=0, dtype=dtype), np.random.default_rng(1)
    for p in layer.parameters():
        p.data[...] = scale * rng.standard_normal(p.shape)
    return layer


def residual(x, s):
    return s + 0.5 * mg.tanh(mg.matmul(x, np.array([[1.0, -1.0, 2.0], [0.5, 0.3, -0.7]])) * s)


START = {"function": np.array([0.3, -0.2, 1.0])}
CELLS = {**{name: layer_of(name) for name in LAYERS}, "function": residual}


def run(name, state, steps):
    """The state after some steps of a network, by a loop over the layer itself."""
    for x in INPUTS[steps]:
        if name == "function":
            state = residual(x[None], state)
        elif name == "LSTM":
            _, (h, c) = CELLS[name](x[None, None], (state[:, :H], state[:, H:]))
            state = mg.concatenate([h, c], axis=1)
        else:
            _, state = CELLS[name](x[None, None], state)
    return state


def derivative(name, s, t):
    """The Jacobian of the state after step t by that after step s."""
    size = 2 * H if name == "LSTM" else H
    first = mg.tensor(START.get(name, np.zeros(size))[None])
    state = mg.tensor(run(name, first, slice(0, s + 1)).numpy())
    return mg.jacobian(lambda state: run(name, state, slice(s + 1, t + 1)))(state).numpy().reshape(size, size)


@pytest.fixture(scope="module")
def found():
    return reach(CELLS, INPUTS, initial=START)


@pytest.mark.parametrize("name", CELLS)
def test_norms_are_those_of_the_jacobians_of_the_loop(found, name):
    norms = found.norms[name]
    for t in range(T):
        for s in range(t):
            np.testing.assert_allclose(norms[t, s], np.linalg.norm(derivative(name, s, t), 2), rtol=1e-9)
    assert (np.diag(norms) == 1).all()
    assert np.isnan(norms[np.triu_indices(T, 1)]).all()
    assert not np.isnan(norms[np.tril_indices(T)]).any()
    assert found.difference < 1e-6


def test_another_singular_value_may_become_the_largest():
    """The steps scale each entry on its own, so that the singular vectors never mix."""
    n, factors = 20, np.random.default_rng(0).uniform(0.3, 2, (30, 20))
    r = reach({"scaled": lambda x, s: s * x}, factors, initial={"scaled": np.zeros(n)})
    for s in range(30):
        for t in range(s, 30):
            expected = np.prod(factors[s + 1 : t + 1], axis=0).max()
            np.testing.assert_allclose(r.norms["scaled"][t, s], expected, rtol=1e-6)


def test_two_singular_values_may_be_almost_equal():
    """They cross slowly."""
    n, T = 64, 60
    factors = np.exp(0.015 * np.cumsum(np.random.default_rng(0).standard_normal((T, n)), axis=0))
    r = reach({"scaled": lambda x, s: s * x}, factors, initial={"scaled": np.zeros(n)})
    logs = np.cumsum(np.log(factors), axis=0)
    expected = np.exp((logs[:, None] - logs[None]).max(axis=2))
    lower = np.tril_indices(T)
    np.testing.assert_allclose(r.norms["scaled"][lower], expected[lower], rtol=1e-9)


@pytest.mark.parametrize("name", LAYERS)
def test_products_that_lose_rank(name):
    """Over many steps, most singular values fall below round-off of the largest."""
    T = 70
    layer, x = LAYERS[name](1, 8, rng=0, dtype="float64"), np.random.default_rng(0).standard_normal((T, 1))
    r = reach({name: layer}, x)
    cell = gradient_reach._cell(name, layer, 1, None)
    states = gradient_reach._states(name, cell.step, x, cell.initial)
    J = gradient_reach._step_jacobians(cell.step, x, states[:-1])[0]
    product, expected = np.eye(J.shape[1]), [1.0]
    for s in range(T - 1, 0, -1):
        product = product @ J[s]
        expected.append(np.linalg.norm(product, 2))
    np.testing.assert_allclose(r.norms[name][-1, ::-1], expected, rtol=1e-9)


def test_a_direction_that_grows_again_after_falling_below_round_off_warns():
    """First one unit forgets, and then the other; nothing mixes them."""
    kept = np.ones((81, 2))
    kept[1:41, 0] = kept[41:, 1] = 0.01
    with pytest.warns(UserWarning, match="may be wrong"):
        reach({"gated": lambda x, s: s * x}, kept, initial={"gated": np.ones(2)})


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize("error", [None, KeyboardInterrupt])
def test_a_terminal_shows_progress_and_ends_with_an_empty_line(monkeypatch, error):
    monkeypatch.setattr("sys.stderr", terminal := Terminal())
    reach(CELLS, INPUTS, initial=START)
    assert terminal.getvalue() == ""  # because it took less than two seconds
    monkeypatch.setattr(gradient_reach, "_PATIENCE", -1.0)
    if error:
        monkeypatch.setattr(gradient_reach, "_difference", Mock(side_effect=error))
    with pytest.raises(error) if error else contextlib.nullcontext():
        reach(CELLS, INPUTS, initial=START)
    lines = terminal.getvalue().split("\r")
    assert "reach: 25%, RNN" in lines[1]
    assert lines[-2].strip() == lines[-1] == ""


def test_a_file_shows_no_progress(monkeypatch):
    monkeypatch.setattr(gradient_reach, "_PATIENCE", -1.0)
    for stream in (io.StringIO(), None):
        monkeypatch.setattr("sys.stderr", stream)
        reach(CELLS, INPUTS, initial=START)
        assert not stream or stream.getvalue() == ""


@pytest.mark.parametrize("name", LAYERS)
def test_float32_layers_are_computed_in_double_precision(name):
    layer = layer_of(name, "float32")
    before = copy.deepcopy(layer.state_dict())
    r = reach({"small": layer}, INPUTS.astype(np.float32))
    assert r.norms["small"].dtype == np.float64
    assert r.difference < 1e-6
    assert all((before[key] == value).all() for key, value in layer.state_dict().items())


def test_paths_are_parts_of_the_jacobian_of_a_step():
    """In one dimension norms are absolute values, and the signs of the derivatives are known."""
    x, h, c, w = 0.3, 0.5, -0.7, np.array([0.4, -0.8, 0.6, 1.1])
    layer = nn.LSTM(1, 1, dtype="float64")
    layer.Wh.data[...] = w
    layer.Wx.data[...], layer.b.data[...] = 0.2, 0.1
    r = reach({"LSTM": layer}, np.full((2, 1), x), initial={"LSTM": [h, c]})
    a = 0.2 * x + 0.1 + w * h
    i, f, o = 1 / (1 + np.exp(-a[:3]))
    g = np.tanh(a[3])
    after = f * c + i * g
    to_h = o * (1 - np.tanh(after) ** 2)
    to_c = {"input gate": i * (1 - i) * w[0] * g, "forget gate": f * (1 - f) * w[1] * c,
            "candidate": i * (1 - g * g) * w[3], "c kept": f, "output gate": 0}  # fmt: skip
    for path, size in to_c.items():
        np.testing.assert_allclose(r.paths["LSTM"][f"{path} to c"][0], abs(size), rtol=1e-9)
        if path != "output gate":
            np.testing.assert_allclose(r.paths["LSTM"][f"{path} to h"][0], abs(size * to_h), rtol=1e-9)
    np.testing.assert_allclose(
        r.paths["LSTM"]["output gate to h"][0], abs(o * (1 - o) * w[2] * np.tanh(after)), rtol=1e-9
    )


def test_snapshots_add_an_axis():
    cells = {"RNN": (layer_of("RNN"), lambda s: (s[-1] ** 2).sum()), "LSTM": layer_of("LSTM")}
    later = {"RNN": (layer_of("RNN", scale=0.5), cells["RNN"][1]), "LSTM": layer_of("LSTM", scale=0.5)}
    r = reach(cells, INPUTS, snapshots={0: cells, "end": later})
    assert r.labels == ("0", "end")
    assert r.norms["LSTM"].shape == (2, T, T)
    assert r.paths["LSTM"]["forget gate to c"].shape == (2, T)
    assert r.loss_norms.keys() == r.losses.keys() == {"RNN"}
    for i, alone in enumerate((reach(cells, INPUTS), reach(later, INPUTS))):
        np.testing.assert_array_equal(r.norms["RNN"][i], alone.norms["RNN"])
        np.testing.assert_array_equal(r.paths["RNN"]["h"][i], alone.paths["RNN"]["h"])
        np.testing.assert_array_equal(r.loss_norms["RNN"][i], alone.loss_norms["RNN"])
        assert r.losses["RNN"][i] == alone.losses["RNN"]


def test_a_loss_is_differentiated_by_each_state():
    weights = np.arange(1.0, T + 1)[:, None]
    r = reach({"halved": (lambda x, s: s / 2, lambda s: (s * weights).sum())}, INPUTS, initial={"halved": [4.0]})
    np.testing.assert_allclose(r.losses["halved"], sum(k * 4 / 2**k for k in range(1, T + 1)))
    np.testing.assert_allclose(
        r.loss_norms["halved"], [sum((t + 1) / 2 ** (t - s) for t in range(s, T)) for s in range(T)]
    )


def test_functions_may_use_modules_that_are_trained():
    cell, head = nn.Linear(D + H, H, rng=0), nn.Linear(H, 1, rng=1)
    step = lambda x, s: mg.tanh(cell(mg.concatenate([x, s], axis=1)))  # noqa: E731
    r = reach({"own": (step, lambda s: head(s).sum())}, INPUTS, initial={"own": np.zeros(H)})
    rnn = nn.RNN(D, H, dtype="float64")
    rnn.Wx.data[...], rnn.Wh.data[...] = cell.weight.data[:D], cell.weight.data[D:]
    rnn.b.data[...] = cell.bias.data
    same = reach({"RNN": (rnn, lambda s: head(s).sum())}, INPUTS)
    np.testing.assert_allclose(r.norms["own"], same.norms["RNN"], rtol=1e-9)
    np.testing.assert_allclose(r.loss_norms["own"], same.loss_norms["RNN"], rtol=1e-6)
    assert all(p.grad is None for p in [*cell.parameters(), *head.parameters()])


@pytest.mark.parametrize("fault", ["step", "path", "norms", "small norms"])
def test_the_checks_notice_a_fault(monkeypatch, fault):
    """Even where the gradient has vanished: the state halves 40 times, and the fault is in the first steps."""
    x = np.zeros((40, D))
    layer = layer_of("LSTM")
    layer.b.data[...] = 0  # so that all gates are 1/2
    assert reach({"LSTM": layer}, x).difference < 1e-6
    if fault == "step":
        jacobians = gradient_reach._step_jacobians

        def wrong_step(function, x, *states):
            parts = jacobians(function, x, *states)
            if len(states) > 1:
                parts[-1][1] *= 1.001
            return parts

        monkeypatch.setattr(gradient_reach, "_step_jacobians", wrong_step)
    elif fault == "path":
        lstm, paths = gradient_reach._LAYERS[nn.LSTM]
        faulty = lambda w, x, *s: lstm(w, x, *s[:-1], s[-1] * 1.001)  # noqa: E731
        monkeypatch.setitem(gradient_reach._LAYERS, nn.LSTM, (faulty, paths))
    else:
        norms, factor = gradient_reach._norms_of_products, np.full((40, 40), 1.001)
        if fault == "small norms":
            factor[...] = 1
            factor[30:, 10:12] = 1e-3
        monkeypatch.setattr(gradient_reach, "_norms_of_products", lambda *given: norms(*given) * factor)
    with pytest.warns(UserWarning, match="may be wrong"):
        assert reach({"LSTM": layer}, x).difference > 1e-4


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("factor", [0.0, 1e-10, 1e10])
def test_norms_beyond_the_range_of_floats(factor, tmp_path):
    mixed = factor * np.linalg.qr(np.random.default_rng(0).standard_normal((3, 3)))[0]
    cell = (lambda x, s: mg.matmul(s, mixed), lambda s: s[-1].sum())
    r = reach({"linear": cell}, np.zeros((60, 1)), initial={"linear": np.zeros(3)})
    steps = np.subtract.outer(np.arange(60), np.arange(60))
    with np.errstate(over="ignore"):
        expected = float(factor) ** np.maximum(steps, 0.0)
    finite = (steps >= 0) & (expected < 1e307)
    np.testing.assert_allclose(r.norms["linear"][finite], expected[finite], rtol=1e-9, atol=1e-307)
    assert np.isinf(r.norms["linear"][(steps >= 0) & np.isinf(expected)]).all()
    assert not np.isnan(r.loss_norms["linear"]).any()
    assert r.difference < 1e-6
    r.write(tmp_path / "r.html")
    r.write(tmp_path / "r.svg")


@pytest.mark.parametrize("size", [1.0, 1e6, 1e12])
def test_finite_differences_take_steps_of_the_size_of_the_state(size):
    r = reach({"kept": lambda x, s: s + mg.tanh(s / size)}, INPUTS, initial={"kept": [size, -2 * size, 1.0]})
    assert r.difference < 1e-6


def test_snapshots_have_the_same_losses():
    layer, other, loss = nn.RNN(D, H), nn.RNN(D, H), lambda s: s.sum()
    for times in ([layer, (other, loss)], [(layer, loss), other]):
        with pytest.raises(ValueError, match="the same ones with a loss"):
            reach({"a": layer}, INPUTS, snapshots={k: {"a": cell} for k, cell in enumerate(times)})


def test_snapshots_of_one_object_are_an_error():
    for cell in (nn.RNN(D, H), lambda x, s: s / 2):
        with pytest.raises(ValueError, match="Copy it for each"):
            reach({"a": cell}, INPUTS, snapshots={0: {"a": cell}, 1: {"a": cell}}, initial={"a": np.ones(H)})


def test_steps_that_the_checks_refute_warn():
    rng = np.random.default_rng(0)
    for step in (lambda x, s: s * rng.random(), lambda x, s: s - s.mean(axis=0, keepdims=True)):
        with pytest.warns(UserWarning, match="may be wrong"):
            assert reach({"a": step}, INPUTS, initial={"a": np.ones(H)}).difference > 0.1


def test_a_layer_with_a_forward_of_its_own_is_an_error():
    class Damped(nn.RNN):
        def forward(self, x):
            states, last = super().forward(x)
            return 0.001 * states, last

    with pytest.raises(TypeError, match="or a function of an input and a state"):
        reach({"a": Damped(D, H)}, INPUTS)


LAYER = nn.RNN(D, H)


def test_errors():
    a_function = {"cells": {"a": residual}}
    cases = [
        (TypeError, r"names to networks, .* not \[", {"cells": [nn.RNN(D, H)]}),
        (ValueError, r"label of its own. The labels are 1, 1\.", {"cells": CELLS, "snapshots": {1: CELLS, "1": CELLS}}),
        (ValueError, "'typo', but the networks are a", {"cells": {"a": nn.RNN(D, H)}, "initial": {"typo": [1.0]}}),
        (ValueError, "notes must map a to a text each, not {'typo'", {"cells": {"a": LAYER}, "notes": {"typo": "x"}}),
        (
            ValueError,
            "notes must map a to a list of texts each, one for each of the 1 snapshots, not {'a': 'x'}",
            {"cells": {"a": LAYER}, "snapshots": {0: {"a": LAYER}}, "notes": {"a": "x"}},
        ),
        (ValueError, r"\(n,\), not \(\)", {**a_function, "initial": {"a": 1.0}}),
        (ValueError, r"\(n,\), not \(1, 3\)", {**a_function, "initial": {"a": np.ones((1, 3))}}),
        (
            ValueError,
            r"a maps a state of shape \(1, 3\) to one of shape \(1, 2\)",
            {"cells": {"a": lambda x, s: s[:, :2]}, "initial": {"a": np.ones(3)}},
        ),
        (ValueError, r"to one of shape \(3,\)", {"cells": {"a": lambda x, s: s[0]}, "initial": {"a": np.ones(3)}}),
        (
            ValueError,
            "a state or derivative of a is not finite",
            {"cells": {"a": lambda x, s: mg.sqrt(s)}, "initial": {"a": [0.0]}},
        ),
        (TypeError, "type Linear. Pass an nn.RNN, nn.LSTM or nn.GRU, or a function", {"cells": {"a": nn.Linear(D, H)}}),
        (TypeError, "type str", {"cells": {"a": "LSTM"}}),
        (ValueError, "one layer", {"cells": {"a": nn.LSTM(D, H, num_layers=2)}}),
        (ValueError, "one layer", {"cells": {"a": nn.GRU(D, H, bidirectional=True)}}),
        (ValueError, r"must be \(T, 5\) for a, but have 2 columns", {"cells": {"a": nn.RNN(5, H)}}),
        (ValueError, r"shape \(6,\), not \(3,\)", {"cells": {"a": nn.LSTM(D, H)}, "initial": {"a": np.zeros(H)}}),
        (ValueError, "initial=", {"cells": {"a": residual}}),
        (ValueError, "at least two steps", {"cells": {"a": nn.RNN(D, H)}, "inputs": INPUTS[0]}),
        (ValueError, "at least two steps", {"cells": {"a": nn.RNN(D, H)}, "inputs": INPUTS[:1]}),
        (ValueError, "networks a", {"cells": {"a": nn.RNN(D, H)}, "snapshots": {0: {"b": nn.RNN(D, H)}}}),
        (ValueError, "networks a", {"cells": {"a": nn.RNN(D, H)}, "snapshots": {}}),
        (TypeError, "names to networks, .* not {}", {"cells": {}}),
        (ValueError, "inputs must be numbers of shape", {"cells": {"a": nn.RNN(D, H)}, "inputs": [["a"]]}),
        (ValueError, "not finite", {"cells": {"a": lambda x, s: s * np.inf}, "initial": {"a": np.ones(2)}}),
    ]
    for error, message, given in cases:
        with pytest.raises(error, match=message):
            reach(**{"inputs": INPUTS, **given})


def test_files(found, tmp_path):
    with pytest.raises(ValueError, match=r"\.html or \.svg, not \.png"):
        found.write(tmp_path / "reach.png")
    assert not list(tmp_path.iterdir())
    for ending in ("html", "svg"):
        paths = [found.write(tmp_path / f"{i}.{ending}", "a < b & c") for i in range(2)]
        first, second = (path.read_text("utf-8") for path in paths)
        assert first == second == reach(CELLS, INPUTS, initial=START).write(paths[0], "a < b & c").read_text("utf-8")
    assert re.search("<title>.*gradient.*</title>", found.write(tmp_path / "r.html", "").read_text("utf-8"))
    assert not re.search(r"https?://(?!www\.w3\.org/)|//cdn|src=|url\(", (tmp_path / "0.html").read_text("utf-8"))


def test_the_picture_shows_each_network(found, tmp_path):
    root = ET.parse(found.write(tmp_path / "reach.svg", "a < b & c")).getroot()
    space = "{http://www.w3.org/2000/svg}"
    assert root.find(f"{space}title").text == "a < b & c"
    texts = [text.text for text in root.iter(f"{space}text")]
    assert set(CELLS) <= set(texts)
    assert texts.count("state at step t") == texts.count("gradient w.r.t. state at step s") == len(CELLS)
    ticks = ["1", "2", "4", "6"]
    assert [text for text in texts if text.isdecimal()] == [*ticks, *ticks] * len(CELLS) + ["1"]
    *_, legend = root
    # The white of the scale is where its label says 1.
    scale = [(float(r.get("x")) + float(r.get("width")), r.get("fill")) for r in legend.iter(f"{space}rect")]
    [one] = [float(text.get("x")) for text in legend.iter(f"{space}text") if text.text == "1"]
    brightness = [sum(bytes.fromhex(fill[1:])) for _, fill in scale]
    assert abs(scale[int(np.argmax(brightness))][0] - one) <= 5


@pytest.mark.slow
def test_a_long_page_is_small(tmp_path):
    """100 steps, 3 networks and 16 snapshots of noise, which nothing compresses."""
    rng, n = np.random.default_rng(0), 100
    norms = {name: 10 ** rng.uniform(-8, 4, (16, n, n)) for name in LAYERS}
    paths = {name: {f"path {i}": 10 ** rng.uniform(-3, 1, (16, n)) for i in range(count)}
             for name, count in {"RNN": 1, "LSTM": 9, "GRU": 4}.items()}  # fmt: skip
    losses = {name: 10 ** rng.uniform(-8, 4, (16, n)) for name in LAYERS}
    r = mg.render.Reach(norms, paths, losses, {name: np.ones(16) for name in LAYERS}, tuple("abcdefghijklmnop"),
                        rng.standard_normal((n, 64)), 1e-9)  # fmt: skip
    assert r.write(tmp_path / "reach.html").stat().st_size < 400_000


def test_the_picture_shows_notes_and_no_loss(tmp_path):
    cells = {"a": (layer_of("RNN"), lambda s: s.sum()), "b": layer_of("GRU")}
    for options in (
        {"notes": {"a": "learned: yes\n98 % < 99 %"}},
        {"notes": {"a": ["before", "learned: yes\n98 % < 99 %"]}, "snapshots": {0: cells, 1: copy.deepcopy(cells)}},
    ):
        r = reach(cells, INPUTS, **options)
        assert r.notes == options["notes"]
        picture = r.write(tmp_path / "r.svg").read_text("utf-8")
        assert ">learned: yes<" in picture
        assert ">98 % &lt; 99 %<" in picture
        assert "before" not in picture
        assert "loss" not in picture


def test_it_shows_itself():
    r = reach({"halved": lambda x, s: s / 2}, np.ones((3, 1)), initial={"halved": [1.0]})
    assert repr(r) == "Reach from step 1 to 3: halved 0.25"
    assert "halved" in r._repr_svg_()
