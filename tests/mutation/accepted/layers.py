"""Judged equivalent: changes of rules of images, losses of sequences, attention and recurrent layers."""

from .reasons import GENERAL, accept

_MEMORY = "in memory of its own"
_COMMUTES = "it does not matter which comes first"
_OF_THREE = "of three the largest is taken off first; then their sum has no order"
_WIDENED = "NumPy widens it as it meets what is wide"
_IN_VAIN = "gives what nobody takes"
_COMPARED = "a comparison of tensors gives an array"

# --- activations ---------------------------------------------------------------------------------------

for _name in ("elu", "leaky_relu"):
    accept(_COMPARED, f"activations.{_name}.vjp", "above = plain(x) > 0", "above = x > 0")
accept(_MEMORY, "activations.sigmoid.vjp", "np.exp(np.negative(u, out=u), out=u)", "np.exp(np.negative(u), out=u)")

# --- CTC: of arrays ------------------------------------------------------------------------------------

_EACH = "return single(g).reshape(*lead, *(own or (1,))) * self.each"
accept(_WIDENED, "alignment._Problem.counted", _EACH, _EACH.replace("single(g)", "g"))
accept(GENERAL, "alignments.emissions", "if not counts.all():", "if True:")
_LAST_TWO = "a[frames - 1, 2 * labels + 2, n]", "a[frames - 1, 2 * labels + 1, n]"
accept(_COMMUTES, "alignments.log_likelihood", f"found = np.logaddexp({_LAST_TWO[0]}, {_LAST_TWO[1]})",
       f"found = np.logaddexp({_LAST_TWO[1]}, {_LAST_TWO[0]})")  # fmt: skip
accept("it divides 0", "alignments.shares", "found /= np.where(total == 0, 1, total)",
       "found /= np.where(total == 0, 2, total)")  # fmt: skip
accept(GENERAL, "alignments.shares", "if t in ending:", "if True:")
accept("any collection of the same integers", "alignments.shares", "ending = set((frames - 1).tolist())",
       "ending = (frames - 1).tolist()", "ending = set(frames - 1)")  # fmt: skip
accept(_OF_THREE, "alignments.shares", "_log_sum(arriving[:-2], arriving[1:-1], skipping, work, out=b)",
       "_log_sum(arriving[1:-1], arriving[:-2], skipping, work, out=b)",
       "_log_sum(arriving[:-2], skipping, arriving[1:-1], work, out=b)")  # fmt: skip
_IS_NONE = "return np.asarray(likelihood < IMPOSSIBLE / 2)"
accept("of an array with axes an array; any bound far from both IMPOSSIBLE and what is possible will do",
       "alignments.impossible", _IS_NONE, "return likelihood < IMPOSSIBLE / 2", _IS_NONE.replace("<", "<="),
       _IS_NONE.replace("/ 2", "/ 3"))  # fmt: skip
accept("of arrays with axes an array", "alignments.that_count",
       "return np.asarray(np.arange(T)[:, None] < frames)", "return np.arange(T)[:, None] < frames")  # fmt: skip
accept("of arrays with axes an array", "alignments.at_last_frame",
       "return np.asarray(np.arange(T)[:, None] == frames - 1)",
       "return np.arange(T)[:, None] == frames - 1")  # fmt: skip
accept(_MEMORY, "alignments._log_sum", "out += np.exp(np.subtract(term, top, out=part), out=part)",
       "out += np.exp(np.subtract(term, top, out=part))",
       "out += np.exp(np.subtract(term, top), out=part)")  # fmt: skip
accept(_MEMORY, "alignments._log_sum", "np.exp(np.subtract(x, top, out=out), out=out)",
       "np.exp(np.subtract(x, top), out=out)")  # fmt: skip

# --- CTC: of tensors -----------------------------------------------------------------------------------

_PULLED = "shares = np.where(problem.undefined(plain(likelihood))[..., None], np.nan, shares)"
accept(_COMPARED, "alignment.ctc_loss.vjp_on_tensors", _PULLED, _PULLED.replace("plain(likelihood)", "likelihood"))
accept(_COMPARED, "alignment.ctc_loss.vjp_on_tensors", "none = kernels.impossible(plain(likelihood))",
       "none = kernels.impossible(likelihood)")  # fmt: skip
accept("without frames it has no entries", "alignment._backward", "return np.stack(b[::-1]) if b else y",
       "return np.stack(b[::-1]) if b else -y")  # fmt: skip
_ARRIVED = "b.append(np.where(last[t], ends, _log_sum({}, {}, {})))"
_BACK = "after[:-2]", "after[1:-1]", "after[2:] + onwards"
accept(_OF_THREE, "alignment._backward", _ARRIVED.format(*_BACK),
       _ARRIVED.format(_BACK[1], _BACK[0], _BACK[2]), _ARRIVED.format(_BACK[0], _BACK[2], _BACK[1]))  # fmt: skip
_REACHED = "a.append(_log_sum({}, {}, {}) + y[t])"
_FORTH = "before[2:]", "before[1:-1]", "before[:-2] + skips"
accept(_OF_THREE, "alignment._forward", _REACHED.format(*_FORTH),
       _REACHED.format(_FORTH[1], _FORTH[0], _FORTH[2]), _REACHED.format(_FORTH[0], _FORTH[2], _FORTH[1]))  # fmt: skip
accept(_OF_THREE, "alignment._log_sum", "return np.logaddexp(np.logaddexp(x, y), z)",
       "return np.logaddexp(z, np.logaddexp(x, y))", "return np.logaddexp(np.logaddexp(y, x), z)")  # fmt: skip
_AT_END = "at_end = ways[np.maximum(problem.frames, 1) - 1, :, np.arange(N)] + ends.T"
accept("of no frames any finite row will do: its likelihood stands apart", "alignment._forward", _AT_END,
       _AT_END.replace("np.maximum(problem.frames, 1)", "problem.frames"),
       _AT_END.replace("frames, 1)", "frames, 0)"))  # fmt: skip
accept("without frames it has no entries", "alignment._forward", "y", "-y")
accept("without frames it has no entries, and sums to 0", "alignment._forward", "np.sum(y, axis=(0, 1)) + without",
       "np.sum(y) + without")  # fmt: skip

# --- attention -----------------------------------------------------------------------------------------

_SLOPES = "if needs[0] or needs[1]:"
accept("arrays that nobody reads", "scores.attend_back", _SLOPES, "if True:", "if True or needs[1]:",
       "if needs[0] or True:")  # fmt: skip
_TO_SLOPES = "to_slopes, turned_v = (_with_column(g, -np.vecdot(g, out)), _turned(v, T, ones=True))"
accept(_COMMUTES, "scores.attend_back", _TO_SLOPES, _TO_SLOPES.replace("vecdot(g, out)", "vecdot(out, g)"))
_EMPTY = ("dk, dv = ((np.empty_like if T else np.zeros_like)(x) if need else None "
          "for x, need in zip((k, v), needs[1:], strict=True))")  # fmt: skip
accept("zeros that are written over", "scores.attend_back", _EMPTY,
       _EMPTY.replace("(np.empty_like if T else np.zeros_like)(x)", "np.zeros_like(x)"))  # fmt: skip

# --- convolution ---------------------------------------------------------------------------------------

_BOTH = "the other is wide, and so is what both are multiplied in"
_ALL_WIDE = "x, y, w = (widened(x), widened(y), None if w is None else widened(w))"
accept(_BOTH, "convolution._correlate_filters", _ALL_WIDE, _ALL_WIDE.replace("widened(x)", "x"),
       _ALL_WIDE.replace("widened(y)", "y"), _ALL_WIDE.replace("widened(w)", "w"))  # fmt: skip
for _function, _wide in (("_correlate_images", "y, w = (widened(y), widened(w))"),
                         ("_correlate", "x, w = (widened(x), widened(w))")):  # fmt: skip
    _first = _wide[0]
    accept(_BOTH, f"convolution.{_function}", _wide, _wide.replace(f"widened({_first})", _first),
           _wide.replace("widened(w)", "w"))  # fmt: skip
_FEWER = "if len(downs) * len(rights) < prod(windows.stride):"
accept("what is filled is written over", "convolution._correlate_images", _FEWER, "if True:",
       _FEWER.replace("len(downs) * len(rights)", "-(len(downs) * len(rights))"),
       _FEWER.replace(" * len(rights)", ""), _FEWER.replace("len(downs) * ", ""))  # fmt: skip
_CROPPED = "return x if x.shape[2:] == size else x[:, :, :size[0], :size[1]]"
accept("a slice of all is the same", "convolution._images", _CROPPED, "return x[:, :, :size[0], :size[1]]",
       *(_CROPPED.replace("shape[2:]", f"shape[{axes}]") for axes in (":", "3:", "1:")))  # fmt: skip
_ENLARGED = ("x = conv_transpose2d(y, w, None, windows.stride, windows.padding, tuple(extra), "
             "windows.dilation, groups)")  # fmt: skip
accept("a pair may be a list", "convolution._images", _ENLARGED, _ENLARGED.replace("tuple(extra)", "extra"))
accept("a border of none", "convolution._responses", "if any(missing):", "if True:", "if missing:")
_MISSING = "missing = [max(0, n - m) for n, m in zip(windows.image_size(number), x.shape[2:], strict=True)]"
accept("at most one is missing, and windows over more zeros are cut off", "convolution._responses", _MISSING,
       *(_MISSING.replace("max(0, n - m)", more)
         for more in ("max(1, n - m)", "max(0, n + m)", "max(0, n)", "max(0, m)")))  # fmt: skip

# --- padding, pooling, resampling, pieces --------------------------------------------------------------

_ROOM = "y = np.full(shape, value, x.dtype) if mode == 'constant' else np.empty(shape, x.dtype)"
accept("what is filled is written over", "padding._padded", _ROOM, "y = np.full(shape, value, x.dtype)")
accept("entry by entry", "padding._borders_of_axis", "most = n - 1 if mode == 'reflect' else n",
       "most = 1 if mode == 'reflect' else n")  # fmt: skip
_INTEGERS = "NumPy's integers bound a slice as well"
accept(_INTEGERS, "padding._as_slice", "return slice(int(places[0]), end if end >= 0 else None, step)",
       "return slice(places[0], end if end >= 0 else None, step)")  # fmt: skip
accept(_INTEGERS, "padding._as_slice", "end = int(places[-1]) + step", "end = places[-1] + step")
accept("no two neighbours are the same", "padding._as_slice",
       "step = -1 if len(places) > 1 and places[1] < places[0] else 1",
       "step = -1 if len(places) > 1 and places[1] <= places[0] else 1")  # fmt: skip
accept("only the order in memory counts, where n and c are neighbours, and the result's shape is given",
       "pooling.pixel_unshuffle.vjp",
       "squares = g.reshape(n, c // r ** 2, r, r, height, width).transpose(0, 1, 4, 2, 5, 3)",
       "squares = g.reshape(c // r ** 2, n, r, r, height, width).transpose(0, 1, 4, 2, 5, 3)")  # fmt: skip
for _function in ("_enlarged", "_gathered"):
    accept("takes each pixel once", f"resampling.{_function}", "if r > 1:", "if True:", "if r >= 1:", "if r > 0:")
_NO_PIXELS = "slices of no pixels are empty"
accept(_NO_PIXELS, "resampling._interpolated_back", "for p, parts in _parts(r, n) if n else ():",
       "for p, parts in _parts(r, n):")  # fmt: skip
accept(_NO_PIXELS, "resampling._interpolated", "for p, ((weight, *_), *others) in _parts(r, n) if n else ():",
       "for p, ((weight, *_), *others) in _parts(r, n):")  # fmt: skip
accept("twice, and the signs meet", "resampling._sum", "return total", "return -total")
accept("of a single piece, which is there, no zeros are made", "shaping.split.batched_vjp",
       "size = next((len(part) for part in (g if isinstance(g, tuple) else (g,)) if part is not None))",
       "size = next((len(part) for part in g if part is not None))")  # fmt: skip

# --- cross-entropy -------------------------------------------------------------------------------------

accept("without weights it is the same numbers", "cross_entropy.probabilities",
       "if smoothing and weight is not None:", "if smoothing:")  # fmt: skip
accept("a row that counts nothing has no weights that it could share", "cross_entropy._target_distribution",
       "share = 1 / np.where(counts == 0, 1, counts)", "share = 1 / np.where(counts == 0, 2, counts)")  # fmt: skip
accept("who asks without weights has rows, whose targets are classes", "cross_entropy._target_distribution",
       "smoothing / max(C, 1)", "smoothing / C", "smoothing / max(C, 0)")  # fmt: skip
_UNSCALED = "return rows * np.where(scale == 0, 0, 1 / np.where(scale == 0, 1, scale))[:, None]"
accept("rows whose scale is 0 are 0, and what is made of them is multiplied by it once more", "cross_entropy.unscaled",
       _UNSCALED, _UNSCALED.replace("(scale == 0, 0,", "(0, scale == 0,"),
       _UNSCALED.replace("(scale == 0, 0,", "(scale == 0, 1,"),
       _UNSCALED.replace("(scale == 0, 1, scale)", "(scale == 0, 2, scale)"))  # fmt: skip
accept("the mean of equal weights is that of their sum", "cross_entropy._smoothed_rows",
       "everywhere = smoothing * z.mean(axis=1) if weight is None else (each * z).sum(axis=1)",
       "everywhere = (each * z).sum(axis=1)")  # fmt: skip

# --- recurrent -----------------------------------------------------------------------------------------

_REST = "rest = np.where(u[1] < 1, u[1] * z, 1 - z)"
_OF_STEP = "recurrent_gru._pull_step_by_slopes"
_GRU = "recurrent_gru.gru.batched_vjp"
_ROWS_TOO = "dx = added(dx, each(inputs.unpack, g_rows)) if needs[0] else None"
_COPIES = "copies = Copies(packing, next((len(d) for d in gs if d is not None)), h.shape[1])"
