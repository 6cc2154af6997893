"""A generator learns to draw: scenes of one thing on a beach, a street, a meadow …, made of noise alone.

Two networks play (I. Goodfellow et al., Generative adversarial networks, 2014). The discriminator says how probable it
is that a picture is true, one of those that `captioning.scenes` draws, and not made; the generator changes what it
makes so that the discriminator takes it for true. Both are convolutions with a stride, the generator's transposed
(A. Radford, L. Metz and S. Chintala, Unsupervised representation learning with deep convolutional generative
adversarial networks, 2016).

Nobody wins such a game, so its losses say little. Whether the generator learns is measured apart from it, by how
different the colours of true and made pictures are. The picture shows true scenes, and what the generator made of the
same noise during training. It needs Pillow and matplotlib, of the extra `test`, and takes a minute.
"""

from __future__ import annotations

import argparse
from itertools import pairwise
from pathlib import Path

import numpy as np

import minigrad as mg
from captioning.pictures.figures import BLUE, GREY, INK, ORANGE, new_figure, save_figure
from minigrad import nn

SIZE, NOISE, SHOWN = 24, 64, 16  # pixels a side, numbers that make a picture, pictures on a sheet
SMALLEST = SIZE // 8  # where both networks have the fewest pixels


def scenes(count, rng):
    """True pictures (count, 3, SIZE, SIZE), colours from -1 to 1: one thing before a background, of its first view."""
    from captioning.scenes import draw_lone_scene, render_array

    pictures = []
    while len(pictures) < count:
        scene = draw_lone_scene(rng)
        if scene.view == 0:
            pictures.append(render_array(scene, SIZE))
    return (np.stack(pictures).transpose(0, 3, 1, 2) / 127.5 - 1).astype(np.float32)


class Generator(nn.Module):
    """Noise (N, NOISE) to pictures (N, 3, SIZE, SIZE): each transposed convolution doubles height and width."""

    def __init__(self, rng, filters=24):
        self.widest = 4 * filters
        self.first = nn.Linear(NOISE, self.widest * SMALLEST**2, rng=rng)

        def double(channels, filters):
            return nn.ConvTranspose2d(channels, filters, 4, stride=2, padding=1, rng=rng)

        self.rest = nn.Sequential(
            nn.BatchNorm2d(4 * filters), nn.ReLU(), double(4 * filters, 2 * filters),
            nn.BatchNorm2d(2 * filters), nn.ReLU(), double(2 * filters, filters),
            nn.BatchNorm2d(filters), nn.ReLU(), double(filters, 3), nn.Tanh(),
        )  # fmt: skip

    def forward(self, noise):
        return self.rest(self.first(noise).reshape(-1, self.widest, SMALLEST, SMALLEST))


class Discriminator(nn.Module):
    """Pictures (N, 3, SIZE, SIZE) to (N,): the logarithm of the odds that each is true."""

    def __init__(self, rng, filters=24):
        widths = [3, filters, 2 * filters, 4 * filters]
        self.convolutions = nn.ModuleList(
            nn.Conv2d(channels, wider, 4, stride=2, padding=1, rng=rng) for channels, wider in pairwise(widths)
        )
        self.last = nn.Linear(widths[-1] * SMALLEST**2, 1, rng=rng)

    def forward(self, x):
        for convolution in self.convolutions:
            x = mg.leaky_relu(convolution(x), 0.2)
        return self.last(x.reshape(len(x), -1)).reshape(-1)


def taken_for(label, logits):
    """The loss of a discriminator that should say `label` of every picture: 1 true, 0 made."""
    return mg.binary_cross_entropy_with_logits(logits, np.full(logits.shape, label, np.float32))


def colour_distance(a, b):
    """How different the colours of two sets of pictures are, from 0 to 1: half the distance of their histograms.

    Each channel is cut into four, which makes 64 colours.
    """

    def histogram(pictures):
        levels = np.clip((2 * (pictures + 1)).astype(int), 0, 3)
        colours = np.tensordot([16, 4, 1], levels, axes=(0, 1))
        return np.bincount(colours.ravel(), minlength=64) / colours.size

    return float(np.abs(histogram(a) - histogram(b)).sum() / 2)


def made(generator, noise):
    """Pictures of a generator that is not being trained."""
    generator.eval()
    with mg.no_grad():
        pictures = generator(noise).numpy()
    generator.train()
    return pictures


class Game:
    """Both networks and their optimisers, for so many turns; `turn` lets each learn once."""

    def __init__(self, turns, rng):
        self.rng = rng
        self.generator, self.discriminator = Generator(rng), Discriminator(rng)
        self.drawing = mg.optim.Adam(self.generator.parameters(), lr=1e-3, betas=(0.5, 0.999))
        self.judging = mg.optim.Adam(self.discriminator.parameters(), lr=1e-3, betas=(0.5, 0.999))
        self.rates = [mg.optim.CosineLR(optimiser, turns, 1e-5) for optimiser in (self.drawing, self.judging)]

    def turn(self, true):
        """Learn from true pictures (N, 3, SIZE, SIZE); how probably true the judge finds these, and made ones."""
        self.drawing.zero_grad()
        self.judging.zero_grad()
        fake = self.generator(self.rng.standard_normal((len(true), NOISE)).astype(np.float32))
        of_true, of_fake = self.discriminator(true), self.discriminator(fake.numpy())
        (taken_for(0.9, of_true) + taken_for(0, of_fake)).backward()  # 0.9: it should not become too sure
        self.judging.step()

        # How each pixel should change to be taken for true; of the judge's weights no gradient is needed.
        pixels = mg.grad(lambda x: taken_for(1, self.discriminator(x)))(fake.numpy())
        fake.backward(pixels.numpy())
        self.drawing.step()
        for rate in self.rates:
            rate.step()
        return [float(mg.sigmoid(logits.numpy()).numpy().mean()) for logits in (of_true, of_fake)]


def play(true, steps, rng, batch=32):
    """Train; what was made of the same noise at some steps, the judge's opinions (steps, 2) and colour distances."""
    game, opinions, distances, shown = Game(steps, rng), [], [], {}
    noise = rng.standard_normal((256, NOISE)).astype(np.float32)
    for step in range(steps + 1):
        if step in (steps // 10, steps // 3, steps):
            shown[step] = made(game.generator, noise[:SHOWN])
        if step % max(1, steps // 20) == 0:
            distances.append((step, colour_distance(true, made(game.generator, noise))))
        if step % max(1, steps // 10) == 0 and opinions:
            of_true, of_fake = np.mean(opinions[-20:], axis=0)
            print(f"step {step} of {steps}: taken for true {of_true:.0%} of true and {of_fake:.0%} of made pictures, "
                  f"colours differ by {distances[-1][1]:.2f}", flush=True)  # fmt: skip
        if step < steps:
            opinions.append(game.turn(true[rng.integers(len(true), size=batch)]))
    return shown, np.array(opinions), np.array(distances)


# The picture ------------------------------------------------------------------------------------------


def sheet(pictures):
    """Pictures side by side, four a row, with a white line between: (height, width, 3), colours from 0 to 1."""
    framed = np.pad((pictures[:SHOWN] + 1) / 2, ((0, 0), (0, 0), (1, 1), (1, 1)), constant_values=1)
    size = SIZE + 2
    return framed.reshape(4, 4, 3, size, size).transpose(0, 3, 1, 4, 2).reshape(4 * size, 4 * size, 3)


def draw(path, true, shown, opinions, distances):
    """True scenes beside those that were made, and how training went."""
    figure = new_figure(11, 5.3, layout="constrained")
    top, bottom = figure.subfigures(2, 1, height_ratios=[1.6, 1])
    titles = ["true scenes", *(f"made after {step} steps" for step in shown)]
    for panel, title, pictures in zip(top.subplots(1, len(titles)), titles, [true, *shown.values()], strict=True):
        panel.imshow(sheet(pictures), interpolation="nearest")
        panel.set_title(title, fontsize=11, color=INK)
        panel.set_axis_off()
    left, right = bottom.subplots(1, 2)
    window = max(1, len(opinions) // 40)
    for opinion, colour, name in zip(opinions.T, (BLUE, ORANGE), ("of true scenes", "of made ones"), strict=True):
        smooth = np.convolve(opinion, np.ones(window) / window, "valid")
        left.plot(np.arange(len(smooth)) + window / 2, smooth, color=colour, label=name)
    left.axhline(0.5, color=GREY, linewidth=0.8, linestyle=":")
    left.set(xlabel="step", ylim=(0, 1), title="how probably true the discriminator finds them")
    left.legend(frameon=False, ncols=2)
    right.plot(*distances.T, color=BLUE)
    right.set(xlabel="step", ylim=(0, 1), title="how different the colours are")
    for panel in (left, right):
        panel.spines[["top", "right"]].set_visible(False)
    save_figure(figure, path, dpi=80)


def main(out: str | Path = "gan.png", quick: bool = False, seed: int = 0) -> dict[str, float]:
    """Draw scenes, let both networks play, and draw; how different colours were and are, and the judge's opinions."""
    rng = np.random.default_rng(seed)
    true = scenes(64 if quick else 2000, rng)
    print(f"{len(true)} scenes drawn", flush=True)
    shown, opinions, distances = play(true, 4 if quick else 900, rng, batch=8 if quick else 32)
    draw(out, true, shown, opinions, distances)
    print(f"picture: {out}")
    of_true, of_fake = opinions[-50:].mean(axis=0)
    return {"before": distances[0, 1], "after": distances[-1, 1], "true": float(of_true), "made": float(of_fake)}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", default="gan.png", help="where the picture is written (default: %(default)s)")
    parser.add_argument("--quick", action="store_true", help="four steps: everything runs, nothing is learnt")
    parser.add_argument("--seed", type=int, default=0, help="of scenes, initial weights and noise")
    main(**vars(parser.parse_args()))
