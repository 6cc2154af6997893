"""Connectionist temporal classification (CTC): the loss of labels whose positions in a longer sequence are unknown.

A. Graves, S. Fernández, F. Gomez and J. Schmidhuber, Connectionist temporal classification (2006).

Shapes are PyTorch's, frames first: T frames, N sequences, C classes; S labels at most. An alignment gives each frame a
class. Read without repeats, and then without blanks, it must spell the S labels. So it is a path through L = 2S + 1
*states*, blank, label 1, blank, label 2, …, blank. It begins in one of the first two and ends in one of the last two.
At each frame it stays, advances by one, or advances by two, over a blank between labels that differ:

    a_t(s) = log(e^a_(t-1)(s) + e^a_(t-1)(s-1) + e^a_(t-1)(s-2)) + y_t(s)         all paths to s at frame t
    b_t(s) = log(e^(b + y)_(t+1)(s) + e^(b + y)_(t+1)(s+1) + e^(b + y)_(t+1)(s+2))     all paths from there to the end

y_t(s) is the log-probability at frame t of the class of state s. All sequences are computed at once, each with its own
lengths. Products of hundreds of probabilities underflow, so all computations use logarithms.

Labels (N, S) give states (L, N), and log-probabilities (T, N, C) give emissions y (T, L, N): neighbours in s are then
contiguous slices.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..core import plain
from ..primitives import ForwardResult, primitive
from ..spec import Array
from .kernels.numerics import as_float, check_indices, refuse_entries, single
from .kernels.windows import integer
from .linear import apply_linear
from .losses import reduction_scale
from .reductions import logsumexp

_IMPOSSIBLE = -1e30  # the logarithm of 0: sums of thousands of them are finite, and no difference is NaN


@primitive(residuals=("log_probabilities", "derived", "constant"))
def ctc_loss(
    log_probabilities: Array,
    targets: Array,
    input_lengths: Array,
    target_lengths: Array,
    *,
    blank: int = 0,
    reduction: str = "mean",
    zero_infinity: bool = False,
) -> ForwardResult:
    """Return minus the log-probability that frames, read without repeats and then without blanks, spell the target.

    The probability is the sum over all alignments of labels with frames. The FRAMES are along the first axis, as in
    PyTorch, and the classes along the last: (T, N, C). Apply ``log_softmax`` to scores first. The gradient with respect
    to the log-probabilities is minus the share of all alignments that have the class at the frame; with respect to the
    scores before log_softmax, it is softmax minus that share. (PyTorch's gradient with respect to the log-probabilities
    already includes the softmax; with respect to the scores, both are equal.) The computation uses double precision.

    Args:
        log_probabilities: (T, N, C), or (T, C) for a single sequence.
        targets: (N, S), integers in 0 … C-1 and not blank, of which those within target_lengths count; or concatenated,
            (sum of target_lengths,). For a single sequence, (S,).
        input_lengths: the number of frames of each sequence, integers in 0 … T: (N,), or a single number for one
            sequence.
        target_lengths: the number of labels of each sequence, integers: (N,), or a single number for one sequence.
        blank: the class that stands for no label.
        reduction: "mean" over the sequences of each one's loss divided by its number of labels (by 1 if it has none),
            "sum", or "none" for one loss per sequence.
        zero_infinity: true if the loss of a target that cannot be aligned, such as one longer than its input, is 0,
            with gradient 0. Otherwise it is infinite, and the gradient of its frames NaN.

    Returns:
        a single number, or (N,) for "none"; of the log-probabilities' dtype. The mean of no sequences is 0.

    Raises:
        ValueError: if the shapes do not fit, a target is blank, or a length or an option is out of its range.
        IndexError: if a target is not a class; names it and its position.
        TypeError: if targets or lengths are not integers, or zero_infinity is not true or false.

    Source: A. Graves et al., Connectionist temporal classification (2006).

    >>> import numpy as np
    >>> even = np.log(np.full((3, 1, 2), 0.5))  # blank or 1, three times
    >>> round(ctc_loss(even, [[1]], [3], [1]).item(), 4)  # six of eight spell 1: all but 000 and 101
    0.2877
    """
    problem = _problem(log_probabilities, targets, input_lengths, target_lengths, blank, reduction, zero_infinity)
    reached = _forward(problem.emissions(log_probabilities), problem.skips)
    likelihood = problem.likelihood(reached)
    losses = np.asarray(problem.reduced(np.where(_impossible(likelihood), problem.lost, -likelihood)))
    return losses.astype(as_float(log_probabilities).dtype.newbyteorder("="), copy=False), (
        log_probabilities,
        reached,
        problem,
    )


class _Problem(NamedTuple):
    """The checked arguments. A single sequence gets an axis N, which is removed from the result.

    Attributes:
        shape: that of the log-probabilities, (T, N, C) or (T, C). states: (L, N), the class of each. frames, labels:
            (N,).
        each: (N,), the weight of each loss. reduction: as given. lost: the loss without an alignment, 0 or inf.
    """

    shape: tuple[int, ...]
    states: Array
    frames: Array
    labels: Array
    each: Array
    reduction: str
    lost: float

    @property
    def inside(self) -> Array:
        """Return (T, N), true at the frames of each sequence."""
        return np.asarray(np.arange(self.shape[0])[:, None] < self.frames)

    @property
    def skips(self) -> Array:
        """Return (L, N), 0 for states that may follow the one two before them, and impossible elsewhere.

        The state between must be a blank, and the labels must differ; all blanks are the same.
        """
        skips = np.full(self.states.shape, _IMPOSSIBLE)
        skips[2:][self.states[2:] != self.states[:-2]] = 0
        return skips

    @property
    def ends(self) -> Array:
        """Return (L, N), 0 in the last two states of each sequence (or its only state), impossible elsewhere."""
        distance = 2 * self.labels - np.arange(len(self.states))[:, None]
        return np.where((distance == 0) | (distance == 1), 0, _IMPOSSIBLE)

    @property
    def without_frames(self) -> Array:
        """Return the log-likelihood of each sequence (N,) if it has no frames."""
        return np.where(self.labels == 0, 0.0, _IMPOSSIBLE)

    def emissions(self, x: Any) -> Any:
        """Return y (T, L, N) of log-probabilities, an array or a tensor; impossible after the last frame.

        It uses double precision, because sums over frames are long: in single, a loss of 300 has an error of 3e-5.
        """
        x = x.reshape(self.shape[0], len(self.each), self.shape[-1])
        y = apply_linear(
            x, lambda x: x[:, np.arange(len(self.each)), self.states], lambda u: self.scattered(u, u.dtype)
        )
        return np.where(self.inside[:, None], np.maximum(y.astype(np.float64), _IMPOSSIBLE), _IMPOSSIBLE)

    def scattered(self, x: Array, dtype: Any) -> Array:
        """Sum values of states (T, L, N) for each class, (T, N, C)."""
        sums = np.zeros((len(x), len(self.each), self.shape[-1]), dtype)
        for n, states in enumerate(self.states.T):  # one by one, so that no temporary array is as large as the result
            order = np.argsort(states, kind="stable")
            classes, first = np.unique(states[order], return_index=True)
            sums[:, n, classes] = np.add.reduceat(x[:, order, n], first, axis=1)
        return sums

    def likelihood(self, reached: Array) -> Array:
        """Return the logarithm of the sum over all alignments (N,), from the result of :func:`_forward`."""
        if not len(reached):
            return self.without_frames
        n = np.arange(len(self.frames))
        with np.errstate(invalid="ignore"):  # NaN is not invalid here
            found = np.logaddexp(*(reached[self.frames - 1, 2 * self.labels + k, n] for k in (2, 1)))
        return np.where(self.frames == 0, self.without_frames, found)

    def reduced(self, losses: Any) -> Any:
        """Reduce the losses (N,), an array or a tensor."""
        losses = losses * self.each
        return losses.reshape(self.shape[1:-1]) if self.reduction == "none" else np.sum(losses)

    def undefined(self, likelihood: Array) -> Array:
        """Return the frames (T, N) of sequences without an alignment, whose loss is inf and whose gradient is NaN."""
        return self.inside & _impossible(likelihood) & (self.lost != 0)


def _impossible(likelihood: Array) -> Array:
    """Return which sequences have no alignment."""
    return np.asarray(likelihood < _IMPOSSIBLE / 2)


def _problem(
    y: Array, targets: Array, frames: Array, labels: Array, blank: Any, reduction: str, zero_infinity: Any
) -> _Problem:
    """Raise unless all arguments fit."""
    if y.ndim not in (2, 3):
        raise ValueError(f"log_probabilities must be (T, N, C), or (T, C) for a single sequence, not {y.shape}")
    if not isinstance(zero_infinity, (bool, np.bool_)):
        raise TypeError(f"zero_infinity must be True or False, not {zero_infinity!r}")
    T, C = y.shape[0], y.shape[-1]
    if integer("blank", blank, least=0) >= C:
        raise ValueError(f"blank must be one of the {C} classes, 0 … {C - 1}, not {blank}")
    if y.ndim == 3 and y.shape[0] != y.shape[1] and frames.shape == y.shape[:1]:
        raise ValueError(
            f"log_probabilities must be (T, N, C), but are {y.shape} with input_lengths {frames.shape}: the frames are "
            "along the FIRST axis here. Pass swapaxes(log_probabilities, 0, 1)."
        )
    frames = _lengths("input_lengths", frames, y.shape[1:-1], T, "frames")
    N = len(frames)
    one_each = targets.reshape(1, -1) if y.ndim == 2 and targets.ndim == 1 else targets
    most = one_each.shape[1] if one_each.ndim == 2 else targets.size
    labels = _lengths("target_lengths", labels, y.shape[1:-1], most, "labels")
    if one_each.ndim == 1 and targets.size == labels.sum():  # all in a row
        most = labels.max(initial=0)
        one_each = np.zeros((N, most), targets.dtype)
        one_each[np.arange(most) < labels[:, None]] = targets
    if one_each.shape != (N, most):
        wanted = f"({N}, S), or concatenated, ({labels.sum()},)" if y.ndim == 3 else "(S,)"
        raise ValueError(f"targets must be {wanted}, not {targets.shape}")
    rows = np.arange(most) < labels[:, None]
    keep = rows.reshape(targets.shape) if targets.size == rows.size else np.ones(targets.shape, bool)
    check_indices(targets, C, "targets", keep)
    refuse_entries((targets == blank) & keep, "targets", targets, "the blank, which stands for no label")
    scale = reduction_scale(reduction, N)
    each = scale / np.maximum(labels, 1) if reduction == "mean" else np.ones(N)
    states = np.full((2 * labels.max(initial=0) + 1, N), int(blank), np.intp)
    states[1::2] = np.where(rows, one_each, blank)[:, : labels.max(initial=0)].T
    return _Problem(y.shape, states, frames, labels, each, reduction, 0.0 if zero_infinity else np.inf)


def _lengths(name: str, lengths: Array, shape: tuple[int, ...], most: int, of: str) -> Array:
    """Return lengths as (N,)."""
    if lengths.shape != shape:
        raise ValueError(f"{name} must be {shape}, one for each sequence, not {lengths.shape}")
    if lengths.dtype.kind not in "iu":
        raise TypeError(f"{name} must be integers, not {lengths.dtype}")
    refuse_entries((lengths < 0) | (lengths > most), name, lengths, f"it must lie in 0 … {most}, the number of {of}")
    return lengths.reshape(-1).astype(np.intp)


@ctc_loss.vjp
def _(g: Any, needs: Any, log_probabilities: Array, reached: Array, problem: _Problem) -> Any:
    likelihood = problem.likelihood(reached)
    shares = _shares(reached, likelihood, problem.emissions(log_probabilities), problem)
    each = single(g).reshape(-1) * problem.each  # g has one entry per sequence, or is a single number
    d = problem.scattered(shares * -each, log_probabilities.dtype)
    d[problem.undefined(likelihood)] = np.nan
    return d.reshape(problem.shape), None, None, None


# --- recursions --------------------------------------------------------------------------------------


def _log_sum(x: Array, y: Array, z: Array) -> Array:
    """Return log(e^x + e^y + e^z), entry by entry."""
    top = np.maximum(np.maximum(x, y), z)
    return np.asarray(top + np.log(np.exp(x - top) + np.exp(y - top) + np.exp(z - top)))


def _forward(y: Array, skips: Array) -> Array:
    """Return a for all frames, (T, 2 + L, N): with two unreachable states in front, no state is a special case."""
    T, L, N = y.shape
    a = np.full((T, 2 + L, N), _IMPOSSIBLE)
    a[:1, 2:4] = y[:1, :2]
    for t in range(1, T):
        before = a[t - 1]
        a[t, 2:] = _log_sum(before[2:], before[1:-1], before[:-2] + skips) + y[t]
    return a


def _shares(a: Array, likelihood: Array, y: Array, problem: _Problem) -> Array:
    """Return the share of all alignments in each state at each frame, (T, L, N): e^(a + b) divided by the sum.

    Summed for each class, the shares are the derivatives of the log-likelihood. They are normalised to sum to 1 at each
    frame, which removes the round-off of sums over thousands of frames. They are 0 if no alignment is possible, and
    after the last frame.
    """
    T, L, N = y.shape
    last, ends = np.arange(T)[:, None] == problem.frames - 1, problem.ends
    onwards = np.concatenate([problem.skips, np.full((2, N), _IMPOSSIBLE)])[2:]
    arriving = np.full((L + 2, N), _IMPOSSIBLE)  # b + y of the next frame, with two extra unreachable states at the end
    b = np.empty((T, L, N))
    for t in reversed(range(T)):
        paths = _log_sum(arriving[:-2], arriving[1:-1], arriving[2:] + onwards)
        b[t] = np.where(last[t], ends, paths)
        arriving[:-2] = b[t] + y[t]
    shares = np.exp(a[:, 2:] + b - np.where(_impossible(likelihood), np.inf, likelihood))
    total = shares.sum(axis=1, keepdims=True)
    return np.asarray(shares / np.where(total == 0, 1, total))


@ctc_loss.reference
def _(
    log_probabilities: Any,
    targets: Any,
    input_lengths: Any,
    target_lengths: Any,
    *,
    blank: int = 0,
    reduction: str = "mean",
    zero_infinity: bool = False,
) -> Any:
    x, targets, input_lengths, target_lengths = map(plain, (log_probabilities, targets, input_lengths, target_lengths))
    problem = _problem(x, targets, input_lengths, target_lengths, blank, reduction, zero_infinity)
    known = problem.likelihood(_forward(problem.emissions(x), problem.skips))
    without = np.where(problem.undefined(known), np.nan, 1.0).reshape(*problem.shape[:-1], 1)
    y = problem.emissions(log_probabilities * without)
    T, L, N = y.shape
    nothing = np.full((2, N), _IMPOSSIBLE)
    a = [np.where(np.arange(L)[:, None] < 2, y[0], _IMPOSSIBLE)] if T else []
    for t in range(1, T):
        before = np.concatenate([nothing, a[-1]])
        with np.errstate(invalid="ignore"):  # NaN is not invalid here
            arriving = np.logaddexp(np.logaddexp(before[2:], before[1:-1]), before[:-2] + problem.skips)
        a.append(arriving + y[t])
    if not T:
        return problem.reduced(np.where(_impossible(known), problem.lost, -known + np.sum(y)))
    at_end = np.stack(a)[np.maximum(problem.frames, 1) - 1, :, np.arange(N)] + problem.ends.T
    likelihood = np.where(problem.frames == 0, problem.without_frames, logsumexp(at_end, axis=1))
    return problem.reduced(np.where(_impossible(known), problem.lost, -likelihood))
