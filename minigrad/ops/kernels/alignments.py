"""All alignments of a sequence of labels with the frames of a longer one, summed: the recursions of CTC.

A. Graves, S. Fernández, F. Gomez and J. Schmidhuber, Connectionist temporal classification (2006).

An alignment gives each of T frames a class. Read without repeats, and then without blanks, it must spell the S labels.
So it is a path through L = 2S + 1 *states*, blank, label 1, blank, label 2, …, blank, which begins in one of the first
two, ends in one of the last two, and at each frame stays, goes on by one, or by two, over a blank between labels that
differ:

    a_t(s) = log(e^a_(t-1)(s) + e^a_(t-1)(s-1) + e^a_(t-1)(s-2)) + y_t(s)         all ways to be in s at frame t
    b_t(s) = log(e^(b + y)_(t+1)(s) + e^(b + y)_(t+1)(s+1) + e^(b + y)_(t+1)(s+2))     all ways from there to the end

y_t(s) is the log-probability at frame t of the class of state s. All N sequences are computed at once, each with its
own lengths. In logarithms, since products of hundreds of probabilities underflow. What is impossible is no infinity
but ``IMPOSSIBLE``: the exponential of its difference to anything else is 0, and no difference is NaN.

Of labels (N, S) the states are (L, N), and of log-probabilities (T, N, C) the emissions y are (T, L, N): neighbours in
s are then slices of memory without gaps.

>>> states = states_of(np.array([[1, 1]]), np.array([2]), blank=0)
>>> states.T, skips_of(states).T == 0  # from one 1 to the other no path leaves out the blank
(array([[0, 1, 0, 1, 0]]), array([[False, False, False, False, False]]))
>>> lengths = np.array([3]), np.array([2])
>>> y = emissions(np.log(np.full((3, 1, 2), 0.5)), states, lengths[0])
>>> a = forward(y, skips_of(states))
>>> np.exp(log_likelihood(a, *lengths))  # 1 0 1 alone, of eight
array([0.125])
>>> found = shares(a, y, skips_of(states), *lengths)  # of each state
>>> scattered(found, states, 2)[:, 0]  # of the blank and of 1 at each frame
array([[0., 1.],
       [1., 0.],
       [0., 1.]])
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...spec import Array

__all__ = [
    "IMPOSSIBLE", "at_last_frame", "emissions", "forward", "gathered", "impossible", "in_last_states", "log_likelihood",
    "scattered", "shares", "skips_of", "states_of", "that_count",
]  # fmt: skip

IMPOSSIBLE = -1e30
"""The logarithm of 0. Sums of thousands of it are finite."""


# --- states ------------------------------------------------------------------------------------------


def states_of(labels: Array, lengths: Array, blank: int) -> Array:
    """Classes of the states (2S + 1, N) of labels (N, S), of which the first so many count; behind them is blank."""
    N, S = labels.shape
    states = np.full((2 * S + 1, N), blank, np.intp)
    states[1::2] = np.where(np.arange(S) < lengths[:, None], labels, blank).T
    return states


def skips_of(states: Array) -> Array:
    """0 where a state may be reached from the one before the last, and IMPOSSIBLE elsewhere, (L, N).

    The state between must be a blank, and the labels must differ; blanks all are the same.
    """
    skips = np.full(states.shape, IMPOSSIBLE)
    skips[2:][states[2:] != states[:-2]] = 0
    return skips


def gathered(x: Array, states: Array) -> Array:
    """(T, L, N), of what is given of classes, (T, N, C), what belongs to the states."""
    return x[:, np.arange(states.shape[1]), states]


def scattered(x: Array, states: Array, C: int, dtype: Any = None) -> Array:
    """The transpose: (T, N, C), the sums of what is given of states, (T, L, N); in x's dtype or another one."""
    T, _, N = x.shape
    sums = np.zeros((T, N, C), x.dtype if dtype is None else dtype)
    for n in range(N):  # one sequence at a time, so that nothing else is as large as the result
        order = np.argsort(states[:, n], kind="stable")
        classes, first = np.unique(states[order, n], return_index=True)
        sums[:, n, classes] = np.add.reduceat(x[:, order, n], first, axis=1)
    return sums


def emissions(log_probabilities: Array, states: Array, frames: Array) -> Array:
    """What each state's class has at each frame, (T, L, N); IMPOSSIBLE behind the last one, whatever lies there.

    In double precision, since sums over frames are long: in single a loss of 300 would be known to 3e-5, and the
    gradient no better.
    """
    y = np.maximum(gathered(log_probabilities, states).astype(np.float64, copy=False), IMPOSSIBLE)
    counts = that_count(frames, len(y))
    if not counts.all():
        np.copyto(y, IMPOSSIBLE, where=~counts[:, None])
    return y


def that_count(frames: Array, T: int) -> Array:
    """(T, N), true at the frames of each sequence."""
    return np.asarray(np.arange(T)[:, None] < frames)


def at_last_frame(frames: Array, T: int) -> Array:
    """(T, N), true at the last frame of each sequence."""
    return np.asarray(np.arange(T)[:, None] == frames - 1)


def in_last_states(labels: Array, L: int) -> Array:
    """(L, N), 0 in the last two states of each sequence, or the last if there is but one, and IMPOSSIBLE elsewhere."""
    behind = 2 * labels - np.arange(L)[:, None]
    return np.where((behind == 0) | (behind == 1), 0, IMPOSSIBLE)


# --- recursions --------------------------------------------------------------------------------------


def _log_sum(x: Array, y: Array, z: Array, work: Array, out: Array) -> None:
    """log(e^x + e^y + e^z), entry by entry, into ``out``; with two arrays to compute in."""
    top, part = work
    np.maximum(x, y, out=top)
    np.maximum(top, z, out=top)
    np.exp(np.subtract(x, top, out=out), out=out)
    for term in (y, z):
        out += np.exp(np.subtract(term, top, out=part), out=part)
    np.log(out, out=out)
    out += top


def forward(y: Array, skips: Array) -> Array:
    """a of all frames, (T, 2 + L, N): with two states in front that nothing reaches, no state is a special case."""
    T, L, N = y.shape
    a = np.full((T, 2 + L, N), IMPOSSIBLE)
    a[:1, 2:4] = y[:1, :2]
    skipping, work = np.empty((L, N)), np.empty((2, L, N))
    for before, now, emitted in zip(a[:-1], a[1:, 2:], y[1:], strict=True):
        np.add(before[:-2], skips, out=skipping)
        _log_sum(before[2:], before[1:-1], skipping, work, out=now)
        now += emitted
    return a


def log_likelihood(a: Array, frames: Array, labels: Array) -> Array:
    """The logarithm of the sum over all alignments (N,), from :func:`forward` and the lengths."""
    without = np.where(labels == 0, 0, IMPOSSIBLE)  # frames
    if not len(a):
        return without
    n = np.arange(len(frames))
    with np.errstate(invalid="ignore"):  # NaN is not invalid here
        found = np.logaddexp(a[frames - 1, 2 * labels + 2, n], a[frames - 1, 2 * labels + 1, n])
    return np.where(frames == 0, without, found)


def impossible(likelihood: Array) -> Array:
    """True for sequences that have no alignment, (N,)."""
    return np.asarray(likelihood < IMPOSSIBLE / 2)


def shares(a: Array, y: Array, skips: Array, frames: Array, labels: Array) -> Array:
    """How much of the sum over all alignments is in each state at each frame, (T, L, N): it is e^(a + b) over the sum.

    :func:`scattered` among classes they are the derivatives of the log-likelihood. They are normalised to sum to 1 at
    each frame, which removes the round-off of sums over thousands of frames. 0 where no alignment is possible, and
    behind the last frame.
    """
    T, L, N = y.shape
    likelihood = log_likelihood(a, frames, labels)
    likelihood[impossible(likelihood)] = np.inf
    last, ends = at_last_frame(frames, T), in_last_states(labels, L)
    ending = set((frames - 1).tolist())
    onwards = np.concatenate([skips, np.full((2, N), IMPOSSIBLE)])[2:]
    arriving = np.full((L + 2, N), IMPOSSIBLE)  # b + y of the next frame, with two states behind that nothing reaches
    found, skipping, work = np.empty((T, L, N)), np.empty((L, N)), np.empty((2, L, N))
    for t in reversed(range(T)):
        b = found[t]
        np.add(arriving[2:], onwards, out=skipping)
        _log_sum(arriving[:-2], arriving[1:-1], skipping, work, out=b)
        if t in ending:
            np.copyto(b, ends, where=last[t])
        np.add(b, y[t], out=arriving[:-2])
    found += a[:, 2:]
    found -= likelihood
    np.exp(found, out=found)
    total = found.sum(axis=1, keepdims=True)
    found /= np.where(total == 0, 1, total)
    return found
