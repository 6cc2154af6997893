"""Modules, layers and initialisers."""

from . import init
from .layers import LSTM, RNN, Conv2d, Dropout, Embedding, Linear, ReLU, Sequential, Sigmoid, Tanh
from .module import LoadReport, Module
from .normalization import BatchNorm1d, BatchNorm2d, GroupNorm, LayerNorm, RMSNorm
from .parameters import Buffer, Parameter

__all__ = ["LSTM", "RNN", "BatchNorm1d", "BatchNorm2d", "Buffer", "Conv2d", "Dropout", "Embedding", "GroupNorm",
           "LayerNorm", "Linear", "LoadReport", "Module", "Parameter", "RMSNorm", "ReLU", "Sequential", "Sigmoid",
           "Tanh", "init"]  # fmt: skip
