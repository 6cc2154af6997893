"""Convolutions of sequences: against PyTorch, images of one row, the matrices that they are, and each other."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from minigrad.ops import convolution
from tests.checks import Case, check_primitive, leaf, pull
from tests.ops.test_convolution import in_pieces
from tests.peers import Answer, Peer, check_pull, pulled
from tests.strategies import arrays

PYTORCH = Peer(__name__)


@st.composite
def convolutions(draw: Any, transposed: bool = False) -> Case:
    """A call that fits: any option, groups, odd lengths, empty batches, with a bias and without."""
    groups = draw(st.sampled_from([1, 1, 2, 3]))
    c, f = groups * draw(st.integers(1, 2)), groups * draw(st.integers(1, 2))
    kernel, stride, dilation = draw(st.integers(1, 4)), draw(st.sampled_from([1, 1, 2, 3])), draw(st.integers(1, 2))
    padding, extent = draw(st.integers(0, 3)), dilation * (kernel - 1) + 1
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    if transposed:
        extra = options["output_padding"] = draw(st.integers(0, max(stride, dilation) - 1))
        least = max(1, -(-(1 + 2 * padding - extent - extra) // stride) + 1)  # so that one entry is left
    else:
        least = max(1, extent - 2 * padding)
    length = least + draw(st.integers(0, 5))
    x = draw(arrays((draw(st.sampled_from([2, 1, 3, 0])), c, length)))  # what comes first is drawn most
    w = draw(arrays((c, f // groups, kernel) if transposed else (f, c // groups, kernel)))
    return Case([x, w, draw(st.none() | arrays((f,)))], options)


CASES = {"conv1d": convolutions(), "conv_transpose1d": convolutions(transposed=True)}


@pytest.mark.parametrize("name", CASES)
@given(data=st.data())
def test_gradients(name: str, data: Any) -> None:
    check_primitive(getattr(mg.ops, name), data.draw(CASES[name]))


@pytest.mark.parametrize("name", ["conv1d", "conv_transpose1d"])
def test_agrees_with_pytorch(name: str) -> None:
    """In one piece or many, of a few sequences or entries, on one thread or some."""
    pieces = st.tuples(st.sampled_from([1, 20, 200, 2**20]), st.sampled_from([1, 1000, 2**21]))
    cases = st.builds(lambda case, p: Case(case.inputs, {**case.options, "pieces": p}), CASES[name], pieces)

    def theirs(torch: Any, *tensors: Any, pieces: Any, **options: Any) -> Any:
        return getattr(torch.nn.functional, name)(*tensors, **options)

    def mine(*tensors: Any, pieces: Any, **options: Any) -> Any:
        return getattr(mg.ops, name)(*tensors, **options)

    def check(answer: Answer) -> None:
        with in_pieces(*answer.options["pieces"]):
            check_pull(mine, answer, rtol=1e-10, atol=1e-11)

    PYTORCH.ask_drawn(name, pulled(theirs), cases, check)


@pytest.mark.parametrize("name", CASES)
def test_second_derivatives_agree_with_pytorch(name: str) -> None:
    """Pulled back twice: the cotangents of x, w, b and of the first cotangent."""

    def theirs(torch: Any, x: Any, w: Any, b: Any, u: Any, v: Any, **options: Any) -> Any:
        y = getattr(torch.nn.functional, name)(x, w, b, **options)
        dx, dw = torch.autograd.grad(y, [x, w], u * torch.sin(y), create_graph=True)
        return (dx * v).sum() + (dw * dw).sum()

    def mine(x: Any, w: Any, b: Any, u: Any, v: Any, **options: Any) -> Any:
        y, pullback = mg.vjp(lambda x, w: getattr(mg.ops, name)(x, w, b, **options), x, w)
        dx, dw = pullback(u * mg.ops.sin(y))
        return (dx * v).sum() + (dw * dw).sum()

    @st.composite
    def cases(draw: Any) -> Case:
        case = draw(CASES[name])
        u = draw(arrays(getattr(mg.ops, name)(*case.inputs, **case.options).shape))
        return Case([*case.inputs, u, draw(arrays(case.inputs[0].shape))], case.options)

    def check(answer: Answer) -> None:
        with mg.create_graph():
            check_pull(mine, answer, rtol=1e-9, atol=1e-10)

    PYTORCH.ask_drawn(f"{name} twice", pulled(theirs), cases(), check)


# --- other ways to the same numbers ------------------------------------------------------------------


def test_the_defining_sum() -> None:
    rng = np.random.default_rng(0)
    x, w, b = rng.standard_normal((2, 4, 9)), rng.standard_normal((6, 2, 3)), rng.standard_normal(6)
    y = mg.ops.conv1d(x, w, b, stride=2, padding=1, dilation=3, groups=2).data
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1)))
    assert y.shape == (2, 6, 3)
    for n, f, p in np.ndindex(y.shape):
        total = b[f] + sum(w[f, c, i] * padded[n, 2 * (f // 3) + c, 2 * p + 3 * i] for c in range(2) for i in range(3))
        np.testing.assert_allclose(y[n, f, p], total, rtol=1e-12)


def test_one_channel_and_one_filter_are_numpys_correlate() -> None:
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal(20), rng.standard_normal(5)
    for mode, padding in (("valid", 0), ("same", 2), ("full", 4)):
        y = mg.ops.conv1d(x[None, None], w[None, None], padding=padding).data[0, 0]
        np.testing.assert_allclose(y, np.correlate(x, w, mode), rtol=1e-12)


@given(data=st.data())
def test_a_transposed_convolution_is_the_adjoint(data: Any) -> None:
    """<conv1d(v, w), x> = <v, conv_transpose1d(x, w)> for every v of the transposed output's shape."""
    case = data.draw(convolutions(transposed=True))
    x, w, _ = case.inputs
    sequence = mg.ops.conv_transpose1d(x, w, **case.options).data
    v = data.draw(arrays(sequence.shape))
    options = {k: o for k, o in case.options.items() if k != "output_padding"}
    forward = mg.ops.conv1d(v, w, **options).data[:, :, : x.shape[2]]
    np.testing.assert_allclose(np.vdot(forward, x), np.vdot(v, sequence), rtol=1e-10, atol=1e-10)


LAYERS = {
    "of sound": ("conv1d", (2, 1, 9000), (16, 1, 25), {"stride": 4, "padding": 11}),
    "of text": ("conv1d", (4, 40, 300), (48, 40, 3), {"padding": 1}),
    "depthwise": ("conv1d", (3, 32, 700), (32, 1, 5), {"padding": 2, "groups": 32}),
    "dilated": ("conv1d", (2, 32, 900), (32, 32, 2), {"padding": "same", "dilation": 64}),
    "transposed": ("conv_transpose1d", (3, 40, 200), (40, 24, 8), {"stride": 4, "padding": 2}),
}


@pytest.mark.parametrize("layer", LAYERS)
def test_large_layers_in_float32_are_those_in_float64(layer: str) -> None:
    """Large enough for tiles, threads and several blocks; and the same bits each time."""
    name, *shapes, options = LAYERS[layer]
    rng = np.random.default_rng(0)
    values = [rng.standard_normal(shape) for shape in shapes]

    def call(*inputs: Any) -> Any:
        return getattr(mg.ops, name)(*inputs, **options)

    def run(dtype: Any) -> Any:
        inputs = [a.astype(dtype) for a in values]
        g = np.random.default_rng(1).standard_normal(call(*inputs).shape).astype(dtype)
        outs, grads = pull(call, [leaf(a) for a in inputs], [g])
        return outs + grads

    with in_pieces(2**14, 1):
        results = run(np.float32), run(np.float32), run(np.float64)
    for mine, again, exact in zip(*results, strict=True):
        assert mine.dtype == np.float32
        np.testing.assert_array_equal(mine, again)
        np.testing.assert_allclose(mine, exact, rtol=0, atol=4e-6 * np.abs(exact).max())


def test_a_single_long_sequence_is_dealt_to_threads() -> None:
    met: list[int] = []
    x, w = np.ones((1, 16, 100_000), np.float32), np.ones((16, 16, 3), np.float32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(convolution, "run_in_parallel", lambda work: met.append(len(work)) or [piece() for piece in work])
        patch.setattr(convolution, "get_num_threads", lambda: 2)
        pull(mg.ops.conv1d, [leaf(x), leaf(w)], [np.ones((1, 16, 99_998), np.float32)])
    assert len(met) == 3
    assert min(met) > 1


@pytest.mark.parametrize("name", CASES)
def test_dtypes_promote_as_in_numpy(name: str) -> None:
    x, w = np.ones((1, 1, 2), np.float32), np.ones((1, 1, 2))
    call = getattr(mg.ops, name)
    assert call(x, w).dtype == call(x, x, np.ones(1)).dtype == np.float64
    assert call(x.astype(int), w.astype(int)).dtype == np.int64
    _, grads = pull(call, [leaf(x), leaf(w)], [np.ones(call(x, w).shape)])
    assert (grads[0].dtype, grads[1].dtype) == (np.float32, np.float64)


@pytest.mark.parametrize("name", CASES)
def test_half_precision_is_computed_in_single_and_rounded_once(name: str) -> None:
    """Values and gradients, summed over many sequences and entries."""
    rng = np.random.default_rng(0)
    half = [rng.standard_normal(shape).astype(np.float16) for shape in ((40, 6, 60), (6, 6, 5), (6,))]
    call = getattr(mg.ops, name)
    g = rng.standard_normal(call(*half).shape).astype(np.float16)
    outs, grads = pull(call, [leaf(a) for a in half], [g])
    single = [a.astype(np.float32) for a in half]
    exact_outs, exact = pull(call, [leaf(a) for a in single], [g.astype(np.float32)])
    for mine, wide in zip(outs + grads, exact_outs + exact, strict=True):
        assert mine.dtype == np.float16
        np.testing.assert_array_equal(mine, wide.astype(np.float16))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_stays_where_it_is_seen(value: float) -> None:
    x = np.ones((1, 1, 9))
    x[0, 0, 4] = value
    y = mg.ops.conv1d(x, np.ones((1, 1, 3)), padding=1).data[0, 0]
    np.testing.assert_array_equal(np.isfinite(y), [True] * 3 + [False] * 3 + [True] * 3)


# --- mistakes ------------------------------------------------------------------------------------------

X, W, WT = np.ones((2, 4, 5)), np.ones((6, 4, 3)), np.ones((4, 6, 3))

MISTAKES = {
    "x without channels": ("conv1d", [X[0], W], {}, ValueError, r"x must have 3 axes \(N, C, L\), not 2"),
    "images": ("conv1d", [X[..., None], W], {}, ValueError, r"x must have 3 axes \(N, C, L\), not 4"),
    "w of two axes": ("conv1d", [X, W[0]], {}, ValueError, r"w must have 3 axes \(F, C/groups, K\), not 2"),
    "no channels": ("conv1d", [X[:, :0], W[:, :0]], {}, ValueError, "must have at least one channel each"),
    "no filters": ("conv1d", [X, W[:0]], {}, ValueError, "at least one channel each, and w one filter"),
    "channels": ("conv1d", [X, W[:, :3]], {}, ValueError, "w has 3 input channels.*x has 4 channels.*must have 4"),
    "groups": ("conv1d", [X, W], {"groups": 3}, ValueError, "groups=3 must divide x's 4 channels"),
    "bias": ("conv1d", [X, W, np.ones(4)], {}, ValueError, r"b must have shape \(6,\).*not \(4,\)"),
    "stride 0": ("conv1d", [X, W], {"stride": 0}, ValueError, "stride must be at least 1, not 0"),
    "a pair of strides": ("conv1d", [X, W], {"stride": (1, 1)}, TypeError, r"stride must be an integer, not \(1, 1\)"),
    "padding -1": ("conv1d", [X, W], {"padding": -1}, ValueError, "padding must be at least 0, not -1"),
    "padding 0.5": ("conv1d", [X, W], {"padding": 0.5}, TypeError, "padding must be an integer, not 0.5"),
    "padding in words": ("conv1d", [X, W], {"padding": "full"}, ValueError, "'same', 'valid'.*not 'full'"),
    "dilation 0": ("conv1d", [X, W], {"dilation": 0}, ValueError, "dilation must be at least 1, not 0"),
    "large kernel": ("conv1d", [X[..., :2], W], {}, ValueError, "kernel of 3x1 is larger than the padded input of 2x1"),
    "large dilated kernel": ("conv1d", [X, W], {"dilation": 4, "padding": 1}, ValueError,
                             "kernel of 3x1, 9x1 with its dilation, is larger than the padded input of 7x1"),
    "large kernel, in words": ("conv1d", [X[..., :2], W], {"padding": "valid"}, ValueError, "kernel of 3x1 is larger"),
    "no kernel": ("conv1d", [X, W[..., :0]], {}, ValueError, "kernel must be at least 1"),
    "nothing to pad": ("conv1d", [X[..., :0], W], {"padding": "same"}, ValueError, "'same'.* at least one"),
    "transposed channels": ("conv_transpose1d", [X, W], {}, ValueError, "w has 6 input channels.*x has 4"),
    "transposed rank": ("conv_transpose1d", [X, WT[0]], {}, ValueError, r"3 axes \(C, F/groups, K\), not 2"),
    "transposed bias": ("conv_transpose1d", [X, WT, np.ones(4)], {}, ValueError, r"b must have shape \(6,\)"),
    "transposed words": ("conv_transpose1d", [X, WT], {"padding": "same"}, TypeError, "an integer, not 'same'"),
    "output padding": ("conv_transpose1d", [X, WT], {"stride": 2, "output_padding": 2}, ValueError,
                       "output_padding .2, 0. must be smaller than the larger of stride and dilation, .2, 1."),
    "output padding -1": ("conv_transpose1d", [X, WT], {"output_padding": -1}, ValueError, "output_padding must be"),
    "nothing left": ("conv_transpose1d", [X[..., :1], WT], {"padding": 2}, ValueError, "would have -1x1 pixels"),
    "no entries": ("conv_transpose1d", [X[..., :0], WT], {}, ValueError, "at least one row"),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_are_named(mistake: str) -> None:
    name, inputs, options, error, message = MISTAKES[mistake]
    with pytest.raises(error, match=message) as caught:
        getattr(mg.ops, name)(*inputs, **options)
    assert str(caught.value).startswith(f"{name}(x: float64 ")
