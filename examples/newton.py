"""Logistic regression by Newton's method with mg.hessian: each step doubles the correct digits."""

import numpy as np

import minigrad as mg


def main() -> list[float]:
    """Print and return the norm of the gradient after each step."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((300, 10))
    y = (X @ rng.standard_normal(10) + rng.standard_normal(300) > 0).astype(float)

    def loss(w):
        return mg.binary_cross_entropy_with_logits(X @ w, y) + 0.01 * (w * w).sum()

    gradient, hessian = mg.grad(loss), mg.hessian(loss)
    w = np.zeros(10)
    lengths = []
    for step in range(7):
        g = gradient(w).numpy()
        lengths.append(float(np.linalg.norm(g)))
        print(f"step {step}: loss {loss(w).item():.6f}, gradient {lengths[-1]:.1e}")
        w = w - np.linalg.solve(hessian(w).numpy(), g)
    return lengths


if __name__ == "__main__":
    main()
