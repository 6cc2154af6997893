"""Errors in the mathematics of convolutions; see `theory.mutation`."""

from __future__ import annotations

from theory.mutation import Mutant

__all__ = ["MUTANTS"]

MUTANTS = (
    Mutant("1-1", "convolution/domains.py", ".astype(float)", ".astype(float) * 0", "all pictures and weights are 0",
           "_numbers(0, (2,)).any()"),
    Mutant("1-1", "convolution/domains.py", "draw(_pairs(1, 3)), draw(_pairs(1, 4))",
           "draw(_pairs(1, 3)), draw(_pairs(1, 1))", "all strides are 1",
           "max(max(case.stride) for case in CONVOLUTIONS.examples(50))"),
    Mutant("1-1", "convolution/domains.py",
           "draw(st.integers(1, 3)), draw(st.integers(1, 2)), draw(st.integers(1, 2))\n    extents",
           "1, draw(st.integers(1, 2)), draw(st.integers(1, 2))\n    extents", "no convolution has several groups",
           "max(case.groups for case in CONVOLUTIONS.examples(50))"),
    Mutant("1-2", "convolution/domains.py", "draw(st.integers(0, s - 1)) for s", "0 for s",
           "there is no output padding", "any(any(case.output_padding) for case in TRANSPOSED.examples(50))"),
    Mutant("1-2", "convolution/domains.py", "dilation = draw(_pairs(1, 2))", "dilation = draw(_pairs(1, 1))",
           "kernels are not dilated", "max(max(case.dilation) for case in TRANSPOSED.examples(50))"),
    Mutant("1-3", "convolution/certificates.py", '("column", m.sum(axis=0))', '("column", m.sum(axis=1))',
           "the ones of columns are not counted", "permutation_of([[0, 1], [0, 1]])"),
    Mutant("1-3", "convolution/certificates.py", '("row", m.sum(axis=1))', '("row", m.sum(axis=0))',
           "the ones of rows are not counted", "permutation_of([[1, 1], [0, 0]])"),
    Mutant("1-3", "convolution/certificates.py", "np.isin(m, (0, 1))", "np.isin(m, (0, 0.5, 1))",
           "a permutation matrix may have halves", "permutation_of([[0.5, 0.5], [0.5, 0.5]])"),
    Mutant("1-3", "convolution/domains.py", "sides = range(1, 5 if",
           "sides = range(1, 3 if max_examples < 500 else 5 if", "pictures of three rows are left out",
           "len(shuffles(100))"),
    Mutant("1-3", "convolution/certificates.py", "np.isin(m, (0, 1))", "np.isin(m, (-1, 0, 1))",
           "a permutation matrix may have a -1", "permutation_of([[0, 1, 0], [1, -1, 1], [0, 1, 0]])"),
    Mutant("1-1", "convolution/matrices.py", "np.result_type(values, x)", "x.dtype", "a product has the dtype of x",
           "(conv_matrix([[[[0.5]]]], (1, 1, 1)) @ np.array([1])).tolist()"),
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
