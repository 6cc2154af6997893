"""PyTorch's own samples of its operations: minigrad gives the same outputs and gradients.

PyTorch lists inputs to test each of its operations on. Here the same inputs, in float64, go through minigrad as well.

- `SAME` and `COUNTERPARTS` say what computes each operation in minigrad.
- `CONVENTIONS` compares results that PyTorch defines differently, in a form that does not depend on the definition.
- `DIFFERENT` lists gradients that do differ, and says why.
- `REFUSED` lists inputs for which minigrad raises an error. Counterparts raise `MissingOptionError` for an option that
  minigrad does not have.

A test prints how many samples it compared, and why it left out the others. To read it, run
``pytest -rP tests/test_torch_samples.py``.
"""

from __future__ import annotations

import functools
import importlib.util
import math
import operator
import random
import re
import warnings
from collections import Counter
from typing import Any

import numpy as np
import pytest
from numpy.lib.array_utils import normalize_axis_index

import minigrad as mg
from minigrad.backward import reverse_pass, seed_of
from minigrad.core import Tensor
from tests.checks import frozen, leaf
from tests.peers import cotangent, pytorch


@pytest.fixture(autouse=True)
def needs_pytorch():
    if pytorch() is None or importlib.util.find_spec("expecttest") is None:
        pytest.skip("no PyTorch: torch, or expecttest, which its samples import, is not installed")


class MissingOptionError(Exception):
    """A counterpart does not have an option that a sample sets."""


def lacks(**options: Any) -> None:
    """Raise `MissingOptionError` if an option is set."""
    if given := [name.replace("_", " ") for name, value in options.items() if value]:
        raise MissingOptionError(" and ".join(given))


# --- counterparts: the arguments are PyTorch's, in its order ---------------------------------------------------------


def renamed(function):
    """Take PyTorch's names of axes."""
    names = {"dim": "axis", "dims": "axis", "keepdim": "keepdims"}

    def call(*args, **options):
        lacks(dtype=options.pop("dtype", None))
        return function(*args, **{names.get(name, name): value for name, value in options.items()})

    return call


def plain(option):
    """Turn a tuple of one into a number."""
    return option[0] if isinstance(option, (tuple, list)) and len(option) == 1 else option


def batched(function, axes):
    """Accept a batch, or a single image or sequence with `axes` axes."""

    def call(x, *args, **options):
        options = {name: plain(option) for name, option in options.items()}
        return function(x, *args, **options) if x.ndim > axes else function(x[None], *args, **options)[0]

    return call


def pool(function, axes):
    def call(x, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, divisor_override=None,
             dilation=1, return_indices=False):  # fmt: skip
        lacks(ceil_mode=ceil_mode, divisor_override=divisor_override, dilation=np.max(dilation) > 1)
        lacks(return_indices=return_indices, count_include_pad_off=not count_include_pad and np.max(padding))
        if axes == 2:
            return batched(function, 3)(x, kernel_size, stride or None, padding)
        sizes = [(1, plain(kernel_size)), (1, plain(stride or kernel_size)), (0, plain(padding))]
        return batched(lambda x: function(x[..., None, :], *sizes)[..., 0, :], 2)(x)

    return call


def adaptive_avg_pool(axes):
    def call(x, size):
        sizes = size if isinstance(size, tuple) else (size,) * axes
        sizes = tuple(n if given is None else given for n, given in zip(x.shape[-axes:], sizes, strict=True))
        if axes == 2:
            return batched(mg.adaptive_avg_pool2d, 3)(x, sizes)
        return batched(lambda x: mg.adaptive_avg_pool2d(x[..., None, :], (1, *sizes))[..., 0, :], 2)(x)

    return call


def pad(x, widths, mode="constant", value=None):
    lacks(negative_widths=min(widths, default=0) < 0)
    pairs = list(zip(widths[::2], widths[1::2], strict=True))[::-1]  # PyTorch begins with the last axis
    mode = {"replicate": "edge", "circular": "wrap"}.get(mode, mode)
    return mg.pad(x, [(0, 0)] * (x.ndim - len(pairs)) + pairs, mode, value or 0)


def clamp(x, low=None, high=None):
    """Clip x to bounds that are differentiated, too: the gradient of mg.clip is of x alone."""
    x = x if low is None else mg.maximum(x, low)
    return x if high is None else mg.minimum(x, high)


def classes_last(x):
    return mg.moveaxis(x, 1, -1) if x.ndim > 1 else x


def cross_entropy(x, target, weight=None, reduction="mean", ignore_index=-100, label_smoothing=0.0):
    if target.dtype.kind == "f":
        target, ignore_index = classes_last(target), None
    return mg.cross_entropy(classes_last(x), target, reduction, ignore_index, label_smoothing, weight=weight)


def nll_loss(x, target, weight=None, reduction="mean", ignore_index=-100):
    return mg.nll_loss(classes_last(x), target, reduction, ignore_index, weight=weight)


def batch_norm(x, mean, var, weight=None, bias=None, training=False, momentum=0.1, eps=1e-5):
    return mg.batch_norm(x, weight, bias, *((None, None) if training else (mean, var)), eps=eps)


def instance_norm(x, weight=None, bias=None, use_input_stats=True, eps=1e-5, **running):
    lacks(given_statistics=not use_input_stats)
    return mg.group_norm(x, x.shape[1], weight, bias, eps)


def layer_norm(x, shape, weight=None, bias=None, eps=1e-5):
    return mg.layer_norm(x, weight, bias, tuple(range(-len(shape), 0)), eps)


def rms_norm(x, shape, weight=None, eps=None):
    return mg.rms_norm(x, weight, tuple(range(-len(shape), 0)), np.finfo(x.dtype).eps if eps is None else eps)


def attention(q, k, v, attn_mask=None, dropout_p=0.0, is_causal=False, scale=None, enable_gqa=False):
    lacks(dropout=dropout_p, grouped_queries=enable_gqa)
    return mg.attention(q, k, v, attn_mask, is_causal, scale)


def dropout(x, p=0.5, training=True, inplace=False):
    lacks(random_numbers_of_PyTorch=training and 0 < p < 1)
    return mg.dropout(x, p, training)


def embedding(W, indices, padding_idx=None, max_norm=None, scale_grad_by_freq=False):
    lacks(padding_idx=padding_idx is not None, max_norm=max_norm, scale_grad_by_freq=scale_grad_by_freq)
    return mg.embedding(indices, W)


def vector_norm(x, ord=2, dim=None, keepdim=False):
    if ord in (1, 2, np.inf):
        return mg.norm(x, dim, keepdim, ord)
    axes = range(x.ndim) if dim is None else np.atleast_1d(dim)
    axes = tuple(normalize_axis_index(int(axis), x.ndim) for axis in axes)
    rest = tuple(n for axis, n in enumerate(x.shape) if axis not in axes)
    rows = mg.reshape(mg.moveaxis(x, axes, range(-len(axes), 0)), (*rest, math.prod(x.shape[axis] for axis in axes)))
    y = mg.linalg.norm(rows, ord, -1)
    return mg.expand_dims(y, axes) if keepdim else y


def norm(x, p="fro", dim=None, keepdim=False):
    if p == "nuc":
        return mg.linalg.norm(x, p, dim, keepdim)
    return vector_norm(x, 2 if p == "fro" else p, tuple(dim) if isinstance(dim, list) else dim, keepdim)


def moments(function):
    """Take PyTorch's arguments of a variance."""

    def call(x, dim=None, unbiased=True, keepdim=False, correction=None):
        if isinstance(dim, bool):
            dim, unbiased = None, dim
        dim = tuple(dim) or None if isinstance(dim, (tuple, list)) else dim
        return function(x, dim, keepdim, int(unbiased) if correction is None else correction)

    return call


def and_mean(function):
    return moments(lambda x, dim, keepdim, ddof: (function(x, dim, keepdim, ddof), mg.mean(x, dim, keepdim)))


def pieces(x, size, dim=0):
    """Split x into pieces of a size, or of several sizes."""
    places = np.cumsum(size)[:-1].tolist() if isinstance(size, (list, tuple)) else range(size, x.shape[dim], size)
    return mg.split(x, places, dim)


def chunk(x, count, dim=0):
    return pieces(x, -(-x.shape[dim] // count), dim)


def tensor_split(x, sections, dim=0):
    if np.ndim(sections):
        return mg.split(x, [int(place) for place in sections], dim)
    return pieces(x, [len(part) for part in np.array_split(np.empty(x.shape[dim]), int(sections))], dim)


def ordered(x, dim=-1, descending=False, stable=False):
    values, places = mg.sort(x, dim), mg.argsort(x, dim)
    return (mg.flip(values, dim), mg.flip(places, dim)) if descending else (values, places)


def kthvalue(x, k, dim=-1, keepdim=False):
    return [y[along(y, dim, slice(k - 1, k) if keepdim else k - 1)] for y in ordered(x, dim)]


def along(x, dim, index):
    """Index a single axis."""
    return (slice(None),) * normalize_axis_index(dim, x.ndim) + (index,)


def narrow(x, dim, start, length):
    start = int(start) + (x.shape[dim] if start < 0 else 0)
    return x[along(x, dim, slice(start, start + length))]


def put_along(x, dim, index, value):
    return mg.put(x, along(x, dim, index), value)


def put(x, index, values, accumulate=False):
    lacks(accumulate=accumulate)
    return mg.reshape(mg.put(mg.ravel(x), np.ravel(index), mg.ravel(values)), x.shape)


def index_put(x, indices, values, accumulate=False):
    lacks(accumulate=accumulate)
    return mg.put(x, indices, values)


def scatter(x, dim, index, src):
    places = list(np.indices(index.shape))
    places[normalize_axis_index(dim, x.ndim)] = index
    return mg.put(x, tuple(places), src if np.ndim(src) == 0 else src[tuple(map(slice, index.shape))])


def gather(x, dim, index):
    axis = normalize_axis_index(dim, x.ndim)
    read = tuple(slice(None) if a == axis else slice(n) for a, n in enumerate(index.shape))
    return mg.take_along_axis(x[read], index, axis)


def take_along_dim(x, index, dim=None):
    return mg.take_along_axis(x, np.ravel(index) if dim is None else index, dim)


def masked_select(x, mask):
    shape = np.broadcast_shapes(x.shape, mask.shape)
    return mg.broadcast_to(x, shape)[np.broadcast_to(mask, shape)]


def expand(x, shape):
    known = (1,) * (len(shape) - x.ndim) + x.shape
    return mg.broadcast_to(x, tuple(n if m == -1 else m for n, m in zip(known, shape, strict=True)))


def broadcast_tensors(*arrays):
    return [mg.broadcast_to(x, np.broadcast_shapes(*(y.shape for y in arrays))) for x in arrays]


def sum_to_size(x, *shape):
    shape = shape[0] if shape and isinstance(shape[0], (tuple, list)) else shape
    extra = x.ndim - len(shape)
    y = mg.sum(x, tuple(range(extra)))
    return mg.sum(y, tuple(a for a, n in enumerate(shape) if n != y.shape[a]), keepdims=True)


def flatten(x, start_dim=0, end_dim=-1):
    if x.ndim == 0:
        return mg.ravel(x)
    return mg.reshape(x, (*x.shape[:start_dim], -1, *x.shape[end_dim % x.ndim + 1 :]))


def unflatten(x, dim, sizes):
    axis = dim % x.ndim
    return mg.reshape(x, (*x.shape[:axis], *sizes, *x.shape[axis + 1 :]))


def atleast(axes):
    def call(x):
        if isinstance(x, list):
            return [call(y) for y in x]
        behind = axes == 3 and x.ndim in (1, 2)  # as NumPy
        return mg.reshape(x, (1,) * (axes - behind - x.ndim) + x.shape + (1,) * behind)

    return call


def joined(axes, axis):
    """Concatenate arrays along an axis, after they get axes."""
    return lambda arrays: mg.concatenate(atleast(axes)(list(arrays)), axis)


def channel_shuffle(x, groups):
    return mg.reshape(mg.swapaxes(mg.reshape(x, (len(x), groups, -1, *x.shape[2:])), 1, 2), x.shape)


def cross(a, b, dim=-1):
    return mg.roll(a, -1, dim) * mg.roll(b, -2, dim) - mg.roll(a, -2, dim) * mg.roll(b, -1, dim)


def cdist(a, b, p=2.0, compute_mode=None):
    return vector_norm(a[..., :, None, :] - b[..., None, :, :], p, -1)


def normalize(x, p=2.0, dim=1, eps=1e-12):
    return x / mg.maximum(vector_norm(x, p, dim, True), eps)


def cosine_similarity(a, b, dim=1, eps=1e-8):
    a, b = (x / mg.maximum(mg.norm(x, dim, True), eps) for x in broadcast_tensors(a, b))
    return mg.sum(a * b, dim)


def pairwise_distance(a, b, p=2.0, eps=1e-6, keepdim=False):
    return vector_norm(a - b + eps, p, -1, keepdim)


def with_bias(y, bias):
    return y if bias is None else y + bias


def add_product(x, a, b, alpha=1, beta=1):
    return beta * x + alpha * (a @ b)


def matrix_power(x, n):
    if n == 0:
        return x * 0 + np.eye(x.shape[-1])
    return functools.reduce(mg.matmul, [mg.linalg.inv(x) if n < 0 else x] * abs(n))


def of_factor(L, upper=False):
    """The matrix that a triangular factor comes from."""
    return L.mT @ L if upper else L @ L.mT


def solve(A, B, left=True):
    if not left:
        return solve(A.mT, B.mT).mT
    if B.ndim > 1 and B.shape == A.shape[:-1]:
        return mg.linalg.solve(A, B[..., None])[..., 0]
    return mg.linalg.solve(A, B)


def solve_triangular(A, B, upper, left=True, unitriangular=False):
    k = int(unitriangular)
    return solve((mg.triu(A, k) if upper else mg.tril(A, -k)) + k * np.eye(A.shape[-1]), B, left)


def svd(x, some=True):
    U, S, Vh = mg.linalg.svd(x, not some)
    return U, S, Vh.mT


def cond(x, p=None):
    return mg.linalg.norm(x, p or 2, (-2, -1)) * mg.linalg.norm(mg.linalg.inv(x), p or 2, (-2, -1))


def glu(x, dim=-1):
    a, b = mg.split(x, 2, dim)
    return a * mg.sigmoid(b)


def prelu(x, weight):
    return mg.where(x > 0, x, x * mg.reshape(weight, (-1, *(1,) * (x.ndim - 2)) if x.ndim > 1 else x.shape[:0]))


def softplus(x, beta=1, threshold=20):
    return mg.where(x * beta > threshold, x, mg.softplus(x * beta) / beta)


def reduced(loss, reduction="mean"):
    return {"mean": mg.mean, "sum": mg.sum, "none": mg.Tensor.copy}[reduction](loss)


def bce(x, target, weight=None, reduction="mean"):
    loss = -(target * mg.log(x) + (1 - target) * mg.log1p(-x))
    return reduced(loss if weight is None else loss * weight, reduction)


def bce_with_logits(x, target, weight=None, reduction="mean", pos_weight=None):
    return mg.binary_cross_entropy_with_logits(x, target, reduction, weight=weight, pos_weight=pos_weight)


def smooth_l1_loss(x, target, beta=1.0, reduction="mean"):
    if beta == 0:
        return mg.l1_loss(x, target, reduction=reduction)
    return mg.huber_loss(x, target, delta=beta, reduction=reduction) / beta


def margin_ranking_loss(a, b, target, margin=0.0, reduction="mean"):
    return reduced(mg.relu(-target * (a - b) + margin), reduction)


def triplet_margin_loss(a, p, n, margin=1.0, swap=False, reduction="mean", distance_function=None, **options):
    far = pairwise_distance(a, n, **options)
    far = mg.minimum(far, pairwise_distance(p, n, **options)) if swap else far
    return reduced(mg.relu(pairwise_distance(a, p, **options) - far + margin), reduction)


def cast(dtype):
    return lambda x, memory_format=None: mg.astype(x, dtype)


SAME = """
    abs cos cosh exp expm1 log log1p logaddexp reciprocal sin sinh sqrt square tan tanh sigmoid erf ceil floor sign
    round isfinite isinf isnan maximum minimum logical_and logical_or logical_xor logical_not matmul outer kron dot diag
    tril triu trace softmax log_softmax logsumexp mean sum prod cumsum cumprod all any argmax argmin flip roll ravel
    reshape tile squeeze broadcast_to stack
    linalg.cholesky linalg.det linalg.eigh linalg.inv linalg.norm linalg.qr linalg.slogdet linalg.svd
    linalg.svdvals
    nn.functional.relu nn.functional.elu nn.functional.gelu nn.functional.leaky_relu nn.functional.silu
    nn.functional.huber_loss nn.functional.kl_div nn.functional.l1_loss nn.functional.mse_loss
    nn.functional.ctc_loss
"""

COUNTERPARTS = {
    # elementwise
    "acos": mg.arccos,
    "asinh": lambda x: mg.log(x + mg.sqrt(x * x + 1)),
    "acosh": lambda x: mg.log(x + mg.sqrt(x * x - 1)),
    "asin": mg.arcsin,
    "atan": mg.arctan,
    "atan2": mg.arctan2,
    "atanh": lambda x: (mg.log1p(x) - mg.log1p(-x)) / 2,
    "add": lambda a, b, alpha=1: a + alpha * b,
    "sub": lambda a, b, alpha=1: a - alpha * b,
    "rsub": lambda a, b, alpha=1: b - alpha * a,
    "mul": operator.mul,
    "div.no_rounding_mode": operator.truediv,
    "true_divide": mg.divide,
    "neg": operator.neg,
    "positive": operator.pos,
    "pow": operator.pow,
    "float_power": mg.power,
    "__radd__": lambda a, b: b + a,
    "__rdiv__": lambda a, b: b / a,
    "__rmul__": lambda a, b: b * a,
    "__rmatmul__": lambda a, b: b @ a,
    "__rpow__": lambda a, b: b**a,
    "__rsub__": lambda a, b: b - a,
    "floor_divide": operator.floordiv,
    "div.floor_rounding": lambda a, b, rounding_mode: a // b,
    "remainder": operator.mod,
    "__rmod__": lambda a, b: b % a,
    "eq": mg.equal,
    "ne": mg.not_equal,
    "lt": mg.less,
    "le": mg.less_equal,
    "gt": mg.greater,
    "ge": mg.greater_equal,
    "addcmul": lambda x, a, b, value=1: x + value * a * b,
    "addcdiv": lambda x, a, b, value=1: x + value * a / b,
    "clamp": clamp,
    "clamp_max": mg.minimum,
    "clamp_min": mg.maximum,
    "fmax": mg.maximum,
    "fmin": mg.minimum,
    "max.binary": mg.maximum,
    "min.binary": mg.minimum,
    "deg2rad": lambda x: x * (math.pi / 180),
    "rad2deg": lambda x: x * (180 / math.pi),
    "exp2": lambda x: 2.0**x,
    "erfc": lambda x: 1 - mg.erf(x),
    "hypot": lambda a, b: mg.sqrt(a * a + b * b),
    "lerp": lambda a, b, weight: a + weight * (b - a),
    "logaddexp2": lambda a, b: mg.logaddexp(a * math.log(2), b * math.log(2)) / math.log(2),
    "log2": lambda x: mg.log(x) / math.log(2),
    "log10": lambda x: mg.log(x) / math.log(10),
    "logit": lambda x, eps=None: mg.log(y := x if eps is None else mg.clip(x, eps, 1 - eps)) - mg.log1p(-y),
    "rsqrt": lambda x: 1 / mg.sqrt(x),
    "round.decimals_0": mg.round,
    "round.decimals_3": mg.round,
    "round.decimals_neg_3": mg.round,
    "special.ndtr": mg.normal_cdf,
    "masked_fill": lambda x, mask, value: mg.where(mask, value, x),
    "where": lambda x, condition, y: mg.where(condition, x, y),
    "nn.functional.celu": lambda x, alpha=1.0: mg.relu(x) + mg.minimum(0.0, alpha * mg.expm1(x / alpha)),
    "nn.functional.glu": glu,
    "nn.functional.hardshrink": lambda x, lambd=0.5: mg.where(mg.abs(x) > lambd, x, 0.0),
    "nn.functional.hardsigmoid": lambda x: mg.clip(x + 3, 0, 6) / 6,
    "nn.functional.hardswish": lambda x: x * mg.clip(x + 3, 0, 6) / 6,
    "nn.functional.hardtanh": lambda x, min_val=-1.0, max_val=1.0: mg.clip(x, min_val, max_val),
    "nn.functional.logsigmoid": lambda x: -mg.softplus(-x),
    "nn.functional.mish": lambda x: x * mg.tanh(mg.softplus(x)),
    "nn.functional.relu6": lambda x: mg.clip(x, 0, 6),
    "nn.functional.selu": lambda x: 1.0507009873554805 * mg.elu(x, 1.6732632423543772),
    "nn.functional.softmin": lambda x, dim, dtype=None: mg.softmax(-x, dim),
    "nn.functional.softplus": softplus,
    "nn.functional.softshrink": lambda x, lambd=0.5: mg.sign(x) * mg.relu(mg.abs(x) - lambd),
    "nn.functional.softsign": lambda x: x / (1 + mg.abs(x)),
    "nn.functional.tanhshrink": lambda x: x - mg.tanh(x),
    "nn.functional.threshold": lambda x, threshold, value: mg.where(x > threshold, x, value),
    "nn.functional.prelu": prelu,
    # reductions
    "amax": renamed(mg.max),
    "amin": renamed(mg.min),
    "aminmax": lambda x, dim=None, keepdim=False: (mg.min(x, dim, keepdim), mg.max(x, dim, keepdim)),
    "max.reduction_no_dim": mg.max,
    "min.reduction_no_dim": mg.min,
    "max.reduction_with_dim": lambda x, dim, keepdim=False: (mg.max(x, dim, keepdim), mg.argmax(x, dim, keepdim)),
    "min.reduction_with_dim": lambda x, dim, keepdim=False: (mg.min(x, dim, keepdim), mg.argmin(x, dim, keepdim)),
    "count_nonzero": lambda x, dim=None: mg.sum(x != 0, dim),
    "softmax.with_dtype": lambda x, dim, dtype: mg.softmax(mg.astype(x, dtype), dim),
    "log_softmax.with_dtype": lambda x, dim, dtype: mg.log_softmax(mg.astype(x, dtype), dim),
    "nn.functional.softmin.with_dtype": lambda x, dim, dtype: mg.softmax(-mg.astype(x, dtype), dim),
    "std": moments(mg.std),
    "std.unbiased": moments(mg.std),
    "std_mean": and_mean(mg.std),
    "std_mean.unbiased": and_mean(mg.std),
    "var": moments(mg.var),
    "var.unbiased": moments(mg.var),
    "var_mean": and_mean(mg.var),
    "var_mean.unbiased": and_mean(mg.var),
    "sum_to_size": sum_to_size,
    # norms
    "norm": norm,
    "norm.nuc": norm,
    "norm.fro": norm,
    "norm.inf": norm,
    "dist": lambda a, b, p=2: vector_norm(a - b, p),
    "cdist": cdist,
    "linalg.norm.subgradients_at_zero": renamed(mg.linalg.norm),
    "linalg.matrix_norm": lambda x, ord="fro", dim=(-2, -1), keepdim=False: mg.linalg.norm(x, ord, dim, keepdim),
    "linalg.vector_norm": vector_norm,
    "nn.functional.normalize": normalize,
    "nn.functional.cosine_similarity": cosine_similarity,
    "nn.functional.pairwise_distance": pairwise_distance,
    # order
    "sort": ordered,
    "topk": lambda x, k, dim=-1, largest=True, sorted=True: mg.topk(x, k, dim, largest),
    "argsort": lambda *args, **options: ordered(*args, **options)[1],
    "msort": lambda x: mg.sort(x, 0),
    "kthvalue": kthvalue,
    # shapes
    "T": lambda x: x.T,
    "mT": lambda x: x.mT,
    "H": lambda x: x.T,
    "mH": lambda x: x.mT,
    "t": mg.transpose,
    "atleast_1d": atleast(1),
    "atleast_2d": atleast(2),
    "atleast_3d": atleast(3),
    "broadcast_tensors": broadcast_tensors,
    "cat": renamed(mg.concatenate),
    "chunk": chunk,
    "unsafe_chunk": chunk,
    "clone": lambda x: x.copy(),
    "column_stack": lambda arrays: mg.concatenate([mg.reshape(x, (-1, 1)) if x.ndim < 2 else x for x in arrays], 1),
    "hstack": lambda arrays: mg.concatenate(arrays, min(1, arrays[0].ndim - 1)),
    "vstack": joined(2, 0),
    "dstack": joined(3, 2),
    "diagonal": lambda x, offset=0, dim1=0, dim2=1: mg.diagonal(x, offset, dim1, dim2),
    "linalg.diagonal": lambda x, offset=0, dim1=-2, dim2=-1: mg.diagonal(x, offset, dim1, dim2),
    "diagflat": lambda x, offset=0: mg.diag(mg.ravel(x), offset),
    "expand": expand,
    "expand_as": lambda x, y: expand(x, y.shape),
    "flatten": flatten,
    "fliplr": lambda x: mg.flip(x, 1),
    "flipud": lambda x: mg.flip(x, 0),
    "movedim": mg.moveaxis,
    "permute": mg.transpose,
    "repeat": mg.tile,
    "repeat_interleave": lambda x, repeats, dim=None, output_size=None: mg.repeat(x, repeats, dim),
    "reshape_as": lambda x, y: mg.reshape(x, y.shape),
    "split": pieces,
    "split.list_args": pieces,
    "unsafe_split": pieces,
    "split_with_sizes": pieces,
    "tensor_split": tensor_split,
    "hsplit": lambda x, sections: tensor_split(x, sections, min(1, x.ndim - 1)),
    "vsplit": tensor_split,
    "dsplit": lambda x, sections: tensor_split(x, sections, 2),
    "squeeze.multiple": renamed(mg.squeeze),
    "transpose": mg.swapaxes,
    "unbind": lambda x, dim=0: list(mg.moveaxis(x, dim, 0)),
    "unflatten": unflatten,
    "unsqueeze": mg.expand_dims,
    "view": mg.reshape,
    "view_as": lambda x, y: mg.reshape(x, y.shape),
    "nn.functional.channel_shuffle": channel_shuffle,
    "constant_pad_nd": lambda x, widths, value=0: pad(x, widths, "constant", value),
    "nn.functional.pad.constant": pad,
    "nn.functional.pad.reflect": pad,
    "nn.functional.pad.replicate": pad,
    "nn.functional.pad.circular": pad,
    "nn.functional.pixel_shuffle": lambda x, upscale_factor: mg.pixel_shuffle(x, upscale_factor),
    "nn.functional.pixel_unshuffle": lambda x, downscale_factor: mg.pixel_unshuffle(x, downscale_factor),
    # indices
    "__getitem__": operator.getitem,
    "gather": gather,
    "index_copy": put_along,
    "index_fill": put_along,
    "index_put": index_put,
    "index_select": lambda x, dim, index: x[along(x, dim, index)],
    "masked_select": masked_select,
    "narrow": narrow,
    "put": put,
    "scatter": scatter,
    "select": lambda x, dim, index: x[along(x, dim, index)],
    "slice": lambda x, dim=0, start=None, end=None, step=1: x[along(x, dim, slice(start, end, step))],
    "take": lambda x, index: mg.ravel(x)[index],
    "take_along_dim": take_along_dim,
    "nn.functional.embedding": embedding,
    # products
    "addmm": add_product,
    "addmm.decomposed": add_product,
    "addmv": add_product,
    "addbmm": lambda x, a, b, alpha=1, beta=1: beta * x + alpha * mg.sum(a @ b, 0),
    "baddbmm": add_product,
    "addr": lambda x, a, b, alpha=1, beta=1: beta * x + alpha * mg.outer(a, b),
    "bmm": mg.matmul,
    "mm": mg.matmul,
    "mv": mg.matmul,
    "vdot": mg.dot,
    "inner": lambda a, b: mg.tensordot(a, b, (-1, -1)) if a.ndim and b.ndim else a * b,
    "cross": cross,
    "linalg.cross": cross,
    "einsum": lambda arrays, equation: mg.einsum(equation, *arrays),
    "tensordot": lambda a, b, dims: mg.tensordot(a, b, dims),
    "linalg.multi_dot": lambda arrays: functools.reduce(mg.matmul, arrays),
    "linalg.matrix_power": matrix_power,
    "linalg.vecdot": lambda a, b, dim=-1: mg.sum(a * b, dim),
    "nn.functional.bilinear": lambda a, b, w, bias=None: with_bias(mg.einsum("...i,kij,...j->...k", a, w, b), bias),
    "nn.functional.linear": lambda x, w, b=None: mg.affine(x, w.T, b) if w.ndim == 2 else with_bias(x @ w, b),
    # matrices
    "cholesky": mg.linalg.cholesky,
    "cholesky_inverse": lambda L, upper=False: mg.linalg.inv(of_factor(L, upper)),
    "cholesky_solve": lambda b, L, upper=False: mg.linalg.solve(of_factor(L, upper), b),
    "linalg.eigvalsh": lambda x, UPLO="L": mg.linalg.eigh(x, UPLO)[0],
    "linalg.solve": solve,
    "linalg.solve_triangular": solve_triangular,
    "linalg.cond": cond,
    "logdet": lambda x: mg.linalg.slogdet(x)[1],
    "qr": lambda x, some=True: mg.linalg.qr(x, "reduced" if some else "complete"),
    "svd": svd,
    # layers
    "nn.functional.adaptive_avg_pool1d": adaptive_avg_pool(1),
    "nn.functional.adaptive_avg_pool2d": adaptive_avg_pool(2),
    "nn.functional.avg_pool1d": pool(mg.avg_pool2d, 1),
    "nn.functional.avg_pool2d": pool(mg.avg_pool2d, 2),
    "nn.functional.max_pool1d": pool(mg.max_pool2d, 1),
    "nn.functional.max_pool2d": pool(mg.max_pool2d, 2),
    "nn.functional.conv1d": batched(mg.conv1d, 2),
    "nn.functional.conv2d": batched(mg.conv2d, 3),
    "nn.functional.conv_transpose1d": batched(mg.conv_transpose1d, 2),
    "nn.functional.conv_transpose2d": batched(mg.conv_transpose2d, 3),
    "nn.functional.batch_norm": batch_norm,
    "nn.functional.group_norm": lambda x, groups, weight=None, bias=None, eps=1e-5: mg.group_norm(
        x, groups, weight, bias, eps
    ),
    "nn.functional.instance_norm": instance_norm,
    "nn.functional.layer_norm": layer_norm,
    "nn.functional.rms_norm": rms_norm,
    "nn.functional.dropout": dropout,
    "nn.functional.scaled_dot_product_attention": attention,
    # losses
    "nn.functional.binary_cross_entropy": bce,
    "nn.functional.binary_cross_entropy_with_logits": bce_with_logits,
    "nn.functional.cross_entropy": cross_entropy,
    "nn.functional.margin_ranking_loss": margin_ranking_loss,
    "nn.functional.nll_loss": nll_loss,
    "nn.functional.smooth_l1_loss": smooth_l1_loss,
    "nn.functional.soft_margin_loss": lambda x, target, reduction="mean": reduced(mg.softplus(-target * x), reduction),
    "nn.functional.triplet_margin_loss": triplet_margin_loss,
    "nn.functional.triplet_margin_with_distance_loss": triplet_margin_loss,
    # dtypes
    "double": cast(np.float64),
    "float": cast(np.float32),
    "half": cast(np.float16),
    "bool": cast(bool),
    "long": cast(np.int64),
    "int": cast(np.int32),
}


def same(name):
    return renamed(functools.reduce(getattr, name.removeprefix("nn.functional.").split("."), mg))


TABLE = {name: same(name) for name in SAME.split()} | COUNTERPARTS

ABSENT = {
    "equal": "PyTorch's tells whether all entries are equal",
    "nn.functional.pad.replicate_negative": "every sample has negative widths",
}
"""Why operations that have the name of a function of minigrad are not in the table."""


# --- differences -----------------------------------------------------------------------------------------------------


def of_scores(function, library):
    return lambda x, *args, **options: function(library.log_softmax(x, -1), *args, **options)


def of_results(form):
    return lambda function, library: lambda *args, **options: form(*function(*args, **options))


SIGNS = "LAPACK chooses the signs of singular vectors, and all of those that belong to no singular value"

CONVENTIONS = {
    "linalg.eigh": (
        "LAPACK chooses the signs of eigenvectors",
        of_results(lambda values, vectors: (values, abs(vectors))),
    ),
    "linalg.svd": (
        SIGNS,
        of_results(lambda U, S, Vh: (abs(U[..., : S.shape[-1]]), S, abs(Vh[..., : S.shape[-1], :]))),
    ),
    "svd": (SIGNS, of_results(lambda U, S, V: (abs(U[..., : S.shape[-1]]), S, abs(V[..., : S.shape[-1]])))),
    "nn.functional.ctc_loss": (
        "PyTorch's gradient of the log-probabilities is the one of the scores that log_softmax makes them of",
        of_scores,
    ),
}
"""Why PyTorch's results are another choice, and what is compared instead, as a function of operation and library."""

DIFFERENT = {
    "linalg.norm.subgradients_at_zero": (
        "the gradient of a norm made of singular values is 0 at a matrix of zeros, PyTorch's is made of U and Vh",
        lambda s: s.input.shape == (5, 5) and s.args[0] in ("nuc", 2, -2),
    ),
}
"""Why gradients differ although the outputs are equal, and of which samples."""

TOLERANCES = {"nn.functional.hardsigmoid": 1e-7}  # PyTorch rounds the slope 1/6 to float32
"""How far numbers may be apart, relatively to the largest in an array, if not by `TOLERANCE`."""
TOLERANCE = 1e-9


def without_axes(sample):
    return sample.input.ndim == 0 and (sample.args or sample.kwargs.get("dim") is not None)


def squeezes_more_than_one(sample):
    axes = np.atleast_1d(sample.args[0]) if sample.args else ()
    return sample.input.ndim and any(sample.input.shape[int(axis)] != 1 for axis in axes)


def weight_is_negative_or_broadcasts(sample):
    weight = sample.kwargs.get("weight")
    return weight is not None and ((weight < 0).any() or weight.shape != sample.input.shape)


REFUSED = [
    (
        "an axis of an array without axes",
        """aminmax amax amin count_nonzero cumprod cumsum gather index_copy index_fill index_select kthvalue
        linalg.vector_norm logsumexp max.reduction_with_dim mean min.reduction_with_dim norm prod scatter
        squeeze.multiple sum topk transpose nn.functional.cosine_similarity nn.functional.normalize""",
        without_axes,
    ),
    ("an axis of an array without axes", "argsort sort", lambda s: s.input.ndim == 0),
    ("squeezing an axis that is longer than 1", "squeeze squeeze.multiple", squeezes_more_than_one),
    (
        "the gradient of class probabilities",
        "nn.functional.cross_entropy",
        lambda s: s.args[0].is_floating_point() and s.args[0].requires_grad,
    ),
    (
        "the gradient of a mask",
        "nn.functional.scaled_dot_product_attention",
        lambda s: getattr(s.kwargs.get("attn_mask"), "requires_grad", False),
    ),
    ("an empty vector among matrices", "cat", lambda s: any(x.shape == (0,) for x in s.input)),
    ("indices with another number of axes", "gather", lambda s: s.args[1].ndim != s.input.ndim),
    ("summing over an ellipsis", "einsum", lambda s: "..." not in s.args[0].split("->")[-1]),
    ("an axis of length 1 against a longer one", "tensordot", lambda s: s.input.shape == (1, 1, 1)),
    ("a batch without channels", "nn.functional.batch_norm", lambda s: s.input.ndim == 1),
    ("dropping everything", "nn.functional.dropout", lambda s: s.kwargs.get("p") == 1),
    (
        "a negative epsilon",
        "nn.functional.group_norm nn.functional.layer_norm nn.functional.rms_norm",
        lambda s: s.kwargs.get("eps", 0) < 0,
    ),
    (
        "weights that are negative or broadcast",
        "nn.functional.binary_cross_entropy_with_logits",
        weight_is_negative_or_broadcasts,
    ),
    (
        "negative weights",
        "nn.functional.cross_entropy nn.functional.nll_loss",
        lambda s: "weight" in s.kwargs and (s.kwargs["weight"] < 0).any(),
    ),
]
"""Inputs that minigrad may refuse with an error: what it refuses, for which operations, and of which samples."""


# --- the comparison --------------------------------------------------------------------------------------------------


@functools.cache
def database() -> dict[str, Any]:
    """PyTorch's operations of float64, by name and variant."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from torch.testing._internal.common_methods_invocations import op_db
    floating = [op for op in op_db if pytorch().float64 in op.dtypes]
    return {".".join(filter(None, (op.name, op.variant_test_name))): op for op in floating}


def samples_of(name):
    """Make the samples of an operation, the same ones every time.

    ``op.sample_inputs`` gives the same samples, but reads the source of every caller first, which takes longer than
    all that is compared.
    """
    op = database()[name]
    random.seed(0)
    pytorch().manual_seed(0)
    return op.sample_inputs_func(op, "cpu", pytorch().float64, requires_grad=op.supports_autograd)


def flat(value):
    """List the arrays and tensors in nested lists, tuples and dicts."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        return [x for v in value for x in flat(v)]
    return [value] if isinstance(value, (np.ndarray, Tensor, pytorch().Tensor)) else []


def tracked(sample):
    """List the tensors that require a gradient, each once."""
    tensors = flat([sample.input, sample.args, sample.kwargs])
    return list({id(x): x for x in tensors if x.requires_grad}.values())


def translated(value, known):
    """Make tensors of minigrad and arrays of PyTorch's floating and other tensors; ``known`` has them by id."""
    torch = pytorch()
    if isinstance(value, dict):
        return {name: translated(v, known) for name, v in value.items()}
    if isinstance(value, (list, tuple)):
        parts = [translated(v, known) for v in value]
        return parts if isinstance(value, list) else tuple(parts)
    if isinstance(value, torch.dtype):
        return torch.empty(0, dtype=value).numpy().dtype
    if not isinstance(value, torch.Tensor):
        return value
    if id(value) not in known:
        array = frozen(value.detach().numpy())
        known[id(value)] = leaf(array)
        if array.dtype.kind != "f":
            known[id(value)] = array
        elif not value.requires_grad:
            known[id(value)].node = None
    return known[id(value)]


def theirs(function, sample):
    """Call a function of PyTorch's: its outputs, and the gradients of what requires one, as arrays."""
    torch = pytorch()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        inputs, outputs = tracked(sample), flat(function(sample.input, *sample.args, **sample.kwargs))
        roots = [y for y in outputs if y.requires_grad]
        seeds = [torch.tensor(cotangent(tuple(y.shape)), dtype=y.dtype) for y in roots]
        known = [torch.zeros_like(x) for x in inputs]
        grads = torch.autograd.grad(roots, inputs, seeds, materialize_grads=True) if roots else known
    return [y.detach().numpy() for y in outputs], [grad.numpy() for grad in grads]


def ours(function, sample):
    """Call a function of minigrad on the same arrays."""
    known = {}
    args, options = translated((sample.input, *sample.args), known), translated(sample.kwargs, known)
    with np.errstate(all="ignore"):  # NumPy warns of what is NaN or infinite on both sides
        outputs = flat(function(*args, **options))
        roots = [y for y in outputs if isinstance(y, Tensor) and y.node is not None]
        grads = reverse_pass([seed_of(y, frozen(cotangent(y.shape, y.dtype))) for y in roots]) if roots else {}
    leaves = [known[id(x)] for x in tracked(sample)]
    return [np.asarray(getattr(y, "data", y)) for y in outputs], [
        grads.get(x.node, np.zeros(x.shape, x.dtype)) for x in leaves
    ]


def largest(arrays):
    """Find the largest finite size of a floating number."""
    return max((np.abs(x[np.isfinite(x)]).max(initial=0) for x in arrays if x.dtype.kind == "f"), default=0)


def check_equal(mine, expected, rtol, noise):
    """Compare shapes, dtypes and numbers; these to a share of the largest in an array, and above the noise."""
    assert [(x.shape, x.dtype) for x in mine] == [(x.shape, x.dtype) for x in expected]
    for i, (a, b) in enumerate(zip(mine, expected, strict=True)):
        np.testing.assert_allclose(a, b, rtol=rtol, atol=max(rtol * largest([b]), noise), err_msg=f"number {i}")


def reasons(rows, name, sample):
    return [reason for reason, names, concerned in rows if name in names.split() and concerned(sample)]


def as_it_is(function, library):
    return function


def compare(name, sample, form=as_it_is):
    """Compare outputs and gradients of a sample, or return the reasons why it is left out."""
    outputs, grads = theirs(form(database()[name], pytorch()), sample)
    try:
        my_outputs, my_grads = ours(form(TABLE[name], mg), sample)
    except MissingOptionError as error:
        return [str(error)]
    except (TypeError, ValueError, IndexError) as error:
        refused = reasons(REFUSED, name, sample)
        ours_or_axis = re.match(r"[\w.]+(\(.*\))?: ", str(error)) or isinstance(error, np.exceptions.AxisError)
        if refused and ours_or_axis:  # no accident: minigrad's own error, which names the operation, or an axis
            return refused
        raise
    tolerances = TOLERANCES.get(name, TOLERANCE), 1e-12 * largest(outputs + grads)
    check_equal(my_outputs, outputs, *tolerances)
    if name in DIFFERENT and DIFFERENT[name][1](sample):
        with pytest.raises(AssertionError):
            check_equal(my_grads, grads, *tolerances)
    else:
        check_equal(my_grads, grads, *tolerances)
    return []


def described(sample):
    """Write a sample with shapes in the place of tensors."""

    def short(value):
        if isinstance(value, pytorch().Tensor):
            return f"{str(value.dtype)[6:]}{list(value.shape)}"
        if isinstance(value, (list, tuple)):
            return f"({', '.join(map(short, value))})"
        return repr(value)

    options = [f"{name}={short(value)}" for name, value in sample.kwargs.items()]
    return ", ".join([short(sample.input), *map(short, sample.args), *options])


@pytest.mark.parametrize("name", TABLE)
def test_samples(name):
    _, form = CONVENTIONS.get(name, ("", as_it_is))
    compared, left_out = 0, Counter()
    for sample in samples_of(name):
        try:
            why = compare(name, sample, form)
        except Exception as error:
            error.add_note(f"{name}({described(sample)})")
            raise
        compared += not why
        left_out.update(why)
    print(f"{name}: {compared} compared", *(f"{count} not: {reason}" for reason, count in left_out.items()), sep=", ")
    assert compared
    assert {reason for reason, names, _ in REFUSED if name in names.split()} <= left_out.keys(), "not refused any more"


def test_every_operation_of_the_same_name_is_compared():
    functions = {*mg.ops.__all__, *mg.linalg.__all__}
    rooms = {"", "linalg", "nn.functional"}
    parts = {name: op.name.rpartition(".") for name, op in database().items()}
    named = {name for name, (room, _, function) in parts.items() if room in rooms and function in functions}
    assert named - TABLE.keys() == ABSENT.keys()


@pytest.mark.parametrize("name", CONVENTIONS)
def test_a_convention_makes_a_difference(name):
    for sample in samples_of(name):
        try:
            compare(name, sample)
        except (AssertionError, np.linalg.LinAlgError):
            return
    pytest.fail(f"{name} gives what PyTorch does in all samples: remove it from CONVENTIONS")


def test_what_differs_is_in_the_table():
    listed = {name for _, names, _ in REFUSED for name in names.split()}
    assert {*CONVENTIONS, *DIFFERENT, *TOLERANCES, *listed} <= TABLE.keys()
