"""Captioners and their losses in plain NumPy, word by word."""

import itertools

import numpy as np

from captioning.data.vocabulary import Vocabulary
from captioning.models.attention_captioner import AttentionCaptioner
from captioning.models.captioner import Captioner

VOCABULARY = Vocabulary(["<NULL>", "<START>", "<END>", "<UNK>", "a", "dog", "cat"])
CAPTIONS = np.array([[1, 4, 5, 2, 0, 0], [1, 4, 6, 5, 2, 0], [1, 2, 0, 0, 0, 0], [1, 6, 3, 4, 5, 2]], dtype=np.int32)
FEATURES = np.random.default_rng(1).standard_normal((4, 3 + 4 * 2)) * 2 + 1  # of the whole picture, and of 4 regions
SIZES = {"wordvec_size": 4, "hidden_size": 5, "picture_size": 6, "looking_size": 4}


def make(kind="source", cell="lstm", dtype=np.float64, rng=0, **options):
    if kind == "source":
        return Captioner(VOCABULARY, 11, 4, 5, cell, dtype=dtype, rng=rng, **options)
    model = AttentionCaptioner(VOCABULARY, 11, (4, 2), **SIZES, cell_type=cell, dtype=dtype, rng=rng,
                               **{"heads": 2, "dropout": 0.0} | options)  # fmt: skip
    model.bias.data[...] = np.linspace(-1, 1, 7)
    model.standardise(FEATURES)
    return model


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


def beginning(model, w, row):
    """h and c before the first word of a captioner's caption, and the function from h to the scores."""

    def linear(name, x):
        return x @ w[f"{name}.weight"] + w.get(f"{name}.bias", 0.0)

    if isinstance(model, Captioner):
        return linear("project", row), 0.0, lambda h: linear("predict", h)
    f, r = (row[:3] - w["mean"]) / w["deviations"][0], row[3:].reshape(4, 2) / w["deviations"][1]
    g = np.maximum(linear("about", f), 0)
    first = np.tanh(linear("begin", g))

    def scores(h):
        seen = attention_by_hand(w, r, h, model.heads) @ np.maximum(linear("value", r), 0)
        joined = seen[np.repeat(np.arange(model.heads), 4 // model.heads), np.arange(4)]
        z = 2 * np.tanh(linear("from_hidden", h) + linear("from_seen", joined) + linear("from_picture", g))
        return w["embed.weight"] @ z + w["bias"]

    return first[:5], first[5:], scores


def attention_by_hand(w, r, h, heads):
    """The attention of each head to each region."""
    q, keys = h @ w["query.weight"] + w["query.bias"], r @ w["key.weight"] + w["key.bias"]
    parts = np.split(np.arange(4), heads)
    weights = np.exp([keys[:, part] @ q[part] / np.sqrt(len(part)) for part in parts])
    return weights / weights.sum(axis=1, keepdims=True)


def loss_by_hand(model, features=FEATURES, captions=CAPTIONS):
    w, total = model.state_dict(), 0.0
    for row, caption in zip(features, captions, strict=True):
        h, c, scores = beginning(model, w, row)
        for word, following in itertools.pairwise(caption):
            h, c = cell_by_hand(w, model.cell_type, w["embed.weight"][word], h, c)
            if following != 0:
                found = scores(h)
                total += np.log(np.exp(found).sum()) - found[following]
    return total / len(captions)


def check_gradients(model, loss, directions=2):
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
