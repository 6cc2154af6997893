"""Judged equivalent: changes of rules of attention, pooling, and of many cotangents at once."""

from .reasons import ANY, CAST, GENERAL, PIECES, accept

_WIDENED = "NumPy widens it as it meets what is wide"

# --- attention -----------------------------------------------------------------------------------------

_PULL = "attentions._pull_additive"
accept("the engine sums the axes that are left", _PULL,
       "sum_single(ds * y, tuple(range(many, ds.ndim - 1))) if needs[5] else None", ANY)  # fmt: skip
for _before, _after in (
    ("dv = none if g_values is None else _turned(single(p)) @ single(g_values)", "_turned(p) @ single(g_values)"),
    ("dv = none if g_values is None else _turned(single(p)) @ single(g_values)", "_turned(single(p)) @ g_values"),
    ("dp = 0 if g_values is None else single(g_values) @ _turned(v)", "g_values @ _turned(v)"),
    ("dp = dp if g_weights is None else dp + single(g_weights)", "dp + g_weights"),
):
    accept(_WIDENED, _PULL, _before, _before.partition(" else ")[0] + " else " + _after)
accept(_WIDENED, _PULL, "ds = np.expand_dims(_pull_softmax(dp, single(p)), -1)",
       "ds = np.expand_dims(_pull_softmax(dp, p), -1)")  # fmt: skip
accept("the rule of a softmax forgets what is the same for all", _PULL,
       "dp = 0 if g_values is None else single(g_values) @ _turned(v)",
       "dp = 1 if g_values is None else single(g_values) @ _turned(v)")  # fmt: skip
accept("zeros, of which the engine sums the axes that are too many", _PULL,
       "none = np.zeros((*dp.shape[:many], *v.shape), v.dtype)",
       "none = np.zeros((*dp.shape[:], *v.shape), v.dtype)")  # fmt: skip
accept(CAST, "attentions.attention.vjp", "arriving = problems.joined(g.astype(out.dtype, copy=False))",
       "arriving = problems.joined(g)")  # fmt: skip
accept("the rest is computed, and left", "scores.attend_back", "if dq is None and dk is None:", "if False:")
_MEMORY = "in memory of its own"
accept(_MEMORY, "scores._products", "return np.matmul(rows_of[stack, rows], turned[stack, :, :keys], out=out)",
       "return np.matmul(rows_of[stack, rows], turned[stack, :, :keys])")  # fmt: skip
accept(PIECES, "scores._in_blocks",
       "parts = split(B, min(B, get_num_threads() if B * T * S > _LARGEST else 1))", ANY)  # fmt: skip
_HIDING = "if self.causal and rows.start < scores.shape[2] - 1:"
accept("hides nothing more", "scores.Looking.hide", _HIDING, "if self.causal:", _HIDING.replace("<", "<="),
       _HIDING.replace(" - 1", " + 1"), _HIDING.replace(" - 1", ""), _HIDING.replace(" - 1", " - 0"))  # fmt: skip
accept("keys that are hidden anyway", "scores._go_through",
       "work(stack, rows, min(S, rows.stop) if causal else S)", "work(stack, rows, S)",
       "work(stack, rows, S if causal else S)")  # fmt: skip
accept(PIECES, "scores._blocks", "rows = max(1, min(T, _CAUSAL if causal else T, _LARGEST // max(S, 1)))", ANY)
accept(PIECES, "scores._blocks", "together = max(1, _LARGEST // max(rows * S, 1))", ANY)
accept(PIECES, "scores._turned", "if copied:", ANY)
accept(PIECES, "scores._turned", "(B, S, D), copied = (x.shape, 2 * x.shape[2] <= T)", ANY)
accept(GENERAL, "scores._turned", "if not ones and (not copied):", ANY)
accept("gives what nobody takes", "attentions.attention.vjp_on_tensors",
       "ds = scale * _pull_softmax(g @ _turned(v), p) if needs[0] or needs[1] else None",
       "ds = scale * _pull_softmax(g @ _turned(v), p)",
       "ds = scale * _pull_softmax(g @ _turned(v), p) if True or needs[1] else None")  # fmt: skip

# --- pooling ---------------------------------------------------------------------------------------------

accept(GENERAL, "resampling._bin_means", "if size == (1, 1):", ANY)
accept(GENERAL, "resampling._spread_bins", "if g.shape[2:] == (1, 1):", ANY)

accept("as wide as the cotangents that are spread, which are single", "resampling._gather_shares", "u = single(u)",
       "u = u")  # fmt: skip

# --- many cotangents at once, and what tensors are ---------------------------------------------------------

_ONCE = "runs once, as the module is imported: before any change of it"
_LENGTHS = "lengths = (1,) * (g.ndim - 1 - len(shape)) + shape"
_BACK = "_kept(g, axis, keepdims) * _products_by_pairs(rows).reshape(turned).transpose(np.argsort(order).tolist())"
accept(_WIDENED, "copies.pull_weights_of_copies", "each(inputs.unpack, gathered @ widened(Wx).T) if needs[0] else None",
       "each(inputs.unpack, gathered @ Wx.T) if needs[0] else None")  # fmt: skip
accept(_WIDENED, "copies.pull_weights_of_copies", "widened(rows).T @ gathered if needs[2] else None",
       "rows.T @ gathered if needs[2] else None")  # fmt: skip
accept("it is gathered for every row that there is", "copies.pull_weights_of_copies",
       "gathered = dp if inputs.which is None else each(lambda d: inputs.gather(d, rows), dp)",
       "gathered = each(lambda d: inputs.gather(d, rows), dp)")  # fmt: skip
accept("quicker to read", "copies.Copies.part", "return np.ascontiguousarray(apart.swapaxes(0, 1))",
       "return apart.swapaxes(0, 1)")  # fmt: skip
accept("a negative size of reshape is found from the others", "copies.Copies._layouts",
       "sizes = [(step, step.stop - step.start) for step in self.steps]",
       "sizes = [(step, -(step.stop - step.start)) for step in self.steps]")  # fmt: skip
accept(_MEMORY, "cells.gru_states_vjp", "da_z *= np.subtract(h, n, out=r)", "da_z *= np.subtract(h, n)")

# --- recurrent layers --------------------------------------------------------------------------------------

_IN_VAIN = "gives what nobody takes"
for _before in (
    "each(inputs.unpack, gathered @ widened(Wx).T) if needs[0] else None",
    "widened(rows).T @ gathered if needs[2] else None",
    "block_sum(gathered, 1) if needs[4] else None",
):
    accept(_IN_VAIN, "copies.pull_weights_of_copies", _before, _before.partition(" if needs")[0] + " if True else None")
_OTHER_WAY = "the sum of two is that of the other two"
for _before, _after in (
    ("dh0 = added(dh0, unsorted(packing, g_first)) if needs[1] else None",
     "dh0 = added(unsorted(packing, g_first), dh0) if needs[1] else None"),
    ("dp = _of_input(da, added(k_n * total, to_n))", "dp = _of_input(da, added(to_n, k_n * total))"),
    ("arriving = added(packed(packing, g), g_states)", "arriving = added(g_states, packed(packing, g))"),
):  # fmt: skip
    accept(_OTHER_WAY, "recurrent_gru.gru.vjp_on_tensors", _before, _after)
accept("only the first two are read", "recurrent_gru._from_gates", "u, m, n = (gates[:2], gates[2], gates[3])",
       "u, m, n = (gates[:], gates[2], gates[3])")  # fmt: skip

# --- losses, sums and loops of several reasons --------------------------------------------------------------

accept(GENERAL, "numerics.row_sums", "if not last or not isinstance(x, np.ndarray) or x.shape[-1] > _LONGEST:", ANY)
accept(GENERAL, "numerics.row_sums", "last = x.ndim > 0 and axis in (-1, x.ndim - 1)", ANY)
_COMMUTES = "it does not matter which comes first"
_HIDDEN = "hidden = np.where(np.any(allowed, axis=-1, keepdims=True), -np.inf, 0).astype(scores.dtype)"
accept(_COMMUTES, "attentions.with_causal", "return earlier if mask is None else np.logical_and(earlier, mask)",
       "return earlier if mask is None else np.logical_and(mask, earlier)")  # fmt: skip
accept(CAST, "attentions.weights_of", _HIDDEN, _HIDDEN.removesuffix(".astype(scores.dtype)"))
accept("a softmax of equal scores, which is masked", "attentions.weights_of", _HIDDEN, _HIDDEN.replace("0)", "1)"))
accept("gives what nobody takes", "attentions.attention.vjp_on_tensors",
       "ds = scale * _pull_softmax(g @ _turned(v), p) if needs[0] or needs[1] else None",
       "ds = scale * _pull_softmax(g @ _turned(v), p) if needs[0] or True else None")  # fmt: skip
_LOGITS = "(pos_weight * np.logaddexp(0, -x) - np.logaddexp(0, x)) * g if needs[1] else None"
accept(_WIDENED, "losses.kl_div.vjp",
       "q, difference, none = _compared(single(log_prediction), single(target), log_target)",
       "q, difference, none = _compared(log_prediction, single(target), log_target)")  # fmt: skip
_ZERO = "stands where q is 0, with which it is multiplied"
accept(_ZERO, "losses._compared", "log_q - np.where(none, 0, log_p)", "log_q - np.where(none, 1, log_p)")
accept(_ZERO, "losses._compared", "safe = np.where(none, 0 if log_target else 1, target)",
       "safe = np.where(none, 1, target)", "safe = np.where(none, 1 if log_target else 1, target)",
       "safe = np.where(none, 0 if log_target else 2, target)")  # fmt: skip
accept("a comparison of tensors gives an array", "losses._compared",
       "none = plain(target) == (-np.inf if log_target else 0)",
       "none = target == (-np.inf if log_target else 0)")  # fmt: skip
_PRODUCTS = ("dx, dWx, dWh = products((gathered, Wx.T) if needs[0] else None, "
             "(rows.T, gathered) if needs[2] else None, "
             "(packing.states_before(h0, h).T, da) if needs[3] else None)")  # fmt: skip
accept("the primitive gives it to nobody who does not need it", "sequences.pull_weights", _PRODUCTS,
       _PRODUCTS.replace("needs[0]", "True"))  # fmt: skip
accept("all groups step by step give the same", "sequences.run_back", "if observer is None or not observer.stepwise:",
       "if observer is None:")  # fmt: skip
_MEMORY_OF_STEPS = "memory = np.empty((group.alive[0] if group.steps else 0, G), h.dtype) if kept is None else kept"
accept("memory that is not used", "sequences.run", _MEMORY_OF_STEPS, _MEMORY_OF_STEPS.replace("else 0", "else 1"),
       _MEMORY_OF_STEPS.removesuffix(" if kept is None else kept"))  # fmt: skip
accept("what is written where it belongs need not be copied there, and may be", "sequences.run_back",
       "cotangent = target if target.flags.c_contiguous else np.empty(target.shape, dtype)", "cotangent = target",
       "cotangent = np.empty(target.shape, dtype)")  # fmt: skip
accept("it is copied onto itself", "sequences.run_back", "if cotangent is not target:", "if True:")
accept("of many steps at once or step by step, it is the same", "recurrent_lstm._pull_lstm",
       "if g_gates is None and packing.widest * c.shape[1] <= _FEW and (6 * c.size <= _SLOPES):", ANY)  # fmt: skip
accept("what is kept nobody takes", "recurrent_lstm._pull_lstm",
       "first, da, _ = pull(packing, Wh, slopes, outside, keep=False)",
       "first, da, _ = pull(packing, Wh, slopes, outside)",
       "first, da, _ = pull(packing, Wh, slopes, outside, keep=True)")  # fmt: skip
accept("memory that is not used", "slopes.pull",
       "totals = [np.empty((len(slopes), H), slopes.dtype) for _ in outside] if keep else []",
       "totals = [np.empty((len(slopes), H), slopes.dtype) for _ in outside]")  # fmt: skip
accept(PIECES, "slopes.lstm_slopes", "for rows, n in packing.stretches(_IN_CACHE // H):", ANY)
_STEPS = "return kept[rows].reshape(-1, kept.shape[1] // H, n, H).swapaxes(0, 1)"
accept(
    "each entry is computed by itself, wherever it lies", "slopes.of_steps", _STEPS, _STEPS.replace("n, H)", "H, n)")
)
accept("a negative size of reshape is found from the others", "slopes.of_steps", _STEPS, _STEPS.replace("-1", "-2"))
_PARTED = "g[:, step] = values.reshape(apart).reshape(self.R, step.stop - step.start, joined.shape[1])"
accept("a negative size of reshape is found from the others", "copies.Copies._layouts",
       "sizes = [(step, step.stop - step.start) for step in self.steps]",
       "sizes = [(step, step.start - step.stop) for step in self.steps]")  # fmt: skip
accept("a negative size of reshape is found from the others", "copies.Copies.part_steps", _PARTED,
       _PARTED.replace("step.stop - step.start", "step.start - step.stop"))  # fmt: skip
accept("a reshape behind a reshape", "copies.Copies.part_steps", _PARTED, _PARTED.replace(".reshape(apart)", ""))
