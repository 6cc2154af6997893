"""Modules, layers and initialisers."""

from . import init
from .layers import Conv2d, Dropout, Embedding, Linear, ReLU, Sequential, Sigmoid, Tanh
from .module import LoadReport, Module
from .parameters import Buffer, Parameter
from .recurrent import GRU, LSTM, RNN

__all__ = ["GRU", "LSTM", "RNN", "Buffer", "Conv2d", "Dropout", "Embedding", "Linear", "LoadReport", "Module",
           "Parameter", "ReLU", "Sequential", "Sigmoid", "Tanh", "init"]  # fmt: skip
