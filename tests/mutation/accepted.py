"""Mutants that no test can kill, with the reason: they do the same as the original, or do it only more slowly.

An entry is (function, part before, part after). A campaign fails if one of them does not survive, or exists no more.
"""

ANY = "*"  # every change of the part that survives: for parts whose every value gives the same numbers

_SAME_ANYWHERE = "where the value is used it is multiplied by 0, or divides 0"
_GENERAL = "chooses a faster way: the general one gives the same numbers"
_CAST = "the engine casts to the input's dtype anyway; here it saves work in a wider one"
_SUMS = "the engine sums away the axis that broadcasting could have added"

ACCEPTED: dict[tuple[str, str, str], str] = {}


def _accept(reason: str, function: str, before: str, *afters: str) -> None:
    ACCEPTED.update({(function, before, after): reason for after in afters})


# --- activations, elementwise, reductions --------------------------------------------------------------

_accept("the other branch is taken above 0; the limit only keeps exp from overflowing there", "activations.elu.vjp",
        "np.where(x > 0, g, g * (alpha * np.exp(np.minimum(x, 0))))",
        "np.where(x > 0, g, g * (alpha * np.exp(np.minimum(x, 1))))")  # fmt: skip
_accept("any bound beyond which the density is 0 in float64 does; clip(-100, x, 100) is clip(x, -100, 100)",
        "activations.gelu.vjp", "t = np.clip(x, -100, 100)", ANY)  # fmt: skip
_accept(_SAME_ANYWHERE, "elementwise.arctan2.vjp", "r = np.where(r == 0, 1, r)", "r = np.where(r == 0, 2, r)")
_accept("exp(-inf - 1) is 0, as exp(-inf) is", "elementwise.logaddexp.vjp", "y = np.where(y == -np.inf, 0, y)",
        "y = np.where(y == -np.inf, 1, y)")  # fmt: skip
_accept("exp(-inf - 1) is 0, as exp(-inf) is", "reductions.logsumexp.vjp", "y = np.where(y == -np.inf, 0, y)",
        "y = np.where(y == -np.inf, 1, y)")  # fmt: skip
_accept(_CAST, "elementwise.power.vjp", "base = np.asarray(a, y.dtype)", "base = a")
_accept("flip and cumsum of a vector need no axis", "reductions.cumsum.vjp", "axis = 0 if axis is None else axis",
        "axis = axis")  # fmt: skip
_accept(_CAST, "reductions._share", "count = np.sum(extreme, axis=axis, keepdims=True, dtype=g.dtype)",
        "count = np.sum(extreme, axis=axis, keepdims=True)")  # fmt: skip
_accept("a mean of no entries has no entry that its gradient could reach", "reductions.mean.vjp",
        "np.broadcast_to(_kept(g, axis, keepdims) / (n or 1), shape)",
        "np.broadcast_to(_kept(g, axis, keepdims) / (n or 2), shape)")  # fmt: skip
_accept(_SAME_ANYWHERE, "reductions.norm.vjp",
        "_kept(g, axis, keepdims) * (x / _kept(np.where(y == 0, 1, y), axis, keepdims))",
        "_kept(g, axis, keepdims) * (x / _kept(np.where(y == 0, 2, y), axis, keepdims))")  # fmt: skip
_accept(_SAME_ANYWHERE, "reductions.std.vjp", "factor = g / (freedom * np.where(y == 0, 1, y))",
        "factor = g / (freedom * np.where(y == 0, 2, y))")  # fmt: skip

# --- convolution and windows ---------------------------------------------------------------------------

for _name in ("conv2d", "conv_transpose2d"):
    _accept("the layout decides on speed alone", f"convolution.{_name}.vjp", "g = np.ascontiguousarray(g)", "g = g")
_accept("any block size gives the same sums", "convolution._blocks", "step = max(1, _COLUMNS // max(1, windows))", ANY)
_accept("any block size gives the same sums", "convolution._correlate_images",
        "for block in _blocks(len(y), y.shape[2] * y.shape[3]):", ANY)  # fmt: skip
_accept(_GENERAL, "convolution._correlate_images", "if plain and min(borders) >= 0 and (filters <= channels):",
        "if False:", "if plain and min(borders) > 0 and (filters <= channels):",
        "if plain and min(borders) >= 1 and (filters <= channels):",
        "if plain and min(borders) >= 0 and (filters < channels):")  # fmt: skip
_PLAIN = "plain = windows.stride == (1, 1) and windows.output_size(size) == y.shape[2:]"
_accept("never true, so that the general way is taken: the same numbers", "convolution._correlate_images", _PLAIN,
        "plain = windows.stride == (1, 1) and windows == y.shape[2:]",
        "plain = windows.stride == (1, 1) and windows.output_size(size) == y.shape[:]",
        "plain = windows.stride == (1, 1) and windows.output_size(size) == y.shape[1:]",
        "plain = windows.stride == (1, 1) and windows.output_size(size) == y.shape[3:]",
        "plain = windows.stride == (0, 1) and windows.output_size(size) == y.shape[2:]",
        "plain = windows.stride == (1, 0) and windows.output_size(size) == y.shape[2:]")  # fmt: skip
_BORDERS = "borders = (windows.extent[0] - 1 - windows.padding[0], windows.extent[1] - 1 - windows.padding[1])"
_accept("negative, so that the general way is taken, but for an extent of 1 without padding, where it is right",
        "convolution._correlate_images", _BORDERS,
        _BORDERS.replace("windows.extent[0] - 1 -", "-(windows.extent[0] - 1) -"),
        _BORDERS.replace("windows.extent[0] - 1 -", "1 - windows.extent[0] -"),
        _BORDERS.replace("windows.extent[1] - 1 -", "-(windows.extent[1] - 1) -"),
        _BORDERS.replace("windows.extent[1] - 1 -", "1 - windows.extent[1] -"))  # fmt: skip
_accept("the product takes each kernel as a row: how its axes are called does not matter",
        "convolution._correlate_images", "flipped = flipped.reshape(channels, filters // groups, kh, kw)",
        "flipped = flipped.reshape(channels, kh, filters // groups, kw)",
        "flipped = flipped.reshape(channels, filters // groups, kw, kh)")  # fmt: skip
_accept("both axes are reversed: that is the row reversed, whichever is called the first",
        "convolution._correlate_images",
        "flipped = w.reshape(groups, filters // groups, part, kh, kw).swapaxes(1, 2)[..., ::-1, ::-1]",
        "flipped = w.reshape(groups, filters // groups, part, kw, kh).swapaxes(1, 2)[..., ::-1, ::-1]")  # fmt: skip
_accept(_GENERAL, "convolution._correlate", "if n == 1:", "if False:", "if n == 0:")
_accept("the first block is the largest: a test that an empty buffer fails is enough", "convolution._im2col",
        "if buffer.size < n * rows * columns:", ANY)  # fmt: skip
_accept("too small for a block all the same", "convolution._im2col", "buffer = np.empty(0, x.dtype)",
        "buffer = np.empty(1, x.dtype)")  # fmt: skip
_accept("a copy instead of the images themselves", "windows.Windows.pad", "if ph == pw == 0:", "if False:")
_accept("a view of a read-only array is read-only anyway", "windows.Windows.view",
        "return as_strided(padded, shape, strides, writeable=padded.flags.writeable)",
        "return as_strided(padded, shape, strides)")  # fmt: skip
_accept("only the order in memory counts, where n and c are neighbours, and the result's shape is given",
        "pooling.pixel_shuffle.vjp",
        "squares = g.reshape(n, c, tall // r, r, wide // r, r).transpose(0, 1, 3, 5, 2, 4)",
        "squares = g.reshape(c, n, tall // r, r, wide // r, r).transpose(0, 1, 3, 5, 2, 4)")  # fmt: skip
