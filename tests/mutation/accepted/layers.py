"""Judged equivalent: changes of rules of images, losses of sequences, attention and recurrent layers."""

from .reasons import accept

_MEMORY = "in memory of its own"
_COMMUTES = "it does not matter which comes first"
_COMPARED = "a comparison of tensors gives an array"

# --- activations ---------------------------------------------------------------------------------------

for _name in ("elu", "leaky_relu"):
    accept(_COMPARED, f"activations.{_name}.vjp", "above = plain(x) > 0", "above = x > 0")

# --- CTC: of arrays ------------------------------------------------------------------------------------

accept(_MEMORY, "alignment._log_sum", "out += np.exp(np.subtract(term, top, out=part), out=part)",
       "out += np.exp(np.subtract(term, top, out=part))",
       "out += np.exp(np.subtract(term, top), out=part)")  # fmt: skip
accept(_MEMORY, "alignment._log_sum", "np.exp(np.subtract(x, top, out=out), out=out)",
       "np.exp(np.subtract(x, top), out=out)")  # fmt: skip

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
