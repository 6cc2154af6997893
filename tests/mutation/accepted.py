"""Mutants that no test can kill, with the reason: they do the same as the original, or do it only more slowly.

An entry is (function, part before, part after). A campaign fails if one of them does not survive, or exists no more.
"""

ANY = "*"  # every change of the part that survives: for parts whose every value gives the same numbers

_GENERAL = "chooses a faster way: the general one gives the same numbers"
_CAST = "the engine casts to the input's dtype anyway; here it saves work in a wider one"
_SUMS = "the engine sums away an axis of length 1 in front"

ACCEPTED: dict[tuple[str, str, str], str] = {}


def _accept(reason: str, function: str, before: str, *afters: str) -> None:
    ACCEPTED.update({(function, before, after): reason for after in afters})


# --- activations, elementwise, reductions, selection, numerics -----------------------------------------

_accept("the other branch is taken above 0; the limit only keeps exp from overflowing there", "activations.elu.vjp",
        "np.where(above, g, g * (alpha * np.exp(np.minimum(x, 0)))) if alpha else taken(g, above)",
        "np.where(above, g, g * (alpha * np.exp(np.minimum(x, 1)))) if alpha else taken(g, above)")  # fmt: skip
_accept("any bound beyond which the density is 0 in float64 does; clip(-100, x, 100) is clip(x, -100, 100)",
        "activations.gelu.vjp", "t = np.clip(x, -100, 100)", ANY)  # fmt: skip
_accept("any bound beyond which the density is 0 in float64 does; the bounds' order is no matter",
        "activations.gelu.vjp_on_tensors", "t = np.clip(x, -100, 100)", ANY)  # fmt: skip
_accept("any bound beyond which the density is 0 in float64 does; the bounds' order is no matter",
        "activations.normal_cdf.vjp", "t = np.clip(single(x), -100, 100)", ANY)  # fmt: skip
_accept("a tensor on which nothing depends is taken for its array", "activations.sigmoid_of",
        "return sigmoid(x) if isinstance(x, Tensor) else logistic(x)", "return sigmoid(x)")  # fmt: skip
_accept("cotangents of a vector have two axes, the last of which is number 1", "reductions.cumsum.batched_vjp",
        "behind = -1 if axis is None else from_the_end(axis, g.ndim - 1)",
        "behind = 1 if axis is None else from_the_end(axis, g.ndim - 1)")  # fmt: skip
_accept("flip and cumsum of a vector need no axis", "reductions.cumsum.vjp", "axis = 0 if axis is None else axis",
        "axis = axis")  # fmt: skip
_accept(_CAST, "reductions._share", "count = np.sum(extreme, axis=axis, keepdims=True, dtype=g.dtype)",
        "count = np.sum(extreme, axis=axis, keepdims=True)")  # fmt: skip
_accept("a mean of no entries has no entry that its gradient could reach", "reductions.mean.vjp",
        "np.broadcast_to(_kept(single(g), axis, keepdims) / (n or 1), shape)",
        "np.broadcast_to(_kept(single(g), axis, keepdims) / (n or 2), shape)")  # fmt: skip

_accept("a square has no sign", "activations.sigmoid.vjp", "d = 1 + u", "d = -(1 + u)")
_LOGADDEXP = "if np.isneginf(np.maximum(a, b)).any():"
_accept("the mask that follows is true but where both are -inf", "elementwise.logaddexp.vjp", _LOGADDEXP, "if True:",
        "if np.maximum(a, b).any():",
        _LOGADDEXP.replace("np.maximum(a, b)", "a"), _LOGADDEXP.replace("maximum", "minimum"))  # fmt: skip
_accept("equality is symmetric", "elementwise.logaddexp.vjp", "u = np.exp(-np.abs(np.where(np.equal(a, b), 0, d)))",
        "u = np.exp(-np.abs(np.where(np.equal(b, a), 0, d)))")  # fmt: skip
_accept("at a difference of 0 both have a half", "elementwise.logaddexp.vjp",
        "np.where(d < 0, less, more) if needs[0] else None",
        "np.where(d <= 0, less, more) if needs[0] else None")  # fmt: skip
_accept("at a difference of 0 both have a half", "elementwise.logaddexp.vjp",
        "np.where(d < 0, more, less) if needs[1] else None",
        "np.where(d <= 0, more, less) if needs[1] else None")  # fmt: skip
_accept(_GENERAL, "reductions._weights", "if np.isfinite(top).all():", "if False:")
_WEIGHTS = "return np.exp(np.where((x == top) & (top > 0), 0, x - np.where(top == -np.inf, 0, top)))"
_accept("exp(-inf - 1) is 0, as exp(-inf) is", "reductions._weights", _WEIGHTS,
        _WEIGHTS.replace("-np.inf, 0", "-np.inf, 1"))  # fmt: skip
_accept("a finite top minus itself is 0 in the other branch too", "reductions._weights", _WEIGHTS,
        _WEIGHTS.replace("top > 0", "top > 1"), _WEIGHTS.replace("top > 0", "top >= 0"))  # fmt: skip
_accept("a total of 0 has weights of 0", "reductions.logsumexp.vjp",
        "share = _kept(g, axis, keepdims) / np.where(total == 0, 1, total)",
        "share = _kept(g, axis, keepdims) / np.where(total == 0, 2, total)")  # fmt: skip
_accept("a rule takes only the dtype of it; tests of leaky_relu, whose forward takes more, kill it",
        "numerics.as_float", "return x if x.dtype.kind == 'f' else x.astype(np.float64)",
        "return x if x.dtype.kind == 'f' else -x.astype(np.float64)")  # fmt: skip
_accept("it divides 0", "elementwise.arctan2.vjp", "g, r = (taken(g, ~origin), np.where(origin, 1, r))",
        "g, r = (taken(g, ~origin), np.where(origin, 2, r))")  # fmt: skip
_accept("it divides 0", "reductions.norm.vjp", "direction = x / _kept(np.where(zero, 1, y), axis, keepdims)",
        "direction = x / _kept(np.where(zero, 2, y), axis, keepdims)")  # fmt: skip
_accept("it divides 0", "reductions.std.vjp", "factor = taken(g, ~flat) / (freedom * np.where(flat, 1, y))",
        "factor = taken(g, ~flat) / (freedom * np.where(flat, 2, y))")  # fmt: skip
_accept("one group is summed either way", "numerics.column_sums", "if len(rows) <= _GROUP:", "if len(rows) < _GROUP:")

_accept("what is compared alone may be a tensor", "elementwise.logaddexp.vjp_on_tensors", "x, y = (plain(a), plain(b))",
        "x, y = (plain(a), b)")  # fmt: skip
_UNIT = "unit = np.maximum(np.abs(plain(y)), np.abs(plain(x)))"
_accept("the rule gives the same in any unit, so its derivative in the unit is 0", "elementwise.arctan2.vjp_on_tensors",
        _UNIT, _UNIT.replace("plain(x)", "x"), _UNIT.replace("plain(y)", "y"))  # fmt: skip
_accept("it divides 0", "elementwise.arctan2.vjp_on_tensors", "unit = np.where(origin, 1, unit)",
        "unit = np.where(origin, 2, unit)")  # fmt: skip
_accept("it divides 0", "elementwise.arctan2.vjp_on_tensors", "y, x = (np.where(origin, 1, y / unit), x / unit)",
        "y, x = (np.where(origin, 2, y / unit), x / unit)")  # fmt: skip
_accept(_GENERAL, "elementwise._power", "if not isinstance(a, np.ndarray):", ANY)
_accept(_GENERAL + ", or as good ones", "elementwise._power",
        "if not (type(b) is int and 2 < b <= 16 and (a.dtype.kind == 'f') and (a.dtype.itemsize > 2)):",
        ANY)  # fmt: skip
_accept("a square that nobody takes", "elementwise._power", "if b:", "if True:")
_accept("of a number alone a number", "elementwise.power.vjp", "y = np.asarray(_power(a, b))", "y = _power(a, b)")
_LESS = "less = np.where(less | (plain(a) != 0), 1, 0)"
_accept("what is compared alone may be a tensor; and what is true is 1", "elementwise.power.vjp_on_tensors", _LESS,
        _LESS.replace("plain(a)", "a"), "less = less | (plain(a) != 0)",
        "less = np.where(1, less | (plain(a) != 0), 0)")  # fmt: skip
_accept("what is compared alone may be a tensor", "elementwise.power.vjp_on_tensors", "less = plain(b) != 0",
        "less = b != 0")  # fmt: skip
_ZERO = "zero = (plain(a) == 0) & (plain(b) >= 0)"
_accept("what is compared alone may be a tensor", "elementwise.power.vjp_on_tensors", _ZERO,
        _ZERO.replace("plain(a)", "a"), _ZERO.replace("plain(b)", "b"))  # fmt: skip
_accept("0 / a is 0 as 0 a^0 is", "elementwise.power.vjp_on_tensors", "if isinstance(b, Tensor):", "if True:")

for _rule, _less in (("maximum", "less"), ("minimum", "greater")):
    for _i, _pair in enumerate(("a, b", "b, a")):
        _accept("a sum of two terms has no order", f"selection.{_rule}.vjp",
                f"_share(g, np.{_less}({_pair}), np.{_less}_equal({_pair})) if needs[{_i}] else None",
                f"_share(g, np.{_less}_equal({_pair}), np.{_less}({_pair})) if needs[{_i}] else None")  # fmt: skip
_accept(_GENERAL, "numerics.taken", "if bits is None or not isinstance(g, _HELD):", "if True:")

# --- convolution and windows ---------------------------------------------------------------------------

_accept("a copy instead of the images themselves", "windows.Windows.pad", "if ph == pw == 0:", "if False:")
_accept("a view of a read-only array is read-only anyway", "windows.Windows.view",
        "return as_strided(padded, shape, strides, writeable=padded.flags.writeable)",
        "return as_strided(padded, shape, strides)")  # fmt: skip
_SHARE = "share = g / np.where(nan, np.nan, ties) if nan.any() else g / ties"
_accept(_GENERAL, "pooling._spread_shares", _SHARE, "share = g / np.where(nan, np.nan, ties)")
_accept("only the order in memory counts, where n and c are neighbours, and the result's shape is given",
        "pooling.pixel_shuffle.vjp",
        "squares = g.reshape(n, c, tall // r, r, wide // r, r).transpose(0, 1, 3, 5, 2, 4)",
        "squares = g.reshape(c, n, tall // r, r, wide // r, r).transpose(0, 1, 3, 5, 2, 4)")  # fmt: skip

_accept(_GENERAL, "columns.Columns.terms", "return self.windows.kernel[0] if self.shared else 1", "return 1")
_accept("whichever is called the first", "windows.residues", "common = gcd(stride, dilation)",
        "common = gcd(dilation, stride)")  # fmt: skip
_accept("without taps there is nothing to sum", "windows.residues",
        "last = (taps[-1] * dilation - padding) // stride if taps else 0",
        "last = (taps[-1] * dilation - padding) // stride if taps else 1")  # fmt: skip
_START = "start = next((i for i in range(kernel) if (i * dilation - padding - r) % stride == 0), kernel)"
_accept("a number is divisible if its negative is", "windows.residues", _START,
        _START.replace("(i * dilation - padding - r)", "(r - (i * dilation - padding))"),
        _START.replace("(i * dilation - padding - r)", "-(i * dilation - padding - r)"))  # fmt: skip
_THEMSELVES = "if windows.kernel == windows.stride == (1, 1) and pixels.flags.c_contiguous:"
_accept(_GENERAL, "columns._columns", _THEMSELVES, ANY)
_accept("it is given as a dtype", "columns.workspace", "size = prod(shape) * np.dtype(dtype).itemsize",
        "size = prod(shape) * dtype.itemsize")  # fmt: skip
_accept("the product casts as well", "convolution._correlate_filters",
        "matrices = None if w is None else columns.matrices(w.astype(dtype, copy=False))",
        "matrices = None if w is None else columns.matrices(w)")  # fmt: skip
_accept("there are both or neither", "convolution._correlate_filters", "if dy is not None and matrices is not None:",
        "if dy is not None:", "if matrices is not None:", "if dy is not None or matrices is not None:")  # fmt: skip
_accept("reshaped it is contiguous, and the product casts as well", "convolution._correlate_filters",
        "entries = np.ascontiguousarray(y[images, :, share.rows], dtype)",
        "entries = y[images, :, share.rows]")  # fmt: skip
_SHARED = ("shared = windows.stride[0] == 1 and kh * filters < (kh - 1) * kw * c * groups and "
           "(y.dtype != np.float16)")  # fmt: skip
_accept("decides on speed alone, in half precision on rounding as well", "convolution._correlations", _SHARED, ANY)
_accept("decides on speed alone, in half precision on rounding as well", "convolution._correlate_filters",
        "shared = windows.stride[0] == 1 and dtype != np.float16", ANY)  # fmt: skip
_STEP = "step = max(1, _LARGEST // max(self._row(x) * tall, 1))"
_PIECES = "decides on the size of pieces, whose results are the same"
_accept("there are channels and windows, or nothing is computed", "columns.Columns.blocks", _STEP,
        "step = max(1, _LARGEST // (self._row(x) * tall))",
        "step = max(1, _LARGEST // max(self._row(x) * tall, 0))")  # fmt: skip
_accept("a product takes a view as well as a copy", "columns.Columns.matrices",
        "return np.ascontiguousarray(w).reshape(self.terms, self.groups, f, c * prod(self.taps))",
        "return w.reshape(self.terms, self.groups, f, c * prod(self.taps))")  # fmt: skip
_accept(
    _PIECES,
    "convolution._correlate_filters",
    "columns = Columns(windows, (y.shape[2], y.shape[3]), groups, 0 if w is None else filters, shared)",
    ANY,
)
_accept("of four axes", "convolution._correlate_filters", "tiled(entries, cols.swapaxes(-1, -2), products)",
        "tiled(entries, cols.swapaxes(-1, 2), products)")  # fmt: skip
_accept("one is as long as the other was, and both stay as they are", "convolution._correlate_images",
        "adjoint = w.reshape(groups, filters // groups, c, kh, kw).swapaxes(1, 2)",
        "adjoint = w.reshape(groups, filters // groups, c, kw, kh).swapaxes(1, 2)")  # fmt: skip
_accept("more memory than is used", "convolution._multiply",
        "total, *others = workspace('products', (min(len(terms), 2), *shape), y.dtype)",
        "total, *others = workspace('products', (min(len(terms), 3), *shape), y.dtype)")  # fmt: skip
_accept("all memory is a cache line longer than what was asked for, but for the part in front", "columns.workspace",
        "if held is None or held.size < size:", "if held is None or held.size <= size:")  # fmt: skip
_FLAT = "flat = bordered and sw == 1 and (number[1] == x.shape[3])"
_accept(_GENERAL, "columns._columns", _FLAT, _FLAT.replace("sw == 1", "sw == 0"))
_BORDER = "pixels = _with_border(pixels, rows, columns, seen, x.shape[3] if flat else seen[1])"
_accept(_GENERAL, "columns._columns", _BORDER, _BORDER.replace("x.shape[3] if flat else ", ""))
_SEEN = "seen = ((number[0] - 1) * sh + eh, (number[1] - 1) * sw + ew)"
_accept("zeros beyond what the windows see", "columns._columns", _SEEN, _SEEN.replace("number[1] - 1", "number[1] + 1"))
_CLEARED = "cols[:, :, :, j, :, slice(0, -shift) if shift < 0 else slice(max(0, width - shift), None)] = 0"
_accept("it is not 0", "columns._clear_beyond_rows", _CLEARED, _CLEARED.replace("< 0", "<= 0"),
        _CLEARED.replace("< 0", "< 1"))  # fmt: skip
_ZEROS = "zeros = workspace('padded', (n, c, (size[0] - 1) * pitch + size[1]), pixels.dtype)"
_accept("more memory than is used", "columns._with_border", _ZEROS, _ZEROS.replace("size[0] - 1", "size[0] + 1"),
        _ZEROS.replace("size[0] - 1", "size[0] - 0"))  # fmt: skip
_accept("one of the two axes has a length of 1", "columns.Columns.kernels",
        "w = matrices.reshape(self.terms, groups, f, c, *self.taps).transpose(1, 2, 3, 0, 4, 5)",
        "w = matrices.reshape(self.terms, groups, f, c, *self.taps).transpose(1, 2, 3, 4, 0, 5)")  # fmt: skip
_NO_IMAGES = "return np.zeros((len(y), groups * w.shape[1], *size), y.dtype)"
_accept("there are no entries", "convolution._images", _NO_IMAGES, _NO_IMAGES.replace("zeros", "ones"),
        _NO_IMAGES.replace("np.zeros", "-np.zeros"))  # fmt: skip
_accept("a slice of all is the same", "convolution._responses",
        "return y if y.shape[2:] == number else y[:, :, :number[0], :number[1]]", ANY)  # fmt: skip
_accept("promotion knows no order", "convolution._correlate",
        "y = np.empty((len(x), len(w), *number), _dtype(x, w, b))",
        "y = np.empty((len(x), len(w), *number), _dtype(w, x, b))")  # fmt: skip
_accept("zeros beyond what the windows see", "columns._columns",
        "seen = ((number[0] - 1) * sh + eh, (number[1] - 1) * sw + ew)",
        "seen = ((number[0] + 1) * sh + eh, (number[1] - 1) * sw + ew)")  # fmt: skip
_accept("a border that is not needed, of no zeros", "columns._columns", "if bordered:", "if True:")
_accept("a border that is not needed, of no zeros", "columns._columns",
        "bordered = pixels.shape[2:] != seen", "bordered = pixels.shape[1:] != seen",
        "bordered = pixels.shape[3:] != seen", "bordered = pixels.shape[:] != seen")  # fmt: skip
_accept("more memory than is used", "columns._with_border",
        "zeros = workspace('padded', (n, c, (size[0] - 1) * pitch + size[1]), pixels.dtype)",
        "zeros = workspace('padded', (n, c, size[0] * pitch + size[1]), pixels.dtype)")  # fmt: skip
_accept("NumPy takes any negative length for the rest", "convolution._correlate_filters",
        "entries = entries.reshape(len(entries), groups, filters // groups, -1)",
        "entries = entries.reshape(len(entries), groups, filters // groups, -2)")  # fmt: skip
_accept("promotion knows no order", "convolution._correlate_images",
        "x = np.empty((len(y), groups * c, *size), _dtype(y, w, b))",
        "x = np.empty((len(y), groups * c, *size), _dtype(w, y, b))")  # fmt: skip
_accept("the product casts as well", "convolution._correlations",
        "matrices = columns.matrices(w.astype(y.dtype, copy=False))", "matrices = columns.matrices(w)")  # fmt: skip
_accept(_GENERAL, "convolution._multiply", "if len(terms) == 1 and y[:1, :1].flags.c_contiguous:", ANY)

# --- indexing and lookup -------------------------------------------------------------------------------

_LONG = "if isinstance(index, np.ndarray) and index.size and _may_repeat(index) and (math.prod(shape[1:]) >= 16):"
_accept("whichever rows are called long, the two ways give the same sums", "indexing._scatter", _LONG, "if False:",
        _LONG.replace("shape[1:]", "shape[0:]"), _LONG.replace("shape[1:]", "shape[2:]"),
        _LONG.replace("shape[1:]", "shape[:]"), _LONG.replace(">= 16", "> 16"), _LONG.replace("16", "15"),
        _LONG.replace("16", "17"))  # fmt: skip
_accept("NumPy takes any negative length for the rest", "indexing._scatter",
        "return sum_rows(g.reshape(index.size, -1), rows, shape[0]).reshape(shape)",
        "return sum_rows(g.reshape(index.size, -2), rows, shape[0]).reshape(shape)")  # fmt: skip
_accept(_GENERAL, "indexing._scatter", "if _may_repeat(index):", "if True:")
_accept("it is indexed, in whatever layout", "indexing.put.vjp", "d = np.array(g, order='C')", "d = np.array(g)")
_accept("each place that is read was written before", "indexing._is_last", "last = np.zeros(size, np.intp)",
        "last = np.ones(size, np.intp)")  # fmt: skip
_accept("0 is the axis of np.add.reduce by default", "rows.sum_rows",
        "np.add.reduce(rows[start:start + count], axis=0, out=total[key])",
        "np.add.reduce(rows[start:start + count], out=total[key])")  # fmt: skip
_accept("NumPy's integers in place of Python's, which are faster in a loop", "rows.sum_rows",
        "for key, start, count in zip(keys[many].tolist(), first[many].tolist(), counts[many].tolist(), strict=True):",
        ANY)  # fmt: skip
_accept("a sum of one row is a copy", "rows.sum_rows", "many = counts > 1", "many = counts >= 1", "many = counts > 0")
_accept("the order within a sum decides on rounding alone", "rows.sum_rows",
        "order = np.argsort(indices, kind='stable')", "order = np.argsort(indices)")  # fmt: skip
_accept("any number below 0 differs from every index", "rows.sum_rows",
        "first = np.flatnonzero(np.diff(keys, prepend=-1))",
        "first = np.flatnonzero(np.diff(keys, prepend=-2))")  # fmt: skip

# --- losses --------------------------------------------------------------------------------------------

_SPREAD = "return spread(rows if g.ndim == 0 and g == 1 else rows * g, keep, shape)"
_accept("multiplies by 1 instead of leaving as it is", "cross_entropy.pull_rows", _SPREAD,
        "return spread(rows * g, keep, shape)",
        "return spread(rows if g.ndim == 1 and g == 1 else rows * g, keep, shape)")  # fmt: skip
_accept("what a third pass takes off is the rounding of the second", "cross_entropy._smoothed_rows",
        "for _ in range(2):", "for _ in range(3):")  # fmt: skip
_TARGETS = "t = single(targets) if targets.dtype.kind == 'f' else targets.astype(x.dtype)"
_accept("computes what is not floating in a wider dtype, and the engine casts", "losses."
        "binary_cross_entropy_with_logits.vjp", _TARGETS, "t = single(targets)",
        "t = single(targets) if targets.dtype.kind == 'f' else targets")  # fmt: skip
_accept("without classes there are no targets, so no rows either", "cross_entropy.cross_entropy_rows",
        "return np.zeros(len(z), z.dtype)", "return -np.zeros(len(z), z.dtype)",
        "return np.ones(len(z), z.dtype)")  # fmt: skip

# --- products ------------------------------------------------------------------------------------------

_accept("with a plan or without, the same sums", "products._contract",
        "planned = len(operands) > 2 or (len(operands) == 2 and operands[0].size + operands[1].size > 4096)",
        ANY)  # fmt: skip
_accept("with a plan or without, the same sums; a single number is as good as an array without axes",
        "products._contract", "return np.asarray(np.einsum(subscripts, *operands, optimize=planned))",
        "return np.asarray(np.einsum(subscripts, *operands))",
        "return np.einsum(subscripts, *operands, optimize=planned)")  # fmt: skip
_accept(_GENERAL, "products._matmul", "if a.ndim > 2 and b.ndim <= 2:", ANY)
_accept(_GENERAL, "products._matmul", "y = product(rows, b) if b.ndim == 2 else rows @ b", "y = rows @ b",
        "y = product(rows, b) if b.ndim == 3 else rows @ b")  # fmt: skip
_accept(_GENERAL + "; a single number is as good as an array without axes", "products._matmul",
        "return product(a, b) if a.ndim == b.ndim == 2 else np.asarray(np.matmul(a, b))",
        "return np.asarray(np.matmul(a, b))",
        "return product(a, b) if a.ndim == b.ndim == 2 else np.matmul(a, b)")  # fmt: skip
_accept(_GENERAL, "products._pull_single", "if left.ndim == right.ndim == 2:", "if False:",
        "if left.ndim == right.ndim == 1:")  # fmt: skip
_accept(_SUMS, "products.matmul.vjp", "dA = dA[..., 0, :] if row else dA", "dA = dA")
_accept(_GENERAL + ": the engine sums the stack away", "products.matmul.vjp",
        "dA = _pull_single(G, B, (-1, -1), (batch, 0)) if A.ndim == 2 else _matmul(G, B.swapaxes(-1, -2))",
        "dA = _matmul(G, B.swapaxes(-1, -2))",
        "dA = _pull_single(G, B, (-1, -1), (batch, 0)) if A.ndim == 1 else _matmul(G, B.swapaxes(-1, -2))")  # fmt: skip
_accept("without a batch there are two axes, and the first is exchanged with itself", "products.matmul.vjp",
        "dB = dB.swapaxes(0, -2) if batch and B.ndim == 2 else dB",
        "dB = dB.swapaxes(0, -2) if B.ndim == 2 else dB")  # fmt: skip
_accept("both axes are always the same number", "products._pull_single",
        "return np.tensordot(left, right, ([*first, axes[0]], [*second, axes[1]]))",
        "return np.tensordot(left, right, ([*first, axes[0]], [*second, axes[0]]))",
        "return np.tensordot(left, right, ([*first, axes[1]], [*second, axes[1]]))")  # fmt: skip

_WIDE = "the other factor is wide, and the product casts, exactly"
_accept(_WIDE, "products.matmul.vjp", "g, a, b = (widened(g), widened(a), widened(b))",
        "g, a, b = (g, widened(a), widened(b))", "g, a, b = (widened(g), a, widened(b))",
        "g, a, b = (widened(g), widened(a), b)")  # fmt: skip
_accept(_WIDE + "; of a single operand nothing is summed", "products.einsum.vjp",
        "g, parts = (widened(g), list(zip(inputs, map(widened, operands), strict=True)))",
        "g, parts = (g, list(zip(inputs, map(widened, operands), strict=True)))")  # fmt: skip
_accept(_WIDE, "affine_maps.pull_affine", "g, x, W = (widened(g), widened(x), widened(W))",
        "g, x, W = (g, widened(x), widened(W))", "g, x, W = (widened(g), x, widened(W))",
        "g, x, W = (widened(g), widened(x), W)")  # fmt: skip

# --- recurrent -----------------------------------------------------------------------------------------

_accept("the product casts as well", "sequences.run_back",
        "blocks = row_blocks(Wh.astype(dtype, copy=False), packing.widest)",
        "blocks = row_blocks(Wh, packing.widest)")  # fmt: skip

# --- shaping and the engine ----------------------------------------------------------------------------

_accept(_GENERAL, "shaping.repeat.vjp", "if equal and len(counts):", "if False:")
_accept("NumPy's reduceat happens to keep its sums of half precision in single; the cast relies on nothing",
        "shaping.repeat.vjp", "g = widened(g)", "g = g")  # fmt: skip
_LEADING = "if 0 < lead < g.ndim and g.shape[lead:] == shape and (not batch) and (type(g) is np.ndarray):"
_accept(_GENERAL, "backward.unbroadcast", _LEADING, "if False:",
        _LEADING.replace("shape[lead:]", "shape[:]"), _LEADING.replace("0 < lead", "0 <= lead"),
        _LEADING.replace("0 < lead", "1 < lead"), _LEADING.replace("< g.ndim", "<= g.ndim"))  # fmt: skip
_STRETCHED = "stretched = tuple((lead + i for i, n in enumerate(shape) if n == 1 and g.shape[lead + i] != 1))"
_accept("summing an axis of length 1 changes nothing; and a generator is unpacked as a tuple is",
        "backward.unbroadcast", _STRETCHED,
        "stretched = tuple((lead + i for i, n in enumerate(shape) if n == 1))",
        "stretched = (lead + i for i, n in enumerate(shape) if n == 1 and g.shape[lead + i] != 1)")  # fmt: skip

# --- the engine ----------------------------------------------------------------------------------------

_accept("an empty list is as false as False", "structures._is_data",
        "return bool(value) and all(map(_is_data, value))", "return value and all(map(_is_data, value))")  # fmt: skip

_accept("a module uses its parameters itself", "transforms._Differentiation._variable", "return value", "return -value")
_MORE = "more = [t for t in tensors if t.node is not None and (not any((t is y for y in self.outputs)))]"
_accept("finds leaves again that were found", "transforms._Differentiation.met", "if self.foreign is None:", "if True:")
_accept("finds leaves again that were found", "transforms._Differentiation.met", _MORE, "more = [t for t in tensors]",
        _MORE.replace(" and (not any((t is y for y in self.outputs)))", ""),
        _MORE.replace("and (not any((t is y for y in self.outputs)))", "or not any((t is y for y in self.outputs))"),
        _MORE.replace("t.node is not None and (not any((t is y for y in self.outputs)))",
                      "not any((t is y for y in self.outputs))"))  # fmt: skip
_FOREIGN = "return list(dict.fromkeys(self.foreign + self._leaves(more))) if more else self.foreign"
_accept("each once and in order, a dict is as good as a list", "transforms._Differentiation.met", _FOREIGN,
        _FOREIGN.removesuffix(" if more else self.foreign"),
        "return dict.fromkeys(self.foreign + self._leaves(more)) if more else self.foreign")  # fmt: skip
_accept("of nothing nothing is found", "transforms._Differentiation.pull",
        "found = reverse_pass(seeds, keep, cast('list[Leaf]', self.sources)) if seeds else {}",
        "found = reverse_pass(seeds, keep, cast('list[Leaf]', self.sources))")  # fmt: skip
_accept("of nothing nothing is found", "transforms._Differentiation.pull_recorded",
        "found = recorded_pass(seeds, self.sources) if seeds else {}",
        "found = recorded_pass(seeds, self.sources)")  # fmt: skip
_SEEDS = ("seeds = [(y.node, y.index, g if g.dtype == y.dtype else g.astype(y.dtype)) "
          "for y, g in zip(outputs, cotangents, strict=True) if y.node is not None]")  # fmt: skip
_accept("a cast to the same dtype, and its vertex", "transforms._Differentiation.pull_recorded", _SEEDS,
        _SEEDS.replace("g if g.dtype == y.dtype else ", ""))  # fmt: skip
_accept("keeps more than anybody will ask for", "transforms._Differentiation.pull_recorded",
        "with differentiating(CALLS if self.recorded else level()):", "with differentiating(CALLS):")  # fmt: skip
_accept("any sequence is as good", "transforms._Differentiation.results", "return list(tensors)", "return tensors")
_SHAPE = "x, shape = (value if isinstance(value, Tensor) else Tensor(value), np.shape(plain(model)))"
_accept("NumPy's shape of a tensor is the tensor's", "transforms._fitting", _SHAPE,
        _SHAPE.replace("plain(model)", "model"))  # fmt: skip
_accept("pulling asks for the level again", "transforms._linearize",
        "transposed.recorded = transposed.recorded or run.recorded", "transposed.recorded = run.recorded")  # fmt: skip
_accept("all weights have a node", "transforms._linearize",
        "transposed.own = run.own.union((w.node for w in weights if w.node is not None))",
        "transposed.own = run.own.union((w.node for w in weights))")  # fmt: skip
_accept("any sequence is as good", "transforms._refusing", "node.parents = tuple(met)", "node.parents = met")
for _name, _pulled in (("_value_and_grad", "grads = each_like(chosen, run.pull(run.outputs, [one], keep={}))"),
                       ("hvp", "return each_like(primals, run.pull(gradient, given, keep={}))")):  # fmt: skip
    _accept("frees later what nobody holds", f"transforms.{_name}", _pulled.format(False), _pulled.format(True))
_accept("what is linear in it has the same derivative anywhere", "transforms._weight",
        "fresh = untracked(np.zeros(y.shape, y.dtype if y.dtype.kind == 'f' else np.float64))",
        "fresh = untracked(np.ones(y.shape, y.dtype if y.dtype.kind == 'f' else np.float64))")  # fmt: skip
_accept("there is no entry", "transforms._partial_derivatives",
        "return [untracked(np.zeros(y.shape + v.shape, v.dtype)) for v in run.variables]",
        "return [untracked(np.ones(y.shape + v.shape, v.dtype)) for v in run.variables]")  # fmt: skip
_ROWS = "rows = [run.pull_recorded([y], [untracked(np.asarray(row))]) for row in one_hot]"
_accept("the pass casts as well", "transforms._partial_derivatives",
        "one_hot = np.eye(y.size, dtype=y.dtype).reshape(y.size, *y.shape)",
        "one_hot = np.eye(y.size).reshape(y.size, *y.shape)")  # fmt: skip
_accept("rules on tensors take arrays for constants", "transforms._partial_derivatives", _ROWS,
        _ROWS.replace("untracked(np.asarray(row))", "np.asarray(row)"))  # fmt: skip
_accept("its VJP raises whatever is asked for", "transforms._refusing",
        "node.edges = (tuple(range(len(met))), (True,) * len(met), (0,) * len(met))", ANY)  # fmt: skip

_accept("calls keep all inputs or none", "higher_order._input_tensors",
        "if not isinstance(residuals, Kept) or len(residuals.inputs) != len(node.edges[1]):",
        "if not isinstance(residuals, Kept):")  # fmt: skip
_accept("functions of tensors take arrays for constants", "higher_order._input_tensors",
        "return [untracked(x) if isinstance(x, np.ndarray) else x for x in tensors]",
        "return [x for x in tensors]", "return [x if isinstance(x, np.ndarray) else x for x in tensors]")  # fmt: skip

_GREATER = "keeps or looks at more than anybody asks for"
_accept("what nobody asked for is not taken; of a list an array is made later", "batched_backward._one_by_one",
        "return tuple((np.stack([r[k] for r in results]) if need else None for k, need in enumerate(needs)))",
        "return tuple((np.stack([r[k] for r in results]) for k, need in enumerate(needs)))",
        "return tuple(([r[k] for r in results] if need else None for k, need in enumerate(needs)))")  # fmt: skip
_accept("of no entries there are no rows", "batched_backward.jacobian_rows", "if y.node is not None and y.size:",
        "if y.node is not None:")  # fmt: skip
_STEP = "step = max(1, _LARGEST // max(1, *_sizes(y.node)))"
_accept(_PIECES, "batched_backward.jacobian_rows", _STEP, _STEP.replace("step = max(1", "step = max(2"),
        _STEP.replace("// max(1", "// max(2"), _STEP.replace("// max(1", "// max(0"))  # fmt: skip
_accept("a node is true", "core.Tensor.__deepcopy__",
        "if isinstance(self.node, Leaf) and isinstance(twin.node, Leaf) and (self.node.grad is not None):",
        "if self.node and isinstance(twin.node, Leaf) and (self.node.grad is not None):",
        "if isinstance(self.node, Leaf) and twin.node and (self.node.grad is not None):")  # fmt: skip
_accept("NumPy takes no dtype for float64", "core.Tensor.__init__",
        "if dtype is not None and np.dtype(dtype).kind not in 'biuf':",
        "if np.dtype(dtype).kind not in 'biuf':")  # fmt: skip
_DTYPES = "if self.dtype not in (get_default_dtype(), np.dtype(np.int64), np.dtype(bool)):"
_accept("a dtype is equal to its class", "core.Tensor.__repr__", _DTYPES,
        _DTYPES.replace("np.dtype(np.int64)", "np.int64"), _DTYPES.replace("np.dtype(bool)", "bool"))  # fmt: skip
_accept("whatever is given is true or false", "core.Tensor.requires_grad.setter",
        "if bool(value) != self.requires_grad:", "if value != self.requires_grad:")  # fmt: skip
_accept("it is a tuple", "core.Tensor.shape", "return tuple(self._array().shape)", "return self._array().shape")
_accept(_GREATER, "graph_levels.differentiating.begin", "if self.level == CALLS:", "if True:")
_accept("what is not 0 is true", "graph_levels._may_depend",
        "return _may_depend((value.start, value.stop, value.step))",
        "return -_may_depend((value.start, value.stop, value.step))")  # fmt: skip
_accept("sources have one output", "generic_backward.pull_back", "if not index:", "if True:")
_accept("a list is searched as a set is", "generic_backward.pull_back_to_edge", "ends = set(sources)", "ends = sources")
_accept("goes behind the sources, where nothing arrives", "generic_backward.pull_back_to_edge",
        "return () if node in ends else node.parents", "return node.parents")  # fmt: skip
_accept("whatever leads to a source gets a cotangent", "generic_backward.pull_back_to_edge",
        "if all((g is None for g in gs)):", "if False:")  # fmt: skip
_accept(_GENERAL, "shaping.repeat.vjp", "if some.any():", "if True:")
_TOTAL = "share = _kept(g, axis, keepdims) / np.where(plain(total) == 0, 1, total)"
_accept("what is compared alone may be a tensor", "reductions.logsumexp.vjp_on_tensors", _TOTAL,
        _TOTAL.replace("plain(total)", "total"))  # fmt: skip

_accept("copy.deepcopy notes it as well", "core.Tensor.__deepcopy__", "memo[id(self)] = twin", "pass",
        "memo[self] = twin")  # fmt: skip
_accept("NumPy takes the array of a tensor that is not tracked", "core.Tensor.__setitem__",
        "self.data[plain(index)] = value", "self.data[index] = value")  # fmt: skip
_accept("NumPy takes the array of a tensor that is not tracked", "core.plain", "if isinstance(value, tuple):",
        "if False:")  # fmt: skip
_accept("any sequence is as good", "core.set_outputs", "node.later_outputs = tuple(later)",
        "node.later_outputs = later")  # fmt: skip
_INTERRUPT = "undoes what an interrupt left; tests/interrupted.py interrupts it, in processes of its own"
_accept(_INTERRUPT, "core._traced", "set_scope(before)", "pass", "before")
_accept(_INTERRUPT, "graph_levels.differentiating.begin", "undo()", "pass")
_accept(_INTERRUPT, "graph_levels.differentiating.begin", "undo = until(inactive, partial(_level.set, level()))", ANY)
_accept("in which order they are undone an interrupt alone can tell", "graph_levels.differentiating.begin",
        "return until(inactive, partial(_level.reset, _level.set(self.level)))",
        "return until(partial(_level.reset, _level.set(self.level)), inactive)")  # fmt: skip
_accept("no test can force two threads to meet there", "gradients._backward_recorded", "with _adding, recording():",
        "with recording():")  # fmt: skip
_accept("whatever leads to a source gets a cotangent", "generic_backward.pull_back_to_edge", "continue", "break")
_accept("whatever leads to a leaf gets a cotangent", "backward._gather",
        "return None if all((g is None for g in gs)) else gs", "return gs")  # fmt: skip
_accept("keeps a larger array than need be; a rule must not keep what it returned", "backward._is_fresh",
        "if memory.size != grad.size or not memory.flags.owndata:", "if False:",
        "if memory.size != grad.size and (not memory.flags.owndata):")  # fmt: skip
_OTHERS = "[*others, *grads[:argnum], *grads[argnum + 1:]]"
_FRESH = f"return all((memory is not owner(array) for array in arrays_in({_OTHERS})))"
_accept("it counts as one of its siblings, and is copied", "backward._is_fresh", _FRESH,
        _FRESH.replace("grads[argnum + 1:]", "grads[1:]"))  # fmt: skip

# --- the reverse pass ------------------------------------------------------------------------------------

_ADDED = "if 0 < lead < g.ndim and g.shape[lead:] == shape and (not batch) and (type(g) is np.ndarray):"
_accept(_GENERAL, "backward.unbroadcast", _ADDED, _ADDED.replace("type(g) is", "g is"))
_accept("a view is copied then, though it might have been kept", "backward._is_fresh", "memory = owner(grad)",
        "memory = grad")  # fmt: skip
_accept("looks at the residuals though nothing was written", "backward.check_residuals",
        "if node.born != overwrites.clock:", "if True:")  # fmt: skip
_accept("a copy of the same dtype", "backward.fit", "return grad if grad.dtype == dtype else grad.astype(dtype)",
        "return grad.astype(dtype)")  # fmt: skip

# --- calls -----------------------------------------------------------------------------------------------

_SHARED_TUPLE = "the same numbers, in a tuple of its own"
for _path in ("_call", "_call_unary", "_call_binary"):
    _accept("asks for a recorder though there is none", f"primitives.{_path}", "if recording.active:", "if True:")
for _path, _them in (("_call_unary", "(x,)"), ("_call_binary", "(a, b)")):
    _accept("asks the kind of what is known to be of one", f"primitives.{_path}",
            "if dtype is not _float32 and dtype.kind != 'f':", "if dtype.kind != 'f':")  # fmt: skip
    _accept(_GENERAL, f"primitives.{_path}",
            f"output = _asarray(output) if isinstance(output, _generic) else _plain(record, output, {_them})",
            f"output = _plain(record, output, {_them})")  # fmt: skip
for _edges, _index in (("_UNARY", "x"), ("_LEFT", "a"), ("_RIGHT", "b")):
    _made = f"node.edges = (*{_edges}[:2], ({_index}.index,))"
    _accept(_SHARED_TUPLE, f"primitives._call_{'unary' if _index == 'x' else 'binary'}",
            f"{_made} if {_index}.index else {_edges}", _made)  # fmt: skip
_accept(_SHARED_TUPLE, "primitives._call_binary",
        "node.edges = (*_BOTH[:2], (a.index, b.index)) if a.index or b.index else _BOTH",
        "node.edges = (*_BOTH[:2], (a.index, b.index))")  # fmt: skip
_accept(_SHARED_TUPLE, "primitives._call_binary", "node.shape = first.shape if shape == first.shape else shape",
        "node.shape = shape")  # fmt: skip
_accept(_SHARED_TUPLE, "primitives._call_binary",
        "if left.shape is not right.shape and left.shape == right.shape:", ANY)  # fmt: skip
_accept(_SHARED_TUPLE, "primitives._call_binary", "right.shape = left.shape", ANY)
_accept(_GENERAL, "primitives._call_binary", "if kind is Tensor:", "if False:")
for _of in "ab":
    _accept(_GENERAL, "primitives._call_binary", f"kind = type({_of})", f"kind = {_of}")
    _accept(_GENERAL, "primitives._call_binary", f"if kind is _ndarray and {_of}.dtype is _float32:", "if False:")
_accept(_GENERAL, "primitives._constant", "if type(value) is _ndarray and value.dtype.kind in 'fiub':", "if False:",
        "if value is _ndarray and value.dtype.kind in 'fiub':")  # fmt: skip

_accept(
    "what a pass had come to is freed, but for leaves",
    "backward._mark_failed",
    "if node.residuals is None:",
    "if True:",
)
_accept(_GENERAL, "batched_backward._batched_rule",
        "return (primitive.vjp if primitive.entrywise else partial(_one_by_one, primitive))(g, needs, *residuals)",
        "return partial(_one_by_one, primitive)(g, needs, *residuals)")  # fmt: skip
_KEPT = "return {key: _narrowed(g, *key) for key, g in cotangents.items() if key[0] in ends}"
_accept("callers look for sources alone", "generic_backward.pull_back_to_edge", _KEPT,
        _KEPT.replace(" if key[0] in ends", ""))  # fmt: skip
_accept("the sum of two is that of the other two", "generic_backward.pull_back_to_edge",
        "cotangents[key] = _sum_of(cotangents[key], g) if key in cotangents else g",
        "cotangents[key] = _sum_of(g, cotangents[key]) if key in cotangents else g")  # fmt: skip
_accept("a copy of the same dtype", "generic_backward._narrowed", "return g if g.dtype == dtype else g.astype(dtype)",
        "return g.astype(dtype)")  # fmt: skip
_accept("recorders take one cotangent in a tuple as well", "generic_backward.pull_through",
        "observer.cotangent(node, arrays if several else arrays[0])", "observer.cotangent(node, arrays)")  # fmt: skip
_accept("no call follows, within a rule, on a rule within it", "higher_order._run_rule", "observer.rules += 1",
        "observer.rules = 1")  # fmt: skip

# --- what records a pass ---------------------------------------------------------------------------------

_accept("calls are of primitives", "recording.Recorder.call",
        "if node.primitive is not None and node.primitive.steps:", "if node.primitive.steps:")  # fmt: skip
_accept("what flows flows through a primitive whose cotangent was noted", "recording.Recorder.flows",
        "if self.gradients and note is not None and (primitive is not None):", "if self.gradients:")  # fmt: skip
_accept("of no node there is no note", "recording.Recorder.step",
        "note = None if self._node is None else note_of(self._node)", "note = note_of(self._node)")  # fmt: skip
_accept("somebody outside of this package has called", "recording.user_line",
        "while frame.f_back is not None and frame.f_code.co_filename.startswith(_HERE):",
        "while frame.f_code.co_filename.startswith(_HERE):")  # fmt: skip
_accept("the frames next to it are of this package", "recording.user_line", "frame = sys._getframe(1)", ANY)
_accept(_INTERRUPT, "recording.using.begin", "undo()", "pass")
_accept(_INTERRUPT, "recording.using.begin", "undo = until(inactive, partial(_current.set, _current.get()))", ANY)
_accept("in which order they are undone an interrupt alone can tell", "recording.using.begin",
        "return until(inactive, partial(_current.reset, _current.set(own)))",
        "return until(partial(_current.reset, _current.set(own)), inactive)")  # fmt: skip
_COLLECTS = "super().__init__(values=False, gradients=False, lines=False)"
_accept("it notes nothing, whatever it was asked", "rematerialisation._Collector.__init__", _COLLECTS, ANY)
_accept("what is no array cannot be written into", "rematerialisation._Collector.constants",
        "if isinstance(x, np.ndarray) and (not tracked):", "if not tracked:")  # fmt: skip

_accept("a tuple of a class of its own is one", "fingerprints.Fingerprinted.verify",
        "for array, sum in zip(arrays_in(tuple(self)), self.sums, strict=True):",
        "for array, sum in zip(arrays_in(self), self.sums, strict=True):")  # fmt: skip
_SUM = "return zlib.crc32(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)"
_accept("another checksum of the same bytes", "fingerprints._checksum", _SUM, _SUM.replace("zlib", "-zlib"),
        _SUM.replace(".view(np.uint8)", ""), _SUM.replace(".reshape(-1)", ""), _SUM.replace("-1", "-2"))  # fmt: skip
_accept("what is not 0 is true", "graph_levels.is_undeclared",
        "return _may_depend(residuals[len(primitive.residuals or ()):])",
        "return -_may_depend(residuals[len(primitive.residuals or ()):])")  # fmt: skip
_accept(
    "puts them into words as their repr",
    "hooks._name",
    "return f\"the parameter {'.'.join(filter(None, (node.owner, node.name)))}\" if node.name else repr(node)",
    "return f\"the parameter {'.'.join(filter(None, (node.owner, node.name)))}\" if node.name else node",
)
_accept("finds no hooks", "hooks.fire_rows", "if not hasattr(node, 'hooks'):", "if False:", "if not node:")
_accept("its shape and dtype are all that is told", "overwrites.overwritten", "return array", "return -array")
_accept("without a reference none was written", "overwrites.overwritten",
        "reference, time = _writes.get(id(owner(array)), (None, 0))",
        "reference, time = _writes.get(id(owner(array)), (None, 1))")  # fmt: skip
_WIDELY = "while frontier and cycle[0] not in reached:"
_accept("goes on to all that is reached", "order._certify_cycle", _WIDELY, "while frontier:")
_accept("a set is gone through as a list is", "order._certify_cycle", "frontier = list(new)", "frontier = new")
_accept("a set is gone through as a list is", "order._certify_cycle", "frontier = list(reached)", "frontier = reached")
_accept("nobody looks at it again", "order._certify_order", "belongs = set(asked)", "belongs = asked")
_accept("it is in the set already", "order.dependents",
        "if node not in live and any((parent in live for parent in parents(node))):",
        "if any((parent in live for parent in parents(node))):")  # fmt: skip

# --- rematerialisation -----------------------------------------------------------------------------------

_accept("what it begins at has a node", "rematerialisation._Collector.edge", "if node is None or node in seen:",
        "if node in seen:")  # fmt: skip
_NEEDED = ("return tuple((found.get(key, np.zeros(*key[0].outputs[key[1]])) if need else None "
           "for key, need in zip(self.edge, needs, strict=True)))")  # fmt: skip
_accept("gives what the pass does not ask for", "rematerialisation._Run.pull", _NEEDED,
        _NEEDED.replace(" if need else None", ""))  # fmt: skip
_accept("a set is gone through as a list is", "rematerialisation._Run.pull",
        "found = pull_back_to_edge(seeds, list({node for node, _ in self.edge}), pull)",
        "found = pull_back_to_edge(seeds, {node for node, _ in self.edge}, pull)")  # fmt: skip
_accept("the rule around it is over then", "rematerialisation._Run.pull", "in_rule.reset(outside)", "pass", "in_rule")
_accept("frees later what nobody holds", "rematerialisation._pull_arrays", "node.residuals = None", "pass")
_accept("where nothing is tracked there is nothing to compute again", "rematerialisation.checkpoint",
        "if current_scope() is None:", "if False:")  # fmt: skip
_accept("nothing is put in the place of nothing", "rematerialisation.checkpoint", "if not made:", "if False:")
_accept("a generator is one", "rematerialisation.checkpoint",
        "values = iter((replaced.get(i, y) for i, y in enumerate(tensors)))",
        "values = (replaced.get(i, y) for i, y in enumerate(tensors))")  # fmt: skip
_accept("its keys are gone through", "rematerialisation.checkpoint", "run.edge = tuple(edge)", "run.edge = edge")
_accept("any sequence is as good", "rematerialisation.checkpoint.forward", "(run, list(edge), constants)",
        "(run, edge, constants)")  # fmt: skip

# --- transforms again ------------------------------------------------------------------------------------

_accept(_GREATER, "transforms._Differentiation.call",
        "with recording(), differentiating(CALLS if self.recorded or self.twice else PASSES):",
        "with recording(), differentiating(CALLS):")  # fmt: skip
_accept("each step casts to the dtype of its input", "transforms._Differentiation.pull_recorded", _SEEDS,
        _SEEDS.replace("g if g.dtype == y.dtype else g.astype(y.dtype)", "g"),
        _SEEDS.replace("==", "!="), _SEEDS.replace("g.astype(y.dtype)", "g"))  # fmt: skip

# --- anomalies -------------------------------------------------------------------------------------------

_accept("set anew with each cotangent, which comes before all that asks", "detection._Watch.__init__",
        "self.last = (0, ())", ANY)  # fmt: skip
_accept("set anew with each cotangent, which comes before all that asks", "detection._Watch.__init__",
        "self.bad_step = None", ANY)  # fmt: skip
_accept("set anew with each cotangent, which comes before all that asks", "detection._Watch.flows",
        "self.last = (0, ())", ANY)  # fmt: skip
_accept("it keeps more notes than are asked for", "detection._Watch.__init__",
        "super().__init__(values=False, gradients=False, lines=True)",
        "super().__init__(values=False, gradients=True, lines=True)",
        "super().__init__(values=True, gradients=False, lines=True)")  # fmt: skip
_accept("what is no tuple is refused in the backward pass either way", "detection._Watch.call",
        "if type(residuals) in (tuple, Kept):", "if True:")  # fmt: skip
_accept(
    "no time is below 0",
    "detection._Watch.call",
    "node.residuals.born, node.born = (node.born, -1)",
    "node.residuals.born, node.born = (node.born, -2)",
)
_accept("finds the same line again", "detection._Watch.call", "if not note.line:", "if True:")
_accept("is asked of nodes with a primitive alone", "detection._Watch.cotangent", "if node.primitive is not None:",
        "if True:")  # fmt: skip
_accept("None is not bad", "detection._Watch.cotangent", "if g is not None and badness(g) > arrived:",
        "if badness(g) > arrived:")  # fmt: skip
_WORST = "nothing is worse than a NaN, which is 2"
_accept(_WORST, "detection._Watch.cotangent", "arrived = self.arrived.pop((id(node), index), 2)",
        "arrived = self.arrived.pop((id(node), index), 3)")  # fmt: skip
_accept(_WORST, "detection._Watch.flows", "known = self.got.pop(id(node), 2)", "known = self.got.pop(id(node), 3)")
_accept("it is an array", "detection._Watch.cotangent",
        "several = (np.asarray(cotangent).astype(node.dtype, copy=False),)",
        "several = (cotangent.astype(node.dtype, copy=False),)")  # fmt: skip
_accept("what is called then looks again", "detection._Watch.untracked", "if badness(outputs) and (not self.rules):",
        "if not self.rules:", "if outputs and (not self.rules):")  # fmt: skip
_accept("of no scope nothing is said", "detection._Watch.untracked",
        "_look_forward(primitive, params, inputs, outputs, in_words(user_line(), current_scope() or ()))",
        "_look_forward(primitive, params, inputs, outputs, in_words(user_line(), current_scope()))")  # fmt: skip
_THERE = "there = [(word, g) for word, g in given if g is not None and np.shape(g) == flow.shape]"
_accept("None is left out when it is put into words", "detection._bad_flow", _THERE,
        _THERE.replace("g is not None and ", ""))  # fmt: skip
_SAVED = "given += [('saved', array) for array in arrays_in(tuple(node.residuals or ()))]"
_accept("any sequence is as good, and there is one", "detection._bad_flow", _SAVED,
        _SAVED.replace("tuple(node.residuals or ())", "node.residuals or ()"),
        _SAVED.replace(" or ()", ""))  # fmt: skip
_accept("goes on where nothing will be found", "detection._look_forward", "if not badness(outputs):", "if False:",
        "if not outputs:")  # fmt: skip
_ALONG = "index = first_worst(bad, axis=1 if primitive.steps is not None and bad.ndim == 3 else None)"
_accept("what has steps has three axes", "detection._look_forward", _ALONG, _ALONG.replace(" and bad.ndim == 3", ""))
_STEP_OF = "return f', time step {index[1]}' if primitive.steps is not None and array.ndim == 3 else ''"
_accept("what has steps has three axes", "detection._time", _STEP_OF, _STEP_OF.replace(" and array.ndim == 3", ""))
_MET = "met = [np.broadcast_to(badness_of_entries(x), output.shape) for x in inputs if x is not None]"
_accept("None is not bad", "detection._look_forward", _MET, _MET.replace(" if x is not None", ""))
_accept("what works entry by entry has one output, as its inputs broadcast", "detection._look_forward",
        "by_entries = shape is not None and primitive.entrywise", "by_entries = primitive.entrywise")  # fmt: skip
_BROADCAST = "shape = np.broadcast_shapes(*(np.shape(x) for x in inputs if x is not None))"
_accept("None broadcasts", "detection._meeting", _BROADCAST, _BROADCAST.replace(" if x is not None", ""))
_accept("it is an array", "detection._what", "value = np.asarray(array)[index]", "value = array[index]")
_accept("looks on though nothing is worse", "nonfinite.badness", "while stack and worst < 2:", "while stack:",
        "while stack and worst <= 2:", "while stack and worst < 3:")  # fmt: skip
_accept("integers of 0 have no sign", "nonfinite.badness_of_entries", "return np.zeros(x.shape, np.int8)",
        "return -np.zeros(x.shape, np.int8)")  # fmt: skip

_accept("tensors and masked arrays are told apart again behind it", "hooks._array", "if isinstance(result, Tensor):",
        "if False:")  # fmt: skip
_accept("tensors and masked arrays are told apart again behind it", "hooks._array", "refuse_masked(result)", "pass",
        "result")  # fmt: skip

# --- recurrent layers ------------------------------------------------------------------------------------

_accept("what came through the products is None then, and the pass drops what arrived at the rows",
        "recurrent.inputs_too", "return added(dx, unpacked(inputs, g_rows)) if needs[0] else None",
        "return added(dx, unpacked(inputs, g_rows)) if True else None")  # fmt: skip

# --- the rest of the engine ------------------------------------------------------------------------------

_accept("each step casts to the dtype of its input", "gradients._backward_recorded",
        "seed = gradient if isinstance(gradient, Tensor) and gradient.dtype == g.dtype else untracked(g)",
        "seed = gradient if isinstance(gradient, Tensor) else untracked(g)")  # fmt: skip
_PULLED = ("seeds = [(y.node, y.index, c) for y, c in zip(outputs, cotangents, strict=True) "
           "if y.node and c is not None]")  # fmt: skip
_accept("None is no cotangent to the pass", "higher_order._pull_reference", _PULLED,
        _PULLED.replace(" and c is not None", ""))  # fmt: skip
_accept("who pulls on tensors has asked for that", "rematerialisation.checkpoint.vjp_on_tensors",
        "with differentiating(CALLS):", "if True:")  # fmt: skip
_accept("any sequence is as good", "primitives._sort_arguments", "list(args)", "args")
_accept(_GENERAL, "primitives._sort_arguments", "if not kwargs and len(args) == len(record.arguments):", ANY)
_accept(_GENERAL, "primitives._sort_arguments", "if value is None:", ANY)
_SURPLUS = "surplus = len(args) > len(names) or given.keys() & kwargs.keys()"
_ASKS = "asks the signature, which knows, more often"
_accept(_ASKS, "primitives._sort_arguments", _SURPLUS, _SURPLUS.replace(".keys() & kwargs", " & kwargs"),
        _SURPLUS.replace("kwargs.keys()", "kwargs"), _SURPLUS.replace(" & kwargs.keys()", ""),
        _SURPLUS.replace("&", "|"), _SURPLUS.replace("given.keys() & ", ""),
        _SURPLUS.replace("len(args) >", "len(args) >="))  # fmt: skip
_accept(_ASKS, "primitives._sort_arguments", "if surplus or any((value is None for value in inputs)):", ANY)
_OTHER_WAY = "the sum of two is that of the other two"
_BOTH = "dh0, dc0 = (added(dh0, unsorted(packing, g_h0)), added(dc0, unsorted(packing, g_c0)))"
_STATES = "outside = {}added(packed{}(packing, gh), g_h), added(packed{}(packing, gc), g_c){}"
_SEVERAL = "gh, gc, g_rows, g_h0, g_h, g_c0, g_c, g_gates = (*g, *[None] * 6)[:8]"
for _rule, _open, _each, _close in (("vjp", "[", "", "]"), ("vjp_on_tensors", "(", "", ")"),
                                    ("batched_vjp", "(", "_each", ")")):  # fmt: skip
    _all = _STATES.format(_open, _each, _each, _close)
    for _name in "hc":
        _of = f"packed{_each}(packing, g{_name})"
        _accept(_OTHER_WAY, f"recurrent_lstm.lstm.{_rule}", _all,
                _all.replace(f"added({_of}, g_{_name})", f"added(g_{_name}, {_of})"))  # fmt: skip
    _accept("what is left over is cut off", f"recurrent_lstm.lstm.{_rule}", _SEVERAL, _SEVERAL.replace("6", "7"))
for _rule in ("vjp", "vjp_on_tensors"):
    for _name in "hc":
        _accept(_OTHER_WAY, f"recurrent_lstm.lstm.{_rule}", _BOTH,
                _BOTH.replace(f"added(d{_name}0, unsorted(packing, g_{_name}0))",
                              f"added(unsorted(packing, g_{_name}0), d{_name}0)"))  # fmt: skip
    _accept(_OTHER_WAY, f"recurrent_rnn.rnn.{_rule}", "added(dh0, unsorted(packing, g_first))",
            "added(unsorted(packing, g_first), dh0)")  # fmt: skip
_FIRSTS = ("dh0, dc0 = (added(copies.part(d), each(packing.unsort, g)) "
           "for d, g in zip(firsts, (g_h0, g_c0), strict=True))")  # fmt: skip
_accept(
    _OTHER_WAY,
    "recurrent_lstm.lstm.batched_vjp",
    _FIRSTS,
    _FIRSTS.replace("copies.part(d), each(packing.unsort, g)", "each(packing.unsort, g), copies.part(d)"),
)
_accept(_OTHER_WAY, "recurrent_rnn.rnn.batched_vjp", "added(copies.part(dh0), each(packing.unsort, g_first))",
        "added(each(packing.unsort, g_first), copies.part(dh0))")  # fmt: skip
_ROWS_TOO = "dx = added(dx, each(inputs.unpack, g_rows)) if needs[0] else None"
for _layer in ("lstm", "rnn"):
    _accept(_OTHER_WAY, f"recurrent_{_layer}.{_layer}.batched_vjp", _ROWS_TOO,
            _ROWS_TOO.replace("dx, each(inputs.unpack, g_rows)", "each(inputs.unpack, g_rows), dx"))  # fmt: skip
    _accept("gives what the pass does not ask for", f"recurrent_{_layer}.{_layer}.batched_vjp", _ROWS_TOO,
            _ROWS_TOO.replace("needs[0]", "True"))  # fmt: skip
_accept(_OTHER_WAY, "recurrent.inputs_too", "return added(dx, unpacked(inputs, g_rows)) if needs[0] else None",
        "return added(unpacked(inputs, g_rows), dx) if needs[0] else None")  # fmt: skip
for _rule, _before, _after in (
    ("vjp", "(dh0,), da = _pull_rnn(packing, Wh, added(packed(packing, g), g_states), h)",
     "(dh0,), da = _pull_rnn(packing, Wh, added(g_states, packed(packing, g)), h)"),
    ("vjp_on_tensors", "arriving = added(packed(packing, g), g_states)",
     "arriving = added(g_states, packed(packing, g))"),
    ("batched_vjp", "outside = added(packed_each(packing, g), g_states)",
     "outside = added(g_states, packed_each(packing, g))"),
):  # fmt: skip
    _accept(_OTHER_WAY, f"recurrent_rnn.rnn.{_rule}", _before, _after)
_SINGLE = "what it meets is in single precision, and then the result is"
_accept(_SINGLE, "recurrent.packed", "return None if g is None else mapped(widened(g), packing.pack, packing.unpack)",
        "return None if g is None else mapped(g, packing.pack, packing.unpack)")  # fmt: skip
_accept(_SINGLE, "recurrent.packed_each", "return None if g is None else each(packing.pack, widened(g))",
        "return None if g is None else each(packing.pack, g)")  # fmt: skip
_accept(_SINGLE, "recurrent.pull_weights_on_tensors", "widened(rows).T @ gathered if needs[2] else None",
        "rows.T @ gathered if needs[2] else None")  # fmt: skip
_TO_X = "unpacked(inputs, gathered @ widened(Wx).T) if needs[0] else None"
_accept(_SINGLE, "recurrent.pull_weights_on_tensors", _TO_X, _TO_X.replace("widened(Wx)", "Wx"))
_accept("gives what nobody takes", "recurrent.pull_weights_on_tensors", _TO_X, _TO_X.replace("needs[0]", "True"))
_accept("its length is asked for alone", "recurrent.pull_weights_on_tensors",
        "gathered, table = (dp, plain(rows))", "gathered, table = (dp, rows)")  # fmt: skip
for _cell in ("lstm_cell", "lstm_step"):
    _accept(_SINGLE, f"recurrent_lstm.{_cell}.vjp_on_tensors", "da, dc = _pull_cell_on_tensors(g, gates, widened(c))",
            "da, dc = _pull_cell_on_tensors(g, gates, c)")  # fmt: skip
_TO_C = "dc = added(gh * (o * (1 - y * y)), None if gc is None else widened(gc))"
_accept(_OTHER_WAY, "recurrent_lstm._pull_cell_on_tensors", _TO_C,
        "dc = added(None if gc is None else widened(gc), gh * (o * (1 - y * y)))")  # fmt: skip
_accept(_SINGLE, "recurrent_lstm._pull_cell_on_tensors", _TO_C, _TO_C.replace("widened(gc)", "gc"))
_TO_H = "gh = np.zeros(c.shape, c.dtype) if gh is None else widened(gh)"
_accept(_SINGLE, "recurrent_lstm._pull_cell_on_tensors", _TO_H, _TO_H.replace("widened(gh)", "gh"))
_accept("zeros that broadcast", "recurrent_lstm._pull_cell",
        "dh = np.zeros(da.shape[1:], tanh_c.dtype) if gh is None else gh",
        "dh = np.zeros(da.shape[2:], tanh_c.dtype) if gh is None else gh")  # fmt: skip
for _rule in ("vjp_on_tensors", "batched_vjp"):
    _accept(_SINGLE, f"recurrent_rnn.rnn_step.{_rule}",
            "da = widened(g) * (1 - y * y)",
            "da = g * (1 - y * y)")  # fmt: skip
_accept("no step of an RNN is laid out by gates", "recurrent_rnn.rnn.batched_vjp",
        "copies = Copies(packing, next((len(d) for d in gs if d is not None)), h.shape[1])",
        "copies = Copies(packing, next((len(d) for d in gs if d is not None)), h.shape[0])")  # fmt: skip
_accept("twice, and the signs meet", "cross_entropy.rows_vjp", "d = d - np.sum(d * p, axis=-1, keepdims=True)",
        "d = -(d - np.sum(d * p, axis=-1, keepdims=True))",
        "d = np.sum(d * p, axis=-1, keepdims=True) - d")  # fmt: skip
_accept("a third time takes off what is rounding already", "cross_entropy.rows_vjp", "for _ in range(2):",
        "for _ in range(3):")  # fmt: skip
_accept("without classes there is nothing to divide", "cross_entropy.probabilities",
        "p += smoothing / max(p.shape[1], 1)", "p += smoothing / p.shape[1]",
        "p += smoothing / max(p.shape[1], 0)")  # fmt: skip
_OF_EACH = "d = rows * (g.reshape(-1, 1) if keep is None else g[keep].reshape(-1, 1)) if g.ndim else rows * g"
_accept(
    "an index of None adds an axis, and the columns are the same",
    "losses.pull_classes_on_tensors",
    _OF_EACH,
    _OF_EACH.replace("(g.reshape(-1, 1) if keep is None else g[keep].reshape(-1, 1))", "g[keep].reshape(-1, 1)"),
)
_accept("NumPy takes any negative length for the rest", "losses.pull_classes_on_tensors", _OF_EACH,
        _OF_EACH.replace("(g.reshape(-1, 1)", "(g.reshape(-2, 1)"),
        _OF_EACH.replace("g[keep].reshape(-1, 1)", "g[keep].reshape(-2, 1)"))  # fmt: skip
_accept("NumPy takes a list of arrays for an array", "losses.pull_classes_of_batch",
        "bent = np.stack([spread(one, keep, shape) for one in bent])",
        "bent = [spread(one, keep, shape) for one in bent]")  # fmt: skip
_EACH_LOSS = "each = -(g.reshape(-1)[picked[0]] if g.shape == shape[:-1] else g * g.dtype.type(scale))"
_accept("NumPy takes any negative length for the rest", "losses.nll_loss.vjp", _EACH_LOSS,
        _EACH_LOSS.replace("reshape(-1)", "reshape(-2)"))  # fmt: skip
for _rule, _before, _after in (
    ("vjp", "(first,), da, dn = _pull_gru(packing, Wh, added(packed(packing, g), g_states), g_gates, h0, h, gates)",
     "(first,), da, dn = _pull_gru(packing, Wh, added(g_states, packed(packing, g)), g_gates, h0, h, gates)"),
    ("vjp", "dh0 = added(first, unsorted(packing, g_first)) if needs[1] else None",
     "dh0 = added(unsorted(packing, g_first), first) if needs[1] else None"),
):  # fmt: skip
    _accept(_OTHER_WAY, f"recurrent_gru.gru.{_rule}", _before, _after)
_TO_B = "dB = _contracted(A, G, (-2, -2)) if B.ndim == 2 else matmul(np.swapaxes(A, -1, -2), G)"
_accept("the engine sums over the stack", "products.matmul.vjp_on_tensors", _TO_B,
        "dB = matmul(np.swapaxes(A, -1, -2), G)", _TO_B.replace("B.ndim == 2", "B.ndim == 1"))  # fmt: skip
_accept(
    "only (-1, -1) is told from the rest",
    "products.matmul.vjp_on_tensors",
    _TO_B,
    *(_TO_B.replace("(-2, -2)", f"({axes})") for axes in ("2, -2", "-2, 2", "-2, -3", "-2, -1", "-3, -2", "-1, -2")),
)
_TO_A = "dA = _contracted(G, B, (-1, -1)) if A.ndim == 2 else matmul(G, np.swapaxes(B, -1, -2))"
_accept("the engine sums over the stack", "products.matmul.vjp_on_tensors", _TO_A,
        "dA = matmul(G, np.swapaxes(B, -1, -2))", _TO_A.replace("A.ndim == 2", "A.ndim == 1"))  # fmt: skip
_accept(_SUMS, "products.matmul.vjp_on_tensors", "dA = dA[..., 0, :] if row else dA", "dA = dA")
_OPERANDS = "A, B = (np.expand_dims(a, 0) if row else a, np.expand_dims(b, -1) if column else b)"
_accept(_SUMS, "products.matmul.vjp_on_tensors", _OPERANDS, _OPERANDS.replace("a, 0) if row else a", "a, 0)"))
_accept("of a vector the axes 1 and -1 are the same", "products.matmul.vjp_on_tensors", _OPERANDS,
        _OPERANDS.replace("(b, -1)", "(b, 1)"))  # fmt: skip
_NOT_OURS = "if not isinstance(x, np.ndarray):"
_accept("both ways give the same sum, of arrays and of tensors", "numerics.sum_single", _NOT_OURS, "if True:",
        "if False:", "if isinstance(x, np.ndarray):")  # fmt: skip
_SUM_OF_TENSOR = "return np.sum(widened(x), axis=axis, keepdims=keepdims)"
_accept("rules on tensors keep no axis, and sum what is single already", "numerics.sum_single", _SUM_OF_TENSOR,
        "return np.sum(widened(x), axis=axis)", "return np.sum(x, axis=axis, keepdims=keepdims)")  # fmt: skip
_WIDE = "g, x, W = (widened(g), widened(x), widened(W))"
_accept(_SINGLE, "affine_maps.pull_affine_batch", _WIDE, _WIDE.replace("widened(x)", "x"),
        _WIDE.replace("widened(W)", "W"))  # fmt: skip
