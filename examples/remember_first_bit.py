"""Which recurrent networks remember the first of 30 bits?

python examples/remember_first_bit.py --seed 0

The initial weights decide. These networks remember the bit:

- an LSTM if its forget bias is 1 or more,
- a GRU if the bias of its update gate is 2,
- a vanilla RNN if its weights start orthogonal.

In the others, hardly any gradient of the last state reaches the first step (see docs/reach.md). docs/guides/examples.md
lists the results of ten seeds.
"""

import argparse

import numpy as np

import minigrad as mg
from minigrad import nn

LENGTH, HIDDEN, STEPS = 30, 16, 800


def uniform(rng):
    """Return PyTorch's initialiser of recurrent layers, uniform on [-k, k] with k = 1 / sqrt(HIDDEN)."""
    return lambda shape: nn.init.uniform(shape, -(HIDDEN**-0.5), HIDDEN**-0.5, rng=rng)


def gru(rng, update_bias):
    """Return a GRU; its update gate keeps a share sigmoid(update_bias) of the state at first."""
    layer = nn.GRU(1, HIDDEN, rng=rng)
    layer.bx.data[HIDDEN : 2 * HIDDEN] = update_bias
    return layer


NETWORKS = {
    "RNN": lambda rng: nn.RNN(1, HIDDEN, initial=uniform(rng)),
    "RNN, orthogonal start": lambda rng: nn.RNN(1, HIDDEN, rng=rng),
    "GRU": lambda rng: gru(rng, 0),
    "GRU, update bias 2": lambda rng: gru(rng, 2),
    "LSTM, forget bias 0": lambda rng: nn.LSTM(1, HIDDEN, forget_bias=0, rng=rng),
    "LSTM, forget bias 1": lambda rng: nn.LSTM(1, HIDDEN, forget_bias=1, rng=rng),
    "LSTM, forget bias 3": lambda rng: nn.LSTM(1, HIDDEN, forget_bias=3, rng=rng),
}


def batch(rng, size):
    """Return random bits, -1 or 1, (size, LENGTH, 1), and the first of each sequence, 0 or 1, (size,)."""
    bits = rng.integers(2, size=(size, LENGTH))
    return (2.0 * bits[..., None] - 1).astype(np.float32), bits[:, 0]


def train(network, seed, steps=STEPS, optimiser=mg.optim.Adam, lr=0.003, clip=1.0, watch=None):
    """Train a network and a head that reads its last state; return the accuracy on new sequences.

    The seed determines the initial weights and all bits. ``watch(step, layer, head)`` is called before each step of the
    training and after the last.
    """
    rng = np.random.default_rng(seed)
    layer, head = network(rng), nn.Linear(HIDDEN, 2, rng=rng)
    weights = [*layer.parameters(), *head.parameters()]
    optimise = optimiser(weights, lr=lr)
    for step in range(steps):
        if watch:
            watch(step, layer, head)
        x, first = batch(rng, 32)
        optimise.zero_grad()
        mg.cross_entropy(head(layer(x)[0][:, -1]), first).backward()
        mg.optim.clip_grad_norm(weights, clip)
        optimise.step()
    if watch:
        watch(steps, layer, head)
    return accuracy(layer, head, rng)


def accuracy(layer, head, rng, size=1000):
    """Return the share of new sequences whose first bit a network recalls."""
    x, first = batch(rng, size)
    with mg.no_grad():
        answers = head(layer(x)[0][:, -1]).numpy().argmax(axis=1)
    return float((answers == first).mean())


def main(seed=0):
    """Print and return the accuracy of each network."""
    accuracy = {name: train(network, seed) for name, network in NETWORKS.items()}
    for name, share in accuracy.items():
        print(f"{name:22} {100 * share:5.1f} %")
    return accuracy


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0, help="random seed")
    main(parser.parse_args().seed)
