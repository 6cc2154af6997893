"""Modules, layers and initialisers."""

from . import init
from .layers import LSTM, RNN, Conv2d, Dropout, Embedding, Linear, ReLU, Sequential, Sigmoid, Tanh
from .module import LoadReport, Module
from .parameters import Buffer, Parameter

__all__ = ["LSTM", "RNN", "Buffer", "Conv2d", "Dropout", "Embedding", "Linear", "LoadReport", "Module", "Parameter",
           "ReLU", "Sequential", "Sigmoid", "Tanh", "init"]  # fmt: skip
