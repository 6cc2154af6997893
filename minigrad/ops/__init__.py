"""Primitives: functions on tensors with hand-written vector-Jacobian products, one family a file."""

from .protocols import operators as _operators  # noqa: F401 (importing it attaches operators to Tensor)
from .activations import dropout, elu, erf, gelu, leaky_relu, normal_cdf, relu, sigmoid, silu, softplus
from .convolution import conv2d, conv_transpose2d
from .elementwise import (
    absolute, add, arccos, arcsin, arctan, arctan2, cos, cosh, divide, exp, expm1, log, log1p, logaddexp, multiply,
    negative, power, reciprocal, sin, sinh, sqrt, square, subtract, tan, tanh,
)  # fmt: skip
from .elementwise import absolute as abs
from .indexing import diagonal, getitem, put, take_along_axis, tril, triu
from .linear import linear_map
from .lookup import embedding, one_hot
from .losses import binary_cross_entropy_with_logits, cross_entropy, mse_loss, nll_loss
from .normalization import batch_norm, group_norm, layer_norm, rms_norm
from .pooling import avg_pool2d, max_pool2d, pixel_shuffle
from .products import affine, dot, einsum, matmul, outer, tensordot
from .recurrent import lstm, lstm_cell, lstm_step, rnn, rnn_step
from .reductions import (
    all, any, argmax, argmin, cumsum, log_softmax, logsumexp, max, mean, min, norm, prod, softmax, std, sum, var,
)  # fmt: skip
from .selection import (
    astype, ceil, clip, equal, floor, greater, greater_equal, isfinite, isnan, less, less_equal, logical_and,
    logical_not, logical_or, logical_xor, maximum, minimum, not_equal, sign, where,
)  # fmt: skip
from .shaping import (
    broadcast_to, concatenate, expand_dims, flip, moveaxis, pad, ravel, repeat, reshape, roll, split, squeeze, stack,
    swapaxes, tile, transpose,
)  # fmt: skip
from .temporal import temporal_affine, temporal_softmax_loss

__all__ = [
    # activations
    "dropout", "elu", "erf", "gelu", "leaky_relu", "normal_cdf", "relu", "sigmoid", "silu", "softplus",
    # convolution and pooling
    "avg_pool2d", "conv2d", "conv_transpose2d", "max_pool2d", "pixel_shuffle",
    # elementwise
    "abs", "absolute", "add", "arccos", "arcsin", "arctan", "arctan2", "cos", "cosh", "divide", "exp", "expm1",
    "log", "log1p", "logaddexp", "multiply", "negative", "power", "reciprocal", "sin", "sinh", "sqrt", "square",
    "subtract", "tan", "tanh",
    # indexing
    "diagonal", "getitem", "put", "take_along_axis", "tril", "triu",
    # linear maps by functions
    "linear_map",
    # lookup and losses
    "binary_cross_entropy_with_logits", "cross_entropy", "embedding", "mse_loss", "nll_loss", "one_hot",
    # normalization
    "batch_norm", "group_norm", "layer_norm", "rms_norm",
    # products
    "affine", "dot", "einsum", "matmul", "outer", "tensordot",
    # recurrent
    "lstm", "lstm_cell", "lstm_step", "rnn", "rnn_step",
    # reductions
    "all", "any", "argmax", "argmin", "cumsum", "log_softmax", "logsumexp", "max", "mean", "min", "norm", "prod",
    "softmax", "std", "sum", "var",
    # selection
    "astype", "ceil", "clip", "equal", "floor", "greater", "greater_equal", "isfinite", "isnan", "less", "less_equal",
    "logical_and", "logical_not", "logical_or", "logical_xor", "maximum", "minimum", "not_equal", "sign", "where",
    # shaping
    "broadcast_to", "concatenate", "expand_dims", "flip", "moveaxis", "pad", "ravel", "repeat", "reshape", "roll",
    "split", "squeeze", "stack", "swapaxes", "tile", "transpose",
    # temporal
    "temporal_affine", "temporal_softmax_loss",
]  # fmt: skip

from .protocols import dispatch as _dispatch  # noqa: F401 (importing it attaches NumPy's protocols to Tensor)
