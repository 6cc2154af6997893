"""Examples of convolutions and transposed convolutions."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from minigrad.ops.kernels.windows import Size
from theory.convolution.matrices import Array
from theory.domains import Domain, enumerated, every, sampled
from theory.refutation import require

_SEEDS = st.integers(0, 2**32 - 1)


@dataclass(frozen=True)
class Example:
    """One picture x (C, H, W), filters w, and the options of a convolution or a transposed one.

    `kind` is "conv" or "transposed", which decides the layout of w. Entries are integers from -9 to 9, drawn by
    `seed`, so counterexamples are short, and shrinking makes the picture smaller instead of its entries 0.
    """

    kind: str
    x: Array
    w: Array
    stride: Size = (1, 1)
    padding: Size = (0, 0)
    dilation: Size = (1, 1)
    groups: int = 1
    output_padding: Size = (0, 0)
    seed: int = 0

    @property
    def options(self) -> dict[str, Any]:
        """The options as keyword arguments of the primitive and of its matrix."""
        common = {"stride": self.stride, "padding": self.padding, "dilation": self.dilation, "groups": self.groups}
        return common if self.kind == "conv" else {**common, "output_padding": self.output_padding}

    def cotangent(self, shape: tuple[int, ...]) -> Array:
        """Return the same numbers of a shape at every call."""
        return _numbers(self.seed + 1, shape)

    def __str__(self) -> str:
        plain = Example(self.kind, self.x, self.w).options
        options = ", ".join(f"{name} {value}" for name, value in self.options.items() if value != plain[name])
        return f"x = {_written(self.x)}, w = {_written(self.w)}" + (f", {options}" if options else "")


def _written(array: Array) -> str:
    """Write the entries of a small array, or the shape of a larger one."""
    numbers = " ".join(str(array.astype(int).tolist()).split()) if array.size <= 40 else "numbers"
    return f"{numbers} of shape {'x'.join(map(str, array.shape))}"


def _numbers(seed: int, shape: tuple[int, ...]) -> Array:
    return np.random.default_rng(seed).integers(-9, 9, shape, endpoint=True).astype(float)


@st.composite
def small_pictures(draw: Any, x_shape: tuple[int, ...], w_shape: tuple[int, ...], kind: str, stride: Size = (1, 1),
                   padding: Size = (0, 0)) -> Example:  # fmt: skip
    """Draw examples of the source's sizes; only the numbers vary.

    >>> from hypothesis import find
    >>> print(find(small_pictures((1, 1, 2), (1, 1, 1, 2), "conv"), lambda example: True))
    x = [[[6, -5]]] of shape 1x1x2, w = [[[[7, 3]]]] of shape 1x1x1x2
    """
    seed = draw(_SEEDS)
    return Example(kind, _numbers(seed + 2, x_shape), _numbers(seed, w_shape), stride, padding, seed=seed)


def _pairs(least: int, most: int) -> SearchStrategy[Size]:
    number = st.integers(least, most)
    return st.tuples(number, number)


@st.composite
def convolutions(draw: Any) -> Example:
    """Draw convolutions with every option, on small pictures.

    >>> from hypothesis import find
    >>> print(find(convolutions(), lambda example: example.groups == 2))
    x = [[[6]], [[-5]]] of shape 2x1x1, w = [[[[7]]], [[[3]]]] of shape 2x1x1x1, groups 2
    """
    kernel, stride = draw(_pairs(1, 3)), draw(_pairs(1, 4))
    padding, dilation = draw(_pairs(0, 2)), draw(_pairs(1, 3))
    groups, part, filters = draw(st.integers(1, 3)), draw(st.integers(1, 2)), draw(st.integers(1, 2))
    extents = [d * (k - 1) + 1 for d, k in zip(dilation, kernel, strict=True)]
    least = [max(1, e - 2 * p) for e, p in zip(extents, padding, strict=True)]  # smaller pictures hold no kernel
    height, width = (draw(st.integers(n, n + 4)) for n in least)
    seed = draw(_SEEDS)
    x = _numbers(seed + 2, (groups * part, height, width))
    w = _numbers(seed, (groups * filters, part, *kernel))
    return Example("conv", x, w, stride, padding, dilation, groups, seed=seed)


@st.composite
def transposed(draw: Any, kernel: str = "any", most: int = 3) -> Example:
    """Draw transposed convolutions with every option, on small pictures.

    kernel: "any" size; "stride", as large as the stride; or "multiple" of it. The latter two have no padding, output
    padding or dilation. most: the largest stride.

    >>> from hypothesis import find
    >>> print(find(transposed("multiple"), lambda example: example.stride == (1, 2)))
    x = [[[6]]] of shape 1x1x1, w = [[[[7, 3]]]] of shape 1x1x1x2, stride (1, 2)
    """
    stride = draw(_pairs(1, most) | st.integers(1, most).map(lambda r: (r, r)))
    padding, output_padding, dilation = (0, 0), (0, 0), (1, 1)
    height, width = draw(_pairs(1, 4))
    if kernel == "any":
        size = draw(_pairs(1, 5))
        dilation = draw(_pairs(1, 2))
        output_padding = tuple(draw(st.integers(0, s - 1)) for s in stride)
        # padding must leave a row and a column
        whole = [(n - 1) * s + d * (k - 1) + 1 + e for n, s, d, k, e in
                 zip((height, width), stride, dilation, size, output_padding, strict=True)]  # fmt: skip
        padding = tuple(draw(st.integers(0, min(2, (n - 1) // 2))) for n in whole)
    else:
        times = (1, 1) if kernel == "stride" else draw(_pairs(1, 3))
        size = tuple(k * s for k, s in zip(times, stride, strict=True))
    groups, part, channels = draw(st.integers(1, 2)), draw(st.integers(1, 2)), draw(st.integers(1, 2))
    seed = draw(_SEEDS)
    x = _numbers(seed + 2, (groups * channels, height, width))
    w = _numbers(seed, (groups * channels, part, *size))
    return Example("transposed", x, w, stride, padding, dilation, groups, output_padding, seed)


def shuffles(max_examples: int) -> list[tuple[int, int, int, int]]:
    """Return all (C, H, W, r) up to 3, from 500 examples on up to 4, the smallest pictures first.

    >>> shuffles(100)[:3], len(shuffles(100)), len(shuffles(500))
    ([(1, 1, 1, 1), (1, 1, 2, 1), (1, 2, 1, 1)], 81, 256)
    """
    sides = range(1, 5 if max_examples >= 500 else 4)
    cases = [(c, h, w, r) for c in sides for h in sides for w in sides for r in sides]
    return sorted(cases, key=lambda case: math.prod(case) * case[3])


# The domains, and what they promise ----------------------------------------------------------------


def pictures(*arguments: Any, **options: Any) -> Domain:
    """Return `small_pictures` as a domain; some have weights that all differ, so none can replace another."""
    reaches = {
        "weights that all differ": lambda example: len(np.unique(example.w)) == example.w.size,
        "a picture of different entries": lambda example: len(np.unique(example.x)) > 2,
    }
    return sampled(small_pictures(*arguments, **options), reaches)


def _certify(example: Example) -> None:
    require(example.x.any() or example.x.size < 4, "the picture is 0")
    require(example.w.any() or example.w.size < 4, "the weights are 0")


_BOTH: dict[str, Any] = {
    "different strides": lambda e: e.stride[0] != e.stride[1],
    "a picture that is not square": lambda e: e.x.shape[1] != e.x.shape[2],
    "a kernel that is not square": lambda e: e.w.shape[2] != e.w.shape[3],
    "two groups of two channels": lambda e: e.groups == 2 and e.x.shape[0] == 4,
    "two filters a group": lambda e: (e.w.shape[0] // e.groups if e.kind == "conv" else e.w.shape[1]) == 2,
}  # fmt: skip
_ALL: dict[str, Any] = {
    **_BOTH,
    "different paddings": lambda e: e.padding[0] != e.padding[1],
    "a dilated kernel": lambda e: any(d > 1 and k > 1 for d, k in zip(e.dilation, e.w.shape[2:], strict=True)),
    "different dilations": lambda e: e.dilation[0] != e.dilation[1],
}

CONVOLUTIONS = sampled(
    convolutions(),
    {
        **_ALL, "a stride of 4": lambda e: max(e.stride) == 4, "a kernel of 3": lambda e: max(e.w.shape[2:]) == 3,
        "three groups": lambda e: e.groups == 3, "a padding of 2": lambda e: max(e.padding) == 2,
        "a dilation of 3": lambda e: max(e.dilation) == 3,
    },
    _certify,
)  # fmt: skip
TRANSPOSED = sampled(
    transposed(),
    {
        **_ALL, "a stride of 3": lambda e: max(e.stride) == 3, "a kernel of 5": lambda e: max(e.w.shape[2:]) == 5,
        "an output padding": lambda e: any(e.output_padding), "a padding of 2": lambda e: max(e.padding) == 2,
    },
    _certify,
)  # fmt: skip
TRANSPOSED_BY_STRIDE = sampled(
    transposed("stride"),
    {**_BOTH, "a stride of 3 both ways": lambda e: e.stride == (3, 3)},
    lambda e: require(e.w.shape[2:] == e.stride, "the kernel is not as large as the stride"),
)
TRANSPOSED_BY_MULTIPLES = sampled(
    transposed("multiple"),
    {**_BOTH, "a kernel of 3 strides": lambda e: e.w.shape[2] == 3 * e.stride[0] > 3},
    lambda e: require(
        not any(k % r for k, r in zip(e.w.shape[2:], e.stride, strict=True)),
        "the kernel is not a multiple of the stride",
    ),
)
FILLED = enumerated(
    [(K, r, d, e) for K in range(1, 6) for r in (1, 2, 3) for d in (1, 2, 3) for e in range(r)], 5 * 3 * (1 + 2 + 3)
)
"""A kernel's size K, a stride r, a dilation d and an output padding e below the stride."""
SHUFFLES = enumerated(shuffles, lambda examples: 4**4 if examples >= 500 else 3**4)
PERMUTATIONS = sampled(
    st.integers(2, 6).flatmap(lambda n: st.permutations(range(n))), {"6 places": lambda order: len(order) == 6}
)

# The source's own ---------------------------------------------------------------------------------

PRINTED_SHAPE = every((4, 8))
"""The printed shape of the matrix of claim 1-1."""

SOURCE_CONVOLUTION = pictures((1, 3, 3), (1, 1, 2, 2), "conv", stride=(3, 3), padding=(1, 1))
SOURCE_TRANSPOSED = pictures((1, 2, 2), (1, 1, 2, 2), "transposed", stride=(2, 2))
"""Pictures of the sizes of claims 1-2 and 1-3, with drawn entries."""
