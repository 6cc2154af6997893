"""Optimisers, learning-rate schedules, gradient clipping, averages of weights; and minimisation by SciPy's methods."""

from .accumulation import micro_batches
from .averages import EMA
from .base import Optimizer
from .clipping import clip_grad_norm, clip_grad_value
from .methods import SGD, Adagrad, Adam, AdamW, Lion, RMSprop
from .minimization import minimize
from .one_cycle import OneCycleLR
from .plateau import ReduceOnPlateau
from .quasi_newton import LBFGS
from .schedules import CosineLR, ExponentialLR, Schedule, StepLR, WarmupLR

__all__ = ["EMA", "LBFGS", "SGD", "Adagrad", "Adam", "AdamW", "CosineLR", "ExponentialLR", "Lion", "OneCycleLR",
           "Optimizer", "RMSprop", "ReduceOnPlateau", "Schedule", "StepLR", "WarmupLR", "clip_grad_norm",
           "clip_grad_value", "micro_batches", "minimize"]  # fmt: skip
