"""Multi-head attention and the transformer encoder. All are batch first: N batch, T and S steps, E features.

A boolean mask is true where a query may attend, as for :func:`minigrad.ops.attention`; **masks of PyTorch's module are
the opposite**, true where it may not. Both add a floating mask to the scores. Names of arguments and parameters are
PyTorch's. Matrices are (in, out) as in ``Linear``, the transpose of PyTorch's: ``in_proj_weight`` (E, 3 E),
``q_proj_weight`` (E, E), ``k_proj_weight`` (kdim, E), ``v_proj_weight`` (vdim, E), ``out_proj.weight`` (E, E),
``linear1.weight`` and ``linear2.weight``. Biases and norms are the same.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from .. import ops
from ..core import Tensor, plain
from ..ops.attentions import check_attention, check_causal, refuse_misfit, weights_of, with_causal
from ..ops.kernels.numerics import single
from ..rng import generator
from . import init
from .containers import ModuleList
from .layers import Dropout, Linear, positive, probability
from .module import Module, Parameter
from .normalization import LayerNorm

__all__ = ["MultiHeadAttention", "TransformerEncoder", "TransformerEncoderLayer"]


class MultiHeadAttention(Module):
    """Multi-head attention, in which each head uses its share of the features: (…, T, E) -> (…, T, E).

    Queries, keys and values are projected to E features. Each of ``num_heads`` heads uses E / num_heads of them, and
    a last projection combines their outputs. Source: A. Vaswani et al., Attention is all you need (2017).

    ``in_proj_weight`` (E, 3 E) projects to queries, keys and values. With ``kdim`` or ``vdim`` there are
    ``q_proj_weight`` (E, E), ``k_proj_weight`` (kdim, E) and ``v_proj_weight`` (vdim, E) instead; the unused ones are
    None. They start as ``xavier_uniform``, biases at 0 and ``out_proj.weight`` as in ``Linear``, as in PyTorch.
    ``in_proj_bias`` (3 E,) and ``out_proj.bias`` are None without ``bias``.

    Without dropout and ``need_weights``, the attention weights are never all in memory
    (:func:`minigrad.ops.attention`). Dropout applies to these weights, so in training it needs them in memory.

    Args:
        embed_dim: E. num_heads: the number of heads, which must divide E.
        dropout: the probability that an attention weight is 0 in training, in [0, 1).
        kdim, vdim: the numbers of features of keys and of values; E by default.
        rng: a generator or seed, used for the initial weights and later for dropout; by default that of the library.

    Raises:
        ValueError: if a size is not positive, ``num_heads`` does not divide E, or dropout is not in [0, 1); in a call,
            if the shapes do not fit.
        TypeError: in a call, if the mask is tracked, or neither boolean nor floating, or causal is not boolean.

    >>> attend, x = MultiHeadAttention(4, num_heads=2, rng=0), np.ones((1, 3, 4), np.float32)
    >>> y, weights = attend(x, causal=True, need_weights=True)
    >>> y.shape, weights[0, 0]
    ((1, 3, 4), tensor([[1.        , 0.        , 0.        ],
            [0.5       , 0.5       , 0.        ],
            [0.33333334, 0.33333334, 0.33333334]], primitive=getitem))
    >>> keep = np.array([[True, True, False]])  # (N, S), false where a sequence is padded
    >>> attend(x, mask=keep[:, None, :], need_weights=True)[1][0, 0, 0]
    tensor([0.5, 0.5, 0. ], primitive=getitem)
    """

    def __init__(
        self, embed_dim: int, num_heads: int, dropout: float = 0.0, bias: bool = True, *,
        kdim: int | None = None, vdim: int | None = None, dtype: Any = None, rng: Any = None,
    ) -> None:  # fmt: skip
        kdim, vdim = (embed_dim if size is None else size for size in (kdim, vdim))
        positive("MultiHeadAttention", embed_dim=embed_dim, num_heads=num_heads, kdim=kdim, vdim=vdim)
        if embed_dim % num_heads:
            raise ValueError(f"MultiHeadAttention: num_heads ({num_heads}) must divide embed_dim ({embed_dim})")
        rng = None if rng is None else generator(rng)
        self.embed_dim, self.num_heads, self.kdim, self.vdim = embed_dim, num_heads, kdim, vdim
        self.dropout, self.rng = probability("MultiHeadAttention: dropout", dropout), rng
        together = kdim == vdim == embed_dim

        def weight(wanted: bool, inputs: int, outputs: int) -> Parameter | None:
            return Parameter(init.xavier_uniform((inputs, outputs), dtype=dtype, rng=rng)) if wanted else None

        self.in_proj_weight = weight(together, embed_dim, 3 * embed_dim)
        self.q_proj_weight = weight(not together, embed_dim, embed_dim)
        self.k_proj_weight = weight(not together, kdim, embed_dim)
        self.v_proj_weight = weight(not together, vdim, embed_dim)
        self.in_proj_bias = Parameter(init.zeros(3 * embed_dim, dtype)) if bias else None
        self.out_proj = Linear(embed_dim, embed_dim, bias, dtype=dtype, rng=rng)
        if self.out_proj.bias is not None:
            self.out_proj.bias.data[...] = 0

    def forward(
        self, query: Any, key: Any = None, value: Any = None, mask: Any = None, causal: bool = False,
        need_weights: bool = False,
    ) -> Any:  # fmt: skip
        """Return the attention output, or a pair of it and the weights with ``need_weights``.

        Args:
            query: (…, T, E). key: (…, S, kdim), by default the query. value: (…, S, vdim), by default the key.
            mask: booleans, true where a query may attend (PyTorch's are true where it may not), or floats that are
                added to the scores, -inf where it may not (as in PyTorch); a constant. It broadcasts to (…, T, S), or
                to (…, num_heads, T, S) if it has more axes than query, key and value. Pass a padding mask ``keep``
                (N, S) as ``keep[:, None, :]``: without the query axis it would silently be taken for (T, S) if N
                equals T. For ``lengths`` (N,), ``keep`` is ``np.arange(S) < lengths[:, None]``.
            causal: whether query t may attend only to the keys 0 … t.

        Returns:
            (…, T, E). The weights are (…, num_heads, T, S), after dropout. (PyTorch returns their mean over the heads,
            ``weights.mean(axis=-3)``.) The result of a query without allowed keys is 0, before ``out_proj``.
        """
        key = query if key is None else key
        value = key if value is None else value
        for name, x, size in (("query", query, self.embed_dim), ("key", key, self.kdim), ("value", value, self.vdim)):
            shape = np.shape(plain(x))
            if len(shape) < 2 or shape[-1] != size:
                raise ValueError(f"MultiHeadAttention: {name} must be (…, steps, {size}), not {shape}")
        if mask is not None:
            if isinstance(mask, Tensor) and mask.requires_grad:
                raise TypeError("MultiHeadAttention: no gradient flows through mask. Pass mask.detach().")
            mask = mask if isinstance(mask, Tensor) else np.asanyarray(mask)  # keeps a masked array, to refuse it
            refuse_misfit("MultiHeadAttention: mask", mask, np.shape(plain(query))[:-1], np.shape(plain(key))[-2])
            if mask.ndim <= max(map(np.ndim, (query, key, value))):
                mask = ops.expand_dims(mask, -3)  # by a primitive, so that a mask can be an input of an ONNX file
        q, k, v = self._projected(query, key, value)
        weights, p = None, self.dropout if self.training else 0
        if p or need_weights:
            y, weights = _with_weights(q, k, v, mask, causal, p, self.rng)
        else:
            y = ops.attention(q, k, v, mask, causal)
        y = ops.swapaxes(y, -3, -2)
        y = self.out_proj(ops.reshape(y, (*y.shape[:-2], self.embed_dim)))
        return (y, weights) if need_weights else y

    def _projected(self, query: Any, key: Any, value: Any) -> Any:
        """Return queries, keys and values of all heads, from one product if all have the same input."""
        W, b = self.in_proj_weight, self.in_proj_bias
        if W is not None and query is key is value:
            return ops.split(self._in_heads(ops.affine(query, W, b)), 3, -3)
        Ws = (self.q_proj_weight, self.k_proj_weight, self.v_proj_weight) if W is None else ops.split(W, 3, -1)
        bs = (None,) * 3 if b is None else ops.split(b, 3)
        return map(self._in_heads, map(ops.affine, (query, key, value), Ws, bs))

    def _in_heads(self, x: Any) -> Any:
        """Return (…, T, features) as (…, heads, T, E / num_heads), a view."""
        size = self.embed_dim // self.num_heads
        return ops.swapaxes(ops.reshape(x, (*x.shape[:-1], x.shape[-1] // size, size)), -3, -2)

    def extra_repr(self) -> str:
        others = "".join(f", {n}={getattr(self, n)}" for n in ("kdim", "vdim") if getattr(self, n) != self.embed_dim)
        return f"{self.embed_dim}, {self.num_heads}, bias={self.in_proj_bias is not None}{others}"


def _with_weights(
    q: Tensor, k: Tensor, v: Tensor, mask: Any, causal: bool, dropout: float, rng: Any
) -> tuple[Tensor, Tensor]:
    """Return :func:`minigrad.ops.attention` and its weights (…, T, S) after dropout, which stay in memory."""
    check_attention(q.data, k.data, v.data, mask)
    check_causal(causal)
    dtype = np.result_type(q.dtype, k.dtype, v.dtype)
    q, k, v = map(single, (q, k, v))
    scores = q / math.sqrt(max(q.shape[-1], 1)) @ ops.swapaxes(k, -1, -2)
    weights = weights_of(scores, with_causal(mask, causal, q.shape[-2], k.shape[-2]))
    weights = ops.dropout(weights, dropout, True, rng)
    return (weights @ v).astype(dtype), weights.astype(dtype)


_ACTIVATIONS: dict[str, Callable[[Any], Tensor]] = {"relu": ops.relu, "gelu": ops.gelu}


class TransformerEncoderLayer(Module):
    """Self-attention, then a feed-forward network for each step, each added to its input: (…, T, E) -> the same.

    With a(x) = ``self_attn`` and f(x) = ``linear2(activation(linear1(x)))``, both followed by dropout:
    y = norm1(x + a(x)), then norm2(y + f(y)) (A. Vaswani et al., Attention is all you need, 2017); with ``norm_first``
    y = x + a(norm1(x)), then y + f(norm2(y)), which trains deep stacks without a warm-up (R. Xiong et al., On layer
    normalization in the transformer architecture, 2020).

    Args:
        d_model: E. nhead: the number of heads, which must divide E. dim_feedforward: the width of the network.
        dropout: the dropout rate of the attention weights, inside the network, and of the results of both; in training
            only.
        activation: 'relu', 'gelu', or a function or module that maps a tensor to a tensor.
        layer_norm_eps: the ``eps`` of ``norm1`` and ``norm2``.
        bias: whether projections and norms have a bias.
        rng: a generator or seed, used for the initial weights and later for dropout; by default that of the library.

    Raises:
        ValueError: if a size is not positive, ``nhead`` does not divide E, dropout is not in [0, 1), or the activation
            is unknown; in a call, if the shapes do not fit.

    >>> layer, x = TransformerEncoderLayer(8, 2, 16), np.zeros((4, 5, 8), np.float32)
    >>> keep = np.arange(5) < np.array([5, 2, 3, 1])[:, None]  # (N, T), false where a sequence is padded
    >>> layer(x, mask=keep[:, None, :]).shape
    (4, 5, 8)
    """

    def __init__(
        self, d_model: int, nhead: int, dim_feedforward: int = 2048, dropout: float = 0.1,
        activation: str | Callable[[Any], Any] = "relu", layer_norm_eps: float = 1e-5, *,
        norm_first: bool = False, bias: bool = True, dtype: Any = None, rng: Any = None,
    ) -> None:  # fmt: skip
        positive("TransformerEncoderLayer", d_model=d_model, nhead=nhead, dim_feedforward=dim_feedforward)
        if not callable(activation) and not (isinstance(activation, str) and activation in _ACTIVATIONS):
            known = ", ".join(map(repr, _ACTIVATIONS))
            raise ValueError(f"TransformerEncoderLayer: activation must be {known} or a function, not {activation!r}")
        rng = None if rng is None else generator(rng)
        shared: dict[str, Any] = {"dtype": dtype, "rng": rng}
        self.self_attn = MultiHeadAttention(d_model, nhead, dropout, bias, **shared)
        self.linear1 = Linear(d_model, dim_feedforward, bias, **shared)
        self.dropout = Dropout(dropout, rng=rng)
        self.linear2 = Linear(dim_feedforward, d_model, bias, **shared)
        self.norm1 = LayerNorm(d_model, layer_norm_eps, bias=bias, dtype=dtype)
        self.norm2 = LayerNorm(d_model, layer_norm_eps, bias=bias, dtype=dtype)
        self.dropout1, self.dropout2 = Dropout(dropout, rng=rng), Dropout(dropout, rng=rng)
        self.activation, self.norm_first = activation, norm_first

    def forward(self, x: Any, mask: Any = None, causal: bool = False) -> Tensor:
        """(…, T, E) -> (…, T, E). ``mask`` and ``causal`` restrict attention, see :class:`MultiHeadAttention`."""
        if self.norm_first:
            x = x + self.dropout1(self.self_attn(self.norm1(x), mask=mask, causal=causal))
            return x + self._fed_forward(self.norm2(x))  # type: ignore[no-any-return]
        x = self.norm1(x + self.dropout1(self.self_attn(x, mask=mask, causal=causal)))
        return self.norm2(x + self._fed_forward(x))  # type: ignore[no-any-return]

    def _fed_forward(self, x: Any) -> Any:
        activation = self.activation if callable(self.activation) else _ACTIVATIONS[self.activation]
        return self.dropout2(self.linear2(self.dropout(activation(self.linear1(x)))))

    def extra_repr(self) -> str:
        return f"norm_first={self.norm_first}"


class TransformerEncoder(Module):
    """A stack of encoder layers, followed by an optional norm: (…, T, E) -> the same.

    Args:
        layers: the layers, or a function that creates one layer and is called ``num_layers`` times. (PyTorch copies one
            layer, so that all start with the same weights.)
        num_layers: the number of layers; only for a function.
        norm: a module that normalises the result (with ``norm_first``, no layer has done so), or None.

    Raises:
        TypeError: if ``layers`` is another module or contains something else, or if it is not a function and
            ``num_layers`` is given.
        ValueError: if ``layers`` is a function and ``num_layers`` is missing or not positive.

    >>> rng = np.random.default_rng(0)
    >>> encoder = TransformerEncoder(lambda: TransformerEncoderLayer(8, 2, 16, rng=rng), 6)
    >>> encoder(np.zeros((4, 5, 8), np.float32), causal=True).shape
    (4, 5, 8)
    """

    def __init__(
        self, layers: Callable[[], Module] | Iterable[Module], num_layers: int | None = None, norm: Module | None = None
    ) -> None:
        if isinstance(layers, Module) and not isinstance(layers, ModuleList):
            raise TypeError("TransformerEncoder: pass a list of layers, or a function that creates one, not a module")
        if callable(layers) and not isinstance(layers, ModuleList):
            positive("TransformerEncoder", num_layers=num_layers)
            layers = [layers() for _ in range(num_layers or 0)]
        elif num_layers is not None:
            raise TypeError("TransformerEncoder: pass num_layers only with a function that creates a layer")
        self.layers = ModuleList(layers)
        self.norm = norm

    def forward(self, x: Any, mask: Any = None, causal: bool = False) -> Any:
        """(…, T, E) -> (…, T, E). ``mask`` and ``causal`` apply to all layers."""
        for layer in self.layers:
            x = layer(x, mask=mask, causal=causal)
        return x if self.norm is None else self.norm(x)
