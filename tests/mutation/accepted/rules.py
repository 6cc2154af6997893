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
accept("each place that is read was written before", "indexing._is_last", "last = np.zeros(size, np.intp)",
        "last = np.ones(size, np.intp)")  # fmt: skip
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

_SPREAD = "return spread(rows if g.ndim == 0 and g == 1 else rows * g, keep, shape)"
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


_OTHER_WAY = "the sum of two is that of the other two"
_BOTH = "dh0, dc0 = (added(dh0, unsorted(packing, g_h0)), added(dc0, unsorted(packing, g_c0)))"
_STATES = "outside = {}added(packed{}(packing, gh), g_h), added(packed{}(packing, gc), g_c){}"
_SEVERAL = "gh, gc, g_rows, g_h0, g_h, g_c0, g_c, g_gates = (*g, *[None] * 6)[:8]"
_FIRSTS = ("dh0, dc0 = (added(copies.part(d), each(packing.unsort, g)) "
           "for d, g in zip(firsts, (g_h0, g_c0), strict=True))")  # fmt: skip
_ROWS_TOO = "dx = added(dx, each(inputs.unpack, g_rows)) if needs[0] else None"
_SINGLE = "what it meets is in single precision, and then the result is"
_TO_X = "unpacked(inputs, gathered @ widened(Wx).T) if needs[0] else None"
_TO_C = "dc = added(gh * (o * (1 - y * y)), None if gc is None else widened(gc))"
_TO_H = "gh = np.zeros(c.shape, c.dtype) if gh is None else widened(gh)"
accept(_SINGLE, "recurrent_lstm._pull_cell_on_tensors", _TO_H, _TO_H.replace("widened(gh)", "gh"))
accept("zeros that broadcast", "recurrent_lstm._pull_cell",
        "dh = np.zeros(da.shape[1:], tanh_c.dtype) if gh is None else gh",
        "dh = np.zeros(da.shape[2:], tanh_c.dtype) if gh is None else gh")  # fmt: skip
for _rule in ("vjp_on_tensors", "batched_vjp"):
    accept(_SINGLE, f"recurrent_rnn.rnn_step.{_rule}",
            "da = widened(g) * (1 - y * y)",
            "da = g * (1 - y * y)")  # fmt: skip
accept("no step of an RNN is laid out by gates", "recurrent_rnn.rnn.batched_vjp",
        "copies = Copies(packing, next((len(d) for d in gs if d is not None)), h.shape[1])",
        "copies = Copies(packing, next((len(d) for d in gs if d is not None)), h.shape[0])")  # fmt: skip
_OF_EACH = "d = rows * (g.reshape(-1, 1) if keep is None else g[keep].reshape(-1, 1)) if g.ndim else rows * g"
for _rule, _before, _after in (
    ("vjp", "outside = added(packed(packing, g), g_states)", "outside = added(g_states, packed(packing, g))"),
    ("vjp", "dh0 = added(first, unsorted(packing, g_first)) if needs[1] else None",
     "dh0 = added(unsorted(packing, g_first), first) if needs[1] else None"),
):  # fmt: skip
    accept(_OTHER_WAY, f"recurrent_gru.gru.{_rule}", _before, _after)
accept("twice, and the signs meet", "cross_entropy.rows_vjp", "d = d - np.sum(d * p, axis=-1, keepdims=True)",
        "d = -(d - np.sum(d * p, axis=-1, keepdims=True))",
        "d = np.sum(d * p, axis=-1, keepdims=True) - d")  # fmt: skip
accept("a third time takes off what is rounding already", "cross_entropy.rows_vjp", "for _ in range(2):",
        "for _ in range(3):")  # fmt: skip
_OF_EACH = "d = rows * (g.reshape(-1, 1) if keep is None else g[keep].reshape(-1, 1)) if g.ndim else rows * g"
accept(
    "an index of None adds an axis, and the columns are the same",
    "losses.pull_classes_on_tensors",
    _OF_EACH,
    _OF_EACH.replace("(g.reshape(-1, 1) if keep is None else g[keep].reshape(-1, 1))", "g[keep].reshape(-1, 1)"),
)
accept("NumPy takes any negative length for the rest", "losses.pull_classes_on_tensors", _OF_EACH,
        _OF_EACH.replace("(g.reshape(-1, 1)", "(g.reshape(-2, 1)"),
        _OF_EACH.replace("g[keep].reshape(-1, 1)", "g[keep].reshape(-2, 1)"))  # fmt: skip
accept("NumPy takes a list of arrays for an array", "losses.pull_classes_of_batch",
        "bent = np.stack([spread(one, keep, shape) for one in bent])",
        "bent = [spread(one, keep, shape) for one in bent]")  # fmt: skip
accept("NumPy takes any negative length for the rest", "losses.nll_loss.vjp", "each = each.reshape(-1)[picked[0]]",
       "each = each.reshape(-2)[picked[0]]")  # fmt: skip
_TO_B = "dB = _contracted(A, G, (-2, -2)) if B.ndim == 2 else matmul(np.swapaxes(A, -1, -2), G)"
_TO_A = "dA = _contracted(G, B, (-1, -1)) if A.ndim == 2 else matmul(G, np.swapaxes(B, -1, -2))"
_OPERANDS = "A, B = (np.expand_dims(a, 0) if row else a, np.expand_dims(b, -1) if column else b)"
_NOT_OURS = "if not isinstance(x, np.ndarray):"
accept("both ways give the same sum, of arrays and of tensors", "numerics.sum_single", _NOT_OURS, "if True:",
        "if False:", "if isinstance(x, np.ndarray):")  # fmt: skip
_SUM_OF_TENSOR = "return np.sum(widened(x), axis=axis, keepdims=keepdims)"
accept("rules on tensors keep no axis, and sum what is single already", "numerics.sum_single", _SUM_OF_TENSOR,
        "return np.sum(widened(x), axis=axis)", "return np.sum(x, axis=axis, keepdims=keepdims)")  # fmt: skip
_WIDE = "g, x, W = (widened(g), widened(x), widened(W))"
accept(_SINGLE, "products.pull_affine_batch", _WIDE, _WIDE.replace("widened(x)", "x"),
        _WIDE.replace("widened(W)", "W"))  # fmt: skip
