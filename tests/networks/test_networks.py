"""Whole networks: the loss and every gradient are what PyTorch computes, as kept in expected.json."""

from __future__ import annotations

import numpy as np
import pytest

import minigrad as mg
from tests.networks.backends import Minigrad
from tests.networks.expected import expected, figures
from tests.networks.nets import NETWORKS, run, weights_of

KEPT = expected()


@pytest.mark.parametrize(("dtype", "tolerance", "threads"), [(np.float64, 1e-9, 1), (np.float32, 2e-4, 2)])
@pytest.mark.parametrize("name", NETWORKS)
def test_loss_and_gradients(name: str, dtype: type, tolerance: float, threads: int) -> None:
    kept, before = KEPT[name], mg.get_num_threads()
    mg.set_num_threads(threads)
    try:
        loss, gradients = run(name, Minigrad, dtype, weights_of(name, Minigrad, dtype))
    finally:
        mg.set_num_threads(before)
    assert loss == pytest.approx(kept["loss"], rel=tolerance)
    assert gradients.keys() == kept["gradients"].keys()
    for key, gradient in gradients.items():
        assert gradient.dtype == dtype
        norm, projection = kept["gradients"][key]
        mine = figures(gradient)
        # A projection on a direction of norm about sqrt(n / 2) is off by as much as the gradient is along it.
        assert mine[0] == pytest.approx(norm, rel=tolerance, abs=tolerance * 1e-2), key
        assert abs(mine[1] - projection) <= tolerance * max(norm, 1e-2) * max(1, gradient.size**0.5 / 10), key


def test_every_network_that_is_kept_is_run() -> None:
    assert KEPT.keys() == NETWORKS.keys()
    assert all(norm > 0 for network in KEPT.values() for norm, _ in network["gradients"].values())
