"""Call each primitive on its own test cases, and each optimiser: all compiled functions of the package run."""

from __future__ import annotations

import warnings

import numpy as np

import minigrad as mg
from minigrad.core import Tensor
from minigrad.optim import first_order
from tests.checks import draw, families, function_of, leaf


def run(count: int = 12) -> None:
    warnings.simplefilter("ignore")
    for name, module in families().items():
        for case in draw(module.CASES[name], count):
            for dtype in (np.float64, np.float32):
                inputs = [a.astype(dtype) if getattr(a, "dtype", None) == np.float64 else a for a in case.inputs]
                with np.errstate(all="ignore"):
                    _pull(function_of(name)(*map(leaf, inputs), **case.options))
    for optimiser in first_order.__all__:
        _train(getattr(mg.optim, optimiser))


def _pull(result: object) -> None:
    if isinstance(result, (tuple, list)):
        for part in result:
            _pull(part)
    elif isinstance(result, Tensor) and result.requires_grad:
        result.backward(np.ones(result.shape, result.dtype), retain_graph=True)


def _train(optimiser: type) -> None:
    p = mg.tensor(np.ones(8, np.float32), requires_grad=True)
    p.grad = np.ones(8, np.float32)
    steps = optimiser([p], lr=0.1)
    average = mg.optim.EMA([p])
    steps.step()
    average.update()
