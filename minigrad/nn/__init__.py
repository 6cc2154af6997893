"""Modules, layers and initialisers."""

from . import init
from .activations import GELU, Identity, ReLU, ReLU6, Sigmoid, SiLU, Softmax, Tanh
from .containers import ModuleDict, ModuleList, Sequential
from .layers import Conv2d, Dropout, Embedding, Linear
from .module import LoadReport, Module
from .parameters import Buffer, Parameter
from .recurrent import GRU, LSTM, RNN
from .resizing import AdaptiveAvgPool2d, AvgPool2d, Flatten, MaxPool2d, PixelShuffle, PixelUnshuffle, Upsample

__all__ = ["GELU", "GRU", "LSTM", "RNN", "AdaptiveAvgPool2d", "AvgPool2d", "Buffer", "Conv2d", "Dropout", "Embedding",
           "Flatten", "Identity", "Linear", "LoadReport", "MaxPool2d", "Module", "ModuleDict", "ModuleList",
           "Parameter", "PixelShuffle", "PixelUnshuffle", "ReLU", "ReLU6", "Sequential", "SiLU", "Sigmoid", "Softmax",
           "Tanh", "Upsample", "init"]  # fmt: skip
