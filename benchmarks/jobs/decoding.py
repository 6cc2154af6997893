"""Captions by the LSTM captioner, 16 words each: for 1,000 images greedily, for 250 with a beam of width 3.

Weights are random, with `<END>` so unlikely that every caption has 16 words: all rivals do the same work. Choices
between words that are equal up to rounding may fall either way, in at most one caption of a hundred.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from benchmarks.job import Aim, Case, Rival, Work
from benchmarks.jobs.captions import Array, Sizes, captioner
from benchmarks.jobs.compiling import compiled

__all__ = ["cases"]

_LENGTH, _WIDTH = 16, 3
_END, _FORBIDDEN = 2, [0, 1, 3]  # <NULL>, <START> and <UNK> are never said


def cases(quick: bool = False) -> list[Case]:
    """Greedy decoding and beam search."""
    small = Sizes(words=50, batch=20, features=8, wordvec=8, hidden=16)
    return [_case(small if quick else Sizes(batch=batch), width) for batch, width in ((1000, 1), (250, _WIDTH))]


def _case(sizes: Sizes, width: int) -> Case:
    """A PyTorch user may decode all images at once, or a few hundred at a time to keep a step's arrays in the cache."""
    part = max(1, sizes.batch // (8 if width == 1 else 2))
    ways: dict[str, Callable[[], Work]] = {
        "all at once": partial(_pytorch, sizes, width, sizes.batch),
        f"{part} at a time": partial(_pytorch, sizes, width, part),
        "compiled": partial(_pytorch, sizes, width, sizes.batch, compile=True),
    }
    return Case(
        f"{'greedy' if width == 1 else f'beam {width}'}, {sizes.batch:,} images, V {sizes.words:,}",
        [
            Rival("minigrad", "minigrad", partial(_minigrad, sizes, width)),
            *(Rival(name, "PyTorch", way, ("torch",)) for name, way in ways.items()),
        ],
        [Aim("PyTorch", 0.70)],
        flop=_flop(sizes, width),
        share=max(0.01, 1 / sizes.batch),
    )


def _flop(sizes: Sizes, width: int) -> float:
    """Of the products of 16 steps; in the first one a beam holds one caption, and an image needs one row."""
    rows = sizes.batch * (1 + (_LENGTH - 1) * width)
    step = 4 * sizes.hidden * (sizes.wordvec + sizes.hidden) + sizes.hidden * sizes.words
    return 2.0 * (rows * step + sizes.batch * sizes.features * sizes.hidden)


def _weights(sizes: Sizes) -> dict[str, Array]:
    weights = sizes.weights()
    weights["W_vocab"] *= 8
    weights["b_vocab"][_END] = -1e4
    return weights


def _minigrad(sizes: Sizes, width: int) -> Work:
    from captioning import beam, greedy

    model, features = captioner(sizes, _weights(sizes)), sizes.pictures()

    def run() -> Any:
        if width == 1:
            return greedy(model, features, _LENGTH)
        return beam(model, features, width, _LENGTH)

    return Work(run, lambda: {"captions": run()})


def _pytorch(sizes: Sizes, width: int, part: int, compile: bool = False) -> Work:
    """Decode `part` images at a time."""
    import torch

    from benchmarks.jobs.decoding_in_torch import TorchDecoder

    decoder = TorchDecoder(_weights(sizes), _FORBIDDEN, _END)
    if compile:
        decoder.step = compiled(decoder.step)  # type: ignore[method-assign]
    pictures: Any = torch.tensor(sizes.pictures())
    parts = pictures.split(part)

    def run() -> Any:
        with torch.inference_mode():
            captions = [
                decoder.greedy(rows, _LENGTH) if width == 1 else decoder.beam(rows, width, _LENGTH) for rows in parts
            ]
            return torch.cat(captions)

    return Work(run, lambda: {"captions": run().numpy().astype("int32")})
