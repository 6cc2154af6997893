"""CTC: against the sum over all alignments, one by one, against PyTorch, and where none is possible."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minigrad as mg
from tests.checks import Case, check_primitive, leaf, pull
from tests.peers import Peer
from tests.strategies import arrays

PYTORCH = Peer(__name__)
REDUCTIONS = ["mean", "sum", "none"]


@st.composite
def problems(draw, frames=4, batch=2, classes=3, labels=2, zero_infinity=True):
    """Sequences with lengths of their own, also 0, in any of the forms in which targets may be given."""
    T, N, C = draw(st.integers(0, frames)), draw(st.integers(0, batch)), draw(st.integers(2, classes))
    S, blank = draw(st.integers(0, labels)), draw(st.integers(0, C - 1))
    rng = np.random.default_rng(draw(st.integers(0, 999)))
    given, counts = rng.integers(0, T + 1, N), rng.integers(0, S + 1, N)
    targets = rng.integers(0, C - 1, (N, S))
    targets += targets >= blank
    y = draw(arrays((T, N, C), -3.0, 0.0))
    options = {"blank": blank, "reduction": draw(st.sampled_from(REDUCTIONS)), "zero_infinity": zero_infinity}
    form = draw(st.sampled_from(["padded", "in a row", "one"]))
    if form == "in a row":
        targets = targets[np.arange(S) < counts[:, None]]
    elif form == "one" and N:
        return Case([y[:, 0], targets[0], given[0, ...], counts[0, ...]], options)
    return Case([y, targets, given, counts], options)


CASES = {"ctc_loss": problems()}


@settings(max_examples=20)
@given(data=st.data())
def test_primitive(data):
    check_primitive(mg.ops.ctc_loss, data.draw(CASES["ctc_loss"]))


# --- all alignments, one by one ------------------------------------------------------------------------


def read(path, blank):
    """The labels that a path spells."""
    return [c for c, _ in itertools.groupby(path) if c != blank]


def by_definition(y, labels, blank):
    """The loss of one sequence (T, C), and the shares of all alignments, each of which is looked at."""
    total, shares = 0.0, np.zeros(y.shape)
    for path in itertools.product(range(y.shape[1]), repeat=len(y)):
        if read(path, blank) == list(labels):
            weight = np.exp(sum(y[t, c] for t, c in enumerate(path)))
            total += weight
            shares[np.arange(len(y)), list(path)] += weight
    with np.errstate(divide="ignore"):
        return -np.log(total), shares / (total or 1)


@settings(max_examples=40)
@given(case=problems(frames=5, batch=1, labels=3))
def test_it_is_the_sum_over_all_alignments(case):
    y, targets, frames, labels = case.inputs
    if y.ndim == 2 or not y.shape[1]:
        return
    wanted, blank = targets.ravel()[: labels[0]], case.options["blank"]
    loss = lambda y: mg.ops.ctc_loss(y, targets, frames, labels, blank=blank, reduction="sum")  # noqa: E731
    (found,), (gradient,) = pull(loss, [leaf(y)], [np.ones(())])
    expected, shares = by_definition(y[: frames[0], 0], wanted, blank)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-14)
    if np.isfinite(expected):
        np.testing.assert_allclose(gradient[: frames[0], 0], -shares, rtol=1e-11, atol=1e-14)
        assert not gradient[frames[0] :].any()


# --- against PyTorch -----------------------------------------------------------------------------------


def of_scores(x, targets, frames, labels, **options):
    return mg.ops.ctc_loss(mg.ops.log_softmax(x), targets, frames, labels, **options)


def theirs(torch, x, targets, frames, labels, **options):
    return torch.nn.functional.ctc_loss(x.log_softmax(-1), targets, frames, labels, **options)


def sequences(T, N, C, S, scale=3.0, dtype=np.float64):
    rng = np.random.default_rng(T)
    x = (scale * rng.standard_normal((T, N, C))).astype(dtype)
    return x, rng.integers(1, C, (N, S)), rng.integers(2 * S + 1, T + 1, N), rng.integers(0, S + 1, N)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("scale", [0.0, 3.0, 100.0])
def test_ctc_loss_agrees_with_pytorch(reduction, scale):
    inputs = sequences(30, 5, 7, 12, scale)
    options = {"reduction": reduction}
    PYTORCH.compare(f"scores {reduction} {scale}", of_scores, theirs, inputs, options, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("form", ["in a row", "one", "last blank"])
def test_forms_of_ctc_loss_agree_with_pytorch(form):
    x, targets, frames, labels = sequences(12, 3, 5, 4)
    options = {}
    if form == "in a row":
        targets = targets[np.arange(4) < labels[:, None]]
    elif form == "one":
        x, targets, frames, labels = x[:, 0], targets[0], np.array(12), np.array(4)
    else:
        targets, options = targets - 1, {"blank": 4}
    PYTORCH.compare(form, of_scores, theirs, [x, targets, frames, labels], options, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("zero_infinity", [False, True])
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_ctc_loss_without_an_alignment_agrees_with_pytorch(reduction, zero_infinity):
    """Two equal labels need three frames, and the first sequence has two; the last but one has none, and no label."""
    x = np.random.default_rng(0).standard_normal((5, 4, 3))
    targets, frames, labels = np.array([[1, 1], [1, 2], [2, 2], [2, 1]]), np.array([2, 4, 0, 5]), np.array([2, 2, 0, 1])
    options = {"reduction": reduction, "zero_infinity": zero_infinity}

    def losses(torch, *inputs, **options):
        return torch.nn.functional.ctc_loss(*map(torch.as_tensor, inputs), **options)

    y = x - np.log(np.exp(x).sum(-1, keepdims=True))
    key = f"impossible {reduction} {zero_infinity}"
    answer = PYTORCH.ask(key, losses, [y, targets, frames, labels], options)
    found = mg.ops.ctc_loss(*answer.inputs, **options)
    np.testing.assert_allclose(found.numpy(), answer.expected, rtol=1e-12, atol=1e-14)
    if zero_infinity:
        inputs = [x, targets, frames, labels]
        PYTORCH.compare(f"scores {key}", of_scores, theirs, inputs, options, rtol=1e-10, atol=1e-14)


def with_a_graph(loss, y, g):
    """The gradient by the rule on tensors."""
    with mg.create_graph():
        (d,) = mg.vjp(loss, mg.tensor(y, requires_grad=True))[1](g)
    return d.detach().numpy()


@pytest.mark.parametrize("zero_infinity", [False, True])
@pytest.mark.parametrize("frames", [[2, 4, 0, 0], [0, 0, 0, 0]])
def test_without_an_alignment_or_frames_it_is_its_reference_and_has_a_gradient_with_a_graph(frames, zero_infinity):
    """Two equal labels need three frames. Of no frames no label is read, and one is missing."""
    y, targets = np.log(np.full((max(frames), 4, 3), 1 / 3)), np.array([[1, 1], [1, 2], [2, 2], [2, 1]])
    options = {"reduction": "none", "zero_infinity": zero_infinity}
    given = targets, np.array(frames), np.array([2, 2, 0, 1])
    loss = lambda y: mg.ops.ctc_loss(y, *given, **options)  # noqa: E731
    (out,), (d,) = pull(loss, [leaf(y)], [np.ones(4)])
    assert np.isfinite(out).tolist() == [zero_infinity, frames[1] > 0 or zero_infinity, True, zero_infinity]
    np.testing.assert_allclose(mg.ops.ctc_loss.primitive.reference(leaf(y), *given, **options).data, out, rtol=1e-12)
    np.testing.assert_allclose(with_a_graph(loss, y, np.ones(4)), d, rtol=1e-12)


@pytest.mark.parametrize("zero_infinity", [False, True])
@pytest.mark.parametrize("frames", [slice(1, 2), slice(None)])
def test_frames_in_which_nothing_is_possible_leave_no_alignment(frames, zero_infinity):
    y = np.log(np.full((4, 2, 3), 1 / 3))
    y[frames, 0] = -np.inf
    options = {"reduction": "none", "zero_infinity": zero_infinity}
    loss = lambda y: mg.ops.ctc_loss(y, [[1, 2], [1, 2]], [4, 4], [2, 2], **options)  # noqa: E731
    (out,), (d,) = pull(loss, [leaf(y)], [np.ones(2)])
    assert out[0] == (0 if zero_infinity else np.inf)
    assert (d[:, 0] == 0).all() if zero_infinity else np.isnan(d[:, 0]).all()
    np.testing.assert_allclose(d[:, 1].sum(axis=1), -1, rtol=1e-12)
    np.testing.assert_allclose(with_a_graph(loss, y, np.ones(2)), d, rtol=1e-12)


# --- hard points ---------------------------------------------------------------------------------------


def test_long_sequences_do_not_underflow():
    """The probability of 2,000 frames is near e^-4600; each alignment of nothing but blanks has the same."""
    y = np.full((2000, 1, 10), np.log(0.1))
    (out,), (d,) = pull(lambda y: mg.ops.ctc_loss(y, np.zeros((1, 0), int), [2000], [0]), [leaf(y)], [np.ones(())])
    np.testing.assert_allclose(out, 2000 * np.log(10), rtol=1e-12)
    np.testing.assert_allclose(d[:, 0, 0], -1, rtol=1e-12)
    assert not d[:, :, 1:].any()


def test_probabilities_of_0_are_left_out():
    """Of 1 in three frames the alignments with a blank in front are impossible: 111, 110, 100 are left of six."""
    with np.errstate(divide="ignore"):
        y = np.log(np.array([[0, 1.0], [0.5, 0.5], [0.5, 0.5]]))
    (out,), (d,) = pull(lambda y: mg.ops.ctc_loss(y, [1], 3, 1), [leaf(y)], [np.ones(())])
    np.testing.assert_allclose(out, -np.log(0.75), rtol=1e-12)
    np.testing.assert_allclose(d, -np.array([[0, 3], [1, 2], [2, 1]]) / 3, rtol=1e-12)
    again = with_a_graph(lambda y: mg.ops.ctc_loss(y, [1], 3, 1), y, np.ones(()))
    np.testing.assert_allclose(again, d, rtol=1e-12)


def test_nan_stays_with_its_sequence_and_what_does_not_count_is_not_looked_at():
    y = np.log(np.full((4, 2, 3), 1 / 3))
    y[1, 0, 1] = y[3:, 1] = np.nan
    loss = lambda y: mg.ops.ctc_loss(y, [[1, 2], [1, 99]], [4, 3], [2, 1], reduction="none")  # noqa: E731
    (out,), (d,) = pull(loss, [leaf(y)], [np.ones(2)])
    np.testing.assert_allclose(out, [np.nan, np.log(27 / 6)], rtol=1e-12)
    assert not d[3:, 1].any()


# --- what is refused -----------------------------------------------------------------------------------

Y = np.zeros((4, 2, 3))


@pytest.mark.parametrize(
    ("inputs", "options", "kind", "message"),
    [
        ((Y[0, 0], [1], [1], [1]), {}, ValueError, r"\(T, N, C\), or \(T, C\) for a single sequence, not \(3,\)"),
        ((Y, [[1], [1]], [4], [1, 1]), {}, ValueError, r"input_lengths must be \(2,\), one for each"),
        ((Y.swapaxes(0, 1), [[1], [1]], [4, 4], [1, 1]), {}, ValueError, r"the frames .* FIRST.*swapaxes\(log_prob"),
        ((Y, [[1], [1]], [4, 5], [1, 1]), {}, ValueError, r"input_lengths\[1\] is 5: it must lie in 0 … 4, the n"),
        ((Y, [[1], [1]], [4, 4], [1, 2]), {}, ValueError, r"target_lengths\[1\] is 2: it must lie in 0 … 1, the n"),
        ((Y, [[1], [1]], [4, -1], [1, 1]), {}, ValueError, r"input_lengths\[1\] is -1"),
        ((Y, [[1], [1]], [4.0, 4.0], [1, 1]), {}, TypeError, "input_lengths must be integers, not float32"),
        ((Y, [[1], [1]], [4, 4], 1), {}, ValueError, r"target_lengths must be \(2,\)"),
        ((Y, [[1], [1], [1]], [4, 4], [1, 1]), {}, ValueError, r"targets must be \(2, S\), or .* \(2,\), not \(3, 1\)"),
        ((Y, [1, 2, 1], [4, 4], [1, 1]), {}, ValueError, r"targets must be \(2, S\), or .*, \(2,\), not \(3,\)"),
        ((Y[:, 0], [[1], [1]], 4, 1), {}, ValueError, r"targets must be \(S,\), not \(2, 1\)"),
        ((Y, [[1], [3]], [4, 4], [1, 1]), {}, IndexError, r"targets\[1, 0\] is 3: it must lie in 0 … 2"),
        ((Y, [1, 3], [4, 4], [1, 1]), {}, IndexError, r"targets\[1\] is 3"),
        ((Y, [[1], [0]], [4, 4], [1, 1]), {}, ValueError, r"targets\[1, 0\] is 0: the blank, which stands for"),
        ((Y, [[1.0], [1.0]], [4, 4], [1, 1]), {}, TypeError, "targets must be integers, not float32"),
        ((Y, [[1], [1]], [4, 4], [1, 1]), {"blank": 3}, ValueError, "one of the 3 classes, 0 … 2, not 3"),
        ((Y, [[1], [1]], [4, 4], [1, 1]), {"blank": 0.0}, TypeError, r"blank must be an integer, not 0\.0"),
        ((Y, [[1], [1]], [4, 4], [1, 1]), {"reduction": "avg"}, ValueError, "'mean', 'sum' or 'none', not 'avg'"),
        ((Y, [[1], [1]], [4, 4], [1, 1]), {"zero_infinity": 1}, TypeError, "must be True or False, not 1"),
    ],
)  # fmt: skip
def test_ctc_loss_refuses(inputs, options, kind, message):
    with pytest.raises(kind, match=message):
        mg.ops.ctc_loss(*inputs, **options)
