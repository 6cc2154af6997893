"""Judged equivalent: changes of rules of activations, entries, reductions, selection and convolution."""

from .reasons import ANY, CAST, GENERAL, PIECES, accept

# --- activations, elementwise, reductions, selection, numerics -----------------------------------------

accept("the other branch is taken above 0; the limit only keeps exp from overflowing there", "activations.elu.vjp",
        "_by_side(g, g * (alpha * np.exp(np.minimum(x, 0))), above) if alpha else taken(g, above)",
        "_by_side(g, g * (alpha * np.exp(np.minimum(x, 1))), above) if alpha else taken(g, above)")  # fmt: skip
accept("any bound beyond which the density is 0 in float64 does; clip(-100, x, 100) is clip(x, -100, 100)",
        "activations.gelu.vjp", "t = np.clip(x, -100, 100)", ANY)  # fmt: skip
accept("any bound beyond which the density is 0 in float64 does; the bounds' order is no matter",
        "activations.gelu.vjp_on_tensors", "t = np.clip(x, -100, 100)", ANY)  # fmt: skip
accept("any bound beyond which the density is 0 in float64 does; the bounds' order is no matter",
        "activations.normal_cdf.vjp", "t = np.clip(single(x), -100, 100)", ANY)  # fmt: skip
accept("a tensor on which nothing depends is taken for its array", "activations.sigmoid_of",
        "return sigmoid(x) if isinstance(x, Tensor) else logistic(x)", "return sigmoid(x)")  # fmt: skip
accept("cotangents of a vector have two axes, the last of which is number 1", "reductions.cumsum.batched_vjp",
        "behind = -1 if axis is None else from_the_end(axis, g.ndim - 1)",
        "behind = 1 if axis is None else from_the_end(axis, g.ndim - 1)")  # fmt: skip
accept("flip and cumsum of a vector need no axis", "reductions.cumsum.vjp", "axis = 0 if axis is None else axis",
        "axis = axis")  # fmt: skip
accept(CAST, "reductions._share", "count = np.sum(extreme, axis=axis, keepdims=True, dtype=g.dtype)",
        "count = np.sum(extreme, axis=axis, keepdims=True)")  # fmt: skip
accept("a mean of no entries has no entry that its gradient could reach", "reductions.mean.vjp",
        "np.broadcast_to(_kept(single(g), axis, keepdims) / (n or 1), shape)",
        "np.broadcast_to(_kept(single(g), axis, keepdims) / (n or 2), shape)")  # fmt: skip

accept("a square has no sign", "activations.sigmoid.vjp", "d = 1 + u", "d = -(1 + u)")
_LOGADDEXP = "if np.isneginf(np.maximum(a, b)).any():"
accept("the mask that follows is true but where both are -inf", "elementwise.logaddexp.vjp", _LOGADDEXP, "if True:",
        "if np.maximum(a, b).any():",
        _LOGADDEXP.replace("np.maximum(a, b)", "a"), _LOGADDEXP.replace("maximum", "minimum"))  # fmt: skip
accept("equality is symmetric", "elementwise.logaddexp.vjp", "u = np.exp(-np.abs(np.where(np.equal(a, b), 0, d)))",
        "u = np.exp(-np.abs(np.where(np.equal(b, a), 0, d)))")  # fmt: skip
accept("at a difference of 0 both have a half", "elementwise.logaddexp.vjp",
        "np.where(d < 0, less, more) if needs[0] else None",
        "np.where(d <= 0, less, more) if needs[0] else None")  # fmt: skip
accept("at a difference of 0 both have a half", "elementwise.logaddexp.vjp",
        "np.where(d < 0, more, less) if needs[1] else None",
        "np.where(d <= 0, more, less) if needs[1] else None")  # fmt: skip
accept(GENERAL, "reductions._weights", "if np.isfinite(top).all():", "if False:")
_WEIGHTS = "return np.exp(np.where((x == top) & (top > 0), 0, x - np.where(top == -np.inf, 0, top)))"
accept("exp(-inf - 1) is 0, as exp(-inf) is", "reductions._weights", _WEIGHTS,
        _WEIGHTS.replace("-np.inf, 0", "-np.inf, 1"))  # fmt: skip
accept("a finite top minus itself is 0 in the other branch too", "reductions._weights", _WEIGHTS,
        _WEIGHTS.replace("top > 0", "top > 1"), _WEIGHTS.replace("top > 0", "top >= 0"))  # fmt: skip
accept("a total of 0 has weights of 0", "reductions.logsumexp.vjp",
        "share = _kept(g, axis, keepdims) / np.where(total == 0, 1, total)",
        "share = _kept(g, axis, keepdims) / np.where(total == 0, 2, total)")  # fmt: skip
accept("a rule takes only the dtype of it; tests of leaky_relu, whose forward takes more, kill it",
        "numerics.as_float", "return x if x.dtype.kind == 'f' else x.astype(np.float64)",
        "return x if x.dtype.kind == 'f' else -x.astype(np.float64)")  # fmt: skip
accept("it divides 0", "elementwise.arctan2.vjp", "g, r = (taken(g, ~origin), np.where(origin, 1, r))",
        "g, r = (taken(g, ~origin), np.where(origin, 2, r))")  # fmt: skip
accept("it divides 0", "reductions.norm.vjp", "direction = x / _kept(np.where(zero, 1, y), axis, keepdims)",
        "direction = x / _kept(np.where(zero, 2, y), axis, keepdims)")  # fmt: skip
accept("it divides 0", "reductions.std.vjp", "factor = taken(g, ~flat) / (freedom * np.where(flat, 1, y))",
        "factor = taken(g, ~flat) / (freedom * np.where(flat, 2, y))")  # fmt: skip

accept("what is compared alone may be a tensor", "elementwise.logaddexp.vjp_on_tensors", "x, y = (plain(a), plain(b))",
        "x, y = (plain(a), b)")  # fmt: skip
_UNIT = "unit = np.maximum(np.abs(plain(y)), np.abs(plain(x)))"
accept("the rule gives the same in any unit, so its derivative in the unit is 0", "elementwise.arctan2.vjp_on_tensors",
        _UNIT, _UNIT.replace("plain(x)", "x"), _UNIT.replace("plain(y)", "y"))  # fmt: skip
accept("it divides 0", "elementwise.arctan2.vjp_on_tensors", "unit = np.where(origin, 1, unit)",
        "unit = np.where(origin, 2, unit)")  # fmt: skip
accept("it divides 0", "elementwise.arctan2.vjp_on_tensors", "y, x = (np.where(origin, 1, y / unit), x / unit)",
        "y, x = (np.where(origin, 2, y / unit), x / unit)")  # fmt: skip
accept(GENERAL, "elementwise._power", "if not isinstance(a, np.ndarray):", ANY)
accept(GENERAL + ", or as good ones", "elementwise._power",
        "if not (type(b) is int and 2 < b <= 16 and (a.dtype.kind == 'f') and (a.dtype.itemsize > 2)):",
        ANY)  # fmt: skip
accept("a square that nobody takes", "elementwise._power", "if b:", "if True:")
accept("of a number alone a number", "elementwise.power.vjp", "y = np.asarray(_power(a, b))", "y = _power(a, b)")
_LESS = "less = np.where(less | (plain(a) != 0), 1, 0)"
accept("what is compared alone may be a tensor; and what is true is 1", "elementwise.power.vjp_on_tensors", _LESS,
        _LESS.replace("plain(a)", "a"), "less = less | (plain(a) != 0)",
        "less = np.where(1, less | (plain(a) != 0), 0)")  # fmt: skip
accept("what is compared alone may be a tensor", "elementwise.power.vjp_on_tensors", "less = plain(b) != 0",
        "less = b != 0")  # fmt: skip
_ZERO = "zero = (plain(a) == 0) & (plain(b) >= 0)"
accept("what is compared alone may be a tensor", "elementwise.power.vjp_on_tensors", _ZERO,
        _ZERO.replace("plain(a)", "a"), _ZERO.replace("plain(b)", "b"))  # fmt: skip
accept("0 / a is 0 as 0 a^0 is", "elementwise.power.vjp_on_tensors", "if isinstance(b, Tensor):", "if True:")

for _rule, _less in (("maximum", "less"), ("minimum", "greater")):
    for _i, _pair in enumerate(("a, b", "b, a")):
        accept("a sum of two terms has no order", f"selection.{_rule}.vjp",
                f"_share(g, np.{_less}({_pair}), np.{_less}_equal({_pair})) if needs[{_i}] else None",
                f"_share(g, np.{_less}_equal({_pair}), np.{_less}({_pair})) if needs[{_i}] else None")  # fmt: skip
accept(GENERAL, "numerics.taken", "if bits is None or not isinstance(g, _HELD):", "if True:")

# --- convolution and windows ---------------------------------------------------------------------------

accept("a copy instead of the images themselves", "windows.Windows.pad", "if ph == pw == 0:", "if False:")
accept("a view of a read-only array is read-only anyway", "windows.Windows.view",
        "return as_strided(padded, shape, strides, writeable=padded.flags.writeable)",
        "return as_strided(padded, shape, strides)")  # fmt: skip
_SHARE = "share = g / np.where(nan, np.nan, ties) if nan.any() else g / ties"
accept(GENERAL, "pooling._spread_shares", _SHARE, "share = g / np.where(nan, np.nan, ties)")
accept("only the order in memory counts, where n and c are neighbours, and the result's shape is given",
        "pooling.pixel_shuffle.vjp",
        "squares = g.reshape(n, c, tall // r, r, wide // r, r).transpose(0, 1, 3, 5, 2, 4)",
        "squares = g.reshape(c, n, tall // r, r, wide // r, r).transpose(0, 1, 3, 5, 2, 4)")  # fmt: skip

accept(GENERAL, "columns.Columns.terms", "return self.windows.kernel[0] if self.shared else 1", "return 1")
accept("whichever is called the first", "windows.residues", "common = gcd(stride, dilation)",
        "common = gcd(dilation, stride)")  # fmt: skip
accept("what is filled is written over", "convolution._correlate_images",
        "if len(downs) * len(rights) < prod(windows.stride):",
        "if len(downs) * len(rights) <= prod(windows.stride):")  # fmt: skip
_THEMSELVES = "if windows.kernel == windows.stride == (1, 1) and pixels.flags.c_contiguous:"
accept(GENERAL, "columns._columns", _THEMSELVES, ANY)
accept("it is given as a dtype", "columns.workspace", "size = prod(shape) * np.dtype(dtype).itemsize",
        "size = prod(shape) * dtype.itemsize")  # fmt: skip
accept("the product casts as well", "convolution._correlate_filters",
        "matrices = None if w is None else columns.matrices(w.astype(dtype, copy=False))",
        "matrices = None if w is None else columns.matrices(w)")  # fmt: skip
accept("there are both or neither", "convolution._correlate_filters", "if dy is not None and matrices is not None:",
        "if dy is not None:", "if matrices is not None:", "if dy is not None or matrices is not None:")  # fmt: skip
accept("reshaped it is contiguous, and the product casts as well", "convolution._correlate_filters",
        "entries = np.ascontiguousarray(y[images, :, share.rows], dtype)",
        "entries = y[images, :, share.rows]")  # fmt: skip
_SHARED = ("shared = windows.stride[0] == 1 and kh * filters < (kh - 1) * kw * c * groups and "
           "(y.dtype != np.float16)")  # fmt: skip
accept("decides on speed alone, in half precision on rounding as well", "convolution._correlations", _SHARED, ANY)
accept("decides on speed alone, in half precision on rounding as well", "convolution._correlate_filters",
        "shared = windows.stride[0] == 1 and dtype != np.float16", ANY)  # fmt: skip
_STEP = "step = max(1, _LARGEST // max(self._row(x) * tall, 1))"
accept("there are channels and windows, or nothing is computed", "columns.Columns.blocks", _STEP,
        "step = max(1, _LARGEST // (self._row(x) * tall))",
        "step = max(1, _LARGEST // max(self._row(x) * tall, 0))")  # fmt: skip
accept("a product takes a view as well as a copy", "columns.Columns.matrices",
        "return np.ascontiguousarray(w).reshape(self.terms, self.groups, f, c * prod(self.taps))",
        "return w.reshape(self.terms, self.groups, f, c * prod(self.taps))")  # fmt: skip
accept(
    PIECES,
    "convolution._correlate_filters",
    "columns = Columns(windows, (y.shape[2], y.shape[3]), groups, 0 if w is None else filters, shared)",
    ANY,
)
accept("of four axes", "convolution._correlate_filters", "product_into(entries, cols.swapaxes(-1, -2), products)",
        "product_into(entries, cols.swapaxes(-1, 2), products)")  # fmt: skip
accept("one is as long as the other was, and both stay as they are", "convolution._correlate_images",
        "adjoint = w.reshape(groups, filters // groups, c, kh, kw).swapaxes(1, 2)",
        "adjoint = w.reshape(groups, filters // groups, c, kw, kh).swapaxes(1, 2)")  # fmt: skip
accept("more memory than is used", "convolution._multiply",
        "total, *others = workspace('products', (min(len(terms), 2), *shape), y.dtype)",
        "total, *others = workspace('products', (min(len(terms), 3), *shape), y.dtype)")  # fmt: skip
accept("all memory is a cache line longer than what was asked for, but for the part in front", "columns.workspace",
        "if held is None or held.size < size:", "if held is None or held.size <= size:")  # fmt: skip
_FLAT = "flat = bordered and sw == 1 and (number[1] == x.shape[3])"
accept(GENERAL, "columns._columns", _FLAT, _FLAT.replace("sw == 1", "sw == 0"))
_BORDER = "pixels = _with_border(pixels, rows, columns, seen, x.shape[3] if flat else seen[1])"
accept(GENERAL, "columns._columns", _BORDER, _BORDER.replace("x.shape[3] if flat else ", ""))
_SEEN = "seen = ((number[0] - 1) * sh + eh, (number[1] - 1) * sw + ew)"
accept("zeros beyond what the windows see", "columns._columns", _SEEN, _SEEN.replace("number[1] - 1", "number[1] + 1"))
_CLEARED = "cols[:, :, :, j, :, slice(0, -shift) if shift < 0 else slice(max(0, width - shift), None)] = 0"
accept("it is not 0", "columns._clear_beyond_rows", _CLEARED, _CLEARED.replace("< 0", "<= 0"),
        _CLEARED.replace("< 0", "< 1"))  # fmt: skip
_ZEROS = "zeros = workspace('padded', (n, c, (size[0] - 1) * pitch + size[1]), pixels.dtype)"
accept("more memory than is used", "columns._with_border", _ZEROS, _ZEROS.replace("size[0] - 1", "size[0] + 1"),
        _ZEROS.replace("size[0] - 1", "size[0] - 0"))  # fmt: skip
accept("one of the two axes has a length of 1", "columns.Columns.kernels",
        "w = matrices.reshape(self.terms, groups, f, c, *self.taps).transpose(1, 2, 3, 0, 4, 5)",
        "w = matrices.reshape(self.terms, groups, f, c, *self.taps).transpose(1, 2, 3, 4, 0, 5)")  # fmt: skip
_NO_IMAGES = "return np.zeros((len(y), groups * w.shape[1], *size), y.dtype)"
accept("there are no entries", "convolution._images", _NO_IMAGES, _NO_IMAGES.replace("zeros", "ones"),
        _NO_IMAGES.replace("np.zeros", "-np.zeros"))  # fmt: skip
accept("a slice of all is the same", "convolution._responses",
        "return y if y.shape[2:] == number else y[:, :, :number[0], :number[1]]", ANY)  # fmt: skip
accept("promotion knows no order", "convolution._correlate",
        "y = np.empty((len(x), len(w), *number), _dtype(x, w, b))",
        "y = np.empty((len(x), len(w), *number), _dtype(w, x, b))")  # fmt: skip
accept("zeros beyond what the windows see", "columns._columns",
        "seen = ((number[0] - 1) * sh + eh, (number[1] - 1) * sw + ew)",
        "seen = ((number[0] + 1) * sh + eh, (number[1] - 1) * sw + ew)")  # fmt: skip
accept("a border that is not needed, of no zeros", "columns._columns", "if bordered:", "if True:")
accept("a border that is not needed, of no zeros", "columns._columns",
        "bordered = pixels.shape[2:] != seen", "bordered = pixels.shape[1:] != seen",
        "bordered = pixels.shape[3:] != seen", "bordered = pixels.shape[:] != seen")  # fmt: skip
accept("more memory than is used", "columns._with_border",
        "zeros = workspace('padded', (n, c, (size[0] - 1) * pitch + size[1]), pixels.dtype)",
        "zeros = workspace('padded', (n, c, size[0] * pitch + size[1]), pixels.dtype)")  # fmt: skip
accept("NumPy takes any negative length for the rest", "convolution._correlate_filters",
        "entries = entries.reshape(len(entries), groups, filters // groups, -1)",
        "entries = entries.reshape(len(entries), groups, filters // groups, -2)")  # fmt: skip
accept("promotion knows no order", "convolution._correlate_images",
        "x = np.empty((len(y), groups * c, *size), _dtype(y, w, b))",
        "x = np.empty((len(y), groups * c, *size), _dtype(w, y, b))")  # fmt: skip
accept("the product casts as well", "convolution._correlations",
        "matrices = columns.matrices(w.astype(y.dtype, copy=False))", "matrices = columns.matrices(w)")  # fmt: skip
accept(GENERAL, "convolution._multiply", "if len(terms) == 1 and y[:1, :1].flags.c_contiguous:", ANY)
