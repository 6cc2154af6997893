"""The loss of a sequence of labels whose places in a longer one are not known: connectionist temporal classification.

Shapes as PyTorch has them, frames first: T frames, N sequences, C classes; S labels at most. The recursions, and
what they are of, are in :mod:`.kernels.alignments`; here they are written a second time, of tensors, for derivatives of
derivatives and for the reference.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..core import plain
from ..primitives import ForwardResult, primitive
from ..spec import Array
from .kernels import alignments as kernels
from .kernels.alignments import IMPOSSIBLE
from .kernels.numerics import as_float, check_indices, single
from .linear import mapped
from .losses import reduction_scale
from .reductions import logsumexp

__all__ = ["ctc_loss"]


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
    """Minus the log-probability that frames, read without repeats and then without blanks, spell the target.

    The sum over all alignments of labels with frames. The FRAMES are along the first axis, as PyTorch has them, and the
    classes along the last: (T, N, C). Of scores take ``log_softmax`` first. The gradient is the derivative, minus the
    share of all alignments that have the class at the frame; behind log_softmax it is softmax minus that. (PyTorch's
    gradient of the log-probabilities themselves has the softmax in it already; behind log_softmax both are the same.)
    Computed in double precision.

    Args:
        log_probabilities: (T, N, C), or (T, C) of one sequence.
        targets: (N, S), integers in 0 … C-1 and not blank, of which those within target_lengths count; or those of all
            sequences in a row, (sum of target_lengths,). Of one sequence (S,).
        input_lengths: (N,), or a single number of one sequence, integers in 0 … T: how many frames count.
        target_lengths: (N,), or a single number of one sequence, integers: how many labels count.
        blank: the class that stands for no label.
        reduction: "mean" over the sequences of each one's loss divided by its labels (by 1 where it has none), "sum",
            or "none" for one loss a sequence.
        zero_infinity: true if the loss of a target that cannot be aligned, such as one longer than its input, is 0,
            with gradient 0. Otherwise it is infinite, and the gradient of its frames NaN.

    Returns:
        a single number, or (N,) for "none"; of the log-probabilities' dtype. The mean of no sequences is 0.

    Raises:
        ValueError: if the shapes do not fit, a target is blank, or a length or an option is out of its range.
        IndexError: names a target that is no class, and its place.
        TypeError: if targets or lengths are not integers, or zero_infinity is not true or false.

    Source: A. Graves et al., Connectionist temporal classification (2006).

    >>> import numpy as np
    >>> even = np.log(np.full((3, 1, 2), 0.5))  # blank or 1, three times
    >>> round(ctc_loss(even, [[1]], [3], [1]).item(), 4)  # six of eight spell 1: all but 000 and 101
    0.2877
    """
    problem = _problem(log_probabilities, targets, input_lengths, target_lengths, blank, reduction, zero_infinity)
    y = kernels.emissions(problem.batched(log_probabilities), problem.states, problem.frames)
    reached = kernels.forward(y, kernels.skips_of(problem.states))
    likelihood = kernels.log_likelihood(reached, problem.frames, problem.labels)
    losses = problem.reduced(np.where(kernels.impossible(likelihood), problem.lost, -likelihood))
    dtype = as_float(log_probabilities).dtype.newbyteorder("=")
    return np.asarray(losses).astype(dtype, copy=False), (log_probabilities, reached, problem)


class _Problem(NamedTuple):
    """What is asked of the log-probabilities. N sequences: of one alone the axis N is put in, and taken out again.

    Attributes:
        shape: of the log-probabilities, (T, N, C) or (T, C). states: (2S + 1, N). frames, labels: (N,), the lengths.
        each: (N,), what each loss counts. reduction: as given. lost: the loss where there is no alignment, 0 or inf.
    """

    shape: tuple[int, ...]
    states: Array
    frames: Array
    labels: Array
    each: Array
    reduction: str
    lost: float

    def batched(self, x: Any) -> Any:
        """Log-probabilities, an array or a tensor, as (T, N, C)."""
        return x.reshape(self.shape[0], len(self.each), self.shape[-1])

    def reduced(self, losses: Any) -> Any:
        """What is made of the losses (N,), an array or a tensor."""
        losses = losses * self.each
        if self.reduction != "none":
            return np.sum(losses)
        return losses.reshape(self.shape[1:-1])

    def counted(self, g: Any, lead: tuple[int, ...] = ()) -> Any:
        """The weight of each sequence's loss (*lead, N), an array or a tensor, times its cotangent (*lead, …)."""
        own = self.shape[1:-1] if self.reduction == "none" else ()
        return single(g).reshape(*lead, *(own or (1,))) * self.each

    def undefined(self, likelihood: Array) -> Array:
        """True at frames (T, N) of a sequence without an alignment, whose loss is inf and whose gradient is NaN."""
        inside = kernels.that_count(self.frames, self.shape[0])
        return inside & kernels.impossible(likelihood) & (self.lost != 0)


def _problem(
    y: Array, targets: Array, frames: Array, labels: Array, blank: Any, reduction: str, zero_infinity: Any
) -> _Problem:
    """Raise unless all fits."""
    if y.ndim not in (2, 3):
        raise ValueError(f"log_probabilities must be (T, N, C), or (T, C) of one sequence, not {y.shape}")
    if not isinstance(zero_infinity, (bool, np.bool_)):
        raise TypeError(f"zero_infinity must be True or False, not {zero_infinity!r}")
    T, C = y.shape[0], y.shape[-1]
    if isinstance(blank, bool) or not isinstance(blank, (int, np.integer)):
        raise TypeError(f"blank must be an integer, not {blank!r}")
    if not 0 <= blank < C:
        raise ValueError(f"blank must be one of the {C} classes, 0 … {C - 1}, not {blank}")
    if y.ndim == 3 and y.shape[0] != y.shape[1] and frames.shape == y.shape[:1]:
        raise ValueError(
            f"log_probabilities must be (T, N, C), and are {y.shape} with input_lengths {frames.shape}: the frames are "
            "along the FIRST axis here: give swapaxes(log_probabilities, 0, 1)"
        )
    frames = _lengths("input_lengths", frames, y.shape[1:-1], T, "frames")
    N = len(frames)
    one_each = targets.reshape(1, -1) if y.ndim == 2 and targets.ndim == 1 else targets
    most = one_each.shape[1] if one_each.ndim == 2 else targets.size
    labels = _lengths("target_lengths", labels, y.shape[1:-1], most, "labels")
    if one_each.ndim == 1 and targets.size == labels.sum():
        one_each = _apart(targets, labels)
        most = one_each.shape[1]
    if one_each.shape != (N, most):
        wanted = f"({N}, S), or those of all in a row, ({labels.sum()},)" if y.ndim == 3 else "(S,)"
        raise ValueError(f"targets must be {wanted}, not {targets.shape}")
    rows = np.arange(most) < labels[:, None]
    _check_targets(targets, rows, C, blank)
    scale = reduction_scale(reduction, N)
    each = scale / np.maximum(labels, 1) if reduction == "mean" else np.ones(N)
    states = kernels.states_of(one_each[:, : labels.max(initial=0)], labels, int(blank))
    return _Problem(y.shape, states, frames, labels, each, reduction, 0.0 if zero_infinity else np.inf)


def _apart(targets: Array, labels: Array) -> Array:
    """Targets of all sequences in a row as (N, S), with 0 behind those of each."""
    rows = np.arange(labels.max(initial=0)) < labels[:, None]
    one_each = np.zeros(rows.shape, targets.dtype)
    one_each[rows] = targets
    return one_each


def _lengths(name: str, lengths: Array, shape: tuple[int, ...], most: int, of: str) -> Array:
    """Lengths as (N,)."""
    if lengths.shape != shape:
        raise ValueError(f"{name} must be {shape}, one for each sequence, not {lengths.shape}")
    if lengths.dtype.kind not in "iu":
        raise TypeError(f"{name} must be integers, not {lengths.dtype}")
    wrong = (lengths < 0) | (lengths > most)
    if wrong.any():
        place = tuple(map(int, np.argwhere(wrong)[0]))
        entry = f"{name}{list(place)}" if place else name
        raise ValueError(f"{entry} is {lengths[place]}: it must lie in 0 … {most}, the number of {of}")
    return lengths.reshape(-1).astype(np.intp)


def _check_targets(targets: Array, rows: Array, C: int, blank: Any) -> None:
    """Raise unless the targets that count are classes, and none is the blank; places are those in ``targets``."""
    keep = rows.reshape(targets.shape) if targets.size == rows.size else None
    check_indices(targets, C, "targets", keep)
    wrong = (targets == blank) & (True if keep is None else keep)
    if wrong.any():
        place = list(map(int, np.argwhere(wrong)[0]))
        raise ValueError(f"targets{place} is {blank}, the blank, which stands for no label")


def _pulled(g: Array, log_probabilities: Array, reached: Array, problem: _Problem) -> list[Array]:
    """The cotangents of the log-probabilities for B cotangents of the loss, without other arrays of that size."""
    states, lengths = problem.states, (problem.frames, problem.labels)
    y = kernels.emissions(problem.batched(log_probabilities), states, problem.frames)
    shares = kernels.shares(reached, y, kernels.skips_of(states), *lengths)
    undefined = problem.undefined(kernels.log_likelihood(reached, *lengths))
    found = []
    for each in problem.counted(g, (len(g),)):
        d = kernels.scattered(shares * -each, states, problem.shape[-1], log_probabilities.dtype)
        d[undefined] = np.nan
        found.append(d.reshape(problem.shape))
    return found


@ctc_loss.vjp
def _(g: Any, needs: Any, *rest: Any) -> Any:
    return _pulled(g[None], *rest)[0], None, None, None


@ctc_loss.batched_vjp
def _(g: Array, needs: Any, *rest: Any) -> Any:
    return np.stack(_pulled(g, *rest)), None, None, None


# --- the same of tensors -----------------------------------------------------------------------------


@ctc_loss.vjp_on_tensors
def _(g: Any, needs: Any, log_probabilities: Any, reached: Array, problem: _Problem) -> Any:
    states, C = problem.states, problem.shape[-1]
    y = _emissions(log_probabilities, problem)
    a, likelihood = _forward(y, problem)
    none = kernels.impossible(plain(likelihood))
    found = np.exp(np.where(none, -np.inf, a + _backward(y, problem) - likelihood))
    shares = mapped(found, lambda x: kernels.scattered(x, states, C), lambda u: kernels.gathered(u, states))
    shares = np.where(problem.undefined(plain(likelihood))[..., None], np.nan, shares)
    return (problem.counted(g)[:, None] * -shares).reshape(problem.shape), None, None, None


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
    y, targets, input_lengths, target_lengths = map(plain, (log_probabilities, targets, input_lengths, target_lengths))
    problem = _problem(y, targets, input_lengths, target_lengths, blank, reduction, zero_infinity)
    _, likelihood = _forward(_emissions(log_probabilities, problem), problem)
    return problem.reduced(np.where(kernels.impossible(plain(likelihood)), problem.lost, -likelihood))


def _emissions(log_probabilities: Any, problem: _Problem) -> Any:
    """y (T, L, N) of a tensor."""
    y, states, C = problem.batched(log_probabilities).astype(np.float64), problem.states, problem.shape[-1]
    y = mapped(y, lambda x: kernels.gathered(x, states), lambda u: kernels.scattered(u, states, C))
    return np.where(kernels.that_count(problem.frames, len(y))[:, None], np.maximum(y, IMPOSSIBLE), IMPOSSIBLE)


def _log_sum(x: Any, y: Any, z: Any) -> Any:
    return np.logaddexp(np.logaddexp(x, y), z)


def _forward(y: Any, problem: _Problem) -> tuple[Any, Any]:
    """a of all frames (T, L, N), and the log-likelihood (N,)."""
    T, L, N = y.shape
    without = np.where(problem.labels == 0, 0.0, IMPOSSIBLE)  # frames
    if not T:
        return y, np.sum(y, axis=(0, 1)) + without
    skips, nothing = kernels.skips_of(problem.states), np.full((2, N), IMPOSSIBLE)
    a = [np.where(np.arange(L)[:, None] < 2, y[0], IMPOSSIBLE)]
    for t in range(1, T):
        before = np.concatenate([nothing, a[-1]])
        a.append(_log_sum(before[2:], before[1:-1], before[:-2] + skips) + y[t])
    ways, ends = np.stack(a), kernels.in_last_states(problem.labels, L)
    at_end = ways[np.maximum(problem.frames, 1) - 1, :, np.arange(N)] + ends.T
    return ways, np.where(problem.frames == 0, without, logsumexp(at_end, axis=1))


def _backward(y: Any, problem: _Problem) -> Any:
    """b of all frames (T, L, N)."""
    T, L, N = y.shape
    nothing = np.full((2, N), IMPOSSIBLE)
    onwards = np.concatenate([kernels.skips_of(problem.states), nothing])[2:]
    last, ends = kernels.at_last_frame(problem.frames, T), kernels.in_last_states(problem.labels, L)
    b: list[Any] = []
    arriving: Any = np.full((L, N), IMPOSSIBLE)
    for t in reversed(range(T)):
        after = np.concatenate([arriving, nothing])
        b.append(np.where(last[t], ends, _log_sum(after[:-2], after[1:-1], after[2:] + onwards)))
        arriving = b[-1] + y[t]
    return np.stack(b[::-1]) if b else y
