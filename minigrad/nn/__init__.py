"""Modules, layers and initialisers."""

from typing import TYPE_CHECKING

from ..ops.methods import missing as _missing
from . import init
from .activations import (
    ELU,
    GELU,
    Identity,
    LeakyReLU,
    LogSoftmax,
    ReLU,
    ReLU6,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Tanh,
)
from .containers import ModuleDict, ModuleList, Sequential
from .convolutions import (
    AdaptiveAvgPool2d,
    AvgPool2d,
    Conv1d,
    Conv2d,
    ConvTranspose1d,
    ConvTranspose2d,
    MaxPool2d,
    PixelShuffle,
    PixelUnshuffle,
    Upsample,
)
from .layers import Dropout, Embedding, Flatten, Linear
from .module import Buffer, LoadReport, Module, Parameter
from .normalization import BatchNorm1d, BatchNorm2d, GroupNorm, LayerNorm, RMSNorm
from .recurrent import GRU, LSTM, RNN
from .transformers import MultiHeadAttention, TransformerEncoder, TransformerEncoderLayer

__all__ = ["ELU", "GELU", "GRU", "LSTM", "RNN", "AdaptiveAvgPool2d", "AvgPool2d", "BatchNorm1d", "BatchNorm2d",
           "Buffer", "Conv1d", "Conv2d", "ConvTranspose1d", "ConvTranspose2d", "Dropout", "Embedding", "Flatten",
           "GroupNorm", "Identity", "LayerNorm", "LeakyReLU", "Linear", "LoadReport", "LogSoftmax", "MaxPool2d",
           "Module", "ModuleDict", "ModuleList", "MultiHeadAttention", "Parameter", "PixelShuffle", "PixelUnshuffle",
           "RMSNorm", "ReLU", "ReLU6", "Sequential", "SiLU", "Sigmoid", "Softmax", "Softplus", "Tanh",
           "TransformerEncoder", "TransformerEncoderLayer", "Upsample", "init"]  # fmt: skip


if not TYPE_CHECKING:  # so that type checkers still find misspelt names

    def __getattr__(name):
        raise _missing(f"module {__name__!r}", name)
