"""The matrices of convolutions and transposed convolutions, by index arithmetic from their definitions.

vec(x) has the entries of a picture (C, H, W) in row-major order: x[c, y, x] is entry (c H + y) W + x. A convolution is
linear in its picture, so it is a matrix. Most entries are 0, so a matrix is stored as triplets (row, column, value).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from minigrad.ops.kernels.windows import Size, integer, pair

__all__ = ["Array", "SparseMatrix", "conv_matrix", "conv_transpose_matrix", "filters", "transposed_size"]

Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class SparseMatrix:
    """A matrix as triplets: values[t] is the entry (rows[t], columns[t]), and all other entries are 0.

    rows, columns, values: vectors of one length, ordered by row and then by column. shape: (rows, columns).

    >>> a = SparseMatrix(np.array([0, 1]), np.array([2, 0]), np.array([5, 7]), (2, 3))
    >>> a.dense()
    array([[0, 0, 5],
           [7, 0, 0]])
    >>> a.T.triplets()
    [(0, 1, 7), (2, 0, 5)]
    >>> a @ np.array([1, 10, 100])
    array([500,   7])
    """

    rows: Array
    columns: Array
    values: Array
    shape: tuple[int, int]

    def dense(self) -> Array:
        """Return the whole matrix, an array of `shape`."""
        whole = np.zeros(self.shape, self.values.dtype)
        whole[self.rows, self.columns] = self.values
        return whole

    def triplets(self) -> list[tuple[int, int, Any]]:
        """Return the list of (row, column, value)."""
        return list(zip(self.rows.tolist(), self.columns.tolist(), self.values.tolist(), strict=True))

    @property
    def T(self) -> SparseMatrix:  # noqa: N802 - as NumPy calls it
        """The transpose."""
        return _ordered(self.columns, self.rows, self.values, (self.shape[1], self.shape[0]))

    def __matmul__(self, x: ArrayLike) -> Array:
        """Return the product with a vector (columns,) or a matrix (columns, k)."""
        x = np.asarray(x)
        if x.shape[:1] != self.shape[1:]:
            raise ValueError(f"the matrix has {self.shape[1]} columns, but x has the shape {x.shape}")
        values = self.values.reshape(-1, *[1] * (x.ndim - 1))
        product = np.zeros((self.shape[0], *x.shape[1:]), np.result_type(values, x))
        np.add.at(product, self.rows, values * x[self.columns])
        return product


def conv_matrix(
    w: ArrayLike,
    input_shape: tuple[int, int, int],
    stride: int | Size = 1,
    padding: int | Size = 0,
    dilation: int | Size = 1,
    groups: int = 1,
) -> SparseMatrix:
    """Return the matrix A of a convolution: A vec(x) = vec(conv2d(x, w)).

    By definition (the kernel is not flipped, and x is 0 outside the picture)

        y[f, i, j] = sum over c, u, v of  w[f, c, u, v] x[q, i stride + u dilation - padding, j ... + v ... - ...]

    where q is the c-th channel of f's group. So w[f, c, u, v] is in row (f, i, j), column (q, that pixel).

    Args:
        w: filters (F, C/groups, kh, kw), finite real numbers.
        input_shape: (C, H, W) of one picture.
        stride, padding, dilation: an integer, or a (height, width) pair.
        groups: the number of parts into which channels and filters are split.

    Returns:
        A SparseMatrix (F oh ow, C H W), with oh = (H + 2 padding - dilation (kh - 1) - 1) // stride + 1.

    Raises:
        TypeError: if an option is not an integer, or w does not hold real numbers.
        ValueError: if w is not finite, shapes or groups do not fit, or the kernel is larger than the padded picture.

    Source: homework 1-1. Its matrix, for weights W00 = 1, W01 = 2, W10 = 3, W11 = 4:

    >>> conv_matrix([[[[1, 2], [3, 4]]]], (1, 3, 3), stride=3, padding=1).dense()
    array([[4, 0, 0, 0, 0, 0, 0, 0, 0],
           [0, 0, 3, 0, 0, 0, 0, 0, 0],
           [0, 0, 0, 0, 0, 0, 2, 0, 0],
           [0, 0, 0, 0, 0, 0, 0, 0, 1]])
    """
    w, (channels, height, width) = filters(w, "(F, C/groups, kh, kw)"), input_shape
    (sh, sw), (ph, pw), (dh, dw) = _options(stride, padding, dilation)
    groups = integer("groups", groups, 1)
    count, part, kh, kw = w.shape
    if part * groups != channels or count % groups:
        raise ValueError(f"conv_matrix: w {w.shape} in {groups} group(s) does not fit a picture of {channels} channels")
    tall, wide = dh * (kh - 1) + 1, dw * (kw - 1) + 1
    if tall > height + 2 * ph or wide > width + 2 * pw:
        raise ValueError(
            f"conv_matrix: a kernel that spans {tall}x{wide} pixels is larger than the padded picture of "
            f"{height + 2 * ph}x{width + 2 * pw}"
        )
    oh, ow = (height + 2 * ph - tall) // sh + 1, (width + 2 * pw - wide) // sw + 1

    f, c, i, j, u, v = np.ogrid[:count, :part, :oh, :ow, :kh, :kw]
    channel = f // (count // groups) * part + c
    y, x = i * sh + u * dh - ph, j * sw + v * dw - pw
    return _sparse(
        row=(f * oh + i) * ow + j,
        column=(channel * height + y) * width + x,
        value=w[f, c, u, v],
        kept=_within(y, height) & _within(x, width),  # the border is 0: no entry
        shape=(count * oh * ow, channels * height * width),
    )


def conv_transpose_matrix(
    w: ArrayLike,
    input_shape: tuple[int, int, int],
    stride: int | Size = 1,
    padding: int | Size = 0,
    output_padding: int | Size = 0,
    dilation: int | Size = 1,
    groups: int = 1,
) -> SparseMatrix:
    """Return the matrix A of a transposed convolution: A vec(x) = vec(conv_transpose2d(x, w)).

    By definition every pixel of x adds the kernel, times its value, to the picture y:

        y[q, i stride + u dilation - padding, j ... + v ... - ...]  +=  w[c, f, u, v] x[c, i, j]

    where q is the f-th output channel of c's group, and entries outside y are dropped. So w[c, f, u, v] is in row
    (q, that pixel), column (c, i, j).

    Args:
        w: filters (C, F/groups, kh, kw), finite real numbers.
        input_shape: (C, H, W) of one picture.
        stride, padding, dilation, groups: those of the convolution, see :func:`conv_matrix`.
        output_padding: rows and columns added at the end, below the stride. Then the convolution of the larger picture
            gives (H, W) again and has the transposed matrix. (`mg.ops.conv_transpose2d` also allows values up to the
            dilation, for which the convolution gives a larger picture.)

    Returns:
        A SparseMatrix (F oh ow, C H W), with oh = (H - 1) stride - 2 padding + dilation (kh - 1) + 1 + output_padding.

    Raises:
        TypeError: if an option is not an integer, or w does not hold real numbers.
        ValueError: if w is not finite, shapes, groups or output_padding do not fit, or no pixel would be left.

    Source: homework 1-2. A picture of one pixel gives the kernel, row by row:

    >>> conv_transpose_matrix([[[[1, 2], [3, 4]]]], (1, 1, 1), stride=2).dense().T
    array([[1, 2, 3, 4]])
    """
    name = "conv_transpose_matrix"
    w, (channels, height, width) = filters(w, "(C, F/groups, kh, kw)"), input_shape
    (sh, sw), (ph, pw), (dh, dw) = _options(stride, padding, dilation)
    groups, (eh, ew) = integer("groups", groups, 1), pair("output_padding", output_padding, 0)
    if eh >= sh or ew >= sw:
        raise ValueError(f"{name}: output_padding {(eh, ew)} must be smaller than the stride, {(sh, sw)}")
    _, part, kh, kw = w.shape
    if w.shape[0] != channels or channels % groups:
        raise ValueError(f"{name}: w {w.shape} in {groups} group(s) does not fit a picture of {channels} channels")
    oh, ow = transposed_size((height, width), (kh, kw), (sh, sw), (ph, pw), (eh, ew), (dh, dw))

    c, f, i, j, u, v = np.ogrid[:channels, :part, :height, :width, :kh, :kw]
    channel = c // (channels // groups) * part + f
    y, x = i * sh + u * dh - ph, j * sw + v * dw - pw
    return _sparse(
        row=(channel * oh + y) * ow + x,
        column=(c * height + i) * width + j,
        value=w[c, f, u, v],
        kept=_within(y, oh) & _within(x, ow),
        shape=(part * groups * oh * ow, channels * height * width),
    )


def transposed_size(
    size: Size,
    kernel: Size,
    stride: int | Size = 1,
    padding: int | Size = 0,
    output_padding: int | Size = 0,
    dilation: int | Size = 1,
) -> Size:
    """Return the (height, width) of `mg.ops.conv_transpose2d` for a picture's `size`. ValueError if no pixel is left.

    >>> transposed_size((2, 2), (2, 2), stride=2)
    (4, 4)
    """
    ends = pair("output_padding", output_padding, 0)
    strides, paddings, dilations = _options(stride, padding, dilation)
    axes = zip(size, kernel, strides, paddings, ends, dilations, strict=True)
    height, width = ((n - 1) * s - 2 * p + d * (k - 1) + 1 + e for n, k, s, p, e, d in axes)
    if min(height, width) < 1:
        raise ValueError(
            f"a transposed convolution of {size[0]}x{size[1]} pixels would give {height}x{width}: "
            f"padding {padding} is too large"
        )
    return height, width


# Shared helpers ----------------------------------------------------------------------------------


def filters(w: ArrayLike, axes: str) -> Array:
    """Return filters as an array of finite real numbers with four axes.

    They must be finite because 0 times infinity is NaN, so a matrix with zeros would not do what the convolution does.
    """
    w = np.asarray(w)
    if w.dtype.kind not in "iuf":
        raise TypeError(f"w must hold real numbers, not {w.dtype}")
    if w.ndim != 4 or 0 in w.shape:
        raise ValueError(f"w must have the shape {axes}, each at least 1, not {w.shape}")
    if not np.isfinite(w).all():
        raise ValueError("w must be finite")
    return w


def _within(place: Array, size: int) -> Array:
    return (place >= 0) & (place < size)


def _sparse(row: Array, column: Array, value: Array, kept: Array, shape: tuple[int, int]) -> SparseMatrix:
    """Return the matrix of the kept entries; the arrays broadcast together."""
    row, column, value, kept = np.broadcast_arrays(row, column, value, kept)
    return _ordered(row[kept], column[kept], value[kept], shape)


def _ordered(rows: Array, columns: Array, values: Array, shape: tuple[int, int]) -> SparseMatrix:
    order = np.lexsort((columns, rows))
    return SparseMatrix(rows[order], columns[order], values[order], shape)


def _options(stride: Any, padding: Any, dilation: Any) -> tuple[Size, Size, Size]:
    return pair("stride", stride, 1), pair("padding", padding, 0), pair("dilation", dilation, 1)
