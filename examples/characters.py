"""An LSTM learns to write like Python's own manual, a character at a time.

The text is the part of the language reference that comes with every Python (`help("topics")` reads from it), 465,000
characters; the last twentieth is held out. The network reads a character and says how probable each one is to be the
next. Its state goes on from one piece of text to the next, so that it may know what stood far above, while gradients go
back through one piece only.

It prints what it writes at three temperatures: below 1 it keeps to what is probable, above 1 it dares more. The picture
shows how probable it found each character of a passage that it never saw, and two of its units that nobody told what
to watch: the one that follows best how long the line is, and the one that knows best whether a quotation is open.

It needs matplotlib, of the extra `test`, and takes half a minute.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from pydoc_data.topics import topics

import numpy as np

import minigrad as mg
from captioning.pictures.figures import BLUE, GREY, INK, ORANGE, new_figure, save_figure
from minigrad import nn

BATCH, STEPS = 32, 64  # so many pieces of text are read side by side, so many characters of each at a time


class Text:
    """Characters as numbers: `codes` of the text to learn, `held_out` of the rest."""

    def __init__(self, text):
        self.characters = sorted(set(text))
        self.numbers = {character: number for number, character in enumerate(self.characters)}
        codes = self.encoded(text)
        self.codes, self.held_out = np.split(codes, [len(codes) * 19 // 20])

    def encoded(self, text):
        return np.array([self.numbers[character] for character in text])

    def decoded(self, codes):
        return "".join(self.characters[code] for code in codes)


def manual():
    """The topics one after the other, in an order that mixes them the same way each time."""
    names = np.random.default_rng(0).permutation(sorted(topics))
    return Text("\n\n".join(topics[name].strip() for name in names))


class Writer(nn.Module):
    """Characters (N, T) to the scores of what comes next (N, T, V), with the states that it has meanwhile.

    Called with the state (h, c) before the first of them, zeros if there is none; also returns all h (N, T, H) and the
    state (h, c) after the last.
    """

    def __init__(self, characters, hidden, rng):
        self.embedding = nn.Embedding(characters, 32, rng=rng)
        self.lstm = nn.LSTM(32, hidden, rng=rng)
        self.head = nn.Linear(hidden, characters, rng=rng)

    def forward(self, codes, state=None):
        h, state = self.lstm(self.embedding.weight, state, indices=codes)  # each character meets the weights once
        return self.head(h), h, state


def pieces(codes, batch):
    """What is read and what comes next, each (batch, STEPS), from `batch` places of the text on; every round anew."""
    length = (len(codes) - 1) // batch
    read, following = (codes[shift : shift + batch * length].reshape(batch, length) for shift in (0, 1))
    starts = range(0, length - STEPS + 1, STEPS)
    return [(read[:, start : start + STEPS], following[:, start : start + STEPS]) for start in starts]


def loss_of(scores, following):
    """The mean of -log p of what came, in nats a character."""
    return mg.cross_entropy(scores.reshape(-1, scores.shape[-1]), following.ravel())


def without_history(state):
    """The numbers of a state: gradients do not go back further."""
    return tuple(part.numpy() for part in state)


def held_out_loss(model, text):
    """Nats a character of the text that is held out."""
    state, losses = None, []
    with mg.no_grad():
        for read, following in pieces(text.held_out, 8):
            scores, _, state = model(read, state)
            losses.append(loss_of(scores, following).item())
    return float(np.mean(losses))


def train(model, text, steps):
    """Train in place; the losses of all steps, and pairs (step, loss of the text held out)."""
    optimiser = mg.optim.Adam(model.parameters(), lr=4e-3)
    rate = mg.optim.CosineLR(optimiser, steps)
    parts, losses, checks, state = pieces(text.codes, BATCH), [], [], None
    for step in range(steps):
        if step % len(parts) == 0:
            state = None  # the text begins again
        read, following = parts[step % len(parts)]
        optimiser.zero_grad()
        scores, _, state = model(read, state)
        loss = loss_of(scores, following)
        loss.backward()
        mg.optim.clip_grad_norm(model.parameters(), 1.0)
        optimiser.step()
        rate.step()
        state = without_history(state)
        losses.append(loss.item())
        if (step + 1) % max(1, steps // 10) == 0:
            checks.append((step + 1, held_out_loss(model, text)))
            print(f"step {step + 1} of {steps}: {np.mean(losses[-50:]):.3f} nats a character, "
                  f"{checks[-1][1]:.3f} of what it never saw", flush=True)  # fmt: skip
    return np.array(losses), np.array(checks)


def written(model, text, begin, length, temperatures, rng):
    """What the model writes on, one text a temperature: each character is drawn with p ^ (1 / temperature)."""
    codes, state = np.tile(text.encoded(begin), (len(temperatures), 1)), None
    heat, found = np.array(temperatures)[:, None], []
    with mg.no_grad():
        for _ in range(length):
            scores, _, state = model(codes, state)
            p = mg.softmax(scores.numpy()[:, -1] / heat, axis=1).numpy()
            drawn = (p.cumsum(axis=1) < rng.random((len(p), 1))).sum(axis=1)
            codes = np.minimum(drawn, p.shape[1] - 1)[:, None]  # sums may end a rounding error below 1
            found.append(codes[:, 0])
    return [begin + text.decoded(row) for row in np.transpose(found)]


# The units and the picture ----------------------------------------------------------------------------


def columns(text):
    """How far each character is from the beginning of its line."""
    places, column = [], 0
    for character in text:
        places.append(column)
        column = 0 if character == "\n" else column + 1
    return np.array(places)


def quoted(text):
    """1 for characters within "…" on a line, 0 elsewhere."""
    inside, found = False, []
    for character in text:
        inside = character != "\n" and inside != (character == '"')
        found.append(inside)
    return np.array(found, float)


def best_unit(states, watched):
    """The unit whose state goes most nearly as what is watched, and their correlation."""
    watched = (watched - watched.mean()) / max(watched.std(), 1e-6)
    units = (states - states.mean(axis=0)) / np.maximum(states.std(axis=0), 1e-6)
    correlations = watched @ units / len(watched)
    unit = int(np.abs(correlations).argmax())
    return unit, float(correlations[unit])


def read_through(model, codes):
    """How probable each character was after those before it (T,), and the states behind it (T, H)."""
    with mg.no_grad():
        scores, h, _ = model(codes[None, :-1])
    p = mg.softmax(scores.numpy()[0], axis=1).numpy()
    return p[np.arange(len(p)), codes[1:]], h.numpy()[0]


def draw_text(panel, lines, values, title, **colours):
    """Lines in a grid, each character on a ground of the colour of its value."""
    wide = max(map(len, lines))
    grid = np.full((len(lines), wide), np.nan)
    for row, (line, own) in enumerate(zip(lines, values, strict=True)):
        grid[row, : len(line)] = own
        for column, character in enumerate(line):
            panel.text(column, row, character, family="monospace", fontsize=8.5, ha="center", va="center",
                       color=INK, parse_math=False)  # fmt: skip
    panel.imshow(grid, aspect="auto", **colours)
    panel.set_title(title, fontsize=10, color=INK, loc="left")
    panel.set_axis_off()


def draw(path, model, text, losses, checks, lines=6):
    """The losses, and a passage of the text held out, in the colours of what the model makes of it."""
    codes = text.held_out[:6000]
    passage = text.decoded(codes[1:])
    p, states = read_through(model, codes)
    ends = [i for i, character in enumerate(passage) if character == "\n"]
    quotes = np.add.reduceat(quoted(passage), [0, *(end + 1 for end in ends[:-1])])
    shown = int(np.convolve(quotes > 0, np.ones(lines), "valid").argmax())  # where most lines quote
    places = [range(ends[i - 1] + 1 if i else 0, ends[i]) for i in range(shown, shown + lines)]
    rows = [passage[place.start : place.stop] for place in places]

    figure = new_figure(11, 8.6, layout="constrained")
    panels = figure.subplots(4, 1, height_ratios=[1.3, 1, 1, 1])
    _draw_losses(panels[0], losses, checks, len(text.characters))
    each = [p[place.start : place.stop] for place in places]
    draw_text(panels[1], rows, each, "how probable it found each character (red: hardly, green: nearly certain)",
              cmap="RdYlGn", vmin=0, vmax=1, alpha=0.6)  # fmt: skip
    for panel, watched, what in zip(
        panels[2:], (columns(passage), quoted(passage)), ("how long the line is", "whether a quotation is open"),
        strict=True,
    ):  # fmt: skip
        # states[i] is what it knows before passage[i]: that after reading this character is states[i + 1].
        unit, correlation = best_unit(states[1:], watched[:-1])
        each = [np.sign(correlation) * states[place.start + 1 : place.stop + 1, unit] for place in places]
        title = f"unit {unit}, which follows {what} (correlation {abs(correlation):.2f})"
        draw_text(panel, rows, each, title, cmap="PuOr", vmin=-1, vmax=1, alpha=0.6)
    save_figure(figure, path, dpi=80)


def _draw_losses(panel, losses, checks, characters):
    window = max(1, len(losses) // 50)
    smooth = np.convolve(losses, np.ones(window) / window, "valid")
    panel.plot(np.arange(len(smooth)) + window / 2, smooth, color=BLUE, label="training")
    panel.plot(*checks.T, "o-", color=ORANGE, markersize=4, label="text held out")
    panel.axhline(math.log(characters), color=GREY, linewidth=0.8, linestyle=":")
    panel.text(len(losses), math.log(characters), "guessing", ha="right", va="bottom", fontsize=9, color=GREY)
    panel.set(xlabel="step", ylabel="nats a character", ylim=(0, None))
    panel.spines[["top", "right"]].set_visible(False)
    panel.legend(frameon=False)


def main(out: str | Path = "characters.png", quick: bool = False, seed: int = 0) -> float:
    """Train, write, and draw; nats a character of the text held out."""
    rng = np.random.default_rng(seed)
    text = manual()
    print(f"{len(text.codes)} characters to learn from, {len(text.characters)} different ones", flush=True)
    model = Writer(len(text.characters), 64 if quick else 192, rng)
    losses, checks = train(model, text, 40 if quick else 700)
    temperatures = 0.4, 0.8, 1.2
    for temperature, passage in zip(
        temperatures, written(model, text, "The ", 50 if quick else 400, temperatures, rng), strict=True
    ):
        print(f"\n--- at temperature {temperature}\n{passage}")
    draw(out, model, text, losses, checks)
    print(f"\npicture: {out}")
    return float(checks[-1, 1])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", default="characters.png", help="where the picture is written (default: %(default)s)")
    parser.add_argument(
        "--quick", action="store_true", help="fewer units, 40 steps: it learns which are frequent, no more"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the initial weights and of what is written")
    main(**vars(parser.parse_args()))
