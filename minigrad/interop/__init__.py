"""Weights to and from other frameworks: PyTorch's states and files, its names and memory layouts.

>>> import minigrad as mg
>>> layer = mg.nn.Linear(2, 3)
>>> {name: array.shape for name, array in mg.interop.to_torch(layer, tensors=False).items()}
{'weight': (3, 2), 'bias': (3,)}
"""

from .states import load_torch, to_torch
from .torch_files import read_torch

__all__ = ["load_torch", "read_torch", "to_torch"]
