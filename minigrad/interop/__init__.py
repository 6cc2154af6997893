"""Exchange weights with PyTorch: its state dicts, files, names and layouts.

>>> import minigrad as mg
>>> layer = mg.nn.Linear(2, 3)
>>> {name: array.shape for name, array in mg.interop.to_torch(layer, tensors=False).items()}
{'weight': (3, 2), 'bias': (3,)}
"""

from .torch_files import read_torch
from .torch_states import load_torch, to_torch

__all__ = ["load_torch", "read_torch", "to_torch"]
