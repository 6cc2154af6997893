"""Shaping primitives: values against NumPy, gradients by check_primitive, and every refusal."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minigrad as mg
from tests.checks import Case, check_primitive, leaf, pull
from tests.peers import Peer
from tests.strategies import arrays, shapes

PYTORCH = Peer(__name__)


@st.composite
def cases(draw, options, min_dims=0):
    """An array, and the options that a function draws for its shape."""
    x = draw(arrays(shapes(min_dims=min_dims, max_side=3)))
    return Case([x], options(draw, x.shape))


def one_axis(draw, ndim):
    return draw(st.integers(-ndim, ndim - 1))


def some_axes(draw, ndim, none=True):
    """None, an axis, or a tuple of different axes."""
    several = st.permutations(range(ndim)).flatmap(lambda p: st.integers(0, ndim).map(lambda n: tuple(p[:n])))
    choices = [several] + ([st.none()] if none else []) + ([st.integers(-ndim, ndim - 1)] if ndim else [])
    return draw(st.one_of(choices))


def reshape_options(draw, shape):
    size = int(np.prod(shape))
    targets = [(size,), (1, size, 1), (-1,), size, -1, shape] + ([(2, -1)] if size and size % 2 == 0 else [])
    return {"shape": draw(st.sampled_from(targets))}


def transpose_options(draw, shape):
    axes = draw(st.none() | st.permutations(range(len(shape))))
    return {"axes": None if axes is None else [a - len(shape) * draw(st.booleans()) for a in axes]}


def squeeze_options(draw, shape):
    ones = [i for i, n in enumerate(shape) if n == 1]
    return {"axis": draw(st.sampled_from([None, tuple(ones), *ones]))}


def moveaxis_options(draw, shape):
    count = draw(st.integers(0, len(shape)))
    source, destination = (draw(st.permutations(range(len(shape))))[:count] for _ in range(2))
    return {"source": source, "destination": destination}


def roll_options(draw, shape):
    axis = draw(st.none() | st.integers(-len(shape), len(shape) - 1)) if shape else None
    if shape and draw(st.booleans()):
        return {"shift": (draw(st.integers(-4, 4)), 1), "axis": (0, -1)}
    return {"shift": draw(st.integers(-4, 4)), "axis": axis}


def repeat_options(draw, shape):
    axis = draw(st.none() | st.integers(-len(shape), len(shape) - 1)) if shape else None
    slices = int(np.prod(shape)) if axis is None else shape[axis]
    many = st.lists(st.integers(0, 3), min_size=slices, max_size=slices)
    return {"repeats": draw(st.integers(0, 3) | many), "axis": axis}


def split_options(draw, shape):
    axis = one_axis(draw, len(shape))
    n = shape[axis]
    cuts = sorted(draw(st.lists(st.integers(0, n), max_size=3)))
    return {"sections": draw(st.sampled_from([1, cuts] + ([n] if n else []))), "axis": axis}


@st.composite
def broadcast_cases(draw):
    x = draw(arrays(shapes(max_side=3)))
    lead = tuple(draw(st.lists(st.integers(0, 2), max_size=2)))
    return Case([x], {"shape": lead + tuple(draw(st.integers(0, 3)) if n == 1 else n for n in x.shape)})


@st.composite
def joined(draw, same):
    shape = list(draw(shapes(min_dims=0 if same else 1, max_dims=3, max_side=3)))
    ndim = len(shape) + (1 if same else 0)
    axis = draw(st.integers(-ndim, ndim - 1))
    inputs = []
    for _ in range(draw(st.integers(1, 4))):
        if not same:
            shape[axis] = draw(st.integers(0, 3))
        inputs.append(draw(arrays(tuple(shape))))
    return Case(inputs, {"axis": axis})


MODES = ["edge", "reflect", "symmetric", "wrap"]


@st.composite
def pads(draw, modes=("constant", *MODES), widest=2):
    """Any widths of up to ``widest``; more than that of a vector."""
    mode = draw(st.sampled_from(modes))
    x = draw(arrays(shapes(max_side=3, min_side=0 if mode == "constant" else 1)))
    width = st.integers(0, 5 * widest if x.ndim == 1 else widest)
    each = [(draw(width), draw(width)) for _ in x.shape]
    options = {"pad_width": draw(st.sampled_from([1, (0, 2), [(2, 1)]] + ([each] if x.ndim else []))), "mode": mode}
    if mode == "constant":
        options["constant_values"] = draw(st.sampled_from([0, 1.5]))
    return Case([x], options)


CASES = {
    "broadcast_to": broadcast_cases(),
    "concatenate": joined(False),
    "expand_dims": cases(lambda draw, s: {"axis": draw(st.sampled_from([0, -1, len(s), (0, -1)]))}),
    "flip": cases(lambda draw, s: {"axis": some_axes(draw, len(s))}),
    "moveaxis": cases(moveaxis_options),
    "ravel": cases(lambda draw, s: {}),
    "repeat": cases(repeat_options),
    "reshape": cases(reshape_options),
    "roll": cases(roll_options),
    "split": cases(split_options, min_dims=1),
    "squeeze": cases(squeeze_options),
    "stack": joined(True),
    "swapaxes": cases(lambda d, s: {"axis1": one_axis(d, len(s)), "axis2": one_axis(d, len(s))}, min_dims=1),
    "tile": cases(lambda draw, s: {"reps": draw(st.sampled_from([0, 1, 2, (), (2, 1), (1, 3, 0, 2), (2, 1, 2)]))}),
    "transpose": cases(transpose_options),
    "pad": pads(),
}


SEQUENCES = {"concatenate", "stack"}  # their inputs come as one list


def spread(function):
    """A function of a list as one of its entries, with its record."""

    def call(*inputs, **options):
        return function(inputs, **options)

    call.primitive = function.primitive
    return call


FUNCTIONS = {name: spread(getattr(mg.ops, name)) if name in SEQUENCES else getattr(mg.ops, name) for name in CASES}


@pytest.mark.parametrize("name", CASES)
@settings(max_examples=12)
@given(data=st.data())
def test_primitive(name, data):
    check_primitive(FUNCTIONS[name], data.draw(CASES[name]))


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("each", [False, True])
def test_repeat_along_every_axis(axis, each):
    x = np.random.default_rng(0).standard_normal((2, 3, 4))
    repeats = [2, 0, 1, 3][: x.shape[axis]] if each else 2
    check_primitive(mg.ops.repeat, Case([x], {"repeats": repeats, "axis": axis}))


@pytest.mark.parametrize("name", CASES)
@given(data=st.data())
def test_values_are_numpys(name, data):
    case = data.draw(CASES[name])
    inputs = [case.inputs] if name in SEQUENCES else case.inputs
    got = getattr(mg.ops, name)(*inputs, **case.options)
    options = dict(case.options)
    if name == "split":
        options["indices_or_sections"] = options.pop("sections")
    expected = getattr(np, name)(*inputs, **options)
    if name != "split":
        got, expected = (got,), (expected,)
    assert len(got) == len(expected)
    for mine, theirs in zip(got, expected, strict=True):
        assert mine.shape == theirs.shape
        np.testing.assert_array_equal(mine.data, theirs)


def test_concatenate_promotes_and_each_gradient_keeps_its_dtype():
    a, b, c = leaf(np.ones(2, np.float32)), leaf(np.ones(1)), np.ones(1, int)
    outs, grads = pull(lambda *x: mg.ops.concatenate(x), [a, b, c], [np.arange(4.0)])
    assert outs[0].dtype == np.float64
    np.testing.assert_array_equal(grads[0], np.array([0, 1], np.float32))
    assert (grads[0].dtype, grads[1].dtype, grads[2]) == (np.float32, np.float64, None)


def test_unused_pieces_of_a_split_have_gradient_zero():
    x = mg.tensor(np.arange(6.0), requires_grad=True)
    first, _, last = mg.ops.split(x, [1, 4])
    (first.sum() + 3 * last.sum()).backward()
    np.testing.assert_array_equal(x.grad, [1, 0, 0, 0, 3, 3])


def test_the_jacobian_of_a_cyclic_transpose_is_its_permutation():
    """A permutation that is not its own inverse."""
    x = np.arange(24.0).reshape(2, 3, 4)
    jacobian = mg.jacobian(lambda x: mg.ops.transpose(x, (1, 2, 0)))(x).numpy().reshape(24, 24)
    np.testing.assert_array_equal(jacobian @ x.ravel(), x.transpose(1, 2, 0).ravel())


def test_gradients_are_not_shared():
    """The pieces of a cotangent are views: what reaches the leaves must be their own."""
    x, y, g = mg.tensor([1.0, 2.0], requires_grad=True), mg.tensor([3.0], requires_grad=True), np.ones(3, "f4")
    mg.ops.ravel(mg.ops.concatenate([x, y])).backward(g)
    x.grad *= 5
    np.testing.assert_array_equal([y.grad[0], *g], 1)


def test_shaping_agrees_with_pytorch():
    x, shape = np.random.default_rng(0).standard_normal((2, 3, 4)), (4, 2, 3)
    pairs = [
        (lambda t: mg.ops.transpose(t, (2, 0, 1)), lambda torch, t: t.permute(2, 0, 1)),
        (lambda t: mg.ops.moveaxis(t, -1, 0), lambda torch, t: torch.movedim(t, -1, 0)),
        (
            lambda t: mg.ops.reshape(mg.ops.roll(t, (1, 2), (0, 2)), shape),
            lambda torch, t: t.roll((1, 2), (0, 2)).reshape(shape),
        ),
        (
            lambda t: mg.ops.stack(mg.ops.split(mg.ops.moveaxis(t, 2, 0), 4)).reshape(shape),
            lambda torch, t: t.movedim(2, 0),
        ),
    ]
    for key, (mine, theirs) in zip(("transpose", "moveaxis", "roll", "stack and split"), pairs, strict=True):
        PYTORCH.compare(key, mine, theirs, [x], rtol=0)


x23 = np.ones((2, 3))


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda: mg.ops.reshape(x23, (4, 2)), ValueError, r"reshape\(x: float64 \(2, 3\)\): cannot reshape"),
        (lambda: mg.ops.squeeze(x23, 0), ValueError, r"squeeze\(.*size not equal to one"),
        (lambda: mg.ops.expand_dims(x23, 5), ValueError, "expand_dims.*out of bounds"),
        (lambda: mg.ops.transpose(x23, (0, 0)), ValueError, "transpose.*repeated axis"),
        (lambda: mg.ops.transpose(x23, (0,)), ValueError, "transpose.*axes don't match"),
        (lambda: mg.ops.swapaxes(x23, 0, 2), ValueError, "swapaxes.*out of bounds"),
        (lambda: mg.ops.moveaxis(x23, 0, 2), ValueError, "moveaxis.*out of bounds"),
        (lambda: mg.ops.flip(x23, 2), ValueError, "flip.*out of bounds"),
        (lambda: mg.ops.roll(x23, 1, 2), ValueError, "roll.*out of bounds"),
        (lambda: mg.ops.broadcast_to(x23, (2, 4)), ValueError, r"broadcast_to\(x: float64 \(2, 3\)"),
        (lambda: mg.ops.repeat(x23, -1), ValueError, "repeat.*negative"),
        (lambda: mg.ops.repeat(x23, [1, 2, 3], 0), ValueError, "repeat"),
        (lambda: mg.ops.repeat(x23, 1, 2), ValueError, "repeat.*out of bounds"),
        (lambda: mg.ops.tile(x23, (1, -1)), ValueError, r"tile.*must not be negative: \(1, -1\)"),
        (lambda: mg.ops.concatenate([]), ValueError, "concatenate.*at least one"),
        (lambda: mg.ops.concatenate([x23, np.ones((2, 2))]), ValueError, r"concatenate.*\[1\]: float64 \(2, 2\)\)"),
        (lambda: mg.ops.concatenate([x23], 2), ValueError, "concatenate.*out of bounds"),
        (lambda: mg.ops.stack([]), ValueError, "stack.*at least one"),
        (lambda: mg.ops.stack([x23, x23[0]]), ValueError, "stack.*same shape"),
        (lambda: mg.ops.split(x23, 2, 1), ValueError, "split.*equal division"),
        (lambda: mg.ops.split(x23, 0), ValueError, "cannot split into 0 pieces"),
        (lambda: mg.ops.split(x23, [2, 1]), ValueError, r"the positions \[2, 1\] must ascend"),
        (lambda: mg.ops.split(x23, 1, 2), ValueError, "split.*out of bounds"),
    ],
)  # fmt: skip
def test_refusals(call, kind, message):
    with pytest.raises(kind, match=message):
        call()


# --- padding ---------------------------------------------------------------------------------------------


@given(pads(widest=9))
def test_pad_is_numpys(case):
    (x,), options = case.inputs, case.options
    got, expected = mg.ops.pad(x, **options).data, np.pad(x, **options)
    np.testing.assert_array_equal(got, expected)
    np.testing.assert_array_equal(np.pad(mg.tensor(x), **options).data, expected)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("n", [1, 2, 3, 7])
def test_far_beyond_the_edge(mode, n):
    x = np.arange(1.0, n + 1)
    for widths in [(0, 50), (50, 0), (29, 31)]:
        np.testing.assert_array_equal(mg.ops.pad(x, widths, mode).data, np.pad(x, widths, mode))
        g = np.random.default_rng(0).standard_normal(n + sum(widths))
        expected = np.bincount(np.pad(np.arange(n), widths, mode), g, n)
        np.testing.assert_allclose(pull(lambda x: mg.ops.pad(x, widths, mode), [leaf(x)], [g])[1][0], expected)  # noqa: B023


@pytest.mark.parametrize("mode", ["reflect", "edge", "wrap"])
def test_pad_agrees_with_pytorch(mode):
    x, named = np.random.default_rng(0).standard_normal((2, 3, 5, 4)), {"edge": "replicate", "wrap": "circular"}

    def theirs(torch, x):
        return torch.nn.functional.pad(x, (3, 2, 1, 4), named.get(mode, mode))

    PYTORCH.compare(mode, lambda x: mg.ops.pad(x, ((0, 0), (0, 0), (1, 4), (3, 2)), mode), theirs, [x], rtol=1e-14)


def test_what_is_not_finite_stays_where_it_is():
    x = np.array([np.inf, 1.0, np.nan, 2.0])
    for mode in MODES:
        np.testing.assert_array_equal(mg.ops.pad(x, 2, mode).data, np.pad(x, 2, mode))
    g = np.array([np.nan, 1.0, 1.0, 1.0, np.inf, 1.0])
    np.testing.assert_array_equal(
        pull(lambda x: mg.ops.pad(x, 1, "edge"), [leaf(np.ones(4))], [g])[1][0], [np.nan, 1, 1, np.inf]
    )


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda: mg.ops.pad(x23, -1), ValueError, "pad_width must not be negative: -1"),
        (lambda: mg.ops.pad(x23, ((1, 1),) * 3), ValueError, r"pad\(.*or a pair for each of 2 axes"),
        (lambda: mg.ops.pad(x23, 0.5), TypeError, "pad_width must be of integers, not 0.5"),
        (lambda: mg.ops.pad(np.ones((2, 0)), 1, "wrap"), ValueError, r"pad\(.*empty axis 1"),
        (lambda: mg.ops.pad(x23, 1, mode="mean"), ValueError, "mode 'mean' is none of 'constant', 'edge', 'wrap'"),
        (lambda: mg.ops.pad(x23, 1, "edge", 2.0), ValueError, "constant_values are for the mode 'constant', not"),
    ],
)  # fmt: skip
def test_refusals_of_pad(call, kind, message):
    with pytest.raises(kind, match=message):
        call()


@pytest.mark.parametrize(
    "call",
    [
        mg.flip,
        lambda x, o: mg.roll(x, o, (0, 1)),
        lambda x, o: mg.roll(x, (1, 2), o),
        lambda x, o: mg.moveaxis(x, o, [1, 0]),
    ],
)
def test_a_list_of_axes_may_change_before_the_backward_pass(call):
    weights, grads = np.arange(9.0).reshape(3, 3), []
    for later in ([0, 1], [1, 0]):
        axes, x = [0, 1], mg.tensor(np.zeros((3, 3)), requires_grad=True)
        y = (call(x, axes) * weights).sum()
        axes[:] = later
        y.backward()
        grads.append(x.grad)
    np.testing.assert_array_equal(*grads)


@pytest.mark.parametrize("value", [-1, 256, np.nan, [1, 2], None, "a"])
def test_pad_refuses_constants_that_do_not_fit(value):
    with pytest.raises(ValueError, match="pad"):
        mg.pad(np.ones(2, np.uint8), 1, constant_values=value)
