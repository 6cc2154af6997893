"""Checkers of the claims 1-1 to 1-3: matrices made from the definition against the primitives of minigrad."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

import minigrad as mg
from theory.convolution.certificates import permutation_of
from theory.convolution.domains import Example
from theory.convolution.matrices import Array, SparseMatrix, conv_matrix, conv_transpose_matrix, transposed_size
from theory.convolution.subpixel import shuffle_matrix, subpixel_conv, subpixel_kernel
from theory.refutation import Refuted, Unsound, accepts, agree, require

# The source's matrices, literally ------------------------------------------------------------------


def source_convolution(w: Array) -> Array:
    """The 4x9 matrix of claim 1-1, of weights w (2, 2), as corrected."""
    (w00, w01), (w10, w11) = w
    o = 0
    return np.array([
        [w11, o, o, o, o, o, o, o, o],
        [o, o, w10, o, o, o, o, o, o],
        [o, o, o, o, o, o, w01, o, o],
        [o, o, o, o, o, o, o, o, w00],
    ])  # fmt: skip


def source_printed(w: Array) -> Array:
    """Return the 4x8 matrix of claim 1-1, of weights w (2, 2), as printed: w00 is in column 7, the place of x21."""
    (w00, w01), (w10, w11) = w
    o = 0
    return np.array([
        [w11, o, o, o, o, o, o, o],
        [o, o, w10, o, o, o, o, o],
        [o, o, o, o, o, o, w01, o],
        [o, o, o, o, o, o, o, w00],
    ])  # fmt: skip


def source_output(x: Array, w: Array) -> Array:
    """Y (2, 2) of claim 1-1, as printed: of the picture x (3, 3) and the weights w (2, 2)."""
    return np.array([[w[1, 1] * x[0, 0], w[1, 0] * x[0, 2]], [w[0, 1] * x[2, 0], w[0, 0] * x[2, 2]]])


def source_transposed(w: Array) -> Array:
    """The 16x4 matrix of claim 1-2, of weights w (2, 2)."""
    columns = [0, 0, 1, 1, 0, 0, 1, 1, 2, 2, 3, 3, 2, 2, 3, 3]
    (w00, w01), (w10, w11) = w
    entries = 2 * [w00, w01, w00, w01, w10, w11, w10, w11]
    matrix = np.zeros((16, 4), w.dtype)
    for row, (column, entry) in enumerate(zip(columns, entries, strict=True)):
        matrix[row, column] = entry
    return matrix


# Claims 1-1 and 1-2 --------------------------------------------------------------------------------


def matrix_of(example: Example) -> SparseMatrix:
    """The example's matrix, from the definition; Refuted if one of its triplets is outside of its shape."""
    make: Callable[..., SparseMatrix] = conv_matrix if example.kind == "conv" else conv_transpose_matrix
    matrix = make(example.w, example.x.shape, **example.options)
    for places, size in zip((matrix.rows, matrix.columns), matrix.shape, strict=True):
        require(((places >= 0) & (places < size)).all(), f"a triplet is outside of a matrix of {matrix.shape}")
    return matrix


def primitive_of(example: Example) -> Callable[[Any], mg.Tensor]:
    """The example as a function of a picture (1, C, H, W), which minigrad computes."""
    primitive = mg.ops.conv2d if example.kind == "conv" else mg.ops.conv_transpose2d
    return lambda x: primitive(x, example.w, **example.options)


def check_printed_shape(printed: tuple[int, int]) -> None:
    """A matrix of the printed shape can be applied to the picture of the source, X of 3x3."""
    (rows, columns), entries = printed, 3 * 3
    if source_printed(np.eye(2)).shape != printed:
        raise Unsound("the printed matrix has another shape")
    require(columns == entries, f"a matrix of {rows}x{columns} cannot be applied to the {entries} entries of vec(X)")


def check_printed_output(example: Example) -> None:
    """conv2d gives the Y that is printed."""
    y = primitive_of(example)(example.x[None]).numpy()
    agree(y[0, 0], source_output(example.x[0], example.w[0, 0]), "Y")


def check_source_convolution(example: Example) -> None:
    """The 4x9 matrix is the convolution's, and gives Y."""
    literal = source_convolution(example.w[0, 0])
    agree(matrix_of(example).dense(), literal, "the matrix")
    agree(literal @ example.x.ravel(), source_output(example.x[0], example.w[0, 0]).ravel(), "A vec(X)")


def check_source_transposed(example: Example) -> None:
    """The 16x4 matrix is the transposed convolution's, and the primitive does what it does."""
    literal = source_transposed(example.w[0, 0])
    agree(matrix_of(example).dense(), literal, "the matrix")
    y = primitive_of(example)(example.x[None]).numpy()
    require(y.shape == (1, 1, 4, 4), f"the output is {y.shape}, not 4x4")
    agree(literal @ example.x.ravel(), y.ravel(), "A vec(X)")


def _fitting(example: Example, outputs: int) -> SparseMatrix:
    """The example's matrix, once it has as many rows and columns as the pictures have entries."""
    matrix = matrix_of(example)
    require(matrix.shape == (outputs, example.x.size), f"A is {matrix.shape}, not {(outputs, example.x.size)}")
    return matrix


def check_product(example: Example) -> None:
    """A vec(x) is the primitive's output, by the triplets and by the whole matrix."""
    y = primitive_of(example)(example.x[None]).numpy().ravel()
    a = _fitting(example, y.size)
    agree(a @ example.x.ravel(), y, "A vec(x)")
    agree(a.dense() @ example.x.ravel(), y, "A vec(x), dense")
    half = SparseMatrix(a.rows, a.columns, a.values / 2, a.shape)
    agree(half @ example.x.ravel().astype(int), y / 2, "(A / 2) vec(x), x of integers")
    places = [(row, column) for row, column, _ in a.triplets()]
    require(places == sorted(set(places)), "two triplets are in one place, or out of order")


def check_vjp(example: Example) -> None:
    """A' g is the cotangent that minigrad pulls back."""
    y, pullback = mg.vjp(primitive_of(example), example.x[None])
    g = example.cotangent(y.shape)
    (pulled,) = pullback(g)
    agree(_fitting(example, g.size).T @ g.ravel(), pulled.numpy().ravel(), "A' g")


def check_adjoint(example: Example) -> None:
    """<primitive(x), y> = <x, A' y>."""
    image = primitive_of(example)(example.x[None]).numpy()
    y = example.cotangent(image.shape)
    back = _fitting(example, y.size).T @ y.ravel()
    agree(np.vdot(example.x.ravel(), back), np.vdot(image, y), "<x, A' y>")


def check_transpose(example: Example) -> None:
    """The transposed convolution's matrix is the transpose of the convolution's, which shares its options."""
    _, filters, height, width = primitive_of(example)(example.x[None]).shape
    options = {name: value for name, value in example.options.items() if name != "output_padding"}
    convolution = conv_matrix(example.w, (filters, height, width), **options)
    agree(matrix_of(example).dense(), convolution.dense().T, "the matrix")
    larger = {**example.options, "output_padding": example.stride}
    made = accepts(lambda: conv_transpose_matrix(example.w, example.x.shape, **larger))
    require(not made, f"the output padding {example.stride} is accepted, but the convolution gives a larger picture")


def check_pair(example: Example) -> None:
    """<conv2d(y), x> = <y, conv_transpose2d(x)>, by the primitives alone."""
    image = primitive_of(example)(example.x[None]).numpy()
    y = example.cotangent(image.shape)
    options = {name: value for name, value in example.options.items() if name != "output_padding"}
    smaller = mg.ops.conv2d(y, example.w, **options).numpy()
    agree(np.vdot(smaller[0], example.x), np.vdot(y, image), "<conv2d(y), x>")


# Claim 1-3 -----------------------------------------------------------------------------------------


def check_source_permutation(example: Example) -> None:
    """With kernels (4, 1, 1, 1) and (1, 1, 2, 2) of the same four weights w, A_T = P A_C and A_C = w (x) I."""
    a_t = conv_transpose_matrix(example.w, example.x.shape, stride=2).dense()
    a_c = conv_matrix(example.w.reshape(4, 1, 1, 1), example.x.shape).dense()
    agree(a_t, source_transposed(example.w[0, 0]), "A_T")
    agree(a_c, np.kron(example.w.reshape(4, 1), np.eye(4)), "A_C against the Kronecker product of w and I")
    p = shuffle_matrix((4, *example.x.shape[1:]), 2).dense()
    agree(p @ a_c, a_t, "P A_C")
    order = _certified(p)
    agree(a_c[order], a_t, "the rows of A_C in another order")


def check_shuffle(example: tuple[int, int, int, int]) -> None:
    """P is a permutation matrix and does what pixel_shuffle does to every picture: to all unit vectors.

    example: (C, H, W, r); the picture that is shuffled has C r² channels.
    """
    channels, height, width, r = example
    shape = channels * r * r, height, width
    p = shuffle_matrix(shape, r).dense()
    units = np.eye(len(p)).reshape(-1, *shape)
    shuffled = mg.ops.pixel_shuffle(units, r).numpy()
    agree(p.T, shuffled.reshape(len(p), -1), "P, transposed")
    _certified(p)


def _certified(p: Array) -> list[int]:
    """The order of rows that p gives, once it is certified to be a permutation matrix, and by its entries, too."""
    try:
        order = permutation_of(p)
    except ValueError as error:
        raise Refuted(f"P is not a permutation: {error}") from error
    require(sorted(order) == list(range(len(p))), f"{order} are not all places, each once")
    require(all(p[k, place] == 1 for k, place in enumerate(order)), f"P has no ones in the places {order}")
    require(np.count_nonzero(p) == len(order), f"P has {np.count_nonzero(p)} entries that are not 0, not {len(order)}")
    return order


def check_spoilt_permutations(order: list[int]) -> None:
    """Only permutation matrices are certified; matrices close to one are not."""
    right = np.eye(len(order), dtype=int)[order]
    require(permutation_of(right) == list(order), f"the certificate says {permutation_of(right)}")
    negative = np.array([[0, 1, 0], [1, -1, 1], [0, 1, 0]])  # all of its rows and columns sum to 1
    spoilt = {"a -1": negative, "a row twice": right[[0, 0, *range(2, len(order))]],
              "a row more": np.vstack([right, right[:1]]),
              "a column twice": right[:, [0, 0, *range(2, len(order))]], "a row less": right[1:], "a 2": 2 * right,
              "a row of zeros": right * (np.arange(len(order)) > 0)[:, None], "no zeros": np.ones_like(right),
              "halves": np.vstack([right[:1] + right[1:2], right[:1] + right[1:2], 2 * right[2:]]) / 2}  # fmt: skip
    for name, wrong in spoilt.items():
        require(not accepts(permutation_of, wrong), f"a matrix with {name} is certified as a permutation matrix")


def check_kernel_of_stride(example: Example) -> None:
    """Kernel = stride: a 1x1 convolution to rh rw times the channels and a shuffle; nothing is cut off."""
    v, p, kept = _subpixel(example)
    filters, (rh, rw) = example.w.shape[1] * example.groups, example.stride
    require(v.shape[0] == filters * rh * rw, f"{v.shape[0]} channels, not {rh}·{rw} times {filters}")
    require(v.shape[2:] == (1, 1), f"the convolution is {v.shape[2]}x{v.shape[3]}, not 1x1")
    require(len(kept) == p.shape[0], f"{p.shape[0] - len(kept)} pixels are cut off")


def check_kernel_of_multiple(example: Example) -> None:
    """Kernel = k times the stride: a convolution of k sub-kernels' entries, read backwards; nothing is cut off."""
    v, p, kept = _subpixel(example)
    times = tuple(n // r for n, r in zip(example.w.shape[2:], example.stride, strict=True))
    require(v.shape[2:] == times, f"the convolution is {v.shape[2]}x{v.shape[3]}, not {times[0]}x{times[1]}")
    rh, rw = example.stride
    for f, m, n in np.ndindex(example.w.shape[1], rh, rw):  # of the first group
        ours = v[(f * rh + m) * rw + n]
        theirs = example.w[: ours.shape[0], f, m::rh, n::rw]
        agree(ours, theirs[..., ::-1, ::-1], f"the sub-kernel of remainders {m}, {n}")
    require(len(kept) == p.shape[0], f"{p.shape[0] - len(kept)} pixels are cut off")


def check_every_kernel(example: Example) -> None:
    """Any kernel and options: zeros up to the next multiple of the stride, and a rectangle of what comes out."""
    v, _, _ = _subpixel(example)
    axes = zip(example.w.shape[2:], example.dilation, example.output_padding, example.stride, v.shape[2:], strict=True)
    for k, d, e, r, n in axes:
        filled = d * (k - 1) + 1 + e
        require((n - 1) * r < filled <= n * r, f"{filled} entries, the end filled, are split into {n} for stride {r}")


def check_filled_size(example: tuple[int, int, int, int]) -> None:
    """The kernel is filled to r ceil((d (K - 1) + 1 + e) / r) entries, and no multiple of r below gives every pixel.

    example: K, the stride r, the dilation d and the output padding e.
    """
    K, r, d, e = example
    filled = r * subpixel_kernel(np.ones((1, 1, 1, K)), (1, r), (0, e), (1, d)).shape[3]
    said = r * math.ceil((d * (K - 1) + 1 + e) / r)
    require(filled == said, f"the kernel is filled to {filled} entries, not {said}")
    (_, width) = transposed_size((1, 1), (1, K), (1, r), 0, (0, e), (1, d))  # of one pixel
    require(filled - r < width <= filled, f"{filled} entries give {filled} pixels, {width} are wanted")


def _subpixel(example: Example) -> tuple[Array, SparseMatrix, Array]:
    """Compare both sides, as matrices and by the primitives; the filters, P, and the rows that are kept."""
    x, w, r, groups = example.x, example.w, example.stride, example.groups
    v = subpixel_kernel(w, r, example.output_padding, example.dilation, groups)
    border = v.shape[2] - 1, v.shape[3] - 1
    channels, height, width = len(v), x.shape[1] + border[0], x.shape[2] + border[1]  # after the convolution
    p = shuffle_matrix((channels, height, width), r)
    fine = channels // (r[0] * r[1]), height * r[0], width * r[1]
    size = transposed_size(x.shape[1:], w.shape[2:], r, example.padding, example.output_padding, example.dilation)
    fits = all(p + n <= whole for p, n, whole in zip(example.padding, size, fine[1:], strict=True))
    require(fits, f"P gives {fine[1]}x{fine[2]} pixels, of which {size} are to be kept from {example.padding} on")
    (top, left), (tall, wide) = example.padding, size
    kept = np.arange(p.shape[0]).reshape(fine)[:, top : top + tall, left : left + wide].ravel()

    a_c = conv_matrix(v, x.shape, padding=border, groups=groups).dense()
    agree((p @ a_c)[kept], matrix_of(example).dense(), "P A_C")

    y = primitive_of(example)(x[None]).numpy()
    coarse = mg.ops.conv2d(x[None], v, padding=border, groups=groups).numpy()
    agree((p @ coarse.ravel())[kept], y.ravel(), "P conv2d(x)")
    if r[0] == r[1]:  # pixel_shuffle knows one factor for both axes
        options = {name: value for name, value in example.options.items() if name != "stride"}
        agree(subpixel_conv(x[None], w, r[0], **options).numpy(), y, "pixel_shuffle(conv2d(x))")
    return v, p, kept
