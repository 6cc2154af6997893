"""Judged equivalent: changes of rules of attention, pooling, and of many cotangents at once."""

from .reasons import ANY, CAST, GENERAL, PIECES, accept

_WIDENED = "NumPy widens it as it meets what is wide"

# --- attention -----------------------------------------------------------------------------------------

_PULL = "attentions._pull_additive"
accept("the rest is computed, and left", "scores.attend_back", "if dq is None and dk is None:", "if False:")
_MEMORY = "in memory of its own"
accept(_MEMORY, "scores._products", "return np.matmul(rows_of[stack, rows], turned[stack, :, :keys], out=out)",
       "return np.matmul(rows_of[stack, rows], turned[stack, :, :keys])")  # fmt: skip
accept(PIECES, "scores._in_blocks",
       "parts = split(B, min(B, get_num_threads() if B * T * S > _LARGEST else 1))", ANY)  # fmt: skip
_HIDING = "if self.causal and rows.start < scores.shape[2] - 1:"
accept("hides nothing more", "scores.Looking.hide", _HIDING, "if self.causal:", _HIDING.replace("<", "<="),
       _HIDING.replace(" - 1", " + 1"), _HIDING.replace(" - 1", ""), _HIDING.replace(" - 1", " - 0"))  # fmt: skip
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

accept(_MEMORY, "recurrent_gru.gru_states_vjp", "da_z *= np.subtract(h, n, out=r)", "da_z *= np.subtract(h, n)")

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
