"""Primitives that sum, at the sizes that people use, each against its formula in NumPy and float64: see runs."""

from __future__ import annotations

from typing import Any

import numpy as np

import minigrad as mg
from tests.sweeps.runs import Array, Family, Results, levels, numbers, run, threads, wide

__all__ = ["FAMILIES"]


# --- products -----------------------------------------------------------------------------------------


def affine(i: int) -> Results:
    """x W + b of a matrix or a stack, by each of the primitives that can, with up to 2,048 columns."""
    sizes = (1, 10, 64, 100, 256, 300, 512, 784, 1000, 1024, 2048)
    case = levels(i, {"D": sizes, "M": sizes, "N": (1, 5, 32, 64, 128, 257), "T": (1, 3, 8), "way": range(4),
                      "threads": (1, 2), "order": "CF"})  # fmt: skip
    D, M, N, T = (case[name] for name in "DMNT")
    while N * T * D * M > 2**26 and N > 1:
        N //= 2
    draw = numbers(i)
    x, W, b, g = draw(N, T, D), np.asarray(draw(D, M), order=case["order"]), draw(M), draw(N, T, M)
    name = ("affine", "matmul", "matmul", "einsum")[case["way"]]
    if case["way"] == 2:
        x, g = x[:, 0], g[:, 0]
    function = {
        "matmul": lambda x, W, b: mg.ops.matmul(x, W) + b,
        "einsum": lambda x, W, b: mg.ops.einsum("ntd,dm->ntm", x, W) + b,
    }.get(name) or getattr(mg.ops, name)
    with threads(case["threads"]):
        y, dx, dW, db = run(function, [x, W, b], g)
    (X, W_, B, G), (xa, wa, ba, ga) = wide(x, W, b, g), wide(*map(np.abs, (x, W, b, g)))
    rows, rows_abs, G2, ga2 = X.reshape(-1, D), xa.reshape(-1, D), G.reshape(-1, M), ga.reshape(-1, M)
    yield name, y, X @ W_ + B, xa @ wa + ba
    yield name, dx, G @ W_.T, ga @ wa.T
    yield name, dW, rows.T @ G2, rows_abs.T @ ga2
    yield name, db, G2.sum(0), ga2.sum(0)


def embedding(i: int) -> Results:
    case = levels(i, {"V": (2, 27, 100, 1004, 10_000), "D": (1, 8, 64, 256, 512), "N": (1, 16, 32), "T": (1, 17, 60)})
    V, D = case["V"], case["D"]
    W, g = numbers(i)(V, D), numbers(i + 1)(case["N"], case["T"], D)
    indices = np.random.default_rng(i).zipf(1.5, g.shape[:2]) % V  # a few words are frequent
    y, dW = run(lambda W: mg.ops.embedding(indices, W), [W], g)
    exact, magnitudes = np.zeros((V, D)), np.zeros((V, D))
    np.add.at(exact, indices, g)
    np.add.at(magnitudes, indices, np.abs(g))
    yield "embedding", y, W[indices].astype(np.float64), 0 * y
    yield "embedding", dW, exact, magnitudes


# --- pooling ------------------------------------------------------------------------------------------


def pooling(i: int) -> Results:
    case = levels(i, {"n": (1, 2, 8), "c": (1, 3, 16, 64, 128), "h": (7, 13, 28, 32, 57), "w": (8, 14, 28, 33, 64),
                      "k": ((2, 2), (3, 3), (2, 3), (5, 5), (7, 7)), "s": (None, (1, 1), (2, 2), (3, 2)),
                      "p": (0, 1), "kind": ("max_pool2d", "avg_pool2d")})  # fmt: skip
    (kh, kw), p = case["k"], case["p"]
    sh, sw = case["s"] or (kh, kw)
    x = numbers(i)(*(case[name] for name in "nchw"))
    function = getattr(mg.ops, case["kind"])
    g = numbers(i + 1)(*function(x, (kh, kw), case["s"], p).shape)
    y, dx = run(lambda x: function(x, (kh, kw), case["s"], p), [x], g)
    largest = case["kind"] == "max_pool2d"
    padded = np.pad(x.astype(np.float64), ((0, 0), (0, 0), (p, p), (p, p)), constant_values=-np.inf if largest else 0)
    oh, ow = g.shape[2:]
    tall, wide = (oh - 1) * sh + 1, (ow - 1) * sw + 1
    taps = [(..., slice(a, a + tall, sh), slice(b, b + wide, sw)) for a, b in np.ndindex(kh, kw)]
    seen = np.stack([padded[tap] for tap in taps])
    shares = (seen == seen.max(0)) if largest else np.full(seen.shape, 1 / (kh * kw))
    d, magnitudes = np.zeros(padded.shape), np.zeros(padded.shape)
    for tap, share in zip(taps, shares, strict=True):
        d[tap] += share * g
        magnitudes[tap] += share * np.abs(g)
    inner = (..., slice(p, p + x.shape[2]), slice(p, p + x.shape[3]))
    if largest:
        yield case["kind"], y, seen.max(0), np.abs(seen.max(0))
    else:
        yield case["kind"], y, seen.mean(0), np.abs(seen).mean(0)
    yield case["kind"], dx, d[inner], magnitudes[inner]


# --- reductions ---------------------------------------------------------------------------------------


def reductions(i: int) -> Results:
    """Over up to a million entries: all of them, rows or columns; with a mean that is large beside the spread."""
    names = ("sum", "mean", "var", "std", "norm", "logsumexp", "max", "min")
    case = levels(i, {"name": names, "shape": ((1_000_000,), (1000, 1000), (10, 100_000), (100_000, 10), (64, 50, 300)),
                      "axis": (None, 0, -1), "shift": (0, 3)})  # fmt: skip
    x = numbers(i)(*case["shape"]) + np.float32(case["shift"])
    axis = case["axis"]
    function = getattr(mg.ops, case["name"])
    X = x.astype(np.float64)
    total = np.exp(X).sum(axis, keepdims=True)
    mean, n = X.mean(axis, keepdims=True), X.size // max(1, X.mean(axis).size)
    kept: dict[str, Any] = {"axis": axis, "keepdims": True}
    away = np.abs(X) + np.abs(X).mean(**kept)  # what X - mean is subtracted from, the mean's own rounding with it
    second = away**2
    std, length = X.std(**kept), np.sqrt((X * X).sum(**kept))
    exact, magnitudes, slope, slope_magnitudes = {
        "sum": (X.sum(**kept), np.abs(X).sum(**kept), 1, 1),
        "mean": (mean, np.abs(X).mean(**kept), 1 / n, 1 / n),
        "var": (std**2, second.mean(**kept), 2 * (X - mean) / n, 2 * away / n),
        "std": (std, second.mean(**kept) / std, (X - mean) / n / std,
                away / n / std * second.mean(**kept) / std**2),
        "norm": (length, length, X / length, np.abs(X) / length),
        "logsumexp": (np.log(total), np.abs(X.max(**kept)) + np.log(n), np.exp(X) / total,
                      np.exp(X) / total * (1 + np.abs(X - X.max(**kept)) + np.log(n))),
        **{extreme: (end := getattr(X, extreme)(**kept), np.abs(end), shares := _shares(X, end, axis), shares)
           for extreme in ("max", "min")},
    }[case["name"]]  # fmt: skip
    g = numbers(i + 1)(*exact.shape)
    y, dx = run(lambda x: function(x, axis=axis, keepdims=True), [x], g)
    yield case["name"], y, exact, magnitudes
    yield case["name"], dx, np.broadcast_to(g * slope, x.shape), np.broadcast_to(np.abs(g) * slope_magnitudes, x.shape)


def _shares(X: Array, end: Array, axis: int | None) -> Array:
    """1 where X is the end of its axis; those that are equal share."""
    hit = np.equal(X, end)
    return np.asarray(hit / hit.sum(axis, keepdims=True))


def scans(i: int) -> Results:
    """Sums of up to 10,000 entries so far, and products of up to 100, of all and so far."""
    case = levels(i, {"name": ("cumsum", "prod", "cumprod"), "n": (10, 30, 100), "axis": (0, 1), "far": (1000, 10_000)})
    sums, axis = case["name"] == "cumsum", case["axis"]
    along, across = (case["far"], case["n"]) if sums else (case["n"], 1000)
    shape = (along, across) if axis == 0 else (across, along)
    x = numbers(i)(*shape) if sums else np.exp(numbers(i)(*shape) / np.float32(10))
    X = x.astype(np.float64)
    if sums:
        g = numbers(i + 1)(*shape)
        y, dx = run(lambda x: mg.ops.cumsum(x, axis), [x], g)
        back = lambda a: np.flip(np.flip(a, axis).cumsum(axis, dtype=float), axis)  # noqa: E731
        yield "cumsum", y, X.cumsum(axis), np.abs(X).cumsum(axis)
        yield "cumsum", dx, back(g), back(np.abs(g))
        return
    n = shape[axis]
    if case["name"] == "cumprod":
        if i % 2:
            np.moveaxis(x, axis, 0)[i % n] = 0  # a factor of each product
        yield from _products(x, axis, numbers(i + 1)(*shape))
        return
    product = X.prod(axis, keepdims=True)
    g = numbers(i + 1)(*product.shape)
    y, dx = run(lambda x: mg.ops.prod(x, axis, keepdims=True), [x], g)
    yield "prod", y, product, n * product  # each product is rounded
    yield "prod", dx, g * product / X, np.abs(g) * n * product / X


def _products(x: Array, axis: int, g: Array) -> Results:
    """Of numbers that are not negative, by the recurrence of their products from the end."""
    y, dx = run(lambda x: mg.ops.cumprod(x, axis), [x], g)
    X, G = (np.moveaxis(a.astype(np.float64), axis, 0) for a in (x, g))
    n = len(X)
    before = np.cumprod(np.concatenate([np.ones((1, *X.shape[1:])), X[:-1]]), 0)
    exact, magnitudes, total, size = np.empty(X.shape), np.empty(X.shape), 0 * X[0], 0 * X[0]
    for i in reversed(range(n)):
        total, size = G[i] + total, np.abs(G[i]) + size
        exact[i], magnitudes[i] = before[i] * total, before[i] * size
        total, size = X[i] * total, X[i] * size
    yield "cumprod", y, np.cumprod(x.astype(float), axis), n * np.cumprod(x.astype(float), axis)
    yield "cumprod", dx, np.moveaxis(exact, 0, axis), n * np.moveaxis(magnitudes, 0, axis)


def ordering(i: int) -> Results:
    """Up to a million numbers sorted, and the first of them."""
    case = levels(i, {"name": ("sort", "topk"), "shape": ((1_000_000,), (1000, 1000), (10, 100_000), (64, 50, 300)),
                      "axis": (0, -1), "k": (1, 10, 0.5), "largest": (True, False), "ties": (True, False)})  # fmt: skip
    x, axis = numbers(i)(*case["shape"]), case["axis"]
    x = np.round(x, 1) if case["ties"] else x
    n = x.shape[axis]
    k = n if case["name"] == "sort" else int(np.ceil(case["k"] * n)) if case["k"] < 1 else min(n, case["k"])
    turned = x if case["name"] == "sort" or not case["largest"] else -x
    chosen = np.take(np.argsort(turned, axis, stable=True), range(k), axis)
    g = numbers(i + 1)(*chosen.shape)
    if case["name"] == "sort":
        y, dx = run(lambda x: mg.ops.sort(x, axis), [x], g)
    else:
        y, dx = run(lambda x: mg.ops.topk(x, k, axis, case["largest"])[0], [x], g)
    exact = np.zeros(x.shape)
    np.put_along_axis(exact, chosen, g.astype(float), axis)
    yield case["name"], y, np.take_along_axis(x, chosen, axis).astype(float), 0 * y
    yield case["name"], dx, exact, 0 * dx


def resizing(i: int) -> Results:
    """Bins and interpolated pixels of up to 64 images, as products with a matrix for each axis."""
    case = levels(i, {"kind": ("adaptive_avg_pool2d", "upsample"), "N": (1, 8, 64), "C": (3, 16, 64),
                      "H": (7, 28, 33, 56), "W": (7, 14, 32), "m": (1, 2, 3, 4, 7)})  # fmt: skip
    N, C, H, W, m = (case[name] for name in "NCHWm")
    x = numbers(i)(N, C, H, W)
    means = case["kind"] == "adaptive_avg_pool2d"
    down, across = (_bins(n, m) if means else _between(n, m) for n in (H, W))
    function = mg.ops.adaptive_avg_pool2d if means else lambda x, m: mg.ops.upsample(x, m, "bilinear")
    g = numbers(i + 1)(N, C, len(down), len(across))
    y, dx = run(lambda x: function(x, m), [x], g)
    X, G = wide(x, g)
    yield case["kind"], y, down @ X @ across.T, down @ np.abs(X) @ across.T
    yield case["kind"], dx, down.T @ G @ across, down.T @ np.abs(G) @ across


def _bins(n: int, m: int) -> Array:
    """(m, n): the share of each of n pixels in each of m bins."""
    i, pixels = np.arange(m)[:, None], np.arange(n)
    within = (np.floor(i * n / m) <= pixels) & (pixels < np.ceil((i + 1) * n / m))
    return np.asarray(within / within.sum(1, keepdims=True))


def _between(n: int, m: int) -> Array:
    """(n m, n): how much each of the finer pixels has of each of the n, by the distance of their middles."""
    middles = np.clip((np.arange(n * m) + 0.5) / m - 0.5, 0, n - 1)
    return np.asarray(np.maximum(0, 1 - np.abs(middles[:, None] - np.arange(n))))


def broadcasting(i: int) -> Results:
    """Two operands of which one is stretched to a million entries; its gradient sums up to as many."""
    shapes = [((1000, 1000), (1000,)), ((1000, 1000), (1000, 1)), ((1000, 1000), (1, 1)), ((1_000_000,), ()),
              ((64, 100, 150), (100, 1)), ((64, 100, 150), (64, 1, 150)), ((20, 50_000), (20, 50_000))]  # fmt: skip
    names = ("add", "subtract", "multiply", "divide", "maximum", "minimum", "power", "arctan2", "logaddexp", "where")
    case = levels(i, {"shapes": shapes, "name": names, "turn": (0, 1)})
    draw = numbers(i)
    ends = case["shapes"][:: -1 if case["turn"] else 1]
    a, b = (np.asarray(np.abs(draw(*shape)) + np.float32(0.5)) for shape in ends)
    g = draw(*np.broadcast_shapes(a.shape, b.shape))
    chosen = draw(*g.shape) > 0
    function = (lambda a, b: mg.ops.where(chosen, a, b)) if case["name"] == "where" else getattr(mg.ops, case["name"])
    y, da, db = run(function, [a, b], g)
    A, B, G = wide(a, b, g)
    larger = (np.sign(A - B) + 1) / 2  # of ties both have a half
    exact, left, right = {
        "add": lambda: (A + B, G, G),
        "subtract": lambda: (A - B, G, -G),
        "multiply": lambda: (A * B, G * B, G * A),
        "divide": lambda: (A / B, G / B, -G * A / B**2),
        "maximum": lambda: (np.maximum(A, B), G * larger, G * (1 - larger)),
        "minimum": lambda: (np.minimum(A, B), G * (1 - larger), G * larger),
        "power": lambda: (A**B, G * B * A ** (B - 1), G * A**B * np.log(A)),
        "arctan2": lambda: (np.arctan2(A, B), G * B / (A * A + B * B), -G * A / (A * A + B * B)),
        "logaddexp": lambda: (np.logaddexp(A, B), G / (1 + np.exp(B - A)), G / (1 + np.exp(A - B))),
        "where": lambda: (np.where(chosen, A, B), G * chosen, G * ~chosen),
    }[case["name"]]()
    yield case["name"], y, exact, A + B if case["name"] in ("add", "subtract") else np.abs(exact)
    for found, term in ((da, left), (db, right)):
        yield case["name"], found, _summed(term, found.shape), _summed(np.abs(term), found.shape)


def _summed(term: Array, shape: tuple[int, ...]) -> Array:
    """Over the axes along which an operand of that shape was stretched."""
    lead = term.ndim - len(shape)
    axes = [*range(lead), *(lead + i for i, n in enumerate(shape) if n == 1)]
    return term.sum(axis=tuple(axes)).reshape(shape)


# The function, how many cases, and the bound in units of rounding: two to five times the worst that was seen.
FAMILIES: dict[str, tuple[Family, int, float]] = {
    "affine": (affine, 800, 8.0),
    "embedding": (embedding, 200, 8.0),
    "pooling": (pooling, 300, 8.0),
    "scans": (scans, 72, 8.0),
    "ordering": (ordering, 96, 8.0),
    "resizing": (resizing, 120, 8.0),
    "reductions": (reductions, 150, 128.0),  # NumPy adds 100,000 rows one after the other, and not in pairs: 62 units
    "broadcasting": (broadcasting, 140, 8.0),
}
