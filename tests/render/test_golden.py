"""Reviewed drawings: DOT text and listings in golden/, so that a diff shows every change.

After an intended change, run RENEW_GOLDEN=1 pytest tests/render/test_golden.py and review the diff.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn
from tests.render.graphs import captioner, deep, halves, leaf, loop, lstm, mlp, shared

GOLDEN = Path(__file__).parent / "golden"


def several():
    x, y = leaf(4), leaf(2)
    first, second = halves(x)
    return [first * second, second + y, second + y, y]


def heat():
    """Gradients of exact powers of two, one that is zero and one that is not a number."""
    x = mg.tensor([1.0, 0.0], requires_grad=True)
    with mg.record(lines=False):
        y = x * 4.0
        bad = mg.sqrt(x * 0.0)
        z = (y * 16.0)[:1].sum() + (mg.tanh(y) * 0.0).sum() + bad[:1].sum()
        with np.errstate(all="ignore"):
            z.backward()
    return z


def arguments():
    """Arguments of every kind in both orders: results, a parameter, an input with many uses, numbers, arrays."""
    layer, x, ones = nn.Linear(2, 2, rng=0), leaf(2, 2), np.ones((2, 2), np.float32)
    with mg.record(lines=False):
        a, b = layer(x) - mg.exp(x), mg.exp(x) - layer(x)
        c = mg.where(ones > 0, 2 - a @ b, b @ a - 2)
        return mg.stack([layer.weight @ c, c @ layer.weight, 0.5 * c, c + ones]).sum()


def recorded():
    with mg.record(lines=False):
        return captioner()


DRAWINGS = {
    "mlp": (mlp, {}),
    "captioner-folded": (captioner, {}),
    "captioner-steps": (captioner, {"unroll": "steps", "title": "a captioner"}),
    "captioner-primitive": (captioner, {"unroll": "primitive", "direction": "LR"}),
    "captioner-rnn": (lambda: captioner("rnn"), {"values": "none"}),
    "lstm-expanded": (lambda: lstm(2), {"expand": {"lstm_step"}, "unroll": "steps"}),
    "captioner-expanded": (recorded, {"expand": {"lstm_step", "cross_entropy"}}),
    "captioner-not-recorded": (captioner, {"expand": {"cross_entropy"}, "unroll": "primitive"}),
    "loop": (lambda: loop(20), {}),
    "loop-from-constant": (lambda: loop(20, first=False), {}),
    "shared": (shared, {"direction": "BT"}),
    "several": (several, {}),
    "arguments": (arguments, {}),
    "limited": (lambda: loop(9), {"max_nodes": 2, "unroll": "steps"}),
    "deep": (lambda: deep(15), {}),
    "deep-closed": (deep, {"depth": 2, "direction": "LR"}),
    "heat": (heat, {"gradients": True, "values": "norm"}),
}


def draw(name):
    """The DOT text and the listing of a new graph."""
    make, options = DRAWINGS[name]
    tensors = make()
    listed = {key: value for key, value in options.items() if key in ("unroll", "expand")}
    return {"dot": mg.render.to_dot(tensors, **options), "txt": mg.render.to_text(tensors, **listed) + "\n"}


@pytest.mark.parametrize("name", DRAWINGS)
def test_drawings_are_as_reviewed(name):
    drawn = draw(name)
    assert drawn == draw(name)  # another equal graph gives the same text
    for suffix, text in drawn.items():
        path = GOLDEN / f"{name}.{suffix}"
        if os.environ.get("RENEW_GOLDEN"):
            path.write_text(text, encoding="utf-8")
        assert not re.search(r"0x[0-9a-f]{6,}", text)
        assert text == path.read_text(encoding="utf-8"), f"{path.name} has changed: see the top of this file"


def test_no_golden_file_is_left_over():
    assert {path.stem for path in GOLDEN.iterdir()} == set(DRAWINGS)
