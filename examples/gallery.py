"""Draw graphs of all kinds, and write the page docs/gallery.md: python examples/gallery.py --out docs

Each function below draws one picture to a path that ends in .svg, .png, .pdf or .dot, and may print a listing. Without
a layout program only listings and DOT files are written.
"""

import argparse
import ast
import contextlib
import inspect
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np

import minigrad as mg
from captioning.data.vocabulary import Vocabulary
from captioning.models.captioner import Captioner
from captioning.vision.efficientnet import EfficientNetLite0
from minigrad import nn
from minigrad.render import draw, summary, to_text


def small_network(path):
    """A small network

    Boxes are operations. The arrows show the shapes of the values between them. Every `Module` is a frame with its
    name. A small box beside an operation lists its weights and their shapes.
    """
    rng = np.random.default_rng(0)
    net = nn.Sequential(nn.Linear(4, 8, rng=rng), nn.Tanh(), nn.Linear(8, 3, rng=rng))
    x = mg.tensor(rng.standard_normal((5, 4)), dtype="float32", requires_grad=True)
    loss = mg.cross_entropy(net(x), [0, 2, 1, 1, 0])
    draw(loss, path, names={"x": x, "loss": loss})
    print(to_text(loss, names={"x": x}))


class ConvNet(nn.Module):
    """Two convolutions, each with a pool, and a linear layer."""

    def __init__(self):
        self.conv1 = nn.Conv2d(1, 8, 3, padding=1, rng=0)
        self.conv2 = nn.Conv2d(8, 16, 3, padding=1, rng=0)
        self.head = nn.Linear(16 * 7 * 7, 10, rng=0)

    def forward(self, x):
        for layer in (self.conv1, self.conv2):
            x = mg.max_pool2d(mg.relu(layer(x)), 2)
        return self.head(x.reshape(len(x), -1))


def convolution_network(path):
    """A convolutional network

    minigrad draws operations between two layers between their frames. `summary` calls the network once. It lists the
    output shape, the parameters, the multiply-adds and the residuals of each module.
    """
    net, images = ConvNet(), mg.tensor(np.ones((2, 1, 28, 28), np.float32), requires_grad=True)
    scores = net(images)
    draw(scores, path, names={"images": images, "scores": scores})
    print(summary(net, images))


def deep_network(path):
    """A deep network with collapsed modules

    EfficientNet-Lite0, the network behind `captioning`'s photo features, has 142 operations. minigrad
    collapses the modules of a graph with more than 60, so that about 30 boxes remain; `depth=None` shows everything.
    Skip connections stay visible. The page that `to_html` writes opens and closes modules:

    <iframe src="interactive/gallery/deep_network.html" title="EfficientNet-Lite0 as an interactive graph"></iframe>
    """
    network = EfficientNetLite0(rng=0).eval()
    photo = mg.tensor(np.zeros((1, 3, 224, 224), np.float32), requires_grad=True)
    logits = network(photo)
    draw(logits, path, names={"photo": photo, "logits": logits})


def recurrent_steps(path):
    """A recurrent network, step by step

    `nn.RNN` runs the whole sequence in one primitive. `unroll="steps"` shows its steps, with time to the right. Each
    step takes its slice of x and the previous state. All steps share the same weights.
    """
    x = mg.tensor(np.ones((2, 5, 3), np.float32), requires_grad=True)
    states, last = nn.RNN(3, 4, rng=0)(x)
    draw([states, last], path, unroll="steps", names={"x": x, "all states": states, "last state": last})


def caption_loss():
    """The loss of an LSTM captioner for two captions of 17 words, which makes 16 steps."""
    words = ["<NULL>", "<START>", "<END>", "<UNK>", *"abcdefgh"]
    rng = np.random.default_rng(0)
    model = Captioner(Vocabulary(words), feature_size=16, wordvec_size=8, hidden_size=12, rng=rng)
    return model(rng.standard_normal((2, 16)), rng.integers(3, len(words), (2, 17)))


def captioner_folded(path):
    """An image captioner, folded

    An LSTM starts from image features, reads a caption word by word, and predicts the next word. minigrad draws and
    lists repeated steps once. Dashed arrows carry the state to the next step. In the listing, `%3.h'` is the state h of
    the previous step.
    """
    loss = caption_loss()
    draw(loss, path, names={"loss": loss})
    print(to_text(loss))


def captioner_unrolled(path):
    """The same captioner, unrolled

    This drawing shows all 16 steps from left to right. Each box names the shared weights, so they need no arrows.
    """
    loss = caption_loss()
    draw(loss, path, unroll="steps", names={"loss": loss})


class Reader(nn.Module):
    """Reads nine places in a loop written in Python, and looks at some of them at each step."""

    def __init__(self):
        self.query, self.step = nn.Linear(8, 8, rng=0), nn.Linear(16, 8, rng=0)

    def forward(self, places):
        h = places.mean(axis=1)
        for _ in range(12):
            weights = mg.softmax((places * self.query(h).reshape(-1, 1, 8)).sum(axis=2))
            seen = (places * weights.reshape(-1, 9, 1)).sum(axis=1)
            h = mg.tanh(self.step(mg.concatenate([h, seen], axis=1)))
        return h


def attention_loop(path):
    """Attention in a loop

    minigrad also folds your own loops: it finds the repeated iterations in the graph. Dashed arrows lead from one
    iteration to the next.
    """
    places = mg.tensor(np.ones((2, 9, 8), np.float32), requires_grad=True)
    draw(Reader()(places), path, names={"places": places})


def twin_networks(path):
    """Shared weights

    Both inputs pass through the same layer. Boxes with the same number are the same weight.
    """
    layer = nn.Linear(3, 2, rng=0)
    left, right = (mg.tensor(np.ones((4, 3)), dtype="float32", requires_grad=True) for _ in range(2))
    distance = mg.square(layer(left) - layer(right)).sum()
    draw(distance, path, names={"left": left, "right": right, "distance": distance})


def shared_subexpressions(path):
    """A graph that is not a tree

    minigrad computes a value once, however often you use it; each use is an arrow. Arrows have labels if the order of
    arguments matters. Constants have their values, here `= 1`.
    """
    x = mg.tensor([1.0, 2.0], requires_grad=True)
    square = x * x
    power = mg.exp(square)
    y = ((square + power) * power / (power + 1)).sum()
    draw(y, path, names={"x": x, "y": y})
    print(to_text(y, names={"x": x}))


PICTURES: dict[Callable[[Path], None], list[Callable[..., object]]] = {
    small_network: [],
    convolution_network: [ConvNet],
    deep_network: [],
    recurrent_steps: [],
    captioner_folded: [caption_loss],
    captioner_unrolled: [],
    attention_loop: [Reader],
    twin_networks: [],
    shared_subexpressions: [],
}
"""The functions in the order of the page, and the helpers that are shown with each."""


# The page ---------------------------------------------------------------------------------------------

INTRODUCTION = """# A gallery of graphs

`python examples/gallery.py` draws these pictures, also as DOT. On the site, click one to pan, zoom and search it. The
code needs `import numpy as np`, `import minigrad as mg`, `from minigrad import nn` and
`from minigrad.render import draw, summary, to_text`. [How far back does the gradient reach?](reach.md) has pictures of
recurrent networks.
"""


def printed(function: Callable[[Path], None], path: Path) -> str:
    """Return what a function prints while it draws to a path."""
    with contextlib.redirect_stdout(io.StringIO()) as output:
        function(path)
    return output.getvalue()


def code_of(thing: Callable[..., object]) -> str:
    """Return the source of a function or class of this file without its docstring."""
    source = Path(__file__).read_text(encoding="utf-8")
    (definition,) = (d for d in ast.parse(source).body if getattr(d, "name", "") == thing.__name__)
    head, _docstring, body = ast.get_source_segment(source, definition).split('"""', 2)
    return (head.rstrip() + body).replace(":\n\n", ":\n", 1)


def page(listings: dict[str, str]) -> str:
    """Return the page as Markdown, given what each function printed."""
    parts = [INTRODUCTION]
    for function, helpers in PICTURES.items():
        title, _, text = inspect.getdoc(function).partition("\n\n")
        code = "\n\n\n".join(map(code_of, [*helpers, function]))
        parts += [f"## {title}\n", f"{text}\n", f"![{title}](gallery/{function.__name__}.svg)\n"]
        parts += [f"```python\n{code}\n```\n"]
        if listing := listings[function.__name__]:
            parts.append(f"```\n{listing}```\n")
    return "\n".join(parts)


def main(out: str | Path = ".") -> list[str]:
    """Write gallery.md and the folder gallery; return the names of the files."""
    folder = Path(out, "gallery")
    folder.mkdir(parents=True, exist_ok=True)
    listings, written = {}, []
    for function in PICTURES:
        name = function.__name__
        listings[name] = printed(function, folder / f"{name}.dot")
        written.append(f"{name}.dot")
    try:
        for function in PICTURES:
            printed(function, folder / f"{function.__name__}.svg")
            written.append(f"{function.__name__}.svg")
    except ModuleNotFoundError as error:
        print(f"The pictures are left out: {error}")
    Path(out, "gallery.md").write_text(page(listings), encoding="utf-8")
    print(f"{len(written)} files in {folder}, and the page {Path(out, 'gallery.md')}")
    return [*written, "gallery.md"]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Draw the gallery of graphs.")
    parser.add_argument("--out", default=".", help="folder for gallery.md and the folder gallery")
    main(parser.parse_args().out)
