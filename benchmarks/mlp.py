"""A training step of a small MLP: 784-128-10, batch 64, relu, cross-entropy, Adam, against PyTorch.

Through the public API: ``mg.nn``, ``mg.optim``. PyTorch runs eager with its default Adam and with ``Adam(fused=True)``,
and with ``--compile`` its compiled forward and backward with the fused one. The losses of the first steps are first
shown equal.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))
import timing  # first: it chooses the BLAS settings

import numpy as np
import torch

import minigrad as mg
from minigrad import threads

SIZES, BATCH, STEPS = (784, 128, 10), 64, 20


def batch() -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    return rng.standard_normal((BATCH, SIZES[0]), np.float32), rng.integers(0, SIZES[-1], BATCH)


def by_minigrad() -> Callable[[], float]:
    """A function that does one step and returns the loss."""
    model = mg.nn.Sequential(mg.nn.Linear(*SIZES[:2], rng=0), mg.nn.ReLU(), mg.nn.Linear(*SIZES[1:], rng=1))
    adam = mg.optim.Adam(model.parameters(), lr=1e-3)
    x, t = batch()

    def step() -> float:
        adam.zero_grad()
        loss = mg.ops.cross_entropy(model(x), t)
        loss.backward()
        adam.step()
        return float(loss)

    return step


def by_pytorch(compiled: bool = False, **options: Any) -> Callable[[], float]:
    """The same step from the same weights."""
    model = torch.nn.Sequential(torch.nn.Linear(*SIZES[:2]), torch.nn.ReLU(), torch.nn.Linear(*SIZES[1:]))
    with torch.no_grad():
        for i, seed in ((0, 0), (2, 1)):
            layer = mg.nn.Linear(*SIZES[i // 2 : i // 2 + 2], rng=seed)
            model[i].weight.copy_(torch.from_numpy(layer.weight.data.T))
            model[i].bias.copy_(torch.from_numpy(layer.bias.data))
    adam = torch.optim.Adam(model.parameters(), lr=1e-3, **options)
    x, t = map(torch.from_numpy, batch())

    def loss_of(x: Any, t: Any) -> Any:
        return torch.nn.functional.cross_entropy(model(x), t)

    run = torch.compile(loss_of) if compiled else loss_of

    def step() -> float:
        adam.zero_grad()
        loss = run(x, t)
        loss.backward()
        adam.step()
        return loss.item()

    return step


def several(step: Callable[[], float]) -> Callable[[], None]:
    def steps() -> None:
        for _ in range(STEPS):
            step()

    return steps


def main() -> None:
    """Compare and print ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--repeats", type=int, default=40, help="rounds of 20 steps; the best counts (default: 40)")
    parser.add_argument("--compile", action="store_true", help="also torch.compile, which needs a C++ compiler")
    options = parser.parse_args()
    print(timing.kernel())
    for number in options.threads:
        threads.set_num_threads(number)
        with timing.threads(number):
            rivals = {"minigrad": by_minigrad(), "pytorch": by_pytorch(), "fused": by_pytorch(fused=True)}
            if options.compile:
                rivals["compiled"] = by_pytorch(compiled=True, fused=True)
            losses = {name: [step() for _ in range(5)] for name, step in rivals.items()}
            for name, values in losses.items():
                np.testing.assert_allclose(values, losses["pytorch"], rtol=1e-5, err_msg=name)
            results = timing.compare({name: several(step) for name, step in rivals.items()}, options.repeats)
        label = f"{STEPS} steps, {number} thread{'s' * (number > 1)}"
        for rival in [name for name in rivals if name != "minigrad"]:
            timing.print_ratios({label: {"minigrad": results["minigrad"], rival: results[rival]}}, rival)


if __name__ == "__main__":
    main()
