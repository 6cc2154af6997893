"""What notebooks show for tensors, modules, schedules, batches, profiles and summaries."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

import minigrad as mg
from minigrad import nn


@given(
    npst.arrays(
        st.sampled_from([np.float32, np.float64, np.int64, np.bool_]),
        npst.array_shapes(min_dims=0, min_side=0, max_side=12),
    )
)
def test_a_tensor_shows_a_strip_of_entries(array):
    shown = mg.tensor(array)._repr_html_()
    assert f"{array.dtype} {array.shape}" in shown
    assert shown.count("<path") == (min(array.size, 64) if array.size > 1 else 0)
    assert len(shown) < 6_000
    assert ("min " in shown) == (array.size > 100 and bool(np.isfinite(array).any()))
    if array.size <= 100:
        assert repr(mg.tensor(array)) in shown


def test_colours_tell_signs_and_sizes():
    colours = re.findall("#[0-9a-f]{6}", mg.tensor([2.0, 0.0, -2.0, 1.0, np.nan])._repr_html_())
    assert len(set(colours)) == 5
    assert colours[1] == "#ffffff"
    red, blue = (tuple(bytes.fromhex(colour[1:])) for colour in (colours[0], colours[2]))
    assert red[0] > red[2]
    assert blue[2] > blue[0]


def test_a_large_tensor_shows_its_range():
    shown = mg.tensor(np.linspace(-1, 3, 1000), requires_grad=True)._repr_html_()
    assert "64 of 1,000 entries" in shown
    assert "min -1, mean 1, max 3" in shown
    assert ", ...," in shown
    with_nan = np.zeros(1000)
    with_nan[7] = np.nan
    assert "999 finite entries: min 0, mean 0, max 0" in mg.tensor(with_nan)._repr_html_()
    assert "from tanh" in mg.tanh(mg.tensor(1.0, requires_grad=True))._repr_html_()


def test_a_module_shows_its_parameters():
    class Net(nn.Module):
        def __init__(self):
            self.scale = nn.Parameter(2.0)
            self.layers = [nn.Linear(3, 4), nn.Dropout(0.5)]
            self.weights = [nn.Parameter(np.ones((2, 5)))]

        def forward(self, x):
            return x

    shown = Net()._repr_html_()
    cells = re.findall(r"<td[^>]*>([^<]*)</td>", shown)
    rows = [[cell.strip() for cell in cells[i : i + 3]] for i in range(0, len(cells), 3)]
    assert rows == [
        ["Net", "scale scalar, weights.0 2×5", "11"],
        ["0: Linear(in_features=3, out_features=4, bias=True)", "weight 3×4, bias 4", "16"],
        ["1: Dropout(p=0.5)", "", ""],
        ["total", "", "27"],
    ]


class LateDrop(mg.optim.Schedule):
    def factor(self, count):
        return 1.0 if count < 3000 else 0.5


def dot(svg):
    """Return the horizontal position of the dot at the current step."""
    return float(re.search(r'cx="([\d.]+)"', svg)[1])


@pytest.mark.parametrize(
    ("make", "last"),
    [
        (lambda o: mg.optim.CosineLR(o, 1000), 1000),
        (lambda o: mg.optim.WarmupLR(o, 100, after=mg.optim.CosineLR(o, 1000)), 1100),
        (lambda o: mg.optim.StepLR(o, 1000, gamma=0.0), 1000),
        (LateDrop, 3000),
    ],
)
def test_a_schedule_shows_its_curve(make, last):
    optimizer = mg.optim.SGD([nn.Parameter(1.0)], lr=0.1)
    schedule = make(optimizer)
    before = optimizer.lr
    shown = schedule._repr_svg_()
    assert optimizer.lr == before, "showing a schedule does not change the rate"
    assert f">{last:,}<" in shown
    assert "0.1" in shown
    for _ in range(100):
        schedule.step()
    assert dot(schedule._repr_svg_()) > dot(shown)
    assert "step 100" in repr(schedule)


def test_a_schedule_whose_rate_explodes_or_ends():
    optimizer = mg.optim.SGD([nn.Parameter(1.0)], lr=0.1)
    assert ">512<" in mg.optim.ExponentialLR(optimizer, 1.01)._repr_svg_()

    class Listed(mg.optim.Schedule):
        def factor(self, count):
            return [1.0, 0.5, 0.1][count]

    assert Listed(optimizer)._repr_svg_() is None  # so that a notebook shows its repr


def test_reprs_of_a_plateau_and_of_batches():
    optimizer = mg.optim.SGD([nn.Parameter(1.0)], lr=0.1)
    plateau = mg.optim.ReduceOnPlateau(optimizer, patience=3)
    plateau.step(2.0)
    plateau.step(2.5)
    assert repr(plateau) == "ReduceOnPlateau(step 2, lr=0.1, best=2, 1 of 3 allowed bad steps)"
    batches = mg.data.batches(np.ones((1000, 3)), size=64)
    next(iter(batches))
    assert repr(batches) == "Batches(1,000 examples in 16 batches of 64, shuffled; 1 done in epoch 0)"


def test_a_profile_and_a_summary_are_tables():
    net, x = nn.Linear(3, 2), np.ones((4, 3), np.float32)
    with mg.profile() as profile:
        net(x).sum().backward()
    assert repr(profile) == str(profile)
    for shown, words in ((profile, ("affine", "backward", "in all")), (mg.render.summary(net, x), ("[4×2]", "total"))):
        html = shown._repr_html_()
        assert all(word in html for word in ("<table>", *words))
