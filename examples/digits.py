"""A convolution network reads handwritten digits: the 1797 of scikit-learn, 8 x 8 pixels each.

They are those of E. Alpaydin and C. Kaynak (1998). It learns from 1297 of them, and is asked about the other 500.

Each epoch shows every digit once, moved by up to a pixel, since a digit that is moved is the same digit. The learning
rate rises for two epochs and then falls to 0 along a cosine. The picture shows what the network is asked and least sure
of, which digits it takes for which, and the filters of its first layer.

It needs scikit-learn and matplotlib, of the extra `test`, and takes ten seconds.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

import minigrad as mg
from captioning.pictures.figures import GREY, INK, RED, new_figure, save_figure
from minigrad import nn
from minigrad.runtime.extras import require

HELD_OUT = 500


def load(rng):
    """Images (N, 1, 8, 8) with pixels from 0 to 1 and what they show (N,): those to learn from, and those held out."""
    images, digits = require("sklearn.datasets", "test").load_digits(return_X_y=True)
    images = (images / 16).astype(np.float32).reshape(-1, 1, 8, 8)
    order = rng.permutation(len(images))
    images, digits = images[order], digits[order]
    return (images[HELD_OUT:], digits[HELD_OUT:]), (images[:HELD_OUT], digits[:HELD_OUT])


def network(rng):
    """Three convolutions, the first two of the full size; each is followed by a norm, so that they train quickly."""

    def convolution(channels, filters):
        return [nn.Conv2d(channels, filters, 3, padding=1, bias=False, rng=rng), nn.BatchNorm2d(filters), nn.ReLU()]

    return nn.Sequential(
        *convolution(1, 16), *convolution(16, 32), nn.MaxPool2d(2), *convolution(32, 64), nn.MaxPool2d(2),
        nn.Flatten(), nn.Dropout(0.3, rng=rng), nn.Linear(64 * 2 * 2, 10, rng=rng),
    )  # fmt: skip


def moved(images, rng):
    """Each image shifted by -1, 0 or 1 pixel in both directions; what comes in from outside is black."""
    wide = np.pad(images, ((0, 0), (0, 0), (1, 1), (1, 1)))
    patches = np.lib.stride_tricks.sliding_window_view(wide, (8, 8), axis=(2, 3))  # (N, 1, 3, 3, 8, 8)
    down, right = rng.integers(3, size=(2, len(images)))
    return patches[np.arange(len(images)), :, down, right]


def train(net, images, digits, epochs, rng, batch=64):
    """Train in place; a line for every fifth of the epochs."""
    steps = len(images) // batch
    optimiser = mg.optim.AdamW(net.parameters(), lr=4e-3, weight_decay=0.02)
    warm = min(2, epochs - 1) * steps
    rate = mg.optim.WarmupLR(optimiser, warm, mg.optim.CosineLR(optimiser, epochs * steps - warm))
    for epoch in range(1, epochs + 1):
        total = 0.0
        for chosen in rng.permutation(len(images))[: steps * batch].reshape(steps, batch):
            optimiser.zero_grad()
            loss = mg.cross_entropy(net(moved(images[chosen], rng)), digits[chosen])
            loss.backward()
            optimiser.step()
            rate.step()
            total += loss.item()
        if epoch % max(1, epochs // 5) == 0:
            print(f"epoch {epoch} of {epochs}: loss {total / steps:.4f}", flush=True)


def probabilities(net, images):
    """What the network says of each image: (N, 10)."""
    net.eval()  # norms use the statistics that they gathered in training, nothing is dropped
    with mg.no_grad():
        return mg.softmax(net(images), axis=1).numpy()


# The picture ------------------------------------------------------------------------------------------


def draw(path, net, images, digits, p):
    """The digits that it gives the least probability, how often it takes which for which, and its first filters."""
    figure = new_figure(11, 6.2, layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=[1.25, 1])
    right = right.subfigures(2, 1, height_ratios=[2.3, 1])
    says = p.argmax(axis=1)
    accuracy = (says == digits).mean()
    figure.suptitle(f"{accuracy:.1%} of {len(digits)} digits that it never saw are read right", color=INK)
    _draw_least_sure(left, images, digits, says, p)
    _draw_confusions(right[0], digits, says)
    _draw_filters(right[1], net[0].weight.numpy())
    save_figure(figure, path, dpi=80)


def _draw_least_sure(figure, images, digits, says, p):
    figure.suptitle("least sure of: what it says, how probable (red: wrong, and what it is)", fontsize=10, color=GREY)
    panels = figure.subplots(4, 6).ravel()
    for panel, i in zip(panels, p[np.arange(len(p)), digits].argsort(), strict=False):
        right = says[i] == digits[i]
        panel.imshow(images[i, 0], cmap="gray_r", vmin=0, vmax=1)
        title = f"{says[i]}  {p[i, says[i]]:.0%}" + ("" if right else f"  is {digits[i]}")
        panel.set_title(title, fontsize=9, color=INK if right else RED)
        panel.set(xticks=[], yticks=[])


def _draw_confusions(figure, digits, says):
    counts = np.zeros((10, 10), int)
    np.add.at(counts, (digits, says), 1)
    panel = figure.subplots()
    panel.imshow(np.sqrt(counts), cmap="Blues")  # so that a single mistake is seen
    for (row, column), count in np.ndenumerate(counts):
        if count:
            panel.text(column, row, count, ha="center", va="center", fontsize=8,
                       color="white" if row == column else RED)  # fmt: skip
    panel.set(xticks=range(10), yticks=range(10), xlabel="what it says", ylabel="what it is")


def _draw_filters(figure, filters):
    figure.suptitle("first filters (blue: negative, red: positive)", fontsize=10, color=GREY)
    largest = np.abs(filters).max()
    for panel, weights in zip(figure.subplots(2, 8).ravel(), filters, strict=True):
        panel.imshow(weights[0], cmap="RdBu_r", vmin=-largest, vmax=largest)
        panel.set(xticks=[], yticks=[])


def main(out: str | Path = "digits.png", quick: bool = False, seed: int = 0) -> float:
    """Train, ask, and draw; the share of held-out digits that are read right."""
    rng = np.random.default_rng(seed)
    (images, digits), (unseen, answers) = load(rng)
    net = network(rng)
    train(net, images, digits, 3 if quick else 25, rng)
    p = probabilities(net, unseen)
    accuracy = float((p.argmax(axis=1) == answers).mean())
    print(f"{accuracy:.1%} of {len(answers)} held-out digits are read right")
    draw(out, net, unseen, answers, p)
    print(f"picture: {out}")
    return accuracy


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", default="digits.png", help="where the picture is written (default: %(default)s)")
    parser.add_argument("--quick", action="store_true", help="three epochs: some seconds, a little less right")
    parser.add_argument("--seed", type=int, default=0, help="of the split, the initial weights and the order")
    main(**vars(parser.parse_args()))
