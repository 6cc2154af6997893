"""Primitives at the sizes that people use, each beside its reference in float64: see runs.

A reference is made of simpler primitives and uses no kernel of its own. Matrices are compared with NumPy in float64,
and their gradients with its differences along a direction. Magnitudes are the largest entry of each array.
"""

from __future__ import annotations

from collections.abc import Callable
from math import gcd
from typing import Any

import numpy as np

import minigrad as mg
from tests.sweeps.runs import Array, Family, Results, levels, numbers, run, threads, wide

__all__ = ["FAMILIES"]

ONE = np.float32(1)


def beside(name: str, inputs: list[Any], g: Any, function: Callable[..., Any] | None = None, **options: Any) -> Results:
    """A primitive's first output and its gradients, and those of its reference in float64."""
    primitive = getattr(mg.ops, name, None) or getattr(mg.linalg, name)
    reference = primitive.primitive.reference or primitive

    def first(f: Callable[..., Any]) -> Callable[..., Any]:
        def call(*given: Any) -> Any:
            result = f(*given, **options)
            return result[0] if isinstance(result, tuple) else result

        return call

    found = run(first(function or primitive), inputs, g)
    exact = run(first(reference), wide(*inputs), np.float64(g))
    for mine, value in zip(found, exact, strict=True):
        yield name, mine, value, np.abs(value).max(initial=0)


def losses(i: int) -> Results:
    """Losses of two arrays of up to a million entries; gradients of both."""
    names = ("mse_loss", "binary_cross_entropy_with_logits", "l1_loss", "huber_loss", "kl_div")
    case = levels(i, {"name": names, "scale": (1, 10), "shape": ((25, 7), (1000, 1000), (1_000_000,))})
    x = numbers(i)(*case["shape"]) * np.float32(case["scale"])
    target = 1 - np.random.default_rng(i).random(case["shape"], np.float32)  # kl_div's reference warns at 0
    yield from beside(case["name"], [x, target], ONE)


def classes(i: int) -> Results:
    """Losses and softmaxes over up to 10,000 classes, also of large scores, and some with a mask."""
    names = ("softmax", "log_softmax", "cross_entropy", "nll_loss", "temporal_softmax_loss")
    case = levels(i, {"name": names, "V": (10, 1004, 10_000, 2), "N": (5, 25), "T": (1, 17), "scale": (1, 10, 0.01)})
    name, shape = case["name"], (case["N"], case["T"])
    rng, z = np.random.default_rng(i), numbers(i)(*shape, case["V"]) * np.float32(case["scale"])
    targets, mask = rng.integers(0, case["V"], shape), rng.random(shape) < 0.7
    others = {"cross_entropy": [targets], "nll_loss": [targets], "temporal_softmax_loss": [targets, mask]}.get(name, [])
    yield from beside(name, [z, *others], ONE if others else numbers(i + 1)(*z.shape))


def alignments(i: int) -> Results:
    """ctc_loss of up to 400 frames, each sequence with its own number."""
    case = levels(i, {"T": (50, 150, 400), "C": (10, 500), "S": (5, 20)})
    T, C, S, N = case["T"], case["C"], case["S"], 3
    rng, x = np.random.default_rng(i), numbers(i)(T, N, C)
    y = x - np.log(np.exp(x).sum(-1, keepdims=True))
    targets, frames = rng.integers(1, C, (N, S)), rng.integers(2 * S + 1, T + 1, N)
    yield from beside("ctc_loss", [y, targets, frames, np.full(N, S)], ONE, reduction="sum")


def attention(i: int) -> Results:
    """With and without a mask, causal or not, of scores that are small or large."""
    sizes = ((8, 128, 128, 32, 32), (2, 512, 512, 64, 64), (16, 32, 32, 16, 16), (25, 1, 49, 256, 64),
             (3, 700, 40, 8, 100), (1, 5, 4000, 4, 4), (1, 1500, 1500, 16, 16), (4, 300, 900, 20, 30))  # fmt: skip
    case = levels(i, {"size": sizes, "causal": (False, True), "masked": (False, True), "large": (1, 1, 2)})
    B, T, S, D, E = case["size"]
    draw = numbers(i)
    q, k, v, g = draw(B, T, D) * np.float32(case["large"]), draw(B, S, D), draw(B, S, E), draw(B, T, E)
    mask = np.random.default_rng(i).random((B, 1, S)) < 0.7 if case["masked"] else None
    yield from beside("attention", [q, k, v], g, mask=mask, causal=case["causal"])


def normalised(i: int) -> Results:
    """Over the last axis or two, over batches and groups, with a mean that is small or large beside the spread."""
    rows = ((64, 768), (400, 512), (4096, 64), (32, 10, 300), (3, 1000), (8, 5, 5, 7), (128, 4097))
    images = ((8, 64, 28, 28), (128, 256), (32, 16, 8, 8), (2, 512, 2, 2), (4, 96, 14, 14), (16, 32, 57))
    case = levels(i, {"name": ("layer_norm", "batch_norm", "rms_norm", "group_norm"), "rows": rows, "images": images,
                      "axes": (1, 2), "shift": (0, 1, 3), "groups": (1, 4)})  # fmt: skip
    name, draw = case["name"], numbers(i)
    shape = case["rows"] if name in ("layer_norm", "rms_norm") else case["images"]
    axes = tuple(range(-min(case["axes"], len(shape) - 1), 0)) if shape is case["rows"] else ()
    x, g = draw(*shape) + np.float32(case["shift"]), draw(*shape)
    features = tuple(shape[k] for k in axes) or shape[1:2]
    weights = [draw(*features) for _ in range(1 + (name != "rms_norm"))]
    options = {"axis": axes} if axes else {"groups": case["groups"]} if name == "group_norm" else {}
    by_name = lambda x, w, b, groups, eps: mg.ops.group_norm(x, groups, w, b, eps)  # noqa: E731
    yield from beside(name, [x, *weights], g, by_name if name == "group_norm" else None, eps=1e-5, **options)


def recurrent(i: int) -> Results:
    """Up to 128 sequences of up to 60 steps, 512 units, with lengths, with rows that indices choose; single steps."""
    case = levels(i, {"name": ("lstm", "gru", "lstm_step", "rnn", "rnn_step", "gru_step", "lstm_cell"),
                      "N": (1, 8, 25, 64, 128), "T": (1, 5, 16, 60), "H": (16, 64, 128, 512), "D": (8, 64, 256),
                      "lengths": (True, False), "indices": (True, False), "threads": (1, 2)})  # fmt: skip
    name, N, T, H, D = (case[axis] for axis in ("name", "N", "T", "H", "D"))
    while N * T * H * H > 2**26:
        N, T = max(1, N // 2), max(1, T // 2)
    cell, rng, draw = name.partition("_")[0], np.random.default_rng(i), numbers(i)
    gates, single = {"rnn": 1, "lstm": 4, "gru": 3}[cell], "_" in name
    Wx, Wh = draw(D, gates * H) / np.float32(D**0.5), draw(H, gates * H) / np.float32(H**0.5)
    states = [draw(N, H) for _ in range(1 + (name == "lstm_step"))]
    biases = [draw(gates * H) for _ in range(1 + (cell == "gru"))]
    chosen = case["indices"] and not single
    x, g = draw(50, D) if chosen else draw(N, D) if single else draw(N, T, D), draw(*((N, H) if single else (N, T, H)))
    options = {} if single else {"lengths": rng.integers(0, T + 1, N) if case["lengths"] else None,
                                 "indices": rng.integers(0, 50, (N, T)) if chosen else None}  # fmt: skip
    inputs = [draw(N, 4 * H), draw(N, H)] if name == "lstm_cell" else [x, *states, Wx, Wh, *biases]
    with threads(case["threads"]):
        yield from beside(name, inputs, g, **options)


def sequences(i: int) -> Results:
    """Convolutions of sequences, in both directions; direct ones also with the padding "same", at every stride."""
    case = levels(i, {"name": ("conv1d", "conv1d", "conv_transpose1d"), "C": (32, 1, 4, 64, 128), "F": (8, 1, 32, 100),
                      "L": (50, 1, 7, 128, 1000, 4000, 16_000), "K": (3, 1, 2, 5, 8, 15, 31), "n": (4, 1, 16),
                      "stride": (1, 1, 2, 3, 5), "dilation": (1, 1, 2, 8), "groups": (1, 1, 4, 32),
                      "padding": ("same", 0, "half"), "threads": (1, 2)})  # fmt: skip
    name, C, F, L, K, n, s, d = (case[axis] for axis in ("name", "C", "F", "L", "K", "n", "stride", "dilation"))
    groups, extent, transposed = gcd(case["groups"], gcd(C, F)), d * (K - 1) + 1, name == "conv_transpose1d"
    while n * C * F // groups * K * L > 2**24 and (n > 1 or L > 50):
        n, L = max(n // 2, 1), L if n > 1 else L // 2
    p = extent // 2 if case["padding"] == "half" else 0
    if transposed:
        p = min(p, ((L - 1) * s + extent - 1) // 2)  # one entry is left
    options = {"stride": s, "padding": "same" if case["padding"] == "same" and not transposed else p, "dilation": d}
    L, draw = L if transposed else max(L, extent - 2 * p), numbers(i)
    x, w, b = draw(n, C, L), draw(*((C, F // groups) if transposed else (F, C // groups)), K), draw(F)
    with threads(case["threads"]):
        # Positive, because a sum of one bias's cotangents that cancels would be small beside its rounding.
        g = np.abs(draw(*getattr(mg.ops, name)(x, w, b, groups=groups, **options).shape))
        yield from beside(name, [x, w, b], g, groups=groups, **options)


def matrices(i: int) -> Results:
    """Equations, determinants and decompositions of up to 300 rows, whose singular values are from 1/2 to 2."""
    names = ("solve", "qr", "inv", "svd", "det", "eigh", "slogdet", "cholesky")
    case = levels(i, {"name": names, "n": (8, 32, 100, 300), "columns": (1, 10, 64), "stack": ((), (16,))})
    name, n, draw = case["name"], case["n"], numbers(i)
    stack = case["stack"] if n <= 32 else ()
    left, right = (np.linalg.qr(np.random.default_rng([i, k]).standard_normal((*stack, n, n)))[0] for k in range(2))
    values = 2.0 ** np.linspace(1, -1, n)
    a = np.float32((left * values) @ np.swapaxes(left if name in ("eigh", "cholesky") else right, -1, -2))
    a = (a + np.swapaxes(a, -1, -2)) / 2 if name in ("eigh", "cholesky") else a
    inputs = [a, draw(*stack, n, case["columns"])][: 1 + (name == "solve")]
    part = {"svd": 1, "slogdet": 1}.get(name, 0)  # singular values, and the logarithm

    def output(library: Any, *given: Any) -> Any:
        result = getattr(library, name)(*given)
        return result[part] if isinstance(result, tuple) else result

    y = output(np.linalg, *wide(*inputs))
    g: Array = draw(*y.shape)
    found, da, *_ = run(lambda *x: output(mg.linalg, *x), inputs, g)
    A, *others = wide(*inputs)
    v = da / np.linalg.norm(da) + np.swapaxes(da, -1, -2)[..., ::-1, ::-1] / np.linalg.norm(da)  # symmetric if da is
    ahead, behind = (output(np.linalg, A + step * v, *others) for step in (1e-6, -1e-6))
    yield name, found, y, 4 * np.abs(y).max()  # the condition
    yield name, np.float32(np.vdot(da, v)), np.vdot(g, ahead - behind) / 2e-6, 4 * np.linalg.norm(da)


# The function, how many cases, and the bound in units of rounding.
FAMILIES: dict[str, tuple[Family, int, float]] = {
    "losses": (losses, 60, 8.0),
    "classes": (classes, 200, 32.0),
    "alignments": (alignments, 12, 8.0),
    "attention": (attention, 96, 32.0),
    "normalised": (normalised, 160, 32.0),
    "recurrent": (recurrent, 300, 64.0),
    "sequences": (sequences, 400, 64.0),
    "matrices": (matrices, 120, 8.0),
}
