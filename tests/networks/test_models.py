"""Whole networks beside PyTorch: outputs, losses, every gradient, five steps of training and where they end.

Weights go over by ``mg.interop``. With PyTorch everything is compared entry by entry; without it, losses, and norms
and projections of all gradients, with what it gave (frozen).
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from tests.networks.layers import minigrads_layers, pytorchs_layers, train
from tests.networks.models import MODELS, formula
from tests.peers import Peer, pytorch

PYTORCH = Peer(__name__)
STEPS = 5
TOLERANCE = {"float64": (1e-6, 1e-9, 1e-6), "float32": (1e-3, 2e-4, 5e-3)}
"""How far losses may be apart in five steps; gradients in the first; weights in the end.

Losses are beside PyTorch's of the same precision, gradients and weights beside those in double precision: of the
U-Net's in single PyTorch's are up to 6e-3 of the largest off, where a maximum or a kink is decided by rounding.
"""


def built(name: str, dtype: str) -> Any:
    """The network by minigrad, with weights of a formula: numbers of random streams change with NumPy."""
    before = mg.get_default_dtype()
    mg.set_default_dtype(dtype)
    try:
        model = MODELS[name].build(minigrads_layers())
    finally:
        mg.set_default_dtype(before)
    for i, (key, p) in enumerate(model.named_parameters()):
        if p.ndim > 1:
            fan = mg.nn.init.fans(p.shape)[0] if "words" not in key and "places" not in key else 4
            p.data[...] = formula(p.shape, i) * (2 / fan) ** 0.5
        else:
            p.data[...] = key.endswith("weight") + 0.1 * formula(p.shape, i)
    return model


def as_torch_names(model: Any, values: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Arrays for all parameters under PyTorch's names and in its layouts: of gradients as of weights."""
    kept = {key: p.data.copy() for key, p in model.named_parameters()}
    try:
        for key, p in model.named_parameters():
            p.data[...] = values[key]
        state = mg.interop.to_torch(model, tensors=False)
    finally:
        for key, p in model.named_parameters():
            p.data[...] = kept[key]
    return state


@functools.cache
def of_pytorch(
    name: str, dtype: str
) -> tuple[list[float], dict[str, np.ndarray], dict[str, np.ndarray], list[np.ndarray]]:
    """Losses, gradients of the first step, the state in the end, and the outputs of the first step."""
    torch, mine = pytorch(), built(name, dtype)
    b = pytorchs_layers(torch)
    twin = MODELS[name].build(b).to(getattr(torch, dtype))
    twin.load_state_dict(mg.interop.to_torch(mine))
    losses, gradients = train(b, twin, MODELS[name].losses(b, twin, dtype), STEPS, MODELS[name].lr)
    outputs = b.seen[: len(b.seen) // STEPS]
    return losses, gradients, {key: t.numpy() for key, t in twin.state_dict().items()}, outputs


def compared(keys: Any) -> list[str]:
    """Those of parameters, in order; of the two biases of an LSTM, which have one gradient, the first."""
    return [key for key in sorted(keys) if "running" not in key and "batches" not in key and "lstm.bias_hh" not in key]


def figures(gradient: np.ndarray) -> np.ndarray:
    """The norm, and the projection on a direction that has a part of every entry, cos(0.7 i² + 1)."""
    flat = gradient.astype(np.float64).ravel()
    return np.array([np.linalg.norm(flat), flat @ np.cos(0.7 * np.arange(flat.size, dtype=np.int64) ** 2 + 1)])


def summary(name: str, dtype: str) -> list[Any]:
    """What is frozen: losses, and figures of each gradient."""
    gradients = of_pytorch(name, "float64")[1]
    return [np.array(of_pytorch(name, dtype)[0]), *(figures(gradients[key]) for key in compared(gradients))]


RUNS = [*((name, "float64") for name in MODELS), *((name, "float32") for name in ("transformer", "language_model"))]


@pytest.mark.parametrize(("name", "dtype"), RUNS)
def test_trains_as_with_pytorch(name: str, dtype: str) -> None:
    of_losses, of_gradients, _ = TOLERANCE[dtype]
    answer = PYTORCH.ask(f"{name} {dtype}", lambda torch: summary(name, dtype), within=of_losses)
    model, b = built(name, dtype), minigrads_layers()
    losses, gradients = train(b, model, MODELS[name].losses(b, model, dtype), STEPS, MODELS[name].lr)
    assert {str(g.dtype) for g in gradients.values()} == {dtype}
    expected, *kept = answer.expected
    np.testing.assert_allclose(losses, expected, rtol=of_losses)
    assert abs(losses[0] - losses[-1]) > 1e-2  # the network learns
    named = as_torch_names(model, gradients)
    for key, (norm, projection) in zip(compared(named), kept, strict=True):
        mine, largest = figures(named[key]), of_gradients * max(norm, 1e-2)
        assert abs(mine[0] - norm) <= largest, key
        assert abs(mine[1] - projection) <= largest * max(1, named[key].size ** 0.5 / 10), key
    if pytorch():
        check_entries(name, dtype, model, named)
        outputs = of_pytorch(name, "float64")[3]
        assert outputs
        for mine, theirs in zip(b.seen[: len(outputs)], outputs, strict=True):
            np.testing.assert_allclose(mine, theirs, rtol=0, atol=of_gradients * np.abs(theirs).max())


def check_entries(name: str, dtype: str, model: Any, named: dict[str, np.ndarray]) -> None:
    """Gradients, and weights and statistics after all steps, against the largest entry of each."""
    _, of_gradients, of_weights = TOLERANCE[dtype]
    _, gradients, trained, _ = of_pytorch(name, "float64")
    state = mg.interop.to_torch(model, tensors=False)
    assert state.keys() == trained.keys()
    for mine, theirs, tolerance in ((named, gradients, of_gradients), (state, trained, of_weights)):
        for key in compared(theirs):
            largest = max(np.abs(theirs[key]).max(), 1e-2)
            np.testing.assert_allclose(mine[key], theirs[key], rtol=0, atol=tolerance * largest, err_msg=key)
