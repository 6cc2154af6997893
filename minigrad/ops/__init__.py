"""Primitives: functions on tensors with hand-written vector-Jacobian products, one family per file."""

from . import methods as _methods  # noqa: F401 (importing it attaches operators and methods to Tensor)
from .activations import dropout, elu, erf, gammaln, gelu, leaky_relu, normal_cdf, relu, sigmoid, silu, softplus
from .attentions import additive_attention, attention
from .convolution import conv1d, conv2d, conv_transpose1d, conv_transpose2d
from .ctc import ctc_loss
from .elementwise import (
    absolute, add, arccos, arcsin, arctan, arctan2, astype, ceil, clip, cos, cosh, divide, equal, exp, expm1, floor,
    floor_divide, greater, greater_equal, isfinite, isinf, isnan, less, less_equal, log, log1p, logaddexp,
    logical_and, logical_not, logical_or, logical_xor, maximum, minimum, multiply, negative, not_equal, power,
    reciprocal, remainder, round, sign, sin, sinh, sqrt, square, subtract, tan, tanh, where,
)  # fmt: skip
from .elementwise import absolute as abs
from .indexing import diag, diagonal, embedding, getitem, one_hot, put, take_along_axis, tril, triu
from .linear import linear_map
from .linear_algebra import cross, kron, trace
from .losses import (
    binary_cross_entropy_with_logits, cross_entropy, huber_loss, kl_div, l1_loss, mse_loss, nll_loss,
    temporal_softmax_loss,
)  # fmt: skip
from .normalization import batch_norm, group_norm, layer_norm, rms_norm
from .products import affine, dot, einsum, matmul, outer, temporal_affine, tensordot
from .recurrent_gru import gru, gru_step
from .recurrent_lstm import lstm, lstm_cell, lstm_step
from .recurrent_rnn import rnn, rnn_step
from .reductions import (
    all, any, argmax, argmin, argsort, cumprod, cumsum, log_softmax, logsumexp, max, mean, min, norm, prod, softmax,
    sort, std, sum, topk, var,
)  # fmt: skip
from .reductions import max as amax
from .reductions import min as amin
from .resampling import (
    adaptive_avg_pool2d, avg_pool2d, max_pool2d, pixel_shuffle, pixel_unshuffle, upsample,
)  # fmt: skip
from .shaping import (
    broadcast_to, concatenate, expand_dims, flip, moveaxis, pad, ravel, repeat, reshape, roll, split, squeeze, stack,
    swapaxes, tile, transpose,
)  # fmt: skip

__all__ = [
    # activations
    "dropout", "elu", "erf", "gammaln", "gelu", "leaky_relu", "normal_cdf", "relu", "sigmoid", "silu", "softplus",
    # attentions
    "additive_attention", "attention",
    # convolution
    "conv1d", "conv2d", "conv_transpose1d", "conv_transpose2d",
    # ctc
    "ctc_loss",
    # elementwise
    "abs", "absolute", "add", "arccos", "arcsin", "arctan", "arctan2", "astype", "ceil", "clip", "cos", "cosh",
    "divide", "equal", "exp", "expm1", "floor", "floor_divide", "greater", "greater_equal", "isfinite", "isinf",
    "isnan", "less", "less_equal", "log", "log1p", "logaddexp", "logical_and", "logical_not", "logical_or",
    "logical_xor", "maximum", "minimum", "multiply", "negative", "not_equal", "power", "reciprocal",
    "remainder", "round", "sign", "sin", "sinh", "sqrt", "square", "subtract", "tan", "tanh", "where",
    # indexing
    "diag", "diagonal", "embedding", "getitem", "one_hot", "put", "take_along_axis", "tril", "triu",
    # linear
    "linear_map",
    # linear_algebra
    "cross", "kron", "trace",
    # losses
    "binary_cross_entropy_with_logits", "cross_entropy", "huber_loss", "kl_div", "l1_loss", "mse_loss",
    "nll_loss", "temporal_softmax_loss",
    # normalization
    "batch_norm", "group_norm", "layer_norm", "rms_norm",
    # products
    "affine", "dot", "einsum", "matmul", "outer", "temporal_affine", "tensordot",
    # recurrent_gru
    "gru", "gru_step",
    # recurrent_lstm
    "lstm", "lstm_cell", "lstm_step",
    # recurrent_rnn
    "rnn", "rnn_step",
    # reductions
    "all", "amax", "amin", "any", "argmax", "argmin", "argsort", "cumprod", "cumsum", "log_softmax", "logsumexp",
    "max", "mean", "min", "norm", "prod", "softmax", "sort", "std", "sum", "topk", "var",
    # resampling
    "adaptive_avg_pool2d", "avg_pool2d", "max_pool2d", "pixel_shuffle", "pixel_unshuffle", "upsample",
    # shaping
    "broadcast_to", "concatenate", "expand_dims", "flip", "moveaxis", "pad", "ravel", "repeat", "reshape",
    "roll", "split", "squeeze", "stack", "swapaxes", "tile", "transpose",
]  # fmt: skip

from . import numpy_protocols as _numpy_protocols  # noqa: F401 (importing it attaches NumPy's protocols to Tensor)
