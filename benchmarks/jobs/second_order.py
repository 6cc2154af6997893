"""The product of the captioner's Hessian with a vector, beside a gradient and beside PyTorch's.

The loss of a captioner on a batch of captions, in all weights: features 512, word vectors 256, hidden 512, 16 steps.
minigrad's `mg.hvp` runs the forward, a reverse pass that leaves a graph, and a reverse pass through all of that. Of
matrix products it needs three times as many as a gradient: for each forwards 9, where a gradient needs 3.

PyTorch does the same by `torch.autograd.grad(…, create_graph=True)` and another `torch.autograd.grad`, with its layer
over all steps, with the vocabulary product on the rows that count, or packed. Its oneDNN kernel for an LSTM has no
second derivative and is turned off.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from benchmarks.job import Aim, Case, Rival, Work
from benchmarks.jobs.captions import Sizes, captioner, captions_note, flop_of_training

__all__ = ["cases"]

_WAYS = {"eager": "all", "unmasked rows": "unmasked", "packed": "packed"}


def cases(quick: bool = False) -> list[Case]:
    """LSTM and vanilla RNN: against a gradient of minigrad's, and against PyTorch's same product."""
    if quick:
        return [case(Sizes(words=50, batch=4, batches=1, features=8, wordvec=8, hidden=16)) for case in (_work, _peers)]
    sizes = Sizes(1004, 25, batches=2), Sizes(1004, 25, batches=2, cell="rnn")
    return [case(s) for s in sizes for case in (_work, _peers)]


def _name(sizes: Sizes) -> str:
    cell = "LSTM" if sizes.cell == "lstm" else "vanilla RNN"
    return f"{cell}, V {sizes.words:,}, batch {sizes.batch}"


def _work(sizes: Sizes) -> Case:
    """How many gradients a product costs."""
    return Case(
        f"{_name(sizes)}, against a gradient",
        [
            Rival("minigrad", "minigrad", partial(_product, sizes, False)),
            Rival("gradient", "gradient", partial(_gradient, sizes)),
        ],
        [Aim("gradient", 3.5)],
        flop=3 * flop_of_training(sizes, sizes.captions()),
        note=captions_note(),
    )


def _peers(sizes: Sizes) -> Case:
    """PyTorch's same product."""
    return Case(
        f"{_name(sizes)}, against PyTorch",
        [
            Rival("minigrad", "minigrad", partial(_product, sizes)),
            *(Rival(name, "PyTorch", partial(_pytorch, sizes, rows), ("torch",)) for name, rows in _WAYS.items()),
        ],
        [Aim("PyTorch", 1.0)],
        flop=3 * flop_of_training(sizes, sizes.captions()),
        note=captions_note(),
    )


def _vectors(sizes: Sizes) -> dict[str, Any]:
    """A vector for each weight, by CS231n's names: the first weights of another draw."""
    import numpy as np

    rng = np.random.default_rng(3)
    return {
        name: (rng.standard_normal(weight.shape) / np.sqrt(len(weight))).astype(np.float32)
        for name, weight in sizes.weights().items()
    }


def _product(sizes: Sizes, checked: bool = True) -> Work:
    """minigrad's product; `checked`: compared with what others compute."""
    import minigrad as mg

    model, captions, features = captioner(sizes), sizes.captions(), sizes.pictures()
    paths = {id(parameter): path for path, parameter in model.named_parameters()}
    names = {name: paths[id(weight)] for name, weight in model.weights.items()}
    vectors = {names[name]: vector for name, vector in _vectors(sizes).items()}

    def product(batch: Any) -> dict[str, Any]:
        (found,) = mg.hvp(lambda model: model.loss(features, batch), [model], [vectors])
        return found

    def outputs() -> dict[str, Any]:
        found = product(captions[0])
        return {name: found[path].data for name, path in names.items()}

    def run() -> None:
        for batch in captions:
            product(batch)

    return Work(run, outputs if checked else dict, len(captions))


def _gradient(sizes: Sizes) -> Work:
    import minigrad as mg

    model, captions, features = captioner(sizes), sizes.captions(), sizes.pictures()

    def run() -> None:
        for batch in captions:
            mg.value_and_grad(lambda model, batch=batch: model.loss(features, batch))(model)

    return Work(run, units=len(captions))


def _pytorch(sizes: Sizes, rows: str) -> Work:
    import torch

    from benchmarks.jobs.captioner_in_torch import TorchCaptioner

    net = TorchCaptioner(sizes.weights(), sizes.cell, rows)
    features, captions = torch.tensor(sizes.pictures()), [torch.tensor(ids) for ids in sizes.captions()]
    weights, vectors = net.trained(), [torch.tensor(v) for v in net.as_theirs(_vectors(sizes)).values()]

    def product(batch: Any) -> Any:
        with torch.backends.mkldnn.flags(enabled=False):
            gradient = torch.autograd.grad(net(features, batch), weights, create_graph=True)
            return torch.autograd.grad(gradient, weights, vectors)

    def outputs() -> dict[str, Any]:
        return net.as_ours(dict(zip(net.by_name(), product(captions[0]), strict=True)))

    def run() -> None:
        for batch in captions:
            product(batch)

    return Work(run, outputs, len(captions))
