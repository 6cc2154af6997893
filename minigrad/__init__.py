"""minigrad."""
from . import check, graph, ops, spec
from .core import *
from .backward import *
from .check import gradcheck, numerical_gradient
from .transforms import *
from . import nn, optim
from .rng import manual_seed
__version__ = "0.1.0"
