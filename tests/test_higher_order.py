"""Derivatives of any order: exact ones, PyTorch's, hard points, and who may ask for them."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st

import minigrad as mg
from minigrad import ops
from tests.checks import families, function_of
from tests.peers import Peer

PYTORCH = Peer(__name__)
MODULES = families()

# --- exact derivatives -------------------------------------------------------------------------------

X = sympy.Symbol("x", real=True)
S = 1 / (1 + sympy.exp(-X))
PHI = (1 + sympy.erf(X / sympy.sqrt(2))) / 2
TANH_GELU = X * (1 + sympy.tanh(sympy.sqrt(2 / sympy.pi) * (X + sympy.Rational(44715, 10**6) * X**3))) / 2
POWERS = sympy.exp(X) + sympy.exp(2 * X) + 1


def of_x(*entries):
    return lambda x: mg.stack([entry(x) for entry in entries])


LOGITS = of_x(lambda x: x, lambda x: 2 * x, lambda x: 0 * x)
MATRIX = of_x(of_x(lambda x: x, lambda x: x * x), of_x(lambda x: x + 1, lambda x: x))
CENTRE = (0, 0.3, -1.7)
EXACT = {
    "exp": (mg.exp, sympy.exp(X), CENTRE),
    "expm1": (mg.expm1, sympy.exp(X) - 1, (0, 0.3, -30)),
    "log": (mg.log, sympy.log(X), (0.3, 1, 40)),
    "log1p": (mg.log1p, sympy.log(1 + X), (0, 0.3, -0.5)),
    "sin": (mg.sin, sympy.sin(X), CENTRE),
    "cos": (mg.cos, sympy.cos(X), CENTRE),
    "tan": (mg.tan, sympy.tan(X), (0, 0.3, -1)),
    "arcsin": (mg.arcsin, sympy.asin(X), (0, 0.3, -0.7)),
    "arccos": (mg.arccos, sympy.acos(X), (0, 0.3, -0.7)),
    "arctan": (mg.arctan, sympy.atan(X), (*CENTRE, 30)),
    "arctan2": (lambda x: mg.arctan2(x, 0.5), sympy.atan(2 * X), CENTRE),
    "arctan2 turned": (lambda x: mg.arctan2(0.5, x), sympy.acot(2 * X), (0.3, 1.7)),
    "sinh": (mg.sinh, sympy.sinh(X), CENTRE),
    "cosh": (mg.cosh, sympy.cosh(X), CENTRE),
    "tanh": (mg.tanh, sympy.tanh(X), (*CENTRE, 5)),
    "sqrt": (mg.sqrt, sympy.sqrt(X), (0.3, 1, 40)),
    "reciprocal": (mg.reciprocal, 1 / X, (0.3, -1, 40)),
    "square": (mg.square, X**2, (0, 0.3)),
    "divide": (lambda x: x / (1 + x * x), X / (1 + X * X), CENTRE),
    "x^3": (lambda x: x**3, X**3, (0, 0.3, -2)),
    "x^-1.5": (lambda x: x**-1.5, X ** sympy.Rational(-3, 2), (0.3, 2)),
    "2^x": (lambda x: 2.0**x, 2**X, (0, 0.3, -2)),
    "x^x": (lambda x: x**x, X**X, (0.3, 2)),
    "x^(x-1)": (lambda x: x ** (x - 1), X ** (X - 1), (1, 2)),  # an exponent of 0 that is differentiated
    "sigmoid": (mg.sigmoid, S, (*CENTRE, 30, -800, 800)),
    "softplus": (mg.softplus, sympy.log(1 + sympy.exp(X)), (*CENTRE, 30, -800, 800)),
    "silu": (mg.silu, X * S, (*CENTRE, 30, -800, 800)),
    "gelu": (mg.gelu, X * PHI, (*CENTRE, -8, 8, 50)),
    "gelu by tanh": (lambda x: mg.gelu(x, approximate="tanh"), TANH_GELU, (*CENTRE, -3, 3)),
    "erf": (mg.erf, sympy.erf(X), (*CENTRE, 5)),
    "normal_cdf": (mg.normal_cdf, PHI, (*CENTRE, -8)),
    "elu": (lambda x: mg.elu(x, 1.5), sympy.Rational(3, 2) * (sympy.exp(X) - 1), (-0.3, -2)),
    "logaddexp": (lambda x: mg.logaddexp(x, 1.0), sympy.log(sympy.exp(X) + sympy.E), (1, 0.3, -1.7, 30)),
    "logaddexp of equals": (
        lambda x: mg.logaddexp(2 * x, x * x), sympy.log(sympy.exp(2 * X) + sympy.exp(X * X)), (2, 0, 0.3),
    ),
    "logsumexp": (lambda x: mg.logsumexp(LOGITS(x)), sympy.log(POWERS), (0, 0.3, -2, 700)),
    "softmax": (lambda x: mg.softmax(LOGITS(x))[0], sympy.exp(X) / POWERS, (0, 0.3, -2, 700)),
    "log_softmax": (lambda x: mg.log_softmax(LOGITS(x))[1], 2 * X - sympy.log(POWERS), (0, 0.3, -2, 700)),
    "norm": (lambda x: mg.norm(of_x(lambda x: x, lambda x: 0 * x + 1)(x)), sympy.sqrt(X * X + 1), CENTRE),
    "var": (lambda x: mg.var(of_x(lambda x: x, lambda x: x * x)(x)), (X - X**2) ** 2 / 4, CENTRE),
    "std": (lambda x: mg.std(of_x(lambda x: 3 * x, lambda x: x * x)(x)), (3 * X - X**2) / 2, (0.3, 1.7)),
    "prod": (
        lambda x: mg.prod(of_x(lambda x: x, lambda x: x * x, lambda x: x - 1)(x)), X**3 * (X - 1), (0, 0.3, 1, -2),
    ),
    "max": (lambda x: mg.max(of_x(lambda x: x**4, lambda x: x)(x)), X**4, (2, -1)),
    "cumsum": (lambda x: mg.cumsum(of_x(lambda x: x, lambda x: x**2)(x))[1] ** 3, (X + X**2) ** 3, CENTRE),
    "cumprod": (
        lambda x: mg.cumprod(of_x(lambda x: x, lambda x: x**2, lambda x: x - 1)(x)).sum(), X + X**3 + X**3 * (X - 1),
        (0, 0.3, 1, -2),
    ),
    "sort": (lambda x: (mg.sort(of_x(lambda x: x**3, lambda x: x)(x)) ** 2)[1], X**6, (2, 1.5)),
    "topk": (lambda x: (mg.topk(of_x(lambda x: x**3, lambda x: x)(x), 1, largest=False)[0] ** 2)[0], X**2, (2, 1.5)),
    "matmul": (lambda x: (MATRIX(x) @ of_x(lambda x: x, lambda x: x**3)(x))[0], X**2 + X**5, CENTRE),
    "einsum": (
        lambda x: mg.einsum("ii,ij->", MATRIX(x), MATRIX(x)), X * (X + X**2) + X * (2 * X + 1), (0, 0.3, -2),
    ),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", EXACT)
def test_derivatives_to_the_fifth_order_are_exact(name, full):
    """As SymPy differentiates and mpmath evaluates, with so many digits that no tail is lost.

    By default at the last point, and with --full at all of them.
    """
    function, expression, points = EXACT[name]
    derivative = function
    for order in range(1, 6):
        derivative, expression = mg.grad(derivative), sympy.diff(expression, X)
        exactly = sympy.lambdify(X, expression, "mpmath")
        for point in points if full else points[-1:]:
            with mpmath.workdps(1500):
                expected = float(exactly(mpmath.mpf(point)))
            found = derivative(np.array(float(point))).item()
            assert abs(found - expected) <= 1e-10 * abs(expected) + 1e-14 * 10**order, (order, point, found, expected)


def test_second_derivatives_keep_their_tails():
    """Relative to their own tiny size, where a difference to 1 would be all rounding."""
    for function, point, expected in [
        (mg.softplus, 40.0, np.exp(-40.0)), (mg.softplus, -40.0, np.exp(-40.0)), (mg.softplus, -800.0, 0.0),
        (mg.sigmoid, 40.0, -np.exp(-40.0)), (mg.silu, 40.0, -38 * np.exp(-40.0)),
    ]:  # fmt: skip
        found = mg.grad(mg.grad(function))(np.array(point)).item()
        np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_hard_points_have_second_derivatives():
    """Where those of the references are NaN."""
    logits, weights = np.array([1000.0, -1000.0]), np.array([1.0, 2.0])
    zero = np.zeros((2, 2))
    np.testing.assert_array_equal(mg.hessian(mg.logsumexp)(logits).numpy(), zero)
    for function, x in ((mg.softmax, np.array([1000.0, 0.0])), (mg.log_softmax, logits)):
        second = mg.hessian(lambda x, f=function: (f(x) * weights).sum())(x)
        np.testing.assert_array_equal(second.numpy(), zero)
    targets = np.array([1])
    np.testing.assert_array_equal(
        mg.hessian(lambda x: mg.cross_entropy(x, targets))(logits[None]).numpy().reshape(2, 2), zero
    )
    np.testing.assert_array_equal(mg.hessian(mg.norm)(np.zeros(2)).numpy(), zero)
    for x in ([-np.inf, -np.inf], [np.inf, 0.0]):
        assert not np.isnan(mg.grad(lambda x: (mg.grad(mg.logsumexp)(x) * weights).sum())(np.array(x)).numpy()).any()
    both = [
        mg.grad(lambda a, v=v: mg.grad(lambda a: mg.logaddexp(a, v))(a))(np.array(v)).item() for v in (np.inf, -np.inf)
    ]
    assert not np.isnan(both).any()
    assert mg.grad(mg.grad(lambda x: mg.arctan2(x, 1e200)))(np.array(1e200)).item() == 0
    bce = mg.hessian(lambda x: mg.binary_cross_entropy_with_logits(x, np.array([1.0, 0.0]), "sum"))
    np.testing.assert_array_equal(bce(np.array([-800.0, 800.0])).numpy(), zero)


INFINITE = (-np.inf, 0.0, np.inf)
HARD = {
    "power": [(0.0, 0.0), (0.0, 0.5), (0.0, 1.0), (0.0, 2.0), (0.0, -1.0), (2.0, 0.0), (2.0, 3.0)],
    "arctan2": [(0.0, 0.0), (1.0, 0.0), (0.0, -1.0), (-1e160, 1.0), (1.0, -1e160), (1e-160, 1e-160)],
    "logaddexp": [(a, b) for a in INFINITE for b in INFINITE],
    "gelu": [(-1e200,), (-40.0,), (0.0,), (1e200,)],
    "normal_cdf": [(-1e200,), (-30.0,), (0.0,), (1e200,)],
}


@pytest.mark.parametrize(("name", "points"), [(name, point) for name in HARD for point in HARD[name]])
def test_gradients_with_a_graph_are_those_without_at_hard_points(name, points):
    """Of several inputs at once, and of each alone."""
    function, number = getattr(mg, name), len(points)

    def f(*x):
        with np.errstate(divide="ignore" if name == "power" and points[1] < 0 else "warn"):
            return function(*x)

    usual = mg.grad(f, argnums=tuple(range(number)))(*map(np.array, points))
    for chosen in {tuple(range(number)), *((i,) for i in range(number))}:
        x = [mg.tensor(np.array(p), requires_grad=i in chosen) for i, p in enumerate(points)]
        f(*x).backward(create_graph=True)
        for i in chosen:
            np.testing.assert_allclose(x[i].grad.detach().numpy(), usual[i].numpy(), rtol=1e-12)


def test_second_derivatives_of_powers_of_zero():
    """Of a^b: b (b - 1) a^(b-2) in a, and a^(b-1) (1 + b log a) in both."""
    both = mg.hessian(lambda ab: mg.power(ab[0], ab[1]))
    assert both(np.array([0.0, 2.0])).numpy().tolist() == [[2, 0], [0, 0]]
    assert both(np.array([2.0, 0.0])).numpy()[0, 1] == 0.5
    assert np.isfinite(both(np.array([0.0, 0.0])).numpy()).all()
    root = mg.grad(lambda x: mg.grad(lambda x: mg.power(x, 0.5))(x))
    assert root(np.array(0.0)).item() == -np.inf


# --- every primitive ---------------------------------------------------------------------------------

THIRD = ["tanh", "divide", "power", "sigmoid", "gelu", "softmax", "log_softmax", "logsumexp", "var", "norm", "prod",
         "matmul", "einsum", "getitem", "conv1d", "conv2d", "conv_transpose1d", "cross_entropy", "rnn_step",
         "lstm_cell", "lstm_step", "rnn", "lstm", "gru_step", "gru", "temporal_softmax_loss", "mse_loss", "solve",
         "inv", "det", "slogdet", "cholesky", "qr", "eigh", "svd", "attention",
         "additive_attention", "kl_div", "ctc_loss"]  # fmt: skip


@pytest.mark.parametrize("name", THIRD)
@settings(max_examples=3)
@given(data=st.data())
def test_third_order_agrees_with_differences_of_the_second(name, data):
    case, function = data.draw(MODULES[name].CASES[name]), function_of(name)
    arrays = [np.ascontiguousarray(x).reshape(np.shape(x)) if isinstance(x, np.ndarray) else x for x in case.inputs]
    floating = [i for i, x in enumerate(arrays) if isinstance(x, np.ndarray) and x.dtype.kind == "f"]
    if not sum(arrays[i].size for i in floating) <= 30:
        return

    def total(*points):
        moved = dict(zip(floating, points, strict=True))
        out = function(*(moved.get(i, x) for i, x in enumerate(arrays)), **case.options)
        outputs = [y for y in (out if isinstance(out, tuple) else (out,)) if y.dtype.kind == "f"]
        return sum((mg.sin(y * (1 + k)).sum() for k, y in enumerate(outputs)), mg.tensor(0.0, np.float64))

    points = [arrays[i] for i in floating]
    rng = np.random.default_rng(0)
    vectors = [rng.standard_normal(x.shape) for x in points]
    with mg.create_graph():
        nothing = not mg.value_and_grad(total)(*(mg.tensor(x, requires_grad=True) for x in points))[1].requires_grad
    if nothing or not points[0].size:
        return
    assert mg.gradgradcheck(
        lambda *x: mg.hvp(total, x, vectors), points, rtol=1e-5, atol=1e-7, directions=1, entries=False
    )


def test_second_derivatives_in_half_precision_are_of_sums_in_single():
    """Of 70,000 equal numbers the exponentials' sum leaves half precision, as does the product of 300 and 300."""
    for function, x, seed, expected in (
        (mg.logsumexp, np.zeros(70_000), 60_000, 6 / 7),
        (mg.prod, np.array([300, 300, 300, 1e-3, 1e-3]), 1, [0.09, 0.09, 0.09, 2.7e4, 2.7e4]),
    ):
        leaf = mg.tensor(x.astype(np.float16), requires_grad=True)
        function(leaf).backward(np.float16(seed), create_graph=True)
        np.testing.assert_allclose(leaf.grad.numpy(), np.broadcast_to(expected, x.shape), rtol=2e-3)


def test_second_derivatives_of_one_output_of_several():
    """Where no cotangent comes to the others."""
    rng = np.random.default_rng(0)
    draw = lambda *shape: rng.standard_normal(shape)  # noqa: E731
    weights = draw(2, 12), draw(3, 12), draw(12)
    for k in range(2):
        assert mg.gradgradcheck(lambda *args, k=k: ops.lstm_cell(*args)[k], [draw(2, 12), draw(2, 3)])
        assert mg.gradgradcheck(
            lambda *args, k=k: ops.lstm_step(*args)[k], [draw(2, 2), draw(2, 3), draw(2, 3), *weights]
        )
        assert mg.gradgradcheck(lambda *args, k=k: ops.lstm(*args)[k], [draw(2, 2, 2), draw(2, 3), *weights])
        assert mg.gradgradcheck(lambda x, k=k: mg.split(x, 2)[k] ** 3, [draw(4)])


# --- PyTorch's, of losses made of each family --------------------------------------------------------

RNG = np.random.default_rng(0)
V = {n: RNG.standard_normal(n) for n in (3, 4, 6, 8, 12)}
A34, A43 = RNG.standard_normal((3, 4)), RNG.standard_normal((4, 3))
FILTERS, GATES = RNG.standard_normal((2, 1, 2, 2)), RNG.standard_normal((2 + 1, 8)) / 2
WORDS, TARGETS = np.array([[0, 2], [1, 1]]), np.array([2, 0, 1])


def minigrad_lstm(x, h, W):
    hs, cs = ops.lstm(x, h, W[:1], W[1:], np.zeros(8), h)
    return (hs * hs).sum() + mg.sin(cs).sum()


def pytorch_lstm(torch, x, h, W):
    c, total = h, 0.0
    for t in range(x.shape[1]):
        i, f, o, g = (x[:, t] @ W[:1] + h @ W[1:]).split(2, dim=1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        h = torch.sigmoid(o) * torch.tanh(c)
        total = total + (h * h).sum() + torch.sin(c).sum()
    return total


# name: a loss of a vector in minigrad, the same in PyTorch, and the vector
def linear_algebra(lib, a, eye):
    """What all of mg.linalg gives of a (3, 4), without the signs of vectors; the library is minigrad or PyTorch."""
    S = a @ a.T + eye
    w, vectors = lib.linalg.eigh(S)
    U, s, Vh = lib.linalg.svd(a, full_matrices=False)
    squares = (lib.linalg.qr(a)[1][0] ** 2 * U[0].sum() ** 2).sum() + (vectors[0] ** 2 * w + Vh[:, 0] ** 2 * s).sum()
    solved = lib.linalg.solve(S, a)[0].sum() + lib.linalg.inv(S)[0, 1] * lib.linalg.det(S)
    logs = lib.linalg.slogdet(S)[1] + lib.linalg.cholesky(S)[2].sum() + lib.linalg.svdvals(a)[1]
    return squares + solved * logs


FAMILIES = {
    "elementwise": (
        lambda x: (mg.exp(x) * mg.sin(x) / (1 + x * x) + mg.arctan2(x, x + 3.0) * mg.tanh(x[::-1])).sum(),
        lambda torch, x: (
            torch.exp(x) * torch.sin(x) / (1 + x * x) + torch.arctan2(x, x + 3.0) * torch.tanh(x.flip(0))
        ).sum(),
        V[6],
    ),
    "activations": (
        lambda x: (mg.gelu(x) * mg.silu(x[::-1]) + mg.softplus(x) * mg.sigmoid(x) + mg.elu(x) * mg.erf(x)).sum(),
        lambda torch, x: (
            torch.nn.functional.gelu(x) * torch.nn.functional.silu(x.flip(0))
            + torch.nn.functional.softplus(x) * torch.sigmoid(x)
            + torch.nn.functional.elu(x) * torch.erf(x)
        ).sum(),
        V[6],
    ),
    "reductions": (
        lambda x: mg.logsumexp(x) * mg.var(x) + mg.norm(x) * mg.prod(x) + (mg.softmax(x) * mg.cumsum(x)).sum(),
        lambda torch, x: (
            torch.logsumexp(x, 0) * x.var(correction=0)
            + torch.linalg.vector_norm(x) * x.prod()
            + (torch.softmax(x, 0) * x.cumsum(0)).sum()
        ),
        V[6],
    ),
    "normalization": (
        lambda x: (
            (mg.layer_norm(x.reshape(3, 4), A34[0]) ** 3).sum()
            + (mg.batch_norm(x.reshape(4, 3)) ** 3).sum()
            + mg.exp(mg.group_norm(x.reshape(2, 6), 2) * mg.rms_norm(x.reshape(2, 6))).sum()
        ),
        lambda torch, x: (
            (torch.nn.functional.layer_norm(x.reshape(3, 4), (4,), torch.tensor(A34[0])) ** 3).sum()
            + (torch.nn.functional.batch_norm(x.reshape(4, 3), None, None, training=True) ** 3).sum()
            + torch.exp(
                torch.nn.functional.group_norm(x.reshape(2, 6), 2)
                * torch.nn.functional.rms_norm(x.reshape(2, 6), (6,), None, 1e-6)
            ).sum()
        ),
        V[12],
    ),
    "products": (
        lambda x: mg.einsum("ij,jk,ik->", A34 * x[:4], x.reshape(4, 3), A34[:, :3]) + (mg.tanh(A43 @ x[:3]) ** 2).sum(),
        lambda torch, x: (
            torch.einsum("ij,jk,ik->", torch.tensor(A34) * x[:4], x.reshape(4, 3), torch.tensor(A34[:, :3]))
            + (torch.tanh(torch.tensor(A43) @ x[:3]) ** 2).sum()
        ),
        V[12],
    ),
    "shaping and indexing": (
        lambda x: (mg.concatenate([x.reshape(3, 4).T.reshape(12), x[::-1]])[np.array([0, 0, 5, 20])] ** 3).sum(),
        lambda torch, x: (
            torch.cat([x.reshape(3, 4).T.reshape(12), x.flip(0)])[torch.tensor([0, 0, 5, 20])] ** 3
        ).sum(),
        V[12],
    ),
    "ordering and cumulative products": (
        lambda x: (mg.cumprod(x.reshape(3, 4), 1) * mg.sort(x.reshape(3, 4), 0) ** 2).sum()
        + (mg.topk(mg.sin(x), 5)[0] * mg.topk(x, 5, largest=False)[0] ** 2).sum(),
        lambda torch, x: (torch.cumprod(x.reshape(3, 4), 1) * torch.sort(x.reshape(3, 4), 0)[0] ** 2).sum()
        + (torch.topk(torch.sin(x), 5)[0] * torch.topk(x, 5, largest=False)[0] ** 2).sum(),
        V[12],
    ),
    "padding and resizing": (
        lambda x: (mg.pad(x.reshape(1, 1, 3, 4), ((0, 0), (0, 0), (1, 2), (3, 0)), "reflect") ** 3).sum()
        + (mg.sin(mg.upsample(x.reshape(1, 3, 2, 2), 3, "bilinear")) * mg.upsample(x.reshape(1, 3, 2, 2), 3)).sum()
        + (mg.adaptive_avg_pool2d(x.reshape(1, 1, 3, 4), (2, 3)) ** 3).sum()
        + (mg.pixel_unshuffle(x.reshape(1, 3, 2, 2), 2)[0, 1:, 0, 0] ** 2 * x[:11]).sum(),
        lambda torch, x: (torch.nn.functional.pad(x.reshape(1, 1, 3, 4), (3, 0, 1, 2), "reflect") ** 3).sum()
        + (
            torch.sin(torch.nn.functional.interpolate(x.reshape(1, 3, 2, 2), scale_factor=3, mode="bilinear"))
            * torch.nn.functional.interpolate(x.reshape(1, 3, 2, 2), scale_factor=3)
        ).sum()
        + (torch.nn.functional.adaptive_avg_pool2d(x.reshape(1, 1, 3, 4), (2, 3)) ** 3).sum()
        + (torch.nn.functional.pixel_unshuffle(x.reshape(1, 3, 2, 2), 2)[0, 1:, 0, 0] ** 2 * x[:11]).sum(),
        V[12],
    ),
    "lookup": (
        lambda x: (mg.tanh(mg.embedding(WORDS, x.reshape(3, 4))) ** 2).sum(),
        lambda torch, x: (torch.tanh(torch.nn.functional.embedding(torch.tensor(WORDS), x.reshape(3, 4))) ** 2).sum(),
        V[12],
    ),
    "selection": (
        lambda x: (mg.where(x > 0, x**2, x**3) * mg.maximum(x, x[::-1]) * mg.clip(x, -1, 1)).sum(),
        lambda torch, x: (torch.where(x > 0, x**2, x**3) * torch.maximum(x, x.flip(0)) * x.clamp(-1, 1)).sum(),
        V[6],
    ),
    "convolution and pooling": (
        lambda x: (
            mg.avg_pool2d(mg.tanh(ops.conv2d(x.reshape(1, 1, 3, 4), x[:8].reshape(2, 1, 2, 2))), 2, 1) ** 2
        ).sum()
        + (mg.sin(ops.conv_transpose2d(x.reshape(1, 1, 3, 4), x[4:].reshape(1, 2, 2, 2), stride=2))).sum(),
        lambda torch, x: (
            torch.nn.functional.avg_pool2d(
                torch.tanh(torch.nn.functional.conv2d(x.reshape(1, 1, 3, 4), x[:8].reshape(2, 1, 2, 2))), 2, 1
            )
            ** 2
        ).sum()
        + torch.sin(
            torch.nn.functional.conv_transpose2d(x.reshape(1, 1, 3, 4), x[4:].reshape(1, 2, 2, 2), stride=2)
        ).sum(),
        V[12],
    ),
    "linear algebra": (
        lambda x: linear_algebra(mg, x.reshape(3, 4), np.eye(3)),
        lambda torch, x: linear_algebra(torch, x.reshape(3, 4), torch.eye(3, dtype=x.dtype)),
        V[12],
    ),
    "recurrent": (
        lambda x: minigrad_lstm(x[:4].reshape(2, 2, 1), x[4:8].reshape(2, 2), GATES * x[8]),
        lambda torch, x: pytorch_lstm(torch, x[:4].reshape(2, 2, 1), x[4:8].reshape(2, 2), torch.tensor(GATES) * x[8]),
        V[12],
    ),
    "losses": (
        lambda x: mg.cross_entropy(x[:9].reshape(3, 3) ** 2, TARGETS, label_smoothing=0.1)
        * mg.mse_loss(x[:4], mg.sin(x[4:8]))
        + mg.binary_cross_entropy_with_logits(x[:3], np.array([0.0, 1.0, 0.5])),
        lambda torch, x: (
            torch.nn.functional.cross_entropy(x[:9].reshape(3, 3) ** 2, torch.tensor(TARGETS), label_smoothing=0.1)
            * torch.nn.functional.mse_loss(x[:4], torch.sin(x[4:8]))
            + torch.nn.functional.binary_cross_entropy_with_logits(x[:3], torch.tensor([0.0, 1.0, 0.5]).double())
        ),
        V[12],
    ),
}  # fmt: skip


@pytest.mark.parametrize("family", FAMILIES)
def test_second_derivatives_agree_with_pytorch(family):
    mine, theirs, point = FAMILIES[family]
    vector = np.cos(np.arange(point.size))

    def compute(torch, x, v):
        of = torch.autograd.functional
        x, v = torch.tensor(x), torch.tensor(v)
        loss = lambda x: theirs(torch, x)  # noqa: E731
        return [of.hessian(loss, x), of.hvp(loss, x, v)[1], of.jvp(loss, x, v)[1]]

    answer = PYTORCH.ask(family, compute, [point, vector])
    x, v = answer.inputs
    hessian, product, tangent = answer.expected
    np.testing.assert_allclose(mg.hessian(mine)(x).numpy(), hessian, rtol=1e-8, atol=1e-9)
    np.testing.assert_allclose(mg.hvp(mine, [x], [v])[0].numpy(), product, rtol=1e-8, atol=1e-9)
    np.testing.assert_allclose(mg.jvp(mine, [x], [v])[1].numpy(), tangent, rtol=1e-8, atol=1e-9)
    gradient = mg.grad(mine)
    np.testing.assert_allclose(mg.jvp(gradient, [x], [v])[1].numpy(), product, rtol=1e-8, atol=1e-9)
    np.testing.assert_allclose(mg.linearize(gradient, x)[1](v).numpy(), product, rtol=1e-8, atol=1e-9)
