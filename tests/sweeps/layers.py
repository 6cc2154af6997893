"""Layers of convolutions at the sizes that networks have: which there are, and one of them run and compared."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from math import gcd, prod
from typing import Any

import numpy as np

import minigrad as mg
from tests.checks import leaf, pull
from tests.strategies import with_layout
from tests.sweeps import plain
from tests.sweeps.bounds import Found, units
from tests.sweeps.runs import levels, threads, wide

__all__ = ["BOUND", "NETWORKS", "Layer", "layer", "measured"]

BOUND = 8.0  # in units of rounding, see bounds
_MOST = 2**25  # multiplications in one of the three products of a case

_AXES = {
    "transposed": (False, True),
    "channels": (1, 3, 8, 16, 24, 32, 48, 64, 96, 128),
    "filters": (1, 3, 8, 16, 24, 32, 48, 64, 96, 128),
    "kernel": ((3, 3), (1, 1), (2, 2), (3, 3), (4, 4), (5, 5), (7, 7), (1, 3), (3, 1), (7, 1), (1, 5), (3, 2), (4, 7)),
    "stride": ((1, 1), (2, 2), (1, 1), (2, 2), (3, 3), (1, 2), (2, 1), (3, 1), (2, 3)),
    "padding": ("half", "none", "half", "one", "whole", "rows"),
    "dilation": ((1, 1), (1, 1), (1, 1), (2, 2), (3, 3), (1, 2), (2, 1)),
    "height": (1, 4, 7, 8, 13, 14, 16, 28, 31, 32, 56, 57, 64),
    "width": (1, 4, 7, 8, 13, 14, 16, 28, 31, 32, 56, 57, 64),
    "images": (1, 2, 3, 4, 8, 16),
    "groups": (1, 1, 1, 2, 4, "depthwise"),
    "layouts": ("CC", "CF", "FC", "C strided", "strided C", "reversed broadcast", "C C"),
    "bias": (True, False),
    "extra": (0, 1, 2),
    "dtype": ("float32",) * 4 + ("float64",),
    "threads": (1, 2),
}


@dataclass(frozen=True)
class Layer:
    """A call: of images (images, channels, height, width), in both directions, with its cotangent."""

    transposed: bool
    channels: int
    filters: int
    kernel: tuple[int, int]
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    dilation: tuple[int, int] = (1, 1)
    height: int = 32
    width: int = 32
    images: int = 2
    groups: int = 1
    x_layout: str = "C"
    g_layout: str = "C"
    bias: bool = True
    extra: tuple[int, int] = (0, 0)  # output_padding
    dtype: str = "float32"
    threads: int = 1
    seed: int = 0

    @property
    def extent(self) -> tuple[int, int]:
        return tuple(d * (k - 1) + 1 for d, k in zip(self.dilation, self.kernel, strict=True))  # type: ignore[return-value]

    @property
    def output(self) -> tuple[int, int]:
        """Rows and columns of what comes out."""
        axes = zip((self.height, self.width), self.extent, self.stride, self.padding, self.extra, strict=True)
        if self.transposed:
            return tuple((n - 1) * s - 2 * p + e + o for n, e, s, p, o in axes)  # type: ignore[return-value]
        return tuple((n + 2 * p - e) // s + 1 for n, e, s, p, _ in axes)  # type: ignore[return-value]

    @property
    def multiplications(self) -> int:
        windows = (self.height, self.width) if self.transposed else self.output
        return self.images * prod(windows) * self.filters * self.channels // self.groups * prod(self.kernel)

    @property
    def options(self) -> dict[str, Any]:
        extra = {"output_padding": self.extra} if self.transposed else {}
        names = ("stride", "padding", "dilation", "groups")
        return {**{name: getattr(self, name) for name in names}, **extra}

    @property
    def name(self) -> str:
        return "conv_transpose2d" if self.transposed else "conv2d"

    @cached_property
    def arrays(self) -> tuple[list[np.ndarray | None], np.ndarray]:
        """x, w, b (or None), and the cotangent, each in its layout."""
        rng = np.random.default_rng(self.seed)
        ends = (self.channels, self.filters) if self.transposed else (self.filters, self.channels)
        x = rng.standard_normal((self.images, self.channels, self.height, self.width)).astype(self.dtype)
        w = rng.standard_normal((ends[0], ends[1] // self.groups, *self.kernel)).astype(self.dtype)
        b = rng.standard_normal(self.filters).astype(self.dtype) if self.bias else None
        g = rng.standard_normal((self.images, self.filters, *self.output)).astype(self.dtype)
        return [with_layout(x, self.x_layout), w, b], with_layout(g, self.g_layout)


def layer(i: int) -> Layer:
    """The i-th of the sweep: levels of all axes, made to fit each other."""
    chosen = levels(i, _AXES)
    groups, layouts, extra, padding = (chosen.pop(name) for name in ("groups", "layouts", "extra", "padding"))
    if groups == "depthwise":
        groups = chosen["channels"]
        chosen["filters"] = groups * (1 + i % 2)
    groups = gcd(groups, gcd(chosen["channels"], chosen["filters"]))
    found = Layer(**chosen, groups=groups, seed=i)
    found = replace(found, padding=_padding(padding, found.extent))
    x_layout, _, g_layout = layouts.partition(" ") if " " in layouts else (layouts[0], "", layouts[1])
    found = replace(found, x_layout=x_layout, g_layout=g_layout)
    if found.transposed:
        limits = (max(s, d) - 1 for s, d in zip(found.stride, found.dilation, strict=True))
        found = replace(found, extra=tuple(min(extra, most) for most in limits))
    while min(found.output) < 1:  # the kernel is larger than the image, or padding cuts all of it off
        found = replace(found, height=found.height + 3, width=found.width + 2)
    while found.multiplications > _MOST and found.images > 1:
        found = replace(found, images=found.images // 2)
    while found.multiplications > _MOST and max(found.channels, found.filters) > groups:
        larger = max("channels", "filters", key=lambda axis: getattr(found, axis))
        found = replace(found, **{larger: max(getattr(found, larger) // (2 * groups), 1) * groups})
    return found


def _padding(kind: str, extent: tuple[int, int]) -> tuple[int, int]:
    (height, width) = extent
    pads = {"none": (0, 0), "half": (height // 2, width // 2), "one": (1, 1), "whole": (height - 1, width - 1),
            "rows": (height // 2, 0)}  # fmt: skip
    return pads[kind]


def _two(value: int) -> tuple[int, int]:
    return (value, value)


# Layers of well-known networks, at sizes that fit a test.
NETWORKS = {
    "ResNet's stem": Layer(False, 3, 64, _two(7), _two(2), _two(3), height=64, width=64),
    "ResNet, down": Layer(False, 64, 128, _two(3), _two(2), _two(1), height=28, width=28),
    "ResNet, short cut": Layer(False, 64, 128, _two(1), _two(2), height=28, width=28),
    "VGG": Layer(False, 128, 128, _two(3), padding=_two(1), height=28, width=28),
    "MobileNet, depthwise": Layer(False, 96, 96, _two(3), _two(2), _two(1), height=57, width=57, groups=96),
    "ResNeXt": Layer(False, 128, 128, _two(3), padding=_two(1), height=28, width=28, groups=32),
    "a strided network's second layer": Layer(False, 8, 32, _two(3), _two(2), _two(1), height=28, width=28, images=4),
    "DeepLab": Layer(False, 64, 64, _two(3), padding=_two(4), dilation=_two(4), height=33, width=33),
    "DCGAN's discriminator": Layer(False, 64, 128, _two(4), _two(2), _two(1), height=32, width=32, bias=False),
    "DCGAN's first": Layer(True, 100, 128, _two(4), height=1, width=1, images=16, bias=False),
    "DCGAN's second": Layer(True, 128, 64, _two(4), _two(2), _two(1), height=8, width=8, images=8, bias=False),
    "U-Net, up": Layer(True, 128, 64, _two(2), _two(2), height=16, width=16),
    "an autoencoder, up": Layer(True, 64, 16, _two(3), _two(2), _two(1), height=7, width=7, images=1, extra=_two(1)),
}


def measured(case: Layer) -> list[Found]:
    """The errors of y, dx, dw and db in units of rounding."""
    inputs, g = case.arrays
    with threads(case.threads):
        function = getattr(mg.ops, case.name)
        outs, grads = pull(lambda *a: function(*a, **case.options), [leaf(a) for a in inputs], [g])
    taps = plain.Taps(case.kernel, case.stride, case.padding, case.dilation, case.groups)
    given, sizes = wide(*inputs, g), wide(*(None if a is None else np.abs(a) for a in (*inputs, g)))
    exact, magnitudes = (getattr(plain, case.name)(*arrays, taps) for arrays in (given, sizes))
    results = []
    for mine, value, size in zip([*outs, *grads], exact, magnitudes, strict=True):
        if mine is not None:
            assert mine.dtype == case.dtype, f"{mine.dtype}, not {case.dtype}"
            results.append(Found(case.name, mine.shape, units(mine, value, size)))
    return results
