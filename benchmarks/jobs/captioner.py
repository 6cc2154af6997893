"""One training iteration of the CS231n captioner: forward, backward and Adam on a batch of captions.

Features 512, word vectors 256, hidden 512, 16 steps. Through the public API (`captioning.Captioner`,
`mg.optim.Adam`); through the facade of the notebooks (`captioning.cs231n.CaptioningRNN.loss`), which gives loss and
gradients without an update; and as a user of minigrad writes a captioner of `nn` layers, with `lengths` and `indices`
or without either (`benchmarks.jobs.captioner_of_layers`). PyTorch runs nn.LSTM or nn.RNN in every way that its users
know to be fast:

    eager            over all steps, the vocabulary product on all rows, the default Adam
    fused Adam       the same with Adam(fused=True), as have all that follow
    unmasked rows    the vocabulary product only on rows whose word counts
    packed           pack_padded_sequence: the cell too leaves out what lies after a caption's end
    compiled         "unmasked rows" by torch.compile; compiled, "packed" took 1.02 to 1.2 times the best one's time

JAX, where it is installed, has a scan over all steps in one compiled function, with Adam in it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from benchmarks.job import Aim, Case, Rival, Work
from benchmarks.jobs.captions import Sizes, captioner, captions_note, flop_of_training, vocabulary
from benchmarks.jobs.compiling import compiled

__all__ = ["cases", "minigrad", "pytorch"]

_SMALL = Aim("PyTorch", 0.75, 0.80)
_MANY_WORDS = Aim("PyTorch", 0.80, 0.85)
_LARGE = Aim("PyTorch", 0.72, 0.83)
_RNN = Aim("PyTorch", 0.75)


def cases(quick: bool = False) -> list[Case]:
    """LSTM with two vocabularies and three batch sizes, a user's own, the facade, and the vanilla RNN."""
    if quick:
        tiny = Sizes(words=50, batch=4, batches=2, features=8, wordvec=8, hidden=16)
        return [_case(tiny, _SMALL), *(_of_layers(tiny, shorter) for shorter in (True, False))]
    lstm = [Sizes(words, 25, batches=4) for words in (1004, 2917)]
    large = [Sizes(words, batch, batches=256 // batch) for batch in (128, 256) for words in (1004, 2917)]
    rnn = [Sizes(1004, batch, batches, cell="rnn") for batch, batches in ((10, 16), (128, 4))]
    return [
        *(_case(sizes, aim) for sizes, aim in zip(lstm, (_SMALL, _MANY_WORDS), strict=True)),
        *(_of_layers(lstm[0], shorter) for shorter in (True, False)),
        *(_case(sizes, aim, facade=True) for sizes, aim in zip(lstm, (_SMALL, _MANY_WORDS), strict=True)),
        *(_case(sizes, _LARGE) for sizes in large),
        *(_case(sizes, _RNN) for sizes in rnn),
    ]


def _case(sizes: Sizes, aim: Aim, facade: bool = False) -> Case:
    ways: dict[str, Callable[[], Work]] = {
        "eager": partial(pytorch, sizes, "all"),
        "fused Adam": partial(pytorch, sizes, "all", fused=True),
        "unmasked rows": partial(pytorch, sizes, "unmasked", fused=True),
        "packed": partial(pytorch, sizes, "packed", fused=True),
        "compiled": partial(pytorch, sizes, "unmasked", fused=True, compile=True),
    }
    if facade:
        del ways["fused Adam"]
        ways = {name: partial(way, update=False) for name, way in ways.items()}  # type: ignore[call-arg]
    cell = sizes.cell.upper() if sizes.cell == "lstm" else "vanilla RNN"
    return Case(
        f"{cell}, V {sizes.words:,}, batch {sizes.batch}" + ", facade, no update" * facade,
        [
            Rival("minigrad", "minigrad", partial(_facade if facade else minigrad, sizes)),
            *(Rival(name, "PyTorch", way, ("torch",)) for name, way in ways.items()),
            *([] if facade else [Rival("JAX", "JAX", partial(_jax, sizes), ("jax",))]),
        ],
        [aim],
        flop=flop_of_training(sizes, sizes.captions()),
        note=captions_note(),
    )


def _of_layers(sizes: Sizes, shorter: bool) -> Case:
    """A user's own captioner beside `Captioner`, and beside PyTorch's that leaves out as much."""
    ways = {"packed": "packed"} if shorter else {"eager": "all", "unmasked rows": "unmasked"}
    given = "with lengths and indices" if shorter else "without"
    return Case(
        f"LSTM, V {sizes.words:,}, batch {sizes.batch}, of nn layers {given}",
        [
            Rival("minigrad", "minigrad", partial(_own, sizes, shorter)),
            Rival("Captioner", "Captioner", partial(minigrad, sizes)),
            *(Rival(n, "PyTorch", partial(pytorch, sizes, rows, fused=True), ("torch",)) for n, rows in ways.items()),
        ],
        [Aim("Captioner", 1.1 if shorter else 1.3)],
        flop=flop_of_training(sizes, sizes.captions()),
        note=captions_note(),
    )


def minigrad(sizes: Sizes) -> Work:
    """Through the public API."""
    model = captioner(sizes)
    return _training(sizes, model, model.loss, lambda: model.weights)


def _own(sizes: Sizes, shorter: bool) -> Work:
    """As a user writes it."""
    from benchmarks.jobs.captioner_of_layers import OwnCaptioner

    model = OwnCaptioner(sizes.weights(), shorter)
    return _training(sizes, model, model, model.by_name)


def _training(sizes: Sizes, model: Any, loss_of: Callable[..., Any], weights: Callable[[], dict[str, Any]]) -> Work:
    """Iterations of a model of minigrad's, with Adam; the gradients are named as ``weights()`` names them."""
    import minigrad as mg

    captions, features = sizes.captions(), sizes.pictures()
    adam = mg.optim.Adam(model.parameters(), lr=1e-3)

    def outputs() -> dict[str, Any]:
        loss = loss_of(features, captions[0])
        loss.backward()
        return {"loss": loss.data, **{name: weight.grad for name, weight in weights().items()}}

    def run() -> None:
        for batch in captions:
            adam.zero_grad()
            loss_of(features, batch).backward()
            adam.step()

    return Work(run, outputs, len(captions))


def _facade(sizes: Sizes) -> Work:
    """Through the names of a CS231n notebook."""
    from captioning.cs231n import CaptioningRNN

    captions, features = sizes.captions(), sizes.pictures()
    words = vocabulary(sizes.words).word_to_idx
    model = CaptioningRNN(words, sizes.features, sizes.wordvec, sizes.hidden, sizes.cell)
    model.params = sizes.weights()

    def outputs() -> dict[str, Any]:
        loss, gradients = model.loss(features, captions[0])
        return {"loss": loss, **gradients}

    def run() -> None:
        for batch in captions:
            model.loss(features, batch)

    return Work(run, outputs, len(captions))


def pytorch(sizes: Sizes, rows: str, fused: bool = False, compile: bool = False, update: bool = True) -> Work:
    """One way in PyTorch; `update` is Adam's step."""
    import torch

    from benchmarks.jobs.captioner_in_torch import TorchCaptioner

    net = TorchCaptioner(sizes.weights(), sizes.cell, rows)
    loss_of = compiled(net, dynamic=True) if compile else net
    adam = torch.optim.Adam(net.trained(), lr=1e-3, fused=fused)
    features, captions = torch.tensor(sizes.pictures()), [torch.tensor(ids) for ids in sizes.captions()]

    def outputs() -> dict[str, Any]:
        loss = loss_of(features, captions[0])
        loss.backward()
        return {"loss": loss.detach().numpy(), **net.gradients()}

    def run() -> None:
        for batch in captions:
            adam.zero_grad()
            loss_of(features, batch).backward()
            if update:
                adam.step()

    return Work(run, outputs, len(captions))


def _jax(sizes: Sizes) -> Work:
    """Compiled, with its own Adam."""
    from benchmarks.jobs.captioner_in_jax import training

    captions = sizes.captions()
    gradients_of, iteration = training(sizes.weights(), sizes.pictures())

    def outputs() -> dict[str, Any]:
        import numpy as np

        loss, gradients = gradients_of(captions[0])
        return {"loss": np.array(loss), **{name: np.array(g) for name, g in gradients.items()}}

    def run() -> None:
        for batch in captions:
            iteration(batch)

    return Work(run, outputs, len(captions))
