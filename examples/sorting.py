"""A small transformer learns to sort ten digits.

Two encoder layers (A. Vaswani et al., Attention is all you need, 2017) see all ten digits at once, with their places,
and predict the digit at each place of the sorted sequence. They learn from random sequences alone, fewer than one in
100,000 of the 10^10 that exist, so they cannot learn them by heart. A sequence counts if all ten digits are right.

The picture shows the attention of each head, and the share of sequences sorted during training.
It needs matplotlib, from the extra `caption`, and takes 15 seconds.
"""

import argparse
from pathlib import Path

import numpy as np

import minigrad as mg
from captioning.pictures.figures import BLUE, GREY, INK, new_figure, save_figure
from minigrad import nn

LENGTH, DIGITS, FEATURES, HEADS, LAYERS = 10, 10, 64, 4, 2


class Sorter(nn.Module):
    """Maps digits (N, LENGTH) to scores of each digit at each sorted place, (N, LENGTH, DIGITS)."""

    def __init__(self, rng):
        self.digit = nn.Embedding(DIGITS, FEATURES, rng=rng)
        self.place = nn.Embedding(LENGTH, FEATURES, rng=rng)

        def layer():  # norms come first, which allows a larger learning rate
            return nn.TransformerEncoderLayer(FEATURES, HEADS, 2 * FEATURES, dropout=0.0, norm_first=True, rng=rng)

        self.encoder = nn.TransformerEncoder(layer, LAYERS, nn.LayerNorm(FEATURES))
        self.head = nn.Linear(FEATURES, DIGITS, rng=rng)

    def embed(self, digits):
        return self.digit(digits) + self.place(np.arange(LENGTH))

    def forward(self, digits):
        return self.head(self.encoder(self.embed(digits)))

    def attention(self, digits):
        """Return the attention weights (N, HEADS, LENGTH, LENGTH) of each layer, one row for each place."""
        x, found = self.embed(digits), []
        for layer in self.encoder.layers:
            found.append(layer.self_attn(layer.norm1(x), need_weights=True)[1].numpy())
            x = layer(x)
        return found


def sequences(rng, size):
    """Return random digits (size, LENGTH), unsorted and sorted."""
    digits = rng.integers(DIGITS, size=(size, LENGTH))
    return digits, np.sort(digits, axis=1)


def sort(model, digits):
    """Return the most probable digit at each place, (N, LENGTH)."""
    with mg.no_grad():
        return model(digits).numpy().argmax(axis=-1)


def accuracy(model, rng, size=1000):
    """Return the share of new sequences that are sorted without a mistake."""
    digits, answers = sequences(rng, size)
    return float((sort(model, digits) == answers).all(axis=1).mean())


def train(model, steps, rng, batch=100):
    """Train in place; return pairs (step, share of sequences sorted)."""
    optimiser = mg.optim.AdamW(model.parameters(), lr=3e-3)
    warm = steps // 10
    rate = mg.optim.WarmupLR(optimiser, warm, mg.optim.CosineLR(optimiser, steps - warm))
    curve = [(0, accuracy(model, rng))]
    for step in range(1, steps + 1):
        digits, answers = sequences(rng, batch)
        optimiser.zero_grad()
        loss = mg.cross_entropy(model(digits).reshape(-1, DIGITS), answers.ravel())
        loss.backward()
        mg.optim.clip_grad_norm(model.parameters(), 1.0)
        optimiser.step()
        rate.step()
        if step % max(1, steps // 20) == 0:
            curve.append((step, accuracy(model, rng)))
        if step % max(1, steps // 10) == 0:
            print(f"step {step} of {steps}: loss {loss.item():.3f}, {curve[-1][1]:.1%} of sequences sorted", flush=True)
    return np.array(curve)


# The picture ------------------------------------------------------------------------------------------


def draw(path, model, curve, digits):
    """Draw the attention of each head for one sequence (LENGTH,), and the training curve."""
    with mg.no_grad():
        layers = model.attention(digits[None])
    order = np.argsort(digits, kind="stable")  # sorted columns put sorting near the diagonal
    figure = new_figure(11, 5.4, layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=[2.7, 1])
    title = "attention of each place of the answer (rows) to the digits (columns, sorted)"
    left.suptitle(f"{' '.join(map(str, digits))} is sorted: {title}", fontsize=10)
    panels = left.subplots(LAYERS, HEADS)
    for number, (row, weights) in enumerate(zip(panels, layers, strict=True), start=1):
        for head, (panel, seen) in enumerate(zip(row, weights[0], strict=True), start=1):
            panel.imshow(seen[:, order], cmap="Blues", vmin=0)
            panel.set_title(f"layer {number}, head {head}", fontsize=10, color=GREY)
            panel.set_xticks(range(LENGTH), digits[order])
            panel.set_yticks(range(LENGTH), sort(model, digits[None])[0])
            panel.tick_params(labelsize=8, length=0)
    panel = right.subplots()
    panel.plot(curve[:, 0], 100 * curve[:, 1], color=BLUE)
    panel.set_title(f"{curve[-1, 1]:.1%} are sorted", fontsize=10, color=INK)
    panel.set(xlabel="step", ylabel="% without a mistake", ylim=(0, 102))
    panel.spines[["top", "right"]].set_visible(False)
    save_figure(figure, path, dpi=80)


def main(out: str | Path = "sorting.png", quick: bool = False, seed: int = 0) -> float:
    """Train, sort a sequence, and draw; return the share of new sequences sorted without a mistake."""
    rng = np.random.default_rng(seed)
    model = Sorter(rng)
    curve = train(model, 60 if quick else 500, rng)
    share = accuracy(model, rng, 200 if quick else 5000)
    (digits,), _ = sequences(rng, 1)
    print(f"{share:.1%} of new sequences are sorted, such as", *digits, "to", *sort(model, digits[None])[0])
    draw(out, model, curve, digits)
    print(f"picture: {out}")
    return share


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", default="sorting.png", help="where the picture is written (default: %(default)s)")
    parser.add_argument("--quick", action="store_true", help="60 steps, a few seconds: it only begins to sort")
    parser.add_argument("--seed", type=int, default=0, help="random seed of the initial weights and all sequences")
    main(**vars(parser.parse_args()))
