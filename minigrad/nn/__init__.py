"""Modules, layers and initialisers."""

from . import init
from .activations import GELU, Identity, ReLU, ReLU6, Sigmoid, SiLU, Softmax, Tanh
from .constructors import name_constructor
from .containers import ModuleDict, ModuleList, Sequential
from .convolutions import Conv1d, Conv2d, ConvTranspose1d, ConvTranspose2d
from .layers import Dropout, Embedding, Linear
from .module import LoadReport, Module
from .normalization import BatchNorm1d, BatchNorm2d, GroupNorm, LayerNorm, RMSNorm
from .parameters import Buffer, Parameter
from .recurrent import GRU, LSTM, RNN
from .resizing import AdaptiveAvgPool2d, AvgPool2d, Flatten, MaxPool2d, PixelShuffle, PixelUnshuffle, Upsample
from .transformers import MultiHeadAttention, TransformerEncoder, TransformerEncoderLayer

__all__ = ["GELU", "GRU", "LSTM", "RNN", "AdaptiveAvgPool2d", "AvgPool2d", "BatchNorm1d", "BatchNorm2d", "Buffer",
           "Conv1d", "Conv2d", "ConvTranspose1d", "ConvTranspose2d", "Dropout", "Embedding", "Flatten", "GroupNorm",
           "Identity", "LayerNorm", "Linear", "LoadReport", "MaxPool2d", "Module", "ModuleDict", "ModuleList",
           "MultiHeadAttention", "Parameter", "PixelShuffle", "PixelUnshuffle", "RMSNorm", "ReLU", "ReLU6",
           "Sequential", "SiLU", "Sigmoid", "Softmax", "Tanh", "TransformerEncoder", "TransformerEncoderLayer",
           "Upsample", "init"]  # fmt: skip

for _public in [globals()[_name] for _name in __all__]:
    if isinstance(_public, type) and issubclass(_public, Module):
        name_constructor(_public)
