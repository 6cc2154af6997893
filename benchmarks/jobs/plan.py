"""What the graph costs small networks: a training step beside the same primitives called one after the other, by hand.

By hand there is no graph: forwards and VJPs of minigrad's primitives are called on arrays in the order that the graph
has for them, and Adam is the same. A plan that replays a recorded step as a flat list of calls can do no better, so the
ratio bounds what it could gain.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from benchmarks.job import Aim, Case, Rival, Work

__all__ = ["cases"]

_BATCHES = 20
_CLASSES = 10
_MLP = (64, 784, 128)  # batch, input, hidden
_RNN = (16, 20, 32, 64)  # batch, steps, input, hidden


def cases(quick: bool = False) -> list[Case]:
    """A perceptron and a recurrent network."""
    N, D, H = _MLP
    batch, T, columns, hidden = _RNN
    names = {
        f"MLP {D}-{H}-{_CLASSES}, batch {N}": (_perceptron, _perceptron_by_hand),
        f"RNN of {batch}x{T}, {columns}-{hidden}-{_CLASSES}": (_recurrent, _recurrent_by_hand),
    }
    return [
        Case(name, [Rival("minigrad", "minigrad", step), Rival("by hand", "no graph", hand)], [Aim("no graph", 1.3)])
        for name, (step, hand) in names.items()
    ]


def _arrays(shapes: Sequence[tuple[int, ...]], inputs: tuple[int, ...]) -> tuple[list[Any], list[Any], list[Any]]:
    """Weights of some shapes, and some batches of inputs and of classes, one for each row."""
    import numpy as np

    rng = np.random.default_rng(0)
    weights = [(rng.standard_normal(shape) / shape[0] ** 0.5).astype(np.float32) for shape in shapes]
    return (
        weights,
        [rng.standard_normal(inputs).astype(np.float32) for _ in range(_BATCHES)],
        [rng.integers(_CLASSES, size=inputs[:-1]) for _ in range(_BATCHES)],
    )


def _of_perceptron() -> tuple[list[Any], list[Any], list[Any]]:
    N, D, H = _MLP
    return _arrays([(D, H), (H,), (H, _CLASSES), (_CLASSES,)], (N, D))


def _of_recurrent() -> tuple[list[Any], list[Any], list[Any]]:
    N, T, D, H = _RNN
    return _arrays([(D, H), (H, H), (H,), (H, _CLASSES), (_CLASSES,)], (N, T, D))


def _work(parameters: list[Any], batches: tuple[list[Any], list[Any]], step: Callable[[Any, Any], Any]) -> Work:
    """Steps of Adam; ``step`` gives the loss of a batch and leaves gradients at the parameters."""
    import numpy as np

    import minigrad as mg

    adam = mg.optim.Adam(parameters, lr=1e-3)

    def outputs() -> dict[str, Any]:
        loss = step(batches[0][0], batches[1][0])
        gradients = {f"gradient {i}": p.grad for i, p in enumerate(parameters)}
        adam.zero_grad()
        return {"loss": np.asarray(loss), **gradients}

    def run() -> None:
        for x, y in zip(*batches, strict=True):
            step(x, y)
            adam.step()
            adam.zero_grad()

    return Work(run, outputs, _BATCHES)


# --- as it is written -------------------------------------------------------------------------------


def _perceptron() -> Work:
    import minigrad as mg

    weights, *batches = _of_perceptron()
    _, D, H = _MLP
    net = mg.nn.Sequential(mg.nn.Linear(D, H), mg.nn.ReLU(), mg.nn.Linear(H, _CLASSES))
    return _of_module(net, weights, (batches[0], batches[1]), net)


def _recurrent() -> Work:
    import minigrad as mg

    weights, *batches = _of_recurrent()
    _, _, D, H = _RNN
    rnn, last = mg.nn.RNN(D, H), mg.nn.Linear(H, _CLASSES)
    return _of_module(mg.nn.ModuleList([rnn, last]), weights, (batches[0], batches[1]), lambda x: last(rnn(x)[0]))


def _of_module(
    module: Any, weights: list[Any], batches: tuple[list[Any], list[Any]], scores: Callable[[Any], Any]
) -> Work:
    import minigrad as mg

    parameters = list(module.parameters())
    for parameter, array in zip(parameters, weights, strict=True):
        parameter.data = array

    def step(x: Any, y: Any) -> Any:
        loss = mg.cross_entropy(scores(x), y)
        loss.backward()
        return loss.data

    return _work(parameters, batches, step)


# --- by hand ----------------------------------------------------------------------------------------

_ALL = (True,) * 6
_BUT_THE_FIRST = (False, *_ALL[1:])


def _by_hand(
    weights: list[Any], batches: tuple[list[Any], list[Any]], gradients: Callable[..., tuple[Any, list[Any]]]
) -> Work:
    """``gradients(weights, x, y)``: the loss of a batch, and the gradients of the weights."""
    import minigrad as mg

    parameters = [mg.nn.Parameter(w) for w in weights]
    arrays = [p.data for p in parameters]

    def step(x: Any, y: Any) -> Any:
        loss, found = gradients(arrays, x, y)
        for p, gradient in zip(parameters, found, strict=True):
            p.grad = gradient
        return loss

    return _work(parameters, batches, step)


def _perceptron_by_hand() -> Work:
    import numpy as np

    from minigrad import ops

    affine, relu, cross_entropy = (op.primitive for op in (ops.affine, ops.relu, ops.cross_entropy))
    one = np.ones((), np.float32)

    def gradients(weights: list[Any], x: Any, y: Any) -> tuple[Any, list[Any]]:
        Wx, bx, Wh, bh = weights
        a, of_first = affine.forward(x, Wx, bx)
        h, of_relu = relu.forward(a)
        scores, of_last = affine.forward(h, Wh, bh)
        loss, of_loss = cross_entropy.forward(scores, y)
        g, _ = cross_entropy.vjp(one, _ALL, *of_loss)
        dh, dWh, dbh = affine.vjp(g, _ALL, *of_last)
        (da,) = relu.vjp(dh, _ALL, *of_relu)
        _, dWx, dbx = affine.vjp(da, _BUT_THE_FIRST, *of_first)
        return loss, [dWx, dbx, dWh, dbh]

    weights, *batches = _of_perceptron()
    return _by_hand(weights, (batches[0], batches[1]), gradients)


def _recurrent_by_hand() -> Work:
    import numpy as np

    from minigrad import ops

    rnn, affine, cross_entropy = (op.primitive for op in (ops.rnn, ops.affine, ops.cross_entropy))
    one, first = np.ones((), np.float32), np.zeros((_RNN[0], _RNN[-1]), np.float32)

    def gradients(weights: list[Any], x: Any, y: Any) -> tuple[Any, list[Any]]:
        Wx, Wh, b, W, c = weights
        h, of_rnn = rnn.forward(x, first, Wx, Wh, b)
        scores, of_last = affine.forward(h, W, c)
        loss, of_loss = cross_entropy.forward(scores, y)
        g, _ = cross_entropy.vjp(one, _ALL, *of_loss)
        dh, dW, dc = affine.vjp(g, _ALL, *of_last)
        _, _, dWx, dWh, db = rnn.vjp(dh, (False, False, True, True, True), *of_rnn)
        return loss, [dWx, dWh, db, dW, dc]

    weights, *batches = _of_recurrent()
    return _by_hand(weights, (batches[0], batches[1]), gradients)
