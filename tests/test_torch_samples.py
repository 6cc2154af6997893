"""PyTorch's own samples of its operations: minigrad gives the same outputs and gradients.

PyTorch lists inputs to test each of its operations on. Here the same inputs, in float64, go through minigrad as well.

- `SAME` and `COUNTERPARTS` say what computes each operation in minigrad.
- `REFUSED` lists inputs for which minigrad raises an error. Counterparts raise `MissingOptionError` for an option that
  minigrad does not have.

By default each operation is compared on one sample, and on all of them with ``--full``.
A test prints how many samples it compared, and why it left out the others. To read it, run
``pytest -rP tests/test_torch_samples.py``.
"""

from __future__ import annotations

import functools
import importlib.util
import operator
import random
import re
import warnings
from collections import Counter
from typing import Any

import numpy as np
import pytest

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


def pool(function):
    def call(x, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, divisor_override=None,
             dilation=1, return_indices=False):  # fmt: skip
        lacks(ceil_mode=ceil_mode, divisor_override=divisor_override, dilation=np.max(dilation) > 1)
        lacks(return_indices=return_indices, count_include_pad_off=not count_include_pad and np.max(padding))
        return batched(function, 3)(x, kernel_size, stride or None, padding)

    return call


def classes_last(x):
    return mg.moveaxis(x, 1, -1) if x.ndim > 1 else x


def cross_entropy(x, target, weight=None, reduction="mean", ignore_index=-100, label_smoothing=0.0):
    if target.dtype.kind == "f":
        target, ignore_index = classes_last(target), None
    return mg.cross_entropy(classes_last(x), target, reduction, ignore_index, label_smoothing, weight=weight)


def nll_loss(x, target, weight=None, reduction="mean", ignore_index=-100):
    return mg.nll_loss(classes_last(x), target, reduction, ignore_index, weight=weight)


def layer_norm(x, shape, weight=None, bias=None, eps=1e-5):
    return mg.layer_norm(x, weight, bias, tuple(range(-len(shape), 0)), eps)


def attention(q, k, v, attn_mask=None, dropout_p=0.0, is_causal=False, scale=None, enable_gqa=False):
    lacks(dropout=dropout_p, grouped_queries=enable_gqa)
    return mg.attention(q, k, v, attn_mask, is_causal, scale)


SAME = """
    abs cos cosh exp expm1 log log1p logaddexp reciprocal sin sinh sqrt square tan tanh sigmoid erf ceil floor sign
    round isfinite isinf isnan maximum minimum logical_and logical_or logical_xor logical_not matmul outer kron dot diag
    tril triu trace softmax log_softmax logsumexp mean sum prod cumsum cumprod all any argmax argmin flip roll ravel
    reshape tile squeeze broadcast_to stack
    linalg.cholesky linalg.det linalg.inv linalg.norm linalg.qr linalg.slogdet
    linalg.svdvals
    nn.functional.relu nn.functional.elu nn.functional.gelu nn.functional.leaky_relu nn.functional.silu
    nn.functional.huber_loss nn.functional.kl_div nn.functional.l1_loss nn.functional.mse_loss
"""

COUNTERPARTS = {
    # elementwise
    "acos": mg.arccos,
    "asin": mg.arcsin,
    "atan": mg.arctan,
    "atan2": mg.arctan2,
    "mul": operator.mul,
    "div.no_rounding_mode": operator.truediv,
    "neg": operator.neg,
    "pow": operator.pow,
    "__rpow__": lambda a, b: b**a,
    "__rsub__": lambda a, b: b - a,
    "floor_divide": operator.floordiv,
    "remainder": operator.mod,
    "eq": mg.equal,
    "ne": mg.not_equal,
    "lt": mg.less,
    "le": mg.less_equal,
    "gt": mg.greater,
    "ge": mg.greater_equal,
    "max.binary": mg.maximum,
    "min.binary": mg.minimum,
    "special.ndtr": mg.normal_cdf,
    "where": lambda x, condition, y: mg.where(condition, x, y),
    # reductions
    "amax": renamed(mg.max),
    "amin": renamed(mg.min),
    "max.reduction_no_dim": mg.max,
    "max.reduction_with_dim": lambda x, dim, keepdim=False: (mg.max(x, dim, keepdim), mg.argmax(x, dim, keepdim)),
    "min.reduction_with_dim": lambda x, dim, keepdim=False: (mg.min(x, dim, keepdim), mg.argmin(x, dim, keepdim)),
    # norms
    "linalg.matrix_norm": lambda x, ord="fro", dim=(-2, -1), keepdim=False: mg.linalg.norm(x, ord, dim, keepdim),
    # order
    "topk": lambda x, k, dim=-1, largest=True, sorted=True: mg.topk(x, k, dim, largest),
    # shapes
    "mT": lambda x: x.mT,
    "t": mg.transpose,
    "cat": renamed(mg.concatenate),
    "clone": lambda x: x.copy(),
    "diagonal": lambda x, offset=0, dim1=0, dim2=1: mg.diagonal(x, offset, dim1, dim2),
    "movedim": mg.moveaxis,
    "permute": mg.transpose,
    "repeat": mg.tile,
    "transpose": mg.swapaxes,
    "unsqueeze": mg.expand_dims,
    "view": mg.reshape,
    "nn.functional.pixel_shuffle": lambda x, upscale_factor: mg.pixel_shuffle(x, upscale_factor),
    "nn.functional.pixel_unshuffle": lambda x, downscale_factor: mg.pixel_unshuffle(x, downscale_factor),
    # indices
    "__getitem__": operator.getitem,
    # products
    "bmm": mg.matmul,
    "mm": mg.matmul,
    "mv": mg.matmul,
    "einsum": lambda arrays, equation: mg.einsum(equation, *arrays),
    "tensordot": lambda a, b, dims: mg.tensordot(a, b, dims),
    # matrices
    "linalg.eigvalsh": lambda x, UPLO="L": mg.linalg.eigh(x, UPLO)[0],
    "logdet": lambda x: mg.linalg.slogdet(x)[1],
    "qr": lambda x, some=True: mg.linalg.qr(x, "reduced" if some else "complete"),
    # layers
    "nn.functional.avg_pool2d": pool(mg.avg_pool2d),
    "nn.functional.max_pool2d": pool(mg.max_pool2d),
    "nn.functional.conv1d": batched(mg.conv1d, 2),
    "nn.functional.conv2d": batched(mg.conv2d, 3),
    "nn.functional.conv_transpose1d": batched(mg.conv_transpose1d, 2),
    "nn.functional.conv_transpose2d": batched(mg.conv_transpose2d, 3),
    "nn.functional.group_norm": lambda x, groups, weight=None, bias=None, eps=1e-5: mg.group_norm(
        x, groups, weight, bias, eps
    ),
    "nn.functional.layer_norm": layer_norm,
    "nn.functional.scaled_dot_product_attention": attention,
    # losses
    "nn.functional.cross_entropy": cross_entropy,
    "nn.functional.nll_loss": nll_loss,
    # dtypes
}


def same(name):
    return renamed(functools.reduce(getattr, name.removeprefix("nn.functional.").split("."), mg))


TABLE = {name: same(name) for name in SAME.split()} | COUNTERPARTS


# --- what is refused -------------------------------------------------------------------------------------------------


TOLERANCE = 1e-9


def without_axes(sample):
    return sample.input.ndim == 0 and (sample.args or sample.kwargs.get("dim") is not None)


def squeezes_more_than_one(sample):
    axes = np.atleast_1d(sample.args[0]) if sample.args else ()
    return sample.input.ndim and any(sample.input.shape[int(axis)] != 1 for axis in axes)


REFUSED = [
    (
        "an axis of an array without axes",
        "amax amin cumprod cumsum logsumexp max.reduction_with_dim mean min.reduction_with_dim prod sum topk transpose",
        without_axes,
    ),
    ("squeezing an axis that is longer than 1", "squeeze", squeezes_more_than_one),
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
    ("summing over an ellipsis", "einsum", lambda s: "..." not in s.args[0].split("->")[-1]),
    ("an axis of length 1 against a longer one", "tensordot", lambda s: s.input.shape == (1, 1, 1)),
    (
        "a negative epsilon",
        "nn.functional.group_norm nn.functional.layer_norm",
        lambda s: s.kwargs.get("eps", 0) < 0,
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


def compare(name, sample):
    """Compare outputs and gradients of a sample, or return the reasons why it is left out."""
    outputs, grads = theirs(database()[name], sample)
    try:
        my_outputs, my_grads = ours(TABLE[name], sample)
    except MissingOptionError as error:
        return [str(error)]
    except (TypeError, ValueError, IndexError) as error:
        refused = reasons(REFUSED, name, sample)
        ours_or_axis = re.match(r"[\w.]+(\(.*\))?: ", str(error)) or isinstance(error, np.exceptions.AxisError)
        if refused and ours_or_axis:  # no accident: minigrad's own error, which names the operation, or an axis
            return refused
        raise
    tolerances = TOLERANCE, 1e-12 * largest(outputs + grads)
    check_equal(my_outputs, outputs, *tolerances)
    check_equal(my_grads, grads, *tolerances)
    return []


@pytest.mark.slow
@pytest.mark.parametrize("name", TABLE)
def test_samples(name, full):
    compared, left_out = 0, Counter()
    for sample in samples_of(name):
        why = compare(name, sample)
        compared += not why
        left_out.update(why)
        if compared and not full:
            return
    print(f"{name}: {compared} compared", *(f"{count} not: {reason}" for reason, count in left_out.items()), sep=", ")
    assert compared
    assert {reason for reason, names, _ in REFUSED if name in names.split()} <= left_out.keys(), "not refused any more"
