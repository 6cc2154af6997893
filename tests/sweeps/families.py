"""Primitives that sum, at the sizes that people use, each against its formula in NumPy and float64: see runs."""

from __future__ import annotations

from typing import Any

import numpy as np

import minigrad as mg
from tests.sweeps.enumeration import levels
from tests.sweeps.runs import Array, Family, Results, numbers, run, wide

__all__ = ["FAMILIES"]


# --- products -----------------------------------------------------------------------------------------


def affine(i: int) -> Results:
    """x W + b of a matrix or a stack, by each of the primitives that can, with up to 2,048 columns."""
    sizes = (1, 10, 64, 100, 256, 300, 512, 784, 1000, 1024, 2048)
    case = levels(i, {"D": sizes, "M": sizes, "N": (1, 5, 32, 64, 128, 257), "T": (1, 3, 8), "way": range(5),
                      "threads": (1, 2), "order": "CF"})  # fmt: skip
    D, M, N, T = (case[name] for name in "DMNT")
    while N * T * D * M > 2**26 and N > 1:
        N //= 2
    draw = numbers(i)
    x, W, b, g = draw(N, T, D), np.asarray(draw(D, M), order=case["order"]), draw(M), draw(N, T, M)
    name = ("temporal_affine", "matmul", "matmul", "affine", "einsum")[case["way"]]
    if case["way"] == 2:
        x, g = x[:, 0], g[:, 0]
    function = {
        "matmul": lambda x, W, b: mg.ops.matmul(x, W) + b,
        "einsum": lambda x, W, b: mg.ops.einsum("ntd,dm->ntm", x, W) + b,
    }.get(name) or getattr(mg.ops, name)
    before = mg.get_num_threads()
    mg.set_num_threads(case["threads"])
    try:
        y, dx, dW, db = run(function, [x, W, b], g)
    finally:
        mg.set_num_threads(before)
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


# --- classes ------------------------------------------------------------------------------------------


def softmax(i: int) -> Results:
    """softmax, log_softmax and cross_entropy over up to 10,000 classes, also with large scores."""
    case = levels(i, {"kind": ("softmax", "log_softmax", "cross_entropy"), "V": (2, 10, 100, 1004, 10_000),
                      "N": (1, 25, 128), "scale": (1, 10, 0.01)})  # fmt: skip
    N, V = case["N"], case["V"]
    z = numbers(i)(N, V) * np.float32(case["scale"])
    Z = z.astype(np.float64)
    top = Z.max(1, keepdims=True)
    total = np.log(np.exp(Z - top).sum(1, keepdims=True))
    logp = Z - top - total
    p, spread = np.exp(logp), 1 + np.abs(Z - top) + total  # an exponent's rounding is a relative error of its power
    if case["kind"] == "cross_entropy":
        targets = np.random.default_rng(i).integers(0, V, N)
        loss, dz = run(lambda z: mg.ops.cross_entropy(z, targets), [z], np.float32(1))
        hit = np.eye(V)[targets]
        yield case["kind"], loss, -(hit * logp).sum() / N, (hit * (np.abs(Z) + np.abs(top) + total)).sum() / N
        yield case["kind"], dz, (p - hit) / N, (p * spread + hit) / N
        return
    g = numbers(i + 1)(N, V)
    y, dz = run(getattr(mg.ops, case["kind"]), [z], g)
    if case["kind"] == "softmax":
        yield "softmax", y, p, p * spread
        inner, sizes = (p * g).sum(1, keepdims=True), (p * abs(g)).sum(1, keepdims=True)
        yield "softmax", dz, p * (g - inner), p * spread * (abs(g) + sizes)
    else:
        yield "log_softmax", y, logp, np.abs(Z) + np.abs(top) + total
        total, sizes = g.sum(1, keepdims=True, dtype=float), abs(g).sum(1, keepdims=True)
        yield "log_softmax", dz, g - p * total, abs(g) + p * spread * sizes


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


# --- elementwise and shapes ---------------------------------------------------------------------------


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


def shaping(i: int) -> Results:
    """getitem with slices, masks and repeated indices, concatenate and pad, with some 10^5 entries."""
    ways = ("rows", "slice", "mask", "pairs", "concatenate", "pad")
    case = levels(i, {"way": ways, "n": (300, 1000), "m": (128, 300)})
    n, m, rng = case["n"], case["m"], np.random.default_rng(i)
    x = numbers(i)(n, m)
    rows, columns = rng.integers(0, n // 3, 2 * n), rng.integers(0, m, 2 * n)
    mask = rng.random((n, m)) < 0.3
    pieces = (slice(None, None, -2), slice(5, m - 3, 3))
    indices = {"rows": rows, "slice": pieces, "mask": mask, "pairs": (rows, columns)}
    if case["way"] in indices:
        index = indices[case["way"]]
        g = numbers(i + 1)(*x[index].shape)
        y, dx = run(lambda x: x[index], [x], g)
        exact, magnitudes = np.zeros(x.shape), np.zeros(x.shape)
        np.add.at(exact, index, g)
        np.add.at(magnitudes, index, np.abs(g))
        yield "getitem", y, x[index].astype(float), 0 * y
        yield "getitem", dx, exact, magnitudes
    elif case["way"] == "pad":
        g = numbers(i + 1)(n + 3, m + 7)
        y, dx = run(lambda x: mg.ops.pad(x, ((1, 2), (3, 4))), [x], g)
        yield "pad", y, np.pad(x, ((1, 2), (3, 4))).astype(float), 0 * y
        yield "pad", dx, g[1:-2, 3:-4].astype(float), 0 * dx
    else:
        other, g = numbers(i + 1)(n, 2 * m), numbers(i + 2)(n, 3 * m)
        y, dx, dother = run(lambda x, z: mg.ops.concatenate([x, z], axis=1), [x, other], g)
        yield "concatenate", y, np.concatenate([x, other], axis=1).astype(float), 0 * y
        yield "concatenate", dx, g[:, :m].astype(float), 0 * dx
        yield "concatenate", dother, g[:, m:].astype(float), 0 * dother


# --- recurrent networks -------------------------------------------------------------------------------


def recurrent(i: int) -> Results:
    """Up to 128 sequences of up to 60 steps, 512 units, with lengths, with rows that indices choose; single steps."""
    case = levels(
        i, {"kind": ("lstm", "rnn", "lstm_step", "rnn_step", "gru", "gru_step"),
                      "N": (1, 8, 25, 64, 128), "T": (1, 5, 16, 60), "H": (16, 64, 128, 512),
                      "D": (8, 64, 256), "lengths": (True, False), "indices": (True, False), "threads": (1, 2)}
    )  # fmt: skip
    N, T, H, D = (case[name] for name in "NTHD")
    while N * T * H * H > 2**26:
        N, T = max(1, N // 2), max(1, T // 2)
    cell, rng, draw = case["kind"].partition("_")[0], np.random.default_rng(i), numbers(i)
    gates = {"rnn": 1, "lstm": 4, "gru": 3}[cell]
    single = case["kind"].endswith("step")
    if single:
        T, case["indices"], case["lengths"] = 1, False, False
    U = 50
    x = draw(U, D) if case["indices"] else draw(N, T, D)
    h0, Wx, Wh = draw(N, H), draw(D, gates * H) / D**0.5, draw(H, gates * H) / H**0.5
    biases = [draw(gates * H) for _ in range(1 + (cell == "gru"))]
    inputs = [x, h0, *(a.astype(np.float32) for a in (Wx, Wh, *biases))]
    lengths = rng.integers(0, T + 1, N) if case["lengths"] else None
    indices = rng.integers(0, U, (N, T)) if case["indices"] else None
    g = draw(N, T, H)
    function = getattr(mg.ops, case["kind"])

    def call(*a: Any) -> Any:
        if single:
            x, h, *rest = a
            c = [np.zeros((N, H), np.float32)] if gates == 4 else []
            result = function(x[:, 0], h, *c, *rest)
        else:
            result = function(*a, lengths=lengths, indices=indices)
        h = result[0] if gates == 4 else result
        return mg.ops.expand_dims(h, 1) if single else h

    before = mg.get_num_threads()
    mg.set_num_threads(case["threads"])
    try:
        found = run(call, inputs, g)
    finally:
        mg.set_num_threads(before)
    exact = _unrolled(cell, inputs, np.full(N, T) if lengths is None else lengths, indices, g)
    for mine, value in zip(found, exact, strict=True):
        yield case["kind"], mine, value, np.abs(value).max()


def _unrolled(cell: str, inputs: list[Array], lengths: Array, indices: Array | None, g: Array) -> list[Array]:
    """h, and the gradients of all inputs, step by step with every row."""
    if cell == "gru":
        return _unrolled_gru(inputs, lengths, indices, g)
    lstm = cell == "lstm"
    rows, h, Wx, Wh, b = wide(*inputs)
    x = rows if indices is None else rows[indices]
    (N, T, _), H = x.shape, h.shape[1]
    c, states, kept = np.zeros_like(h), [], []
    for t in range(T):
        live = (t < lengths)[:, None]
        a = x[:, t] @ Wx + h @ Wh + b
        if lstm:
            i, f, o = (1 / (1 + np.exp(-part)) for part in np.split(a[:, : 3 * H], 3, axis=1))
            n = np.tanh(a[:, 3 * H :])
            after = f * c + i * n
            kept.append((h, c, (i, f, o, n), np.tanh(after), live))
            c, h = after, o * np.tanh(after)
        else:
            kept.append((h, c, (), np.tanh(a), live))
            h = np.tanh(a)
        states.append(h * live)
    dh, dc, dx = np.zeros_like(h), np.zeros_like(h), np.zeros_like(x)
    sums = [np.zeros_like(a) for a in (Wx, Wh, b)]
    for t in reversed(range(T)):
        before, c, gates, y, live = kept[t]
        dh = (dh + g[:, t]) * live
        if lstm:
            i, f, o, n = gates
            dc = (dc + dh * o * (1 - y * y)) * live
            parts = dc * n * i * (1 - i), dc * c * f * (1 - f), dh * y * o * (1 - o), dc * i * (1 - n * n)
            da = np.concatenate(parts, axis=1)
            dc = dc * f
        else:
            da = dh * (1 - y * y)
        dx[:, t], dh = da @ Wx.T, da @ Wh.T
        for total, left in zip(sums, (x[:, t], before, np.ones((N, 1))), strict=True):
            total += (left.T @ da).reshape(total.shape)
    return [np.stack(states, 1), _of_rows(dx, rows, indices), dh, *sums]


def _of_rows(dx: Array, rows: Array, indices: Array | None) -> Array:
    """Gradients of all steps (N, T, D) as those of the rows that indices chose, if there are any."""
    if indices is None:
        return dx
    d = np.zeros_like(rows)
    np.add.at(d, indices, dx)
    return d


def _unrolled_gru(inputs: list[Array], lengths: Array, indices: Array | None, g: Array) -> list[Array]:
    """As :func:`_unrolled`, of a GRU."""
    rows, h, Wx, Wh, bx, bh = wide(*inputs)
    x = rows if indices is None else rows[indices]
    T, states, kept = x.shape[1], [], []
    for t in range(T):
        live = (t < lengths)[:, None]
        (p_r, p_z, p_n), (a_r, a_z, a_n) = (np.split(part, 3, axis=1) for part in (x[:, t] @ Wx + bx, h @ Wh + bh))
        r, z = 1 / (1 + np.exp(-p_r - a_r)), 1 / (1 + np.exp(-p_z - a_z))
        n = np.tanh(p_n + r * a_n)
        kept.append((h, r, z, n, a_n, live))
        h = (1 - z) * n + z * h
        states.append(h * live)
    dh, dx = np.zeros_like(h), np.zeros_like(x)
    sums = [np.zeros_like(a) for a in (Wx, Wh, bx, bh)]
    for t in reversed(range(T)):
        before, r, z, n, a_n, live = kept[t]
        dh = (dh + g[:, t]) * live
        dn, dz = dh * (1 - z) * (1 - n * n), dh * (before - n) * z * (1 - z)
        dr = dn * a_n * r * (1 - r)
        dp, da = np.concatenate([dr, dz, dn], axis=1), np.concatenate([dr, dz, dn * r], axis=1)
        dx[:, t], dh = dp @ Wx.T, da @ Wh.T + dh * z
        for total, part in zip(sums, (x[:, t].T @ dp, before.T @ da, dp.sum(axis=0), da.sum(axis=0)), strict=True):
            total += part
    return [np.stack(states, 1), _of_rows(dx, rows, indices), dh, *sums]


# The function, how many cases, and the bound in units of rounding: two to five times the worst that was seen.
FAMILIES: dict[str, tuple[Family, int, float]] = {
    "affine": (affine, 800, 8.0),
    "embedding": (embedding, 200, 8.0),
    "pooling": (pooling, 300, 8.0),
    "softmax": (softmax, 200, 8.0),
    "scans": (scans, 72, 8.0),
    "ordering": (ordering, 96, 8.0),
    "resizing": (resizing, 120, 8.0),
    "reductions": (reductions, 150, 128.0),  # NumPy adds 100,000 rows one after the other, and not in pairs: 62 units
    "broadcasting": (broadcasting, 140, 8.0),
    "shaping": (shaping, 100, 8.0),
    "recurrent": (recurrent, 300, 64.0),
}
