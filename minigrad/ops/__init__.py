"""tmp"""
from ..core import Tensor
from .elementwise import add, multiply
Tensor.__add__ = add
Tensor.__mul__ = multiply
