"""Errors in the mathematics of convolutions; see `theory.mutation`."""

from __future__ import annotations

from theory.mutation import Mutant

__all__ = ["MUTANTS"]

MUTANTS = (
    Mutant("1-1", "convolution/matrices.py", "f // (count // groups) * part", "f // groups * part",
           "the number of groups stands for the number of filters in a group",
           "conv_matrix(np.ones((6, 1, 1, 1)), (3, 1, 1), groups=3).columns.tolist()"),
    Mutant("1-1", "convolution/matrices.py", "_within(y, height) & _within(x, width)",
           "_within(y, height) & _within(x, height)", "columns are dropped by the height of the picture",
           "conv_matrix(np.ones((1, 1, 1, 1)), (1, 1, 2)).columns.tolist()"),
    Mutant("1-2", "convolution/matrices.py", "- 2 * p + d * (k - 1) + 1 + e", "- 2 * p + d * k + e",
           "a dilated kernel spans d k pixels instead of d (k - 1) + 1",
           "transposed_size((2, 2), (2, 2), dilation=2)"),
    Mutant("1-2", "convolution/matrices.py", "if eh >= sh or ew >= sw:", "if eh > sh or ew > sw:",
           "the output padding may be as large as the stride",
           "conv_transpose_matrix([[[[1]]]], (1, 1, 1), output_padding=1).shape"),
    Mutant("1-2", "convolution/domains.py", "min(2, (n - 1) // 2)", "min(1, (n - 1) // 2)",
           "no transposed convolution has a padding of 2",
           "max(max(e.padding) for e in TRANSPOSED.examples(200))"),
    Mutant("1-3", "convolution/subpixel.py", "channel // rw % rh", "channel // rh % rh",
           "rows and columns of the factor are exchanged", "shuffle_matrix((6, 1, 1), (2, 3)).columns.tolist()"),
    Mutant("1-3", "convolution/subpixel.py", "[:, :, :, ::-1, :, ::-1, :]", "[:, :, :, ::-1, :, :, :]",
           "the columns of the sub-kernels are not reversed",
           "subpixel_kernel([[[[1, 2, 3, 4]]]], (1, 2)).tolist()"),
    Mutant("1-3", "convolution/subpixel.py", "-(-(tall + eh) // rh)", "(tall + eh) // rh + 1",
           "a kernel of exactly k strides is filled to k + 1", "subpixel_kernel(np.ones((1, 1, 2, 2)), 2).shape"),
)  # fmt: skip
"""Planted errors, which the claims must notice."""
