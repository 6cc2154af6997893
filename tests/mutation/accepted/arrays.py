"""Judged equivalent: changes of rules of activations, entries, reductions, selection and convolution."""

from .reasons import ANY, CAST, GENERAL, PIECES, accept

# --- activations, elementwise, reductions, selection, numerics -----------------------------------------

accept("the other branch is taken above 0; the limit only keeps exp from overflowing there", "activations.elu.vjp",
        "_by_side(g, g * (alpha * np.exp(np.minimum(x, 0))), above) if alpha else taken(g, above)",
        "_by_side(g, g * (alpha * np.exp(np.minimum(x, 1))), above) if alpha else taken(g, above)")  # fmt: skip
accept("any bound beyond which the density is 0 in float64 does; clip(-100, x, 100) is clip(x, -100, 100)",
        "activations.gelu.vjp", "t = np.clip(x, -100, 100)", ANY)  # fmt: skip
accept("a tensor on which nothing depends is taken for its array", "activations.sigmoid_of",
        "return sigmoid(x) if isinstance(x, Tensor) else logistic(x)", "return sigmoid(x)")  # fmt: skip
accept(CAST, "reductions._share", "count = np.sum(extreme, axis=axis, keepdims=True, dtype=g.dtype)",
        "count = np.sum(extreme, axis=axis, keepdims=True)")  # fmt: skip
accept("a mean of no entries has no entry that its gradient could reach", "reductions.mean.vjp",
        "np.broadcast_to(_kept(single(g), axis, keepdims) / (n or 1), shape)",
        "np.broadcast_to(_kept(single(g), axis, keepdims) / (n or 2), shape)")  # fmt: skip

accept(GENERAL, "reductions._weights", "if np.isfinite(top).all():", "if False:")
_WEIGHTS = "return np.exp(np.where((x == top) & (top > 0), 0, x - np.where(top == -np.inf, 0, top)))"
accept("exp(-inf - 1) is 0, as exp(-inf) is", "reductions._weights", _WEIGHTS,
        _WEIGHTS.replace("-np.inf, 0", "-np.inf, 1"))  # fmt: skip
accept("a finite top minus itself is 0 in the other branch too", "reductions._weights", _WEIGHTS,
        _WEIGHTS.replace("top > 0", "top > 1"), _WEIGHTS.replace("top > 0", "top >= 0"))  # fmt: skip
accept("a rule takes only the dtype of it; tests of leaky_relu, whose forward takes more, kill it",
        "numerics.as_float", "return x if x.dtype.kind == 'f' else x.astype(np.float64)",
        "return x if x.dtype.kind == 'f' else -x.astype(np.float64)")  # fmt: skip
accept("it divides 0", "reductions.norm.vjp", "direction = x / _kept(np.where(zero, 1, y), axis, keepdims)",
        "direction = x / _kept(np.where(zero, 2, y), axis, keepdims)")  # fmt: skip
accept("it divides 0", "reductions.std.vjp", "factor = taken(g, ~flat) / (freedom * np.where(flat, 1, y))",
        "factor = taken(g, ~flat) / (freedom * np.where(flat, 2, y))")  # fmt: skip

accept(GENERAL, "elementwise._power", "if not isinstance(a, np.ndarray):", ANY)
accept(GENERAL + ", or as good ones", "elementwise._power",
        "if not (type(b) is int and 2 < b <= 16 and (a.dtype.kind == 'f') and (a.dtype.itemsize > 2)):",
        ANY)  # fmt: skip

for _i, _pair in enumerate(("a, b", "b, a")):
    accept("a sum of two terms has no order", "elementwise.maximum.vjp",
           f"_share(g, np.less({_pair}), np.less_equal({_pair})) if needs[{_i}] else None",
           f"_share(g, np.less_equal({_pair}), np.less({_pair})) if needs[{_i}] else None")  # fmt: skip
accept(GENERAL, "numerics.taken", "if bits is None or not isinstance(g, _HELD):", "if True:")

# --- convolution and windows ---------------------------------------------------------------------------

accept("a copy instead of the images themselves", "windows.Windows.pad", "if ph == pw == 0:", "if False:")
accept("a view of a read-only array is read-only anyway", "windows.Windows.view",
        "return as_strided(padded, shape, strides, writeable=padded.flags.writeable)",
        "return as_strided(padded, shape, strides)")  # fmt: skip
_SHARE = "share = g / np.where(nan, np.nan, ties) if nan.any() else g / ties"
accept(GENERAL, "resampling._spread_shares", _SHARE, "share = g / np.where(nan, np.nan, ties)")

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
