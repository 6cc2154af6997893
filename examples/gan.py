"""A generator learns to draw scenes of one thing before a background, from noise alone.

Two networks play (I. Goodfellow et al., Generative adversarial networks, 2014). The discriminator predicts whether a
picture is real, drawn by `captioning.scenes`, or generated. The generator learns to fool it. Both use strided
convolutions, the generator transposed ones (A. Radford, L. Metz and S. Chintala, Unsupervised representation learning
with deep convolutional generative adversarial networks, 2016).

Nobody wins such a game, so its losses say little. Instead the script measures how much the colours of real and
generated pictures differ. The picture shows real scenes, and what the generator made of the same noise during training.
It needs Pillow and matplotlib, from the extra `caption`, and takes a minute.
"""

import argparse
from itertools import pairwise
from pathlib import Path

import numpy as np

import minigrad as mg
from captioning.pictures.figures import BLUE, GREY, INK, ORANGE, new_figure, save_figure
from minigrad import nn

SIZE, NOISE, SHOWN = 24, 64, 16  # pixels a side, numbers of noise, pictures on a sheet
SMALLEST = SIZE // 8  # side of the smallest maps of both networks


def scenes(count, rng):
    """Return real pictures (count, 3, SIZE, SIZE), with colours from -1 to 1."""
    from captioning.scenes import draw_lone_scene, render_array

    pictures = []
    while len(pictures) < count:
        scene = draw_lone_scene(rng)
        if scene.view == 0:
            pictures.append(render_array(scene, SIZE))
    return (np.stack(pictures).transpose(0, 3, 1, 2) / 127.5 - 1).astype(np.float32)


class Generator(nn.Module):
    """Maps noise (N, NOISE) to pictures (N, 3, SIZE, SIZE); each transposed convolution doubles height and width."""

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
    """Maps pictures (N, 3, SIZE, SIZE) to the log odds that each is real, (N,)."""

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


def loss_for(label, logits):
    """Return the discriminator's loss if the right label of every picture is this: 1 for real, 0 for generated."""
    return mg.binary_cross_entropy_with_logits(logits, np.full(logits.shape, label, np.float32))


def colour_distance(a, b):
    """Return half the distance of two colour histograms, from 0 to 1, with four levels of each channel."""

    def histogram(pictures):
        levels = np.clip((2 * (pictures + 1)).astype(int), 0, 3)
        colours = np.tensordot([16, 4, 1], levels, axes=(0, 1))
        return np.bincount(colours.ravel(), minlength=64) / colours.size

    return float(np.abs(histogram(a) - histogram(b)).sum() / 2)


def generate(generator, noise):
    """Generate pictures in eval mode."""
    generator.eval()
    with mg.no_grad():
        pictures = generator(noise).numpy()
    generator.train()
    return pictures


class Game:
    """Both networks and their optimisers, for a number of turns."""

    def __init__(self, turns, rng):
        self.rng = rng
        self.generator, self.discriminator = Generator(rng), Discriminator(rng)
        self.generator_optimiser = mg.optim.Adam(self.generator.parameters(), lr=1e-3, betas=(0.5, 0.999))
        self.discriminator_optimiser = mg.optim.Adam(self.discriminator.parameters(), lr=1e-3, betas=(0.5, 0.999))
        self.rates = [
            mg.optim.CosineLR(optimiser, turns, 1e-5)
            for optimiser in (self.generator_optimiser, self.discriminator_optimiser)
        ]

    def turn(self, real):
        """Train both networks once; return the mean probability that real and generated pictures are real."""
        self.generator_optimiser.zero_grad()
        self.discriminator_optimiser.zero_grad()
        fake = self.generator(self.rng.standard_normal((len(real), NOISE)).astype(np.float32))
        of_real, of_fake = self.discriminator(real), self.discriminator(fake.numpy())
        (loss_for(0.9, of_real) + loss_for(0, of_fake)).backward()  # 0.9 keeps it from becoming too sure
        self.discriminator_optimiser.step()

        # how each pixel should change to look real; the discriminator's weights need no gradient here
        pixels = mg.grad(lambda x: loss_for(1, self.discriminator(x)))(fake.numpy())
        fake.backward(pixels.numpy())
        self.generator_optimiser.step()
        for rate in self.rates:
            rate.step()
        return [float(mg.sigmoid(logits.numpy()).numpy().mean()) for logits in (of_real, of_fake)]


def play(real, steps, rng, batch=32):
    """Train; return pictures of the same noise at some steps, probabilities (steps, 2) and colour distances."""
    game, opinions, distances, shown = Game(steps, rng), [], [], {}
    noise = rng.standard_normal((256, NOISE)).astype(np.float32)
    for step in range(steps + 1):
        if step in (steps // 10, steps // 3, steps):
            shown[step] = generate(game.generator, noise[:SHOWN])
        if step % max(1, steps // 20) == 0:
            distances.append((step, colour_distance(real, generate(game.generator, noise))))
        if step % max(1, steps // 10) == 0 and opinions:
            of_real, of_fake = np.mean(opinions[-20:], axis=0)
            print(f"step {step} of {steps}: {of_real:.0%} of real and {of_fake:.0%} of generated pictures look real, "
                  f"colours differ by {distances[-1][1]:.2f}", flush=True)  # fmt: skip
        if step < steps:
            opinions.append(game.turn(real[rng.integers(len(real), size=batch)]))
    return shown, np.array(opinions), np.array(distances)


# The picture ------------------------------------------------------------------------------------------


def sheet(pictures):
    """Arrange 16 pictures in four rows: (height, width, 3), with colours from 0 to 1."""
    framed = np.pad((pictures[:SHOWN] + 1) / 2, ((0, 0), (0, 0), (1, 1), (1, 1)), constant_values=1)
    size = SIZE + 2
    return framed.reshape(4, 4, 3, size, size).transpose(0, 3, 1, 4, 2).reshape(4 * size, 4 * size, 3)


def draw(path, real, shown, opinions, distances):
    """Draw real and generated scenes, and the course of the training."""
    figure = new_figure(11, 5.3, layout="constrained")
    top, bottom = figure.subfigures(2, 1, height_ratios=[1.6, 1])
    titles = ["real scenes", *(f"generated after {step} steps" for step in shown)]
    for panel, title, pictures in zip(top.subplots(1, len(titles)), titles, [real, *shown.values()], strict=True):
        panel.imshow(sheet(pictures), interpolation="nearest")
        panel.set_title(title, fontsize=11, color=INK)
        panel.set_axis_off()
    left, right = bottom.subplots(1, 2)
    window = max(1, len(opinions) // 40)
    for opinion, colour, name in zip(opinions.T, (BLUE, ORANGE), ("real scenes", "generated scenes"), strict=True):
        smooth = np.convolve(opinion, np.ones(window) / window, "valid")
        left.plot(np.arange(len(smooth)) + window / 2, smooth, color=colour, linewidth=2, label=name)
    left.axhline(0.5, color=GREY, linewidth=0.8, linestyle=":")
    left.set(xlabel="step", ylim=(0, 1), title="probability of being real, by the discriminator")
    left.legend(frameon=False, ncols=2)
    right.plot(*distances.T, color=BLUE, linewidth=2)
    right.set(xlabel="step", ylim=(0, 1), title="distance of the colours")
    for panel in (left, right):
        panel.spines[["top", "right"]].set_visible(False)
    save_figure(figure, path, dpi=80)


def main(out: str | Path = "gan.png", quick: bool = False, seed: int = 0) -> dict[str, float]:
    """Train, and draw; return colour distances before and after, and the probabilities at the end."""
    rng = np.random.default_rng(seed)
    real = scenes(64 if quick else 2000, rng)
    print(f"{len(real)} scenes drawn", flush=True)
    shown, opinions, distances = play(real, 4 if quick else 900, rng, batch=8 if quick else 32)
    draw(out, real, shown, opinions, distances)
    print(f"picture: {out}")
    of_real, of_fake = opinions[-50:].mean(axis=0)
    return {"before": distances[0, 1], "after": distances[-1, 1], "real": float(of_real), "generated": float(of_fake)}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", default="gan.png", help="where the picture is written (default: %(default)s)")
    parser.add_argument("--quick", action="store_true", help="four steps, which learn nothing")
    parser.add_argument("--seed", type=int, default=0, help="random seed of scenes, initial weights and noise")
    main(**vars(parser.parse_args()))
