"""Optimisers, learning-rate schedules, gradient clipping, averages of weights; and minimisation by SciPy's methods."""

from .base import Optimizer
from .clipping import clip_grad_norm, clip_grad_value
from .methods import SGD, Adagrad, Adam, AdamW, Lion, RMSprop
from .minimization import minimize
from .schedules import CosineLR, ExponentialLR, Schedule, StepLR, WarmupLR

__all__ = ["SGD", "Adagrad", "Adam", "AdamW", "CosineLR", "ExponentialLR", "Lion", "Optimizer", "RMSprop", "Schedule",
           "StepLR", "WarmupLR", "clip_grad_norm", "clip_grad_value", "minimize"]  # fmt: skip
