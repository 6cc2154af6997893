"""Fit a small network to a curve by L-BFGS, with mg.optim.minimize. It needs SciPy."""

import numpy as np

import minigrad as mg
from minigrad import nn


def main() -> float:
    """Print the error before and after; return the latter."""
    x = np.linspace(-3, 3, 100)[:, None]
    y = np.sin(2 * x) * np.exp(-(x**2) / 4)
    network = nn.Sequential(nn.Linear(1, 16, rng=0), nn.Tanh(), nn.Linear(16, 1, rng=1))

    def loss(network):
        return mg.mse_loss(network(x), y)

    print(f"mean squared error before: {loss(network).item():.1e}")
    found = mg.optim.minimize(loss, network, method="L-BFGS-B", tol=1e-12, options={"maxiter": 500})
    print(f"after {found.nit} iterations and {found.nfev} gradients: {found.fun:.1e}")
    print(f"of the network, whose parameters are float32: {loss(network).item():.1e}")
    return float(found.fun)


if __name__ == "__main__":
    main()
