"""Judged equivalent: changes of rules of matrices, norms, normalisations, cumulative products and sorting."""

from .reasons import GENERAL, PIECES, accept

_COMPARED = "a tensor compares as its array does, and no gradient comes through that"
_SQUARE = "the matrices are square"
_UNTAKEN = "another branch is taken there"
_PRINTED = "prints the same number"
_UNASKED = "gives what nobody takes"
_REST = "NumPy takes any negative length for the rest"
_ORDER = "the order of the two is no matter"
_WHOLE = "takes off zeros"

# --- decompositions ------------------------------------------------------------------------------------

_RULE = "linear_algebra.eigh.vjp"
_INNER = "inner = np.where(equal, 0, skew(P) / np.where(equal, 1, gaps))"
_EQUAL = "equal = np.abs(plain(gaps)) <= rounding_of(w, w.shape[-1])[..., None]"
accept(_UNTAKEN, _RULE, _INNER, _INNER.replace("(equal, 1", "(equal, 2"))
accept(_COMPARED, _RULE, _EQUAL, _EQUAL.replace("plain(gaps)", "gaps"))

_RULE = "linear_algebra._refuse_mixed"
_SORTED = "i, j = sorted((int(i), int(j)))"
accept(_PRINTED, _RULE, _SORTED, _SORTED.replace("int(i)", "i"), _SORTED.replace("int(j)", "j"))
_ROWS = "rows = np.broadcast_to(plain(values), (*np.shape(plain(part))[:-2], off.shape[-1]))[tuple(stack)]"
accept(_SQUARE, _RULE, _ROWS, _ROWS.replace("off.shape[-1]", "off.shape[-2]"))
accept("a tensor is printed as its number, and has the shape of its array", _RULE, _ROWS,
       _ROWS.replace("plain(values)", "values"), _ROWS.replace("plain(part)", "part"))  # fmt: skip
accept(_COMPARED, _RULE, "mixed = np.argwhere(off & (plain(part) != 0))", "mixed = np.argwhere(off & (part != 0))")
accept(_SQUARE, _RULE, "off = equal & ~np.eye(equal.shape[-1], dtype=bool)",
       "off = equal & ~np.eye(equal.shape[-2], dtype=bool)")  # fmt: skip

accept(GENERAL + ": of no further columns it adds zeros", "linear_algebra.qr.vjp", "if R.shape[-1] == k:", "if False:")

accept(GENERAL, "linear_algebra.svd.vjp", "if gU is None and gVh is None:", "if False:")
accept("cuts off nothing, which is 0", "linear_algebra._determined", "if g is None or g.shape[axis] == k:",
       "if g is None:")  # fmt: skip
accept(_COMPARED, "linear_algebra._determined", "if np.any(plain(others)):", "if np.any(others):")

_RULE = "linear_algebra._divisors"
accept("what it divides there is 0, as nobody uses it", _RULE, "return np.where(zero, 1, s)",
       "return np.where(zero, 2, s)")  # fmt: skip
accept(_PRINTED, _RULE, "place = int(np.argwhere(zero & used)[0][-1])", "place = np.argwhere(zero & used)[0][-1]")
accept(_COMPARED, _RULE, "used = np.any(plain(g) != 0, axis=axis)", "used = np.any(g != 0, axis=axis)")
accept(_COMPARED, _RULE, "zero = plain(s) <= rounding_of(s, size)", "zero = s <= rounding_of(s, size)")

_RULE = "linear_algebra._pull_vectors"
_SUMS = "return apart + np.where(equal, 0, (X - Y) / np.where(equal, 1, sums))"
_GAPS = "apart = np.where(equal, 0, (X + Y) / np.where(equal, 1, gaps))"
_EQUAL = "equal = np.abs(plain(gaps)) <= rounding_of(s, max(U.shape[-2], Vh.shape[-1]))[..., None]"
_REFUSAL = "_refuse_mixed('svd', 'singular value', s, equal, *(part for part in (P, Q) if not isinstance(part, int)))"
accept(_UNTAKEN, _RULE, _SUMS, _SUMS.replace("(equal, 1", "(equal, 2"))
accept(_UNTAKEN, _RULE, _GAPS, _GAPS.replace("(equal, 1", "(equal, 2"))
accept(_COMPARED, _RULE, _EQUAL, _EQUAL.replace("plain(gaps)", "gaps"))
accept("a 0 mixes nothing", _RULE, _REFUSAL, _REFUSAL.replace(" if not isinstance(part, int)", ""))

# --- triangular systems --------------------------------------------------------------------------------

_RULE = "linear_algebra._by_blocks"
_RULE = "linear_algebra._inverted_blocks"

# --- equations and determinants ------------------------------------------------------------------------

_RULE = "linear_algebra.cofactor.vjp"
_RULE = "linear_algebra._cofactors"
accept("of no matrix nothing is computed, or set", _RULE, "if zero.any():", "if True:")
_SINGULAR = "c[zero] = orientation * (U * product_of_others(s, -1)[..., None, :] @ Vh)"
accept("a mask leaves one axis of matrices, so that the last one of their values is number 1", _RULE, _SINGULAR,
       _SINGULAR.replace("(s, -1)", "(s, 1)"))  # fmt: skip
_REGULAR = "regular = np.where(zero[..., None, None], np.eye(a.shape[-1], dtype=a.dtype), a)"
accept(_SQUARE, _RULE, _REGULAR, _REGULAR.replace("[-1]", "[-2]"))
accept(_ORDER, _RULE, "zero = np.equal(y, 0)", "zero = np.equal(0, y)")
accept("a zero of the other sign", "linear_algebra.slogdet.vjp", "np.zeros((*g[0].shape, *a.shape[-2:]), a.dtype)",
       "-np.zeros((*g[0].shape, *a.shape[-2:]), a.dtype)")  # fmt: skip

# --- norms ---------------------------------------------------------------------------------------------

_RULE = "norms.power_norm.vjp"

# --- cumulative products -------------------------------------------------------------------------------

accept(_REST, "reductions.cumprod.vjp", "x, axis = (x.reshape(-1), 0)", "x, axis = (x.reshape(-2), 0)")
_RULE = "reductions.cumprod.vjp_on_tensors"
accept("it meets the last factor, a 0, or is cut off", "reductions._recurrence",
       "nothing = np.zeros((*b.shape[:-1], 1), b.dtype)", "nothing = np.ones((*b.shape[:-1], 1), b.dtype)")  # fmt: skip

# --- sorting -------------------------------------------------------------------------------------------

accept(
    _REST, "reductions.sort.vjp", "entries, axis = (entries.reshape(-1), 0)", "entries, axis = (entries.reshape(-2), 0)"
)
_RULE = "reductions._stable_rows"

# --- normalisations ------------------------------------------------------------------------------------

accept("the type of one array is its own", "normalization._computed",
       "wide = np.result_type(single(x), *map(single, given)) if given else single(x).dtype",
       "wide = np.result_type(single(x), *map(single, given))")  # fmt: skip
_RULE = "normalization.batch_norm.vjp_on_tensors"
_RULE = "normalization._standardised"
for _rule, _part, _other in (
    ("_as_rows", "x = x if axes == last else np.moveaxis(x, axes, last)", "x = np.moveaxis(x, axes, last)"),
    ("_from_rows", "return turned if axes == last else np.moveaxis(turned, last, axes)",
     "return np.moveaxis(turned, last, axes)"),
):  # fmt: skip
    accept("axes that are moved to where they are", f"normalization.{_rule}", _part, _other)
    accept("axes that are moved to where they are, since no range is a tuple", f"normalization.{_rule}",
           "last = tuple(range(-len(axes), 0))", "last = range(-len(axes), 0)")  # fmt: skip
_KEPT = "kept = tuple((n for i, n in enumerate(x.shape, -x.ndim) if i not in axes))"
accept("a generator is unpacked as a tuple is", "normalization._from_rows", _KEPT,
       _KEPT.replace("tuple((", "(").replace("))", ")"))  # fmt: skip
_CALL = "return _pull_normalised_rows(g, (*needs, {}), x, weight, statistics, axes, centred=False)[:2]"

# --- standardised arrays -------------------------------------------------------------------------------

_SLOWER = "in double precision throughout: slower, and no less exact"
_RULE = "standardising._underflow"
_SMALL = "return statistics.scale.dtype == np.float32 and bool(statistics.scale.min(initial=1) < _LEAST)"
accept(_SLOWER, _RULE, _SMALL, "return statistics.scale.dtype == np.float32", _SMALL.replace("initial=1", "initial=0"))
accept("NumPy's truth is as good as Python's", _RULE, _SMALL,
       _SMALL.replace("bool(", "").replace("_LEAST)", "_LEAST"))  # fmt: skip
accept("exact either way at the bound, and no scale is no small one", _RULE, _SMALL, _SMALL.replace("< ", "<= "),
       _SMALL.replace("initial=1", "initial=2"))  # fmt: skip

_STEP = "return max(1, _BLOCK // max(size, 1))"
accept(PIECES, "standardising._step", _STEP, "return 1", _STEP.replace("max(1, _", "max(2, _"),
       _STEP.replace("//", "*"), "return max(1, _BLOCK)", "return max(1, max(size, 1))",
       _STEP.replace("size, 1", "size, 2"))  # fmt: skip
_EMPTY = "return np.empty((min(len(x), _step(x.shape[1])), x.shape[1]), x.dtype)"

_RULE = "standardising.pull_rows"
accept(_UNASKED, _RULE, "if needs[0] or needs[1]:", "if True:", "if True or needs[1]:", "if needs[0] or True:")
accept(_WHOLE, _RULE, "d = x[block] - c[:, None] if c.any() else x[block]", "d = x[block] - c[:, None]")
_TOTAL = "total = u @ weight / count if centred else np.zeros_like(s)"
accept("it is multiplied by 0", _RULE, _TOTAL, _TOTAL.replace("zeros_like", "ones_like"))

_RULE = "standardising.pull_groups"
_SAMPLES = "for block in _blocks(N, C * L):"
accept(PIECES, _RULE, _SAMPLES, *(_SAMPLES.replace("C * L", of) for of in ("-(C * L)", "C + L", "C", "L")))
_ALONG = "along = r * (np.vecdot(u, d) - s * total) if needs[0] or needs[1] else total"
accept(_UNASKED, _RULE, _ALONG, _ALONG.partition(" if ")[0], _ALONG.replace("needs[0]", "True"),
       _ALONG.replace("needs[1]", "True"))  # fmt: skip
accept(_ORDER, _RULE, _ALONG, _ALONG.replace("u, d", "d, u"))
accept(_WHOLE, _RULE, "d = d - c[..., None] if c.any() else d", "d = d - c[..., None]")

_RULE = "standardising.pull_channels"
_ANY_OTHER = "if any(needs[1:]) or not given:"
accept(_UNASKED, _RULE, _ANY_OTHER, "if True:", "if needs[1:] or not given:", "if any(needs[:]) or not given:",
       "if any(needs[0:]) or not given:")  # fmt: skip
_ALONG = "along[block] = r * (_channel_products(u, d) - s * total[block])"
accept(_ORDER, _RULE, _ALONG, _ALONG.replace("u, d", "d, u"))
accept(_WHOLE, _RULE, "d = x[:, block] - c[:, None] if c.any() else x[:, block]", "d = x[:, block] - c[:, None]")
accept("all of them are written, or nobody takes one", _RULE, "total, along = np.zeros((2, C), x.dtype)",
       "total, along = np.ones((2, C), x.dtype)")  # fmt: skip
_BY_SIZE = "return _blocks(x.shape[1], len(x) * x.shape[2] // 4)"
accept(PIECES, "standardising._channel_blocks", _BY_SIZE, _BY_SIZE.replace("//", "*"),
       *(_BY_SIZE.replace("len(x) * x.shape[2] // 4", of) for of in (
           "len(x) * x.shape[2]", "4", "-(len(x) * x.shape[2]) // 4", "(len(x) + x.shape[2]) // 4", "len(x) // 4",
           "x.shape[2] // 4", "len(x) * x.shape[2] // 5", "len(x) * x.shape[2] // 3", "len(x) * x.shape[1] // 4",
       )))  # fmt: skip
_SAME = "chooses between two ways to the same sums"
_PRODUCTS = "return block_sum(np.vecdot(a, b), 0) if a.shape[2] >= _LONG else _channel_sums(a * b)"
accept(_SAME, "standardising._channel_products", _PRODUCTS, "return block_sum(np.vecdot(a, b), 0)",
       "return _channel_sums(a * b)", _PRODUCTS.replace(">=", ">"),
       _PRODUCTS.replace("a.shape[2]", "a.shape[1]"))  # fmt: skip
accept(_ORDER, "standardising._channel_products", _PRODUCTS, _PRODUCTS.replace("(a, b)", "(b, a)"))
_LONG_ONES = "if x.shape[2] >= _LONG:"
accept(_SAME, "standardising._channel_sums", _LONG_ONES, "if True:", "if False:", _LONG_ONES.replace(">=", ">"),
       _LONG_ONES.replace("[2]", "[1]"))  # fmt: skip
accept("sums over the first axis, whatever the others are", "standardising._channel_sums",
       "return block_sum(_rows(x), 0).reshape(x.shape[1:]).sum(1)",
       "return block_sum(x, 0).reshape(x.shape[1:]).sum(1)")  # fmt: skip
accept("NumPy's decomposition takes tensors, too", "linear_algebra.det.vjp",
       "s = np.linalg.svd(plain(a), compute_uv=False)", "s = np.linalg.svd(a, compute_uv=False)")  # fmt: skip
