"""Optimisers, learning-rate schedules and gradient clipping; and minimisation by SciPy's methods."""

from .base import Optimizer, clip_grad_norm
from .methods import SGD, Adam, AdamW, RMSprop
from .minimization import minimize
from .schedules import CosineLR, ExponentialLR, Schedule, StepLR, WarmupLR

__all__ = ["SGD", "Adam", "AdamW", "CosineLR", "ExponentialLR", "Optimizer", "RMSprop", "Schedule", "StepLR",
           "WarmupLR", "clip_grad_norm", "minimize"]  # fmt: skip
