"""Fit a line: tensors, gradients and an optimiser in twenty lines."""

import numpy as np

import minigrad as mg


def main() -> float:
    """Print the fitted line and its error; return the error."""
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (200, 1))
    y = 3 * x - 1 + 0.1 * rng.standard_normal((200, 1))

    w = mg.tensor(np.zeros((1, 1)), requires_grad=True)
    b = mg.tensor(np.zeros(1), requires_grad=True)
    optimiser = mg.optim.Adam([w, b], lr=0.1)
    for _ in range(200):
        optimiser.zero_grad()
        loss = mg.mse_loss(x @ w + b, y)
        loss.backward()
        optimiser.step()
    print(f"y = {w.item():.2f} x + {b.item():.2f}, mean squared error {loss.item():.4f}")
    return float(loss.item())


if __name__ == "__main__":
    main()
