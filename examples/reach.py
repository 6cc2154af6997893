"""Draw the reach of gradients in recurrent networks.

python examples/reach.py --out docs/reach

It trains the networks of examples/remember_first_bit.py and a residual RNN, an RNN with and without gradient clipping,
and two captioners. It writes the pictures of docs/reach.md, and interactive pages. This takes about 25 seconds.
"""

import argparse
import copy
from functools import partial
from pathlib import Path

import numpy as np
from remember_first_bit import HIDDEN, NETWORKS, STEPS, accuracy, batch, train

import minigrad as mg
from captioning.data.vocabulary import Vocabulary
from captioning.models.captioner import Captioner
from captioning.scenes.features import informative_phrases, phrase_targets
from captioning.scenes.grammar import captions
from captioning.scenes.world import draw_scenes
from minigrad import nn

# Recall the first of 30 bits --------------------------------------------------------------------------


class Residual(nn.Module):
    """A residual RNN: each step adds tanh of a linear function of the input and the state to the state."""

    def __init__(self, rng):
        self.linear = nn.Linear(1 + HIDDEN, HIDDEN, rng=rng)

    def step(self, x, s):
        """Return the state (N, HIDDEN) after inputs x (N, 1) and a state s (N, HIDDEN)."""
        return s + mg.tanh(self.linear(mg.concatenate([x, s], axis=1)))

    def forward(self, x):
        """Return all states (N, T, HIDDEN) and the last one, as ``nn.RNN`` does."""
        states = [mg.tensor(np.zeros((len(x), HIDDEN), np.float32))]
        for t in range(x.shape[1]):
            states.append(self.step(x[:, t], states[-1]))
        return mg.ops.stack(states[1:], axis=1), states[-1]


ALL = {"Residual RNN": Residual, **NETWORKS}


def snapshots(networks, seed, at, **options):
    """Train the networks until the last of these steps; return copies of each network and its head at each of them."""
    trained = {step: {} for step in at}

    def keep(name, step, layer, head):
        if step in trained:
            trained[step][name] = copy.deepcopy((layer, head))

    for name, network in networks.items():
        train(network, seed, steps=max(trained), watch=partial(keep, name), **options)
    return trained


def sequence(seed):
    """Return bits (LENGTH, 1) on which the reach is computed, and the first of them, (1,)."""
    x, first = batch(np.random.default_rng([seed, 1]), 1)
    return x[0], first


def learned(layer, head, seed):
    """Return a text: whether a network has learned the task, and its accuracy on 1,000 new sequences."""
    share = accuracy(layer, head, np.random.default_rng([seed, 2]))
    return f"learned: {'yes' if share > 0.95 else 'no'}\n{100 * share:.0f} % of 1,000 sequences"


def reach_of(trained, seed, tested=None):
    """Return the reach of all networks in all snapshots, with the loss of the last state.

    The notes say whether the networks in ``tested`` have learned the task; these are by default the same snapshots.
    """
    x, first = sequence(seed)

    def with_loss(layer, head):
        return getattr(layer, "step", layer), lambda states: mg.cross_entropy(head(states[-1:, :HIDDEN]), first)

    cells = {step: {name: with_loss(*pair) for name, pair in pairs.items()} for step, pairs in trained.items()}
    networks = next(iter(cells.values()))
    initial = {name: np.zeros(HIDDEN) for name in networks if name == "Residual RNN"}
    tested = list((tested or trained).values())
    notes = {name: [learned(*pairs[name], seed) for pairs in tested] for name in networks}
    return mg.render.reach(networks, x, snapshots=cells, initial=initial, notes=notes)


def clipping(seed=0, steps=20):
    """Train an RNN by SGD with a large learning rate, with and without clipping the gradient."""
    name, cells = "RNN, orthogonal start", {}
    for how, clip in (("not clipped", np.inf), ("clipped to 0.1", 0.1)):
        trained = snapshots({name: ALL[name]}, seed, (0, steps), optimiser=mg.optim.SGD, lr=3.0, clip=clip)
        cells |= {"before training": trained[0][name][0], f"{steps} steps, {how}": trained[steps][name][0]}
    return mg.render.reach(cells, sequence(seed)[0])


# A captioner ------------------------------------------------------------------------------------------


def scenes(seed, count=300):
    """Return a vocabulary, features (count, D) of synthetic scenes, and five captions each, (count, 5, columns) ids."""
    rng = np.random.default_rng(seed)
    texts = [captions(scene, rng, 5) for scene in draw_scenes(seed, "train", count)]
    words = ["<NULL>", "<START>", "<END>", "<UNK>", *sorted({word for own in texts for t in own for word in t.split()})]
    rows = [["<START>", *text.split(), "<END>"] for own in texts for text in own]
    longest = max(map(len, rows))
    ids = [[words.index(word) for word in row + ["<NULL>"] * (longest - len(row))] for row in rows]
    return words, phrase_targets(texts, informative_phrases(texts)), np.array(ids).reshape(count, 5, longest)


def on_words(model):
    """Return the captioner's cell as a layer that reads words, one-hot, instead of word vectors."""
    layer = copy.deepcopy(model.cell)
    layer.Wx = nn.Parameter(model.embed.weight.data @ model.cell.Wx.data)
    layer.input_size = len(model.vocabulary)
    return layer


def captioner(seed=0, at=(0, 30, 100, 300)):
    """Train an RNN captioner and an LSTM captioner; return their reach at these steps, on the longest caption."""
    words, features, ids = scenes(seed)
    image, caption = divmod(int((ids > 0).sum(axis=2).argmax()), 5)
    read, targets = ids[image, caption, :-1], ids[image, caption, 1:]
    cells, initial = {}, {}
    for kind in ("rnn", "lstm"):
        rng = np.random.default_rng(seed)
        model = Captioner(Vocabulary(words), features.shape[1], 16, HIDDEN, kind, rng=rng)
        optimiser = mg.optim.Adam(model.parameters(), lr=0.005)
        for step in range(max(at) + 1):
            if step in at:
                name, predict = f"{kind.upper()} after {step} steps", copy.deepcopy(model.predict)
                cells[name] = on_words(model), partial(word_loss, predict, targets)
                initial[name] = np.concatenate([s.numpy()[0] for s in model.initial_state(features[image, None])])
            some = rng.integers(len(ids), size=32)
            optimiser.zero_grad()
            model.loss(features[some], ids[some, rng.integers(5, size=32)]).backward()
            mg.optim.clip_grad_norm(model.parameters(), 5.0)
            optimiser.step()
    return mg.render.reach(cells, np.eye(len(words))[read], initial=initial)


def word_loss(predict, targets, states):
    """Return the mean cross-entropy of the next words, from states (T, H) or, of an LSTM, (T, 2H)."""
    return mg.cross_entropy(predict(states[:, :HIDDEN]), targets)


# The pictures -----------------------------------------------------------------------------------------


def main(out="docs/reach", seed=0, every=50):
    """Write the pictures and pages to a folder. The page first_bit has a snapshot for each ``every`` training steps."""
    trained = snapshots(ALL, seed, range(0, STEPS + 1, every))
    selected = {name: trained[STEPS][name] for name in ("RNN", "GRU", "LSTM, forget bias 0", "LSTM, forget bias 3")}
    others = {"clipping": clipping(seed), "captioner": captioner(seed)}
    before = reach_of({0: trained[0]}, seed, tested={STEPS: trained[STEPS]})
    after = reach_of({STEPS: selected}, seed)
    pictures = {"before_training": before, "first_bit": after, **others}
    pages = {"first_bit": reach_of(trained, seed), **others}
    Path(out).mkdir(parents=True, exist_ok=True)
    for ending, figures in ((".svg", pictures), (".html", pages)):
        for name, reach in figures.items():
            print(reach.write(Path(out, name + ending)))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", default="docs/reach", help="folder of the pictures and pages")
    parser.add_argument("--seed", type=int, default=0, help="random seed")
    arguments = parser.parse_args()
    main(arguments.out, arguments.seed)
