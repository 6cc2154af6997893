"""Convolutions of sequences at the sizes of sound and text, each against its definition: see runs and plain."""

from __future__ import annotations

from math import gcd
from typing import Any

import numpy as np

import minigrad as mg
from tests.sweeps import plain
from tests.sweeps.enumeration import levels
from tests.sweeps.layers import BOUND
from tests.sweeps.runs import Array, Family, Results, numbers, run, wide

__all__ = ["FAMILIES"]

_MOST = 2**25  # multiplications in one of the three products of a case


def convolutions(i: int) -> Results:
    """In both directions; direct ones also with the padding "same", at every stride."""
    case = levels(i, {"transposed": (False, False, True), "C": (1, 4, 32, 64, 128, 256), "F": (1, 8, 32, 64, 100, 256),
                      "L": (1, 7, 50, 128, 1000, 4000, 16_000), "K": (1, 2, 3, 5, 8, 15, 31), "n": (1, 4, 16),
                      "stride": (1, 1, 2, 3, 5), "dilation": (1, 1, 2, 8), "groups": (1, 1, 4, "depthwise"),
                      "padding": ("same", 0, "half"), "threads": (1, 2)})  # fmt: skip
    transposed, C, F, L, K, s, d = (case[name] for name in ("transposed", "C", "F", "L", "K", "stride", "dilation"))
    groups = gcd(C if case["groups"] == "depthwise" else case["groups"], gcd(C, F))
    n, extent = case["n"], d * (K - 1) + 1
    while n * C * F // groups * K * L > _MOST and n > 1:
        n //= 2
    while C * F // groups * K * L > _MOST and L > 50:
        L //= 2
    same = case["padding"] == "same" and not transposed
    p = extent // 2 if case["padding"] == "half" else 0
    if transposed:
        p = min(p, ((L - 1) * s + extent - 1) // 2)  # one entry is left
    elif not same:
        L = max(L, extent - 2 * p)
    draw = numbers(i)
    x, b = draw(n, C, L), draw(F)
    w = draw(C, F // groups, K) if transposed else draw(F, C // groups, K)
    options = {"stride": s, "padding": "same" if same else p, "dilation": d, "groups": groups}
    name = "conv_transpose1d" if transposed else "conv1d"
    g = draw(
        n, F, (L - 1) * s - 2 * p + extent if transposed else -(-L // s) if same else (L + 2 * p - extent) // s + 1
    )
    before = mg.get_num_threads()
    mg.set_num_threads(case["threads"])
    try:
        found = run(lambda *a: getattr(mg.ops, name)(*a, **options), [x, w, b], g)
    finally:
        mg.set_num_threads(before)
    zeros = max(extent - (L % s or s), 0) if same else 0
    taps = plain.Taps((1, K), (1, s), (0, p), (1, d), groups)
    exact = _by_definition(transposed, wide(x, w, b, g), zeros, taps)
    sizes = _by_definition(transposed, wide(*map(np.abs, (x, w, b, g))), zeros, taps)
    yield from ((name, mine, value, size) for mine, value, size in zip(found, exact, sizes, strict=True))


def _by_definition(transposed: bool, arrays: list[Array], zeros: int, taps: plain.Taps) -> list[Array]:
    """y, dx, dw, db of sequences with so many zeros around them, as images of one row."""
    x, w, b, g = arrays
    start, length = zeros // 2, x.shape[2]
    x = np.pad(x, ((0, 0), (0, 0), (start, zeros - start)))
    function: Any = plain.conv_transpose2d if transposed else plain.conv2d
    y, dx, dw, db = function(x[:, :, None], w[:, :, None], b, g[:, :, None], taps)
    return [y[:, :, 0], dx[:, :, 0, start : start + length], dw[:, :, 0], db]


# A function from a case's number to its results, how many cases there are, and the bound in units of rounding.
FAMILIES: dict[str, tuple[Family, int, float]] = {"sequences": (convolutions, 600, BOUND)}
