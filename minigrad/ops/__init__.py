"""tmp"""
from ..core import Tensor
from .convolution import conv2d, conv_transpose2d
from .elementwise import add, multiply
from .pooling import avg_pool2d, max_pool2d, pixel_shuffle
Tensor.__add__ = add
Tensor.__mul__ = multiply
