"""Networks that people draw, and what their drawings must show.

Each network is written once, for the layers of minigrad and of PyTorch. A text says what its drawing must show; it was
written by hand from the network's code. First come boxes, and frames with indented boxes, in the order in which they
run:

    Net
      0 · Linear 8→3
        affine
    input -> affine ~> affine -> output

Lines with arrows are chains of edges; ``~>`` is an edge from the previous step. They name a box by its label up to
`` · ``, with a number, such as ``affine 2``, if several boxes have the same name. ``(strip)`` marks a strip of colours,
and ``(pile)`` a frame with two more around it. Parameters are not listed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import minigrad as mg

from .layers import minigrads_layers, pytorchs_layers
from .models import bidirectional_gru, formula, resnet18, transformer, unet

__all__ = ["DRAWN", "Drawn", "built", "pytorchs_network", "run"]


@dataclass(frozen=True)
class Drawn:
    """A network and what its drawing must show."""

    build: Callable[[Any], tuple[Any, list[np.ndarray]]]  # from layers to the network and its inputs
    expected: str
    options: Mapping[str, Any] = field(default_factory=dict)  # of the drawing


def built(name: str) -> Callable[[], Any]:
    """Build a network; return a function that runs it, and its recorded backward pass if the drawing has options."""
    b = minigrads_layers()
    b.sigmoid, b.slope, b.detach = mg.sigmoid, _slope, lambda x: x.detach()
    network, inputs = DRAWN[name].build(b)
    tensors = [a if a.dtype.kind == "i" else mg.tensor(a, dtype="float32", requires_grad=True) for a in inputs]

    def recorded() -> Any:
        with mg.record():
            output = network(*tensors)
            output.backward()
        return output

    return recorded if DRAWN[name].options else lambda: network(*tensors)


def run(name: str) -> Any:
    """Return the output of a network."""
    return built(name)()


def pytorchs_network(torch: Any, name: str) -> tuple[Any, list[Any]]:
    """Return a network of PyTorch's layers, and its inputs."""
    b = pytorchs_layers(torch)
    b.sigmoid, b.detach = torch.sigmoid, lambda x: x.detach()
    b.slope = lambda f, x: torch.autograd.grad(f(x), x, create_graph=True)[0]
    network, inputs = DRAWN[name].build(b)
    return network, [
        torch.tensor(a) if a.dtype.kind == "i" else torch.tensor(a).float().requires_grad_() for a in inputs
    ]


def _slope(f: Callable[[Any], Any], x: Any) -> Any:
    """Return the gradient of f at x, with its graph."""
    with mg.create_graph():
        return mg.grad(f)(x)


# Networks -------------------------------------------------------------------------------------------------------------


def captioner(b):
    """A loop of a cell written by hand: torchviz and torchview draw ``torch.nn.LSTM`` as one box."""
    steps = 16

    class Captioner(b.Module):
        def __init__(self):
            super().__init__()
            self.project, self.embed = b.Linear(16, 32), b.Embedding(100, 24)
            self.cell, self.predict = b.Linear(56, 128), b.Linear(32, 100)

        def forward(self, features):
            words = self.embed(b.constant(np.arange(4 * steps).reshape(4, steps) % 100))
            h, states = self.project(features), []
            c = h * 0
            for t in range(steps):
                gates = self.cell(b.concatenate([words[:, t], h], 1))
                i, f, o = (b.sigmoid(gates[:, k : k + 32]) for k in (0, 32, 64))
                c = f * c + i * b.tanh(gates[:, 96:])
                h = o * b.tanh(c)
                states.append(h)
            return self.predict(b.concatenate(states, 0))

    return Captioner(), [formula((4, 16), 0)]


def decoder(b):
    """A loop whose last state is unused, because each step predicts from the state before it."""

    class Decoder(b.Module):
        def __init__(self):
            super().__init__()
            self.embed, self.start = b.Embedding(100, 24), b.Linear(16, 32)
            self.predict, self.cell = b.Linear(32, 100), b.Linear(56, 32)

        def forward(self, features):
            words = self.embed(b.constant(np.arange(32).reshape(4, 8)))
            h, scores = self.start(features), []
            for t in range(8):
                scores.append(self.predict(h))
                h = b.tanh(self.cell(b.concatenate([words[:, t], h], 1)))
            return b.concatenate(scores, 0)

    return Decoder(), [formula((4, 16), 0)]


def text_classifier(b):
    class Classifier(b.Module):
        def __init__(self):
            super().__init__()
            self.encoder = transformer(b)

        def forward(self, places):
            return self.encoder(b.constant(np.arange(24).reshape(1, 24)), places)

    return Classifier(), [np.arange(24)]


def second_order(b):
    """A gradient penalty: the graph has a node ``variable``, because ``mg.grad`` replaces x by a variable."""

    class Penalty(b.Module):
        def __init__(self):
            super().__init__()
            self.network = b.Sequential(b.Linear(5, 16), b.Tanh(), b.Linear(16, 1))

        def forward(self, x):
            return (b.slope(lambda x: self.network(x).sum(), x) ** 2).sum()

    return Penalty(), [formula((8, 5), 0)]


def autoencoder(b):
    class Autoencoder(b.Module):
        def __init__(self):
            super().__init__()
            self.enc = b.Sequential(b.Linear(8, 3), b.Tanh())
            self.dec = b.Sequential(b.Linear(3, 8), b.Sigmoid())

        def forward(self, x):
            return self.dec(self.enc(x))

    return Autoencoder(), [formula((4, 8), 0)]


def gan(b):
    """Both losses of one training step; the discriminator's does not reach the generator."""

    class GAN(b.Module):
        def __init__(self):
            super().__init__()
            self.generator = b.Sequential(b.Linear(4, 8), b.ReLU(), b.Linear(8, 2))
            self.discriminator = b.Sequential(b.Linear(2, 8), b.ReLU(), b.Linear(8, 1))

        def forward(self, noise, real):
            def loss(x, label):
                return b.binary_cross_entropy(self.discriminator(x), np.full((6, 1), label))

            fake = self.generator(noise)
            return loss(real, 1) + loss(b.detach(fake), 0), loss(fake, 1)

    return GAN(), [formula((6, 4), 0), formula((6, 2), 1)]


def six_layers(b):
    return b.Sequential(*[layer for _ in range(6) for layer in (b.Linear(8, 8), b.ReLU())]), [formula((4, 8), 0)]


def sigmoids(b):
    class Deep(b.Module):
        def __init__(self):
            super().__init__()
            self.layers = b.Sequential(*[layer for _ in range(13) for layer in (b.Linear(16, 16), b.Sigmoid())])

        def forward(self, x):
            return self.layers(x).sum()

    return Deep(), [formula((4, 16), 0)]


def skips(b):
    class Block(b.Module):
        def __init__(self, width):
            super().__init__()
            self.first, self.second = b.Linear(8, width), b.Linear(width, 8)

        def forward(self, x):
            return x + self.second(b.relu(self.first(x)))

    class SkipNet(b.Module):
        def __init__(self):
            super().__init__()
            self.stem, self.head = b.Linear(6, 8), b.Linear(16, 2)
            self.blocks = b.ModuleList([Block(16), Block(12)])

        def forward(self, x):
            h = y = self.stem(x)
            for block in self.blocks:
                y = block(y)
            return self.head(b.concatenate([h, y], 1))

    return SkipNet(), [formula((4, 6), 0)]


def chain(b):
    class Chain(b.Module):
        def forward(self, x):
            for _ in range(100_000):
                x = b.tanh(x)
            return x

    return Chain(), [formula((3,), 0)]


# What their drawings must show ----------------------------------------------------------------------------------------


def _resnet18() -> str:
    """Return the expectation: modules are closed, as in every drawing of more than 60 operations; sums are not."""
    lines = ["input", "Sequential", "  0 · Conv2d 3→64, 7×7", "  1 · BatchNorm2d", "  2 · ReLU", "  3 · MaxPool2d 3×3"]
    edges, before = ["input -> 0 -> 1 -> 2 -> 3"], "3"
    for k in range(1, 9):
        shorter = f"downsample {k // 2}" if k in (3, 5, 7) else ""
        lines += [f"  {k + 3} · Block", "    conv1 … bn2", *["    downsample"] * bool(shorter), "    add", "    relu"]
        edges += [f"{before} -> conv1 … bn2 {k} -> add {k} -> relu {k}", f"{before} -> {shorter or f'add {k}'}"]
        edges += [f"{shorter} -> add {k}"] * bool(shorter)
        before = f"relu {k}"
    lines += ["  12 · AdaptiveAvgPool2d", "  13 · Flatten", "  14 · Linear 512→10", "output"]
    return "\n".join([*lines, *edges, "relu 8 -> 12 -> 13 -> 14 -> output"])


def _unet() -> str:
    """Return the expectation: every module is open, because there are fewer than 60 operations."""
    lines, names, pairs = ["input", "UNet"], ["input"], 0

    def add(label: str, *frames: str) -> None:
        lines.extend(f"{'  ' * depth}{text}" for depth, text in enumerate([*frames, label], 1))
        names.append(f"{label} {sum(line.strip() == label for line in lines)}")

    def pair(name: str, inputs: int, channels: int) -> None:
        nonlocal pairs
        lines.append(f"  {name} · Sequential")
        for k, c in ((0, inputs), (3, channels)):
            layers = (f"Conv2d {c}→{channels}, 3×3", "conv2d"), ("BatchNorm2d", "batch_norm"), ("ReLU", "relu")
            for j, (frame, label) in enumerate(layers):
                lines.extend([f"    {k + j} · {frame}", f"      {label}"])
                names.append(f"{label} {2 * pairs + 1 + k // 3}")
        pairs += 1

    for k, (inputs, channels) in enumerate([(1, 16), (16, 32), (32, 64)]):
        pair(f"down.{k}", inputs, channels)
        add("max_pool2d", f"pool · MaxPool2d 2×2, call {k + 1} of 3")
    pair("bottom", 64, 128)
    for k, c in enumerate((64, 32, 16)):
        add("conv_transpose2d", f"up.{k} · ConvTranspose2d {2 * c}→{c}, 2×2")
        add("concatenate")
        pair(f"merge.{k}", 2 * c, c)
    add("conv2d", "head · Conv2d 16→1, 1×1")
    names[-1] = "conv2d 15"
    skips = [f"relu {2 * k} -> concatenate {4 - k}" for k in (1, 2, 3)]
    return "\n".join([*lines, "output", " -> ".join([*names, "output"]), *skips])


DRAWN = {
    "ResNet-18": Drawn(lambda b: (resnet18(b), [formula((4, 3, 64, 64), 0)]), _resnet18()),
    "U-Net": Drawn(lambda b: (unet(b), [formula((2, 1, 32, 32), 0)]), _unet()),
    "LSTM captioner": Drawn(
        captioner,
        """
input
indices
Captioner
  embed · Embedding 100→24
    embedding
  project · Linear 16→32
    affine
  multiply
  × 16
    getitem
    concatenate
    cell · Linear 56→128
      affine
    getitem
    sigmoid
    getitem
    sigmoid
    getitem
    sigmoid
    multiply
    getitem
    tanh
    multiply
    add
    tanh
    multiply
  concatenate
  predict · Linear 32→100
    affine
output
indices -> embedding -> getitem 1 -> concatenate 1 -> affine 2
affine 2 -> getitem 2 -> sigmoid 1 -> multiply 3 -> add -> tanh 2 -> multiply 4 -> concatenate 2 -> affine 3 -> output
affine 2 -> getitem 3 -> sigmoid 2 -> multiply 2
affine 2 -> getitem 4 -> sigmoid 3 -> multiply 4
affine 2 -> getitem 5 -> tanh 1 -> multiply 3
input -> affine 1 -> multiply 1 -> multiply 2 -> add ~> multiply 2
affine 1 -> concatenate 1
multiply 4 ~> concatenate 1
""",
    ),
    "transformer, 6 layers": Drawn(
        text_classifier,
        """
indices1
indices2
Classifier
  encoder · Encoder
    words · Embedding 100→64
      embedding
    places · Embedding 24→64
      embedding
    add
    layers.0 … layers.5 · TransformerEncoderLayer, 6 layers (pile)
      self_attn · MultiHeadAttention
        affine
        reshape
        swapaxes
        split
        attention
        swapaxes
        reshape
        out_proj · Linear 64→64
          affine
      add
      norm1 · LayerNorm
        layer_norm
      linear1 · Linear 64→128
        affine
      relu
      linear2 · Linear 128→64
        affine
      add
      norm2 · LayerNorm
        layer_norm
    norm · LayerNorm
      layer_norm
    mean
    head · Linear 64→5
      affine
output
indices1 -> embedding 1 -> add 1
indices2 -> embedding 2 -> add 1
add 1 -> affine 1 -> reshape 1 -> swapaxes 1 -> split -> attention -> swapaxes 2 -> reshape 2 -> affine 2 -> add 2
add 1 -> add 2 -> layer_norm 1 -> affine 3 -> relu -> affine 4 -> add 3 -> layer_norm 2
layer_norm 1 -> add 3
layer_norm 2 -> layer_norm 3 -> mean -> affine 5 -> output
""",
    ),
    "gradient penalty": Drawn(
        second_order,
        """
input1
input2
Penalty
  variable
  network · Sequential
    0 · Linear 5→16
      affine
    1 · Tanh
      tanh
  transpose
  matmul
  reshape
  multiply
  subtract
  multiply
  transpose
  matmul
  reshape
  power
  sum
output
input1 -> variable -> affine -> tanh -> multiply 1 -> subtract -> multiply 2
multiply 2 -> matmul 2 -> reshape 2 -> power -> sum -> output
input2 -> matmul 1 -> reshape 1 -> multiply 2
transpose 1 -> matmul 1
transpose 2 -> matmul 2
""",
    ),
    "autoencoder": Drawn(
        autoencoder,
        """
input
Autoencoder
  enc · Sequential
    0 · Linear 8→3
      affine
    1 · Tanh
      tanh
  dec · Sequential
    0 · Linear 3→8
      affine
    1 · Sigmoid
      sigmoid
output
input -> affine 1 -> tanh -> affine 2 -> sigmoid -> output
""",
    ),
    "GAN": Drawn(
        gan,
        """
input1
input2
targets1
x
targets2
targets3
GAN
  generator · Sequential
    0 · Linear 4→8
      affine
    1 · ReLU
      relu
    2 · Linear 8→2
      affine
  discriminator · Sequential, call 1 of 3
    0 · Linear 2→8
      affine
    1 · ReLU
      relu
    2 · Linear 8→1
      affine
  binary_cross_entropy_with_logits
  discriminator · Sequential, call 2 of 3
    0 · Linear 2→8
      affine
    1 · ReLU
      relu
    2 · Linear 8→1
      affine
  binary_cross_entropy_with_logits
  add
  discriminator · Sequential, call 3 of 3
    0 · Linear 2→8
      affine
    1 · ReLU
      relu
    2 · Linear 8→1
      affine
  binary_cross_entropy_with_logits
output 0
output 1
input1 -> affine 1 -> relu 1 -> affine 2 -> affine 7 -> relu 4 -> affine 8 -> binary_cross_entropy_with_logits 3
input2 -> affine 3 -> relu 2 -> affine 4 -> binary_cross_entropy_with_logits 1 -> add -> output 0
x -> affine 5 -> relu 3 -> affine 6 -> binary_cross_entropy_with_logits 2 -> add
targets1 -> binary_cross_entropy_with_logits 1
targets2 -> binary_cross_entropy_with_logits 2
targets3 -> binary_cross_entropy_with_logits 3 -> output 1
""",
    ),
    "six equal layers": Drawn(
        six_layers,
        """
input
Sequential
  6 layers (pile)
    0 … 10 · Linear 8→8
      affine
    1 … 11 · ReLU
      relu
output
input -> affine -> relu -> output
""",
    ),
    "13 sigmoid layers, gradients": Drawn(
        sigmoids,
        """
input
Deep
  layers · Sequential
    13 layers (pile)
      0 … 24 · Linear 16→16
        affine (strip)
      1 … 25 · Sigmoid
        sigmoid (strip)
  sum
output
input -> affine -> sigmoid -> sum -> output
""",
        {"gradients": True},
    ),
    "decoder, last state unused": Drawn(
        decoder,
        """
input
indices
Decoder
  embed · Embedding 100→24
    embedding
  start · Linear 16→32
    affine
  × 8, the last in part
    predict · Linear 32→100
      affine
    getitem
    concatenate
    cell · Linear 56→32
      affine
    tanh
  concatenate
output
indices -> embedding -> getitem -> concatenate 1 -> affine 3 -> tanh ~> affine 2
input -> affine 1 -> affine 2 -> concatenate 2 -> output
affine 1 -> concatenate 1
tanh ~> concatenate 1
""",
    ),
    "skip connections": Drawn(
        skips,
        """
input
SkipNet
  stem · Linear 6→8
    affine
  blocks.0 · Block
    first · Linear 8→16
      affine
    relu
    second · Linear 16→8
      affine
    add
  blocks.1 · Block
    first · Linear 8→12
      affine
    relu
    second · Linear 12→8
      affine
    add
  concatenate
  head · Linear 16→2
    affine
output
input -> affine 1 -> affine 2 -> relu 1 -> affine 3 -> add 1
add 1 -> affine 4 -> relu 2 -> affine 5 -> add 2 -> concatenate -> affine 6 -> output
affine 1 -> add 1 -> add 2
affine 1 -> concatenate
""",
    ),
    "bidirectional GRU, 2 layers": Drawn(
        lambda b: (bidirectional_gru(b), [formula((8, 30, 20), 0)]),
        """
input
h0_1
h0_2
h0_3
h0_4
Reader
  gru · GRU 20→48
    layer 0 forward
      step 0 … step 29 × 30
        gru_step
      stack
      getitem
    layer 0 reverse
      flip
      step 0 … step 29 × 30
        gru_step
      stack
      getitem
      flip
    concatenate
    layer 1 forward
      step 0 … step 29 × 30
        gru_step
      stack
      getitem
    layer 1 reverse
      flip
      step 0 … step 29 × 30
        gru_step
      stack
      getitem
    stack
  getitem
  getitem
  concatenate
  head · Linear 96→5
    affine
output
h0_1 -> gru_step 1 ~> gru_step 1
h0_2 -> gru_step 2 ~> gru_step 2
h0_3 -> gru_step 3 ~> gru_step 3
h0_4 -> gru_step 4 ~> gru_step 4
input -> gru_step 1 -> stack 1 -> getitem 1 -> stack 5
input -> flip 1 -> gru_step 2 -> stack 2 -> getitem 2 -> stack 5
stack 1 -> concatenate 1 -> gru_step 3 -> stack 3 -> getitem 3 -> stack 5
stack 2 -> flip 2 -> concatenate 1 -> flip 3 -> gru_step 4 -> stack 4 -> getitem 4 -> stack 5
stack 5 -> getitem 5 -> concatenate 2
stack 5 -> getitem 6 -> concatenate 2 -> affine -> output
""",
    ),
    "100,000 operations": Drawn(
        chain,
        """
input
Chain
  × 100,000
    tanh
output
input -> tanh ~> tanh -> output
""",
    ),
}
