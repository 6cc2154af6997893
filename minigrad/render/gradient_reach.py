"""How far back the gradient reaches in recurrent networks.

For all pairs of steps, this is the spectral norm of d s_t / d s_s.

With J_t = d s_t / d s_(t-1), the derivative of a later state by an earlier one is the product J_t … J_(s+1). One
jacobian gives all J_t, because the states before each step form a batch.

The state of an LSTM is (h, c) side by side.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial, reduce
from itertools import count
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np

from .. import nn, ops
from ..core import Tensor, no_grad, tensor
from ..jacobians import jacobian
from ..runtime.files import replacing
from ..runtime.threads import run_in_parallel
from ..spec import Array
from ..transforms import vjp
from .reach_files import reach_page, reach_svg

__all__ = ["Reach", "reach"]

_BLOCK = 16  # columns of norms that are computed together
_AGE = 8  # steps
_ROUND_OFF = 1e-14  # of a product, relative to its norm
_DOUBTFUL = 1e-4  # difference of a check
_PATIENCE = 2.0  # seconds without a report of progress

Step = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class _Cell:
    """One step as a function of the input (N, D) and the state (N, n).

    ``by_path`` takes a copy of the state for each path.
    """

    step: Step
    initial: Array
    paths: tuple[str, ...]
    by_path: Callable[..., Tensor]


def _cell(name: str, cell: Any, width: int, initial: Any) -> _Cell:
    """Return the step of a recurrent layer in double precision, or of a function of input and state."""
    kind = next((kind for kind in _LAYERS if isinstance(cell, kind) and type(cell).forward is kind.forward), None)
    if kind is None:
        if not callable(cell) or isinstance(cell, nn.Module):
            raise TypeError(
                f"reach: {name} has the type {type(cell).__name__}. "
                "Pass an nn.RNN, nn.LSTM or nn.GRU, or a function of an input and a state."
            )
        if initial is None:
            raise ValueError(
                f"reach: {name} is a function and has no initial state. Pass one (n,), initial={{{name!r}: …}}."
            )
        first = np.asarray(initial, np.float64)
        if first.ndim != 1:
            raise ValueError(f"reach: the initial state of {name} must have shape (n,), not {first.shape}")
        return _Cell(cell, first, ("state",), cell)
    if cell.num_layers > 1 or cell.bidirectional:
        raise ValueError(
            f"reach: {name} must have one layer and one direction, but has num_layers={cell.num_layers} and "
            f"bidirectional={cell.bidirectional}. Pass the layers one by one."
        )
    if width != cell.input_size:
        raise ValueError(f"reach: inputs must be (T, {cell.input_size}) for {name}, but have {width} columns")
    parts = 2 if kind is nn.LSTM else 1
    n = parts * cell.hidden_size
    first = np.zeros(n) if initial is None else np.asarray(initial, np.float64)
    if first.shape != (n,):
        raise ValueError(f"reach: the initial state of {name} must have shape ({n},), not {first.shape}")
    weights = [tensor(p.data.astype(np.float64)) for p in cell.parameters()]

    def step(x: Tensor, s: Tensor) -> Any:
        """Run the layer on sequences of one step."""
        given: Any = ops.split(s, parts, axis=1)
        found = kind.function(ops.expand_dims(x, 1), given[0], *weights, *given[1:])
        return ops.concatenate(found if isinstance(found, tuple) else [found], axis=2)[:, 0]

    function, paths = _LAYERS[kind]
    return _Cell(step, first, paths, partial(function, weights))


def _rnn(weights: Sequence[Tensor], x: Tensor, h: Tensor) -> Any:
    Wx, Wh, b = weights
    return np.tanh(x @ Wx + h @ Wh + b)


def _gru(weights: Sequence[Tensor], x: Tensor, r: Tensor, z: Tensor, n: Tensor, kept: Tensor) -> Any:
    """Each of r, z and n is the state as the gate sees it."""
    Wx, Wh, bx, bh = weights
    H = kept.shape[1]
    p = x @ Wx + bx
    a = [state @ Wh[:, k * H : (k + 1) * H] + bh[k * H : (k + 1) * H] for k, state in enumerate((r, z, n))]
    reset, update = ops.sigmoid(p[:, :H] + a[0]), ops.sigmoid(p[:, H : 2 * H] + a[1])
    return (1 - update) * np.tanh(p[:, 2 * H :] + reset * a[2]) + update * kept


def _lstm(weights: Sequence[Tensor], x: Tensor, i: Tensor, f: Tensor, o: Tensor, g: Tensor, kept: Tensor) -> Any:
    Wx, Wh, b = weights
    H = kept.shape[1] // 2
    p = x @ Wx + b
    a = [p[:, k * H : (k + 1) * H] + state[:, :H] @ Wh[:, k * H : (k + 1) * H] for k, state in enumerate((i, f, o, g))]
    c = ops.sigmoid(a[1]) * kept[:, H:] + ops.sigmoid(a[0]) * np.tanh(a[3])
    return ops.concatenate([ops.sigmoid(a[2]) * np.tanh(c), c], axis=1)


# one step of a layer, and the paths of its arguments
_LAYERS: dict[Any, tuple[Callable[..., Tensor], tuple[str, ...]]] = {
    nn.RNN: (_rnn, ("h",)),
    nn.GRU: (_gru, ("reset gate", "update gate", "candidate", "h kept")),
    nn.LSTM: (_lstm, ("input gate", "forget gate", "output gate", "candidate", "c kept")),
}


def _states(name: str, step: Step, x: Array, first: Array) -> Array:
    """Return the states before each step and after the last, (T + 1, n)."""
    states = [first[None]]
    with no_grad():
        for row in x:
            states.append(step(tensor(row[None]), tensor(states[-1])).numpy())
            if states[-1].shape != states[0].shape:
                raise ValueError(
                    f"reach: {name} maps a state of shape {states[0].shape} to one of shape {states[-1].shape}. "
                    "Return a state of the same shape."
                )
    return np.concatenate(states)


def _step_jacobians(function: Callable[..., Tensor], x: Array, *states: Array) -> list[Array]:
    """Return the derivative of each step by each of its states: (T, n, n) each.

    The sum over steps of an entry of the next state has the derivative of each step in its own row.
    """
    parts = jacobian(lambda *s: function(tensor(x), *s).sum(axis=0), tuple(range(len(states))))(*map(tensor, states))
    return [part.numpy().transpose(1, 0, 2) for part in parts]


def _norms_of_products(J: Array, report: Callable[[float], None]) -> Array:
    """Return ‖J_t … J_(s+1)‖ in row t, column s, and NaN where s > t: (T + 1, T + 1).

    J: (T, n, n), of the steps 1 … T. ``report`` gets the share of columns up to each block's end.
    """
    norms, columns = np.where(np.eye(len(J) + 1), 1, np.nan), np.arange(len(J))
    run_in_parallel(partial(_fill_columns, norms, J, columns[k : k + _BLOCK], report) for k in columns[::_BLOCK])
    return norms


def _fill_columns(norms: Array, J: Array, columns: Array, report: Callable[[float], None]) -> None:
    """Fill a block of columns below the diagonal; the block's products fit into a processor's cache.

    Products are scaled, with the logarithm of the scale beside them. The last product of the block is a left factor of
    all others. Once it is _AGE steps old, and every _AGE steps from then on, the products go to the coordinates of its
    left singular vectors, an orthonormal basis, which preserves norms. Vectors below round-off are dropped.
    """
    products, logs, basis = np.tile(np.eye(J.shape[1]), (len(columns), 1, 1)), np.zeros(len(columns)), None
    for t in range(columns[0], len(J)):
        m, age, step = np.count_nonzero(columns <= t), t - columns[-1], J[t]
        if age > 0 and age % _AGE == 0:
            U, sizes, _ = np.linalg.svd(products[-1], full_matrices=False)
            U = U[:, sizes >= _ROUND_OFF * sizes[0]]
            products, basis = U.T @ products, U if basis is None else basis @ U
        if basis is not None:
            basis, step = np.linalg.qr(step @ basis)
        A = step @ products[:m]
        scale = np.abs(A).max(axis=(1, 2))
        products[:m] = A / np.where(scale > 0, scale, 1)[:, None, None]
        with np.errstate(divide="ignore", over="ignore"):  # to 0 and to infinity
            logs[:m] += np.log(scale)
            norms[t + 1, columns[:m]] = np.exp(logs[:m]) * _spectral_norms(products[:m])
    report((columns[-1] + 1) / len(J))


def _spectral_norms(A: Array) -> Array:
    """Return the norms of matrices (m, p, q).

    The eigenvalues of AA' take less time than the singular values of A.
    """
    squares = np.linalg.eigvalsh(A @ A.swapaxes(1, 2))  # in increasing order
    return np.sqrt(np.maximum(squares[:, -1], 0))


@dataclass(frozen=True)
class _Run:
    """The results for one network in one snapshot."""

    norms: Array
    paths: dict[str, Array]
    loss_norms: Array | None
    loss: float | None
    difference: float


@dataclass(frozen=True, repr=False)
class Reach:
    """How far back the gradient reaches in each network; :func:`reach` computes it, and notebooks show the picture.

    With snapshots, every array of norms or losses has a leading axis for them.

    Attributes:
        norms: by network (T, T). Row t, column s is the spectral norm of d s_t / d s_s, and NaN where s > t.
        paths: by network and path through a step, such as "forget gate to c", (T,): the norm of that path's part of
            d s_t / d s_(t-1). The parts of all paths sum to the derivative.
        loss_norms: by network with a loss, (T,): the norm of d L / d s_t.
        losses: by network with a loss, its value.
        labels: the labels of the snapshots; empty without snapshots.
        inputs: (T, D).
        difference: the largest relative difference that the checks of :func:`reach` found.
        notes: by network, the text below its name; with snapshots, a list of texts.
    """

    norms: dict[str, Array]
    paths: dict[str, dict[str, Array]]
    loss_norms: dict[str, Array]
    losses: dict[str, Any]
    labels: tuple[str, ...]
    inputs: Array
    difference: float
    notes: Mapping[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        T = len(self.inputs)
        last = (f"{name} {norms.reshape(-1, T, T)[-1, -1, 0]:.2g}" for name, norms in self.norms.items())
        return f"Reach from step 1 to {T}: {', '.join(last)}"

    def _repr_svg_(self) -> str:
        return reach_svg(self, "How far back does the gradient reach?")

    def write(self, path: str | os.PathLike[str], title: str = "How far back does the gradient reach?") -> Path:
        """Write a file, and return its path.

        A path that ends in ``.html`` becomes an interactive page, which works without a network. It has a triangle of
        norms for each network, a slider over snapshots, and the paths through each step. ``.svg`` becomes a picture of
        the last snapshot.

        Raises:
            ValueError: if the path ends otherwise.

        >>> import tempfile
        >>> r = reach({"halved": lambda x, s: s / 2}, np.ones((4, 1)), initial={"halved": [1.0]})
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     r.write(f"{folder}/reach.svg").name
        'reach.svg'
        """
        target = Path(path)
        writers = {".html": reach_page, ".svg": reach_svg}
        if target.suffix not in writers:
            raise ValueError(f"Reach.write: the path must end in .html or .svg, not {target.suffix or 'nothing'}")
        with replacing(target) as temporary:
            temporary.write_text(writers[target.suffix](self, title), encoding="utf-8", newline="\n")
        return target


def reach(
    cells: Mapping[str, Any],
    inputs: Any,
    *,
    snapshots: Mapping[Any, Mapping[str, Any]] | None = None,
    initial: Mapping[str, Any] | None = None,
    notes: Mapping[str, Any] | None = None,
) -> Reach:
    """Compute how far back the gradient reaches in recurrent networks, on one sequence of inputs.

    The gradient of a loss at step t reaches an earlier state s through the derivative d s_t / d s_s. Its spectral norm
    is the largest factor by which a small change of state s grows until step t. Near 0, the gradient has vanished, and
    training does not learn what step t needs from step s. Far above 1, it has exploded, and training becomes unstable
    (Bengio et al., 1994; Pascanu et al., 2013).

    On a terminal, standard error shows the progress after two seconds.

    Four checks run for each network in each snapshot; ``difference`` is the largest relative difference.

    - One reverse pass through all steps gives the products of Jacobians with random vectors, for each pair of steps.
      No norm is smaller than such a product allows.
    - The Jacobian of the whole loop is the product of the steps' Jacobians, and its norm is that of the corner.
    - Finite differences of each step agree with its Jacobian.
    - The paths through a step, which are separate formulas, sum to the Jacobian of the layer.

    Args:
        cells: by name, an ``nn.RNN``, ``nn.LSTM`` or ``nn.GRU`` with one layer and direction, or a function. A function
            takes an input (N, D) and a state (N, n), and returns the next state (N, n), all float64. Its rows must not
            depend on each other. A pair ``(cell, loss)`` adds a function from all
            states (T, n) to the loss. The state of an LSTM is h and c side by side.
        inputs: (T, D), at least two steps.
        snapshots: mappings like ``cells``, one for each snapshot label; ``cells`` then gives only the names. Copy the
            cells while you train: ``snapshots[step] = copy.deepcopy(cells)``.
        initial: initial states (n,) by name; zeros by default. Functions need one.
        notes: by name, a text that files show below the name, such as "learned: yes"; with ``snapshots``, a list of one
            for each. A text may have several lines.

    Returns:
        the norms; ``write`` saves them as an interactive page or as a picture.

    Raises:
        TypeError: if ``cells`` is empty or not a mapping, or a cell is of another kind.
        ValueError: if a layer has several layers or directions, a shape does not fit, a state or derivative is not
            finite, ``initial`` or ``notes`` has an unknown name, there is not one note for each snapshot, or snapshots
            do not have the same names and losses, and different labels and objects.
        UserWarning: if ``difference`` is above 0.0001. This also happens if steps amplify what earlier steps shrank
            below round-off, 1e-14 of the norm, without mixing it with the rest of the state.

    >>> import minigrad as mg
    >>> cells = {"RNN": mg.nn.RNN(2, 3, rng=0), "halved": lambda x, s: s / 2}
    >>> r = reach(cells, np.ones((4, 2)), initial={"halved": [1.0]})
    >>> r.norms["halved"]
    array([[1.   ,   nan,   nan,   nan],
           [0.5  , 1.   ,   nan,   nan],
           [0.25 , 0.5  , 1.   ,   nan],
           [0.125, 0.25 , 0.5  , 1.   ]])
    >>> r.norms["RNN"].shape, r.difference < 1e-6
    ((4, 4), True)
    """
    try:
        x = np.asarray(inputs, np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"reach: inputs must be numbers of shape (T, D): {error}") from None
    if x.ndim != 2 or len(x) < 2:
        raise ValueError(f"reach: inputs must be (T, D) with at least two steps, not {x.shape}")
    if not isinstance(cells, Mapping) or not cells:
        raise TypeError(f"reach: cells must map names to networks, such as {{'LSTM': nn.LSTM(2, 64)}}, not {cells!r}")
    times = {"": cells} if snapshots is None else snapshots
    labels = tuple(map(str, times))
    forms = [{name: isinstance(cell, tuple) for name, cell in time.items()} for time in times.values()]
    if (
        len({*labels}) < len(labels)
        or not forms
        or any(form.keys() != cells.keys() or form != forms[0] for form in forms)
    ):
        raise ValueError(
            f"reach: each snapshot must have the networks {', '.join(cells)}, the same ones with a loss, and a label "
            f"of its own. The labels are {', '.join(labels) or 'missing'}."
        )
    for name in cells:
        networks = [time[name][0] if isinstance(time[name], tuple) else time[name] for time in times.values()]
        if len(set(map(id, networks))) < len(networks):
            raise ValueError(
                f"reach: several snapshots have the same object as {name}, in its present state. Copy it for each. "
                "copy.deepcopy copies a bound method with its module, but not a function."
            )
    starts, texts = initial or {}, notes or {}
    if unknown := starts.keys() - cells.keys():
        raise ValueError(f"reach: initial has {unknown.pop()!r}, but the networks are {', '.join(cells)}")
    shape = () if snapshots is None else (len(labels),)
    if any(name not in cells or np.shape(text) != shape for name, text in texts.items()):
        raise ValueError(
            f"reach: notes must map {', '.join(cells)} to {'a text' if snapshots is None else 'a list of texts'} each, "
            f"{'' if snapshots is None else f'one for each of the {len(labels)} snapshots, '}not {texts!r}"
        )
    begin, numbers, total = monotonic(), count(), len(cells) * len(times)

    def report(what: str, number: int, share: float) -> None:
        _show(begin, f"reach: {(number + share) / total:.0%}, {what}")

    try:
        runs = {name: [_examined(name, time[name], x, starts.get(name),
                                 partial(report, f"{name} {label}", next(numbers)))
                       for label, time in times.items()] for name in cells}  # fmt: skip
    finally:
        _show(begin, "")

    def stacked(values: list[Any]) -> Any:
        return np.array(values) if snapshots is not None else values[0]

    difference = max(run.difference for of in runs.values() for run in of)
    if difference > _DOUBTFUL:
        warnings.warn(
            f"reach: the checks differ by {difference:.2g}, so the norms may be wrong. A step must be deterministic, "
            "differentiable and in float64, and treat the rows of a batch separately.",
            stacklevel=2,
        )
    with_loss = {name: of for name, of in runs.items() if of[0].loss is not None}
    return Reach(
        norms={name: stacked([run.norms for run in of]) for name, of in runs.items()},
        paths={name: {path: stacked([run.paths[path] for run in of]) for path in of[0].paths}
               for name, of in runs.items()},
        loss_norms={name: stacked([run.loss_norms for run in of]) for name, of in with_loss.items()},
        losses={name: stacked([run.loss for run in of]) for name, of in with_loss.items()},
        labels=() if snapshots is None else labels,
        inputs=x,
        difference=difference,
        notes=texts,
    )  # fmt: skip


def _show(begin: float, text: str) -> None:
    """Replace the line at a terminal's cursor, from two seconds after the beginning on."""
    if monotonic() - begin > _PATIENCE and sys.stderr and sys.stderr.isatty():
        print(f"\r{text:<79.79}", end="\r", file=sys.stderr, flush=True)


@np.errstate(all="ignore")  # _relative skips products that overflow
def _examined(name: str, given: Any, x: Array, initial: Any, report: Callable[[float], None]) -> _Run:
    """Compute all about one network at one time, and check it."""
    layer, loss = given if isinstance(given, tuple) else (given, None)
    cell = _cell(name, layer, x.shape[1], initial)
    states = _states(name, cell.step, x, cell.initial)
    parts = _step_jacobians(cell.by_path, x, *[states[:-1]] * len(cell.paths))
    J = np.sum(parts, axis=0)
    if not (np.isfinite(states).all() and np.isfinite(J).all()):
        raise ValueError(f"reach: a state or derivative of {name} is not finite. Check its weights and the inputs.")
    norms = _norms_of_products(J[1:], report)
    half = states.shape[1] // 2
    targets = {" to h": slice(half), " to c": slice(half, None)} if isinstance(layer, nn.LSTM) else {"": slice(None)}
    paths = {path + to: _spectral_norms(part[:, rows])
             for path, part in zip(cell.paths, parts, strict=True) for to, rows in targets.items()}  # fmt: skip
    value, loss_norms = (None, None) if loss is None else _of_loss(cell.step, x, states, loss)
    return _Run(norms, paths, loss_norms, value, _difference(cell.step, x, states, J, norms))


def _loop(step: Step, x: Array, s: Any, nudges: Any) -> list[Tensor]:
    """Run all steps, adding a nudge (N, n) to the state after each."""
    states = []
    for row, nudge in zip(x, nudges, strict=True):
        s = step(tensor(np.broadcast_to(row, (len(s), len(row)))), s) + nudge
        states.append(s)
    return states


def _of_loss(step: Step, x: Array, states: Array, loss: Callable[[Tensor], Tensor]) -> tuple[float, Array]:
    """Return the loss, and the norm of its derivative by each state (T,)."""

    def of_nudges(nudges: list[Tensor]) -> Tensor:
        return loss(ops.concatenate(_loop(step, x, tensor(states[:1]), nudges), axis=0))

    value, pull = vjp(of_nudges, list(np.zeros((len(x), 1, states.shape[1]))))
    (g,) = pull(np.ones_like(value))
    norms = np.array([np.linalg.norm(each.numpy()) for each in g])
    return value.item(), np.where(np.isnan(norms), np.inf, norms)  # a difference of infinities is NaN


def _difference(step: Step, x: Array, states: Array, J: Array, norms: Array) -> float:
    """Return the largest relative difference of the checks that :func:`reach` lists."""
    T, n = len(x), states.shape[1]
    rng = np.random.default_rng(0)
    # Sequence t of a batch of T has a random cotangent at its state t, so that one reverse pass serves all rows.
    u = rng.standard_normal((T, n))

    def of_nudges(nudges: list[Tensor]) -> Tensor:
        looped = _loop(step, x, tensor(np.repeat(states[:1], T, axis=0)), nudges)
        return (ops.stack([state[t] for t, state in enumerate(looped)]) * u).sum()

    _, pull = vjp(of_nudges, [np.zeros((T, n))] * T)
    (by_pass,) = pull(np.ones(()))  # row t of the one at s is u_t times the derivative by state s
    differences, v = [], np.zeros((T, n))
    for s in range(T - 1, -1, -1):
        v[s] = u[s]
        bound = np.abs(v[s:]).max(axis=1) / np.linalg.norm(u[s:], axis=1)  # of the norms from below; squares underflow
        differences.append(_relative(np.fmax(bound, norms[s:, s])[:, None], norms[s:, s, None], axis=1))
        differences.append(_relative(v, by_pass[s].numpy(), axis=1))
        v = v @ J[s]
    whole = jacobian(lambda s: _loop(step, x[1:], s, np.zeros((T - 1, 1, n)))[-1][0])(tensor(states[1:2])).numpy()[:, 0]
    nudge, h = rng.standard_normal((T, n)) * np.maximum(1, np.abs(states[:-1])), 1e-6
    above, below = (step(tensor(x), tensor(states[:-1] + sign * h * nudge)).numpy() for sign in (1, -1))
    return max(
        *differences,
        _relative(reduce(np.matmul, J[:0:-1]), whole),
        _relative(norms[-1, 0], np.linalg.norm(whole, 2) if np.isfinite(whole).all() else np.inf),
        _relative((J @ nudge[:, :, None])[..., 0], (above - below) / (2 * h)),
        _relative(J, _step_jacobians(step, x, states[:-1])[0]),
    )


def _relative(a: Any, b: Any, axis: int | None = None) -> float:
    """Return the largest difference of finite entries, relative to the largest entry of b along the axis."""
    finite = np.isfinite(a) & np.isfinite(b)
    size = np.abs(b, where=finite, out=np.zeros(np.shape(b))).max(axis=axis, keepdims=True)
    return float((np.abs(a - b) / np.maximum(size, 1e-300)).max(where=finite, initial=0))
