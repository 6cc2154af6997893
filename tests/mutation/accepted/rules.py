"""Judged equivalent: changes of rules of indexing, losses, products, shaping and recurrent layers."""

from .reasons import ANY, GENERAL, SUMS, accept

# --- indexing and lookup -------------------------------------------------------------------------------

_LONG = "if isinstance(index, np.ndarray) and index.size and _may_repeat(index) and (math.prod(shape[1:]) >= 16):"
accept("whichever rows are called long, the two ways give the same sums", "indexing._scatter", _LONG, "if False:",
        _LONG.replace("shape[1:]", "shape[0:]"), _LONG.replace("shape[1:]", "shape[2:]"),
        _LONG.replace("shape[1:]", "shape[:]"), _LONG.replace(">= 16", "> 16"), _LONG.replace("16", "15"),
        _LONG.replace("16", "17"))  # fmt: skip
accept("NumPy takes any negative length for the rest", "indexing._scatter",
        "return sum_rows(g.reshape(index.size, -1), rows, shape[0]).reshape(shape)",
        "return sum_rows(g.reshape(index.size, -2), rows, shape[0]).reshape(shape)")  # fmt: skip
accept(GENERAL, "indexing._scatter", "if _may_repeat(index):", "if True:")
accept("it is indexed, in whatever layout", "indexing.put.vjp", "d = np.array(g, order='C')", "d = np.array(g)")
accept("NumPy's integers in place of Python's, which are faster in a loop", "numerics.sum_rows",
        "for key, start, count in zip(keys[many].tolist(), first[many].tolist(), counts[many].tolist(), strict=True):",
        ANY)  # fmt: skip
accept(
    "a sum of one row is a copy", "numerics.sum_rows", "many = counts > 1", "many = counts >= 1", "many = counts > 0"
)
accept("the order within a sum decides on rounding alone", "numerics.sum_rows",
        "order = np.argsort(indices, kind='stable')", "order = np.argsort(indices)")  # fmt: skip
accept("any number below 0 differs from every index", "numerics.sum_rows",
        "first = np.flatnonzero(np.diff(keys, prepend=-1))",
        "first = np.flatnonzero(np.diff(keys, prepend=-2))")  # fmt: skip

# --- losses --------------------------------------------------------------------------------------------

_TARGETS = "t = single(targets) if targets.dtype.kind == 'f' else targets.astype(x.dtype)"
accept("computes what is not floating in a wider dtype, and the engine casts", "losses."
        "binary_cross_entropy_with_logits.vjp", _TARGETS, "t = single(targets)",
        "t = single(targets) if targets.dtype.kind == 'f' else targets")  # fmt: skip
accept("without classes there are no targets, so no rows either", "losses.cross_entropy_rows",
        "return np.zeros(len(z), z.dtype)", "return -np.zeros(len(z), z.dtype)",
        "return np.ones(len(z), z.dtype)")  # fmt: skip

# --- products ------------------------------------------------------------------------------------------

accept("with a plan or without, the same sums", "products._contract",
        "planned = len(operands) > 2 or (len(operands) == 2 and operands[0].size + operands[1].size > 4096)",
        ANY)  # fmt: skip
accept("with a plan or without, the same sums; a single number is as good as an array without axes",
        "products._contract", "return np.asarray(np.einsum(subscripts, *operands, optimize=planned))",
        "return np.asarray(np.einsum(subscripts, *operands))",
        "return np.einsum(subscripts, *operands, optimize=planned)")  # fmt: skip
accept(GENERAL, "products._matmul", "if a.ndim > 2 and b.ndim <= 2:", ANY)
accept(GENERAL, "products._matmul", "y = product(rows, b) if b.ndim == 2 else rows @ b", "y = rows @ b",
        "y = product(rows, b) if b.ndim == 3 else rows @ b")  # fmt: skip
accept(GENERAL + "; a single number is as good as an array without axes", "products._matmul",
        "return product(a, b) if a.ndim == b.ndim == 2 else np.asarray(np.matmul(a, b))",
        "return np.asarray(np.matmul(a, b))",
        "return product(a, b) if a.ndim == b.ndim == 2 else np.matmul(a, b)")  # fmt: skip
accept(SUMS, "products.matmul.vjp", "dA = dA[..., 0, :] if row else dA", "dA = dA")

_WIDE = "the other factor is wide, and the product casts, exactly"
accept(_WIDE, "products.matmul.vjp", "g, a, b = (widened(g), widened(a), widened(b))",
        "g, a, b = (g, widened(a), widened(b))", "g, a, b = (widened(g), a, widened(b))",
        "g, a, b = (widened(g), widened(a), b)")  # fmt: skip
accept(_WIDE + "; of a single operand nothing is summed", "products.einsum.vjp",
        "g, parts = (widened(g), list(zip(inputs, map(widened, operands), strict=True)))",
        "g, parts = (g, list(zip(inputs, map(widened, operands), strict=True)))")  # fmt: skip
accept(_WIDE, "products.pull_affine", "g, x, W = (widened(g), widened(x), widened(W))",
        "g, x, W = (g, widened(x), widened(W))", "g, x, W = (widened(g), x, widened(W))",
        "g, x, W = (widened(g), widened(x), W)")  # fmt: skip

# --- shaping and the engine ----------------------------------------------------------------------------

accept(GENERAL, "shaping.repeat.vjp", "if equal and len(counts):", "if False:")
_LEADING = "if 0 < lead < g.ndim and g.shape[lead:] == shape and (not batch) and (type(g) is np.ndarray):"
accept(GENERAL, "backward.unbroadcast", _LEADING, "if False:",
        _LEADING.replace("shape[lead:]", "shape[:]"), _LEADING.replace("0 < lead", "0 <= lead"),
        _LEADING.replace("0 < lead", "1 < lead"), _LEADING.replace("< g.ndim", "<= g.ndim"))  # fmt: skip
_STRETCHED = "stretched = tuple((lead + i for i, n in enumerate(shape) if n == 1 and g.shape[lead + i] != 1))"
accept("summing an axis of length 1 changes nothing; and a generator is unpacked as a tuple is",
        "backward.unbroadcast", _STRETCHED,
        "stretched = tuple((lead + i for i, n in enumerate(shape) if n == 1))",
        "stretched = (lead + i for i, n in enumerate(shape) if n == 1 and g.shape[lead + i] != 1)")  # fmt: skip

# --- recurrent layers ------------------------------------------------------------------------------------


_SINGLE = "what it meets is in single precision, and then the result is"
_OF_EACH = "d = rows * (g.reshape(-1, 1) if keep is None else g[keep].reshape(-1, 1)) if g.ndim else rows * g"
_OF_EACH = "d = rows * (g.reshape(-1, 1) if keep is None else g[keep].reshape(-1, 1)) if g.ndim else rows * g"
_NOT_OURS = "if not isinstance(x, np.ndarray):"
accept("both ways give the same sum, of arrays and of tensors", "numerics.sum_single", _NOT_OURS, "if True:",
        "if False:", "if isinstance(x, np.ndarray):")  # fmt: skip
_SUM_OF_TENSOR = "return np.sum(widened(x), axis=axis, keepdims=keepdims)"
accept("rules on tensors keep no axis, and sum what is single already", "numerics.sum_single", _SUM_OF_TENSOR,
        "return np.sum(widened(x), axis=axis)", "return np.sum(x, axis=axis, keepdims=keepdims)")  # fmt: skip
_WIDE = "g, x, W = (widened(g), widened(x), widened(W))"
accept(_SINGLE, "products.pull_affine_batch", _WIDE, _WIDE.replace("widened(x)", "x"),
        _WIDE.replace("widened(W)", "W"))  # fmt: skip
