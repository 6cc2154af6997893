"""A convolutional network reads the 1797 handwritten digits of scikit-learn, of 8 x 8 pixels each.

They come from E. Alpaydin and C. Kaynak (1998). The network learns from 1297 of them and is tested on the other 500.

Each epoch shows every digit once, shifted by up to a pixel. The learning rate rises for two epochs and then falls to 0
along a cosine. The picture shows the test digits that the network is least sure of, a confusion matrix, and the filters
of its first layer.

It needs scikit-learn, and matplotlib from the extra `caption`, and takes ten seconds.
"""

import argparse
from pathlib import Path

import numpy as np

import minigrad as mg
from captioning.pictures.figures import GREY, INK, RED, new_figure, save_figure
from minigrad import nn
from minigrad.runtime.extras import require

HELD_OUT = 500


def load(rng):
    """Return images (N, 1, 8, 8) with pixels from 0 to 1 and their digits (N,), for training and held out."""
    images, digits = require("sklearn.datasets").load_digits(return_X_y=True)
    images = (images / 16).astype(np.float32).reshape(-1, 1, 8, 8)
    order = rng.permutation(len(images))
    images, digits = images[order], digits[order]
    return (images[HELD_OUT:], digits[HELD_OUT:]), (images[:HELD_OUT], digits[:HELD_OUT])


def network(rng):
    """Return three convolutions with batch norms, and a linear layer."""

    def convolution(channels, filters):
        return [nn.Conv2d(channels, filters, 3, padding=1, bias=False, rng=rng), nn.BatchNorm2d(filters), nn.ReLU()]

    return nn.Sequential(
        *convolution(1, 16), *convolution(16, 32), nn.MaxPool2d(2), *convolution(32, 64), nn.MaxPool2d(2),
        nn.Flatten(), nn.Dropout(0.3, rng=rng), nn.Linear(64 * 2 * 2, 10, rng=rng),
    )  # fmt: skip


def shifted(images, rng):
    """Shift each image by -1, 0 or 1 pixel in both directions; the new border is black."""
    wide = np.pad(images, ((0, 0), (0, 0), (1, 1), (1, 1)))
    patches = np.lib.stride_tricks.sliding_window_view(wide, (8, 8), axis=(2, 3))  # (N, 1, 3, 3, 8, 8)
    down, right = rng.integers(3, size=(2, len(images)))
    return patches[np.arange(len(images)), :, down, right]


def train(net, images, digits, epochs, rng, batch=64):
    """Train in place; print five lines."""
    steps = len(images) // batch
    optimiser = mg.optim.AdamW(net.parameters(), lr=4e-3, weight_decay=0.02)
    warm = min(2, epochs - 1) * steps
    rate = mg.optim.WarmupLR(optimiser, warm, mg.optim.CosineLR(optimiser, epochs * steps - warm))
    for epoch in range(1, epochs + 1):
        total = 0.0
        for chosen in rng.permutation(len(images))[: steps * batch].reshape(steps, batch):
            optimiser.zero_grad()
            loss = mg.cross_entropy(net(shifted(images[chosen], rng)), digits[chosen])
            loss.backward()
            optimiser.step()
            rate.step()
            total += loss.item()
        if epoch % max(1, epochs // 5) == 0:
            print(f"epoch {epoch} of {epochs}: loss {total / steps:.4f}", flush=True)


def probabilities(net, images):
    """Return the probability of each digit for each image: (N, 10)."""
    net.eval()  # batch norms use the statistics of the training, and there is no dropout
    with mg.no_grad():
        return mg.softmax(net(images), axis=1).numpy()


# The picture ------------------------------------------------------------------------------------------


def draw(path, net, images, digits, p):
    """Draw the least certain digits, the confusion matrix and the first filters."""
    predicted = p.argmax(axis=1)
    figure = new_figure(11, 6.2, layout="constrained")
    accuracy = (predicted == digits).mean()
    figure.suptitle(f"{accuracy:.1%} of {len(digits)} held-out digits are read correctly", color=INK)
    left, right = figure.subfigures(1, 2, width_ratios=[1.25, 1])
    upper, lower = right.subfigures(2, 1, height_ratios=[2.3, 1])

    left.suptitle("least certain: prediction and its probability (red: wrong, and the truth)", fontsize=10, color=GREY)
    for panel, i in zip(left.subplots(4, 6).ravel(), p[np.arange(len(p)), digits].argsort(), strict=False):
        correct = predicted[i] == digits[i]
        panel.imshow(images[i, 0], cmap="gray_r", vmin=0, vmax=1)
        title = f"{predicted[i]}  {p[i, predicted[i]]:.0%}" + ("" if correct else f"  is {digits[i]}")
        panel.set_title(title, fontsize=9, color=INK if correct else RED)
        panel.set(xticks=[], yticks=[])

    counts = np.zeros((10, 10), int)
    np.add.at(counts, (digits, predicted), 1)
    panel = upper.subplots()
    panel.imshow(np.sqrt(counts), cmap="Blues")  # the root makes a single mistake visible
    for (row, column), count in np.ndenumerate(counts):
        if count:
            panel.text(column, row, count, ha="center", va="center", fontsize=8,
                       color="white" if row == column else RED)  # fmt: skip
    panel.set(xticks=range(10), yticks=range(10), xlabel="predicted", ylabel="true")

    lower.suptitle("first filters (blue: negative, red: positive)", fontsize=10, color=GREY)
    filters = net[0].weight.numpy()
    largest = np.abs(filters).max()
    for panel, weights in zip(lower.subplots(2, 8).ravel(), filters, strict=True):
        panel.imshow(weights[0], cmap="RdBu_r", vmin=-largest, vmax=largest)
        panel.set(xticks=[], yticks=[])
    save_figure(figure, path, dpi=80)


def main(out: str | Path = "digits.png", quick: bool = False, seed: int = 0) -> float:
    """Train, test, and draw; return the accuracy on held-out digits."""
    rng = np.random.default_rng(seed)
    (images, digits), (unseen, answers) = load(rng)
    net = network(rng)
    train(net, images, digits, 3 if quick else 25, rng)
    p = probabilities(net, unseen)
    accuracy = float((p.argmax(axis=1) == answers).mean())
    print(f"{accuracy:.1%} of {len(answers)} held-out digits are read correctly")
    draw(out, net, unseen, answers, p)
    print(f"picture: {out}")
    return accuracy


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", default="digits.png", help="where the picture is written (default: %(default)s)")
    parser.add_argument(
        "--quick", action="store_true", help="three epochs, for a few seconds and a little less accuracy"
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="random seed of the split, the initial weights and the order"
    )
    main(**vars(parser.parse_args()))
