"""Fit a damped oscillation, y = a exp(-b t) cos(c t + d), to noisy data, by Levenberg-Marquardt with mg.jacobian.

For residuals r(p) a step solves (J'J + damping diag(J'J)) step = -J'r. Near the minimum it is a Gauss-Newton step. With
much damping it is a short step downhill.
"""

import numpy as np

import minigrad as mg


def fit(residuals, start, steps: int = 50):
    """Minimise the sum of squared residuals; return the parameters, and that sum after each step."""
    p, damping = start, 1e-2
    r, J = residuals(p).numpy(), mg.jacobian(residuals)
    squares = [float(r @ r)]
    for _ in range(steps):
        slopes = J(p).numpy()
        normal = slopes.T @ slopes
        step = np.linalg.solve(normal + damping * np.diag(np.diag(normal)), -slopes.T @ r)
        moved = residuals(p + step).numpy()
        if moved @ moved < r @ r:
            p, r, damping = p + step, moved, damping / 5
        else:
            damping *= 5
        squares.append(float(r @ r))
        if np.linalg.norm(step) < 1e-10 * np.linalg.norm(p):
            break
    return p, squares


def main() -> float:
    """Print the fitted parameters; return their largest error."""
    rng = np.random.default_rng(0)
    truth = np.array([2.0, 0.3, 4.0, 0.5])
    t = np.linspace(0, 6, 200)

    def curve(p):
        return p[0] * mg.exp(-p[1] * t) * mg.cos(p[2] * t + p[3])

    y = curve(truth).numpy() + 0.05 * rng.standard_normal(200)
    p, squares = fit(lambda p: curve(p) - y, np.array([1.0, 0.1, 3.7, 0.0]))
    print(f"a {p[0]:.3f}, b {p[1]:.3f}, c {p[2]:.3f}, d {p[3]:.3f} after {len(squares) - 1} steps")
    print(f"root of the mean squared residual: {np.sqrt(squares[-1] / len(t)):.4f}, with noise of 0.05")
    return float(np.abs(p - truth).max())


if __name__ == "__main__":
    main()
