"""The examples of claims 4-1 to 4-5: small networks, drawn by seeds or enumerated.

The constants at the end are the domains, with what they promise.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

import minigrad as mg
from theory.domains import Domain, enumerated, sampled
from theory.eigenvalues.powers import spectral_norm, spectral_radius
from theory.refutation import require


@dataclass(frozen=True)
class Network:
    """A tanh RNN or an LSTM of H units, drawn by a seed. size: the standard deviation of its normal inputs.

    kind: the RNN's weights are 'signed', with normally distributed entries; or their absolute values ('positive'); or
    S Q S^-1 with a diagonal S and an orthogonal Q ('scaled'). radius: the spectral radius of the absolute
    values, and for 'scaled' that of Wh. An 'LSTM' has recurrent weights of sizes from 0.1 to 100, times the radius, for
    half of its gates.
    """

    kind: str
    H: int
    radius: float
    size: float
    seed: int

    @property
    def Wh(self) -> NDArray[np.float64]:  # noqa: N802 - as in the formulas
        """The RNN's recurrent weights, (H, H), in multiples of 2^-16."""
        rng = np.random.default_rng(self.seed)
        W, s = rng.normal(size=(self.H, self.H)), rng.uniform(0.5, 2, self.H)
        W = np.linalg.qr(W)[0] * s[:, None] / s if self.kind == "scaled" else W / spectral_radius(np.abs(W))
        return np.trunc(2**16 * self.radius * (np.abs(W) if self.kind == "positive" else W)) / 2**16

    def arrays(self, steps: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The RNN's inputs of each unit, (steps, H), and two initial states, (2, H), with entries from -1 to 1."""
        rng = np.random.default_rng([1, self.seed])
        return self.size * rng.normal(size=(steps, self.H)), rng.uniform(-1, 1, (2, self.H))

    def lstm(self, steps: int) -> dict[str, Any]:
        """The LSTM's arguments for `theory.eigenvalues.gradient_flow.cell_jacobians`."""
        rng, H = np.random.default_rng(self.seed), self.H
        scales = np.repeat(self.radius * 10 ** rng.uniform(-1, 2, 4) * (rng.random(4) < 0.5), H)
        Wx, Wh, b = rng.normal(size=(1, 4 * H)), scales * rng.normal(size=(H, 4 * H)), 3 * rng.normal(size=4 * H)
        h0, c0 = rng.uniform(-1, 1, H), 0.3 * rng.normal(size=H)
        return {"x": self.size * rng.normal(size=(steps, 1)), "h0": h0, "c0": c0, "Wx": Wx, "Wh": Wh, "b": b}


def residual_functions(case: tuple[int, int, float, int, int]) -> tuple[list[mg.nn.Sequential], NDArray[np.float64]]:
    """Return functions W2' tanh(W1' x + b1) + b2 and an input (n,).

    case: the numbers n of entries and m of hidden units; the bound of ‖W2' D W1'‖ for all diagonal D with entries from
    0 to 1; the number of functions; and a seed.

    >>> functions, x = residual_functions((2, 3, 0.5, 4, 0))
    >>> len(functions), x.shape
    (4, (2,))
    """
    n, m, bound, number, seed = case
    rng, functions = np.random.default_rng(seed), []
    for _ in range(number):
        first, last = (mg.nn.Linear(*sizes, dtype=np.float64, rng=rng) for sizes in ((n, m), (m, n)))
        corners = (np.array(d)[:, None] * last.weight.data for d in product((0, 1), repeat=m))
        last.weight.data *= bound / max(spectral_norm(first.weight.data @ corner) for corner in corners)
        functions.append(mg.nn.Sequential(first, mg.nn.Tanh(), last))
    return functions, rng.normal(size=n)


# The domains, and what they promise -------------------------------------------------------------------

_seeds = st.integers(0, 2**32 - 1)
_sizes = 0.0, 1.0, 30.0


def _matrices(*entries: float) -> list[list[list[float]]]:
    """All 2x2 matrices with these entries, those with the fewest nonzero ones first."""
    return [[[a, b], [c, d]] for a, b, c, d in sorted(product(entries, repeat=4), key=np.count_nonzero)]


def _certify(network: Network) -> None:
    found = spectral_radius(network.Wh if network.kind == "scaled" else np.abs(network.Wh))
    require(abs(found - network.radius) < 0.01, f"the radius is {found}, not {network.radius}")


def _networks(kind: str, radii: tuple[float, ...], features: dict[str, Any], smallest: int = 1) -> Domain:
    """RNNs of a kind and these radii, with inputs of 0, 1 and 30."""
    fields = st.just(kind), st.integers(smallest, 4), st.sampled_from(radii), st.sampled_from(_sizes), _seeds
    features |= {f"a radius of {r}": lambda network, r=r: network.radius == r for r in radii}
    features |= {f"inputs of {size}": lambda network, size=size: network.size == size for size in _sizes}
    features |= {"4 units": lambda network: network.H == 4}
    return sampled(st.builds(Network, *fields), features, _certify)


FLIPS = enumerated(_matrices(0, 1.5, -1.5), 3**4)
SIGNED = _networks(
    "signed", (0.5, 0.9, 0.98),
    {"a radius far below that of |Wh|": lambda network: spectral_radius(network.Wh) < 0.7 * network.radius},
)  # fmt: skip
POSITIVE = _networks("positive", (1.1, 2.0, 5.0), {})
# All 2x2 matrices with the entries 0 and 2, the fewest twos first; and the units that are 0 at odd and at even steps.
TWOS = enumerated(list(product(_matrices(0, 2), product((0, 1), repeat=2))), 2**4 * 2**2)
SCALED = _networks(
    "scaled", (0.5, 0.9, 0.98),
    {"weights whose |Wh| has a radius above 1": lambda network: spectral_radius(np.abs(network.Wh)) > 1,
     "weights of a norm above 1": lambda network: spectral_norm(network.Wh) > 1}, 2,
)  # fmt: skip
# The biases of the gates i, f and o, the recurrent weight of g, and the number of steps.
ONE_CELL = sampled(
    st.just((40.0, 0.0, 40.0, 2.0, 30)) | st.tuples(*[st.floats(-4, 4)] * 4, st.integers(1, 40)),
    {
        "input and output gates of 1": lambda case: case[0] == case[2] == 40,
        "a negative weight": lambda case: case[3] < -1,
        "one step": lambda case: case[4] == 1,
    },
)
# The first four refute bounds without the weights of i, f, o and g. The bound of the last is certified.
_runs = [Network("LSTM", 1, 1.0, 0.0, seed) for seed in (13, 41, 700, 30, 29)]
CELLS = sampled(
    st.sampled_from(_runs)
    | st.builds(Network, st.just("LSTM"), st.integers(1, 4), st.just(1.0), st.sampled_from(_sizes), _seeds),
    {
        **{f"the seed {run.seed}": run.__eq__ for run in _runs},
        "large weights of 4 units": lambda network: network.H == 4 and spectral_norm(network.lstm(1)["Wh"]) > 10,
    },
)
_weights = st.floats(1.1, 10)
# The size of the weight, the initial state, and the weight's sign.
UNITS = sampled(
    st.tuples(_weights, st.just(0.0) | st.floats(0.01, 1), st.sampled_from((1, -1))),
    {"the initial state 0": lambda case: case[1] == 0, "a small one": lambda case: 0 < case[1] < 0.1,
     "a negative weight": lambda case: case[2] < 0},
)  # fmt: skip
# w, the largest input as a share of the critical one, h_0 from a (0) to 1 (1), and whether all inputs are -e.
LATCHES = sampled(
    st.tuples(_weights, st.sampled_from((0.0, 0.5, 0.99)), st.floats(0, 1), st.booleans(), _seeds),
    {
        "inputs near the critical ones": lambda case: case[1] == 0.99,
        "inputs of the smallest state": lambda case: case[2:4] == (0, True),
    },
)
CRITICAL = sampled(_weights, {"a weight below 1.5": lambda w: w < 1.5, "a weight above 5": lambda w: w > 5})
# What `residual_functions` takes.
RESIDUAL = sampled(
    st.tuples(st.integers(1, 3), st.integers(1, 4), st.sampled_from((0.1, 0.4, 0.9)), st.integers(1, 12), _seeds),
    {
        "the bound 0.1": lambda case: case[2] == 0.1,
        "10 blocks or more of 3 numbers, with the bound 0.9": lambda case: (
            case[3] >= 10 and case[0] == 3 and case[2] == 0.9
        ),
        "4 hidden units": lambda case: case[1] == 4,
    },
)
