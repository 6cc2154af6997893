"""An LSTM and a vanilla RNN of the same size learn to remember the first bit of a sequence."""

import numpy as np

import minigrad as mg


def train(layer, steps: int = 150, length: int = 20) -> float:
    """Train on random bits; return the accuracy on new ones."""
    rng = np.random.default_rng(0)
    head = mg.nn.Linear(16, 2, rng=rng)
    optimiser = mg.optim.Adam([*layer.parameters(), *head.parameters()], lr=1e-2)

    def batch(size: int):
        bits = rng.integers(2, size=(size, length))
        return (2.0 * bits[..., None] - 1).astype(np.float32), bits[:, 0]

    for _ in range(steps):
        x, first = batch(32)
        optimiser.zero_grad()
        states, _ = layer(x)
        mg.cross_entropy(head(states[:, -1]), first).backward()
        mg.optim.clip_grad_norm([*layer.parameters(), *head.parameters()], 1.0)
        optimiser.step()
    x, first = batch(500)
    with mg.no_grad():
        answers = head(layer(x)[0][:, -1]).numpy().argmax(axis=1)
    return float((answers == first).mean())


def main() -> dict[str, float]:
    """Print and return the accuracies."""
    accuracy = {"LSTM": train(mg.nn.LSTM(1, 16, rng=0)), "RNN": train(mg.nn.RNN(1, 16, rng=0))}
    for name, share in accuracy.items():
        print(f"{name}: {100 * share:.1f} % right")
    return accuracy


if __name__ == "__main__":
    main()
