"""Recurrent cells and gradients in plain NumPy."""

from __future__ import annotations

import numpy as np

from captioning.data.vocabulary import Vocabulary

VOCABULARY = Vocabulary(["<NULL>", "<START>", "<END>", "<UNK>", "a", "dog", "cat"])


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def cell_by_hand(w, kind, x, h, c):
    """The next h and c. w: weights by their names in the network."""
    p, a = x @ w["cell.Wx"] + w["cell.bx" if kind == "gru" else "cell.b"], h @ w["cell.Wh"]
    if kind == "rnn":
        return np.tanh(p + a), c
    if kind == "gru":
        (p_r, p_z, p_n), (a_r, a_z, a_n) = np.split(p, 3), np.split(a + w["cell.bh"], 3)
        z, n = sigmoid(p_z + a_z), np.tanh(p_n + sigmoid(p_r + a_r) * a_n)
        return (1 - z) * n + z * h, c
    i, f, o, g = np.split(p + a, 4)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(c), c


def cross_entropy(scores, word):
    return np.log(np.exp(scores).sum()) - scores[word]


def check_gradients(model, loss, directions=4):
    """The gradient of each parameter is the derivative of `loss()` along some random directions."""
    rng = np.random.default_rng(0)
    for name, weight in model.named_parameters():
        kept = weight.data.copy()
        for _ in range(directions):
            direction, sides = rng.standard_normal(kept.shape), []
            for step in (1e-5, -1e-5):
                weight.data[...] = kept + step * direction
                sides.append(loss())
            weight.data[...] = kept
            found, expected = np.sum(weight.grad * direction), (sides[0] - sides[1]) / 2e-5
            np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-8, err_msg=name)
