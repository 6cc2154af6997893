"""An LSTM learns to write like Python's manual, one character at a time.

The text is the part of the language reference that comes with every Python (`help("topics")`): 465,000 characters. The
last twentieth is held out. The network reads a character and predicts the next one. Its state carries over from one
chunk of text to the next, but gradients stay within a chunk.

The script prints text written at three temperatures: below 1 it prefers probable characters, above 1 improbable ones.
The picture shows the probability of each character in a held-out passage. Below are the two units that best track the
length of the line and whether a quotation is open. Nobody told them to.

It needs matplotlib, from the extra `caption`, and takes half a minute.
"""

import argparse
import math
from pathlib import Path
from pydoc_data.topics import topics

import numpy as np

import minigrad as mg
from captioning.pictures.figures import BLUE, GREY, INK, ORANGE, new_figure, save_figure
from minigrad import nn

BATCH, STEPS = 32, 64  # places in the text that are read in parallel, and characters in a chunk


class Text:
    """Characters as numbers: `codes` for training, and `held_out`."""

    def __init__(self, text):
        self.characters = sorted(set(text))
        self.numbers = {character: number for number, character in enumerate(self.characters)}
        codes = self.encode(text)
        self.codes, self.held_out = np.split(codes, [len(codes) * 19 // 20])

    def encode(self, text):
        return np.array([self.numbers[character] for character in text])

    def decode(self, codes):
        return "".join(self.characters[code] for code in codes)


def manual():
    """Return all topics, always in the same random order."""
    return Text("\n\n".join(topics[name].strip() for name in np.random.default_rng(0).permutation(sorted(topics))))


class Writer(nn.Module):
    """Maps characters (N, T) to scores of the next ones (N, T, V).

    Takes the state (h, c) before the first character, or zeros; also returns all h (N, T, H) and the last state.
    """

    def __init__(self, characters, hidden, rng):
        self.embedding = nn.Embedding(characters, 32, rng=rng)
        self.lstm = nn.LSTM(32, hidden, rng=rng)
        self.head = nn.Linear(hidden, characters, rng=rng)

    def forward(self, codes, state=None):
        h, state = self.lstm(
            self.embedding.weight, state, indices=codes
        )  # one product for each character of the alphabet
        return self.head(h), h, state


def chunks(codes, batch):
    """Cut the text into `batch` rows, and these into inputs and targets, each (batch, STEPS)."""
    length = (len(codes) - 1) // batch
    inputs, targets = (codes[shift : shift + batch * length].reshape(batch, length) for shift in (0, 1))
    starts = range(0, length - STEPS + 1, STEPS)
    return [(inputs[:, start : start + STEPS], targets[:, start : start + STEPS]) for start in starts]


def loss_of(scores, targets):
    """Return the mean of -log p, in nats per character."""
    return mg.cross_entropy(scores.reshape(-1, scores.shape[-1]), targets.ravel())


def held_out_loss(model, text):
    """Return the loss on the held-out text."""
    state, losses = None, []
    with mg.no_grad():
        for inputs, targets in chunks(text.held_out, 8):
            scores, _, state = model(inputs, state)
            losses.append(loss_of(scores, targets).item())
    return float(np.mean(losses))


def train(model, text, steps):
    """Train in place; return the losses of all steps, and pairs (step, held-out loss)."""
    optimiser = mg.optim.Adam(model.parameters(), lr=4e-3)
    rate = mg.optim.CosineLR(optimiser, steps)
    parts, losses, checks, state = chunks(text.codes, BATCH), [], [], None
    for step in range(steps):
        if step % len(parts) == 0:
            state = None  # the text begins again
        inputs, targets = parts[step % len(parts)]
        optimiser.zero_grad()
        scores, _, state = model(inputs, state)
        loss = loss_of(scores, targets)
        loss.backward()
        mg.optim.clip_grad_norm(model.parameters(), 1.0)
        optimiser.step()
        rate.step()
        state = tuple(part.numpy() for part in state)  # gradients do not go back further
        losses.append(loss.item())
        if (step + 1) % max(1, steps // 10) == 0:
            checks.append((step + 1, held_out_loss(model, text)))
            print(f"step {step + 1} of {steps}: {np.mean(losses[-50:]):.3f} nats a character, "
                  f"{checks[-1][1]:.3f} on the held-out text", flush=True)  # fmt: skip
    return np.array(losses), np.array(checks)


def write(model, text, begin, length, temperatures, rng):
    """Continue a text, once for each temperature: draw each character with p ^ (1 / temperature)."""
    codes, state = np.tile(text.encode(begin), (len(temperatures), 1)), None
    heat, found = np.array(temperatures)[:, None], []
    with mg.no_grad():
        for _ in range(length):
            scores, _, state = model(codes, state)
            p = mg.softmax(scores.numpy()[:, -1] / heat, axis=1).numpy()
            drawn = (p.cumsum(axis=1) < rng.random((len(p), 1))).sum(axis=1)
            codes = np.minimum(drawn, p.shape[1] - 1)[:, None]  # round-off may leave the sum below 1
            found.append(codes[:, 0])
    return [begin + text.decode(row) for row in np.transpose(found)]


# The units and the picture ----------------------------------------------------------------------------


def columns(text):
    """Return how far each character is from the beginning of its line."""
    return np.concatenate([np.arange(len(line) + 1) for line in text.split("\n")])[: len(text)]


def quoted(text):
    """Return 1 for characters within "…" on a line, 0 elsewhere."""
    lines = [np.cumsum([character == '"' for character in line]) % 2 for line in text.split("\n")]
    return np.concatenate([[*line, 0.0] for line in lines])[: len(text)]


def best_unit(states, signal):
    """Return the unit whose state correlates most with a signal, and the correlation."""
    signal = (signal - signal.mean()) / max(signal.std(), 1e-6)
    units = (states - states.mean(axis=0)) / np.maximum(states.std(axis=0), 1e-6)
    correlations = signal @ units / len(signal)
    unit = int(np.abs(correlations).argmax())
    return unit, float(correlations[unit])


def read_through(model, codes):
    """Return the probability of each character given those before it (T,), and the states before it (T, H)."""
    with mg.no_grad():
        scores, h, _ = model(codes[None, :-1])
    p = mg.softmax(scores.numpy()[0], axis=1).numpy()
    return p[np.arange(len(p)), codes[1:]], h.numpy()[0]


def draw_text(panel, lines, values, title, **colours):
    """Draw lines of text, each character on a background that shows its value."""
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
    """Draw the losses, and a held-out passage coloured by its probabilities and by two units."""
    codes = text.held_out[:6000]
    passage = text.decode(codes[1:])
    p, states = read_through(model, codes)
    ends = [i for i, character in enumerate(passage) if character == "\n"]
    quotes = np.add.reduceat(quoted(passage), [0, *(end + 1 for end in ends[:-1])])
    shown = int(np.convolve(quotes > 0, np.ones(lines), "valid").argmax())  # where most lines quote
    places = [range(ends[i - 1] + 1 if i else 0, ends[i]) for i in range(shown, shown + lines)]
    rows = [passage[place.start : place.stop] for place in places]

    figure = new_figure(11, 8.6, layout="constrained")
    panels = figure.subplots(4, 1, height_ratios=[1.3, 1, 1, 1])
    window = max(1, len(losses) // 50)
    smooth = np.convolve(losses, np.ones(window) / window, "valid")
    panels[0].plot(np.arange(len(smooth)) + window / 2, smooth, color=BLUE, label="training")
    panels[0].plot(*checks.T, "o-", color=ORANGE, markersize=4, label="held-out text")
    panels[0].axhline(math.log(len(text.characters)), color=GREY, linewidth=0.8, linestyle=":")
    panels[0].text(
        len(losses), math.log(len(text.characters)), "guessing", ha="right", va="bottom", fontsize=9, color=GREY
    )
    panels[0].set(xlabel="step", ylabel="nats a character", ylim=(0, None))
    panels[0].spines[["top", "right"]].set_visible(False)
    panels[0].legend(frameon=False)
    each = [p[place.start : place.stop] for place in places]
    draw_text(panels[1], rows, each, "probability of each character (red: 0, green: 1)",
              cmap="RdYlGn", vmin=0, vmax=1, alpha=0.6)  # fmt: skip
    for panel, signal, what in zip(
        panels[2:], (columns(passage), quoted(passage)), ("the length of the line", "whether a quotation is open"),
        strict=True,
    ):  # fmt: skip
        # states[i] is the state before passage[i], and states[i + 1] the one after it
        unit, correlation = best_unit(states[1:], signal[:-1])
        each = [np.sign(correlation) * states[place.start + 1 : place.stop + 1, unit] for place in places]
        title = f"unit {unit}, which tracks {what} (correlation {abs(correlation):.2f})"
        draw_text(panel, rows, each, title, cmap="PuOr", vmin=-1, vmax=1, alpha=0.6)
    save_figure(figure, path, dpi=80)


def main(out: str | Path = "characters.png", quick: bool = False, seed: int = 0) -> float:
    """Train, write, and draw; return the held-out loss in nats per character."""
    rng = np.random.default_rng(seed)
    text = manual()
    print(f"{len(text.codes)} characters to learn from, {len(text.characters)} different ones", flush=True)
    model = Writer(len(text.characters), 64 if quick else 192, rng)
    losses, checks = train(model, text, 40 if quick else 700)
    temperatures = 0.4, 0.8, 1.2
    for temperature, passage in zip(
        temperatures, write(model, text, "The ", 50 if quick else 400, temperatures, rng), strict=True
    ):
        print(f"\n--- at temperature {temperature}\n{passage}")
    draw(out, model, text, losses, checks)
    print(f"\npicture: {out}")
    return float(checks[-1, 1])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", default="characters.png", help="where the picture is written (default: %(default)s)")
    parser.add_argument(
        "--quick", action="store_true", help="fewer units and 40 steps: it only learns letter frequencies"
    )
    parser.add_argument("--seed", type=int, default=0, help="random seed of the initial weights and the written text")
    main(**vars(parser.parse_args()))
