"""Each formula behind the claims 1-1 to 1-3 replaced by a wrong one: the claims notice."""

from __future__ import annotations

import pytest

from tests.theory.mutation import Mutant, noticed


def conv(old, new, equivalent="", count=1, numbers=("1-1",)):
    return Mutant("convolution.matrices", old, new, equivalent, numbers, count)


def transposed(old, new, equivalent="", count=1):
    return conv(old, new, equivalent, count, ("1-2",))


def subpixel(old, new, equivalent="", count=1):
    return Mutant("convolution.subpixel", old, new, equivalent, ("1-3",), count)


def certificate(old, new, equivalent=""):
    return Mutant("convolution.certificates", old, new, equivalent, ("1-3",))


def checker(number, old, new):
    return Mutant("convolution.checks", old, new, numbers=(number,))


PLACE = "y, x = i * sh + u * dh - ph, j * sw + v * dw - pw"

MUTANTS = [
    # Both matrices share this line of index arithmetic, so each mutant of it is one of both.
    conv(PLACE, "y, x = i * sh + u * dh + ph, j * sw + v * dw - pw", count=2),
    conv(PLACE, "y, x = i * sh + u * dh - ph, j * sw + v * dw - ph", count=2),
    conv(PLACE, "y, x = i * sh + u * dh - ph, j * sh + v * dw - pw", count=2),
    conv(PLACE, "y, x = i * sh + u * dh - ph, j * sw + v * dh - pw", count=2),
    conv(PLACE, "y, x = i * sh + u - ph, j * sw + v - pw", count=2),
    conv(PLACE, "y, x = i + u * dh - ph, j + v * dw - pw", count=2),
    conv(PLACE, "y, x = i * sh + v * dh - ph, j * sw + u * dw - pw", count=2),
    conv(PLACE, "y, x = i * sh - u * dh - ph, j * sw + v * dw - pw", count=2),
    transposed(PLACE, "y, x = i * sh + u * dh + ph, j * sw + v * dw - pw", count=2),
    transposed(PLACE, "y, x = i * sh + u * dh - ph, j * sw + v * dw - ph", count=2),
    transposed(PLACE, "y, x = i * sh + u * dh - ph, j * sh + v * dw - pw", count=2),
    transposed(PLACE, "y, x = i * sh + u * sh - ph, j * sw + v * sw - pw", count=2),
    conv("value=w[f, c, u, v]", "value=w[f, c, v, u]"),
    conv("value=w[f, c, u, v]", "value=w[f, c, kh - 1 - u, kw - 1 - v]"),
    conv("value=w[f, c, u, v]", "value=-w[f, c, u, v]"),
    conv("value=w[f, c, u, v]", "value=w[f, part - 1 - c, u, v]"),
    conv("value=w[f, c, u, v]", "value=w[count - 1 - f, c, u, v]"),
    conv("channel = f // (count // groups) * part + c", "channel = f // (count // groups) * part"),
    conv("channel = f // (count // groups) * part + c", "channel = f % groups * part + c"),
    conv("channel = f // (count // groups) * part + c", "channel = c"),
    conv("row=(f * oh + i) * ow + j", "row=(f * oh + i) * oh + j"),
    conv("row=(f * oh + i) * ow + j", "row=(f * ow + j) * oh + i"),
    conv("column=(channel * height + y) * width + x", "column=(channel * width + x) * height + y"),
    conv("column=(channel * height + y) * width + x", "column=(channel * height + y) * height + x"),
    conv("_within(y, height) & _within(x, width)", "_within(y, height) & _within(x, height)"),
    conv("_within(y, height) & _within(x, width)", "_within(x, width)"),
    conv("(place >= 0)", "(place >= 1)"),
    conv("(place >= 0)", "(place >= -1)"),
    conv("(place < size)", "(place <= size)"),
    conv("(place < size)", "(place < size - 1)"),
    conv("tall, wide = dh * (kh - 1) + 1, dw * (kw - 1) + 1", "tall, wide = dh * kh, dw * kw"),
    conv("(height + 2 * ph - tall) // sh + 1", "-(-(height + 2 * ph - tall) // sh) + 1"),
    conv("(width + 2 * pw - wide) // sw + 1", "(width + pw - wide) // sw + 1"),
    conv("(width + 2 * pw - wide) // sw + 1", "(width + 2 * pw - wide) // sw"),
    conv("_ordered(self.columns, self.rows, self.values, (", "_ordered(self.columns, self.rows, self.values[::-1], ("),
    conv("np.add.at(product, self.rows, values * x[self.columns])", "product[self.rows] = values * x[self.columns]"),
    conv("np.lexsort((columns, rows))", "np.lexsort((rows, columns))"),
    conv("whole[self.rows, self.columns]", "whole[self.rows, self.columns[::-1]]"),
    transposed("value=w[c, f, u, v]", "value=w[c, f, v, u]"),
    transposed("value=w[c, f, u, v]", "value=w[c, f, kh - 1 - u, kw - 1 - v]"),
    transposed("value=w[c, f, u, v]", "value=w[c, part - 1 - f, u, v]"),
    transposed("channel = c // (channels // groups) * part + f", "channel = c % groups * part + f"),
    transposed("channel = c // (channels // groups) * part + f", "channel = f"),
    transposed("row=(channel * oh + y) * ow + x", "row=(channel * ow + x) * oh + y"),
    transposed("row=(channel * oh + y) * ow + x", "row=(channel * oh + y) * oh + x"),
    transposed("column=(c * height + i) * width + j", "column=(c * width + j) * height + i"),
    transposed("_within(y, oh) & _within(x, ow)", "_within(y, oh) & _within(x, oh)"),
    transposed("(n - 1) * s - 2 * p + d * (k - 1) + 1 + e", "(n - 1) * s - 2 * p + d * (k - 1) + 1"),
    transposed("(n - 1) * s - 2 * p + d * (k - 1) + 1 + e", "(n - 1) * s - p + d * (k - 1) + 1 + e"),
    transposed("(n - 1) * s - 2 * p + d * (k - 1) + 1 + e", "n * s - 2 * p + d * (k - 1) + 1 + e"),
    transposed("(n - 1) * s - 2 * p + d * (k - 1) + 1 + e", "(n - 1) * s - 2 * p + d * k + e"),
    # The pixel shuffle.
    subpixel("channel // rw % rh, channel % rw", "channel % rw, channel // rw % rh"),
    subpixel("channel // rw % rh, channel % rw", "channel // rh % rw, channel % rw"),
    subpixel("c, i, j = channel // (rh * rw)", "c, i, j = channel % (channels // (rh * rw))"),
    subpixel("h * rh + i) * width", "i * height + h) * width"),
    subpixel("w * rw + j\n", "j * width + w\n"),
    subpixel("np.argsort(rows)", "rows"),
    # The certificate.
    certificate("m.nonzero()[1]", "m.T.nonzero()[1]"),
    # The sub-kernels.
    subpixel("[:, :, :, ::-1, :, ::-1, :]", ""),
    subpixel("[:, :, :, ::-1, :, ::-1, :]", "[:, :, :, ::-1, :, :, :]"),
    subpixel("[:, :, :, ::-1, :, ::-1, :]", "[:, :, :, :, ::-1, :, ::-1]"),
    subpixel("(0, 2, 4, 6, 1, 3, 5)", "(0, 2, 6, 4, 1, 3, 5)"),
    subpixel("(0, 2, 4, 6, 1, 3, 5)", "(0, 4, 6, 2, 1, 3, 5)"),
    subpixel("(0, 2, 4, 6, 1, 3, 5)", "(2, 0, 4, 6, 1, 3, 5)"),
    subpixel("(0, 2, 4, 6, 1, 3, 5)", "(0, 2, 4, 6, 1, 5, 3)"),
    subpixel("kh, rh, kw, rw)[", "rh, kh, rw, kw)["),
    subpixel("-(-(tall + eh) // rh), -(-(wide + ew) // rw)", "tall // rh + 1, wide // rw + 1"),
    subpixel("-(-(tall + eh) // rh), -(-(wide + ew) // rw)", "-(-tall // rh), -(-wide // rw)"),
    subpixel("-(-(tall + eh) // rh), -(-(wide + ew) // rw)", "-(-(tall + ew) // rh), -(-(wide + eh) // rw)"),
    subpixel("filled[:, :, :tall:dh, :wide:dw] = w", "filled[:, :, -tall::dh, -wide::dw] = w"),
    subpixel("[:, :, top : top + oh, left : left + ow]", "[:, :, :oh, :ow]"),
    subpixel("[:, :, top : top + oh, left : left + ow]", "[:, :, top:, left:]"),
    subpixel("border = v.shape[2] - 1, v.shape[3] - 1", "border = v.shape[3] - 1, v.shape[2] - 1"),
    checker("1-3", "[:, top : top + tall, left : left + wide]", "[:, :tall, :wide]"),
    # What the checkers say of the source.
    checker("1-1", "[w11, o, o, o, o, o, o, o, o]", "[w00, o, o, o, o, o, o, o, o]"),
    checker("1-1", "[o, o, w10, o, o, o, o, o, o]", "[o, w10, o, o, o, o, o, o, o]"),
    checker("1-1", "[[w[1, 1] * x[0, 0], w[1, 0] * x[0, 2]]", "[[w[1, 1] * x[0, 0], w[0, 1] * x[0, 2]]"),
    checker("1-2", "columns = [0, 0, 1, 1, 0, 0, 1, 1,", "columns = [0, 0, 1, 1, 1, 1, 0, 0,"),
    checker("1-2", "2 * [w00, w01, w00, w01, w10, w11, w10, w11]", "2 * [w00, w10, w00, w10, w01, w11, w01, w11]"),
    checker("1-2", "convolution.dense().T", "-convolution.dense().T"),
    checker("1-3", "example.x.shape, stride=2)", "example.x.shape, stride=1)"),
    checker("1-3", "example.w.reshape(4, 1, 1, 1)", "example.w.swapaxes(2, 3).reshape(4, 1, 1, 1)"),
    checker("1-3", "shuffle_matrix((4, *example.x.shape[1:]), 2)", "shuffle_matrix((4, *example.x.shape[1:]), 2).T"),
    # Equivalent ones, which must survive.
    conv("np.ogrid[:count, :part, :oh, :ow, :kh, :kw]", "np.mgrid[:count, :part, :oh, :ow, :kh, :kw]",
         "the same indices, written out instead of broadcast"),
    transposed("np.add.at(product, self.rows, values * x[self.columns])",
               "product[self.rows] = values * x[self.columns]; product = self.dense() @ x",
               "another way to the same product"),
    subpixel("np.argsort(rows)", "np.argsort(rows, kind='stable')", "no two rows are equal, so every sort agrees"),
    certificate("m.nonzero()[1]", "m.argmax(axis=1)", "the entries are 0 and 1 by then"),
    subpixel("channel // rw % rh, channel % rw", "channel % (rh * rw) // rw, channel % rw",
             "division with remainder, in another order"),
]  # fmt: skip


@pytest.mark.slow
def test_a_wrong_formula_is_noticed(mutant):
    """A sample of the mutants; with --full, all of them."""
    assert noticed(mutant) != bool(mutant.equivalent)
